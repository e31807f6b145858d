; refused: no lowering for this instruction:   %p = alloca i32
define i32 @f(i32 %a) {
  %p = alloca i32, align 4
  store i32 %a, ptr %p
  %r = load i32, ptr %p
  ret i32 %r
}
