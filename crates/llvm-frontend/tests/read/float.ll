; Floats.
target datalayout = "e-m:e-p:32:32-i64:64-i128:128-n32:64-S128"
declare double @llvm.sqrt.f64(double)
declare double @llvm.roundeven.f64(double)
declare float @llvm.minimum.f32(float, float)
declare double @llvm.copysign.f64(double, double)
declare i8 @llvm.fptosi.sat.i8.f64(double)
declare i40 @llvm.fptoui.sat.i40.f64(double)

; run: @arith(3.0f64, 0.5f64) == 4.25f64
; run: @compare(1.0f64, 2.0f64) == 1, 0, 1
; run: @compare(1.0f64, NaNf64) == 0, 1, 0
; run: @convert(-2.75f64) == -2, 254, -128
; run: @saturate(1000.0f64) == 127, 1000
; run: @saturate(-1000.0f64) == -128, 0
; run: @saturate(1e20f64) == 127, 0xffffffffff
; run: @from.narrow(0x1ff) == -1.0f64, 255.0f64, -1.0f64
; run: @bits(1.5f32) == 0x3fc00000
; run: @functions(2.5f64, -1.0f64) == -2.0f64
; run: @min(1.0f32, -0.0f32) == -0.0f32
; run: @nan() == 0x7fa00000, 0xfff4000000000000
; run: @constants() == 0.1f32, 0.1f64

define double @arith(double %a, double %b) {
  %s = fadd double %a, %b
  %d = fsub double %s, %b
  %m = fmul double %d, %b
  %q = fdiv double %m, %b
  %n = fneg double %q
  %p = fsub double 0.0, %n
  %h = fmul double %b, 2.5
  %r = fadd double %p, %h
  ret double %r
}
define {i1, i1, i1} @compare(double %a, double %b) {
  %x = fcmp olt double %a, %b
  %y = fcmp uno double %a, %b
  %z = fcmp one double %a, %b
  %s0 = insertvalue {i1, i1, i1} poison, i1 %x, 0
  %s1 = insertvalue {i1, i1, i1} %s0, i1 %y, 1
  %s2 = insertvalue {i1, i1, i1} %s1, i1 %z, 2
  ret {i1, i1, i1} %s2
}
define {i32, i32, i32} @convert(double %a) {
  %x = fptosi double %a to i32
  %y = fptosi double %a to i8
  %z = zext i8 %y to i32
  %w = shl i8 %y, 6
  %v = sext i8 %w to i32
  %s0 = insertvalue {i32, i32, i32} poison, i32 %x, 0
  %s1 = insertvalue {i32, i32, i32} %s0, i32 %z, 1
  %s2 = insertvalue {i32, i32, i32} %s1, i32 %v, 2
  ret {i32, i32, i32} %s2
}
define {i32, i64} @saturate(double %a) {
  %x = call i8 @llvm.fptosi.sat.i8.f64(double %a)
  %y = call i40 @llvm.fptoui.sat.i40.f64(double %a)
  %xw = sext i8 %x to i32
  %yw = zext i40 %y to i64
  %s0 = insertvalue {i32, i64} poison, i32 %xw, 0
  %s1 = insertvalue {i32, i64} %s0, i64 %yw, 1
  ret {i32, i64} %s1
}
define {double, double, double} @from.narrow(i32 %w) {
  %v = trunc i32 %w to i8
  %b = trunc i32 %w to i1
  %x = sitofp i8 %v to double
  %y = uitofp i8 %v to double
  %z = sitofp i1 %b to double
  %s0 = insertvalue {double, double, double} poison, double %x, 0
  %s1 = insertvalue {double, double, double} %s0, double %y, 1
  %s2 = insertvalue {double, double, double} %s1, double %z, 2
  ret {double, double, double} %s2
}
define i32 @bits(float %a) {
  %r = bitcast float %a to i32
  ret i32 %r
}
define double @functions(double %a, double %b) {
  %x = fmul double %a, %a
  %y = call double @llvm.sqrt.f64(double %x)
  %z = call double @llvm.roundeven.f64(double %y)
  %r = call double @llvm.copysign.f64(double %z, double %b)
  ret double %r
}
define float @min(float %a, float %b) {
  %r = call float @llvm.minimum.f32(float %a, float %b)
  ret float %r
}
; Signalling NaNs keep their bits.
define {float, double} @nan() {
  ret {float, double} {float 0x7FF4000000000000, double 0xFFF4000000000000}
}
define {float, double} @constants() {
  ret {float, double} {float 0x3FB99999A0000000, double 0.1}
}
