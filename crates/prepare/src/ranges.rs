//! Comparisons of masked numbers without the mask.
//!
//! A test for a range of bytes arrives as `((x + k) & 0xff) < n`: in wasm the sum is masked to stay a byte, and LLVM clears
//! those bits of the mask that do not affect the comparison. If `x` has no bits above the mask, the test is one for a range
//! of `x`: `x - low < n` as a word. A masked number that is compared for equality is shifted instead, as a shift takes less
//! code than a mask. Each is done only if nothing else uses the masked number, so that it becomes dead.

use ssa::known_bits::{KnownBits, known_bits};
use ssa::{BinaryOp, Cond, Function, IdVec, Inst, InstData, Type, Value};

use crate::rewrite;

/// A comparison of a value, after an operation with a constant if there is one, with a constant.
struct Test {
    value: Value,
    op: Option<(BinaryOp, u32)>,
    cond: Cond,
    bound: u32,
}

/// Simplifies the comparisons of masked numbers in a function.
pub fn simplify(func: &mut Function) {
    let is_masked = |&inst: &Inst| comparison(func, inst).is_some();
    if !func.blocks.values().flat_map(|block| &block.insts).any(is_masked) {
        return;
    }
    let known = known_bits(func, &func.reverse_postorder());
    let uses = func.use_counts();
    rewrite::in_place(func, |func, inst| simpler(func, &known, &uses, inst), replace);
}

/// Makes the comparison `inst` the one of `test`; appends the instructions that come before it.
fn replace(func: &mut Function, inst: Inst, test: &Test, insts: &mut Vec<Inst>) {
    let mut constant = |func: &mut Function, bits: u32| {
        let bits = i64::from(bits as i32);
        let constant = func.make_inst(InstData::Const { ty: Type::I32, bits }, &[Type::I32]);
        insts.push(constant);
        func.result(constant)
    };
    let bound = constant(func, test.bound);
    let operand = test.op.map(|(op, operand)| (op, constant(func, operand)));
    let value = operand.map_or(test.value, |(op, operand)| {
        let data = InstData::Binary { op, ty: Type::I32, args: [test.value, operand] };
        let changed = func.make_inst(data, &[Type::I32]);
        insts.push(changed);
        func.result(changed)
    });
    func.insts[inst] = InstData::Icmp { cond: test.cond, ty: Type::I32, args: [value, bound] };
}

/// A comparison of a masked value with a constant: the condition, the masked value, the value, the mask and the constant.
fn comparison(func: &Function, inst: Inst) -> Option<(Cond, Value, Value, u32, u32)> {
    let InstData::Icmp { cond, ty: Type::I32, args: [masked, bound] } = func.insts[inst] else { return None };
    let (value, mask) = with_constant(func, masked, BinaryOp::And)?;
    Some((cond, masked, value, mask, func.as_const(bound)? as u32))
}

/// The operands of an operation whose second one is a constant.
fn with_constant(func: &Function, value: Value, wanted: BinaryOp) -> Option<(Value, u32)> {
    match func.insts[func.def_inst(value)?] {
        InstData::Binary { op, ty: Type::I32, args: [a, b] } if op == wanted => {
            Some((a, func.as_const(b)? as u32))
        }
        _ => None,
    }
}

fn simpler(
    func: &Function,
    known: &IdVec<Value, KnownBits>,
    uses: &IdVec<Value, u32>,
    inst: Inst,
) -> Option<Test> {
    let (cond, masked, value, mask, bound) = comparison(func, inst)?;
    if uses[masked] != 1 {
        return None;
    }
    let (is_below, bound) = match cond {
        Cond::Eq | Cond::Ne => return shifted(known, cond, value, mask, bound),
        Cond::LtU => (true, bound),
        Cond::GeU => (false, bound),
        Cond::LeU => (true, bound.checked_add(1)?),
        Cond::GtU => (false, bound.checked_add(1)?),
        _ => return None,
    };
    // The bits below those of the bound don't affect the comparison, so the mask may have them.
    let whole = mask | (bound & bound.wrapping_neg()).wrapping_sub(1);
    let width = whole.trailing_ones();
    if bound == 0 || whole.count_ones() != width || width >= 32 || bound >> width != 0 {
        return None;
    }
    let fits = |value: Value| known[value].unsigned <= width;
    let test = |value, op, is_below, bound| {
        Some(Test { value, op, cond: if is_below { Cond::LtU } else { Cond::GeU }, bound })
    };
    if fits(value) {
        return test(value, None, is_below, bound);
    }
    match with_constant(func, value, BinaryOp::Add) {
        Some((summand, added)) if fits(summand) && uses[value] == 1 => {
            let (added, modulus) = (added & whole, 1 << width);
            // The summand from which on the sum is below the bound, or at least the bound.
            let (low, is_below, count) = match added >= bound {
                true => (modulus - added, is_below, bound),
                false => (bound - added, !is_below, modulus - bound),
            };
            test(summand, Some((BinaryOp::Add, low.wrapping_neg())), is_below, count)
        }
        _ => None,
    }
}

