//! Shifts of two-word integers by variable counts, where code should be small.
//!
//! Such a shift takes about eight instructions in place. Helpers have the same instructions once. A helper pays from
//! [`FEWEST`] shifts in the program on, as a call and the copies of its arguments take a third of the bytes.

use ssa::{BinaryOp, Function, Inst, InstData, Module, Type, UnaryOp, Value};

use super::{Capabilities, Rewriter};

/// The least number of shifts of one kind in the program that pay for a helper.
const FEWEST: usize = 2;

/// The kinds of shifts that helpers do in a module.
pub(super) fn shared(module: &Module, capabilities: Capabilities) -> Vec<BinaryOp> {
    let small = module.functions.values().flatten().filter(|func| func.optimize_for_size);
    let mut ops: Vec<BinaryOp> = Vec::new();
    if !capabilities.shifts_i64 {
        for func in small {
            ops.extend(func.blocks.values().flat_map(|block| &block.insts).filter_map(|&i| shift(func, i)));
        }
    }
    let count = |op: &BinaryOp| ops.iter().filter(|other| *other == op).count();
    [BinaryOp::Shl, BinaryOp::ShrU, BinaryOp::ShrS].into_iter().filter(|op| count(op) >= FEWEST).collect()
}

/// The kind of a two-word shift by a variable count.
fn shift(func: &Function, inst: Inst) -> Option<BinaryOp> {
    match func.insts[inst] {
        InstData::Binary { op, ty: Type::I64, args: [_, count] } if func.as_const(count).is_none() => {
            Some(op)
        }
        _ => None,
    }
}

impl Rewriter<'_> {
    /// The result of a two-word shift by a helper.
    pub(super) fn shared_shift(&mut self, op: BinaryOp, [value, count]: [Value; 2]) -> Option<Value> {
        let is_shared = self.func.optimize_for_size && self.shared_shifts.contains(&op);
        if !is_shared || self.func.as_const(count).is_some() {
            return None;
        }
        let name = match op {
            BinaryOp::Shl => "__wasm_shl64",
            BinaryOp::ShrU => "__wasm_ushr64",
            _ => "__wasm_sshr64",
        };
        let count = self.unary(UnaryOp::Trunc, Type::I32, count);
        Some(self.call_helper(name, vec![value, count]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::legalize;
    use super::*;

    fn calls(body: &str, flags: &str) -> usize {
        let text = format!(
            "func $f (i64, i64) -> (i64) {flags}{{\nb0(v0: i64, v1: i64):\n  v2 = const.i64 63\n\
             v3 = and.i64 v1, v2\n{body}\n}}\n"
        );
        let mut module = ssa::parse_module(&text).expect("well-formed");
        legalize(&mut module, Capabilities::default(), None).expect("it has no floats");
        ssa::verify(&module).unwrap_or_else(|error| panic!("{error}\n{module}"));
        module.to_string().matches(" = call $__wasm_shl64").count()
    }

    #[test]
    fn several_shifts_share_a_helper_in_small_code() {
        let two = "  v4 = shl.i64 v0, v3\n  v5 = shl.i64 v4, v3\n  return v5";
        assert_eq!(calls(two, "optsize "), 2);
        assert_eq!(calls(two, ""), 0);
        assert_eq!(calls("  v4 = shl.i64 v0, v3\n  return v4", "optsize "), 0);
        assert_eq!(calls("  v4 = shl.i64 v0, v2\n  v5 = shl.i64 v4, v2\n  return v5", "optsize "), 0);
    }
}
