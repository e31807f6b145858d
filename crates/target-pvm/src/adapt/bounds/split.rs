//! Taking apart checks that LLVM has joined.
//!
//! LLVM joins neighbouring checks to one branch on a condition with several parts. Each part gets a branch of its own
//! again, so that it can become a clamp; a later pass joins the branches that are left.

use ssa::{BinaryOp, Block, BlockCall, DataId, Function, InstData, TrapCode, Type, Value};

use super::checks::{Literal, failing_blocks, is_argument_check};

/// Splits the checks of a function.
pub fn split_joined(func: &mut Function, arguments: Option<DataId>) {
    let fails = failing_blocks(func);
    let mut has_changed = false;
    for block in func.blocks.ids() {
        let InstData::Branch { cond, if_true, if_false } = func.insts[func.terminator(block)].clone() else {
            continue;
        };
        let (holds_if, next) = match (fails[if_true.block], fails[if_false.block]) {
            (true, false) => (true, if_false),
            (false, true) => (false, if_true),
            _ => continue,
        };
        let mut parts = Vec::new();
        let mut joined = vec![cond];
        while let Some(value) = joined.pop() {
            match parts_of(func, Literal { value, holds_if }) {
                Some([a, b]) if !is_argument_check(func, Literal { value, holds_if }, arguments) => {
                    joined.extend([b, a]);
                }
                _ => parts.push(value),
            }
        }
        if parts.len() > 1 {
            branch_on_each(func, block, &parts, holds_if, &next);
            has_changed = true;
        }
    }
    if has_changed {
        ssa::canonicalize(func);
    }
}

/// The two booleans of which one is enough for a trap.
fn parts_of(func: &Function, condition: Literal) -> Option<[Value; 2]> {
    match func.insts[func.def_inst(condition.value)?] {
        InstData::Binary { op, ty: Type::I32, args } => {
            let joins = if condition.holds_if { BinaryOp::Or } else { BinaryOp::And };
            (op == joins && args.iter().all(|&arg| is_boolean(func, arg))).then_some(args)
        }
        InstData::Select { ty: Type::I32, cond, if_true, if_false } => {
            let (constant, other) =
                if condition.holds_if { (if_true, if_false) } else { (if_false, if_true) };
            let joins = func.as_const(constant) == Some(i64::from(condition.holds_if));
            (joins && is_boolean(func, other)).then_some([cond, other])
        }
        _ => None,
    }
}

/// Whether a value is certainly 0 or 1.
fn is_boolean(func: &Function, value: Value) -> bool {
    match func.def_inst(value).map(|inst| &func.insts[inst]) {
        Some(InstData::Icmp { .. } | InstData::Fcmp { .. }) => true,
        Some(InstData::Binary { op: BinaryOp::And | BinaryOp::Or | BinaryOp::Xor, args, .. }) => {
            args.iter().all(|&arg| func.as_const(arg) == Some(1) || is_boolean(func, arg))
        }
        Some(InstData::Select { if_true, if_false, .. }) => [if_true, if_false]
            .iter()
            .all(|&&arg| matches!(func.as_const(arg), Some(0 | 1)) || is_boolean(func, arg)),
        _ => false,
    }
}

/// Replaces the branch at the end of a block by one on each of the parts; all but the first are in new blocks.
fn branch_on_each(func: &mut Function, block: Block, parts: &[Value], traps_if: bool, next: &BlockCall) {
    let InstData::Branch { if_true, if_false, .. } = func.insts[func.terminator(block)].clone() else {
        return;
    };
    let mut trap = if traps_if { if_true } else { if_false };
    let mut last = block;
    for (n, &cond) in parts.iter().enumerate() {
        let is_end = n + 1 == parts.len();
        let passed = if is_end {
            next.clone()
        } else {
            let after = func.add_block();
            func.blocks[after].freq = func.blocks[block].freq;
            BlockCall { block: after, args: Vec::new() }
        };
        let to = passed.block;
        let (if_true, if_false) = if traps_if { (trap.clone(), passed) } else { (passed, trap.clone()) };
        if n == 0 {
            let inst = func.terminator(block);
            func.insts[inst] = InstData::Branch { cond, if_true, if_false };
        } else {
            func.append(last, InstData::Branch { cond, if_true, if_false }, &[]);
        }
        if !is_end {
            trap = BlockCall { block: func.add_block(), args: Vec::new() };
            func.blocks[trap.block].freq = 0.0;
            func.append(trap.block, InstData::Trap { code: TrapCode::MemoryOutOfBounds }, &[]);
        }
        last = to;
    }
}
