;; Functions that standalone modules of Emscripten import beside those of WASI. They are only there if a module has one of them.

;; The upper half of a 64-bit result, or the second value of a `longjmp`.
(global $second_result (mut i32) (i32.const 0))
(func (export "setTempRet0") (param i32) (global.set $second_result (local.get 0)))
(func (export "getTempRet0") (result i32) (global.get $second_result))

;; JavaScript has to make new views of memory when it has grown.
(func (export "emscripten_notify_memory_growth") (param i32))
