;; Functions of Emscripten's JavaScript that C programs need: `longjmp`, which is an exception here, as it is in
;; JavaScript, the growth of the heap, and a clock that doesn't move.
(module
  (import "program" "memory" (memory 0))
  (import "program" "__indirect_function_table" (table $functions 0 funcref))
  (import "program" "stackSave" (func $stack (result i32)))
  (import "program" "stackRestore" (func $restore_stack (param i32)))
  (import "program" "setThrew" (func $set_threw (param i32 i32)))
  (tag $longjmp)

  (func (export "_emscripten_throw_longjmp") (throw $longjmp))

  (func (export "invoke_vii") (param $function i32) (param $first i32) (param $second i32)
    (local $stack i32)
    (local.set $stack (call $stack))
    (block $thrown
      (try_table (catch $longjmp $thrown)
        (call_indirect $functions (param i32 i32)
          (local.get $first) (local.get $second) (local.get $function)))
      (return))
    (call $restore_stack (local.get $stack))
    (call $set_threw (i32.const 1) (i32.const 0)))

  (func (export "emscripten_resize_heap") (param $bytes i32) (result i32)
    (i32.ne
      (memory.grow
        (i32.shr_u
          (i32.add (i32.sub (local.get $bytes) (i32.shl (memory.size) (i32.const 16))) (i32.const 0xffff))
          (i32.const 16)))
      (i32.const -1)))

  (func (export "emscripten_date_now") (result f64) (f64.const 0)))
