; Runtime functions for all targets.
;
; Memory functions. Up to 32 bytes are handled without a loop by accesses that may overlap: the first and the last
; word of the area cover everything between. Longer areas go by blocks of four words, and a last block that ends
; where the area ends covers the rest. All sources of a step are loaded before anything is stored, and moving
; loads the block that the loop would overwrite before the loop starts, so the same code is right for areas
; that overlap. Branches cost more than accesses; there are five before the longest path's loop.
;
; Division of 128-bit numbers. Every case is reduced to dividing (high, low) by a 64-bit divisor above `high`, which
; is done by two divisions of 64 by 32 bits, after Knuth's algorithm D and Warren, Hacker's Delight, 9-4 and
; 9-5. A number of 128 bits is passed as its low and high half.

define void @__wasm_memcpy(ptr %dst, ptr %src, i32 %n) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %long = icmp ugt i32 %n, 32
  br i1 %long, label %forward, label %upto32

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

; Copies upwards unless the destination starts inside the source.
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

declare i64 @llvm.cttz.i64(i64, i1)

; The difference of the first two bytes that differ. What is after them may not exist, so nothing is read from a page
; before a byte of it is known to be needed: areas are compared in pieces that do not leave the pages they
; begin in. Nearly all areas are one piece.
define i32 @__wasm_memcmp(ptr %a, ptr %b, i32 %n) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %a.address = ptrtoint ptr %a to i32
  %b.address = ptrtoint ptr %b to i32
  %a.in.page = and i32 %a.address, COMPARED_PAGE_MASK
  %b.in.page = and i32 %b.address, COMPARED_PAGE_MASK
  %a.later = icmp ugt i32 %a.in.page, %b.in.page
  %in.page = select i1 %a.later, i32 %a.in.page, i32 %b.in.page
  %room = sub i32 COMPARED_PAGE, %in.page
  %fits = icmp ule i32 %n, %room
  br i1 %fits, label %whole, label %pieces

whole:
  %whole.result = call i32 @__wasm_memcmp_piece(ptr %a, ptr %b, i32 %n)
  ret i32 %whole.result

pieces:
  %pieces.result = call i32 @__wasm_memcmp_pieces(ptr %a, ptr %b, i32 %n)
  ret i32 %pieces.result
}

define private i32 @__wasm_memcmp_pieces(ptr %a, ptr %b, i32 %n) nounwind noinline null_pointer_is_valid "no-builtins" {
entry:
  br label %loop

loop:
  %i = phi i32 [ 0, %entry ], [ %i.next, %next ]
  %a.at = getelementptr i8, ptr %a, i32 %i
  %b.at = getelementptr i8, ptr %b, i32 %i
  %a.address = ptrtoint ptr %a.at to i32
  %b.address = ptrtoint ptr %b.at to i32
  %a.in.page = and i32 %a.address, COMPARED_PAGE_MASK
  %b.in.page = and i32 %b.address, COMPARED_PAGE_MASK
  %a.later = icmp ugt i32 %a.in.page, %b.in.page
  %in.page = select i1 %a.later, i32 %a.in.page, i32 %b.in.page
  %room = sub i32 COMPARED_PAGE, %in.page
  %left = sub i32 %n, %i
  %last = icmp ule i32 %left, %room
  %length = select i1 %last, i32 %left, i32 %room
  %result = call i32 @__wasm_memcmp_piece(ptr %a.at, ptr %b.at, i32 %length)
  %i.next = add i32 %i, %length
  %differ = icmp ne i32 %result, 0
  %over = or i1 %differ, %last
  br i1 %over, label %done, label %next

next:
  br label %loop

done:
  ret i32 %result
}

; The same of areas that exist. Memory is compared by words, the byte at the lowest address in the lowest bits. The
; last word may overlap the one before: the bytes in both are equal.
define private i32 @__wasm_memcmp_piece(ptr %a, ptr %b, i32 %n) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %ge8 = icmp uge i32 %n, 8
  br i1 %ge8, label %words, label %upto7

words:
  %end = sub i32 %n, 8
  br label %loop

loop:
  %i = phi i32 [ 0, %words ], [ %i.capped, %next ]
  %a.at = getelementptr i8, ptr %a, i32 %i
  %b.at = getelementptr i8, ptr %b, i32 %i
  %a.word = load i64, ptr %a.at, align 1
  %b.word = load i64, ptr %b.at, align 1
  %differ = icmp ne i64 %a.word, %b.word
  br i1 %differ, label %found, label %next

