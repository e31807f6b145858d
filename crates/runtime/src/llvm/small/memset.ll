; Fills an area with a byte, in few instructions: byte by byte, downwards.

define void @__wasm_memset(ptr %dst, i32 %value, i32 %n) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %byte = trunc i32 %value to i8
  br label %check

check:
  %left = phi i32 [ %n, %entry ], [ %rest, %fill ]
  %none = icmp eq i32 %left, 0
  br i1 %none, label %done, label %fill

fill:
  %rest = sub i32 %left, 1
  %at = getelementptr i8, ptr %dst, i32 %rest
  store i8 %byte, ptr %at, align 1
  br label %check

done:
  ret void
}

