; Control flow: loops, switches, merged traps, calls of every kind.
target datalayout = "e-m:e-p:32:32-i64:64-i128:128-n32:64-S128"
@__linear_memory = external global [0 x i8]
@table.0 = external global [4 x i64]
@switch.table.f = private unnamed_addr constant [4 x i16] [i16 10, i16 -20, i16 300, i16 0]
@switch.table.p = private unnamed_addr constant [2 x ptr] [ptr getelementptr (i8, ptr @__linear_memory, i32 8), ptr getelementptr (i8, ptr @__linear_memory, i32 24)]
declare void @__wasm_trap(i32)
declare i32 @__wasm_frame(i32, i32)
declare i64 @__wasm_ref_func.7()
declare i32 @import(i32, i32)

; run: @gcd(48, 36) == 12
; run: @switch(-1) == 1
; run: @switch(5) == 2
; run: @switch(6) == 3
; run: @switch8(0x1ff) == 1
; run: @switch8(0x17f) == 2
; run: @exhaustive(6) == 30
; run: @exhaustive(7) == 40
; run: @exhaustive(5) == 20
; run: @trap(0) traps DivideByZero
; run: @trap(1) traps IntegerOverflow
; run: @trap(2) == 7
; run: @trap.select(1) traps TableOutOfBounds
; run: @trap.select(0) traps BadSignature
; run: @no.trap(0) traps Unreachable
; run: @two(3) == 4, 3
; run: @calls(5) == 11
; run: @import.call(4) == 12
; run: @indirect(20) == 21
; run: @tail(10) == 55
; run: @tail.indirect(8) == 9
; run: @lookup(1) == -20
; run: @lookup.pointer(1, 1234) == 1234
; run: @frames(3) == 10
; run: @same.target(1) == 5
; run: @pointers(1) == 0
; run: @narrow.phi(3, 0) == 200
; run: @narrow.phi(4, -1) == 127
; run: @choose(1, 40, 50) == 40
; run: @choose(0, 40, 50) == 50

