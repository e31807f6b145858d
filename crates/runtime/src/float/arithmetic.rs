//! Addition, subtraction, multiplication, division and square root.
//!
//! Each operation has two routines. The quick one is for normal operands and results and gives a [`Quick`], which says
//! whether the result holds. The general one takes all operands. Both round to nearest, ties to even, and the general
//! one gives the canonical NaN wherever the result is one.

use super::format::{F32, Format, Parts, SIGN, is_nan, normal_significand, put_together, round_at};
use super::format::{shift_right_sticky, take_apart};
use super::root::sqrt_single;
use super::word::{Bit, Word};

/// A result that holds only if there is no `trouble`; else the general routine must be asked.
#[derive(Clone, Copy)]
pub struct Quick<W: Word> {
    /// The float, at the top of a word.
    pub result: W,
    /// Whether the result doesn't hold.
    pub trouble: W::Bit,
}

/// The exponent of a float with sign-extended bits, less one; at least `max_exponent` - 1 if it is not that of a normal
/// float. `signed` is the float without its fraction.
fn exponent_less_one<W: Word>(format: Format, signed: W) -> W {
    signed.plus(-1).mask(format.max_exponent() as u64)
}

// ---- Addition ----

/// The operands of an addition, ordered by magnitude.
struct Ordered<W> {
    /// Magnitude of the larger one, shifted to the left by one bit.
    larger: W,
    /// Magnitude of the smaller one, shifted to the left by one bit.
    smaller: W,
    /// The sign of the larger one.
    sign: W,
    /// All ones if the signs differ, else 0.
    differ: W,
}

fn order<W: Word>([a, b]: [W; 2]) -> Ordered<W> {
    let [x, y] = [a.left(1), b.left(1)];
    let [xs, ys] = [x | a.right(63), y | b.right(63)];
    Ordered { larger: x.max(y), smaller: x.min(y), sign: xs.max(ys).left(63), differ: (a ^ b).spread_sign() }
}

/// The sum of normal floats, of sign-extended bits.
///
/// The floats are rotated so that the magnitude is at the top and the sign, once or more, below. The order of such words
/// is that of the magnitudes.
pub fn add_quick<W: Word>(format: Format, [a, b]: [W; 2]) -> Quick<W> {
    let fraction_at = 64 - format.exponent - format.fraction;
    let [x, y] = [a, b].map(|float| float.rotate_left(fraction_at));
    let (larger, smaller, differ) = (x.max(y), x.min(y), (a ^ b).spread_sign());
    // With few bits in the fraction there is room below it for all bits that matter.
    let is_roomy = format.guard_bits() > 32;
    let room = if is_roomy { 0 } else { 8 };
    // The position of the highest bit of a sum with a carry.
    let top = 65 - format.exponent + room;
    let significand = |float: W| {
        let fraction = float.mask(((1 << format.fraction) - 1) << fraction_at);
        let significand = fraction.with(1 << (64 - format.exponent));
        if is_roomy { significand } else { significand.left(room) }
    };
    let [high, low] = [larger, smaller].map(|float| float.right(64 - format.exponent));
    let distance = high - low;
    let shifted = significand(smaller);
    let aligned = shifted.shr(distance);
    let aligned = if is_roomy { aligned } else { aligned | (aligned.shl(distance) ^ shifted).any() };
    let sum = significand(larger) + ((aligned ^ differ) - differ);
    let zeros = sum.leading_zeros();
    let unused = zeros.plus(i64::from(top) - 63);
    let below = high - unused;
    let base = larger.left(63) + below.left(format.exponent_at());
    let result = round_at(format, top, base, sum.shl(unused));
    // All are below 2^exponent if none is unusual: the exponents, and the shifts, which are less than 2^6.
    let range = high.plus(2) | low.plus(-1) | below | (distance | zeros).left(format.exponent - 6);
    Quick { result, trouble: range.is_above(format.max_exponent() as u64) }
}

