;; The streams of a program, its clock and its random numbers: all that a WASI program needs without files.
;;
;; Addresses in `$program` are the program's. `$own` has the adapter's buffers: the line of standard error that is not
;; complete yet, and standard output, which grows at the end.
;;
;; Error numbers are those of preview 1: 8 bad descriptor, 28 invalid, 44 no such file, 51 no space, 52 no such function,
;; 58 not supported, 69 read-only file system, 70 not seekable, 76 not permitted.

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

(func (export "fd_write")
  (param $fd i32) (param $vectors i32) (param $count i32) (param $written i32) (result i32)
  (local $sum i32) (local $at i32) (local $len i32)
  (if (i32.gt_u (i32.sub (local.get $fd) (i32.const 1)) (i32.const 1))
    (then (return (call $not_writable (local.get $fd)))))
  (block $done
    (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (local.set $at (i32.load $program (local.get $vectors)))
      (local.set $len (i32.load $program offset=4 (local.get $vectors)))
      (if (i32.eq (local.get $fd) (i32.const 1))
        (then
          (if (i32.eqz (call $write_stdout (local.get $at) (local.get $len)))
            (then (return (i32.const 51)))))
        (else (call $write_stderr (local.get $at) (local.get $len))))
      (local.set $sum (i32.add (local.get $sum) (local.get $len)))
      (local.set $vectors (i32.add (local.get $vectors) (i32.const 8)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br $next)))
  (i32.store $program (local.get $written) (local.get $sum))
  (i32.const 0))

(func (export "fd_read")
  (param $fd i32) (param $vectors i32) (param $count i32) (param $read i32) (result i32)
  (local $sum i32) (local $len i32) (local $left i32)
  (if (local.get $fd)
    (then (return (call $read_file (local.get $fd) (local.get $vectors) (local.get $count) (local.get $read)))))
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
  (i32.store $program (local.get $read) (local.get $sum))
  (i32.const 0))

;; Streams are no terminals, so that libraries buffer output: standard error, which they don't buffer, is a device.
(func $stream_type (param $fd i32) (result i32)
  (i32.and (local.get $fd) (i32.const 2)))

(func (export "fd_fdstat_get") (param $fd i32) (param $to i32) (result i32)
  (if (i32.gt_u (local.get $fd) (i32.const 2))
    (then (return (call $file_status (local.get $fd) (local.get $to)))))
  ;; Reading or writing, and polling.
  (call $store_status (local.get $to) (call $stream_type (local.get $fd))
    (select (i64.const 0x08000040) (i64.const 0x08000002) (local.get $fd)))
  (i32.const 0))

(func $store_status (param $to i32) (param $type i32) (param $rights i64)
  (i64.store $program (local.get $to) (i64.extend_i32_u (local.get $type)))
  (i64.store $program offset=8 (local.get $to) (local.get $rights))
  (i64.store $program offset=16 (local.get $to) (local.get $rights)))

(func (export "fd_filestat_get") (param $fd i32) (param $to i32) (result i32)
  (if (i32.gt_u (local.get $fd) (i32.const 2))
    (then (return (call $file_attributes (local.get $fd) (local.get $to)))))
  (call $store_attributes (local.get $to) (i64.const 0) (call $stream_type (local.get $fd)) (i64.const 0))
  (i32.const 0))

;; Device and times are 0; there is one link.
(func $store_attributes (param $to i32) (param $inode i64) (param $type i32) (param $size i64)
  (memory.fill $program (local.get $to) (i32.const 0) (i32.const 64))
  (i64.store $program offset=8 (local.get $to) (local.get $inode))
  (i32.store8 $program offset=16 (local.get $to) (local.get $type))
  (i64.store $program offset=24 (local.get $to) (i64.const 1))
  (i64.store $program offset=32 (local.get $to) (local.get $size)))

;; Writes the address of each of `$count` strings, which follow each other from `$at`.
(func $store_pointers (param $to i32) (param $at i32) (param $count i32) (result i32)
  (block $done
    (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (i32.store $program (local.get $to) (local.get $at))
      (loop $byte
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $byte (i32.load8_u $program (i32.sub (local.get $at) (i32.const 1)))))
      (local.set $to (i32.add (local.get $to) (i32.const 4)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br $next)))
  (i32.const 0))

(func (export "args_sizes_get") (param $count i32) (param $len i32) (result i32)
  (i32.store $program (local.get $count) (global.get $args_count))
  (i32.store $program (local.get $len) (global.get $args_len))
  (i32.const 0))

(func (export "args_get") (param $pointers i32) (param $to i32) (result i32)
  (memory.init $program $args (local.get $to) (i32.const 0) (global.get $args_len))
  (call $store_pointers (local.get $pointers) (local.get $to) (global.get $args_count)))

(func (export "environ_sizes_get") (param $count i32) (param $len i32) (result i32)
  (i32.store $program (local.get $count) (global.get $environment_count))
  (i32.store $program (local.get $len) (global.get $environment_len))
  (i32.const 0))

(func (export "environ_get") (param $pointers i32) (param $to i32) (result i32)
  (memory.init $program $environment (local.get $to) (i32.const 0) (global.get $environment_len))
  (call $store_pointers (local.get $pointers) (local.get $to) (global.get $environment_count)))

;; All clocks are one, which begins at 0 and advances by a millisecond at each reading.
(func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $to i32) (result i32)
  (if (i32.gt_u (local.get $clock) (i32.const 3)) (then (return (i32.const 28))))
  (i64.store $program (local.get $to) (global.get $now))
  (global.set $now (i64.add (global.get $now) (i64.const 1000000)))
  (i32.const 0))

