//! Terminators.
//!
//! Switches that reach selection are dense: `expand_switches` has turned the others into branches. Their cases are 0,
//! 1, 2, ... and the value is at most the number of cases, so the default is the last entry of the table.

use codegen::Unsupported;
use ssa::{BlockCall, InstData, Type, Value};
use thumb_isa::Opcode;

use super::{Cx, calls, compare, half, reg, word};
use crate::isa::inst::{Inst, Machine, Table, shift_imm};

/// Selects instructions for a terminator.
pub fn terminator(cx: &mut Cx<'_>, inst: ssa::Inst) -> Result<(), Unsupported> {
    let func = cx.func;
    match &func.insts[inst] {
        InstData::Jump { to } => cx.set_jump(to),
        InstData::Branch { cond, if_true, if_false } => {
            let test = compare::test(cx, *cond);
            cx.set_branch(Inst::Branch(test), if_true, if_false);
        }
        InstData::Switch { ty, value, cases, default } => dispatch(cx, *ty, *value, cases, default),
        InstData::Return { args } => calls::return_(cx, args),
        InstData::TailCall { func: callee, args } => calls::tail_direct(cx, *callee, args),
        InstData::TailCallIndirect { sig, callee, args } => calls::tail_indirect(cx, *sig, *callee, args),
        InstData::Trap { code } => cx.set_exit(Inst::Plain(Machine::imm(Opcode::Udf, code.number()))),
        other => panic!("{}: {other:?} is no terminator", func.name),
    }
    Ok(())
}

fn dispatch(cx: &mut Cx<'_>, ty: Type, value: Value, cases: &[(i64, BlockCall)], default: &BlockCall) {
    let is_dense = (0..).zip(cases).all(|(n, (case, _))| n == *case);
    let targets: Vec<_> = cases.iter().map(|(_, to)| to).chain([default]).collect();
    let has_args = targets.iter().any(|to| !to.args.is_empty());
    assert!(is_dense && !has_args, "{}: this switch should have been expanded", cx.func.name);
    let index = match ty {
        Type::I64 => {
            let low = half(cx, value, 0);
            reg(cx, low)
        }
        _ => word(cx, value),
    };
    let blocks: Vec<ssa::Block> = targets.iter().map(|to| to.block).collect();
    if cx.target.cpu.has_main() {
        return cx.set_dispatch(Inst::Dispatch { index, table: Table::Jumps }, &blocks);
    }
    let doubled = super::temp(cx);
    cx.emit(shift_imm(Opcode::LslImm, doubled, index, 1));
    cx.set_dispatch(Inst::Dispatch { index: doubled, table: Table::Added { is_long: false } }, &blocks);
}
