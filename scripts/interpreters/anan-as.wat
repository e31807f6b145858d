;; A service that runs a PVM program in the PVM interpreter `anan-as`. The argument bytes are the length of a program in the
;; standard format, the program, and its argument bytes. The result is the status (a word), the exit's argument (a word),
;; the remaining gas (8 bytes), the registers (13 times 8 bytes), and the result that r7 and r8 describe.
(module
  (import "pvm" "memory" (memory 0))
  (import "pvm" "__new" (func $new (param i32 i32) (result i32)))
  (import "pvm" "__pin" (func $pin (param i32) (result i32)))
  (import "pvm" "__setArgumentsLength" (func $set_arguments (param i32)))
  (import "pvm" "resetJAM" (func $reset (param i32 i32 i64 i32 i32)))
  (import "pvm" "nSteps" (func $run (param i32) (result i32)))
  (import "pvm" "getStatus" (func $status (result i32)))
  (import "pvm" "getExitArg" (func $argument (result i32)))
  (import "pvm" "getGasLeft" (func $gas (result i64)))
  (import "pvm" "getRegisters" (func $registers (result i32)))
  (import "pvm" "getMemory" (func $memory (param i32 i32) (result i32)))

  ;; An `Array<u8>` of AssemblyScript with the given bytes: class 6, with its bytes in an object of class 1.
  (func $array (param $at i32) (param $len i32) (result i32)
    (local $bytes i32) (local $array i32)
    (local.set $bytes (call $pin (call $new (local.get $len) (i32.const 1))))
    (memory.copy (local.get $bytes) (local.get $at) (local.get $len))
    (local.set $array (call $pin (call $new (i32.const 16) (i32.const 6))))
    (i32.store (local.get $array) (local.get $bytes))
    (i32.store offset=4 (local.get $array) (local.get $bytes))
    (i32.store offset=8 (local.get $array) (local.get $len))
    (i32.store offset=12 (local.get $array) (local.get $len))
    (local.get $array))

  (func (export "refine") (param $at i32) (param $len i32) (result i64)
    (local $program i32) (local $result i32)
    (local.set $len (i32.sub (local.get $len) (i32.add (i32.load (local.get $at)) (i32.const 4))))
    (local.set $program (call $array (i32.add (local.get $at) (i32.const 4)) (i32.load (local.get $at))))
    (call $set_arguments (i32.const 5))
    (call $reset (local.get $program) (i32.const 0) (i64.const 100000000)
      (call $array
        (i32.add (i32.add (local.get $at) (i32.const 4)) (i32.load (local.get $at)))
        (local.get $len))
      (i32.const 0))
    (loop $next (br_if $next (call $run (i32.const 100000))))
    (local.set $len (i32.const 0))
    (if (i32.eqz (call $status))
      (then
        (local.set $at (i32.load offset=4 (call $registers)))
        (local.set $len (i32.load offset=64 (local.get $at)))
        (local.set $at (i32.load offset=4 (call $memory (i32.load offset=56 (local.get $at)) (local.get $len))))))
    (local.set $result (call $pin (call $new (i32.add (local.get $len) (i32.const 120)) (i32.const 1))))
    (i32.store (local.get $result) (call $status))
    (i32.store offset=4 (local.get $result) (call $argument))
    (i64.store offset=8 (local.get $result) (call $gas))
    (memory.copy
      (i32.add (local.get $result) (i32.const 16))
      (i32.load offset=4 (call $registers))
      (i32.const 104))
    (memory.copy (i32.add (local.get $result) (i32.const 120)) (local.get $at) (local.get $len))
    (i64.or
      (i64.extend_i32_u (local.get $result))
      (i64.shl (i64.extend_i32_u (i32.add (local.get $len) (i32.const 120))) (i64.const 32)))))
