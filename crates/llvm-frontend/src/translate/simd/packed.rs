//! Arithmetic on lanes of 8 or 16 bits, side by side in a word.
//!
//! Additions and subtractions leave the highest bit of each lane out, so that nothing is carried into the next lane, and
//! add it by itself. A comparison gives the highest bit of each lane; [`Packed::spread`] makes masks of such bits.
//!
//! The comments name the highest bits `H` and the lowest bits `L` of all lanes.

use inkwell::types::IntType;
use inkwell::values::IntValue;

use super::super::ir::Ir;

/// Words of lanes of a width.
#[derive(Clone, Copy)]
pub struct Packed<'e, 'ctx> {
    pub ir: &'e Ir<'ctx>,
    /// The type of a word.
    pub word: IntType<'ctx>,
    /// Bits of a lane.
    pub lane: u32,
}

type Int<'ctx> = IntValue<'ctx>;

impl<'ctx> Packed<'_, 'ctx> {
    /// The same words in lanes of twice the width.
    pub fn twice(self) -> Self {
        Self { lane: self.lane * 2, ..self }
    }

    /// Lanes in a word.
    pub fn count(&self) -> u32 {
        self.word.get_bit_width() / self.lane
    }

    /// A number in the lowest bits of a word.
    pub fn number(&self, value: u64) -> Int<'ctx> {
        self.word.const_int(value, false)
    }

    /// The largest unsigned number of a lane.
    pub fn largest(&self) -> u64 {
        (1 << self.lane) - 1
    }

    /// A constant in each lane.
    pub fn splat(&self, value: u64) -> Int<'ctx> {
        self.number((0..self.count()).fold(0, |word, lane| word | value << (lane * self.lane)))
    }

    /// `H`.
    pub fn high(&self) -> Int<'ctx> {
        self.splat(1 << (self.lane - 1))
    }

    /// The bits below `H`.
    pub fn below_high(&self) -> Int<'ctx> {
        self.splat(self.largest() >> 1)
    }

    /// `a & !b`.
    fn without(&self, a: Int<'ctx>, b: Int<'ctx>) -> Int<'ctx> {
        self.ir.and(a, self.not(b))
    }

    pub fn not(&self, a: Int<'ctx>) -> Int<'ctx> {
        self.ir.xor(a, self.word.const_all_ones())
    }

    /// Shifts the whole word to the right by a constant.
    pub fn right(&self, a: Int<'ctx>, bits: u32) -> Int<'ctx> {
        self.ir.lshr(a, self.number(bits.into()))
    }

    /// Shifts the whole word to the left by a constant.
    pub fn left(&self, a: Int<'ctx>, bits: u32) -> Int<'ctx> {
        self.ir.shl(a, self.number(bits.into()))
    }

    /// `mask ? a : b`, bit by bit.
    pub fn choose(&self, mask: Int<'ctx>, a: Int<'ctx>, b: Int<'ctx>) -> Int<'ctx> {
        self.ir.xor(b, self.ir.and(self.ir.xor(a, b), mask))
    }

    /// All bits of the lanes whose `H` is set; the other bits of `flags` don't matter.
    pub fn spread(&self, flags: Int<'ctx>) -> Int<'ctx> {
        self.spread_as(flags, self.largest())
    }

    /// `value` in the lanes whose `H` is set, 0 in the others.
    pub fn spread_as(&self, flags: Int<'ctx>, value: u64) -> Int<'ctx> {
        let lowest = self.right(self.ir.and(flags, self.high()), self.lane - 1);
        self.ir.mul(lowest, self.number(value))
    }

    pub fn add(&self, a: Int<'ctx>, b: Int<'ctx>) -> Int<'ctx> {
        let ir = self.ir;
        let rest = self.below_high();
        let sum = ir.add(ir.and(a, rest), ir.and(b, rest));
        ir.xor(sum, ir.and(ir.xor(a, b), self.high()))
    }

    /// The difference of the bits below `H`; its `H` is clear where they borrow.
    fn borrowless(&self, a: Int<'ctx>, b: Int<'ctx>) -> Int<'ctx> {
        let ir = self.ir;
        ir.sub(ir.or(a, self.high()), ir.and(b, self.below_high()))
    }

    pub fn sub(&self, a: Int<'ctx>, b: Int<'ctx>) -> Int<'ctx> {
        let ir = self.ir;
        let same = self.not(ir.xor(a, b));
        ir.xor(self.borrowless(a, b), ir.and(same, self.high()))
    }

    pub fn neg(&self, a: Int<'ctx>) -> Int<'ctx> {
        self.sub(self.number(0), a)
    }

    pub fn abs(&self, a: Int<'ctx>) -> Int<'ctx> {
        let flipped = self.ir.xor(a, self.spread(a));
        self.ir.add(flipped, self.spread_as(a, 1))
    }

    /// Product modulo 2^16 of lanes of 16 bits.
    pub fn mul(&self, a: Int<'ctx>, b: Int<'ctx>) -> Int<'ctx> {
        let ir = self.ir;
        let last = self.count() - 1;
        let lane = |n: u32| {
            let mask = self.number(self.largest() << (n * self.lane));
            match n {
                0 => ir.and(ir.mul(a, b), mask),
                // Above the highest lane there is nothing, below it there is nothing yet.
                _ if n == last => ir.mul(ir.and(a, mask), self.right(b, n * self.lane)),
                _ => ir.and(ir.mul(ir.and(a, mask), self.right(b, n * self.lane)), mask),
            }
        };
        (0..=last).map(lane).reduce(|sum, lane| ir.or(sum, lane)).expect("a word has lanes")
    }

    /// Average, rounded up: `a + b = 2 * (a | b) - (a ^ b)`.
    pub fn average(&self, a: Int<'ctx>, b: Int<'ctx>) -> Int<'ctx> {
        let ir = self.ir;
        let half = ir.and(self.right(ir.xor(a, b), 1), self.below_high());
        ir.sub(ir.or(a, b), half)
    }

    /// Number of set bits in lanes of 8 bits.
    pub fn population(&self, a: Int<'ctx>) -> Int<'ctx> {
        let ir = self.ir;
        let pairs = ir.sub(a, ir.and(self.right(a, 1), self.splat(0x55)));
        let mask = self.splat(0x33);
        let fours = ir.add(ir.and(pairs, mask), ir.and(self.right(pairs, 2), mask));
        ir.and(ir.add(fours, self.right(fours, 4)), self.splat(0x0f))
    }

    /// `H` where a lane is not zero; other bits are arbitrary.
    pub fn nonzero(&self, a: Int<'ctx>) -> Int<'ctx> {
        let rest = self.below_high();
        self.ir.or(self.ir.add(self.ir.and(a, rest), rest), a)
    }

    /// `H` where lanes are equal; other bits are arbitrary.
    pub fn equal(&self, a: Int<'ctx>, b: Int<'ctx>) -> Int<'ctx> {
        self.not(self.nonzero(self.ir.xor(a, b)))
    }

    /// `H` where `a < b`; other bits are arbitrary. Where the highest bits are equal, the rest decides.
    pub fn less(&self, a: Int<'ctx>, b: Int<'ctx>, is_signed: bool) -> Int<'ctx> {
        let ir = self.ir;
        let by_high = if is_signed { self.without(a, b) } else { self.without(b, a) };
        let by_rest = self.without(self.not(ir.xor(a, b)), self.borrowless(a, b));
        ir.or(by_high, by_rest)
    }

    /// The lesser of each pair of lanes.
    pub fn min(&self, a: Int<'ctx>, b: Int<'ctx>, is_signed: bool) -> Int<'ctx> {
        self.choose(self.spread(self.less(a, b, is_signed)), a, b)
    }

    /// The greater of each pair of lanes.
    pub fn max(&self, a: Int<'ctx>, b: Int<'ctx>, is_signed: bool) -> Int<'ctx> {
        self.choose(self.spread(self.less(a, b, is_signed)), b, a)
    }

    /// The largest number where the sum overflows.
    pub fn add_unsigned(&self, a: Int<'ctx>, b: Int<'ctx>) -> Int<'ctx> {
        let ir = self.ir;
        let sum = self.add(a, b);
        let carry = ir.or(ir.and(a, b), self.without(ir.or(a, b), sum));
        ir.or(sum, self.spread(carry))
    }

    /// 0 where the difference overflows.
    pub fn sub_unsigned(&self, a: Int<'ctx>, b: Int<'ctx>) -> Int<'ctx> {
        let borrow = self.spread(self.less(a, b, false));
        self.without(self.sub(a, b), borrow)
    }

    pub fn add_signed(&self, a: Int<'ctx>, b: Int<'ctx>) -> Int<'ctx> {
        let ir = self.ir;
        let sum = self.add(a, b);
        let overflow = self.without(ir.xor(a, sum), ir.xor(a, b));
        self.choose(self.spread(overflow), self.limit_of_sign(a), sum)
    }

    pub fn sub_signed(&self, a: Int<'ctx>, b: Int<'ctx>) -> Int<'ctx> {
        let ir = self.ir;
        let difference = self.sub(a, b);
        let overflow = ir.and(ir.xor(a, difference), ir.xor(a, b));
        self.choose(self.spread(overflow), self.limit_of_sign(a), difference)
    }

    /// The least number for a negative lane, the greatest for another.
    fn limit_of_sign(&self, a: Int<'ctx>) -> Int<'ctx> {
        self.ir.add(self.spread_as(a, 1), self.below_high())
    }

    /// The bits of each lane that remain of ones after a shift to the left or right by a count below the lane's width.
    fn remaining(&self, count: Int<'ctx>, is_left: bool) -> Int<'ctx> {
        let ones = self.number(self.largest());
        let lane = match is_left {
            true => self.ir.and(self.ir.shl(ones, count), ones),
            false => self.ir.lshr(ones, count),
        };
        self.ir.mul(lane, self.splat(1))
    }

    pub fn shift_left(&self, a: Int<'ctx>, count: Int<'ctx>) -> Int<'ctx> {
        self.ir.and(self.ir.shl(a, count), self.remaining(count, true))
    }

    pub fn shift_right(&self, a: Int<'ctx>, count: Int<'ctx>) -> Int<'ctx> {
        self.ir.and(self.ir.lshr(a, count), self.remaining(count, false))
    }

    pub fn shift_right_signed(&self, a: Int<'ctx>, count: Int<'ctx>) -> Int<'ctx> {
        let remaining = self.remaining(count, false);
        let shifted = self.ir.and(self.ir.lshr(a, count), remaining);
        self.ir.or(shifted, self.without(self.spread(a), remaining))
    }

    /// The highest bits of all lanes as a number: a multiplication moves each to its place at the top of the word. No two
    /// products share a bit.
    pub fn bitmask(&self, a: Int<'ctx>) -> Int<'ctx> {
        let at = self.word.get_bit_width() - self.count();
        let factor = (1..=self.count()).fold(0, |factor, n| factor | 1 << (at - n * (self.lane - 1)));
        let product = self.ir.mul(self.ir.and(a, self.high()), self.number(factor));
        self.right(product, at)
    }

    /// The even lanes of a word, extended to lanes of twice the width.
    pub fn extend_even(&self, a: Int<'ctx>, is_signed: bool) -> Int<'ctx> {
        let wide = self.twice();
        let low = self.ir.and(a, wide.splat(self.largest()));
        if is_signed { self.with_sign(low) } else { low }
    }

    /// The odd lanes of a word, extended to lanes of twice the width.
    pub fn extend_odd(&self, a: Int<'ctx>, is_signed: bool) -> Int<'ctx> {
        self.extend_even(self.right(a, self.lane), is_signed)
    }

    /// Repeats the sign of numbers that are alone in lanes of twice the width.
    fn with_sign(&self, low: Int<'ctx>) -> Int<'ctx> {
        let sign = self.ir.and(low, self.twice().splat(1 << (self.lane - 1)));
        self.ir.or(low, self.ir.mul(sign, self.number(self.largest() << 1)))
    }

    /// The lanes of the lower half of a word, extended to lanes of twice the width; above them must be zeros.
    pub fn extend_half(&self, low: Int<'ctx>, is_signed: bool) -> Int<'ctx> {
        let mut distance = self.word.get_bit_width() / 4;
        let mut word = low;
        while distance >= self.lane {
            let mask = Packed { lane: distance * 2, ..*self }.splat((1 << distance) - 1);
            word = self.ir.and(self.ir.or(word, self.left(word, distance)), mask);
            distance /= 2;
        }
        if is_signed { self.with_sign(word) } else { word }
    }

    /// The lower halves of lanes, side by side in the lower half of a word; the upper halves must be zero.
    pub fn gather(&self, a: Int<'ctx>) -> Int<'ctx> {
        let mut distance = self.lane / 2;
        let mut word = a;
        while distance * 2 < self.word.get_bit_width() {
            let size = distance * 2;
            let sum = self.ir.or(word, self.right(word, distance));
            let mask = match size * 2 == self.word.get_bit_width() {
                true => self.number((1 << size) - 1),
                false => Packed { lane: size * 2, ..*self }.splat((1 << size) - 1),
            };
            word = self.ir.and(sum, mask);
            distance = size;
        }
        word
    }

    /// Signed lanes, limited to the numbers of half their width, in the lower half of the word.
    pub fn narrow(&self, a: Int<'ctx>, is_signed: bool) -> Int<'ctx> {
        let ir = self.ir;
        let half = self.lane / 2;
        let sign = self.spread(a);
        // Distances from 0, or from -1 for negative numbers: none needs the highest bit.
        let (from, limit) = match is_signed {
            true => (ir.xor(a, sign), (1 << (half - 1)) - 1),
            false => (self.without(a, sign), (1 << half) - 1),
        };
        let exceeds = ir.add(from, self.splat((1 << (self.lane - 1)) - 1 - limit));
        let limited = ir.and(ir.or(from, self.spread_as(exceeds, limit)), self.splat(limit));
        let result = match is_signed {
            true => ir.and(ir.xor(limited, sign), self.splat((1 << half) - 1)),
            false => limited,
        };
        self.gather(result)
    }
}