/// The sum of any floats.
pub fn add<W: Word>(format: Format, operands: [W; 2]) -> W {
    let [a, b] = operands;
    let Ordered { larger, smaller, sign, differ } = order(operands);
    let [x, y] = [larger, smaller].map(|magnitude| take_apart(format, magnitude.right(1)));
    let aligned = shift_right_sticky(y.significand.right(2), x.exponent - y.exponent);
    let sum = x.significand.right(2) + ((aligned ^ differ) - differ);
    let zeros = sum.leading_zeros();
    // A sum of 0 is negative only if both operands are.
    let sign = sum.is(0).select((a & b).mask(SIGN), sign);
    let finite = put_together(format, sign, x.exponent.plus(2) - zeros, sum.shl(zeros.plus(63)));
    let infinity = larger.constant(format.infinity() << 1);
    let is_nan = infinity.below(larger) | (smaller.equals(infinity) & !differ.is(0));
    let is_finite = larger.below(infinity);
    let special = is_nan.select(larger.constant(format.nan()), larger.right(1) | sign);
    is_finite.select(finite, special)
}

// ---- Multiplication ----

/// The upper part of the product of significands whose highest bits are at 63, its highest bit at 61 or 62.
fn product<W: Word>(format: Format, [a, b]: [W; 2]) -> W {
    let b = b.right(1);
    let high = a.mul_high(b);
    // The product of single-precision significands has 48 bits: nothing is below.
    if 2 * format.fraction + 2 <= 64 { high } else { high | (a * b).any() }
}

/// The product of normal floats, of sign-extended bits.
///
/// Adding the exponents with the signs above them gives the sign of the result, too.
pub fn mul_quick<W: Word>(format: Format, operands: [W; 2]) -> Quick<W> {
    let signed = operands.map(|float| float.right(format.fraction));
    let exponents = signed.map(|signed| exponent_less_one(format, signed));
    let Product { is_large, significand, top, is_rounded_by_rest } = short_product(format, operands);
    let bias = is_large.plus(-format.bias() - 1);
    let base = (signed[0] + signed[1] + bias).left(format.exponent_at());
    let below = exponents[0] + exponents[1] + bias;
    let range = exponents[0].max(exponents[1]).max(below);
    // The smallest and largest exponents are left to the general routine, so that one bound is enough.
    let limit = format.max_exponent() as u64 - 4;
    if is_rounded_by_rest {
        let guard = top - format.fraction;
        let rounded = significand.plus(1 << (guard - 1));
        let result = base + rounded.right(guard - format.lowest());
        // Halfway, as far as is known.
        let below_half = rounded.mask((1 << guard) - 1).plus(-1);
        return Quick { result, trouble: range.max(below_half).is_above(limit) };
    }
    Quick { result: round_at(format, top, base, significand), trouble: range.is_above(limit) }
}

/// The product of significands.
struct Product<W> {
    /// 1 if it is 2 or more, else 0.
    is_large: W,
    /// The product, its highest bit at `top`.
    significand: W,
    top: u32,
    /// Whether lower bits are lost, so that it is not known whether the product is halfway between two floats.
    is_rounded_by_rest: bool,
}

/// The product of the significands of floats with sign-extended bits.
fn short_product<W: Word>(format: Format, operands: [W; 2]) -> Product<W> {
    let bits = format.fraction + 1;
    if 2 * bits <= 64 {
        let fraction = (1 << format.fraction) - 1;
        let [a, b] = operands.map(|float| float.mask(fraction).with(1 << format.fraction));
        let product = a * b;
        let is_large = product.right(2 * bits - 1);
        let significand = product.shl(is_large ^ is_large.constant(1));
        return Product { is_large, significand, top: 2 * bits - 1, is_rounded_by_rest: false };
    }
    let [a, b] = operands.map(|float| normal_significand(format, float));
    let product = a.mul_high(b);
    let is_large = product.right(63);
    Product { is_large, significand: product.shr(is_large), top: 62, is_rounded_by_rest: true }
}

