;; A command: the entry runs `_start` once.

(import "command" "_start" (func $start))

(func (export "wasi:entry") (call $start))
