//! Names of wasm operators in the text format.

use wasmparser::Operator;

macro_rules! visitor_names {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $ty:ty),* })? => $visit:ident ($($types:tt)*))*) => {
        /// The name of the visitor's method for an operator.
        #[allow(clippy::too_many_lines, reason = "one arm for each operator")]
        fn visitor_name(op: &Operator<'_>) -> &'static str {
            match op {
                $(Operator::$op { .. } => stringify!($visit),)*
                _ => "visit_unknown",
            }
        }
    };
}

wasmparser::for_each_operator!(visitor_names);

/// Groups of operators whose name begins with the group and a point.
const GROUPS: [&str; 20] = [
    "i32", "i64", "f32", "f64", "v128", "i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2", "memory",
    "table", "global", "local", "data", "elem", "ref", "atomic", "extern",
];

/// An operator's name in the text format. Calls have the index of the function.
pub fn name(op: &Operator<'_>) -> String {
    let visitor = visitor_name(op);
    let name = visitor.strip_prefix("visit_").unwrap_or(visitor).replace("_atomic_", ".atomic.");
    let grouped = name.split_once('_').filter(|(group, _)| GROUPS.contains(group));
    let name = match grouped {
        Some((group, rest)) if !name.contains('.') => format!("{group}.{rest}"),
        _ => name,
    };
    match op {
        Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
            format!("{name} {function_index}")
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_text_format() {
        let ops = [
            (Operator::I32DivS, "i32.div_s"),
            (Operator::I64TruncSatF64U, "i64.trunc_sat_f64_u"),
            (Operator::MemoryCopy { dst_mem: 0, src_mem: 0 }, "memory.copy"),
            (Operator::CallIndirect { type_index: 0, table_index: 0 }, "call_indirect"),
            (Operator::Call { function_index: 7 }, "call 7"),
            (Operator::I32x4Add, "i32x4.add"),
            (Operator::RefNull { hty: wasmparser::HeapType::FUNC }, "ref.null"),
            (Operator::Unreachable, "unreachable"),
        ];
        for (op, expected) in ops {
            assert_eq!(name(&op), expected);
        }
    }
}
