; Block operations: small ones are expanded, moves hold everything before they write.
target datalayout = "e-m:e-p:32:32-i64:64-i128:128-n32:64-S128"
@__linear_memory = external global [0 x i8]
declare void @llvm.memcpy.p0.p0.i32(ptr, ptr, i32, i1)
declare void @llvm.memmove.p0.p0.i32(ptr, ptr, i32, i1)
declare void @llvm.memset.p0.i32(ptr, i8, i32, i1)

; run: @set23(0, 0x5a) ==
; run: @word(15) == 0x5a5a5a5a5a5a5a5a
; run: @word(16) == 0x005a5a5a5a5a5a5a
; run: @set3(0, 0x1ff) ==
; run: @word(0) == 0x5a5a5a5a5affffff
; run: @set.zero(1) ==
; run: @word(0) == 0x5a5a5a5a000000ff
; run: @set(64, 7, 100) ==
; run: @word(157) == 0x0007070707070707
; run: @count(200) ==
; run: @move15(201, 200) ==
; run: @word(200) == 0x0605040302010000
; run: @word(208) == 0x0e0d0c0b0a090807
; run: @copy47(300, 200) ==
; run: @word(300) == 0x0605040302010000
; run: @word(339) == 0x2e2d2c2b2a292827
; run: @copy(400, 300, 40) ==
; run: @word(400) == 0x0605040302010000
; run: @move(401, 400, 20) ==
; run: @word(408) == 0x0d0c0b0a09080706

define void @set23(i32 %a, i8 %v) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  call void @llvm.memset.p0.i32(ptr %p, i8 %v, i32 23, i1 false)
  ret void
}
define void @set3(i32 %a, i32 %v) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  %b = trunc i32 %v to i8
  call void @llvm.memset.p0.i32(ptr %p, i8 %b, i32 3, i1 false)
  ret void
}
define void @set.zero(i32 %a) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  call void @llvm.memset.p0.i32(ptr %p, i8 0, i32 3, i1 false)
  ret void
}
define void @set(i32 %a, i32 %v, i32 %n) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  %b = trunc i32 %v to i8
  call void @llvm.memset.p0.i32(ptr %p, i8 %b, i32 %n, i1 false)
  ret void
}
; Bytes 0, 1, 2 ... 63.
define void @count(i32 %a) {
entry:
  br label %loop
loop:
  %i = phi i32 [ 0, %entry ], [ %next, %loop ]
  %p = phi ptr [ getelementptr (i8, ptr @__linear_memory, i32 200), %entry ], [ %q, %loop ]
  %b = trunc i32 %i to i8
  store i8 %b, ptr %p, align 1
  %q = getelementptr i8, ptr %p, i32 1
  %next = add i32 %i, 1
  %more = icmp ult i32 %next, 64
  br i1 %more, label %loop, label %end
end:
  ret void
}
define void @move15(i32 %to, i32 %from) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %to
  %q = getelementptr i8, ptr @__linear_memory, i32 %from
  call void @llvm.memmove.p0.p0.i32(ptr %p, ptr %q, i32 15, i1 false)
  ret void
}
define void @copy47(i32 %to, i32 %from) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %to
  %q = getelementptr i8, ptr @__linear_memory, i32 %from
  call void @llvm.memcpy.p0.p0.i32(ptr %p, ptr %q, i32 47, i1 false)
  ret void
}
define void @copy(i32 %to, i32 %from, i32 %n) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %to
  %q = getelementptr i8, ptr @__linear_memory, i32 %from
  call void @llvm.memcpy.p0.p0.i32(ptr %p, ptr %q, i32 %n, i1 false)
  ret void
}
define void @move(i32 %to, i32 %from, i32 %n) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %to
  %q = getelementptr i8, ptr @__linear_memory, i32 %from
  call void @llvm.memmove.p0.p0.i32(ptr %p, ptr %q, i32 %n, i1 false)
  ret void
}
define i64 @word(i32 %a) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  %r = load i64, ptr %p, align 1
  ret i64 %r
}
