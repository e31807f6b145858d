//! The operators on vectors: those of SIMD and of relaxed SIMD.

use wasmparser::{MemArg, Operator};

use crate::floats;

/// Bytes of a vector.
pub const BYTES: u32 = 16;

/// The lanes that an operator works on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub enum Lanes {
    V128,
    I8x16,
    I16x8,
    I32x4,
    I64x2,
    F32x4,
    F64x2,
}

impl Lanes {
    /// The lanes with a name of the text format.
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "v128" => Self::V128,
            "i8x16" => Self::I8x16,
            "i16x8" => Self::I16x8,
            "i32x4" => Self::I32x4,
            "i64x2" => Self::I64x2,
            "f32x4" => Self::F32x4,
            "f64x2" => Self::F64x2,
            _ => return None,
        })
    }

    /// Bits of a lane.
    pub fn bits(self) -> u32 {
        match self {
            Self::V128 => 128,
            Self::I8x16 => 8,
            Self::I16x8 => 16,
            Self::I32x4 | Self::F32x4 => 32,
            Self::I64x2 | Self::F64x2 => 64,
        }
    }
}

/// Lanes and operation of an operator: `I8x16` and `add_sat_s`. `None` for operators without vectors.
pub fn parts(op: &Operator<'_>) -> Option<(Lanes, &'static str)> {
    let (lanes, operation) = floats::name(op).split_once('_')?;
    Some((Lanes::of_name(lanes)?, operation))
}

/// Whether an operator is one of the two proposals.
pub fn is_vector(op: &Operator<'_>) -> bool {
    parts(op).is_some()
}

/// Whether the last immediate of an operator is a lane, of one byte.
pub fn has_lane(op: &Operator<'_>) -> bool {
    parts(op).is_some_and(|(_, operation)| operation.contains("_lane"))
}

/// The operand and width in bytes of an operator that accesses memory.
pub fn memory_access(op: &Operator<'_>) -> Option<(MemArg, u32)> {
    use Operator as Op;
    match *op {
        Op::V128Load { memarg } | Op::V128Store { memarg } => Some((memarg, BYTES)),
        Op::V128Load8x8S { memarg }
        | Op::V128Load8x8U { memarg }
        | Op::V128Load16x4S { memarg }
        | Op::V128Load16x4U { memarg }
        | Op::V128Load32x2S { memarg }
        | Op::V128Load32x2U { memarg }
        | Op::V128Load64Splat { memarg }
        | Op::V128Load64Zero { memarg }
        | Op::V128Load64Lane { memarg, .. }
        | Op::V128Store64Lane { memarg, .. } => Some((memarg, 8)),
        Op::V128Load32Splat { memarg }
        | Op::V128Load32Zero { memarg }
        | Op::V128Load32Lane { memarg, .. }
        | Op::V128Store32Lane { memarg, .. } => Some((memarg, 4)),
        Op::V128Load16Splat { memarg }
        | Op::V128Load16Lane { memarg, .. }
        | Op::V128Store16Lane { memarg, .. } => Some((memarg, 2)),
        Op::V128Load8Splat { memarg }
        | Op::V128Load8Lane { memarg, .. }
        | Op::V128Store8Lane { memarg, .. } => Some((memarg, 1)),
        _ => None,
    }
}
