//! Long runs of the float routines against the floating-point unit of this machine. They do little unless the
//! environment asks for more:
//!
//! - `FLOAT_EXHAUSTIVE=1`: all 2^32 floats in single precision, and all integers of 32 bits, through every operation
//!   with one operand.
//! - `FLOAT_SETS`, `FLOAT_SEED`: the number of random pairs of hard operands per format through every operation with
//!   two, and their seed.

use random::Rng;
use runtime::float::rounding::Direction;
use runtime::float::routines::{Operation, Routine};
use runtime::float::{F32, F64, Format, Host, convert};
use runtime::testing;

fn variable<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Bits of singles as the routines take them, and of results with the canonical NaN.
fn single(float: f32) -> u32 {
    if float.is_nan() { 0x7fc0_0000 } else { float.to_bits() }
}

fn double(float: f64) -> u64 {
    if float.is_nan() { 0x7ff8_0000_0000_0000 } else { float.to_bits() }
}

/// The low bits of a float with sign-extended bits.
fn sign_extended(format: Format, bits: u64) -> Host {
    Host(if format == F64 { bits } else { bits as u32 as i32 as u64 })
}

fn at_top(format: Format, bits: u64) -> Host {
    Host(bits << format.lowest())
}

/// The result of an operation, by its general routine; the quick one must agree where it holds.
#[inline(always)]
fn result<const N: usize>(operation: Operation, format: Format, operands: [u64; N]) -> u64 {
    let routine = Routine::new(operation, format);
    let place = if routine.is_sign_extended() { sign_extended } else { at_top };
    let placed = operands.map(|bits| place(format, bits));
    let general = routine.general(&placed).0;
    let target = routine.result();
    if routine.is_sign_extended() {
        return general & (u64::MAX >> target.lowest());
    }
    let general = general >> target.lowest();
    if operation.has_quick_case() {
        let extended = operands.map(|bits| sign_extended(format, bits));
        let quick = routine.quick(&extended);
        assert!(
            quick.trouble || quick.result.0 >> target.lowest() == general,
            "quick {operation:?} {format:?} {operands:x?}: {:x}, and {general:x} by the general routine",
            quick.result.0 >> target.lowest()
        );
    }
    general
}

#[inline(always)]
fn check<const N: usize>(operation: Operation, format: Format, operands: [u64; N], expected: u64) {
    let result = result(operation, format, operands);
    assert_eq!(result, expected, "{operation:?} {format:?} {operands:x?}: {result:x}, not {expected:x}");
}

/// Runs a check of one word on all words of 32 bits, or on some of them.
fn for_all_words(check: impl Fn(u32) + Sync) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u32;
    let step = if variable("FLOAT_EXHAUSTIVE", 0) == 1 { 1 } else { 65_521 };
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let check = &check;
            scope.spawn(move || {
                let mut word = thread * step;
                loop {
                    check(word);
                    match word.checked_add(threads * step) {
                        Some(next) => word = next,
                        None => return,
                    }
                }
            });
        }
    });
}

#[test]
fn operations_with_one_single() {
    for_all_words(|bits| {
        let x = f32::from_bits(bits);
        let check = |operation, expected: f32| check(operation, F32, [bits.into()], single(expected).into());
        check(Operation::Sqrt, x.sqrt());
        check(Operation::Round(Direction::Ceil), x.ceil());
        check(Operation::Round(Direction::Floor), x.floor());
        check(Operation::Round(Direction::Trunc), x.trunc());
        check(Operation::Round(Direction::Nearest), x.round_ties_even());
    });
}

#[test]
fn conversions_of_singles() {
    for_all_words(|bits| {
        let x = f32::from_bits(bits);
        check(Operation::Promote, F32, [bits.into()], double(x.into()));
        let float = at_top(F32, bits.into());
        assert_eq!(convert::saturate_signed(F32, 32, float).0, x as i32 as u64, "{bits:x}");
        assert_eq!(convert::saturate_signed(F32, 64, float).0, x as i64 as u64, "{bits:x}");
        assert_eq!(convert::saturate_unsigned(F32, 32, float).0, u64::from(x as u32), "{bits:x}");
        assert_eq!(convert::saturate_unsigned(F32, 64, float).0, x as u64, "{bits:x}");
        let parts = convert::truncate(F32, float);
        let fits = |low: f32, high: f32| x.trunc() >= low && x.trunc() < high;
        assert_eq!(!parts.exceeds_signed(32), fits(-2147483648.0, 2147483648.0), "{bits:x}");
        assert_eq!(!parts.exceeds_unsigned(32), fits(0.0, 4294967296.0), "{bits:x}");
        assert_eq!(
            !parts.exceeds_signed(64),
            fits(-9223372036854775808.0, 9223372036854775808.0),
            "{bits:x}"
        );
        assert_eq!(!parts.exceeds_unsigned(64), fits(0.0, 18446744073709551616.0), "{bits:x}");
    });
}

#[test]
fn conversions_of_words() {
    for_all_words(|bits| {
        let [signed, unsigned] = [bits as i32 as u64, u64::from(bits)];
        check_integer(F32, Operation::FromSigned, signed, single(bits as i32 as f32).into());
        check_integer(F32, Operation::FromUnsigned, unsigned, single(bits as f32).into());
        assert_eq!(convert::from_small(Host(signed)).0, double((bits as i32).into()), "{bits:x}");
        assert_eq!(convert::from_small(Host(unsigned)).0, double(bits.into()), "{bits:x}");
    });
}

fn check_integer(format: Format, operation: Operation, integer: u64, expected: u64) {
    let float = Routine::new(operation, format).general(&[Host(integer)]).0 >> format.lowest();
    assert_eq!(float, expected, "{operation:?} {format:?} {integer:x}");
}

