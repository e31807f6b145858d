//! The machine that float routines are written for: words of 64 bits, without control flow.
//!
//! A routine is generic over [`Word`]. Instantiated with [`Host`], it computes on this machine, for tests and for
//! folding constants; instantiated by the frontend, it appends instructions.

use std::ops::{Add, BitAnd, BitOr, BitXor, Mul, Not, Sub};

/// A word of 64 bits. Arithmetic is modulo 2^64.
pub trait Word:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
    + Not<Output = Self>
{
    /// A truth value.
    type Bit: Bit<Self>;

    /// A constant.
    fn constant(self, value: u64) -> Self;
    /// Shift to the left by a number of bits, taken modulo 64.
    fn shl(self, bits: Self) -> Self;
    /// Shift to the right, zeros coming in, by a number of bits, taken modulo 64.
    fn shr(self, bits: Self) -> Self;
    /// Shift to the right, copies of the sign coming in, by a number of bits, taken modulo 64.
    fn sar(self, bits: Self) -> Self;
    /// Rotation to the left by a constant.
    fn rotate_left(self, bits: u32) -> Self;
    /// The upper 64 bits of the unsigned product of 128 bits.
    fn mul_high(self, other: Self) -> Self;
    /// The number of leading zeros; 64 for 0.
    fn leading_zeros(self) -> Self;
    /// The larger of two unsigned words.
    fn max(self, other: Self) -> Self;
    /// The smaller of two unsigned words.
    fn min(self, other: Self) -> Self;
    /// Whether an unsigned word is less than another.
    fn below(self, other: Self) -> Self::Bit;
    /// Whether a signed word is less than another.
    fn less(self, other: Self) -> Self::Bit;
    /// Whether two words are equal.
    fn equals(self, other: Self) -> Self::Bit;

    /// [`shl`](Self::shl) by a constant.
    fn left(self, bits: u32) -> Self {
        self.shl(self.constant(bits.into()))
    }

    /// [`shr`](Self::shr) by a constant.
    fn right(self, bits: u32) -> Self {
        self.shr(self.constant(bits.into()))
    }

    /// All bits are copies of the sign.
    fn spread_sign(self) -> Self {
        self.sar(self.constant(63))
    }

    /// Sum with a constant.
    fn plus(self, value: i64) -> Self {
        self + self.constant(value as u64)
    }

    /// Intersection with a constant.
    fn mask(self, value: u64) -> Self {
        self & self.constant(value)
    }

    /// Union with a constant.
    fn with(self, value: u64) -> Self {
        self | self.constant(value)
    }

    /// Whether an unsigned word is less than a constant.
    fn is_below(self, value: u64) -> Self::Bit {
        self.below(self.constant(value))
    }

    /// Whether an unsigned word is greater than a constant.
    fn is_above(self, value: u64) -> Self::Bit {
        self.constant(value).below(self)
    }

    /// Whether the word equals a constant.
    fn is(self, value: u64) -> Self::Bit {
        self.equals(self.constant(value))
    }

    /// 1 if any bit is set, else 0.
    fn any(self) -> Self {
        self.is_above(0).word()
    }
}

/// A truth value.
pub trait Bit<W>: Copy + BitAnd<Output = Self> + BitOr<Output = Self> + Not<Output = Self> {
    /// One of two words.
    fn select(self, if_true: W, if_false: W) -> W;
    /// 1 or 0.
    fn word(self) -> W;
}

/// A word of this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Host(pub u64);

macro_rules! host_operators {
    ($($trait:ident $name:ident $function:ident),*) => {
        $(impl $trait for Host {
            type Output = Self;
            fn $name(self, other: Self) -> Self {
                Self(self.0.$function(other.0))
            }
        })*
    };
}

host_operators!(Add add wrapping_add, Sub sub wrapping_sub, Mul mul wrapping_mul);
host_operators!(BitAnd bitand bitand, BitOr bitor bitor, BitXor bitxor bitxor);

impl Not for Host {
    type Output = Self;
    fn not(self) -> Self {
        Self(!self.0)
    }
}

impl Word for Host {
    type Bit = bool;

    fn constant(self, value: u64) -> Self {
        Self(value)
    }
    fn shl(self, bits: Self) -> Self {
        Self(self.0 << (bits.0 & 63))
    }
    fn shr(self, bits: Self) -> Self {
        Self(self.0 >> (bits.0 & 63))
    }
    fn sar(self, bits: Self) -> Self {
        Self((self.0 as i64 >> (bits.0 & 63)) as u64)
    }
    fn rotate_left(self, bits: u32) -> Self {
        Self(self.0.rotate_left(bits))
    }
    fn mul_high(self, other: Self) -> Self {
        Self(((u128::from(self.0) * u128::from(other.0)) >> 64) as u64)
    }
    fn leading_zeros(self) -> Self {
        Self(self.0.leading_zeros().into())
    }
    fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }
    fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }
    fn below(self, other: Self) -> bool {
        self.0 < other.0
    }
    fn less(self, other: Self) -> bool {
        (self.0 as i64) < (other.0 as i64)
    }
    fn equals(self, other: Self) -> bool {
        self.0 == other.0
    }
}

impl Bit<Host> for bool {
    fn select(self, if_true: Host, if_false: Host) -> Host {
        if self { if_true } else { if_false }
    }
    fn word(self) -> Host {
        Host(self.into())
    }
}
