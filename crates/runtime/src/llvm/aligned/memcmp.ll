; The difference of the first two bytes that differ, for machines that access words at multiples of 4 only.

define i32 @__wasm_memcmp(ptr %a, ptr %b, i32 %n) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %none = icmp eq i32 %n, 0
  br i1 %none, label %equal, label %loop

loop:
  %i = phi i32 [ 0, %entry ], [ %i.next, %next ]
  %a.at = getelementptr i8, ptr %a, i32 %i
  %b.at = getelementptr i8, ptr %b, i32 %i
  %a.byte = load i8, ptr %a.at, align 1
  %b.byte = load i8, ptr %b.at, align 1
  %same = icmp eq i8 %a.byte, %b.byte
  br i1 %same, label %next, label %different

next:
  %i.next = add i32 %i, 1
  %more = icmp ult i32 %i.next, %n
  br i1 %more, label %loop, label %equal

different:
  %a.wide = zext i8 %a.byte to i32
  %b.wide = zext i8 %b.byte to i32
  %difference = sub i32 %a.wide, %b.wide
  ret i32 %difference

equal:
  ret i32 0
}