next:
  %i.next = add i32 %i, 8
  %past = icmp ugt i32 %i.next, %end
  %i.capped = select i1 %past, i32 %end, i32 %i.next
  %last = icmp eq i32 %i, %end
  br i1 %last, label %equal, label %loop

upto7:
  %ge4 = icmp uge i32 %n, 4
  br i1 %ge4, label %halves, label %upto3

halves:                                           ; 4 to 7 bytes
  %h.end = sub i32 %n, 4
  %a.h.at = getelementptr i8, ptr %a, i32 %h.end
  %b.h.at = getelementptr i8, ptr %b, i32 %h.end
  %a.h0 = load i32, ptr %a, align 1
  %a.h1 = load i32, ptr %a.h.at, align 1
  %b.h0 = load i32, ptr %b, align 1
  %b.h1 = load i32, ptr %b.h.at, align 1
  %a.h0.wide = zext i32 %a.h0 to i64
  %a.h1.wide = zext i32 %a.h1 to i64
  %b.h0.wide = zext i32 %b.h0 to i64
  %b.h1.wide = zext i32 %b.h1 to i64
  %a.h1.up = shl i64 %a.h1.wide, 32
  %b.h1.up = shl i64 %b.h1.wide, 32
  %a.halves = or i64 %a.h1.up, %a.h0.wide
  %b.halves = or i64 %b.h1.up, %b.h0.wide
  %halves.differ = icmp ne i64 %a.halves, %b.halves
  br i1 %halves.differ, label %found, label %equal

upto3:
  %none = icmp eq i32 %n, 0
  br i1 %none, label %equal, label %bytes

bytes:                                            ; 1 to 3 bytes: the first, the middle and the last
  %mid = lshr i32 %n, 1
  %b.end = sub i32 %n, 1
  %a.b1.at = getelementptr i8, ptr %a, i32 %mid
  %a.b2.at = getelementptr i8, ptr %a, i32 %b.end
  %b.b1.at = getelementptr i8, ptr %b, i32 %mid
  %b.b2.at = getelementptr i8, ptr %b, i32 %b.end
  %a.b0 = load i8, ptr %a, align 1
  %a.b1 = load i8, ptr %a.b1.at, align 1
  %a.b2 = load i8, ptr %a.b2.at, align 1
  %b.b0 = load i8, ptr %b, align 1
  %b.b1 = load i8, ptr %b.b1.at, align 1
  %b.b2 = load i8, ptr %b.b2.at, align 1
  %a.b0.wide = zext i8 %a.b0 to i64
  %a.b1.wide = zext i8 %a.b1 to i64
  %a.b2.wide = zext i8 %a.b2 to i64
  %b.b0.wide = zext i8 %b.b0 to i64
  %b.b1.wide = zext i8 %b.b1 to i64
  %b.b2.wide = zext i8 %b.b2 to i64
  %a.b1.up = shl i64 %a.b1.wide, 8
  %b.b1.up = shl i64 %b.b1.wide, 8
  %a.b2.up = shl i64 %a.b2.wide, 16
  %b.b2.up = shl i64 %b.b2.wide, 16
  %a.b01 = or i64 %a.b1.up, %a.b0.wide
  %b.b01 = or i64 %b.b1.up, %b.b0.wide
  %a.bytes = or i64 %a.b01, %a.b2.up
  %b.bytes = or i64 %b.b01, %b.b2.up
  %bytes.differ = icmp ne i64 %a.bytes, %b.bytes
  br i1 %bytes.differ, label %found, label %equal

found:
  %a.found = phi i64 [ %a.word, %loop ], [ %a.halves, %halves ], [ %a.bytes, %bytes ]
  %b.found = phi i64 [ %b.word, %loop ], [ %b.halves, %halves ], [ %b.bytes, %bytes ]
  %difference = xor i64 %a.found, %b.found
  %bit = call i64 @llvm.cttz.i64(i64 %difference, i1 true)
  %shift = and i64 %bit, 56
  %a.shifted = lshr i64 %a.found, %shift
  %b.shifted = lshr i64 %b.found, %shift
  %a.byte.wide = and i64 %a.shifted, 255
  %b.byte.wide = and i64 %b.shifted, 255
  %a.byte = trunc i64 %a.byte.wide to i32
  %b.byte = trunc i64 %b.byte.wide to i32
  %result = sub i32 %a.byte, %b.byte
  ret i32 %result

equal:
  ret i32 0
}

declare i64 @llvm.ctlz.i64(i64, i1)

