//! Comparisons, minimum and maximum.
//!
//! Bits of floats as signed integers are in the order of the floats, unless both are negative: then all bits are
//! inverted. That leaves zeros, which are equal, and NaNs, which are not in order. Both show in the magnitude.

use super::format::{Format, SIGN};
use super::word::{Bit, Word};

/// A comparison. All but the last are false if an operand is a NaN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// `a == b`.
    Eq,
    /// `a < b`.
    Lt,
    /// `a > b`.
    Gt,
    /// `a <= b`.
    Le,
    /// `a >= b`.
    Ge,
    /// `a != b`, true if an operand is a NaN.
    Ne,
}

impl Comparison {
    /// The comparison with the operands swapped.
    pub const fn swapped(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Gt => Self::Lt,
            Self::Le => Self::Ge,
            Self::Ge => Self::Le,
            Self::Eq | Self::Ne => self,
        }
    }
}

/// Compares two floats with sign-extended bits.
pub fn compare<W: Word>(format: Format, comparison: Comparison, [a, b]: [W; 2]) -> W::Bit {
    match comparison {
        Comparison::Eq => {
            let limit = a.equals(b).select(a.constant(1 + twice_infinity(format)), a.constant(1));
            twice_magnitude(format, a | b).below(limit)
        }
        Comparison::Ne => {
            let limit = a.equals(b).select(a.constant(twice_infinity(format)), a.constant(0));
            limit.below(twice_magnitude(format, a | b))
        }
        Comparison::Lt => lt(format, [a, b]),
        Comparison::Gt => lt(format, [b, a]),
        Comparison::Le => le(format, [a, b]),
        Comparison::Ge => le(format, [b, a]),
    }
}

fn lt<W: Word>(format: Format, operands: [W; 2]) -> W::Bit {
    let [a, b] = in_order(operands);
    // Not two zeros, and no NaN.
    a.less(b) & largest(format, operands).plus(-1).is_below(twice_infinity(format))
}

fn le<W: Word>(format: Format, operands: [W; 2]) -> W::Bit {
    let [a, b] = in_order(operands);
    let limit = b.less(a).select(a.constant(1), a.constant(1 + twice_infinity(format)));
    largest(format, operands).below(limit)
}

/// Two words that are, as signed integers, in the order of two floats.
fn in_order<W: Word>([a, b]: [W; 2]) -> [W; 2] {
    let inverted = (a & b).spread_sign();
    [a ^ inverted, b ^ inverted]
}

/// The larger one of the magnitudes, times 2, at the top of a word.
fn largest<W: Word>(format: Format, operands: [W; 2]) -> W {
    let [a, b] = operands.map(|float| twice_magnitude(format, float));
    a.max(b)
}

fn twice_magnitude<W: Word>(format: Format, float: W) -> W {
    float.left(1 + format.lowest())
}

const fn twice_infinity(format: Format) -> u64 {
    format.infinity() << 1
}

/// Compares a float with a constant, both with sign-extended bits.
pub fn compare_constant<W: Word>(format: Format, comparison: Comparison, a: W, b: u64) -> W::Bit {
    let shift = format.lowest();
    let infinity = format.infinity() >> shift;
    let minus_zero = (SIGN as i64 >> shift) as u64;
    let minus_infinity = minus_zero | infinity;
    let magnitude = b & !minus_zero;
    let is_negative = b != magnitude && magnitude != 0;
    if magnitude > infinity {
        return constant(a, comparison == Comparison::Ne);
    }
    // The limit as a number of its sign: a zero is that of the operands beyond it.
    let zero = |zero| if magnitude == 0 { zero } else { b };
    match comparison {
        Comparison::Eq if magnitude == 0 => twice_magnitude(format, a).is(0),
        Comparison::Ne if magnitude == 0 => !twice_magnitude(format, a).is(0),
        Comparison::Eq => a.is(b),
        Comparison::Ne => !a.is(b),
        Comparison::Lt if is_negative || magnitude == 0 => between(a, zero(minus_zero) + 1, minus_infinity),
        Comparison::Le if is_negative => between(a, b, minus_infinity),
        Comparison::Gt if !is_negative => between(a, zero(0) + 1, infinity),
        Comparison::Ge if !is_negative && magnitude != 0 => between(a, b, infinity),
        Comparison::Lt | Comparison::Le => {
            let limit = zero(0) + u64::from(comparison == Comparison::Le);
            a.less(a.constant(limit)) & a.is_below(minus_infinity + 1)
        }
        Comparison::Gt | Comparison::Ge => {
            let limit = zero(minus_zero).wrapping_add((comparison == Comparison::Ge).into());
            a.is_below(limit) & a.less(a.constant(infinity + 1))
        }
    }
}

/// Whether an unsigned word is from `low` to `high`. These may be the wrong way round by one.
fn between<W: Word>(word: W, low: u64, high: u64) -> W::Bit {
    word.plus((low as i64).wrapping_neg()).is_below(high.wrapping_sub(low).wrapping_add(1))
}

fn constant<W: Word>(word: W, value: bool) -> W::Bit {
    word.constant(0).is_below(value.into())
}

/// WebAssembly's minimum of floats with sign-extended bits: -0 is less than 0, and a NaN makes the result one.
pub fn min<W: Word>(format: Format, operands: [W; 2]) -> W {
    let [a, b] = in_order(operands);
    number_or_nan(format, operands, a.less(b).select(a, b))
}

/// WebAssembly's maximum of floats with sign-extended bits.
pub fn max<W: Word>(format: Format, operands: [W; 2]) -> W {
    let [a, b] = in_order(operands);
    number_or_nan(format, operands, a.less(b).select(b, a))
}

/// The float of a word of [`in_order`], or the NaN if an operand is one.
fn number_or_nan<W: Word>(format: Format, [a, b]: [W; 2], word: W) -> W {
    let float = word ^ (a & b).spread_sign();
    let has_nan = largest(format, [a, b]).is_above(twice_infinity(format));
    has_nan.select(a.constant(format.nan() >> format.lowest()), float)
}
