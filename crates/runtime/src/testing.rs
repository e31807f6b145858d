//! The float routines against the floating-point unit of this machine, for tests here and in other crates (feature
//! `testing`).
//!
//! Each check draws one set of operands, and panics if a routine has another result than the host.

use random::Rng;

use crate::float::arithmetic::{self, Quick};
use crate::float::order::Comparison;
use crate::float::rounding::{Direction, round_to_integer};
use crate::float::{F32, F64, Format, Host, convert, order};

/// Random floats and integers.
#[derive(Clone, Debug)]
pub struct Cases(Rng);

impl Cases {
    /// Those of a generator.
    pub const fn new(random: Rng) -> Self {
        Self(random)
    }

    /// A float at the top of a word: of any exponent, near 1, near the limits, with few bits set, or special.
    fn float(&mut self, format: Format) -> u64 {
        let random = self.0.bits();
        let sign = random & 1 << 63;
        let fraction = random & (format.power(1) - 1);
        let sparse = match self.0.below(3) {
            0 => fraction,
            1 => fraction & !((1 << self.0.below(63)) - 1),
            _ => fraction | ((1 << self.0.below(format.exponent_at() as usize)) - 1),
        };
        let max = format.max_exponent() as usize;
        let exponent = match self.0.below(8) {
            0 => self.0.below(max + 1),
            1 => self.0.below(3),
            2 => max - self.0.below(3),
            3 => max / 2,
            4 => max / 2 + self.0.below(70),
            _ => max / 2 - 8 + self.0.below(16),
        };
        let float = match self.0.below(16) {
            0 => sign | format.power(exponent as i64),
            _ => sign | format.power(exponent as i64) | sparse & (format.power(1) - 1),
        };
        float & (u64::MAX << format.lowest())
    }

    /// An integer of any length, often near a power of two.
    fn integer(&mut self) -> u64 {
        let random = self.0.bits() >> self.0.below(64);
        match self.0.below(4) {
            0 => (1u64 << self.0.below(64)).wrapping_add(self.0.below(5) as u64).wrapping_sub(2),
            1 => random.wrapping_neg(),
            2 => random & !((1 << self.0.below(63)) - 1),
            _ => random,
        }
    }

    /// Two floats, often close to each other.
    fn pair(&mut self, format: Format) -> [u64; 2] {
        let a = self.float(format);
        let b = match self.0.below(6) {
            0 => a ^ self.0.bits() & 1 << 63,
            1 => {
                a.wrapping_add((self.0.below(8) as u64).wrapping_sub(4) << format.lowest())
                    ^ self.0.bits() & 1 << 63
            }
            _ => self.float(format),
        };
        [a, b]
    }
}

fn f64_of(bits: u64) -> f64 {
    f64::from_bits(bits)
}

fn f32_of(bits: u64) -> f32 {
    f32::from_bits((bits >> 32) as u32)
}

fn bits64(float: f64) -> u64 {
    if float.is_nan() { F64.nan() } else { float.to_bits() }
}

fn bits32(float: f32) -> u64 {
    if float.is_nan() { F32.nan() } else { u64::from(float.to_bits()) << 32 }
}

fn drop_lower(format: Format, bits: u64) -> u64 {
    bits & (u64::MAX << format.lowest())
}

/// The operand of a quick routine for a float at the top of a word.
fn sign_extended(format: Format, bits: u64) -> Host {
    Host((bits as i64 >> format.lowest()) as u64)
}

/// An operation of two floats: its name, its quick and general routines, and the host's operators.
pub type Binary = (
    &'static str,
    fn(Format, [Host; 2]) -> Quick<Host>,
    fn(Format, [Host; 2]) -> Host,
    fn(f64, f64) -> f64,
    fn(f32, f32) -> f32,
);

/// All of them.
pub const BINARY: [Binary; 3] = [
    ("add", arithmetic::add_quick, arithmetic::add, |a, b| a + b, |a, b| a + b),
    ("mul", arithmetic::mul_quick, arithmetic::mul, |a, b| a * b, |a, b| a * b),
    ("div", arithmetic::div_quick, arithmetic::div, |a, b| a / b, |a, b| a / b),
];

