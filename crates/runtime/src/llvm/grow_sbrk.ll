; memory.grow for PVM of the Gray Paper 0.7.2.
;
; Linear memory ends at its base plus its size, modulo 2^32. `sbrk(0)` is the current end of the heap everywhere;
; the result of `sbrk(n)` differs between engines (old or new end), except that 0 is failure.

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
  %end.wide = add i64 %old.end.wide, %more.wide
  %addressable = icmp ult i64 %end.wide, 4278190080
  br i1 %addressable, label %look, label %fail

look:
  %end = trunc i64 %end.wide to i32
  %heap.end = call i32 @__pvm_sbrk(i32 0)
  %enough = icmp uge i32 %heap.end, %end
  br i1 %enough, label %done, label %ask

ask:
  %missing = sub i32 %end, %heap.end
  %got = call i32 @__pvm_sbrk(i32 %missing)
  %refused = icmp eq i32 %got, 0
  br i1 %refused, label %fail, label %done

done:
  %new.bytes = add i32 %old.bytes, %more
  store i32 %new.bytes, ptr @MEMORY_BYTES
  ret i32 %old

fail:
  ret i32 -1
}
