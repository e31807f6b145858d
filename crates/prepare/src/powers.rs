//! Tests for powers of two without counts of bits.
//!
//! LLVM writes tests for at most one set bit, and for exactly one, as comparisons of a count with 1 or 2. Where the
//! machine counts by a dozen instructions, two suffice: `x & (x - 1)` clears the lowest bit of `x`, and `x ^ (x - 1)` is
//! greater than `x - 1` if no other bit is set but this one. Each is done only if nothing else uses the count, so that
//! it becomes dead.

use ssa::{BinaryOp, Cond, Function, IdVec, Inst, InstData, Type, UnaryOp, Value};

use crate::rewrite;

/// A comparison of a count: the number whose bits are counted, and what holds for them.
struct Test {
    value: Value,
    ty: Type,
    /// Whether it is one for exactly one bit, else for at most one.
    is_exact: bool,
    is_inverted: bool,
}

/// Simplifies the comparisons of counts in a function.
pub fn simplify(func: &mut Function) {
    let is_count = |&inst: &Inst| matches!(func.insts[inst], InstData::Unary { op: UnaryOp::Popcnt, .. });
    if !func.blocks.values().flat_map(|block| &block.insts).any(is_count) {
        return;
    }
    let uses = func.use_counts();
    rewrite::in_place(func, |func, inst| test(func, &uses, inst), replace);
}

fn test(func: &Function, uses: &IdVec<Value, u32>, inst: Inst) -> Option<Test> {
    let InstData::Icmp { cond, args: [count, bound], .. } = func.insts[inst] else { return None };
    let InstData::Unary { op: UnaryOp::Popcnt, ty, arg, .. } = func.insts[func.def_inst(count)?] else {
        return None;
    };
    let (is_exact, is_inverted) = match (cond, func.as_const(bound)?) {
        (Cond::Eq, 1) => (true, false),
        (Cond::Ne, 1) => (true, true),
        (Cond::LtU | Cond::LtS, 2) | (Cond::LeU | Cond::LeS, 1) => (false, false),
        (Cond::GeU | Cond::GeS, 2) | (Cond::GtU | Cond::GtS, 1) => (false, true),
        _ => return None,
    };
    (uses[count] == 1).then_some(Test { value: arg, ty, is_exact, is_inverted })
}

/// Makes the comparison `inst` the one of `test`; appends the instructions that come before it.
fn replace(func: &mut Function, inst: Inst, test: &Test, insts: &mut Vec<Inst>) {
    let ty = test.ty;
    let mut add = |func: &mut Function, data: InstData| {
        let new = func.make_inst(data, &[ty]);
        insts.push(new);
        func.result(new)
    };
    let one = add(func, InstData::Const { ty, bits: 1 });
    let less = add(func, InstData::Binary { op: BinaryOp::Sub, ty, args: [test.value, one] });
    let op = if test.is_exact { BinaryOp::Xor } else { BinaryOp::And };
    let bits = add(func, InstData::Binary { op, ty, args: [test.value, less] });
    let (cond, bound) = match test.is_exact {
        true => (if test.is_inverted { Cond::LeU } else { Cond::GtU }, less),
        false => {
            let zero = add(func, InstData::Const { ty, bits: 0 });
            (if test.is_inverted { Cond::Ne } else { Cond::Eq }, zero)
        }
    };
    func.insts[inst] = InstData::Icmp { cond, ty, args: [bits, bound] };
}

#[cfg(test)]
mod tests {
    use ssa::interp::{Interpreter, Options};

    use super::*;

    /// A function that compares a count, after the pass.
    fn module(ty: &str, cond: &str, bound: u64) -> ssa::Module {
        let text = format!(
            "func $f ({ty}) -> (i32) {{\nb0(v0: {ty}):\n  v1 = popcnt.{ty} v0\n  v2 = const.{ty} {bound}\n\
             v3 = icmp.{cond}.{ty} v1, v2\n  return v3\n}}\n"
        );
        let mut module = ssa::parse_module(&text).expect("well-formed");
        simplify(module.functions.values_mut().flatten().next().expect("one function"));
        ssa::verify(&module).unwrap_or_else(|error| panic!("{error}\n{module}"));
        module
    }

    /// The result of the comparison by its definition.
    fn expected(count: u64, cond: &str, bound: u64) -> bool {
        match &cond[..2] {
            "lt" => count < bound,
            "le" => count <= bound,
            "ge" => count >= bound,
            "gt" => count > bound,
            "eq" => count == bound,
            _ => count != bound,
        }
    }

    fn numbers(width: u32) -> Vec<u64> {
        let all = u64::MAX >> (64 - width);
        let powers = (0..width).map(|bit| 1 << bit);
        let others = powers
            .clone()
            .flat_map(|power: u64| [power - 1, power | 1, !power & all, power | 1 << (width - 1)]);
        powers.clone().chain(others).chain([0, all]).collect()
    }

    #[test]
    fn results_are_those_of_counts() {
        let mut simplified = 0;
        for (ty, width) in [("i32", 32), ("i64", 64)] {
            for cond in ["lt_u", "lt_s", "le_u", "le_s", "ge_u", "ge_s", "gt_u", "gt_s", "eq", "ne"] {
                for bound in [0, 1, 2, 3, 32] {
                    let module = module(ty, cond, bound);
                    simplified += usize::from(!module.to_string().contains("popcnt"));
                    let mut interpreter = Interpreter::new(&module, Options::new(&module));
                    let func = module.functions.ids().next().expect("one function");
                    let host: &mut ssa::interp::Host<'_> = &mut |_, _, _| unreachable!("nothing is imported");
                    for number in numbers(width) {
                        let found = interpreter.call(func, &[number], host);
                        let expected = expected(u64::from(number.count_ones()), cond, bound);
                        assert_eq!(found, Ok(vec![u64::from(expected)]), "{number}: {module}");
                    }
                }
            }
        }
        assert_eq!(simplified, 20);
    }

    #[test]
    fn a_count_with_other_uses_stays() {
        let text = "func $f (i32) -> (i32, i32) {\nb0(v0: i32):\n  v1 = popcnt.i32 v0\n  v2 = const.i32 1\n\
                    v3 = icmp.eq.i32 v1, v2\n  return v1, v3\n}\n";
        let mut module = ssa::parse_module(text).expect("well-formed");
        let before = module.to_string();
        simplify(module.functions.values_mut().flatten().next().expect("one function"));
        assert_eq!(module.to_string(), before);
    }
}
