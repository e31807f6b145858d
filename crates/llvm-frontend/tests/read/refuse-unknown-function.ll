; refused: the operand
define i32 @f(i32 %a) {
  %r = add i32 %a, ptrtoint (ptr @f to i32)
  ret i32 %r
}
