//! Floating-point arithmetic of the host with the NaNs of the architecture.
//!
//! The host rounds as the architecture does, to nearest even, and keeps denormal numbers. Hosts differ in the NaNs that
//! they return, so every operation looks at NaNs first: without the control bit DN the result is the first signaling
//! operand, else the first quiet one, made quiet; with DN, and for an invalid operation, it is the default NaN.

use core::cmp::Ordering;

/// How a number is rounded to an integer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rounding {
    /// To the nearest one, ties to even.
    Nearest,
    /// To the nearest one, ties away from zero.
    Away,
    /// Up.
    Up,
    /// Down.
    Down,
    /// Towards zero.
    Zero,
}

/// An operation on two numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
}

/// A format of numbers, over its bits.
pub trait Real: Copy {
    /// The default NaN.
    const DEFAULT: Self;
    fn is_nan(self) -> bool;
    fn is_signaling(self) -> bool;
    fn quieted(self) -> Self;
    #[must_use]
    fn negated(self) -> Self;
    #[must_use]
    fn magnitude(self) -> Self;
    fn is_zero(self) -> bool;
    fn is_negative(self) -> bool;
    fn is_infinite(self) -> bool;
    fn host_binary(self, op: Binary, other: Self) -> Self;
    fn host_fma(self, a: Self, b: Self) -> Self;
    fn host_sqrt(self) -> Self;
    fn host_rounded(self, rounding: Rounding) -> Self;
    fn compared(self, other: Self) -> Option<Ordering>;
}

macro_rules! real {
    ($name:ident, $bits:ty, $float:ty, $quiet:expr, $default:expr) => {
        /// A number by its bits.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name(pub $bits);

        impl $name {
            pub const fn value(self) -> $float {
                <$float>::from_bits(self.0)
            }
        }

        impl Real for $name {
            const DEFAULT: Self = Self($default);

            fn is_nan(self) -> bool {
                self.value().is_nan()
            }
            fn is_signaling(self) -> bool {
                self.is_nan() && self.0 & $quiet == 0
            }
            fn quieted(self) -> Self {
                Self(self.0 | $quiet)
            }
            fn negated(self) -> Self {
                Self(self.0 ^ 1 << (<$bits>::BITS - 1))
            }
            fn magnitude(self) -> Self {
                Self(self.0 & !(1 << (<$bits>::BITS - 1)))
            }
            fn is_zero(self) -> bool {
                self.value() == 0.0
            }
            fn is_negative(self) -> bool {
                self.value().is_sign_negative()
            }
            fn is_infinite(self) -> bool {
                self.value().is_infinite()
            }
            fn host_binary(self, op: Binary, other: Self) -> Self {
                let (a, b) = (self.value(), other.value());
                let result = match op {
                    Binary::Add => a + b,
                    Binary::Sub => a - b,
                    Binary::Mul => a * b,
                    Binary::Div => a / b,
                };
                Self(result.to_bits())
            }
            fn host_fma(self, a: Self, b: Self) -> Self {
                Self(a.value().mul_add(b.value(), self.value()).to_bits())
            }
            fn host_sqrt(self) -> Self {
                Self(self.value().sqrt().to_bits())
            }
            fn host_rounded(self, rounding: Rounding) -> Self {
                let value = self.value();
                let result = match rounding {
                    Rounding::Nearest => value.round_ties_even(),
                    Rounding::Away => value.round(),
                    Rounding::Up => value.ceil(),
                    Rounding::Down => value.floor(),
                    Rounding::Zero => value.trunc(),
                };
                Self(result.to_bits())
            }
            fn compared(self, other: Self) -> Option<Ordering> {
                self.value().partial_cmp(&other.value())
            }
        }
    };
}

real!(Single, u32, f32, 0x0040_0000, 0x7fc0_0000);
real!(Double, u64, f64, 0x0008_0000_0000_0000, 0x7ff8_0000_0000_0000);

/// The NaN that an operation on these operands returns, if one of them is a NaN.
fn nan_of<T: Real>(operands: &[T], uses_default: bool) -> Option<T> {
    let signaling = operands.iter().find(|operand| operand.is_signaling());
    let nan = signaling.or_else(|| operands.iter().find(|operand| operand.is_nan()))?;
    Some(if uses_default { T::DEFAULT } else { nan.quieted() })
}

/// A result of the host for operands that are no NaNs.
fn valid<T: Real>(result: T) -> T {
    if result.is_nan() { T::DEFAULT } else { result }
}

/// An operation on two numbers; `dn` is the control bit for default NaNs.
pub fn binary<T: Real>(op: Binary, a: T, b: T, dn: bool) -> T {
    nan_of(&[a, b], dn).unwrap_or_else(|| valid(a.host_binary(op, b)))
}

/// `addend + a * b`, rounded once.
pub fn fused<T: Real>(addend: T, a: T, b: T, dn: bool) -> T {
    let is_invalid = a.is_infinite() && b.is_zero() || a.is_zero() && b.is_infinite();
    if is_invalid && !addend.is_signaling() {
        return T::DEFAULT;
    }
    nan_of(&[addend, a, b], dn).unwrap_or_else(|| valid(addend.host_fma(a, b)))
}

/// The square root.
pub fn root<T: Real>(a: T, dn: bool) -> T {
    nan_of(&[a], dn).unwrap_or_else(|| valid(a.host_sqrt()))
}

/// The nearest integer in some direction, as a number.
pub fn rounded<T: Real>(a: T, rounding: Rounding, dn: bool) -> T {
    nan_of(&[a], dn).unwrap_or_else(|| a.host_rounded(rounding))
}

/// The greater or the less of two numbers; a quiet NaN is no number.
pub fn extreme<T: Real>(a: T, b: T, wanted: Ordering, dn: bool) -> T {
    if a.is_nan() && !a.is_signaling() && !b.is_nan() {
        return b;
    }
    if b.is_nan() && !b.is_signaling() && !a.is_nan() {
        return a;
    }
    nan_of(&[a, b], dn).unwrap_or_else(|| {
        let order = match a.compared(b) {
            // Equal numbers differ in the sign of zero at most.
            Some(Ordering::Equal) => b.is_negative().cmp(&a.is_negative()),
            order => order.expect("no NaNs are left"),
        };
        if order == wanted { a } else { b }
    })
}