/// One set of operands in each format for an operation; returns how often its quick routine had the result.
///
/// # Panics
/// If a result differs.
pub fn binary((name, quick, general, double, single): Binary, cases: &mut Cases) -> usize {
    let mut quick_results = 0;
    for format in [F32, F64] {
        let [a, b] = cases.pair(format);
        let expected = match format == F64 {
            true => bits64(double(f64_of(a), f64_of(b))),
            false => bits32(single(f32_of(a), f32_of(b))),
        };
        let result = drop_lower(format, general(format, [Host(a), Host(b)]).0);
        assert_eq!(result, expected, "{name} {format:?} {a:016x} {b:016x}: {result:016x} {expected:016x}");
        let Quick { result, trouble } = quick(format, [sign_extended(format, a), sign_extended(format, b)]);
        if !trouble {
            let result = drop_lower(format, result.0);
            assert_eq!(
                result, expected,
                "quick {name} {format:?} {a:016x} {b:016x}: {result:016x} {expected:016x}"
            );
            quick_results += 1;
        }
    }
    quick_results
}

/// Square roots.
///
/// # Panics
/// If a result differs.
pub fn square_roots(cases: &mut Cases) {
    for format in [F32, F64] {
        let a = cases.float(format);
        let expected = match format == F64 {
            true => bits64(f64_of(a).sqrt()),
            false => bits32(f32_of(a).sqrt()),
        };
        let result = drop_lower(format, arithmetic::sqrt(format, Host(a)).0);
        assert_eq!(result, expected, "{format:?} {a:016x}: {result:016x} {expected:016x}");
        let Quick { result, trouble } = arithmetic::sqrt_quick(format, sign_extended(format, a));
        if !trouble {
            assert_eq!(drop_lower(format, result.0), expected, "quick {format:?} {a:016x}");
        }
    }
}

/// WebAssembly's minimum of two floats, or their maximum.
fn extremum(format: Format, [a, b]: [u64; 2], is_max: bool) -> u64 {
    let [x, y] = match format == F64 {
        true => [f64_of(a), f64_of(b)],
        false => [f32_of(a).into(), f32_of(b).into()],
    };
    if x.is_nan() || y.is_nan() {
        return format.nan();
    }
    let is_first = if x == y { (a >> 63 == 0) == is_max } else { (x > y) == is_max };
    if is_first { a } else { b }
}

/// All comparisons of two operands, with each way to compute them. `floats` are their values.
///
/// # Panics
/// If a result differs.
pub fn all_comparisons(format: Format, operands: [Host; 2], floats: [f64; 2]) {
    let [x, y] = floats;
    for (comparison, expected) in [
        (Comparison::Eq, x == y),
        (Comparison::Ne, x != y),
        (Comparison::Lt, x < y),
        (Comparison::Gt, x > y),
        (Comparison::Le, x <= y),
        (Comparison::Ge, x >= y),
    ] {
        let [Host(a), Host(b)] = operands;
        let result = order::compare(format, comparison, operands);
        assert_eq!(result, expected, "{a:016x} {comparison:?} {b:016x}");
        let result = order::compare_constant(format, comparison, operands[0], b);
        assert_eq!(result, expected, "{a:016x} {comparison:?} constant {b:016x}");
    }
}

/// Comparisons, minimum and maximum.
///
/// # Panics
/// If a result differs.
pub fn comparisons(cases: &mut Cases) {
    for format in [F32, F64] {
        let [a, b] = cases.pair(format);
        let operands = [a, b].map(|float| sign_extended(format, float));
        let [x, y] = match format == F64 {
            true => [f64_of(a), f64_of(b)],
            false => [f32_of(a).into(), f32_of(b).into()],
        };
        all_comparisons(format, operands, [x, y]);
        let extremum = |is_max| sign_extended(format, extremum(format, [a, b], is_max));
        assert_eq!(order::min(format, operands), extremum(false), "min {a:016x} {b:016x}");
        assert_eq!(order::max(format, operands), extremum(true), "max {a:016x} {b:016x}");
    }
}

