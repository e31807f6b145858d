//! Conversions between floats and integers, and between formats.

use super::arithmetic::Quick;
use super::format::{F32, F64, Format, SIGN, exponent, is_nan, put_together, round, take_apart};
use super::word::{Bit, Word};

/// The float nearest to an unsigned integer.
pub fn from_unsigned<W: Word>(format: Format, integer: W) -> W {
    from_magnitude(format, integer, integer.constant(0))
}

/// The float nearest to a signed integer.
pub fn from_signed<W: Word>(format: Format, integer: W) -> W {
    let sign = integer.spread_sign();
    from_magnitude(format, (integer ^ sign) - sign, sign.mask(SIGN))
}

fn from_magnitude<W: Word>(format: Format, magnitude: W, sign: W) -> W {
    let zeros = magnitude.leading_zeros();
    let aligned = magnitude.shl(zeros);
    // The highest bit goes to 62; the lost one is below all bits that matter, unless it alone is not 0.
    let significand = aligned.right(1) | aligned.mask(1);
    let below = zeros.constant(format.bias() as u64 + 62) - zeros;
    let float = round(format, sign + below.left(format.exponent_at()), significand);
    magnitude.is(0).select(magnitude, float)
}

/// The float of an integer that is its significand: one below 2^53 in double precision.
pub fn from_small<W: Word>(integer: W) -> W {
    let sign = integer.spread_sign();
    let magnitude = (integer ^ sign) - sign;
    let zeros = magnitude.leading_zeros();
    let below = zeros.constant(F64.bias() as u64 + 62) - zeros;
    let fraction = magnitude.shl(zeros).right(11);
    let float = sign.mask(SIGN) + below.left(F64.exponent_at()) + fraction;
    magnitude.is(0).select(magnitude, float)
}

/// An integer made of a float, and whether it is the float's integer part.
#[derive(Clone, Copy)]
pub struct Truncated<W: Word> {
    /// The magnitude of the integer part, if it is below 2^64.
    pub magnitude: W,
    /// All ones if the float is negative, else 0.
    pub sign: W,
    /// Whether the magnitude is at least 2^64, or the float is a NaN.
    pub is_huge: W::Bit,
    /// Whether the float is a NaN.
    pub is_nan: W::Bit,
}

impl<W: Word> Truncated<W> {
    /// The signed integer, if the integer part fits.
    pub fn integer(self) -> W {
        (self.magnitude ^ self.sign) - self.sign
    }

    /// Whether the integer part is less than 0 or not below 2^`bits`.
    pub fn exceeds_unsigned(self, bits: u32) -> W::Bit {
        let is_negative = !(self.sign & self.magnitude).is(0);
        match bits {
            64 => self.is_huge | is_negative,
            _ => self.is_huge | is_negative | self.magnitude.is_above((1 << bits) - 1),
        }
    }

    /// Whether the integer part is not a signed integer of `bits` bits.
    pub fn exceeds_signed(self, bits: u32) -> W::Bit {
        let limit = self.magnitude.constant((1 << (bits - 1)) - 1) - self.sign;
        self.is_huge | limit.below(self.magnitude)
    }
}

/// Cuts off the fraction of a float.
pub fn truncate<W: Word>(format: Format, float: W) -> Truncated<W> {
    let field = exponent(format, float);
    let significand = float.left(format.exponent).with(1 << 63);
    let shift = field.constant(format.bias() as u64 + 63) - field;
    let is_small = field.is_below(format.bias() as u64);
    let magnitude = is_small.select(field.constant(0), significand.shr(shift));
    let is_huge = field.is_above(format.bias() as u64 + 63);
    Truncated { magnitude, sign: float.spread_sign(), is_huge, is_nan: is_nan(format, float) }
}

/// Saturating conversion to a signed integer of `bits` bits.
pub fn saturate_signed<W: Word>(format: Format, bits: u32, float: W) -> W {
    let parts = truncate(format, float);
    let limit = float.constant((1 << (bits - 1)) - 1) ^ parts.sign;
    let result = parts.exceeds_signed(bits).select(limit, parts.integer());
    parts.is_nan.select(float.constant(0), result)
}

/// Saturating conversion to an unsigned integer of `bits` bits.
pub fn saturate_unsigned<W: Word>(format: Format, bits: u32, float: W) -> W {
    let parts = truncate(format, float);
    let limit = float.constant(u64::MAX >> (64 - bits)) & !parts.sign;
    let result = parts.exceeds_unsigned(bits).select(limit, parts.magnitude);
    parts.is_nan.select(float.constant(0), result)
}

/// Double precision of a single-precision float that is normal, of sign-extended bits.
pub fn promote_quick<W: Word>(float: W) -> Quick<W> {
    let magnitude = float.left(33).right(4);
    let bias = F64.power(F64.bias() - F32.bias()) as i64;
    let exponent = float.right(F32.fraction).plus(-1).mask(F32.max_exponent() as u64);
    let trouble = exponent.is_above(F32.max_exponent() as u64 - 2);
    Quick { result: float.mask(SIGN) | magnitude.plus(bias), trouble }
}

/// Double precision of a single-precision float.
pub fn promote<W: Word>(float: W) -> W {
    let sign = float.mask(SIGN);
    let parts = take_apart(F32, float);
    let below = parts.exponent.plus(F64.bias() - F32.bias() - 1);
    let finite = sign + below.left(F64.exponent_at()) + parts.significand.right(11);
    let magnitude = float.left(1);
    let result = magnitude.is(0).select(sign, finite);
    let result = magnitude.is(F32.infinity() << 1).select(sign.with(F64.infinity()), result);
    is_nan(F32, float).select(float.constant(F64.nan()), result)
}

/// Single precision of a double-precision float whose result is normal.
pub fn demote_quick<W: Word>(float: W) -> Quick<W> {
    let below = exponent(F64, float).plus(F32.bias() - F64.bias() - 1);
    // The significand's highest bit is at 62.
    let significand = float.left(10).with(1 << 62).mask(u64::MAX >> 1);
    let result = round(F32, float.mask(SIGN) + below.left(F32.exponent_at()), significand);
    Quick { result, trouble: below.is_above(F32.max_exponent() as u64 - 2) }
}

/// Single precision of a double-precision float.
pub fn demote<W: Word>(float: W) -> W {
    let sign = float.mask(SIGN);
    let parts = take_apart(F64, float);
    let exponent = parts.exponent.plus(F32.bias() - F64.bias());
    let significand = parts.significand.right(1) | parts.significand.mask(1);
    let finite = put_together(F32, sign, exponent, significand);
    let is_finite = float.left(1).is_below(F64.infinity() << 1);
    let result = is_finite.select(finite, sign.with(F32.infinity()));
    is_nan(F64, float).select(float.constant(F32.nan()), result)
}
