; refused: f: a type that no wasm operator needs:   %v = bitcast i64 %a to <2 x i32>
define i64 @f(i64 %a) {
  %v = bitcast i64 %a to <2 x i32>
  %r = add <2 x i32> %v, %v
  %s = bitcast <2 x i32> %r to i64
  ret i64 %s
}
