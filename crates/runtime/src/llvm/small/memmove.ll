; Copies between areas that may overlap, in few instructions: byte by byte, downwards if the destination begins inside of
; the source, else upwards.

define void @__wasm_memmove(ptr %dst, ptr %src, i32 %n) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %dst.int = ptrtoint ptr %dst to i32
  %src.int = ptrtoint ptr %src to i32
  %distance = sub i32 %dst.int, %src.int
  %end = getelementptr i8, ptr %src, i32 %n
  %up = icmp uge i32 %distance, %n
  br i1 %up, label %check, label %downwards

downwards:
  tail call void @__wasm_memcpy(ptr %dst, ptr %src, i32 %n)
  ret void

check:
  %from = phi ptr [ %src, %entry ], [ %from.next, %copy ]
  %to = phi ptr [ %dst, %entry ], [ %to.next, %copy ]
  %none = icmp eq ptr %from, %end
  br i1 %none, label %done, label %copy

copy:
  %byte = load i8, ptr %from, align 1
  store i8 %byte, ptr %to, align 1
  %from.next = getelementptr i8, ptr %from, i32 1
  %to.next = getelementptr i8, ptr %to, i32 1
  br label %check

done:
  ret void
}

