;; The functions of WASI 0.2 in the canonical ABI, over those of preview 1. The adapter exports the ones that a program
;; imports, in every version that it imports them in.
;;
;; Results of more than one number are written to an address that the program gives; lists and strings are written to
;; memory that the program allocates, one by one. Handles of the streams are 1 (standard input), 2 and 3 (output), 4 is the
;; only error, 5 a pollable of a stream, 6 the network; clocks have pollables from 16 on. As the handles of streams never
;; end, dropping one has no effect.

(func $"wasi:cli/exit#exit" (param $status i32) (call $proc_exit (local.get $status)) (unreachable))
(func $"wasi:cli/exit#exit-with-code" (param $code i32) (call $proc_exit (local.get $code)) (unreachable))

(func $"wasi:cli/stdin#get-stdin" (result i32) (i32.const 1))
(func $"wasi:cli/stdout#get-stdout" (result i32) (i32.const 2))
(func $"wasi:cli/stderr#get-stderr" (result i32) (i32.const 3))

;; No stream is a terminal.
(func $"wasi:cli/terminal-stdin#get-terminal-stdin" (param $to i32)
  (i32.store8 $program (local.get $to) (i32.const 0)))
(func $"wasi:cli/terminal-stdout#get-terminal-stdout" (param $to i32)
  (i32.store8 $program (local.get $to) (i32.const 0)))
(func $"wasi:cli/terminal-stderr#get-terminal-stderr" (param $to i32)
  (i32.store8 $program (local.get $to) (i32.const 0)))

;; A list at `$to`.
(func $store_list (param $to i32) (param $at i32) (param $len i32)
  (i32.store $program (local.get $to) (local.get $at))
  (i32.store $program offset=4 (local.get $to) (local.get $len)))

(func $allocate (param $align i32) (param $len i32) (result i32)
  (call $realloc (i32.const 0) (i32.const 0) (local.get $align) (local.get $len)))

(func $"wasi:cli/environment#get-arguments" (param $to i32)
  (local $at i32)
  (local.set $at (call $allocate (i32.const 4) (i32.shl (global.get $args_count) (i32.const 3))))
  (call $store_list (local.get $to) (local.get $at) (global.get $args_count))
  (call $store_args (local.get $at)))

(func $"wasi:cli/environment#get-environment" (param $to i32)
  (local $at i32)
  (local.set $at (call $allocate (i32.const 4) (i32.shl (global.get $environment_count) (i32.const 4))))
  (call $store_list (local.get $to) (local.get $at) (global.get $environment_count))
  (call $store_environment (local.get $at)))

(func $"wasi:cli/environment#initial-cwd" (param $to i32)
  (i32.store8 $program (local.get $to) (i32.const 0)))

;; A string of the arguments, or of the environment.
(func $store_arg (param $to i32) (param $from i32) (param $len i32)
  (local $at i32)
  (local.set $at (call $allocate (i32.const 1) (local.get $len)))
  (memory.init $program $args (local.get $at) (local.get $from) (local.get $len))
  (call $store_list (local.get $to) (local.get $at) (local.get $len)))
(func $store_variable (param $to i32) (param $from i32) (param $len i32)
  (local $at i32)
  (local.set $at (call $allocate (i32.const 1) (local.get $len)))
  (memory.init $program $environment (local.get $at) (local.get $from) (local.get $len))
  (call $store_list (local.get $to) (local.get $at) (local.get $len)))

;; The end of standard input; an output stream without room.
(func $store_closed (param $to i32)
  (i32.store8 $program (local.get $to) (i32.const 1))
  (i32.store8 $program offset=4 (local.get $to) (i32.const 1)))
(func $store_full (param $to i32)
  (i32.store8 $program (local.get $to) (i32.const 1))
  (i32.store8 $program offset=4 (local.get $to) (i32.const 0))
  (i32.store $program offset=8 (local.get $to) (i32.const 4)))

;; The number of bytes that `$len` bytes read of standard input; -1 at its end.
(func $readable (param $stream i32) (param $len i64) (result i32)
  (local $left i32)
  (if (i32.ne (local.get $stream) (i32.const 1)) (then (unreachable)))
  (if (i64.eqz (local.get $len)) (then (return (i32.const 0))))
  (local.set $left (i32.sub (global.get $input_len) (global.get $input_pos)))
  (if (i32.eqz (local.get $left)) (then (return (i32.const -1))))
  (if (result i32) (i64.lt_u (local.get $len) (i64.extend_i32_u (local.get $left)))
    (then (i32.wrap_i64 (local.get $len)))
    (else (local.get $left))))

