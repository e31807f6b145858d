; Divides magnitudes; the remainder has the sign of the dividend.
define { i64, i64 } @__wasm_modti3(i64 %a.low, i64 %a.high, i64 %b.low, i64 %b.high) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %b.any = or i64 %b.low, %b.high
  %zero = icmp eq i64 %b.any, 0
  br i1 %zero, label %trap, label %divide

trap:
  call void @__wasm_trap(i32 4)
  unreachable

divide:
  %a.low.wide = zext i64 %a.low to i128
  %a.high.wide = zext i64 %a.high to i128
  %a.high.up = shl i128 %a.high.wide, 64
  %a = or i128 %a.high.up, %a.low.wide
  %b.low.wide = zext i64 %b.low to i128
  %b.high.wide = zext i64 %b.high to i128
  %b.high.up = shl i128 %b.high.wide, 64
  %b = or i128 %b.high.up, %b.low.wide
  %a.negative = icmp slt i128 %a, 0
  %a.minus = sub i128 0, %a
  %a.size = select i1 %a.negative, i128 %a.minus, i128 %a
  %b.negative = icmp slt i128 %b, 0
  %b.minus = sub i128 0, %b
  %b.size = select i1 %b.negative, i128 %b.minus, i128 %b
  %both = call { i128, i128 } @__wasm_divide(i128 %a.size, i128 %b.size)
  %size = extractvalue { i128, i128 } %both, 1
  %minus = sub i128 0, %size
  %wanted = select i1 %a.negative, i128 %minus, i128 %size
  %low = trunc i128 %wanted to i64
  %up = lshr i128 %wanted, 64
  %high = trunc i128 %up to i64
  %pair = insertvalue { i64, i64 } poison, i64 %low, 0
  %result = insertvalue { i64, i64 } %pair, i64 %high, 1
  ret { i64, i64 } %result
}
