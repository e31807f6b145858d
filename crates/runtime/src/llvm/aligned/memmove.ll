; Copies between areas that may overlap, for machines that access words at multiples of 4 only. If the destination is not
; inside of the source, copying upwards is right. Otherwise the copy goes down: bytes until a multiple of 4 remains, then
; words if both areas begin at one.

define void @__wasm_memmove(ptr %dst, ptr %src, i32 %n) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %dst.int = ptrtoint ptr %dst to i32
  %src.int = ptrtoint ptr %src to i32
  %distance = sub i32 %dst.int, %src.int
  %up = icmp uge i32 %distance, %n
  br i1 %up, label %upwards, label %downwards

upwards:
  tail call void @__wasm_memcpy(ptr %dst, ptr %src, i32 %n)
  ret void

downwards:
  %both = or i32 %dst.int, %src.int
  %low = and i32 %both, 3
  %aligned = icmp eq i32 %low, 0
  %whole = and i32 %n, -4
  %words.bytes = select i1 %aligned, i32 %whole, i32 0
  %any.bytes = icmp ugt i32 %n, %words.bytes
  br i1 %any.bytes, label %bytes, label %words.entry

bytes:
  %b = phi i32 [ %n, %downwards ], [ %b.next, %bytes ]
  %b.next = sub i32 %b, 1
  %b.src = getelementptr i8, ptr %src, i32 %b.next
  %b.dst = getelementptr i8, ptr %dst, i32 %b.next
  %byte = load i8, ptr %b.src, align 1
  store i8 %byte, ptr %b.dst, align 1
  %b.more = icmp ugt i32 %b.next, %words.bytes
  br i1 %b.more, label %bytes, label %words.entry

words.entry:
  %any.words = icmp ne i32 %words.bytes, 0
  br i1 %any.words, label %words, label %done

words:
  %w = phi i32 [ %words.bytes, %words.entry ], [ %w.next, %words ]
  %w.next = sub i32 %w, 4
  %w.src = getelementptr i8, ptr %src, i32 %w.next
  %w.dst = getelementptr i8, ptr %dst, i32 %w.next
  %word = load i32, ptr %w.src, align 4
  store i32 %word, ptr %w.dst, align 4
  %w.more = icmp ne i32 %w.next, 0
  br i1 %w.more, label %words, label %done

done:
  ret void
}

