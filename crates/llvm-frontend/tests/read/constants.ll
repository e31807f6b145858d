; Constants that LLVM makes: addresses of several objects, nested, with numbers and offsets, of constants and of itself.
target datalayout = "e-m:e-p:32:32-i64:64-i128:128-n32:64-S128"
@__linear_memory = external global [0 x i8]
@global.0 = external global i32
@global.1 = external global i64
@table.0 = external global [4 x i64]
@only.stored = external global i32

@pointers = private unnamed_addr constant [4 x ptr] [ptr @global.0, ptr @global.1, ptr getelementptr (i8, ptr @table.0, i32 24), ptr @global.0]
@mixed = private unnamed_addr constant [3 x ptr] [ptr null, ptr inttoptr (i32 72 to ptr), ptr @global.1]
@records = private unnamed_addr constant [2 x { i16, ptr, [2 x { ptr, i8 }], i64 }] [
  { i16, ptr, [2 x { ptr, i8 }], i64 } { i16 7, ptr @global.0, [2 x { ptr, i8 }] [ { ptr, i8 } { ptr @global.1, i8 -1 }, { ptr, i8 } { ptr null, i8 5 } ], i64 -2 },
  { i16, ptr, [2 x { ptr, i8 }], i64 } { i16 -7, ptr getelementptr inbounds ([4 x i64], ptr @table.0, i32 0, i32 2), [2 x { ptr, i8 }] [ { ptr, i8 } { ptr getelementptr (i8, ptr @global.1, i32 4), i8 1 }, { ptr, i8 } { ptr @pointers, i8 6 } ], i64 zeroinitializer }]
@numbers = private unnamed_addr constant [4 x i32] [i32 ptrtoint (ptr @global.0 to i32), i32 add (i32 ptrtoint (ptr @table.0 to i32), i32 8), i32 sub (i32 ptrtoint (ptr @global.1 to i32), i32 -4), i32 9]
@wide = private unnamed_addr constant [2 x i64] [i64 ptrtoint (ptr getelementptr (i8, ptr @global.1, i32 4) to i64), i64 -1]
@distance = private unnamed_addr constant [1 x i32] [i32 sub (i32 ptrtoint (ptr getelementptr (i8, ptr @table.0, i32 24) to i32), i32 ptrtoint (ptr @table.0 to i32))]
@into.memory = private unnamed_addr constant [2 x ptr] [ptr getelementptr (i8, ptr @__linear_memory, i32 800), ptr @global.0]
@before = private unnamed_addr constant [1 x ptr] [ptr getelementptr (i64, ptr getelementptr (i8, ptr @table.0, i32 24), i32 -1)]
@itself = private unnamed_addr constant { ptr, i32 } { ptr @itself, i32 31 }
@chain = private unnamed_addr constant [2 x ptr] [ptr @itself, ptr @chain]
@only = private unnamed_addr constant [1 x ptr] [ptr @only.stored]
@undef = private unnamed_addr constant [3 x ptr] [ptr undef, ptr @global.0, ptr poison]

; run: @set(0, 0, 11) == 11
; run: @set(0, 1, 22) == 22
; run: @set(0, 2, 33) == 33
; run: @get(0) == 11
; run: @get(1) == 22
; run: @get(2) == 33
; run: @get(3) == 11
; run: @element(3) == 33
; run: @choose(0, 1) == 22
; run: @choose(1, 1) == 11
; run: @is.null(0) == 1
; run: @is.null(2) == 0
; run: @as.number(1) == 72
; run: @same(0) == 1
; run: @same(1) == 0
; run: @record(0) == 7, 11, 22, -1, 5, -2
; run: @record(1) == -7, 0, 0, 1, 6, 0
; run: @nested(3) == 11
; run: @by.number(0) == 11
; run: @by.number(1) == 0
; run: @by.number(3) traps Unreachable
; run: @by.wide(0) == 0
; run: @high(0) == 0
; run: @high(1) == 0xffffffff
; run: @get.distance(0) == 24
; run: @memory(800) == 77
; run: @get.before(0) == 55
; run: @loop(3) == 31
; run: @hidden(6) == 6
; run: @get.undef(1) == 11

