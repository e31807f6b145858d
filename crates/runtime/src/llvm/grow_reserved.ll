; memory.grow for targets whose memory is placed by the linker: it succeeds within the reserved memory, which is zero.

@MEMORY_BYTES = external global i32

define i32 @MEMORY_GROW(i32 %pages) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %old.bytes = load i32, ptr @MEMORY_BYTES
  %old = lshr i32 %old.bytes, PAGE_LOG2
  %room = sub i32 MAX_PAGES, %old
  %within = icmp ule i32 %pages, %room
  br i1 %within, label %grow, label %fail

grow:
  %more = shl i32 %pages, PAGE_LOG2
  %new.bytes = add i32 %old.bytes, %more
  store i32 %new.bytes, ptr @MEMORY_BYTES
  ret i32 %old

fail:
  ret i32 -1
}