(func (export "clock_res_get") (param $clock i32) (param $to i32) (result i32)
  (if (i32.gt_u (local.get $clock) (i32.const 3)) (then (return (i32.const 28))))
  (i64.store $program (local.get $to) (i64.const 1000000))
  (i32.const 0))

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

(func (export "random_get") (param $at i32) (param $len i32) (result i32)
  (local $word i64) (local $left i32)
  (block $done
    (loop $next
      (br_if $done (i32.eqz (local.get $len)))
      (if (i32.eqz (local.get $left))
        (then
          (local.set $word (call $random))
          (local.set $left (i32.const 8))))
      (i64.store8 $program (local.get $at) (local.get $word))
      (local.set $word (i64.shr_u (local.get $word) (i64.const 8)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (local.set $len (i32.sub (local.get $len) (i32.const 1)))
      (br $next)))
  (i32.const 0))

;; The time at which a subscription to the clock ends.
(func $deadline (param $subscription i32) (result i64)
  (local $time i64)
  (local.set $time (i64.load $program offset=24 (local.get $subscription)))
  (if (result i64) (i32.and (i32.load16_u $program offset=40 (local.get $subscription)) (i32.const 1))
    (then (local.get $time))
    (else
      (local.set $time (i64.add (global.get $now) (local.get $time)))
      (select (i64.const -1) (local.get $time) (i64.lt_u (local.get $time) (global.get $now))))))

;; Streams and files are always ready. If there are only clocks, the first deadline is reached at once.
(func (export "poll_oneoff")
  (param $subscriptions i32) (param $events i32) (param $count i32) (param $found i32) (result i32)
  (local $at i32) (local $end i32) (local $time i64) (local $first i64) (local $is_ready i32) (local $sum i32)
  (if (i32.eqz (local.get $count)) (then (return (i32.const 28))))
  (local.set $end (i32.add (local.get $subscriptions) (i32.mul (local.get $count) (i32.const 48))))
  (local.set $first (i64.const -1))
  (local.set $at (local.get $subscriptions))
  (loop $next
    (if (i32.load8_u $program offset=8 (local.get $at))
      (then (local.set $is_ready (i32.const 1)))
      (else
        (local.set $time (call $deadline (local.get $at)))
        (if (i64.lt_u (local.get $time) (local.get $first)) (then (local.set $first (local.get $time))))))
    (local.set $at (i32.add (local.get $at) (i32.const 48)))
    (br_if $next (i32.ne (local.get $at) (local.get $end))))
  (local.set $at (local.get $subscriptions))
  (loop $next
    (block $skip
      (if (i32.eqz (i32.load8_u $program offset=8 (local.get $at)))
        (then
          (br_if $skip (i64.gt_u
            (call $deadline (local.get $at))
            (select (global.get $now) (local.get $first) (local.get $is_ready))))))
      (memory.fill $program (local.get $events) (i32.const 0) (i32.const 32))
      (i64.store $program (local.get $events) (i64.load $program (local.get $at)))
      (i32.store8 $program offset=10 (local.get $events) (i32.load8_u $program offset=8 (local.get $at)))
      (local.set $events (i32.add (local.get $events) (i32.const 32)))
      (local.set $sum (i32.add (local.get $sum) (i32.const 1))))
    (local.set $at (i32.add (local.get $at) (i32.const 48)))
    (br_if $next (i32.ne (local.get $at) (local.get $end))))
  (if (i32.and (i32.eqz (local.get $is_ready)) (i64.gt_u (local.get $first) (global.get $now)))
    (then (global.set $now (local.get $first))))
  (i32.store $program (local.get $found) (local.get $sum))
  (i32.const 0))

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

(func (export "proc_raise") (param $signal i32) (result i32)
  (call $flush)
  (unreachable))

(func (export "sched_yield") (result i32) (i32.const 0))
