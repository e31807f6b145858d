//! The traps that operators have.

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
    fn operators_have_the_traps_of_the_specification() {
        assert_eq!(trap("i32.trunc_f32_s"), Some("conversion of a float that has no such integer"));
        assert_eq!(trap("i32.trunc_sat_f32_s"), None);
        assert_eq!(trap("i64.load32_u"), Some("an access outside of the memory"));
        assert_eq!(trap("i32.add"), None);
    }
}
