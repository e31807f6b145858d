; Copies between areas that do not overlap, for machines that access words at multiples of 4 only: by words if both areas
; begin at one, the rest by bytes.

define void @__wasm_memcpy(ptr %dst, ptr %src, i32 %n) nounwind null_pointer_is_valid "no-builtins" {
entry:
  %dst.int = ptrtoint ptr %dst to i32
  %src.int = ptrtoint ptr %src to i32
  %both = or i32 %dst.int, %src.int
  %low = and i32 %both, 3
  %aligned = icmp eq i32 %low, 0
  %whole = and i32 %n, -4
  %words.bytes = select i1 %aligned, i32 %whole, i32 0
  %any = icmp ne i32 %words.bytes, 0
  br i1 %any, label %words, label %bytes.entry

words:
  %w = phi i32 [ 0, %entry ], [ %w.next, %words ]
  %w.src = getelementptr i8, ptr %src, i32 %w
  %w.dst = getelementptr i8, ptr %dst, i32 %w
  %word = load i32, ptr %w.src, align 4
  store i32 %word, ptr %w.dst, align 4
  %w.next = add i32 %w, 4
  %w.more = icmp ult i32 %w.next, %words.bytes
  br i1 %w.more, label %words, label %bytes.entry

bytes.entry:
  %more = icmp ult i32 %words.bytes, %n
  br i1 %more, label %bytes, label %done

bytes:
  %b = phi i32 [ %words.bytes, %bytes.entry ], [ %b.next, %bytes ]
  %b.src = getelementptr i8, ptr %src, i32 %b
  %b.dst = getelementptr i8, ptr %dst, i32 %b
  %byte = load i8, ptr %b.src, align 1
  store i8 %byte, ptr %b.dst, align 1
  %b.next = add i32 %b, 1
  %b.more = icmp ult i32 %b.next, %n
  br i1 %b.more, label %bytes, label %done

done:
  ret void
}

