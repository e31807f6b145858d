//! Typing rules: the operand and result types that each opcode accepts.
//!
//! The verifier and the generator of random functions share these rules, so the verifier accepts every generated
//! function.

use crate::{BinaryOp, InstData, MemType, Module, Type, UnaryOp};

impl Type {
    /// Whether this is a float type.
    pub const fn is_float(self) -> bool {
        !self.is_int()
    }
}

impl UnaryOp {
    /// Whether the operation turns an `operand` into a `result`.
    pub fn accepts(self, result: Type, operand: Type) -> bool {
        match self {
            Self::Clz
            | Self::Ctz
            | Self::Popcnt
            | Self::Bswap
            | Self::Bitrev
            | Self::Sext8
            | Self::Sext16 => result.is_int() && operand == result,
            Self::Sext | Self::Zext => (result, operand) == (Type::I64, Type::I32),
            Self::Trunc => (result, operand) == (Type::I32, Type::I64),
            Self::Fneg
            | Self::Fabs
            | Self::Fsqrt
            | Self::Fceil
            | Self::Ffloor
            | Self::Ftrunc
            | Self::Fnearest => result.is_float() && operand == result,
            Self::Fpromote => (result, operand) == (Type::F64, Type::F32),
            Self::Fdemote => (result, operand) == (Type::F32, Type::F64),
            Self::FtoS | Self::FtoU | Self::FtoSSat | Self::FtoUSat => result.is_int() && operand.is_float(),
            Self::StoF | Self::UtoF => result.is_float() && operand.is_int(),
            Self::Bitcast => result.bits() == operand.bits() && result != operand,
        }
    }
}

impl BinaryOp {
    /// Whether this computes on floats.
    pub const fn is_float(self) -> bool {
        matches!(
            self,
            Self::Fadd | Self::Fsub | Self::Fmul | Self::Fdiv | Self::Fmin | Self::Fmax | Self::Fcopysign
        )
    }
}

impl MemType {
    /// Whether an access of this width may load or store a value of type `ty`.
    pub const fn fits(self, ty: Type) -> bool {
        match self {
            Self::U8 | Self::S8 | Self::U16 | Self::S16 | Self::U32 | Self::S32 => ty.is_int(),
            Self::I64 => matches!(ty, Type::I64),
            Self::F32 => matches!(ty, Type::F32),
            Self::F64 => matches!(ty, Type::F64),
        }
    }

    /// Whether stores use it: sign-extending forms only make sense for loads.
    pub const fn is_store(self) -> bool {
        !matches!(self, Self::S8 | Self::S16 | Self::S32)
    }
}

impl Module {
    /// The types of an instruction's results. Panics when it names a function or signature that doesn't exist.
    pub fn result_types(&self, data: &InstData) -> Vec<Type> {
        match data {
            InstData::Const { ty, .. }
            | InstData::Unary { ty, .. }
            | InstData::Binary { ty, .. }
            | InstData::Select { ty, .. }
            | InstData::Load { ty, .. } => vec![*ty],
            InstData::DataAddr { .. }
            | InstData::FrameAddr { .. }
            | InstData::Icmp { .. }
            | InstData::Fcmp { .. } => vec![Type::I32],
            InstData::FuncRef { .. } => vec![Type::I64],
            InstData::Call { func, .. } => self.signature_of(*func).results.clone(),
            InstData::CallIndirect { sig, .. } => self.signatures[*sig].results.clone(),
            InstData::Store { .. }
            | InstData::Jump { .. }
            | InstData::Branch { .. }
            | InstData::Switch { .. }
            | InstData::Return { .. }
            | InstData::TailCall { .. }
            | InstData::TailCallIndirect { .. }
            | InstData::Trap { .. } => Vec::new(),
        }
    }
}
