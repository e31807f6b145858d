//! Branches on joined conditions, and switches that test bits.
//!
//! Two comparisons are two short branches. As numbers they would have to be computed, joined and compared again. So a
//! branch on `a and b` or `a or b` becomes a branch on each. LLVM joins conditions because its cost model takes that
//! for cheap.
//!
//! Tests of character classes are switches over a small range of values with one or two targets besides the default.
//! Such a switch becomes a shift of a constant by the value and a branch on the lowest bit.
//!
//! Termination: both only add blocks, and each application leaves fewer joined conditions or switches.

use ssa::{BinaryOp, Block, BlockCall, Cond, Function, IdVec, InstData, Type, Value};

/// Rewrites the branches and switches of a function. Bit tests replace a switch of at least `fewest_ranges` ranges of
/// values, for one target besides the default and for two.
pub fn simplify(func: &mut Function, fewest_ranges: [usize; 2]) {
    let uses = func.use_counts();
    let mut todo: Vec<Block> = func.blocks.ids().rev().collect();
    let mut changed = false;
    while let Some(block) = todo.pop() {
        if let Some(new) = split_branch(func, &uses, block) {
            todo.extend([new, block]);
            changed = true;
        }
        changed |= test_bits(func, block, fewest_ranges);
    }
    func.source.follow_none();
    if changed {
        ssa::passes::remove_dead(func);
        ssa::passes::split_critical_edges(func);
    }
}

/// Splits a branch on a joined condition; returns the block of the second branch.
fn split_branch(func: &mut Function, uses: &IdVec<Value, u32>, block: Block) -> Option<Block> {
    let last = func.terminator(block);
    let InstData::Branch { cond, if_true, if_false } = func.insts[last].clone() else { return None };
    if uses.get(cond).copied() != Some(1) {
        return None;
    }
    let def = func.def_inst(cond)?;
    let InstData::Binary { op, ty: Type::I32, args: [a, b] } = func.insts[def] else { return None };
    let is_joined = matches!(op, BinaryOp::And | BinaryOp::Or);
    if !is_joined || !is_condition(func, a) || !is_condition(func, b) {
        return None;
    }
    func.source.follow(last);
    let second = func.add_block();
    let here = func.blocks[block].freq;
    let to_second = BlockCall { block: second, args: Vec::new() };
    let (first, decided) = match op {
        BinaryOp::And => ((to_second, if_false.clone()), if_false.block),
        _ => ((if_true.clone(), to_second), if_true.block),
    };
    // Assumes that the first branch takes half of the executions that are decided.
    func.blocks[second].freq = (here - func.blocks[decided].freq.min(here) / 2.0).max(here / 64.0);
    func.append(second, InstData::Branch { cond: b, if_true, if_false }, &[]);
    func.insts[last] = InstData::Branch { cond: a, if_true: first.0, if_false: first.1 };
    Some(second)
}

/// Whether a value is 0 or 1 by its definition.
fn is_condition(func: &Function, value: Value) -> bool {
    let Some(def) = func.def_inst(value) else { return false };
    match func.insts[def] {
        InstData::Icmp { .. } | InstData::Fcmp { .. } => true,
        InstData::Binary { op: BinaryOp::And | BinaryOp::Or, ty: Type::I32, args } => {
            args.into_iter().all(|arg| is_comparison(func, arg))
        }
        InstData::Binary { op: BinaryOp::Xor, ty: Type::I32, args: [a, b] } => {
            is_comparison(func, a) && func.as_const(b) == Some(1)
        }
        _ => false,
    }
}

fn is_comparison(func: &Function, value: Value) -> bool {
    func.def_inst(value)
        .is_some_and(|def| matches!(func.insts[def], InstData::Icmp { .. } | InstData::Fcmp { .. }))
}

/// Replaces a switch by bit tests, if it is suitable.
fn test_bits(func: &mut Function, block: Block, fewest_ranges: [usize; 2]) -> bool {
    let last = func.terminator(block);
    let InstData::Switch { ty: Type::I32, value, cases, default } = func.insts[last].clone() else {
        return false;
    };
    let Some((low, span, masks)) = masks(&cases, &default, fewest_ranges) else { return false };
    func.source.follow(last);
    func.blocks[block].insts.pop();
    let freq = func.blocks[block].freq;
    let constant = |func: &mut Function, block: Block, bits: i64| {
        func.append_value(block, InstData::Const { ty: Type::I32, bits }, Type::I32)
    };
    let binary = |func: &mut Function, block: Block, op: BinaryOp, args: [Value; 2]| {
        func.append_value(block, InstData::Binary { op, ty: Type::I32, args }, Type::I32)
    };
    let low = constant(func, block, low);
    let index = binary(func, block, BinaryOp::Sub, [value, low]);
    let span = constant(func, block, span);
    let inside = InstData::Icmp { cond: Cond::LtU, ty: Type::I32, args: [index, span] };
    let mut cond = func.append_value(block, inside, Type::I32);
    let mut here = block;
    for (n, (mask, _)) in masks.iter().enumerate() {
        let test = func.add_block();
        func.blocks[test].freq = freq / (n + 2) as f32;
        let to_test = BlockCall { block: test, args: Vec::new() };
        let branch = match n.checked_sub(1) {
            None => InstData::Branch { cond, if_true: to_test, if_false: default.clone() },
            Some(before) => InstData::Branch { cond, if_true: masks[before].1.clone(), if_false: to_test },
        };
        func.append(here, branch, &[]);
        let mask = constant(func, test, i64::from(*mask as i32));
        let shifted = binary(func, test, BinaryOp::ShrU, [mask, index]);
        let one = constant(func, test, 1);
        cond = binary(func, test, BinaryOp::And, [shifted, one]);
        here = test;
    }
    let if_true = masks[masks.len() - 1].1.clone();
    func.append(here, InstData::Branch { cond, if_true, if_false: default }, &[]);
    true
}

/// For each target, a bit mask of the values that lead to it.
type Masks = Vec<(u32, BlockCall)>;

/// Lowest value, number of values and a mask per target, if bit tests pay for the switch.
fn masks(
    cases: &[(i64, BlockCall)],
    default: &BlockCall,
    fewest_ranges: [usize; 2],
) -> Option<(i64, i64, Masks)> {
    let cases: Vec<&(i64, BlockCall)> = cases.iter().filter(|(_, to)| to != default).collect();
    let (low, high) = (cases.first()?.0, cases.last()?.0);
    let span = high - low + 1;
    if span > 32 {
        return None;
    }
    let mut masks = Masks::new();
    let mut ranges = 0;
    let mut previous: Option<&(i64, BlockCall)> = None;
    for &case in &cases {
        let bit = 1 << (case.0 - low);
        match masks.iter_mut().find(|(_, to)| *to == case.1) {
            Some((mask, _)) => *mask |= bit,
            None => masks.push((bit, case.1.clone())),
        }
        let continues = previous.is_some_and(|previous| previous.0 + 1 == case.0 && previous.1 == case.1);
        ranges += usize::from(!continues);
        previous = Some(case);
    }
    let fewest = *fewest_ranges.get(masks.len() - 1)?;
    (ranges >= fewest).then_some((low, span, masks))
}
