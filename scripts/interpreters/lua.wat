;; A service that evaluates Lua: the argument bytes are a script, the result is the string that it returns, or the message
;; of its error. The functions of Lua's C interface are those of `glue.wasm`.
(module
  (import "lua" "memory" (memory 0))
  (import "lua" "__wasm_call_ctors" (func $construct))
  (import "lua" "malloc" (func $malloc (param i32) (result i32)))
  (import "lua" "luaL_newstate" (func $new_state (result i32)))
  (import "lua" "luaL_openlibs" (func $open_libraries (param i32)))
  (import "lua" "luaL_loadbufferx" (func $load (param i32 i32 i32 i32 i32) (result i32)))
  (import "lua" "lua_pcallk" (func $call (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "lua" "luaL_tolstring" (func $to_string (param i32 i32 i32) (result i32)))

  (func (export "refine") (param $script i32) (param $len i32) (result i64)
    (local $state i32) (local $result i32)
    (call $construct)
    (local.set $state (call $new_state))
    (call $open_libraries (local.get $state))
    ;; The name and the mode of the chunk: "=script" and null.
    (local.set $result (call $malloc (i32.const 16)))
    (i64.store (local.get $result) (i64.const 0x007470697263733d))
    (if (i32.eqz
          (call $load (local.get $state) (local.get $script) (local.get $len) (local.get $result) (i32.const 0)))
      (then
        (drop (call $call (local.get $state) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))))
    (i64.or
      (i64.extend_i32_u (call $to_string (local.get $state) (i32.const -1) (local.get $result)))
      (i64.shl (i64.load32_u (local.get $result)) (i64.const 32)))))
