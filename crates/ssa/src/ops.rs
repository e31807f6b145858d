//! Types and operators of instructions: closed lists.
//!
//! Results outside of an operator's domain are unspecified, never a trap. The frontend has checked the operands.

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Type {
    /// 32-bit integer; also every address and every boolean (0 or 1).
    I32,
    /// 64-bit integer; also every function and external reference.
    I64,
    /// IEEE single.
    F32,
    /// IEEE double.
    F64,
}

impl Type {
    /// Width in bits.
    pub const fn bits(self) -> u32 {
        match self {
            Self::I32 | Self::F32 => 32,
            Self::I64 | Self::F64 => 64,
        }
    }

    /// The integer type of the same width.
    pub const fn to_int(self) -> Self {
        match self {
            Self::I32 | Self::F32 => Self::I32,
            Self::I64 | Self::F64 => Self::I64,
        }
    }

    /// Whether this is an integer type.
    pub const fn is_int(self) -> bool {
        matches!(self, Self::I32 | Self::I64)
    }
}

/// One operand, one result.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UnaryOp {
    /// Leading zeros; the width for 0.
    Clz,
    /// Trailing zeros; the width for 0.
    Ctz,
    /// Number of ones.
    Popcnt,
    /// Byte swap of the whole width.
    Bswap,
    /// Bit reversal of the whole width.
    Bitrev,
    /// Sign-extends the low 8 bits; operand and result have the same type.
    Sext8,
    /// Sign-extends the low 16 bits; operand and result have the same type.
    Sext16,
    /// `i32` to `i64`, signed.
    Sext,
    /// `i32` to `i64`, unsigned.
    Zext,
    /// `i64` to `i32`, the low half.
    Trunc,
    /// Float negation (sign bit flip).
    Fneg,
    /// Float absolute value (sign bit clear).
    Fabs,
    /// Square root.
    Fsqrt,
    /// Round up.
    Fceil,
    /// Round down.
    Ffloor,
    /// Round to zero.
    Ftrunc,
    /// Round to nearest, ties to even.
    Fnearest,
    /// `f32` to `f64`.
    Fpromote,
    /// `f64` to `f32`.
    Fdemote,
    /// Float to signed integer; unspecified when out of range (the frontend has checked).
    FtoS,
    /// Float to unsigned integer; unspecified when out of range (the frontend has checked).
    FtoU,
    /// Float to signed integer, saturating, 0 for NaN.
    FtoSSat,
    /// Float to unsigned integer, saturating, 0 for NaN.
    FtoUSat,
    /// Signed integer to float.
    StoF,
    /// Unsigned integer to float.
    UtoF,
    /// Same bits, other type of the same width.
    Bitcast,
}

/// Two operands of one type, one result of that type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BinaryOp {
    /// Wrapping addition.
    Add,
    /// Wrapping subtraction.
    Sub,
    /// Wrapping multiplication.
    Mul,
    /// High half of the signed double-width product.
    MulhS,
    /// High half of the unsigned double-width product.
    MulhU,
    /// Signed division towards zero; unspecified for a zero divisor and `MIN / -1` (the frontend has checked).
    DivS,
    /// Unsigned division; unspecified for a zero divisor.
    DivU,
    /// Signed remainder; unspecified for a zero divisor and for `MIN % -1`.
    RemS,
    /// Unsigned remainder; unspecified for a zero divisor.
    RemU,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// Left shift; unspecified when the count is not below the width.
    Shl,
    /// Arithmetic right shift; unspecified when the count is not below the width.
    ShrS,
    /// Logical right shift; unspecified when the count is not below the width.
    ShrU,
    /// Rotate left by the count modulo the width.
    Rotl,
    /// Rotate right by the count modulo the width.
    Rotr,
    /// Signed minimum.
    MinS,
    /// Signed maximum.
    MaxS,
    /// Unsigned minimum.
    MinU,
    /// Unsigned maximum.
    MaxU,
    /// Float addition.
    Fadd,
    /// Float subtraction.
    Fsub,
    /// Float multiplication.
    Fmul,
    /// Float division.
    Fdiv,
    /// Wasm float minimum (NaN-propagating, -0 below +0).
    Fmin,
    /// Wasm float maximum.
    Fmax,
    /// Magnitude of the first, sign of the second.
    Fcopysign,
}

/// Integer comparison.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cond {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Signed less.
    LtS,
    /// Signed less or equal.
    LeS,
    /// Signed greater.
    GtS,
    /// Signed greater or equal.
    GeS,
    /// Unsigned less.
    LtU,
    /// Unsigned less or equal.
    LeU,
    /// Unsigned greater.
    GtU,
    /// Unsigned greater or equal.
    GeU,
}

impl Cond {
    /// The condition that holds exactly when `self` doesn't.
    pub const fn inverse(self) -> Self {
        match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::LtS => Self::GeS,
            Self::LeS => Self::GtS,
            Self::GtS => Self::LeS,
            Self::GeS => Self::LtS,
            Self::LtU => Self::GeU,
            Self::LeU => Self::GtU,
            Self::GtU => Self::LeU,
            Self::GeU => Self::LtU,
        }
    }

    /// The condition for exchanged operands: `a self b == b swapped a`.
    pub const fn swapped(self) -> Self {
        match self {
            Self::Eq => Self::Eq,
            Self::Ne => Self::Ne,
            Self::LtS => Self::GtS,
            Self::LeS => Self::GeS,
            Self::GtS => Self::LtS,
            Self::GeS => Self::LeS,
            Self::LtU => Self::GtU,
            Self::LeU => Self::GeU,
            Self::GtU => Self::LtU,
            Self::GeU => Self::LeU,
        }
    }
}

/// Float comparison, with LLVM's names: `O` is false and `U` is true when an operand is NaN.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names are LLVM's predicates")]
pub enum FCond {
    Oeq,
    One,
    Olt,
    Ole,
    Ogt,
    Oge,
    Ord,
    Ueq,
    Une,
    Ult,
    Ule,
    Ugt,
    Uge,
    Uno,
}

/// Width of a memory access, and how a load extends it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MemType {
    /// One byte; a load zero-extends.
    U8,
    /// One byte; a load sign-extends.
    S8,
    /// Two bytes, zero-extended.
    U16,
    /// Two bytes, sign-extended.
    S16,
    /// Four bytes; zero-extended when loaded as `i64`.
    U32,
    /// Four bytes, sign-extended when loaded as `i64`.
    S32,
    /// Eight bytes.
    I64,
    /// Four bytes, as `f32`.
    F32,
    /// Eight bytes, as `f64`.
    F64,
}

impl MemType {
    /// Width of the access in bytes.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::U8 | Self::S8 => 1,
            Self::U16 | Self::S16 => 2,
            Self::U32 | Self::S32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }
}