/// Roundings to integers.
///
/// # Panics
/// If a result differs.
pub fn roundings(cases: &mut Cases) {
    type Rounding = (Direction, fn(f64) -> f64, fn(f32) -> f32);
    let roundings: [Rounding; 4] = [
        (Direction::Ceil, f64::ceil, f32::ceil),
        (Direction::Floor, f64::floor, f32::floor),
        (Direction::Trunc, f64::trunc, f32::trunc),
        (Direction::Nearest, f64::round_ties_even, f32::round_ties_even),
    ];
    for format in [F32, F64] {
        let a = cases.float(format);
        for (direction, double, single) in roundings {
            let expected = match format == F64 {
                true => bits64(double(f64_of(a))),
                false => bits32(single(f32_of(a))),
            };
            let result = drop_lower(format, round_to_integer(format, direction, Host(a)).0);
            assert_eq!(result, expected, "{direction:?} {format:?} {a:016x}: {result:016x} {expected:016x}");
        }
    }
}

/// Conversions from integers.
///
/// # Panics
/// If a result differs.
pub fn from_integers(cases: &mut Cases) {
    let n = cases.integer();
    let of = |format: Format, float: Host| drop_lower(format, float.0);
    assert_eq!(of(F64, convert::from_unsigned(F64, Host(n))), bits64(n as f64), "{n:x}");
    assert_eq!(of(F64, convert::from_signed(F64, Host(n))), bits64(n as i64 as f64), "{n:x}");
    assert_eq!(of(F32, convert::from_unsigned(F32, Host(n))), bits32(n as f32), "{n:x}");
    assert_eq!(of(F32, convert::from_signed(F32, Host(n))), bits32(n as i64 as f32), "{n:x}");
    let small = n as i32;
    assert_eq!(convert::from_small(Host(small as u64)).0, bits64(f64::from(small)), "{small:x}");
}

/// Conversions to integers.
///
/// # Panics
/// If a result differs.
pub fn to_integers(cases: &mut Cases) {
    for format in [F32, F64] {
        let a = cases.float(format);
        let x = if format == F64 { f64_of(a) } else { f32_of(a).into() };
        let signed = |bits| convert::saturate_signed(format, bits, Host(a)).0;
        let unsigned = |bits| convert::saturate_unsigned(format, bits, Host(a)).0;
        assert_eq!(signed(64), x as i64 as u64, "{x:e}");
        assert_eq!(signed(32), x as i32 as u64, "{x:e}");
        assert_eq!(unsigned(64), x as u64, "{x:e}");
        assert_eq!(unsigned(32), u64::from(x as u32), "{x:e}");
        let parts = convert::truncate(format, Host(a));
        let t = x.trunc();
        let exceeds = |low: f64, limit: f64| !(t >= low && t < limit);
        assert_eq!(parts.exceeds_signed(32), exceeds(-2147483648.0, 2147483648.0), "{x:e}");
        assert_eq!(parts.exceeds_signed(64), exceeds(-9223372036854775808.0, 9223372036854775808.0), "{x:e}");
        assert_eq!(parts.exceeds_unsigned(32), exceeds(0.0, 4294967296.0), "{x:e}");
        assert_eq!(parts.exceeds_unsigned(64), exceeds(0.0, 18446744073709551616.0), "{x:e}");
    }
}

/// Conversions between formats.
///
/// # Panics
/// If a result differs.
pub fn between_formats(cases: &mut Cases) {
    let a = cases.float(F32);
    let expected = bits64(f32_of(a).into());
    assert_eq!(convert::promote(Host(a)).0, expected, "{a:016x}");
    let Quick { result, trouble } = convert::promote_quick(sign_extended(F32, a));
    assert!(trouble || result.0 == expected, "quick {a:016x}");
    let near_single = cases.float(F64) & !(cases.0.bits() >> cases.0.below(40) & 0x3fff_ffff);
    for a in [cases.float(F64), expected ^ cases.0.below(4) as u64, expected ^ (1 << 28), near_single] {
        let expected = bits32(f64_of(a) as f32);
        let result = drop_lower(F32, convert::demote(Host(a)).0);
        assert_eq!(result, expected, "{a:016x}: {result:016x} {expected:016x}");
        let Quick { result, trouble } = convert::demote_quick(Host(a));
        assert!(trouble || drop_lower(F32, result.0) == expected, "quick {a:016x}");
    }
}

/// One set of operands for every routine.
///
/// # Panics
/// If a result differs.
pub fn every_routine(cases: &mut Cases) {
    BINARY.into_iter().for_each(|operation| {
        binary(operation, cases);
    });
    UNARY.iter().for_each(|check| check(cases));
}

/// The checks of all other routines.
const UNARY: [fn(&mut Cases); 6] =
    [square_roots, comparisons, roundings, from_integers, to_integers, between_formats];
