; Extensions are made where the upper bits are looked at, and left out where they are known.
target datalayout = "e-m:e-p:32:32-i64:64-i128:128-n32:64-S128"
@__linear_memory = external global [0 x i8]

; run: @sum.of.bytes(0x1ff, 0x102) == 1
; run: @compare.loaded(0) == 1
; run: @in.register(0x80) == -128
; run: @high.half(-1, -1) == -2

define i32 @sum.of.bytes(i32 %a, i32 %b) {
  %x = trunc i32 %a to i8
  %y = trunc i32 %b to i8
  %s = add i8 %x, %y
  %r = zext i8 %s to i32
  ret i32 %r
}
define i32 @compare.loaded(i32 %a) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  %x = load i8, ptr %p, align 1
  %q = getelementptr i8, ptr %p, i32 1
  %y = load i8, ptr %q, align 1
  %c = icmp uge i8 %x, %y
  %n = xor i1 %c, true
  %m = xor i1 %n, true
  %r = zext i1 %m to i32
  ret i32 %r
}
define i64 @in.register(i64 %a) {
  %t = shl i64 %a, 56
  %r = ashr i64 %t, 56
  ret i64 %r
}
define i64 @high.half(i64 %a, i64 %b) {
  %x = zext i64 %a to i128
  %y = zext i64 %b to i128
  %p = mul i128 %x, %y
  %h = lshr i128 %p, 64
  %r = trunc i128 %h to i64
  ret i64 %r
}
; ssa:
; func $sum.of.bytes (i32, i32) -> (i32) {
; b0(v0: i32, v1: i32):
;   v2 = add.i32 v0, v1
;   v3 = const.i32 255
;   v4 = and.i32 v2, v3
;   return v4
; }
; func $compare.loaded (i32) -> (i32) {
; b0(v0: i32):
;   v1 = load.u8.i32 [@__linear_memory + v0]
;   v2 = load.u8.i32 [@__linear_memory + v0 + 1]
;   v3 = icmp.ge_u.i32 v1, v2
;   return v3
; }
; func $in.register (i64) -> (i64) {
; b0(v0: i64):
;   v1 = sext8.i64 v0
;   return v1
; }
; func $high.half (i64, i64) -> (i64) {
; b0(v0: i64, v1: i64):
;   v2 = mulh_u.i64 v0, v1
;   return v2
; }
