//! The operators that compute with floats.

use wasmparser::Operator;

/// The name of an operator that computes with floats in the text format; `None` for all others.
pub fn arithmetic(op: &Operator<'_>) -> Option<String> {
    computes(op).then(|| name(op).replacen('_', ".", 1))
}

/// Whether an operator computes with floats.
pub fn computes(op: &Operator<'_>) -> bool {
    let name = name(op);
    (name.contains("f32") || name.contains("f64")) && !is_move(op)
}

/// Whether an operator with floats only moves bits.
pub fn is_move(op: &Operator<'_>) -> bool {
    use Operator as Op;
    matches!(
        op,
        Op::F32Const { .. }
            | Op::F64Const { .. }
            | Op::F32Load { .. }
            | Op::F64Load { .. }
            | Op::F32Store { .. }
            | Op::F64Store { .. }
            | Op::I32ReinterpretF32
            | Op::I64ReinterpretF64
            | Op::F32ReinterpretI32
            | Op::F64ReinterpretI64
            | Op::F32x4Splat
            | Op::F64x2Splat
            | Op::F32x4ExtractLane { .. }
            | Op::F64x2ExtractLane { .. }
            | Op::F32x4ReplaceLane { .. }
            | Op::F64x2ReplaceLane { .. }
    )
}

macro_rules! names {
    ($(@$proposal:ident $op:ident $({ $($field:ident: $ty:ty),* })? => $visit:ident ($($shape:tt)*))*) => {
        /// The name of an operator: as in the text format, with an underscore in place of the dot.
        pub(crate) fn name(op: &Operator<'_>) -> &'static str {
            let name = match op {
                $(Operator::$op { .. } => stringify!($visit),)*
                _ => "",
            };
            name.strip_prefix("visit_").unwrap_or(name)
        }
    };
}

wasmparser::for_each_operator!(names);
