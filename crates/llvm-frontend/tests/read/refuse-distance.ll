; refused: a constant that is the distance between two objects
target datalayout = "e-m:e-p:32:32-i64:64-i128:128-n32:64-S128"
@global.0 = external global i32
@global.1 = external global i32
@relative = private unnamed_addr constant [2 x i32] [i32 sub (i32 ptrtoint (ptr @global.0 to i32), i32 ptrtoint (ptr @global.1 to i32)), i32 0]
define i32 @f(i32 %n) {
  %at = getelementptr [2 x i32], ptr @relative, i32 0, i32 %n
  %r = load i32, ptr %at, align 4
  ret i32 %r
}
