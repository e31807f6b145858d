;; A command: `$start` runs once per entry, standard input is the argument bytes, standard output the result.

(func $write_stdout (param $at i32) (param $len i32) (result i32)
  (call $write_output (local.get $at) (local.get $len)))
(func $write_stderr (param $at i32) (param $len i32)
  (call $write_log (local.get $at) (local.get $len)))

(func $result_len (result i32)
  (i32.sub (global.get $output_end) (global.get $output)))

;; The second word of the result as hosts read it: its end, or its length.
(func $result_word (result i64)
  (if (result i64) (global.get $returns_end)
    (then (call $own_address (global.get $output_end)))
    (else (i64.extend_i32_u (call $result_len)))))

;; The entry: takes and returns address and length in `$program`.
(func (export "wasi:entry") (param $at i32) (param $len i32) (result i64)
  (global.set $input (local.get $at))
  (global.set $input_len (local.get $len))
  (global.set $input_pos (i32.const 0))
  (global.set $output_end (global.get $output))
  (call $start)
  (call $flush)
  (i64.or
    (i64.extend_i32_u (i32.wrap_i64 (i64.sub
      (call $own_address (global.get $output))
      (call $program_address (i32.const 0)))))
    (i64.shl (i64.extend_i32_u (call $result_len)) (i64.const 32))))

(func (export "proc_exit") (param $code i32)
  (call $flush)
  (if (local.get $code)
    (then
      (call $log_exit (local.get $code))
      (br_if 0 (global.get $fails_softly))
      (unreachable)))
  (call $halt (call $own_address (global.get $output)) (call $result_word))
  (unreachable))