; Quotient and remainder of (high, low) by a divisor above `high`.
define private { i64, i64 } @__wasm_divide_by_word(i64 %low, i64 %high, i64 %divisor) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %shift = call i64 @llvm.ctlz.i64(i64 %divisor, i1 false)
  %d = shl i64 %divisor, %shift
  %d1 = lshr i64 %d, 32
  %d0 = and i64 %d, 4294967295
  ; The dividend, shifted alike: (high << shift) | (low >> (64 - shift)), in two steps because shift may be 0.
  %back = sub i64 63, %shift
  %low.half = lshr i64 %low, 1
  %carried = lshr i64 %low.half, %back
  %high.shifted = shl i64 %high, %shift
  %n32 = or i64 %high.shifted, %carried
  %n10 = shl i64 %low, %shift
  %n1 = lshr i64 %n10, 32
  %n0 = and i64 %n10, 4294967295
  %q1 = call i64 @__wasm_estimate(i64 %n32, i64 %n1, i64 %d1, i64 %d0)
  %n32.up = shl i64 %n32, 32
  %n321 = add i64 %n32.up, %n1
  %q1.d = mul i64 %q1, %d
  %n21 = sub i64 %n321, %q1.d
  %q0 = call i64 @__wasm_estimate(i64 %n21, i64 %n0, i64 %d1, i64 %d0)
  %n21.up = shl i64 %n21, 32
  %n210 = add i64 %n21.up, %n0
  %q0.d = mul i64 %q0, %d
  %rest.shifted = sub i64 %n210, %q0.d
  %rest = lshr i64 %rest.shifted, %shift
  %q1.up = shl i64 %q1, 32
  %q = add i64 %q1.up, %q0
  %pair = insertvalue { i64, i64 } poison, i64 %q, 0
  %result = insertvalue { i64, i64 } %pair, i64 %rest, 1
  ret { i64, i64 } %result
}

; One digit of 32 bits of the quotient of (n << 32 | next) by (d1 << 32 | d0). The first guess, n / d1, is at most
; two too large.
define private i64 @__wasm_estimate(i64 %n, i64 %next, i64 %d1, i64 %d0) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %q = udiv i64 %n, %d1
  %q.d1 = mul i64 %q, %d1
  %r = sub i64 %n, %q.d1
  br label %check

check:
  %guess = phi i64 [ %q, %entry ], [ %guess.less, %lower ]
  %rest = phi i64 [ %r, %entry ], [ %rest.more, %lower ]
  %wide = icmp ugt i64 %guess, 4294967295
  %left = mul i64 %guess, %d0
  %rest.up = shl i64 %rest, 32
  %right = add i64 %rest.up, %next
  %above = icmp ugt i64 %left, %right
  %too.large = or i1 %wide, %above
  br i1 %too.large, label %lower, label %done

lower:
  %guess.less = sub i64 %guess, 1
  %rest.more = add i64 %rest, %d1
  %rest.wide = icmp ugt i64 %rest.more, 4294967295
  br i1 %rest.wide, label %done.less, label %check

done:
  ret i64 %guess

done.less:
  ret i64 %guess.less
}

; Quotient and remainder of two 128-bit numbers.
define private { i128, i128 } @__wasm_divide(i128 %a, i128 %b) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %a.low = trunc i128 %a to i64
  %a.up = lshr i128 %a, 64
  %a.high = trunc i128 %a.up to i64
  %b.low = trunc i128 %b to i64
  %b.up = lshr i128 %b, 64
  %b.high = trunc i128 %b.up to i64
  %b.short = icmp eq i64 %b.high, 0
  br i1 %b.short, label %by.word, label %by.long

by.word:
  %a.short = icmp eq i64 %a.high, 0
  br i1 %a.short, label %words, label %steps

words:
  %w.q = udiv i64 %a.low, %b.low
  %w.q.b = mul i64 %w.q, %b.low
  %w.r = sub i64 %a.low, %w.q.b
  %w.quotient = zext i64 %w.q to i128
  %w.remainder = zext i64 %w.r to i128
  br label %done

steps:
  %s.q1 = udiv i64 %a.high, %b.low
  %s.q1.b = mul i64 %s.q1, %b.low
  %s.r1 = sub i64 %a.high, %s.q1.b
  %s.pair = call { i64, i64 } @__wasm_divide_by_word(i64 %a.low, i64 %s.r1, i64 %b.low)
  %s.q0 = extractvalue { i64, i64 } %s.pair, 0
  %s.r0 = extractvalue { i64, i64 } %s.pair, 1
  %s.q1.wide = zext i64 %s.q1 to i128
  %s.q1.up = shl i128 %s.q1.wide, 64
  %s.q0.wide = zext i64 %s.q0 to i128
  %s.quotient = or i128 %s.q1.up, %s.q0.wide
  %s.remainder = zext i64 %s.r0 to i128
  br label %done