(func $read_stream (param $stream i32) (param $len i64) (param $to i32)
  (local $n i32) (local $at i32)
  (local.set $n (call $readable (local.get $stream) (local.get $len)))
  (if (i32.lt_s (local.get $n) (i32.const 0)) (then (call $store_closed (local.get $to)) (return)))
  (local.set $at (call $allocate (i32.const 1) (local.get $n)))
  (memory.copy $program $program
    (local.get $at) (i32.add (global.get $input) (global.get $input_pos)) (local.get $n))
  (global.set $input_pos (i32.add (global.get $input_pos) (local.get $n)))
  (i32.store8 $program (local.get $to) (i32.const 0))
  (call $store_list (i32.add (local.get $to) (i32.const 4)) (local.get $at) (local.get $n)))
(func $"wasi:io/streams#[method]input-stream.read" (param i32 i64 i32)
  (call $read_stream (local.get 0) (local.get 1) (local.get 2)))
(func $"wasi:io/streams#[method]input-stream.blocking-read" (param i32 i64 i32)
  (call $read_stream (local.get 0) (local.get 1) (local.get 2)))

(func $skip_input (param $stream i32) (param $len i64) (param $to i32)
  (local $n i32)
  (local.set $n (call $readable (local.get $stream) (local.get $len)))
  (if (i32.lt_s (local.get $n) (i32.const 0))
    (then
      (i32.store8 $program (local.get $to) (i32.const 1))
      (i32.store8 $program offset=8 (local.get $to) (i32.const 1))
      (return)))
  (global.set $input_pos (i32.add (global.get $input_pos) (local.get $n)))
  (call $store_count (local.get $to) (local.get $n)))
(func $"wasi:io/streams#[method]input-stream.skip" (param i32 i64 i32)
  (call $skip_input (local.get 0) (local.get 1) (local.get 2)))
(func $"wasi:io/streams#[method]input-stream.blocking-skip" (param i32 i64 i32)
  (call $skip_input (local.get 0) (local.get 1) (local.get 2)))

;; A successful result with a number of bytes.
(func $store_count (param $to i32) (param $n i32)
  (i32.store8 $program (local.get $to) (i32.const 0))
  (i64.store $program offset=8 (local.get $to) (i64.extend_i32_u (local.get $n))))

(func $"wasi:io/streams#[method]output-stream.check-write" (param $stream i32) (param $to i32)
  (call $store_count (local.get $to) (i32.const 0x100000)))

(func $write_stream (param $stream i32) (param $at i32) (param $len i32) (param $to i32)
  (if (i32.eq (local.get $stream) (i32.const 2))
    (then
      (if (i32.eqz (call $write_stdout (local.get $at) (local.get $len)))
        (then (call $store_full (local.get $to)) (return))))
    (else
      (if (i32.ne (local.get $stream) (i32.const 3)) (then (unreachable)))
      (call $write_stderr (local.get $at) (local.get $len))))
  (i32.store8 $program (local.get $to) (i32.const 0)))
