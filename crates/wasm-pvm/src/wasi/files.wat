;; Read-only files, packed into the program.
;;
;; `$files` has the contents of all files. `$own` has a table of nodes and a table of descriptors. Nodes are numbered
;; so that the children of a directory follow each other; the preopened directories are the first.
;;
;;   node (24 bytes)    0 type: 3 directory, 4 file   4 parent          8 first child, or offset in `$files`
;;                     12 number of children, or size 16 name          20 length of the name
;;   descriptor (16)    0 its node's number plus 1, or 0 if it is closed   4 whether it is preopened   8 position

(func $descriptor (param $fd i32) (result i32)
  (local $at i32)
  (local.set $fd (i32.sub (local.get $fd) (i32.const 3)))
  (if (i32.ge_u (local.get $fd) (i32.const 128)) (then (return (i32.const 0))))
  (local.set $at (i32.add (global.get $descriptors) (i32.shl (local.get $fd) (i32.const 4))))
  (select (local.get $at) (i32.const 0) (i32.load $own (local.get $at))))

(func $node (param $number i32) (result i32)
  (i32.add (global.get $nodes) (i32.mul (local.get $number) (i32.const 24))))

(func $node_of (param $descriptor i32) (result i32)
  (call $node (i32.sub (i32.load $own (local.get $descriptor)) (i32.const 1))))

(func $is_directory (param $node i32) (result i32)
  (i32.eq (i32.load $own (local.get $node)) (i32.const 3)))

(func $size (param $node i32) (result i64)
  (if (result i64) (call $is_directory (local.get $node))
    (then (i64.const 0))
    (else (i64.load32_u $own offset=12 (local.get $node)))))

(func $is_file (param $fd i32) (result i32)
  (i32.ne (call $descriptor (local.get $fd)) (i32.const 0)))

(func $not_writable (param $fd i32) (result i32)
  (select (i32.const 76) (i32.const 8) (call $is_file (local.get $fd))))

(func $has_name (param $node i32) (param $at i32) (param $len i32) (result i32)
  (local $name i32)
  (if (i32.ne (i32.load $own offset=20 (local.get $node)) (local.get $len)) (then (return (i32.const 0))))
  (local.set $name (i32.load $own offset=16 (local.get $node)))
  (loop $next
    (if (i32.eqz (local.get $len)) (then (return (i32.const 1))))
    (if (i32.ne (i32.load8_u $own (local.get $name)) (i32.load8_u $program (local.get $at)))
      (then (return (i32.const 0))))
    (local.set $name (i32.add (local.get $name) (i32.const 1)))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (local.set $len (i32.sub (local.get $len) (i32.const 1)))
    (br $next))
  (unreachable))

;; The child with this name, or 0.
(func $child (param $node i32) (param $at i32) (param $len i32) (result i32)
  (local $child i32) (local $end i32)
  (local.set $child (call $node (i32.load $own offset=8 (local.get $node))))
  (local.set $end (i32.add (local.get $child)
    (i32.mul (i32.load $own offset=12 (local.get $node)) (i32.const 24))))
  (loop $next
    (if (i32.eq (local.get $child) (local.get $end)) (then (return (i32.const 0))))
    (if (call $has_name (local.get $child) (local.get $at) (local.get $len))
      (then (return (local.get $child))))
    (local.set $child (i32.add (local.get $child) (i32.const 24)))
    (br $next))
  (unreachable))

;; The node of one component of a path, `$len` bytes at `$at`, or an error as a negative number.
(func $step (param $node i32) (param $top i32) (param $at i32) (param $len i32) (result i32)
  (local $dots i32)
  (if (i32.eqz (call $is_directory (local.get $node))) (then (return (i32.const -54))))
  (if (i32.eq (i32.load8_u $program (local.get $at)) (i32.const 46))
    (then
      (if (i32.eq (local.get $len) (i32.const 1)) (then (return (local.get $node))))
      (if (i32.and
            (i32.eq (local.get $len) (i32.const 2))
            (i32.eq (i32.load8_u $program offset=1 (local.get $at)) (i32.const 46)))
        (then
          (if (i32.eq (local.get $node) (local.get $top)) (then (return (i32.const -76))))
          (return (call $node (i32.load $own offset=4 (local.get $node))))))))
  (local.set $node (call $child (local.get $node) (local.get $at) (local.get $len)))
  (select (local.get $node) (i32.const -44) (local.get $node)))

