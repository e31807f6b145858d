//! Comparisons, minimum and maximum.
//!
//! A *key* is a signed integer that is in the order of the floats: keys of NaNs are outside of those of the infinities.

use super::format::{Format, is_nan};
use super::word::{Bit, Word};

/// A key that is the same for both zeros.
fn key<W: Word>(float: W) -> W {
    let sign = float.spread_sign();
    (float ^ sign.right(1)) - sign
}

/// A key that is less for -0 than for 0. It is its own inverse.
fn total_key<W: Word>(float: W) -> W {
    float ^ float.spread_sign().right(1)
}

/// Whether both floats are numbers, for floats of which the key of the first is not greater than that of the second.
fn are_numbers<W: Word>(format: Format, low: W, high: W) -> W::Bit {
    let infinity = format.infinity();
    !low.less(low.constant(infinity.wrapping_neg())) & !low.constant(infinity).less(high)
}

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

/// Compares two floats.
pub fn compare<W: Word>(format: Format, comparison: Comparison, [a, b]: [W; 2]) -> W::Bit {
    match comparison {
        Comparison::Eq => eq(format, [a, b]),
        Comparison::Ne => !eq(format, [a, b]),
        Comparison::Lt => lt(format, [a, b]),
        Comparison::Gt => lt(format, [b, a]),
        Comparison::Le => le(format, [a, b]),
        Comparison::Ge => le(format, [b, a]),
    }
}

fn lt<W: Word>(format: Format, [a, b]: [W; 2]) -> W::Bit {
    let [a, b] = [key(a), key(b)];
    a.less(b) & are_numbers(format, a, b)
}

fn le<W: Word>(format: Format, [a, b]: [W; 2]) -> W::Bit {
    let [a, b] = [key(a), key(b)];
    !b.less(a) & are_numbers(format, a, b)
}

fn eq<W: Word>(format: Format, [a, b]: [W; 2]) -> W::Bit {
    let are_zeros = (a | b).left(1).is(0);
    (a.equals(b) | are_zeros) & !is_nan(format, a)
}

/// WebAssembly's minimum: -0 is less than 0, and a NaN makes the result one.
pub fn min<W: Word>(format: Format, operands: [W; 2]) -> W {
    let [a, b] = operands.map(total_key);
    number_or_nan(format, operands, total_key(a.less(b).select(a, b)))
}

/// WebAssembly's maximum.
pub fn max<W: Word>(format: Format, operands: [W; 2]) -> W {
    let [a, b] = operands.map(total_key);
    number_or_nan(format, operands, total_key(a.less(b).select(b, a)))
}

fn number_or_nan<W: Word>(format: Format, [a, b]: [W; 2], result: W) -> W {
    let [ma, mb] = [a.left(1), b.left(1)];
    let has_nan = ma.max(mb).is_above(format.infinity() << 1);
    has_nan.select(a.constant(format.nan()), result)
}
