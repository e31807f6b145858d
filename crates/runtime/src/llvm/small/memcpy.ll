; Copies between areas, in few instructions: byte by byte, downwards. The destination may begin inside of the source.

define void @__wasm_memcpy(ptr %dst, ptr %src, i32 %n) nounwind null_pointer_is_valid "no-builtins" {
entry:
  br label %check

check:
  %left = phi i32 [ %n, %entry ], [ %rest, %copy ]
  %none = icmp eq i32 %left, 0
  br i1 %none, label %done, label %copy

copy:
  %rest = sub i32 %left, 1
  %from = getelementptr i8, ptr %src, i32 %rest
  %to = getelementptr i8, ptr %dst, i32 %rest
  %byte = load i8, ptr %from, align 1
  store i8 %byte, ptr %to, align 1
  br label %check

done:
  ret void
}

