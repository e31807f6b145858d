;; The streams, the clock and the random numbers of firmware, which defines the imported functions. They get addresses in
;; `$program`. Nothing is buffered here.

(func $write_stdout (param $at i32) (param $len i32) (result i32)
  (call $wasi_write (i32.const 1) (local.get $at) (local.get $len))
  (i32.const 1))
(func $write_stderr (param $at i32) (param $len i32)
  (call $wasi_write (i32.const 2) (local.get $at) (local.get $len)))
(func $flush)

;; Reads into the buffers of a list; returns how many bytes. A buffer that isn't filled is the last one, so that a program
;; doesn't wait for more input than there is.
(func $read_input (param $vectors i32) (param $count i32) (result i32)
  (local $sum i32) (local $len i32) (local $read i32)
  (block $done
    (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (local.set $len (i32.load $program offset=4 (local.get $vectors)))
      (if (local.get $len)
        (then
          (local.set $read (call $wasi_read (i32.load $program (local.get $vectors)) (local.get $len)))
          (local.set $sum (i32.add (local.get $sum) (local.get $read)))
          (br_if $done (i32.lt_u (local.get $read) (local.get $len)))))
      (local.set $vectors (i32.add (local.get $vectors) (i32.const 8)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br $next)))
  (local.get $sum))

(func $now (result i64) (call $wasi_now))
(func $clock (result i64) (call $wasi_now))
(func $wait (param $until i64)
  (loop $next (br_if $next (i64.lt_u (call $wasi_now) (local.get $until)))))

(func $random (result i64) (call $wasi_random))

(func (export "proc_exit") (param $code i32)
  (call $wasi_exit (local.get $code))
  (unreachable))
