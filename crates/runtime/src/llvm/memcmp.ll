; The difference of the first two bytes that differ. What is after them may not exist, so nothing is read from a page
; before a byte of it is known to be needed: areas are compared in pieces that do not leave the pages they
; begin in. Nearly all areas are one piece.

declare i64 @llvm.cttz.i64(i64, i1)

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

