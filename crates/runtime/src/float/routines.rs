//! The operations that are functions of the program rather than inlined: their symbols, signatures and bodies.
//!
//! An operation with a quick case is two functions. The one that is called has the quick case and calls the other, the
//! general one, where that doesn't hold.

use ssa::Type;

use super::arithmetic::{self, Quick};
use super::convert;
use super::format::{F32, F64, Format};
use super::order;
use super::rounding::{Direction, round_to_integer};
use super::word::Word;

/// An operation on floats of a format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// The sum.
    Add,
    /// The product.
    Mul,
    /// The quotient.
    Div,
    /// The square root.
    Sqrt,
    /// Single precision to double precision.
    Promote,
    /// Double precision to single precision.
    Demote,
    /// The minimum.
    Min,
    /// The maximum.
    Max,
    /// Rounding to an integer that is a float.
    Round(Direction),
    /// A signed integer of 64 bits to a float.
    FromSigned,
    /// An unsigned integer of 64 bits to a float.
    FromUnsigned,
}

/// All operations with their names.
const OPERATIONS: [(Operation, &str); 14] = [
    (Operation::Add, "add"),
    (Operation::Mul, "mul"),
    (Operation::Div, "div"),
    (Operation::Sqrt, "sqrt"),
    (Operation::Promote, "promote"),
    (Operation::Demote, "demote"),
    (Operation::Min, "min"),
    (Operation::Max, "max"),
    (Operation::Round(Direction::Ceil), "ceil"),
    (Operation::Round(Direction::Floor), "floor"),
    (Operation::Round(Direction::Trunc), "trunc"),
    (Operation::Round(Direction::Nearest), "nearest"),
    (Operation::FromSigned, "convert_s"),
    (Operation::FromUnsigned, "convert_u"),
];

impl Operation {
    /// Whether there is a quick case.
    pub const fn has_quick_case(self) -> bool {
        matches!(self, Self::Add | Self::Mul | Self::Div | Self::Sqrt | Self::Promote | Self::Demote)
    }
}

/// A function for an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Routine {
    /// The operation.
    pub operation: Operation,
    /// The format of operands; for conversions from integers, of the result.
    pub format: Format,
    /// Whether it is the general function of an operation with a quick case.
    pub is_general: bool,
}

impl Routine {
    /// The function to call for an operation.
    pub const fn new(operation: Operation, format: Format) -> Self {
        Self { operation, format, is_general: false }
    }

    /// All functions.
    pub fn all() -> impl Iterator<Item = Self> {
        let operations = [F32, F64].into_iter().flat_map(|format| OPERATIONS.map(|(op, _)| (op, format)));
        let exists = |&(operation, format): &(Operation, Format)| match operation {
            Operation::Promote => format == F32,
            Operation::Demote => format == F64,
            _ => true,
        };
        operations.filter(exists).flat_map(|(operation, format)| {
            let called = Self::new(operation, format);
            let general = operation.has_quick_case().then_some(Self { is_general: true, ..called });
            std::iter::once(called).chain(general)
        })
    }

    /// The function's symbol.
    pub fn symbol(self) -> String {
        let (_, name) = OPERATIONS.iter().find(|(op, _)| *op == self.operation).expect("all are listed");
        let format = if self.format == F64 { "f64" } else { "f32" };
        let suffix = if self.is_general { "_general" } else { "" };
        format!("__wasm_{format}_{name}{suffix}")
    }

    /// The parameters: integers, or floats by their bits.
    pub fn params(self) -> Vec<Type> {
        let operand = match self.operation {
            Operation::FromSigned | Operation::FromUnsigned => Type::I64,
            _ => bits_of(self.format),
        };
        let count = match self.operation {
            Operation::Add | Operation::Mul | Operation::Div | Operation::Min | Operation::Max => 2,
            _ => 1,
        };
        vec![operand; count]
    }

    /// The format of the result.
    pub const fn result(self) -> Format {
        match self.operation {
            Operation::Promote => F64,
            Operation::Demote => F32,
            _ => self.format,
        }
    }

    /// The result in the quick case, of floats with sign-extended bits. Panics if there is none.
    pub fn quick<W: Word>(self, operands: &[W]) -> Quick<W> {
        let pair = || [operands[0], operands[1]];
        match self.operation {
            Operation::Add => arithmetic::add_quick(self.format, pair()),
            Operation::Mul => arithmetic::mul_quick(self.format, pair()),
            Operation::Div => arithmetic::div_quick(self.format, pair()),
            Operation::Sqrt => arithmetic::sqrt_quick(self.format, operands[0]),
            Operation::Promote => convert::promote_quick(operands[0]),
            Operation::Demote => convert::demote_quick(operands[0]),
            _ => panic!("{:?} has no quick case", self.operation),
        }
    }

    /// Whether operands and result of the general routine are floats with sign-extended bits, rather than at the top of a
    /// word.
    pub const fn is_sign_extended(self) -> bool {
        matches!(self.operation, Operation::Min | Operation::Max)
    }

    /// The result in any case. Operands are floats at the top of a word or with [sign-extended](Self::is_sign_extended)
    /// bits, or integers.
    pub fn general<W: Word>(self, operands: &[W]) -> W {
        let pair = || [operands[0], operands[1]];
        match self.operation {
            Operation::Add => arithmetic::add(self.format, pair()),
            Operation::Mul => arithmetic::mul(self.format, pair()),
            Operation::Div => arithmetic::div(self.format, pair()),
            Operation::Sqrt => arithmetic::sqrt(self.format, operands[0]),
            Operation::Promote => convert::promote(operands[0]),
            Operation::Demote => convert::demote(operands[0]),
            Operation::Min => order::min(self.format, pair()),
            Operation::Max => order::max(self.format, pair()),
            Operation::Round(direction) => round_to_integer(self.format, direction, operands[0]),
            Operation::FromSigned => convert::from_signed(self.format, operands[0]),
            Operation::FromUnsigned => convert::from_unsigned(self.format, operands[0]),
        }
    }
}

/// The integer type with the bits of a format.
pub fn bits_of(format: Format) -> Type {
    if format == F64 { Type::I64 } else { Type::I32 }
}
