; Division of 128-bit numbers: the functions that the quotients and remainders share.
;
; Every case is reduced to dividing (high, low) by a 64-bit divisor above `high`, which is done by two divisions of 64 by
; 32 bits, after Knuth's algorithm D and Warren, Hacker's Delight, 9-4 and 9-5. A number of 128 bits is passed as its low
; and high half.

declare void @__wasm_trap(i32) noreturn cold nounwind memory(inaccessiblemem: readwrite)

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