(func $"wasi:io/streams#[method]output-stream.write" (param i32 i32 i32 i32)
  (call $write_stream (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
(func $"wasi:io/streams#[method]output-stream.blocking-write-and-flush" (param i32 i32 i32 i32)
  (call $write_stream (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
(func $"wasi:io/streams#[method]output-stream.flush" (param $stream i32) (param $to i32)
  (i32.store8 $program (local.get $to) (i32.const 0)))
(func $"wasi:io/streams#[method]output-stream.blocking-flush" (param $stream i32) (param $to i32)
  (i32.store8 $program (local.get $to) (i32.const 0)))

;; Copies standard input to an output stream.
(func $splice (param $stream i32) (param $from i32) (param $len i64) (param $to i32)
  (local $n i32)
  (local.set $n (call $readable (local.get $from) (local.get $len)))
  (if (i32.lt_s (local.get $n) (i32.const 0))
    (then
      (i32.store8 $program (local.get $to) (i32.const 1))
      (i32.store8 $program offset=8 (local.get $to) (i32.const 1))
      (return)))
  (call $write_stream (local.get $stream)
    (i32.add (global.get $input) (global.get $input_pos)) (local.get $n) (local.get $to))
  (if (i32.load8_u $program (local.get $to))
    (then
      (i32.store8 $program offset=8 (local.get $to) (i32.const 0))
      (i32.store $program offset=12 (local.get $to) (i32.const 4))
      (return)))
  (global.set $input_pos (i32.add (global.get $input_pos) (local.get $n)))
  (call $store_count (local.get $to) (local.get $n)))
(func $"wasi:io/streams#[method]output-stream.splice" (param i32 i32 i64 i32)
  (call $splice (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
(func $"wasi:io/streams#[method]output-stream.blocking-splice" (param i32 i32 i64 i32)
  (call $splice (local.get 0) (local.get 1) (local.get 2) (local.get 3)))

(func $"wasi:io/error#[method]error.to-debug-string" (param $error i32) (param $to i32)
  (local $at i32)
  (local.set $at (call $allocate (i32.const 1) (i32.const 18)))
  (memory.init $program $no_space (local.get $at) (i32.const 0) (i32.const 18))
  (call $store_list (local.get $to) (local.get $at) (i32.const 18)))
(data $no_space "insufficient space")

;; The only error of a stream is `insufficient-space`.
(func $"wasi:filesystem/types#filesystem-error-code" (param $error i32) (param $to i32)
  (i32.store16 $program align=1 (local.get $to) (i32.const 0x1701)))
(func $"wasi:filesystem/preopens#get-directories" (param $to i32)
  (call $store_list (local.get $to) (call $allocate (i32.const 4) (i32.const 0)) (i32.const 0)))

;; The clock, as in preview 1.
(func $"wasi:clocks/monotonic-clock#now" (result i64)
  (global.get $now)
  (global.set $now (i64.add (global.get $now) (i64.const 1000000))))
(func $"wasi:clocks/monotonic-clock#resolution" (result i64) (i64.const 1000000))
(func $store_time (param $to i32) (param $time i64)
  (i64.store $program (local.get $to) (i64.div_u (local.get $time) (i64.const 1000000000)))
  (i64.store32 $program offset=8 (local.get $to) (i64.rem_u (local.get $time) (i64.const 1000000000))))
(func $"wasi:clocks/wall-clock#now" (param $to i32)
  (call $store_time (local.get $to) (call $"wasi:clocks/monotonic-clock#now")))
(func $"wasi:clocks/wall-clock#resolution" (param $to i32)
  (call $store_time (local.get $to) (i64.const 1000000)))

;; Pollables of the clock: the words at `$pollables` have their deadlines plus 1, or 0.
(func $"wasi:clocks/monotonic-clock#subscribe-instant" (param $deadline i64) (result i32)
  (local $n i32) (local $at i32)
  (loop $next
    ;; So many are never waited for at once.
    (if (i32.eq (local.get $n) (i32.const 256)) (then (unreachable)))
    (local.set $at (i32.add (global.get $pollables) (i32.shl (local.get $n) (i32.const 3))))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $next (i64.ne (i64.load $own (local.get $at)) (i64.const 0))))
  (i64.store $own (local.get $at)
    (i64.add
      (select (local.get $deadline) (i64.const -2) (i64.ne (local.get $deadline) (i64.const -1)))
      (i64.const 1)))
  (i32.add (local.get $n) (i32.const 15)))
(func $"wasi:clocks/monotonic-clock#subscribe-duration" (param $time i64) (result i32)
  (local $deadline i64)
  (local.set $deadline (i64.add (global.get $now) (local.get $time)))
  (call $"wasi:clocks/monotonic-clock#subscribe-instant"
    (select (i64.const -1) (local.get $deadline) (i64.lt_u (local.get $deadline) (local.get $time)))))
(func $"wasi:io/streams#[method]input-stream.subscribe" (param $stream i32) (result i32) (i32.const 5))
(func $"wasi:io/streams#[method]output-stream.subscribe" (param $stream i32) (result i32) (i32.const 5))

;; The address of a clock's deadline.
(func $deadline_of (param $pollable i32) (result i32)
  (local.set $pollable (i32.sub (local.get $pollable) (i32.const 16)))
  (if (i32.ge_u (local.get $pollable) (i32.const 256)) (then (unreachable)))
  (i32.add (global.get $pollables) (i32.shl (local.get $pollable) (i32.const 3))))

;; The time at which a pollable becomes ready; 0 for a stream.
(func $ready_at (param $pollable i32) (result i64)
  (local $time i64)
  (if (i32.eq (local.get $pollable) (i32.const 5)) (then (return (i64.const 0))))
  (local.set $time (i64.load $own (call $deadline_of (local.get $pollable))))
  (if (i64.eqz (local.get $time)) (then (unreachable)))
  (i64.sub (local.get $time) (i64.const 1)))

;; Asking for a clock's state takes as long as reading it, so that a loop which does nothing else ends.
(func $"wasi:io/poll#[method]pollable.ready" (param $pollable i32) (result i32)
  (i64.le_u (call $ready_at (local.get $pollable)) (call $"wasi:clocks/monotonic-clock#now")))
(func $"wasi:io/poll#[method]pollable.block" (param $pollable i32)
  (local $time i64)
  (local.set $time (call $ready_at (local.get $pollable)))
  (if (i64.gt_u (local.get $time) (global.get $now)) (then (global.set $now (local.get $time)))))

;; If none is ready, the first deadline is reached at once.
(func $"wasi:io/poll#poll" (param $pollables i32) (param $count i32) (param $to i32)
  (local $n i32) (local $found i32) (local $first i64) (local $time i64) (local $at i32)
  (if (i32.eqz (local.get $count)) (then (unreachable)))
  (local.set $first (i64.const -1))
  (loop $next
    (local.set $time (call $ready_at (i32.load $program
      (i32.add (local.get $pollables) (i32.shl (local.get $n) (i32.const 2))))))
    (if (i64.lt_u (local.get $time) (local.get $first)) (then (local.set $first (local.get $time))))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $n) (local.get $count))))
  (if (i64.gt_u (local.get $first) (global.get $now)) (then (global.set $now (local.get $first))))
  (local.set $n (i32.const 0))
  (loop $next
    (if (call $is_ready (local.get $pollables) (local.get $n))
      (then (local.set $found (i32.add (local.get $found) (i32.const 1)))))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $n) (local.get $count))))
  (local.set $at (call $allocate (i32.const 4) (i32.shl (local.get $found) (i32.const 2))))
  (call $store_list (local.get $to) (local.get $at) (local.get $found))
  (local.set $n (i32.const 0))
  (loop $next
    (if (call $is_ready (local.get $pollables) (local.get $n))
      (then
        (i32.store $program (local.get $at) (local.get $n))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $n) (local.get $count)))))
(func $is_ready (param $pollables i32) (param $n i32) (result i32)
  (i64.le_u
    (call $ready_at (i32.load $program
      (i32.add (local.get $pollables) (i32.shl (local.get $n) (i32.const 2)))))
    (global.get $now)))
(func $"wasi:io/poll#[resource-drop]pollable" (param $pollable i32)
  (if (i32.ne (local.get $pollable) (i32.const 5))
    (then (i64.store $own (call $deadline_of (local.get $pollable)) (i64.const 0)))))

(func $random_bytes (param $len i64) (param $to i32)
  (local $n i32) (local $at i32)
  (if (i64.gt_u (local.get $len) (i64.const 0xffffffff)) (then (unreachable)))
  (local.set $n (i32.wrap_i64 (local.get $len)))
  (local.set $at (call $allocate (i32.const 1) (local.get $n)))
  (drop (call $random_get (local.get $at) (local.get $n)))
  (call $store_list (local.get $to) (local.get $at) (local.get $n)))
(func $"wasi:random/random#get-random-bytes" (param i64 i32)
  (call $random_bytes (local.get 0) (local.get 1)))
(func $"wasi:random/insecure#get-insecure-random-bytes" (param i64 i32)
  (call $random_bytes (local.get 0) (local.get 1)))
(func $"wasi:random/random#get-random-u64" (result i64) (call $random))
(func $"wasi:random/insecure#get-insecure-random-u64" (result i64) (call $random))
(func $"wasi:random/insecure-seed#insecure-seed" (param $to i32)
  (i64.store $program (local.get $to) (call $random))
  (i64.store $program offset=8 (local.get $to) (call $random)))

;; No socket can be created, and no name resolved: the result is the error `not-supported`.
(func $store_no_socket (param $to i32)
  (i32.store8 $program (local.get $to) (i32.const 1))
  (i32.store8 $program offset=4 (local.get $to) (i32.const 2)))
(func $"wasi:sockets/instance-network#instance-network" (result i32) (i32.const 6))
(func $"wasi:sockets/tcp-create-socket#create-tcp-socket" (param $family i32) (param $to i32)
  (call $store_no_socket (local.get $to)))
(func $"wasi:sockets/udp-create-socket#create-udp-socket" (param $family i32) (param $to i32)
  (call $store_no_socket (local.get $to)))
(func $"wasi:sockets/ip-name-lookup#resolve-addresses" (param $network i32) (param i32 i32) (param $to i32)
  (call $store_no_socket (local.get $to)))