;; The node of a path that begins at an open directory, or an error as a negative number.
(func $find (param $fd i32) (param $at i32) (param $len i32) (result i32)
  (local $top i32) (local $node i32) (local $end i32) (local $from i32)
  (local.set $from (call $descriptor (local.get $fd)))
  (if (i32.eqz (local.get $from)) (then (return (i32.const -8))))
  (local.set $top (call $node_of (local.get $from)))
  (if (i32.eqz (call $is_directory (local.get $top))) (then (return (i32.const -54))))
  (if (i32.eqz (local.get $len)) (then (return (i32.const -44))))
  (if (i32.eq (i32.load8_u $program (local.get $at)) (i32.const 47)) (then (return (i32.const -76))))
  (local.set $node (local.get $top))
  (local.set $end (i32.add (local.get $at) (local.get $len)))
  (loop $component
    (local.set $from (local.get $at))
    (block $done
      (loop $byte
        (br_if $done (i32.eq (local.get $at) (local.get $end)))
        (br_if $done (i32.eq (i32.load8_u $program (local.get $at)) (i32.const 47)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $byte)))
    (if (i32.ne (local.get $at) (local.get $from))
      (then
        (local.set $node
          (call $step (local.get $node) (local.get $top) (local.get $from)
            (i32.sub (local.get $at) (local.get $from))))
        (if (i32.lt_s (local.get $node) (i32.const 0)) (then (return (local.get $node))))))
    (if (i32.ne (local.get $at) (local.get $end))
      (then
        ;; Only a directory's name can be followed by a slash.
        (if (i32.eqz (call $is_directory (local.get $node))) (then (return (i32.const -54))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $component))))
  (local.get $node))

;; Opens a node; returns the new descriptor's number, or -1 if all are in use.
(func $open (param $node i32) (result i32)
  (local $fd i32) (local $at i32)
  (loop $next
    (if (i32.eq (local.get $fd) (i32.const 128)) (then (return (i32.const -1))))
    (local.set $at (i32.add (global.get $descriptors) (i32.shl (local.get $fd) (i32.const 4))))
    (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
    (br_if $next (i32.load $own (local.get $at))))
  (i32.store $own (local.get $at)
    (i32.add (i32.div_u (i32.sub (local.get $node) (global.get $nodes)) (i32.const 24)) (i32.const 1)))
  (i32.store $own offset=4 (local.get $at) (i32.const 0))
  (i64.store $own offset=8 (local.get $at) (i64.const 0))
  (i32.add (local.get $fd) (i32.const 2)))

(func (export "path_open")
  (param $fd i32) (param $lookup i32) (param $at i32) (param $len i32) (param $flags i32)
  (param $rights i64) (param $inherited i64) (param $mode i32) (param $to i32) (result i32)
  (local $node i32)
  (local.set $node (call $find (local.get $fd) (local.get $at) (local.get $len)))
  (if (i32.lt_s (local.get $node) (i32.const 0))
    (then
      ;; A file can't be created.
      (if (i32.and (i32.eq (local.get $node) (i32.const -44)) (local.get $flags))
        (then (return (i32.const 69))))
      (return (i32.sub (i32.const 0) (local.get $node)))))
  (if (i32.eq (i32.and (local.get $flags) (i32.const 5)) (i32.const 5)) (then (return (i32.const 20))))
  (if (call $is_directory (local.get $node))
    (then)
    (else
      (if (i32.and (local.get $flags) (i32.const 2)) (then (return (i32.const 54))))
      ;; Neither truncated nor opened for writing.
      (if (i32.or
            (i32.and (local.get $flags) (i32.const 8))
            (i32.and (i32.wrap_i64 (local.get $rights)) (i32.const 64)))
        (then (return (i32.const 69))))))
  (local.set $fd (call $open (local.get $node)))
  (if (i32.lt_s (local.get $fd) (i32.const 0)) (then (return (i32.const 33))))
  (i32.store $program (local.get $to) (local.get $fd))
  (i32.const 0))

(func $path_attributes (export "path_filestat_get")
  (param $fd i32) (param $lookup i32) (param $at i32) (param $len i32) (param $to i32) (result i32)
  (local $node i32)
  (local.set $node (call $find (local.get $fd) (local.get $at) (local.get $len)))
  (if (i32.lt_s (local.get $node) (i32.const 0))
    (then (return (i32.sub (i32.const 0) (local.get $node)))))
  (call $node_attributes (local.get $node) (local.get $to))
  (i32.const 0))

(func $inode (param $node i32) (result i64)
  (i64.extend_i32_u (i32.add
    (i32.div_u (i32.sub (local.get $node) (global.get $nodes)) (i32.const 24))
    (i32.const 1))))

(func $node_attributes (param $node i32) (param $to i32)
  (call $store_attributes (local.get $to) (call $inode (local.get $node))
    (i32.load $own (local.get $node)) (call $size (local.get $node))))

(func $file_attributes (param $fd i32) (param $to i32) (result i32)
  (local $file i32)
  (local.set $file (call $descriptor (local.get $fd)))
  (if (i32.eqz (local.get $file)) (then (return (i32.const 8))))
  (call $node_attributes (call $node_of (local.get $file)) (local.get $to))
  (i32.const 0))

;; A directory has all rights, so that a library may ask to write; `path_open` then says why that is impossible. A file
;; can be read, its position and attributes can be read and set.
(func $file_status (param $fd i32) (param $to i32) (result i32)
  (local $node i32)
  (local.set $node (call $descriptor (local.get $fd)))
  (if (i32.eqz (local.get $node)) (then (return (i32.const 8))))
  (local.set $node (call $node_of (local.get $node)))
  (call $store_status (local.get $to) (i32.load $own (local.get $node))
    (select (i64.const 0x0fffffff) (i64.const 0x082000a6) (call $is_directory (local.get $node))))
  (i32.const 0))

;; Reads a file into vectors from a position; returns the position after it, or a negative error.
(func $read_at (param $file i32) (param $vectors i32) (param $count i32) (param $read i32) (param $pos i64) (result i64)
  (local $node i32) (local $sum i32) (local $len i32) (local $left i64)
  (local.set $node (call $node_of (local.get $file)))
  (if (call $is_directory (local.get $node)) (then (return (i64.const -31))))
  (if (i64.lt_s (local.get $pos) (i64.const 0)) (then (return (i64.const -28))))
  (block $done
    (loop $next
      (br_if $done (i32.eqz (local.get $count)))
      (local.set $left (i64.sub (call $size (local.get $node)) (local.get $pos)))
      (br_if $done (i64.le_s (local.get $left) (i64.const 0)))
      (local.set $len (i32.load $program offset=4 (local.get $vectors)))
      (if (i64.gt_u (i64.extend_i32_u (local.get $len)) (local.get $left))
        (then (local.set $len (i32.wrap_i64 (local.get $left)))))
      (memory.init $program $files
        (i32.load $program (local.get $vectors))
        (i32.add (i32.load $own offset=8 (local.get $node)) (i32.wrap_i64 (local.get $pos)))
        (local.get $len))
      (local.set $sum (i32.add (local.get $sum) (local.get $len)))
      (local.set $pos (i64.add (local.get $pos) (i64.extend_i32_u (local.get $len))))
      (local.set $vectors (i32.add (local.get $vectors) (i32.const 8)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br $next)))
  (i32.store $program (local.get $read) (local.get $sum))
  (local.get $pos))

(func $read_file (param $fd i32) (param $vectors i32) (param $count i32) (param $read i32) (result i32)
  (local $file i32) (local $pos i64)
  (local.set $file (call $descriptor (local.get $fd)))
  (if (i32.eqz (local.get $file)) (then (return (i32.const 8))))
  (local.set $pos (call $read_at (local.get $file) (local.get $vectors) (local.get $count) (local.get $read)
    (i64.load $own offset=8 (local.get $file))))
  (if (i64.lt_s (local.get $pos) (i64.const 0))
    (then (return (i32.wrap_i64 (i64.sub (i64.const 0) (local.get $pos))))))
  (i64.store $own offset=8 (local.get $file) (local.get $pos))
  (i32.const 0))

(func (export "fd_pread")
  (param $fd i32) (param $vectors i32) (param $count i32) (param $pos i64) (param $read i32) (result i32)
  (local $file i32)
  (if (i32.lt_u (local.get $fd) (i32.const 3)) (then (return (i32.const 70))))
  (local.set $file (call $descriptor (local.get $fd)))
  (if (i32.eqz (local.get $file)) (then (return (i32.const 8))))
  (local.set $pos
    (call $read_at (local.get $file) (local.get $vectors) (local.get $count) (local.get $read) (local.get $pos)))
  (if (result i32) (i64.lt_s (local.get $pos) (i64.const 0))
    (then (i32.wrap_i64 (i64.sub (i64.const 0) (local.get $pos))))
    (else (i32.const 0))))

(func $seek (export "fd_seek") (param $fd i32) (param $by i64) (param $whence i32) (param $to i32) (result i32)
  (local $file i32)
  (if (i32.lt_u (local.get $fd) (i32.const 3)) (then (return (i32.const 70))))
  (local.set $file (call $descriptor (local.get $fd)))
  (if (i32.eqz (local.get $file)) (then (return (i32.const 8))))
  (if (i32.gt_u (local.get $whence) (i32.const 2)) (then (return (i32.const 28))))
  (if (i32.eq (local.get $whence) (i32.const 1))
    (then (local.set $by (i64.add (local.get $by) (i64.load $own offset=8 (local.get $file))))))
  (if (i32.eq (local.get $whence) (i32.const 2))
    (then (local.set $by (i64.add (local.get $by) (call $size (call $node_of (local.get $file)))))))
  (if (i64.lt_s (local.get $by) (i64.const 0)) (then (return (i32.const 28))))
  (i64.store $own offset=8 (local.get $file) (local.get $by))
  (i64.store $program (local.get $to) (local.get $by))
  (i32.const 0))

(func (export "fd_tell") (param $fd i32) (param $to i32) (result i32)
  (call $seek (local.get $fd) (i64.const 0) (i32.const 1) (local.get $to)))

(func (export "fd_close") (param $fd i32) (result i32)
  (local $file i32)
  (if (i32.lt_u (local.get $fd) (i32.const 3)) (then (return (i32.const 0))))
  (local.set $file (call $descriptor (local.get $fd)))
  (if (i32.eqz (local.get $file)) (then (return (i32.const 8))))
  (i32.store $own (local.get $file) (i32.const 0))
  (i32.const 0))

(func (export "fd_renumber") (param $from i32) (param $to i32) (result i32)
  (local $file i32) (local $other i32)
  (local.set $file (call $descriptor (local.get $from)))
  (local.set $other (call $descriptor (local.get $to)))
  (if (i32.or (i32.eqz (local.get $file)) (i32.eqz (local.get $other))) (then (return (i32.const 8))))
  (if (i32.ne (local.get $file) (local.get $other))
    (then
      (memory.copy $own $own (local.get $other) (local.get $file) (i32.const 16))
      (i32.store $own (local.get $file) (i32.const 0))))
  (i32.const 0))

(func (export "fd_prestat_get") (param $fd i32) (param $to i32) (result i32)
  (local $file i32)
  (local.set $file (call $descriptor (local.get $fd)))
  (if (i32.eqz (local.get $file)) (then (return (i32.const 8))))
  (if (i32.eqz (i32.load $own offset=4 (local.get $file))) (then (return (i32.const 8))))
  (i32.store $program (local.get $to) (i32.const 0))
  (i32.store $program offset=4 (local.get $to) (i32.load $own offset=20 (call $node_of (local.get $file))))
  (i32.const 0))

(func (export "fd_prestat_dir_name") (param $fd i32) (param $to i32) (param $room i32) (result i32)
  (local $file i32) (local $len i32)
  (local.set $file (call $descriptor (local.get $fd)))
  (if (i32.eqz (local.get $file)) (then (return (i32.const 8))))
  (if (i32.eqz (i32.load $own offset=4 (local.get $file))) (then (return (i32.const 8))))
  (local.set $file (call $node_of (local.get $file)))
  (local.set $len (i32.load $own offset=20 (local.get $file)))
  (if (i32.gt_u (local.get $len) (local.get $room)) (then (return (i32.const 37))))
  (memory.copy $program $own (local.get $to) (i32.load $own offset=16 (local.get $file)) (local.get $len))
  (i32.const 0))

;; Nothing is a symbolic link.
(func (export "path_readlink")
  (param $fd i32) (param $at i32) (param $len i32) (param $to i32) (param $room i32) (param $used i32) (result i32)
  (local $node i32)
  (local.set $node (call $find (local.get $fd) (local.get $at) (local.get $len)))
  (if (result i32) (i32.lt_s (local.get $node) (i32.const 0))
    (then (i32.sub (i32.const 0) (local.get $node)))
    (else (i32.const 28))))

;; Appends as many bytes of `$own` as there is room for; returns the number.
(func $append (param $to i32) (param $room i32) (param $at i32) (param $len i32) (result i32)
  (if (i32.gt_u (local.get $len) (local.get $room)) (then (local.set $len (local.get $room))))
  (memory.copy $program $own (local.get $to) (local.get $at) (local.get $len))
  (local.get $len))

;; Entry 0 is the directory itself, entry 1 its parent, then its children follow.
(func (export "fd_readdir")
  (param $fd i32) (param $to i32) (param $room i32) (param $cookie i64) (param $used i32) (result i32)
  (local $node i32) (local $entry i32) (local $count i64) (local $start i32) (local $n i32) (local $name i32) (local $len i32)
  (local.set $node (call $descriptor (local.get $fd)))
  (if (i32.eqz (local.get $node)) (then (return (i32.const 8))))
  (local.set $node (call $node_of (local.get $node)))
  (if (i32.eqz (call $is_directory (local.get $node))) (then (return (i32.const 54))))
  (local.set $count (i64.add (i64.load32_u $own offset=12 (local.get $node)) (i64.const 2)))
  (local.set $start (local.get $room))
  (block $done
    (loop $next
      (br_if $done (i64.ge_u (local.get $cookie) (local.get $count)))
      (br_if $done (i32.eqz (local.get $room)))
      (local.set $entry (local.get $node))
      (local.set $name (global.get $dots))
      (local.set $len (i32.add (i32.wrap_i64 (local.get $cookie)) (i32.const 1)))
      (if (i64.ne (local.get $cookie) (i64.const 0))
        (then (local.set $entry (call $node (i32.load $own offset=4 (local.get $node))))))
      (if (i64.gt_u (local.get $cookie) (i64.const 1))
        (then
          (local.set $entry (call $node (i32.add
            (i32.load $own offset=8 (local.get $node))
            (i32.sub (i32.wrap_i64 (local.get $cookie)) (i32.const 2)))))
          (local.set $name (i32.load $own offset=16 (local.get $entry)))
          (local.set $len (i32.load $own offset=20 (local.get $entry)))))
      (local.set $cookie (i64.add (local.get $cookie) (i64.const 1)))
      (i64.store $own (global.get $record) (local.get $cookie))
      (i64.store $own offset=8 (global.get $record) (call $inode (local.get $entry)))
      (i32.store $own offset=16 (global.get $record) (local.get $len))
      (i32.store $own offset=20 (global.get $record) (i32.load $own (local.get $entry)))
      (local.set $n (call $append (local.get $to) (local.get $room) (global.get $record) (i32.const 24)))
      (local.set $to (i32.add (local.get $to) (local.get $n)))
      (local.set $room (i32.sub (local.get $room) (local.get $n)))
      (local.set $n (call $append (local.get $to) (local.get $room) (local.get $name) (local.get $len)))
      (local.set $to (i32.add (local.get $to) (local.get $n)))
      (local.set $room (i32.sub (local.get $room) (local.get $n)))
      (br $next)))
  (i32.store $program (local.get $used) (i32.sub (local.get $start) (local.get $room)))
  (i32.const 0))
