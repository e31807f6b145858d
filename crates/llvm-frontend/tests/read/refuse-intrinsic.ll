; refused: no lowering for the intrinsic `readcyclecounter`
declare i64 @llvm.readcyclecounter()
define i64 @f() {
  %r = call i64 @llvm.readcyclecounter()
  ret i64 %r
}
