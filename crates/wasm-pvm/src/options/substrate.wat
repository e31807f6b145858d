;; Substrate's executor for PolkaVM allocates by moving the end of the heap, by any number of bytes, and ends the node if a
;; block is freed. So blocks are aligned here, and keep their memory until the call of the runtime ends.
(module
  (import "env" "ext_allocator_malloc_version_1" (func $allocate (param i32) (result i32)))
  (func (export "ext_allocator_malloc_version_1") (param $bytes i32) (result i32)
    (i32.and
      (i32.add
        (call $allocate
          (select
            (i32.add (local.get $bytes) (i32.const 7))
            (i32.const -1)
            (i32.lt_u (local.get $bytes) (i32.const -7))))
        (i32.const 7))
      (i32.const -8)))
  (func (export "ext_allocator_free_version_1") (param $block i32)))
