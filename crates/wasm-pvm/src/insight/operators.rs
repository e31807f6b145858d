//! Names of wasm operators in the text format, and the traps that operators have.

use wasmparser::Operator;

macro_rules! visitor_names {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $ty:ty),* })? => $visit:ident ($($types:tt)*))*) => {
        /// The name of the visitor's method for an operator.
        #[expect(clippy::too_many_lines, reason = "one arm for each operator")]
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

/// The traps of an operator: the reason that a machine's trap has, if it comes from this operator's own checks.
pub fn trap(name: &str) -> Option<&'static str> {
    let (group, rest) = name.split_once('.').unwrap_or(("", name));
    Some(match (group, rest) {
        ("i32" | "i64", "div_s") => "integer division by zero, or an overflow",
        ("i32" | "i64", "div_u" | "rem_s" | "rem_u") => "integer division by zero",
        ("i32" | "i64", rest) if rest.starts_with("trunc_f") => {
            "conversion of a float that has no such integer"
        }
        (_, "call_indirect" | "return_call_indirect") => {
            "an indirect call of no function, or of one with another type"
        }
        (_, "call_ref" | "return_call_ref" | "ref_as_non_null") => "a null reference",
        ("table", _) => "an access outside of the table",
        ("memory", rest) if !matches!(rest, "size" | "grow") => "an access outside of the memory",
        (_, rest) if rest.starts_with("atomic.") => {
            "an atomic access that is unaligned or outside of the memory"
        }
        (_, rest) if rest.starts_with("load") || rest.starts_with("store") => {
            "an access outside of the memory"
        }
        (_, "throw" | "throw_ref" | "rethrow") => "an exception that nothing catches",
        _ => return None,
    })
}

/// The reason of a machine's trap that is the code of this operator itself.
pub fn trap_itself(name: &str) -> Option<&'static str> {
    let group = name.split_once('.').map_or("", |(group, _)| group);
    trap(name).or(match group {
        "" if name == "unreachable" => Some("unreachable code was reached"),
        "" if name.starts_with("call ") || name.starts_with("return_call ") => {
            Some("a call of an import that traps")
        }
        "f32" | "f64" | "f32x4" | "f64x2" => Some("a float operator, which traps with --floats trap"),
        _ => None,
    })
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
        assert_eq!(trap("i32.trunc_f32_s"), Some("conversion of a float that has no such integer"));
        assert_eq!(trap("i32.trunc_sat_f32_s"), None);
        assert_eq!(trap("i64.load32_u"), Some("an access outside of the memory"));
        assert_eq!(trap("i32.add"), None);
    }
}