define i32 @gcd(i32 %a, i32 %b) {
entry:
  br label %loop
loop:
  %x = phi i32 [ %a, %entry ], [ %y, %next ]
  %y = phi i32 [ %b, %entry ], [ %r, %next ]
  %done = icmp eq i32 %y, 0
  br i1 %done, label %end, label %next
next:
  %r = urem i32 %x, %y
  br label %loop
end:
  ret i32 %x
}
define i32 @switch(i64 %v) {
  switch i64 %v, label %other [ i64 -1, label %one  i64 5, label %two  i64 -9, label %one ]
one:
  ret i32 1
two:
  ret i32 2
other:
  ret i32 3
}
; Bits above a narrow switch value don't count.
define i32 @switch8(i32 %w) {
  %v = trunc i32 %w to i8
  switch i8 %v, label %other [ i8 -1, label %one  i8 127, label %two ]
one:
  ret i32 1
two:
  ret i32 2
other:
  ret i32 3
}
; LLVM merges trap calls: the code is a phi.
define i32 @trap(i32 %v) {
entry:
  switch i32 %v, label %fine [ i32 0, label %merged  i32 1, label %b ]
b:
  br label %merged
merged:
  %code = phi i32 [ 4, %entry ], [ 5, %b ]
  call void @__wasm_trap(i32 %code)
  unreachable
fine:
  ret i32 7
}
define void @trap.select(i32 %v) {
  %c = icmp eq i32 %v, 0
  %code = select i1 %c, i32 3, i32 2
  call void @__wasm_trap(i32 %code)
  unreachable
}
define void @no.trap(i32 %v) {
  unreachable
}
define {i32, i64} @two(i32 %v) {
  %w = zext i32 %v to i64
  %n = add i32 %v, 1
  %s0 = insertvalue {i32, i64} poison, i32 %n, 0
  %s1 = insertvalue {i32, i64} %s0, i64 %w, 1
  ret {i32, i64} %s1
}
define i32 @calls(i32 %v) {
  %s = call {i32, i64} @two(i32 %v)
  %a = extractvalue {i32, i64} %s, 0
  %b = extractvalue {i32, i64} %s, 1
  %c = trunc i64 %b to i32
  %r = add i32 %a, %c
  ret i32 %r
}
; The import of the test adds its arguments and 1.
define i32 @import.call(i32 %v) {
  %r = call i32 @import(i32 %v, i32 7)
  ret i32 %r
}
define i32 @f.7(i32 %v) {
  %r = add i32 %v, 1
  ret i32 %r
}
define i32 @indirect(i32 %v) {
  %f = call i64 @__wasm_ref_func.7()
  store i64 %f, ptr @table.0
  %e = load i64, ptr @table.0
  %sig = lshr i64 %e, 32
  %null = icmp eq i64 %sig, 0
  br i1 %null, label %bad, label %good
bad:
  call void @__wasm_trap(i32 3)
  unreachable
good:
  %n = trunc i64 %e to i32
  %p = inttoptr i32 %n to ptr
  %r = call i32 %p(i32 %v)
  ret i32 %r
}
define i32 @sum(i32 %n, i32 %s) {
  %done = icmp eq i32 %n, 0
  br i1 %done, label %end, label %more
more:
  %t = add i32 %s, %n
  %m = sub i32 %n, 1
  %r = musttail call i32 @sum(i32 %m, i32 %t)
  ret i32 %r
end:
  ret i32 %s
}
define i32 @tail(i32 %n) {
  %r = call i32 @sum(i32 %n, i32 0)
  ret i32 %r
}
define i32 @tail.indirect(i32 %v) {
  %e = load i64, ptr @table.0
  %n = trunc i64 %e to i32
  %p = inttoptr i32 %n to ptr
  %r = musttail call i32 %p(i32 %v)
  ret i32 %r
}
define i32 @lookup(i32 %i) {
  %p = getelementptr inbounds [4 x i16], ptr @switch.table.f, i32 0, i32 %i
  %v = load i16, ptr %p, align 2
  %r = sext i16 %v to i32
  ret i32 %r
}
; Pointers in a constant are distances from linear memory.
define i32 @lookup.pointer(i32 %i, i32 %v) {
  store i32 %v, ptr getelementptr (i8, ptr @__linear_memory, i32 24), align 4
  %p = getelementptr inbounds [2 x ptr], ptr @switch.table.p, i32 0, i32 %i
  %q = load ptr, ptr %p, align 4
  %r = load i32, ptr %q, align 1
  ret i32 %r
}
; Two objects of one frame are apart.
define i32 @frames(i32 %v) {
  %a = call i32 @__wasm_frame(i32 16, i32 16)
  %b = call i32 @__wasm_frame(i32 16, i32 16)
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  %q = getelementptr i8, ptr @__linear_memory, i32 %b
  store i32 %v, ptr %p, align 4
  store i32 7, ptr %q, align 4
  %x = load i32, ptr %p, align 4
  %y = load i32, ptr %q, align 4
  %r = add i32 %x, %y
  ret i32 %r
}
define i32 @same.target(i1 %c) {
entry:
  br i1 %c, label %end, label %end
end:
  %r = phi i32 [ 5, %entry ], [ 5, %entry ]
  ret i32 %r
}
; Pointers compare as machine addresses.
define i32 @pointers(i32 %a) {
  %p = getelementptr i8, ptr @__linear_memory, i32 %a
  %q = getelementptr i8, ptr @__linear_memory, i32 1
  %e = icmp ne ptr %p, %q
  %z = icmp eq ptr %p, null
  %b = or i1 %e, %z
  %r = zext i1 %b to i32
  ret i32 %r
}
; A choice of pointers into linear memory carries wasm addresses.
define i32 @choose(i32 %c, i32 %x, i32 %y) {
  store i32 40, ptr getelementptr (i8, ptr @__linear_memory, i32 40), align 4
  store i32 50, ptr getelementptr (i8, ptr @__linear_memory, i32 50), align 4
  %t = trunc i32 %c to i1
  %p = getelementptr i8, ptr @__linear_memory, i32 %x
  %q = getelementptr i8, ptr @__linear_memory, i32 %y
  %s = select i1 %t, ptr %p, ptr %q
  %r = load i32, ptr %s, align 1
  ret i32 %r
}
; What a loop's narrow phi gets is extended where it comes from.
define i32 @narrow.phi(i32 %n, i32 %v) {
entry:
  store i8 200, ptr getelementptr (i8, ptr @__linear_memory, i32 77), align 1
  %t = trunc i32 %v to i8
  %first = lshr i8 %t, 1
  br label %loop
loop:
  %i = phi i32 [ %n, %entry ], [ %next, %latch ]
  %x = phi i8 [ %first, %entry ], [ %y, %latch ]
  %odd = trunc i32 %i to i1
  br i1 %odd, label %reload, label %latch
reload:
  %l = load i8, ptr getelementptr (i8, ptr @__linear_memory, i32 77), align 1
  br label %latch
latch:
  %y = phi i8 [ %l, %reload ], [ %x, %loop ]
  %next = sub i32 %i, 2
  %more = icmp sgt i32 %next, 0
  br i1 %more, label %loop, label %end
end:
  %r = zext i8 %y to i32
  ret i32 %r
}
; LLVM promises that no other value occurs.
define i32 @exhaustive(i32 %v) {
entry:
  %m = and i32 %v, 3
  switch i32 %m, label %never [ i32 0, label %end  i32 1, label %b  i32 2, label %c  i32 3, label %d ]
never:
  unreachable
b:
  br label %end
c:
  br label %end
d:
  br label %end
end:
  %r = phi i32 [ 10, %entry ], [ 20, %b ], [ 30, %c ], [ 40, %d ]
  ret i32 %r
}
