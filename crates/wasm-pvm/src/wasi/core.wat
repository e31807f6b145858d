;; All that a WASI program needs without files, but for what depends on the host: streams, the clock and random numbers
;; (`service.wat`, `firmware.wat`).
;;
;; Addresses in `$program` are the program's; `$own` is the adapter's memory.
;;
;; Error numbers are those of preview 1: 8 bad descriptor, 28 invalid, 44 no such file, 51 no space, 52 no such function,
;; 58 not supported, 69 read-only file system, 70 not seekable, 76 not permitted.

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
  (if (local.get $fd)
    (then (return (call $read_file (local.get $fd) (local.get $vectors) (local.get $count) (local.get $read)))))
  (i32.store $program (local.get $read) (call $read_input (local.get $vectors) (local.get $count)))
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

;; All clocks are one.
(func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $to i32) (result i32)
  (if (i32.gt_u (local.get $clock) (i32.const 3)) (then (return (i32.const 28))))
  (i64.store $program (local.get $to) (call $clock))
  (i32.const 0))

(func (export "clock_res_get") (param $clock i32) (param $to i32) (result i32)
  (if (i32.gt_u (local.get $clock) (i32.const 3)) (then (return (i32.const 28))))
  (i64.store $program (local.get $to) (i64.const 1000000))
  (i32.const 0))

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
(func $deadline (param $subscription i32) (param $now i64) (result i64)
  (local $time i64)
  (local.set $time (i64.load $program offset=24 (local.get $subscription)))
  (if (result i64) (i32.and (i32.load16_u $program offset=40 (local.get $subscription)) (i32.const 1))
    (then (local.get $time))
    (else
      (local.set $time (i64.add (local.get $now) (local.get $time)))
      (select (i64.const -1) (local.get $time) (i64.lt_u (local.get $time) (local.get $now))))))

;; Streams and files are always ready. If there are only clocks, the first deadline is waited for.
(func (export "poll_oneoff")
  (param $subscriptions i32) (param $events i32) (param $count i32) (param $found i32) (result i32)
  (local $at i32) (local $end i32) (local $time i64) (local $first i64) (local $now i64)
  (local $is_ready i32) (local $sum i32)
  (if (i32.eqz (local.get $count)) (then (return (i32.const 28))))
  (local.set $end (i32.add (local.get $subscriptions) (i32.mul (local.get $count) (i32.const 48))))
  (local.set $first (i64.const -1))
  (local.set $now (call $now))
  (local.set $at (local.get $subscriptions))
  (loop $next
    (if (i32.load8_u $program offset=8 (local.get $at))
      (then (local.set $is_ready (i32.const 1)))
      (else
        (local.set $time (call $deadline (local.get $at) (local.get $now)))
        (if (i64.lt_u (local.get $time) (local.get $first)) (then (local.set $first (local.get $time))))))
    (local.set $at (i32.add (local.get $at) (i32.const 48)))
    (br_if $next (i32.ne (local.get $at) (local.get $end))))
  (local.set $at (local.get $subscriptions))
  (loop $next
    (block $skip
      (if (i32.eqz (i32.load8_u $program offset=8 (local.get $at)))
        (then
          (br_if $skip (i64.gt_u
            (call $deadline (local.get $at) (local.get $now))
            (select (local.get $now) (local.get $first) (local.get $is_ready))))))
      (memory.fill $program (local.get $events) (i32.const 0) (i32.const 32))
      (i64.store $program (local.get $events) (i64.load $program (local.get $at)))
      (i32.store8 $program offset=10 (local.get $events) (i32.load8_u $program offset=8 (local.get $at)))
      (local.set $events (i32.add (local.get $events) (i32.const 32)))
      (local.set $sum (i32.add (local.get $sum) (i32.const 1))))
    (local.set $at (i32.add (local.get $at) (i32.const 48)))
    (br_if $next (i32.ne (local.get $at) (local.get $end))))
  (if (i32.and (i32.eqz (local.get $is_ready)) (i64.gt_u (local.get $first) (local.get $now)))
    (then (call $wait (local.get $first))))
  (i32.store $program (local.get $found) (local.get $sum))
  (i32.const 0))

(func (export "proc_raise") (param $signal i32) (result i32)
  (call $flush)
  (unreachable))

(func (export "sched_yield") (result i32) (i32.const 0))
