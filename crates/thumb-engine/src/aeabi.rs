//! Functions of the run-time ABI for floats and 64-bit integers, by the host's arithmetic.
//!
//! Arguments and results are in core registers in every variant of the calling convention. NaNs are canonical.

use crate::cpu::Cpu;

/// A function of the run-time ABI.
pub type Helper = fn(&mut Cpu);

fn single(cpu: &Cpu, n: usize) -> f32 {
    f32::from_bits(cpu.r(n))
}

fn long(cpu: &Cpu, n: usize) -> u64 {
    u64::from(cpu.r(2 * n)) | u64::from(cpu.r(2 * n + 1)) << 32
}

fn double(cpu: &Cpu, n: usize) -> f64 {
    f64::from_bits(long(cpu, n))
}

fn set_single(cpu: &mut Cpu, value: f32) {
    cpu.set_r(0, if value.is_nan() { 0x7fc0_0000 } else { value.to_bits() });
}

fn set_long(cpu: &mut Cpu, n: usize, value: u64) {
    cpu.set_r(2 * n, value as u32);
    cpu.set_r(2 * n + 1, (value >> 32) as u32);
}

fn set_double(cpu: &mut Cpu, value: f64) {
    set_long(cpu, 0, if value.is_nan() { 0x7ff8_0000_0000_0000 } else { value.to_bits() });
}

/// Helpers with two arguments of a type.
macro_rules! two {
    ($get:ident, $set:expr, |$a:ident, $b:ident| $result:expr) => {
        |cpu: &mut Cpu| {
            let ($a, $b) = ($get(cpu, 0), $get(cpu, 1));
            let result = $result;
            $set(cpu, result)
        }
    };
}

/// Helpers with one argument.
macro_rules! one {
    (|$cpu:ident| $value:expr, $set:expr) => {
        |$cpu: &mut Cpu| {
            let value = $value;
            $set($cpu, value)
        }
    };
}

fn set_flag(cpu: &mut Cpu, value: bool) {
    cpu.set_r(0, value.into());
}

fn set_word(cpu: &mut Cpu, value: u32) {
    cpu.set_r(0, value);
}

fn set_first(cpu: &mut Cpu, value: u64) {
    set_long(cpu, 0, value);
}

/// The function with this symbol; `None` if it is none of the run-time ABI's.
pub fn helper(symbol: &str) -> Option<Helper> {
    let name = symbol.strip_prefix("__aeabi_")?;
    arithmetic(name).or_else(|| comparison(name)).or_else(|| conversion(name)).or_else(|| integer(name))
}

fn arithmetic(name: &str) -> Option<Helper> {
    Some(match name {
        "fadd" => two!(single, set_single, |a, b| a + b),
        "fsub" => two!(single, set_single, |a, b| a - b),
        "fmul" => two!(single, set_single, |a, b| a * b),
        "fdiv" => two!(single, set_single, |a, b| a / b),
        "dadd" => two!(double, set_double, |a, b| a + b),
        "dsub" => two!(double, set_double, |a, b| a - b),
        "dmul" => two!(double, set_double, |a, b| a * b),
        "ddiv" => two!(double, set_double, |a, b| a / b),
        _ => return None,
    })
}

#[expect(clippy::float_cmp, reason = "they are the comparisons of IEEE 754")]
fn comparison(name: &str) -> Option<Helper> {
    Some(match name {
        "fcmpeq" => two!(single, set_flag, |a, b| a == b),
        "fcmplt" => two!(single, set_flag, |a, b| a < b),
        "fcmple" => two!(single, set_flag, |a, b| a <= b),
        "fcmpge" => two!(single, set_flag, |a, b| a >= b),
        "fcmpgt" => two!(single, set_flag, |a, b| a > b),
        "fcmpun" => two!(single, set_flag, |a, b| a.is_nan() || b.is_nan()),
        "dcmpeq" => two!(double, set_flag, |a, b| a == b),
        "dcmplt" => two!(double, set_flag, |a, b| a < b),
        "dcmple" => two!(double, set_flag, |a, b| a <= b),
        "dcmpge" => two!(double, set_flag, |a, b| a >= b),
        "dcmpgt" => two!(double, set_flag, |a, b| a > b),
        "dcmpun" => two!(double, set_flag, |a, b| a.is_nan() || b.is_nan()),
        _ => return None,
    })
}

fn conversion(name: &str) -> Option<Helper> {
    Some(match name {
        "f2d" => one!(|cpu| f64::from(single(cpu, 0)), set_double),
        "d2f" => one!(|cpu| double(cpu, 0) as f32, set_single),
        "f2iz" => one!(|cpu| single(cpu, 0) as i32 as u32, set_word),
        "f2uiz" => one!(|cpu| single(cpu, 0) as u32, set_word),
        "f2lz" => one!(|cpu| single(cpu, 0) as i64 as u64, set_first),
        "f2ulz" => one!(|cpu| single(cpu, 0) as u64, set_first),
        "d2iz" => one!(|cpu| double(cpu, 0) as i32 as u32, set_word),
        "d2uiz" => one!(|cpu| double(cpu, 0) as u32, set_word),
        "d2lz" => one!(|cpu| double(cpu, 0) as i64 as u64, set_first),
        "d2ulz" => one!(|cpu| double(cpu, 0) as u64, set_first),
        "i2f" => one!(|cpu| cpu.r(0) as i32 as f32, set_single),
        "ui2f" => one!(|cpu| cpu.r(0) as f32, set_single),
        "l2f" => one!(|cpu| long(cpu, 0) as i64 as f32, set_single),
        "ul2f" => one!(|cpu| long(cpu, 0) as f32, set_single),
        "i2d" => one!(|cpu| f64::from(cpu.r(0) as i32), set_double),
        "ui2d" => one!(|cpu| f64::from(cpu.r(0)), set_double),
        "l2d" => one!(|cpu| long(cpu, 0) as i64 as f64, set_double),
        "ul2d" => one!(|cpu| long(cpu, 0) as f64, set_double),
        _ => return None,
    })
}

/// The quotient in r0 and r1, the remainder in r2 and r3.
fn divided(cpu: &mut Cpu, quotient: u64, remainder: u64) {
    set_long(cpu, 0, quotient);
    set_long(cpu, 1, remainder);
}

fn integer(name: &str) -> Option<Helper> {
    Some(match name {
        "lmul" => two!(long, set_first, |a, b| a.wrapping_mul(b)),
        "llsl" => one!(|cpu| long(cpu, 0).checked_shl(cpu.r(2)).unwrap_or(0), set_first),
        "uldivmod" => |cpu: &mut Cpu| {
            let (a, b) = (long(cpu, 0), long(cpu, 1));
            divided(cpu, a.checked_div(b).unwrap_or(u64::MAX), a.checked_rem(b).unwrap_or(a));
        },
        "ldivmod" => |cpu: &mut Cpu| {
            let (a, b) = (long(cpu, 0) as i64, long(cpu, 1) as i64);
            let zero = if a < 0 { i64::MIN } else { i64::MAX };
            let quotient = if b == 0 { zero } else { a.wrapping_div(b) };
            let remainder = if b == 0 { a } else { a.wrapping_rem(b) };
            divided(cpu, quotient as u64, remainder as u64);
        },
        _ => return None,
    })
}