/// Hard operands.
struct Hard(Rng);

impl Hard {
    /// The bits of a float: special, near a power of two, with a short fraction, or any.
    fn float(&mut self, format: Format) -> u64 {
        let random = self.0.bits();
        let (max, fraction) = (format.max_exponent() as usize, format.fraction);
        let exponent = match random % 8 {
            0 => [0, 0, 1, 2, max - 2, max - 1, max, max][(random >> 3) as usize % 8],
            1 => (random >> 3) as usize % (max + 1),
            2 => max / 2 + fraction as usize + (random >> 3) as usize % 14,
            _ => max / 2 - 32 + (random >> 3) as usize % 64,
        };
        let ones = (1 << fraction) - 1;
        let any = self.0.bits();
        let length = (any >> 58) as u32 % (fraction + 1);
        let low = match (any >> 55) % 8 {
            0 => 0,
            1 => ones,
            2 => 1 << length.min(fraction - 1),
            3 => ones >> length,
            4 => any & ones & !(ones >> length),
            5 => any & (ones >> length),
            _ => any & ones,
        };
        let sign = (random >> 63) << (format.exponent + fraction);
        sign | (exponent as u64) << fraction | low
    }

    /// Two floats: independent, close to each other, a pair whose sum or product is nearly halfway between two floats,
    /// or one whose result is at the border of the subnormal floats.
    fn pair(&mut self, format: Format) -> [u64; 2] {
        let a = self.float(format);
        let random = self.0.bits();
        let sign = (random >> 63) << (format.exponent + format.fraction);
        let magnitude = (u64::MAX >> format.lowest()) >> 1;
        let b = match random % 6 {
            0 => (a & magnitude).wrapping_add(random >> 3 & 7).wrapping_sub(3) & magnitude | sign,
            1 => {
                let below = (random >> 3) % u64::from(format.fraction + 4);
                (a & magnitude).saturating_sub(below << format.fraction) | sign
            }
            2 => {
                let exponent = format.bias() as u64 + (random >> 3) % 4;
                let other = (a & magnitude) >> format.fraction;
                let wanted = exponent.saturating_sub(other) << format.fraction;
                wanted | random >> 10 & ((1 << format.fraction) - 1) | sign
            }
            _ => self.float(format),
        };
        [a, b]
    }
}

#[test]
fn pairs_of_hard_operands() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let sets: u64 = variable("FLOAT_SETS", 100_000);
    let seed: u64 = variable("FLOAT_SEED", 0);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                let mut cases = Hard(Rng::new(seed.wrapping_mul(64) + thread));
                for _ in 0..sets / threads {
                    pair_of_singles(cases.pair(F32));
                    pair_of_doubles(cases.pair(F64));
                    integer(cases.0.bits() >> (cases.0.bits() % 64));
                }
            });
        }
    });
}

fn pair_of_singles(pair: [u64; 2]) {
    let [a, b] = pair.map(|bits| f32::from_bits(bits as u32));
    let check = |operation, expected: f32| check(operation, F32, pair, single(expected).into());
    check(Operation::Add, a + b);
    check(Operation::Mul, a * b);
    check(Operation::Div, a / b);
    compare(F32, pair, [a.into(), b.into()]);
}

fn pair_of_doubles(pair: [u64; 2]) {
    let [a, b] = pair.map(f64::from_bits);
    let check = |operation, expected: f64| check(operation, F64, pair, double(expected));
    check(Operation::Add, a + b);
    check(Operation::Mul, a * b);
    check(Operation::Div, a / b);
    compare(F64, pair, [a, b]);
    one_double(pair[0], a);
}

fn one_double(bits: u64, x: f64) {
    let check_bits = |operation, expected: u64| check(operation, F64, [bits], expected);
    check_bits(Operation::Sqrt, double(x.sqrt()));
    check_bits(Operation::Demote, single(x as f32).into());
    check_bits(Operation::Round(Direction::Ceil), double(x.ceil()));
    check_bits(Operation::Round(Direction::Floor), double(x.floor()));
    check_bits(Operation::Round(Direction::Trunc), double(x.trunc()));
    check_bits(Operation::Round(Direction::Nearest), double(x.round_ties_even()));
    let float = Host(bits);
    assert_eq!(convert::saturate_signed(F64, 32, float).0, x as i32 as u64, "{bits:x}");
    assert_eq!(convert::saturate_signed(F64, 64, float).0, x as i64 as u64, "{bits:x}");
    assert_eq!(convert::saturate_unsigned(F64, 32, float).0, u64::from(x as u32), "{bits:x}");
    assert_eq!(convert::saturate_unsigned(F64, 64, float).0, x as u64, "{bits:x}");
}

fn integer(n: u64) {
    check_integer(F32, Operation::FromSigned, n, single(n as i64 as f32).into());
    check_integer(F32, Operation::FromUnsigned, n, single(n as f32).into());
    check_integer(F64, Operation::FromSigned, n, double(n as i64 as f64));
    check_integer(F64, Operation::FromUnsigned, n, double(n as f64));
}

fn compare(format: Format, pair: [u64; 2], [x, y]: [f64; 2]) {
    testing::all_comparisons(format, pair.map(|bits| sign_extended(format, bits)), [x, y]);
    let has_nan = x.is_nan() || y.is_nan();
    let is_first_less = if x == y { pair[0] > pair[1] } else { x < y };
    let nan = format.nan() >> format.lowest();
    let [less, more] = if is_first_less { pair } else { [pair[1], pair[0]] };
    check(Operation::Min, format, pair, if has_nan { nan } else { less });
    check(Operation::Max, format, pair, if has_nan { nan } else { more });
}
