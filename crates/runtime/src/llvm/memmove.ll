; Copies between areas that may overlap: upwards unless the destination starts inside the source.
;
; The steps are those of memcpy. The block that the loop would overwrite is loaded before the loop starts.

define void @__wasm_memmove(ptr %dst, ptr %src, i32 %n) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %long = icmp ugt i32 %n, 32
  br i1 %long, label %direction, label %upto32

direction:
  %dst.address = ptrtoint ptr %dst to i32
  %src.address = ptrtoint ptr %src to i32
  %distance = sub i32 %dst.address, %src.address
  %inside = icmp ult i32 %distance, %n
  br i1 %inside, label %backward, label %forward

forward:
  %end = sub i32 %n, 32
  %tail.src = getelementptr i8, ptr %src, i32 %end
  %tail.dst = getelementptr i8, ptr %dst, i32 %end
  %tail.v0 = load i64, ptr %tail.src, align 1
  %tail.p1 = getelementptr i8, ptr %tail.src, i32 8
  %tail.v1 = load i64, ptr %tail.p1, align 1
  %tail.p2 = getelementptr i8, ptr %tail.src, i32 16
  %tail.v2 = load i64, ptr %tail.p2, align 1
  %tail.p3 = getelementptr i8, ptr %tail.src, i32 24
  %tail.v3 = load i64, ptr %tail.p3, align 1
  br label %forward.loop

forward.loop:
  %i = phi i32 [ 0, %forward ], [ %i.next, %forward.loop ]
  %f.src = getelementptr i8, ptr %src, i32 %i
  %f.dst = getelementptr i8, ptr %dst, i32 %i
  %f.v0 = load i64, ptr %f.src, align 1
  %f.p1 = getelementptr i8, ptr %f.src, i32 8
  %f.v1 = load i64, ptr %f.p1, align 1
  %f.p2 = getelementptr i8, ptr %f.src, i32 16
  %f.v2 = load i64, ptr %f.p2, align 1
  %f.p3 = getelementptr i8, ptr %f.src, i32 24
  %f.v3 = load i64, ptr %f.p3, align 1
  store i64 %f.v0, ptr %f.dst, align 1
  %f.q1 = getelementptr i8, ptr %f.dst, i32 8
  store i64 %f.v1, ptr %f.q1, align 1
  %f.q2 = getelementptr i8, ptr %f.dst, i32 16
  store i64 %f.v2, ptr %f.q2, align 1
  %f.q3 = getelementptr i8, ptr %f.dst, i32 24
  store i64 %f.v3, ptr %f.q3, align 1
  %i.next = add i32 %i, 32
  %i.more = icmp ult i32 %i.next, %end
  br i1 %i.more, label %forward.loop, label %forward.tail

forward.tail:
  store i64 %tail.v0, ptr %tail.dst, align 1
  %tail.q1 = getelementptr i8, ptr %tail.dst, i32 8
  store i64 %tail.v1, ptr %tail.q1, align 1
  %tail.q2 = getelementptr i8, ptr %tail.dst, i32 16
  store i64 %tail.v2, ptr %tail.q2, align 1
  %tail.q3 = getelementptr i8, ptr %tail.dst, i32 24
  store i64 %tail.v3, ptr %tail.q3, align 1
  ret void

backward:
  %head.v0 = load i64, ptr %src, align 1
  %head.p1 = getelementptr i8, ptr %src, i32 8
  %head.v1 = load i64, ptr %head.p1, align 1
  %head.p2 = getelementptr i8, ptr %src, i32 16
  %head.v2 = load i64, ptr %head.p2, align 1
  %head.p3 = getelementptr i8, ptr %src, i32 24
  %head.v3 = load i64, ptr %head.p3, align 1
  br label %backward.loop

backward.loop:
  %j = phi i32 [ %n, %backward ], [ %j.next, %backward.loop ]
  %j.next = sub i32 %j, 32
  %r.src = getelementptr i8, ptr %src, i32 %j.next
  %r.dst = getelementptr i8, ptr %dst, i32 %j.next
  %r.v0 = load i64, ptr %r.src, align 1
  %r.p1 = getelementptr i8, ptr %r.src, i32 8
  %r.v1 = load i64, ptr %r.p1, align 1
  %r.p2 = getelementptr i8, ptr %r.src, i32 16
  %r.v2 = load i64, ptr %r.p2, align 1
  %r.p3 = getelementptr i8, ptr %r.src, i32 24
  %r.v3 = load i64, ptr %r.p3, align 1
  store i64 %r.v0, ptr %r.dst, align 1
  %r.q1 = getelementptr i8, ptr %r.dst, i32 8
  store i64 %r.v1, ptr %r.q1, align 1
  %r.q2 = getelementptr i8, ptr %r.dst, i32 16
  store i64 %r.v2, ptr %r.q2, align 1
  %r.q3 = getelementptr i8, ptr %r.dst, i32 24
  store i64 %r.v3, ptr %r.q3, align 1
  %j.more = icmp ugt i32 %j.next, 32
  br i1 %j.more, label %backward.loop, label %backward.head

