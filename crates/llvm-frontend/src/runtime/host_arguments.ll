
; The arguments of an entry, made part of linear memory.
;
; A host puts them outside of it, where a program with bounds checks can't read. Memory grows by the pages they need,
; and they are copied to its old end. Takes their machine address and length, gives their wasm address.

define i32 @__wasm_host_arguments(i32 %address, i32 %length) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %none = icmp eq i32 %length, 0
  br i1 %none, label %nowhere, label %grow

nowhere:
  ret i32 0

grow:
  %pages.less = sub i32 %length, 1
  %pages.last = lshr i32 %pages.less, PAGE_LOG2
  %pages = add i32 %pages.last, 1
  %old = call i32 @__wasm_memory_grow(i32 %pages)
  %full = icmp eq i32 %old, -1
  br i1 %full, label %trap, label %copy

copy:
  %to = shl i32 %old, PAGE_LOG2
  %to.pointer = getelementptr i8, ptr @__linear_memory, i32 %to
  %from.pointer = inttoptr i32 %address to ptr
  call void @__wasm_memcpy(ptr %to.pointer, ptr %from.pointer, i32 %length)
  ret i32 %to

trap:
  call void @__wasm_trap(i32 1)
  unreachable
}
