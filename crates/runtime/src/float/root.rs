//! The square root in single precision, in the common case.

use super::arithmetic::Quick;
use super::format::{F32, normal_significand};
use super::word::{Bit, Word};

/// Coefficients, with 62 bits after the point, of the polynomial c0 - c1 s + c2 s² - c3 s³ that is 1/√s for s from 1/2
/// to 1, too small by 0.1 % at most and never too large.
const RECIPROCAL: [u64; 4] =
    [0xa6a8_feca_e318_9000, 0xe8d3_75e8_76d6_e800, 0xbf4d_6896_58eb_c800, 0x3d32_a1b7_0189_9c00];
/// The linear coefficient of [`correction`], with 64 bits after the point.
const LINEAR: u64 = 0x7fff_f337_8525_0400;
/// 1/√2, with 64 bits after the point.
const HALF_ROOT: u64 = 0xb504_f334_3e54_5800;

/// The square root of a positive normal float, of sign-extended bits.
///
/// The polynomial y is nearly 1/√s for the significand s, so s y is nearly the root r, and what is missing, 1 - s y²,
/// gives the [`correction`] of r. The result has a relative error below 2^-32. Where it is so close to the middle between
/// two floats that this matters, once in 128 times, the general routine decides.
pub fn sqrt_single<W: Word>(float: W) -> Quick<W> {
    let exponent = float.right(F32.fraction);
    let significand = normal_significand(F32, float);
    let y = reciprocal(significand);
    // 62 bits after the point; what is missing has 60.
    let root = significand.mul_high(y);
    let missing = root.constant(1 << 60) - root.mul_high(y);
    // The bias is odd, so an even field is an odd exponent: the root is twice as large, less a factor of the root of 2.
    let is_even = exponent.mask(1).is(0);
    let scaled = root.mul_high(is_even.select(root.constant(u64::MAX), root.constant(HALF_ROOT)));
    let result = scaled.right(2) + scaled.left(2).mul_high(correction(missing));
    // The fraction's lowest bit is at 36.
    let rounded = result.plus(1 << 35);
    let base = exponent.plus(F32.bias() - 2).right(1).left(F32.exponent_at());
    let rest = rounded.left(28).right(56);
    let trouble = exponent.plus(-1).max(rest.plus(-1)).is_above(F32.max_exponent() as u64 - 2);
    Quick { result: base + rounded.right(4), trouble }
}

fn reciprocal<W: Word>(s: W) -> W {
    let [c0, c1, c2, c3] = RECIPROCAL.map(|coefficient| s.constant(coefficient));
    c0 - s.mul_high(c1 - s.mul_high(c2 - s.mul_high(c3)))
}

/// 1/√(1 - e) - 1 for a small e, both with 60 bits after the point.
fn correction<W: Word>(e: W) -> W {
    // 6/16 + 1/1024 is nearly the quadratic coefficient.
    let quadratic = e.left(2) + e.left(1);
    e.mul_high(quadratic + e.right(6).plus(LINEAR as i64))
}