by.long:                                          ; the quotient has at most 64 bits
  %l.shift = call i64 @llvm.ctlz.i64(i64 %b.high, i1 false)
  %l.shift.wide = zext i64 %l.shift to i128
  %l.b.up = shl i128 %b, %l.shift.wide
  %l.d.up = lshr i128 %l.b.up, 64
  %l.d = trunc i128 %l.d.up to i64
  %l.half = lshr i128 %a, 1
  %l.half.low = trunc i128 %l.half to i64
  %l.half.up = lshr i128 %l.half, 64
  %l.half.high = trunc i128 %l.half.up to i64
  %l.pair = call { i64, i64 } @__wasm_divide_by_word(i64 %l.half.low, i64 %l.half.high, i64 %l.d)
  %l.q = extractvalue { i64, i64 } %l.pair, 0
  %l.back = sub i64 63, %l.shift
  %l.guess = lshr i64 %l.q, %l.back
  ; The guess is right or one too large; lowered by one it is right or one too small.
  %l.zero = icmp eq i64 %l.guess, 0
  %l.lowered = sub i64 %l.guess, 1
  %l.q0 = select i1 %l.zero, i64 0, i64 %l.lowered
  %l.q0.wide = zext i64 %l.q0 to i128
  %l.q0.b = mul i128 %l.q0.wide, %b
  %l.r0 = sub i128 %a, %l.q0.b
  %l.r1 = sub i128 %l.r0, %b
  %l.small = icmp uge i128 %l.r0, %b
  %l.remainder = select i1 %l.small, i128 %l.r1, i128 %l.r0
  %l.more = zext i1 %l.small to i128
  %l.quotient = add i128 %l.q0.wide, %l.more
  br label %done

done:
  %quotient = phi i128 [ %w.quotient, %words ], [ %s.quotient, %steps ], [ %l.quotient, %by.long ]
  %remainder = phi i128 [ %w.remainder, %words ], [ %s.remainder, %steps ], [ %l.remainder, %by.long ]
  %pair = insertvalue { i128, i128 } poison, i128 %quotient, 0
  %result = insertvalue { i128, i128 } %pair, i128 %remainder, 1
  ret { i128, i128 } %result
}

define { i64, i64 } @__wasm_udivti3(i64 %a.low, i64 %a.high, i64 %b.low, i64 %b.high) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %b.any = or i64 %b.low, %b.high
  %zero = icmp eq i64 %b.any, 0
  br i1 %zero, label %trap, label %divide

trap:
  call void @__wasm_trap(i32 4)
  unreachable

divide:
  %a.low.wide = zext i64 %a.low to i128
  %a.high.wide = zext i64 %a.high to i128
  %a.high.up = shl i128 %a.high.wide, 64
  %a = or i128 %a.high.up, %a.low.wide
  %b.low.wide = zext i64 %b.low to i128
  %b.high.wide = zext i64 %b.high to i128
  %b.high.up = shl i128 %b.high.wide, 64
  %b = or i128 %b.high.up, %b.low.wide
  %both = call { i128, i128 } @__wasm_divide(i128 %a, i128 %b)
  %wanted = extractvalue { i128, i128 } %both, 0
  %low = trunc i128 %wanted to i64
  %up = lshr i128 %wanted, 64
  %high = trunc i128 %up to i64
  %pair = insertvalue { i64, i64 } poison, i64 %low, 0
  %result = insertvalue { i64, i64 } %pair, i64 %high, 1
  ret { i64, i64 } %result
}

define { i64, i64 } @__wasm_umodti3(i64 %a.low, i64 %a.high, i64 %b.low, i64 %b.high) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %b.any = or i64 %b.low, %b.high
  %zero = icmp eq i64 %b.any, 0
  br i1 %zero, label %trap, label %divide

trap:
  call void @__wasm_trap(i32 4)
  unreachable

