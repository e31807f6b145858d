//! Shifts with their carry.

use thumb_isa::Shift;

/// A shift by a constant, with the carry flag after it.
#[inline]
pub fn by_constant(value: u32, shift: Shift, carry: bool) -> (u32, bool) {
    match shift {
        Shift::Lsl(n) => left(value, n.into(), carry),
        Shift::Lsr(n) => right(value, n.into(), carry),
        Shift::Asr(n) => arithmetic(value, n.into(), carry),
        Shift::Ror(n) => rotate(value, n.into(), carry),
        Shift::Rrx => ((carry as u32) << 31 | value >> 1, value & 1 == 1),
    }
}

/// A shift to the left by any amount.
pub const fn left(value: u32, n: u32, carry: bool) -> (u32, bool) {
    match n {
        0 => (value, carry),
        1..=31 => (value << n, value >> (32 - n) & 1 == 1),
        32 => (0, value & 1 == 1),
        _ => (0, false),
    }
}

/// A shift to the right by any amount, filling with zeros.
pub const fn right(value: u32, n: u32, carry: bool) -> (u32, bool) {
    match n {
        0 => (value, carry),
        1..=31 => (value >> n, value >> (n - 1) & 1 == 1),
        32 => (0, value >> 31 == 1),
        _ => (0, false),
    }
}

/// A shift to the right by any amount, filling with the sign.
pub const fn arithmetic(value: u32, n: u32, carry: bool) -> (u32, bool) {
    match n {
        0 => (value, carry),
        1..=31 => ((value as i32 >> n) as u32, value >> (n - 1) & 1 == 1),
        _ => ((value as i32 >> 31) as u32, value >> 31 == 1),
    }
}

/// A rotation to the right by any amount.
pub const fn rotate(value: u32, n: u32, carry: bool) -> (u32, bool) {
    if n == 0 {
        return (value, carry);
    }
    let result = value.rotate_right(n % 32);
    (result, result >> 31 == 1)
}
