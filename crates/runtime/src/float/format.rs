//! Floating-point formats, and values in them.
//!
//! Routines take and give floats at the top of a word of 64 bits: the sign is bit 63 in both formats, so sign operations
//! and roundings are the same for both. The lower half of an argument in single precision is 0. That of a result is
//! unspecified: whoever takes the upper half drops it. Quick routines and comparisons take floats with *sign-extended
//! bits*, as a machine holds an integer of 32 bits: nothing has to be shifted, and constants are short.

use super::word::{Bit, Word};

/// A binary format of IEEE 754.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    /// Bits of the exponent.
    pub exponent: u32,
    /// Bits of the fraction.
    pub fraction: u32,
}

/// Single precision.
pub const F32: Format = Format { exponent: 8, fraction: 23 };
/// Double precision.
pub const F64: Format = Format { exponent: 11, fraction: 52 };

/// The sign of a float.
pub const SIGN: u64 = 1 << 63;

impl Format {
    /// The exponent of 1.0.
    pub const fn bias(self) -> i64 {
        (1 << (self.exponent - 1)) - 1
    }

    /// The exponent of infinities and NaNs.
    pub const fn max_exponent(self) -> i64 {
        (1 << self.exponent) - 1
    }

    /// The position of the lowest bit of the exponent.
    pub const fn exponent_at(self) -> u32 {
        63 - self.exponent
    }

    /// The position of the lowest bit of the fraction.
    pub const fn lowest(self) -> u32 {
        63 - self.exponent - self.fraction
    }

    /// A float without a fraction.
    pub const fn power(self, exponent: i64) -> u64 {
        (exponent as u64) << self.exponent_at()
    }

    /// Positive infinity.
    pub const fn infinity(self) -> u64 {
        self.power(self.max_exponent())
    }

    /// The canonical NaN.
    pub const fn nan(self) -> u64 {
        self.infinity() | 1 << (self.exponent_at() - 1)
    }

    /// Bits of a significand below the lowest bit of the fraction, if its highest bit is 62.
    pub const fn guard_bits(self) -> u32 {
        62 - self.fraction
    }
}

/// The exponent of a float.
pub fn exponent<W: Word>(format: Format, float: W) -> W {
    float.left(1).right(64 - format.exponent)
}

/// Whether a float is a NaN.
pub fn is_nan<W: Word>(format: Format, float: W) -> W::Bit {
    float.left(1).is_above(format.infinity() << 1)
}

/// The significand of a normal float with sign-extended bits, its highest bit at 63.
pub fn normal_significand<W: Word>(format: Format, float: W) -> W {
    float.left(63 - format.fraction).with(1 << 63)
}

/// A finite float taken apart: `significand` / 2^63 * 2^(`exponent` - bias).
#[derive(Clone, Copy)]
pub struct Parts<W> {
    /// The biased exponent, less than 1 for a subnormal float.
    pub exponent: W,
    /// The significand, its highest bit at 63; 0 for zero.
    pub significand: W,
}

/// Takes a finite float apart.
pub fn take_apart<W: Word>(format: Format, float: W) -> Parts<W> {
    let exponent = exponent(format, float);
    let is_normal = exponent.any();
    let significand = float.left(format.exponent + 1).right(1) | is_normal.left(63);
    // A subnormal float has the exponent of the smallest normal ones.
    let exponent = exponent + (is_normal ^ is_normal.constant(1));
    let zeros = significand.leading_zeros();
    Parts { exponent: exponent - zeros, significand: significand.shl(zeros) }
}

/// Adds a significand to a float without a fraction, whose exponent is one less: the highest bit of the significand, at
/// 62, adds one to the exponent. Rounds to nearest, ties to even; the lowest bit stands for all bits below.
pub fn round<W: Word>(format: Format, base: W, significand: W) -> W {
    round_at(format, 62, base, significand)
}

/// [`round`] for a significand whose highest bit is at `top`.
pub fn round_at<W: Word>(format: Format, top: u32, base: W, significand: W) -> W {
    let guard = top - format.fraction;
    let is_odd = significand.right(guard).mask(1);
    let rounded = significand.plus((1 << (guard - 1)) - 1) + is_odd;
    let aligned = match guard.checked_sub(format.lowest()) {
        Some(bits) => rounded.right(bits),
        None => rounded.left(format.lowest() - guard),
    };
    base + aligned
}

/// Shifts to the right by any number of bits. The lowest bit of the result is set if a set bit is lost.
pub fn shift_right_sticky<W: Word>(word: W, bits: W) -> W {
    let bits = bits.min(bits.constant(63));
    let shifted = word.shr(bits);
    shifted | (shifted.shl(bits) ^ word).any()
}

/// Makes a float of its sign (bit 63), exponent and significand (highest bit at 62, or 0), rounding. The result may be
/// subnormal or infinite.
pub fn put_together<W: Word>(format: Format, sign: W, exponent: W, significand: W) -> W {
    let zero = exponent.constant(0);
    let is_subnormal = exponent.less(exponent.constant(1));
    let by = is_subnormal.select(exponent.constant(1) - exponent, zero);
    let shifted = shift_right_sticky(significand, by);
    let field = (is_subnormal | significand.is(0)).select(zero, exponent.plus(-1));
    let finite = round(format, sign + field.left(format.exponent_at()), shifted);
    let overflows = exponent.constant(format.max_exponent() as u64 - 1).less(exponent) & !significand.is(0);
    overflows.select(sign.with(format.infinity()), finite)
}