divide:
  %a.low.wide = zext i64 %a.low to i128
  %a.high.wide = zext i64 %a.high to i128
  %a.high.up = shl i128 %a.high.wide, 64
  %a = or i128 %a.high.up, %a.low.wide
  %b.low.wide = zext i64 %b.low to i128
  %b.high.wide = zext i64 %b.high to i128
  %b.high.up = shl i128 %b.high.wide, 64
  %b = or i128 %b.high.up, %b.low.wide
  %both = call { i128, i128 } @__wasm_divide(i128 %a, i128 %b)
  %wanted = extractvalue { i128, i128 } %both, 1
  %low = trunc i128 %wanted to i64
  %up = lshr i128 %wanted, 64
  %high = trunc i128 %up to i64
  %pair = insertvalue { i64, i64 } poison, i64 %low, 0
  %result = insertvalue { i64, i64 } %pair, i64 %high, 1
  ret { i64, i64 } %result
}

; Divides magnitudes; the quotient is negative if the signs differ.
define { i64, i64 } @__wasm_divti3(i64 %a.low, i64 %a.high, i64 %b.low, i64 %b.high) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %b.any = or i64 %b.low, %b.high
  %zero = icmp eq i64 %b.any, 0
  br i1 %zero, label %trap, label %divide

trap:
  call void @__wasm_trap(i32 4)
  unreachable

divide:
  %a.low.wide = zext i64 %a.low to i128
  %a.high.wide = zext i64 %a.high to i128
  %a.high.up = shl i128 %a.high.wide, 64
  %a = or i128 %a.high.up, %a.low.wide
  %b.low.wide = zext i64 %b.low to i128
  %b.high.wide = zext i64 %b.high to i128
  %b.high.up = shl i128 %b.high.wide, 64
  %b = or i128 %b.high.up, %b.low.wide
  %a.negative = icmp slt i128 %a, 0
  %a.minus = sub i128 0, %a
  %a.size = select i1 %a.negative, i128 %a.minus, i128 %a
  %b.negative = icmp slt i128 %b, 0
  %b.minus = sub i128 0, %b
  %b.size = select i1 %b.negative, i128 %b.minus, i128 %b
  %both = call { i128, i128 } @__wasm_divide(i128 %a.size, i128 %b.size)
  %size = extractvalue { i128, i128 } %both, 0
  %negative = xor i1 %a.negative, %b.negative
  %minus = sub i128 0, %size
  %wanted = select i1 %negative, i128 %minus, i128 %size
  %low = trunc i128 %wanted to i64
  %up = lshr i128 %wanted, 64
  %high = trunc i128 %up to i64
  %pair = insertvalue { i64, i64 } poison, i64 %low, 0
  %result = insertvalue { i64, i64 } %pair, i64 %high, 1
  ret { i64, i64 } %result
}

; Divides magnitudes; the remainder has the sign of the dividend.
define { i64, i64 } @__wasm_modti3(i64 %a.low, i64 %a.high, i64 %b.low, i64 %b.high) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %b.any = or i64 %b.low, %b.high
  %zero = icmp eq i64 %b.any, 0
  br i1 %zero, label %trap, label %divide

trap:
  call void @__wasm_trap(i32 4)
  unreachable

divide:
  %a.low.wide = zext i64 %a.low to i128
  %a.high.wide = zext i64 %a.high to i128
  %a.high.up = shl i128 %a.high.wide, 64
  %a = or i128 %a.high.up, %a.low.wide
  %b.low.wide = zext i64 %b.low to i128
  %b.high.wide = zext i64 %b.high to i128
  %b.high.up = shl i128 %b.high.wide, 64
  %b = or i128 %b.high.up, %b.low.wide
  %a.negative = icmp slt i128 %a, 0
  %a.minus = sub i128 0, %a
  %a.size = select i1 %a.negative, i128 %a.minus, i128 %a
  %b.negative = icmp slt i128 %b, 0
  %b.minus = sub i128 0, %b
  %b.size = select i1 %b.negative, i128 %b.minus, i128 %b
  %both = call { i128, i128 } @__wasm_divide(i128 %a.size, i128 %b.size)
  %size = extractvalue { i128, i128 } %both, 1
  %minus = sub i128 0, %size
  %wanted = select i1 %a.negative, i128 %minus, i128 %size
  %low = trunc i128 %wanted to i64
  %up = lshr i128 %wanted, 64
  %high = trunc i128 %up to i64
  %pair = insertvalue { i64, i64 } poison, i64 %low, 0
  %result = insertvalue { i64, i64 } %pair, i64 %high, 1
  ret { i64, i64 } %result
}

declare void @__wasm_trap(i32) noreturn cold nounwind memory(inaccessiblemem: readwrite)