define i32 @set(i32 %unused, i32 %n, i32 %v) {
  %at = getelementptr [4 x ptr], ptr @pointers, i32 0, i32 %n
  %p = load ptr, ptr %at, align 4
  store i32 %v, ptr %p, align 4
  %r = load i32, ptr %p, align 4
  ret i32 %r
}
define i32 @get(i32 %n) {
  %at = getelementptr [4 x ptr], ptr @pointers, i32 0, i32 %n
  %p = load ptr, ptr %at, align 4
  %r = load i32, ptr %p, align 4
  ret i32 %r
}
define i32 @element(i32 %n) {
  %at = getelementptr [4 x i64], ptr @table.0, i32 0, i32 %n
  %r = load i32, ptr %at, align 4
  ret i32 %r
}
; The table itself is chosen.
define i32 @choose(i1 %c, i32 %n) {
  %table = select i1 %c, ptr getelementptr (i8, ptr @undef, i32 0), ptr @pointers
  %at = getelementptr [4 x ptr], ptr %table, i32 0, i32 %n
  %p = load ptr, ptr %at, align 4
  %r = load i32, ptr %p, align 4
  ret i32 %r
}
define i1 @is.null(i32 %n) {
  %at = getelementptr [3 x ptr], ptr @mixed, i32 0, i32 %n
  %p = load ptr, ptr %at, align 4
  %r = icmp eq ptr %p, null
  ret i1 %r
}
define i32 @as.number(i32 %n) {
  %at = getelementptr [3 x ptr], ptr @mixed, i32 0, i32 %n
  %p = load ptr, ptr %at, align 4
  %r = ptrtoint ptr %p to i32
  ret i32 %r
}
define i1 @same(i32 %n) {
  %at = getelementptr [4 x ptr], ptr @pointers, i32 0, i32 %n
  %p = load ptr, ptr %at, align 4
  %r = icmp eq ptr %p, @global.0
  ret i1 %r
}
define { i32, i32, i32, i32, i32, i64 } @record(i32 %n) {
  %half = getelementptr { i16, ptr, [2 x { ptr, i8 }], i64 }, ptr @records, i32 %n, i32 0
  %h = load i16, ptr %half, align 4
  %a = sext i16 %h to i32
  %first = getelementptr { i16, ptr, [2 x { ptr, i8 }], i64 }, ptr @records, i32 %n, i32 1
  %p = load ptr, ptr %first, align 4
  %b = load i32, ptr %p, align 4
  %second = getelementptr { i16, ptr, [2 x { ptr, i8 }], i64 }, ptr @records, i32 %n, i32 2, i32 0, i32 0
  %q = load ptr, ptr %second, align 4
  %c = load i32, ptr %q, align 4
  %byte = getelementptr { i16, ptr, [2 x { ptr, i8 }], i64 }, ptr @records, i32 %n, i32 2, i32 0, i32 1
  %d8 = load i8, ptr %byte, align 4
  %d = sext i8 %d8 to i32
  %other = getelementptr { i16, ptr, [2 x { ptr, i8 }], i64 }, ptr @records, i32 %n, i32 2, i32 1, i32 1
  %e8 = load i8, ptr %other, align 4
  %e = sext i8 %e8 to i32
  %last = getelementptr { i16, ptr, [2 x { ptr, i8 }], i64 }, ptr @records, i32 %n, i32 3
  %f = load i64, ptr %last, align 4
  %r0 = insertvalue { i32, i32, i32, i32, i32, i64 } poison, i32 %a, 0
  %r1 = insertvalue { i32, i32, i32, i32, i32, i64 } %r0, i32 %b, 1
  %r2 = insertvalue { i32, i32, i32, i32, i32, i64 } %r1, i32 %c, 2
  %r3 = insertvalue { i32, i32, i32, i32, i32, i64 } %r2, i32 %d, 3
  %r4 = insertvalue { i32, i32, i32, i32, i32, i64 } %r3, i32 %e, 4
  %r5 = insertvalue { i32, i32, i32, i32, i32, i64 } %r4, i64 %f, 5
  ret { i32, i32, i32, i32, i32, i64 } %r5
}
; A pointer to a table of pointers.
define i32 @nested(i32 %n) {
  %at = getelementptr { i16, ptr, [2 x { ptr, i8 }], i64 }, ptr @records, i32 1, i32 2, i32 1, i32 0
  %table = load ptr, ptr %at, align 4
  %entry = getelementptr ptr, ptr %table, i32 %n
  %p = load ptr, ptr %entry, align 4
  %r = load i32, ptr %p, align 4
  ret i32 %r
}
declare void @__wasm_trap(i32)
define i32 @by.number(i32 %n) {
  %at = getelementptr [4 x i32], ptr @numbers, i32 0, i32 %n
  %number = load i32, ptr %at, align 4
  %is.number = icmp eq i32 %number, 9
  br i1 %is.number, label %stop, label %go
stop:
  call void @__wasm_trap(i32 0)
  unreachable
go:
  %p = inttoptr i32 %number to ptr
  %r = load i32, ptr %p, align 4
  ret i32 %r
}
define i32 @by.wide(i32 %n) {
  %at = getelementptr [2 x i64], ptr @wide, i32 0, i32 %n
  %number = load i64, ptr %at, align 4
  %low = trunc i64 %number to i32
  %p = inttoptr i32 %low to ptr
  %r = load i32, ptr %p, align 4
  ret i32 %r
}
define i32 @high(i32 %n) {
  %at = getelementptr [2 x i64], ptr @wide, i32 0, i32 %n
  %number = load i64, ptr %at, align 4
  %shifted = lshr i64 %number, 32
  %r = trunc i64 %shifted to i32
  ret i32 %r
}
define i32 @get.distance(i32 %n) {
  %at = getelementptr [1 x i32], ptr @distance, i32 0, i32 %n
  %r = load i32, ptr %at, align 4
  ret i32 %r
}
define i32 @memory(i32 %a) {
  %to = getelementptr i8, ptr @__linear_memory, i32 %a
  store i32 77, ptr %to, align 1
  %at = getelementptr [2 x ptr], ptr @into.memory, i32 0, i32 0
  %p = load ptr, ptr %at, align 4
  %r = load i32, ptr %p, align 1
  ret i32 %r
}
define i32 @get.before(i32 %n) {
  %to = getelementptr [4 x i64], ptr @table.0, i32 0, i32 2
  store i32 55, ptr %to, align 4
  %at = getelementptr [1 x ptr], ptr @before, i32 0, i32 %n
  %p = load ptr, ptr %at, align 4
  %r = load i32, ptr %p, align 4
  ret i32 %r
}
define i32 @loop(i32 %n) {
  %at = getelementptr [2 x ptr], ptr @chain, i32 0, i32 1
  %chain = load ptr, ptr %at, align 4
  %self = load ptr, ptr %chain, align 4
  %again = load ptr, ptr %self, align 4
  %last = getelementptr { ptr, i32 }, ptr %again, i32 0, i32 1
  %r = load i32, ptr %last, align 4
  ret i32 %r
}
; No code names the object that the table points to.
define i32 @hidden(i32 %v) {
  %at = getelementptr [1 x ptr], ptr @only, i32 0, i32 0
  %p = load ptr, ptr %at, align 4
  store i32 %v, ptr %p, align 4
  %q = load ptr, ptr %at, align 4
  %r = load i32, ptr %q, align 4
  ret i32 %r
}
define i32 @get.undef(i32 %n) {
  %at = getelementptr [3 x ptr], ptr @undef, i32 0, i32 %n
  %p = load ptr, ptr %at, align 4
  %r = load i32, ptr %p, align 4
  ret i32 %r
}
