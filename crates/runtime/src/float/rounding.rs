//! Rounding to integers that are floats.

use super::format::{Format, SIGN, exponent, is_nan};
use super::word::{Bit, Word};

/// A direction of rounding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Towards positive infinity.
    Ceil,
    /// Towards negative infinity.
    Floor,
    /// Towards zero.
    Trunc,
    /// To the nearest integer, ties to even.
    Nearest,
}

/// Rounds a float to an integer. The canonical NaN for a NaN.
///
/// The bits of a float below its unit are cleared after adding to them. A carry goes into the exponent, as it should.
/// A float below 1 has no unit: it becomes 0 or 1.
pub fn round_to_integer<W: Word>(format: Format, direction: Direction, float: W) -> W {
    let zero = float.constant(0);
    let sign = float.mask(SIGN);
    let magnitude = float ^ sign;
    // Bits below the unit: 0 for large floats.
    let most = format.bias() as u64 + u64::from(format.exponent_at());
    let below = float.constant(most) - exponent(format, float);
    let is_large = below.less(float.constant(u64::from(format.lowest()) + 1));
    let unit = float.constant(1).shl(below);
    let mask = unit.plus(-1);
    let is_negative = !sign.is(0);
    let (added, small) = match direction {
        Direction::Trunc => (zero, zero),
        Direction::Floor => (is_negative.select(mask, zero), is_negative.select(one(format, float), zero)),
        Direction::Ceil => (is_negative.select(zero, mask), is_negative.select(zero, one(format, float))),
        Direction::Nearest => {
            let is_odd = (magnitude & unit).any();
            let half = float.constant(format.power(format.bias() - 1));
            (mask.right(1) + is_odd, half.below(magnitude).select(one(format, float), zero))
        }
    };
    let rounded = (magnitude + added) & !mask;
    let small = magnitude.is(0).select(zero, small);
    let is_small = magnitude.is_below(format.power(format.bias()));
    let result = is_small.select(small, is_large.select(magnitude, rounded)) | sign;
    is_nan(format, float).select(float.constant(format.nan()), result)
}

fn one<W: Word>(format: Format, word: W) -> W {
    word.constant(format.power(format.bias()))
}
