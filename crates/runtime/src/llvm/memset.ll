; Fills an area with a byte. The steps are those of memcpy.

define void @__wasm_memset(ptr %dst, i32 %value, i32 %n) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %byte = and i32 %value, 255
  %byte.wide = zext i32 %byte to i64
  %word = mul i64 %byte.wide, 72340172838076673
  %long = icmp ugt i32 %n, 32
  br i1 %long, label %blocks, label %upto32

blocks:
  %end = sub i32 %n, 32
  %tail = getelementptr i8, ptr %dst, i32 %end
  br label %loop

loop:
  %i = phi i32 [ 0, %blocks ], [ %i.next, %loop ]
  %f = getelementptr i8, ptr %dst, i32 %i
  store i64 %word, ptr %f, align 1
  %f.q1 = getelementptr i8, ptr %f, i32 8
  store i64 %word, ptr %f.q1, align 1
  %f.q2 = getelementptr i8, ptr %f, i32 16
  store i64 %word, ptr %f.q2, align 1
  %f.q3 = getelementptr i8, ptr %f, i32 24
  store i64 %word, ptr %f.q3, align 1
  %i.next = add i32 %i, 32
  %i.more = icmp ult i32 %i.next, %end
  br i1 %i.more, label %loop, label %last

last:
  store i64 %word, ptr %tail, align 1
  %t.q1 = getelementptr i8, ptr %tail, i32 8
  store i64 %word, ptr %t.q1, align 1
  %t.q2 = getelementptr i8, ptr %tail, i32 16
  store i64 %word, ptr %t.q2, align 1
  %t.q3 = getelementptr i8, ptr %tail, i32 24
  store i64 %word, ptr %t.q3, align 1
  ret void

upto32:
  %le16 = icmp ule i32 %n, 16
  br i1 %le16, label %upto16, label %words4

words4:                                           ; 17 to 32 bytes
  %w4.end = sub i32 %n, 16
  %w4.8 = getelementptr i8, ptr %dst, i32 8
  %w4.16 = getelementptr i8, ptr %dst, i32 %w4.end
  %w4.24 = getelementptr i8, ptr %w4.16, i32 8
  store i64 %word, ptr %dst, align 1
  store i64 %word, ptr %w4.8, align 1
  store i64 %word, ptr %w4.16, align 1
  store i64 %word, ptr %w4.24, align 1
  ret void

upto16:
  %ge8 = icmp uge i32 %n, 8
  br i1 %ge8, label %words2, label %upto7

words2:                                           ; 8 to 16 bytes
  %w2.end = sub i32 %n, 8
  %w2.8 = getelementptr i8, ptr %dst, i32 %w2.end
  store i64 %word, ptr %dst, align 1
  store i64 %word, ptr %w2.8, align 1
  ret void

upto7:
  %half = trunc i64 %word to i32
  %ge4 = icmp uge i32 %n, 4
  br i1 %ge4, label %halves, label %upto3

halves:                                           ; 4 to 7 bytes
  %h.end = sub i32 %n, 4
  %h.4 = getelementptr i8, ptr %dst, i32 %h.end
  store i32 %half, ptr %dst, align 1
  store i32 %half, ptr %h.4, align 1
  ret void

upto3:
  %none = icmp eq i32 %n, 0
  br i1 %none, label %done, label %bytes

bytes:                                            ; 1 to 3 bytes: the first, the middle and the last
  %narrow = trunc i32 %value to i8
  %b.mid = lshr i32 %n, 1
  %b.end = sub i32 %n, 1
  %b.1 = getelementptr i8, ptr %dst, i32 %b.mid
  %b.2 = getelementptr i8, ptr %dst, i32 %b.end
  store i8 %narrow, ptr %dst, align 1
  store i8 %narrow, ptr %b.1, align 1
  store i8 %narrow, ptr %b.2, align 1
  ret void

done:
  ret void
}

