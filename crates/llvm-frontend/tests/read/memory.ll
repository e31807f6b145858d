; Accesses of linear memory: address forms, sizes, extension by the load.
target datalayout = "e-m:e-p:32:32-i64:64-i128:128-n32:64-S128"
@__linear_memory = external global [0 x i8]
@global.0 = external global i32

; run: @store32(16, -2) ==
; run: @load8u(18) == 255
; run: @load8s(16) == -2
; run: @load8s64(16) == -2
; run: @load16u64(16) == 0xfffe
; run: @load32u64(16) == 0xfffffffe
; run: @load32s64(16) == -2
; run: @odd(100, 0x1122334455667788) == 0x2334455667788, 0x45566778
; run: @store.i33(200, -1) == 0x1ffffffff, 0
; run: @booleans(300, 7) == 1, 0
; run: @global(5) == 5
; run: @negative.offset(0x20, 77) == 77
; run: @element(2, 3) == 24
; run: @wide(400, 1, 2) == 1, 2, 2
; run: @pointer.in.memory(500) == 99
; run: @float(600, 1.5f64) == 1.5f64, 1.5f32

define void @store32(i32 %a, i32 %v) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  store i32 %v, ptr %p, align 1
  ret void
}
define i32 @load8u(i32 %a) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  %v = load i8, ptr %p, align 1
  %r = zext i8 %v to i32
  ret i32 %r
}
define i32 @load8s(i32 %a) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  %v = load i8, ptr %p, align 1
  %r = sext i8 %v to i32
  ret i32 %r
}
define i64 @load8s64(i32 %a) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  %v = load i8, ptr %p, align 1
  %r = sext i8 %v to i64
  ret i64 %r
}
define i64 @load16u64(i32 %a) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  %v = load i16, ptr %p, align 1
  %r = zext i16 %v to i64
  ret i64 %r
}
define i64 @load32u64(i32 %a) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  %v = load i32, ptr %p, align 1
  %r = zext i32 %v to i64
  ret i64 %r
}
define i64 @load32s64(i32 %a) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  %v = load i32, ptr %p, align 1
  %r = sext i32 %v to i64
  ret i64 %r
}
; Seven bytes, then four in the middle of them.
define {i64, i32} @odd(i32 %a, i64 %v) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  %n = trunc i64 %v to i50
  store i50 %n, ptr %p, align 1
  %w = load i50, ptr %p, align 1
  %r = zext i50 %w to i64
  %low = lshr i64 %r, 4
  %m = trunc i64 %low to i32
  %s0 = insertvalue {i64, i32} poison, i64 %r, 0
  %s1 = insertvalue {i64, i32} %s0, i32 %m, 1
  ret {i64, i32} %s1
}
; The bits above the 33rd are stored as zeros, and the bytes behind stay.
define {i64, i8} @store.i33(i32 %a, i64 %v) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  %n = trunc i64 %v to i33
  store i33 %n, ptr %p, align 1
  %r = load i64, ptr %p, align 1
  %q = getelementptr i8, ptr %p, i32 5
  %b = load i8, ptr %q, align 1
  %s0 = insertvalue {i64, i8} poison, i64 %r, 0
  %s1 = insertvalue {i64, i8} %s0, i8 %b, 1
  ret {i64, i8} %s1
}
; Only the lowest bit of a stored byte is a boolean.
define {i1, i32} @booleans(i32 %a, i8 %v) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  store i8 %v, ptr %p, align 1
  %b = load i1, ptr %p, align 1
  %n = xor i1 %b, true
  store i1 %n, ptr %p, align 1
  %w = load i32, ptr %p, align 1
  %s0 = insertvalue {i1, i32} poison, i1 %b, 0
  %s1 = insertvalue {i1, i32} %s0, i32 %w, 1
  ret {i1, i32} %s1
}
define i32 @global(i32 %v) {
  store i32 %v, ptr @global.0
  %r = load i32, ptr @global.0
  ret i32 %r
}
; An offset of 2^31 and more wraps around.
define i32 @negative.offset(i32 %a, i32 %v) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  %q = getelementptr i8, ptr %p, i32 -16
  store i32 %v, ptr %q, align 1
  %r = load i32, ptr getelementptr (i8, ptr @__linear_memory, i32 16), align 1
  ret i32 %r
}
; Two indices, scaled by 6 and by 4, and a field: 2*6 + 3*4 = 24.
define i32 @element(i32 %i, i32 %j) {
  %p = getelementptr {i16, [2 x i16]}, ptr @__linear_memory, i32 %i
  %q = getelementptr i32, ptr %p, i32 %j
  %n = ptrtoint ptr %q to i32
  %r = sub i32 %n, ptrtoint (ptr @__linear_memory to i32)
  ret i32 %r
}
define {i128, i64} @wide(i32 %a, i64 %low, i64 %high) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  %l = zext i64 %low to i128
  %h = zext i64 %high to i128
  %m = shl i128 %h, 64
  %v = or i128 %m, %l
  store i128 %v, ptr %p, align 1
  %r = load i128, ptr %p, align 1
  %q = getelementptr i64, ptr %p, i32 1
  %u = load i64, ptr %q, align 8
  %s0 = insertvalue {i128, i64} poison, i128 %r, 0
  %s1 = insertvalue {i128, i64} %s0, i64 %u, 1
  ret {i128, i64} %s1
}
define i32 @pointer.in.memory(i32 %a) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  %q = getelementptr i8, ptr %p, i32 8
  store ptr %q, ptr %p, align 4
  store i32 99, ptr %q, align 4
  %l = load ptr, ptr %p, align 4
  %r = load i32, ptr %l, align 4
  ret i32 %r
}
define {double, float} @float(i32 %a, double %v) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  %n = fptrunc double %v to float
  store double %v, ptr %p, align 1
  %q = getelementptr i8, ptr %p, i32 8
  store float %n, ptr %q, align 1
  %d = load double, ptr %p, align 1
  %f = load float, ptr %q, align 1
  %s0 = insertvalue {double, float} poison, double %d, 0
  %s1 = insertvalue {double, float} %s0, float %f, 1
  ret {double, float} %s1
}
