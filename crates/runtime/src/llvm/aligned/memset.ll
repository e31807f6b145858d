; Fills an area with a byte, for machines that access words at multiples of 4 only: bytes up to the first one, words, and
; the rest by bytes.

define void @__wasm_memset(ptr %dst, i32 %value, i32 %n) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %byte = trunc i32 %value to i8
  %low = and i32 %value, 255
  %word = mul i32 %low, 16843009
  %end = getelementptr i8, ptr %dst, i32 %n
  br label %head

head:
  %h = phi ptr [ %dst, %entry ], [ %h.next, %head.byte ]
  %h.int = ptrtoint ptr %h to i32
  %h.low = and i32 %h.int, 3
  %h.unaligned = icmp ne i32 %h.low, 0
  %h.more = icmp ne ptr %h, %end
  %h.go = and i1 %h.unaligned, %h.more
  br i1 %h.go, label %head.byte, label %middle

head.byte:
  store i8 %byte, ptr %h, align 1
  %h.next = getelementptr i8, ptr %h, i32 1
  br label %head

middle:
  %m.end = ptrtoint ptr %end to i32
  %left = sub i32 %m.end, %h.int
  %whole = and i32 %left, -4
  %tail = getelementptr i8, ptr %h, i32 %whole
  %any = icmp ne i32 %whole, 0
  br i1 %any, label %words, label %bytes.entry

words:
  %w = phi ptr [ %h, %middle ], [ %w.next, %words ]
  store i32 %word, ptr %w, align 4
  %w.next = getelementptr i8, ptr %w, i32 4
  %w.more = icmp ne ptr %w.next, %tail
  br i1 %w.more, label %words, label %bytes.entry

bytes.entry:
  %more = icmp ne ptr %tail, %end
  br i1 %more, label %bytes, label %done

bytes:
  %b = phi ptr [ %tail, %bytes.entry ], [ %b.next, %bytes ]
  store i8 %byte, ptr %b, align 1
  %b.next = getelementptr i8, ptr %b, i32 1
  %b.more = icmp ne ptr %b.next, %end
  br i1 %b.more, label %bytes, label %done

done:
  ret void
}