/// A test for equality of a value whose mask clears low bits only: without these bits.
fn shifted(
    known: &IdVec<Value, KnownBits>,
    cond: Cond,
    value: Value,
    mask: u32,
    number: u32,
) -> Option<Test> {
    let (count, width) = (mask.trailing_zeros(), 32 - mask.leading_zeros());
    let clears_low = mask.count_ones() + count == width && known[value].unsigned <= width;
    let can_be_equal = number & !mask == 0;
    (clears_low && count > 0 && number != 0 && can_be_equal).then_some(Test {
        value,
        op: Some((BinaryOp::ShrU, count)),
        cond,
        bound: number >> count,
    })
}

#[cfg(test)]
mod tests {
    use ssa::interp::{Interpreter, Options};

    use super::*;

    /// A function that compares a masked byte, before and after the pass.
    fn modules(added: u32, mask: u32, cond: &str, bound: u32) -> [ssa::Module; 2] {
        let [added, mask, bound] = [added, mask, bound].map(|number| number as i32);
        let text = format!(
            "func $f (i32) -> (i32) {{\nb0(v0: i32):\n  v1 = const.i32 255\n  v2 = and.i32 v0, v1\n\
             v3 = const.i32 {added}\n  v4 = add.i32 v2, v3\n  v5 = const.i32 {mask}\n  v6 = and.i32 v4, v5\n\
             v7 = const.i32 {bound}\n  v8 = icmp.{cond}.i32 v6, v7\n  return v8\n}}\n"
        );
        let before = ssa::parse_module(&text).expect("well-formed");
        let mut after = before.clone();
        simplify(after.functions.values_mut().flatten().next().expect("one function"));
        ssa::verify(&after).unwrap_or_else(|error| panic!("{error}\n{after}"));
        [before, after]
    }

    /// The result of the comparison by its definition.
    fn expected(byte: u32, added: u32, mask: u32, cond: &str, bound: u32) -> bool {
        let masked = byte.wrapping_add(added) & mask;
        match cond {
            "lt_u" => masked < bound,
            "le_u" => masked <= bound,
            "ge_u" => masked >= bound,
            "gt_u" => masked > bound,
            "eq" => masked == bound,
            _ => masked != bound,
        }
    }

    #[test]
    fn results_are_equal_for_all_bytes() {
        let mut simplified = 0;
        for cond in ["lt_u", "le_u", "ge_u", "gt_u", "eq", "ne"] {
            for added in [0, 1, 0x41, 0xd0, 0x100, 0xffff_ffd0] {
                for mask in [0xff, 0xfe, 0xfc, 0x7f, 0xdf, 0x1ff, 0xffff_fffe] {
                    for bound in [0, 1, 10, 0x30, 0xe6, 0xff, 0x100, u32::MAX] {
                        let [before, after] = modules(added, mask, cond, bound);
                        if before.to_string() != after.to_string() {
                            simplified += 1;
                            check(&after, |byte| expected(byte, added, mask, cond, bound));
                        }
                    }
                }
            }
        }
        assert!(simplified > 200, "only {simplified} were simplified");
    }

    fn check(module: &ssa::Module, expected: impl Fn(u32) -> bool) {
        let mut interpreter = Interpreter::new(module, Options::new(module));
        let func = module.functions.ids().next().expect("one function");
        let host: &mut ssa::interp::Host<'_> = &mut |_, _, _| unreachable!("nothing is imported");
        for byte in 0..=0xff {
            let found = interpreter.call(func, &[u64::from(byte)], host);
            assert_eq!(found, Ok(vec![u64::from(expected(byte))]), "{byte}: {module}");
        }
    }

    #[test]
    fn a_range_of_letters_needs_no_mask() {
        let [_, after] = modules(0xbf, 0xfe, "le_u", 0x19);
        let text = after.to_string();
        assert!(text.contains("const.i32 -65") && text.contains("icmp.lt_u"), "{text}");
    }
}