backward.head:
  store i64 %head.v0, ptr %dst, align 1
  %head.q1 = getelementptr i8, ptr %dst, i32 8
  store i64 %head.v1, ptr %head.q1, align 1
  %head.q2 = getelementptr i8, ptr %dst, i32 16
  store i64 %head.v2, ptr %head.q2, align 1
  %head.q3 = getelementptr i8, ptr %dst, i32 24
  store i64 %head.v3, ptr %head.q3, align 1
  ret void

upto32:
  %le16 = icmp ule i32 %n, 16
  br i1 %le16, label %upto16, label %words4

words4:                                           ; 17 to 32 bytes
  %w4.end = sub i32 %n, 16
  %w4.src.end = getelementptr i8, ptr %src, i32 %w4.end
  %w4.src.8 = getelementptr i8, ptr %src, i32 8
  %w4.src.end.8 = getelementptr i8, ptr %w4.src.end, i32 8
  %w4.0 = load i64, ptr %src, align 1
  %w4.1 = load i64, ptr %w4.src.8, align 1
  %w4.2 = load i64, ptr %w4.src.end, align 1
  %w4.3 = load i64, ptr %w4.src.end.8, align 1
  %w4.dst.end = getelementptr i8, ptr %dst, i32 %w4.end
  %w4.dst.8 = getelementptr i8, ptr %dst, i32 8
  %w4.dst.end.8 = getelementptr i8, ptr %w4.dst.end, i32 8
  store i64 %w4.0, ptr %dst, align 1
  store i64 %w4.1, ptr %w4.dst.8, align 1
  store i64 %w4.2, ptr %w4.dst.end, align 1
  store i64 %w4.3, ptr %w4.dst.end.8, align 1
  ret void

upto16:
  %ge8 = icmp uge i32 %n, 8
  br i1 %ge8, label %words2, label %upto7

words2:                                           ; 8 to 16 bytes
  %w2.end = sub i32 %n, 8
  %w2.src.end = getelementptr i8, ptr %src, i32 %w2.end
  %w2.0 = load i64, ptr %src, align 1
  %w2.1 = load i64, ptr %w2.src.end, align 1
  %w2.dst.end = getelementptr i8, ptr %dst, i32 %w2.end
  store i64 %w2.0, ptr %dst, align 1
  store i64 %w2.1, ptr %w2.dst.end, align 1
  ret void

upto7:
  %ge4 = icmp uge i32 %n, 4
  br i1 %ge4, label %halves, label %upto3

halves:                                           ; 4 to 7 bytes
  %h.end = sub i32 %n, 4
  %h.src.end = getelementptr i8, ptr %src, i32 %h.end
  %h.0 = load i32, ptr %src, align 1
  %h.1 = load i32, ptr %h.src.end, align 1
  %h.dst.end = getelementptr i8, ptr %dst, i32 %h.end
  store i32 %h.0, ptr %dst, align 1
  store i32 %h.1, ptr %h.dst.end, align 1
  ret void

upto3:
  %none = icmp eq i32 %n, 0
  br i1 %none, label %done, label %bytes

bytes:                                            ; 1 to 3 bytes: the first, the middle and the last
  %b.mid = lshr i32 %n, 1
  %b.end = sub i32 %n, 1
  %b.src.mid = getelementptr i8, ptr %src, i32 %b.mid
  %b.src.end = getelementptr i8, ptr %src, i32 %b.end
  %b.0 = load i8, ptr %src, align 1
  %b.1 = load i8, ptr %b.src.mid, align 1
  %b.2 = load i8, ptr %b.src.end, align 1
  %b.dst.mid = getelementptr i8, ptr %dst, i32 %b.mid
  %b.dst.end = getelementptr i8, ptr %dst, i32 %b.end
  store i8 %b.0, ptr %dst, align 1
  store i8 %b.1, ptr %b.dst.mid, align 1
  store i8 %b.2, ptr %b.dst.end, align 1
  ret void

done:
  ret void
}