/// The product of any floats.
pub fn mul<W: Word>(format: Format, [a, b]: [W; 2]) -> W {
    let [x, y] = [a, b].map(|float| take_apart(format, float));
    let product = product(format, [x.significand, y.significand]);
    let is_large = product.right(62);
    let exponent = x.exponent + y.exponent + is_large.plus(-format.bias());
    let sign = (a ^ b).mask(SIGN);
    let finite = put_together(format, sign, exponent, product.shl(is_large ^ is_large.constant(1)));
    let infinity = a.constant(format.infinity() << 1);
    let [ma, mb] = [a.left(1), b.left(1)];
    let is_finite = ma.below(infinity) & mb.below(infinity);
    let has_zero = ma.is(0) | mb.is(0);
    let is_nan = is_nan(format, a) | is_nan(format, b) | has_zero;
    let special = is_nan.select(a.constant(format.nan()), sign.with(format.infinity()));
    is_finite.select(finite, special)
}

// ---- Division ----

/// The quotient of two significands whose highest bits are at 63.
struct Quotient<W> {
    /// 1 if the dividend is the smaller one, else 0.
    is_less: W,
    /// The integer quotient with two bits below those of the fraction, its highest bit at `fraction + 2`.
    quotient: W,
    /// The remainder.
    remainder: W,
}

/// Newton's iteration for the reciprocal of the divisor d, which is taken as a number from 1/2 to 1.
///
/// The start is 48/17 - 32/17 d, with a relative error of 1/17 at most; each step squares it: after three steps it is
/// below 2^-32, after four below 2^-60. In exact arithmetic every step gives too small a value. The numbers have 62
/// bits after the point, and 24 of their lowest bit are more than all roundings together. So the quotient is right or
/// one too small, and the remainder tells.
fn divide<W: Word>(format: Format, [dividend, divisor]: [W; 2]) -> Quotient<W> {
    let steps = if format.fraction > 30 { 4 } else { 3 };
    let start = 0xb4b4_b4b4_b4b4_b4b4;
    let mut reciprocal = divisor.constant(start) - divisor.mul_high(divisor.constant(0x7878_7878_7878_7878));
    for _ in 0..steps {
        let missing = divisor.constant(1 << 63) - divisor.mul_high(reciprocal);
        reciprocal = reciprocal.mul_high(missing).left(2);
    }
    let reciprocal = reciprocal.plus(-24);
    let is_less = dividend.below(divisor).word();
    let quotient =
        dividend.mul_high(reciprocal).shr(is_less.constant((60 - format.fraction).into()) - is_less);
    let unused = 63 - format.fraction;
    let [numerator, denominator] = [dividend.right(unused), divisor.right(unused)];
    let shifted = numerator.shl(is_less.plus((format.fraction + 2).into()));
    let remainder = shifted - quotient * denominator;
    let is_short = !remainder.below(denominator);
    let zero = remainder.constant(0);
    Quotient {
        is_less,
        quotient: quotient + is_short.word(),
        remainder: remainder - is_short.select(denominator, zero),
    }
}

/// The quotient of normal floats, of sign-extended bits.
pub fn div_quick<W: Word>(format: Format, operands: [W; 2]) -> Quick<W> {
    let signed = operands.map(|float| float.right(format.fraction));
    let exponents = signed.map(|signed| exponent_less_one(format, signed));
    let Quotient { is_less, quotient, .. } =
        divide(format, operands.map(|float| normal_significand(format, float)));
    let bias = is_less.constant(format.bias() as u64 - 1) - is_less;
    let base = (signed[0] - signed[1] + bias).left(format.exponent_at());
    let below = exponents[0] - exponents[1] + bias;
    // No quotient is halfway between two normal floats: that would need one more bit in the dividend. So the first bit
    // after the fraction decides, and the remainder doesn't matter.
    let rounded = quotient.plus(2).right(2).left(format.lowest());
    let range = exponents[0].max(exponents[1]).max(below);
    Quick { result: base + rounded, trouble: range.is_above(format.max_exponent() as u64 - 2) }
}

