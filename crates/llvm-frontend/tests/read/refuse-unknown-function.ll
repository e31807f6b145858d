; refused: an operand of a form that no wasm operator needs
define i32 @f(i32 %a) {
  %r = add i32 %a, ptrtoint (ptr @f to i32)
  ret i32 %r
}
