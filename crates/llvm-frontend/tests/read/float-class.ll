; Classes of floats: one bit of the result for each class of the mask.
target datalayout = "e-m:e-p:32:32-i64:64-i128:128-n32:64-S128"
declare i1 @llvm.is.fpclass.f64(double, i32)
declare i1 @llvm.is.fpclass.f32(float, i32)

; run: @classes(0x7ff4000000000000) == 0x001
; run: @classes(0xfff0000000000001) == 0x001
; run: @classes(0x7ff8000000000000) == 0x002
; run: @classes(0xffffffffffffffff) == 0x002
; run: @classes(0xfff0000000000000) == 0x004
; run: @classes(-1.0f64) == 0x008
; run: @classes(0x8000000000000001) == 0x010
; run: @classes(-0.0f64) == 0x020
; run: @classes(0) == 0x040
; run: @classes(0x000fffffffffffff) == 0x080
; run: @classes(0x0010000000000000) == 0x100
; run: @classes(0x7fefffffffffffff) == 0x100
; run: @classes(0x7ff0000000000000) == 0x200
; run: @single(0x7f800001) == 1, 0
; run: @single(0xffc00000) == 1, 0
; run: @single(0x7f800000) == 0, 1
; run: @single(0xff7fffff) == 0, 1
; run: @single(0x00000001) == 0, 0

define i32 @classes(double %a) {
  %c0 = call i1 @llvm.is.fpclass.f64(double %a, i32 1)
  %c1 = call i1 @llvm.is.fpclass.f64(double %a, i32 2)
  %c2 = call i1 @llvm.is.fpclass.f64(double %a, i32 4)
  %c3 = call i1 @llvm.is.fpclass.f64(double %a, i32 8)
  %c4 = call i1 @llvm.is.fpclass.f64(double %a, i32 16)
  %c5 = call i1 @llvm.is.fpclass.f64(double %a, i32 32)
  %c6 = call i1 @llvm.is.fpclass.f64(double %a, i32 64)
  %c7 = call i1 @llvm.is.fpclass.f64(double %a, i32 128)
  %c8 = call i1 @llvm.is.fpclass.f64(double %a, i32 256)
  %c9 = call i1 @llvm.is.fpclass.f64(double %a, i32 512)
  %r0 = select i1 %c0, i32 1, i32 0
  %s1 = select i1 %c1, i32 2, i32 0
  %r1 = or i32 %r0, %s1
  %s2 = select i1 %c2, i32 4, i32 0
  %r2 = or i32 %r1, %s2
  %s3 = select i1 %c3, i32 8, i32 0
  %r3 = or i32 %r2, %s3
  %s4 = select i1 %c4, i32 16, i32 0
  %r4 = or i32 %r3, %s4
  %s5 = select i1 %c5, i32 32, i32 0
  %r5 = or i32 %r4, %s5
  %s6 = select i1 %c6, i32 64, i32 0
  %r6 = or i32 %r5, %s6
  %s7 = select i1 %c7, i32 128, i32 0
  %r7 = or i32 %r6, %s7
  %s8 = select i1 %c8, i32 256, i32 0
  %r8 = or i32 %r7, %s8
  %s9 = select i1 %c9, i32 512, i32 0
  %r9 = or i32 %r8, %s9
  ret i32 %r9
}
; Any NaN; an infinity, or negative and normal.
define {i1, i1} @single(float %a) {
  %x = call i1 @llvm.is.fpclass.f32(float %a, i32 3)
  %y = call i1 @llvm.is.fpclass.f32(float %a, i32 524)
  %s0 = insertvalue {i1, i1} poison, i1 %x, 0
  %s1 = insertvalue {i1, i1} %s0, i1 %y, 1
  ret {i1, i1} %s1
}
