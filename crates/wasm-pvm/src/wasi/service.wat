;; The streams, the clock and the random numbers of a service.
;;
;; `$own` has the adapter's buffers: the line of standard error that is not complete yet, and standard output, which
;; grows at the end.

;; The argument bytes of the entry, and how many of them were read.
(global $input (mut i32) (i32.const 0))
(global $input_len (mut i32) (i32.const 0))
(global $input_pos (mut i32) (i32.const 0))
;; Length of the incomplete line.
(global $line_len (mut i32) (i32.const 0))
;; Nanoseconds; the state of the random numbers.
(global $now (mut i64) (i64.const 0))
(global $seed (mut i64) (i64.const 0))

;; The PVM address of an address in `$own`, and of one in `$program`.
(func $own_address (param $at i32) (result i64)
  (call $pvm_ptr_own (i64.extend_i32_u (local.get $at))))
(func $program_address (param $at i32) (result i64)
  (call $pvm_ptr (i64.extend_i32_u (local.get $at))))

;; Logs a text in `$own`, without a target.
(func $log (param $level i64) (param $at i32) (param $len i32)
  (drop (call $host_call
    (i64.const 100) (local.get $level) (i64.const 0) (i64.const 0)
    (call $own_address (local.get $at)) (i64.extend_i32_u (local.get $len)))))

(func $log_line
  (call $log (i64.const 2) (global.get $line) (global.get $line_len))
  (global.set $line_len (i32.const 0)))

;; Logs the incomplete line, if there is one.
(func $flush
  (if (global.get $line_len) (then (call $log_line))))

;; Adds bytes of the program to the line. It is logged at each line feed, and where it exceeds 1024 bytes, between two
;; characters of UTF-8.
(func $write_log (param $at i32) (param $len i32)
  (local $end i32) (local $byte i32)
  (local.set $end (i32.add (local.get $at) (local.get $len)))
  (block $done
    (loop $next
      (br_if $done (i32.eq (local.get $at) (local.get $end)))
      (local.set $byte (i32.load8_u $program (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (if (i32.eq (local.get $byte) (i32.const 10)) (then (call $log_line) (br $next)))
      (if (i32.or
            (i32.and
              (i32.ge_u (global.get $line_len) (i32.const 1024))
              (i32.ne (i32.and (local.get $byte) (i32.const 0xc0)) (i32.const 0x80)))
            (i32.ge_u (global.get $line_len) (i32.const 1028)))
        (then (call $log_line)))
      (i32.store8 $own (i32.add (global.get $line) (global.get $line_len)) (local.get $byte))
      (global.set $line_len (i32.add (global.get $line_len) (i32.const 1)))
      (br $next))))

;; Adds bytes of the program to standard output; returns whether there was room.
(func $write_output (param $at i32) (param $len i32) (result i32)
  (local $end i32) (local $room i32)
  (local.set $end (i32.add (global.get $output_end) (local.get $len)))
  (if (i32.lt_u (local.get $end) (local.get $len)) (then (return (i32.const 0))))
  (local.set $room (i32.shl (memory.size $own) (i32.const 16)))
  (if (i32.gt_u (local.get $end) (local.get $room))
    (then
      (if (i32.lt_s
            (memory.grow $own
              (i32.add
                (i32.shr_u
                  (i32.sub (i32.sub (local.get $end) (local.get $room)) (i32.const 1))
                  (i32.const 16))
                (i32.const 1)))
            (i32.const 0))
        (then (return (i32.const 0))))))
  (memory.copy $own $program (global.get $output_end) (local.get $at) (local.get $len))
  (global.set $output_end (local.get $end))
  (i32.const 1))

;; Reads argument bytes into the buffers of a list; returns how many.
(func $read_input (param $vectors i32) (param $count i32) (result i32)
  (local $sum i32) (local $len i32) (local $left i32)
  (block $done
    (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (local.set $len (i32.load $program offset=4 (local.get $vectors)))
      (local.set $left (i32.sub (global.get $input_len) (global.get $input_pos)))
      (if (i32.gt_u (local.get $len) (local.get $left)) (then (local.set $len (local.get $left))))
      (memory.copy $program $program
        (i32.load $program (local.get $vectors))
        (i32.add (global.get $input) (global.get $input_pos))
        (local.get $len))
      (global.set $input_pos (i32.add (global.get $input_pos) (local.get $len)))
      (local.set $sum (i32.add (local.get $sum) (local.get $len)))
      (local.set $vectors (i32.add (local.get $vectors) (i32.const 8)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br $next)))
  (local.get $sum))

;; The clock begins at 0 and advances by a millisecond at each reading; waiting takes no time.
(func $now (result i64) (global.get $now))
(func $clock (result i64)
  (local $time i64)
  (local.set $time (global.get $now))
  (global.set $now (i64.add (local.get $time) (i64.const 1000000)))
  (local.get $time))
(func $wait (param $until i64)
  (global.set $now (local.get $until)))

;; SplitMix64 from the state 0.
(func $random (result i64)
  (local $word i64)
  (local.set $word (i64.add (global.get $seed) (i64.const 0x9e3779b97f4a7c15)))
  (global.set $seed (local.get $word))
  (local.set $word (i64.mul
    (i64.xor (local.get $word) (i64.shr_u (local.get $word) (i64.const 30)))
    (i64.const 0xbf58476d1ce4e5b9)))
  (local.set $word (i64.mul
    (i64.xor (local.get $word) (i64.shr_u (local.get $word) (i64.const 27)))
    (i64.const 0x94d049bb133111eb)))
  (i64.xor (local.get $word) (i64.shr_u (local.get $word) (i64.const 31))))

;; Logs `exit code N` with the target `wasi` at level 1.
(func $log_exit (param $code i32)
  (local $at i32)
  (local.set $at (i32.add (global.get $exit_text) (i32.const 24)))
  (loop $digit
    (local.set $at (i32.sub (local.get $at) (i32.const 1)))
    (i32.store8 $own (local.get $at)
      (i32.add (i32.rem_u (local.get $code) (i32.const 10)) (i32.const 48)))
    (local.set $code (i32.div_u (local.get $code) (i32.const 10)))
    (br_if $digit (local.get $code)))
  (local.set $at (i32.sub (local.get $at) (i32.const 10)))
  (i64.store $own align=1 (local.get $at) (i64.const 0x646f632074697865)) ;; "exit cod"
  (i32.store16 $own offset=8 align=1 (local.get $at) (i32.const 0x2065)) ;; "e "
  (i32.store $own align=1 (i32.add (global.get $exit_text) (i32.const 24)) (i32.const 0x69736177)) ;; "wasi"
  (drop (call $host_call
    (i64.const 100) (i64.const 1)
    (call $own_address (i32.add (global.get $exit_text) (i32.const 24))) (i64.const 4)
    (call $own_address (local.get $at))
    (i64.extend_i32_u (i32.sub (i32.add (global.get $exit_text) (i32.const 24)) (local.get $at))))))
