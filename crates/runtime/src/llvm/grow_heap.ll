; memory.grow for PVM of the Gray Paper 0.8.
;
; Linear memory ends at its base plus its size, modulo 2^32. The host grows the heap to an end page (4096
; bytes each) and answers with the end page it has; that is at least the wanted one exactly if it succeeded.

@LINEAR_MEMORY = external global [0 x i8]
@MEMORY_BYTES = external global i32

define i32 @MEMORY_GROW(i32 %pages) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %old.bytes = load i32, ptr @MEMORY_BYTES
  %old = lshr i32 %old.bytes, PAGE_LOG2
  %none = icmp eq i32 %pages, 0
  br i1 %none, label %unchanged, label %limit

unchanged:
  ret i32 %old

limit:
  %room = sub i32 MAX_PAGES, %old
  %within = icmp ule i32 %pages, %room
  br i1 %within, label %place, label %fail

place:
  %more = shl i32 %pages, PAGE_LOG2
  %base = ptrtoint ptr @LINEAR_MEMORY to i32
  %old.end = add i32 %base, %old.bytes
  %old.end.wide = zext i32 %old.end to i64
  %more.wide = zext i32 %more to i64
  %end = add i64 %old.end.wide, %more.wide
  %end.up = add i64 %end, 4095
  %end.page.wide = lshr i64 %end.up, 12
  %addressable = icmp ult i64 %end.page.wide, 1048576
  br i1 %addressable, label %ask, label %fail

ask:
  %end.page = trunc i64 %end.page.wide to i32
  %got = call i32 @__pvm_grow_heap(i32 %end.page)
  %enough = icmp uge i32 %got, %end.page
  br i1 %enough, label %done, label %fail

done:
  %new.bytes = add i32 %old.bytes, %more
  store i32 %new.bytes, ptr @MEMORY_BYTES
  ret i32 %old

fail:
  ret i32 -1
}