/// The quotient of any floats.
pub fn div<W: Word>(format: Format, [a, b]: [W; 2]) -> W {
    let [x, y] = [a, b].map(|float| take_apart(format, float));
    let Quotient { is_less, quotient, remainder } = divide(format, [x.significand, y.significand]);
    let significand = quotient.left(60 - format.fraction) | remainder.any();
    let sign = (a ^ b).mask(SIGN);
    let exponent = x.exponent - y.exponent - is_less.plus(-format.bias());
    let finite = put_together(format, sign, exponent, significand);
    let infinity = a.constant(format.infinity() << 1);
    let [ma, mb] = [a.left(1), b.left(1)];
    let is_nan = is_nan(format, a)
        | is_nan(format, b)
        | (ma.is(0) & mb.is(0))
        | (ma.equals(infinity) & mb.equals(infinity));
    let is_infinite = ma.equals(infinity) | mb.is(0);
    let is_zero = ma.is(0) | mb.equals(infinity);
    let result = is_zero.select(sign, finite);
    let result = is_infinite.select(sign.with(format.infinity()), result);
    is_nan.select(a.constant(format.nan()), result)
}

// ---- Square root ----

/// The integer square root with one bit below those of the fraction, of a significand whose highest bit is at 63 and
/// that is multiplied by 2 if `is_odd` is 1.
///
/// Newton's iteration for the reciprocal r of the square root of m, which is from 1 to 4: r (3 - m r²) / 2. The start is
/// a line on either half of the range, with a relative error of at most 1/44. Each step gives too small a value, with
/// an error of 3/2 of the square: after three steps it is below 2^-39, after four below 2^-78. Subtracting 16 of the
/// lowest bit outweighs all roundings. So the root is right or one too small, and the remainder tells.
fn root<W: Word>(format: Format, significand: W, is_odd: W) -> W {
    let steps = if format.fraction > 30 { 4 } else { 3 };
    // m with 62 bits after the point.
    let m = significand.right(1).shl(is_odd);
    let odd = !is_odd.is(0);
    let line = |part: usize| odd.select(m.constant(LINE[1][part]), m.constant(LINE[0][part]));
    // r has 63 bits after the point.
    let mut r = line(0) - m.mul_high(line(1)).left(2);
    for _ in 0..steps {
        let square = r.mul_high(r);
        let missing = m.constant(3 << 60) - m.mul_high(square);
        r = r.mul_high(missing).left(3);
    }
    // The root has 61 bits after the point, and at most 1 before.
    let root = m.mul_high(r).plus(-16).right(60 - format.fraction);
    let shifted = significand.right(63 - format.fraction).shl(is_odd.plus((format.fraction + 2).into()));
    let remainder = shifted - root * root;
    root + root.left(1).below(remainder).word()
}

/// The lines of [`root`] for m from 1 to 2 and from 2 to 4: constant and slope.
const LINE: [[u64; 2]; 2] =
    [[0xa1ce_7eb1_2698_6800, 0x24a7_e3dc_c0b7_8e00], [0x726a_2085_1762_2c00, 0x0cf5_b4c6_b91c_6f00]];

/// The square root of a positive normal float, of sign-extended bits.
pub fn sqrt_quick<W: Word>(format: Format, float: W) -> Quick<W> {
    if format == F32 {
        return sqrt_single(float);
    }
    // A sign makes it too large.
    let exponent = float.right(format.fraction);
    let significand = normal_significand(format, float);
    let result = root_of_parts(format, Parts { exponent, significand });
    Quick { result, trouble: exponent.plus(-1).is_above(format.max_exponent() as u64 - 2) }
}

fn root_of_parts<W: Word>(format: Format, Parts { exponent, significand }: Parts<W>) -> W {
    // The bias is odd, so an even field is an odd exponent.
    let unbiased = exponent.plus(-format.bias());
    let is_odd = unbiased.mask(1);
    let root = root(format, significand, is_odd);
    let half = (unbiased - is_odd).sar(unbiased.constant(1));
    let base = half.plus(format.bias() - 1).left(format.exponent_at());
    // No root is halfway between two floats.
    base + root.plus(1).right(1).left(format.lowest())
}

/// The square root of any float.
pub fn sqrt<W: Word>(format: Format, float: W) -> W {
    let positive = root_of_parts(format, take_apart(format, float));
    let magnitude = float.left(1);
    let is_itself = magnitude.is(0) | float.is(format.infinity());
    let is_nan = (float.less(float.constant(0)) & !magnitude.is(0)) | is_nan(format, float);
    let result = is_itself.select(float, positive);
    is_nan.select(float.constant(format.nan()), result)
}
