//! Terminators.
//!
//! Switches that reach selection are dense: expansion has turned the others into branches. Their cases are 0,
//! 1, 2, ... and the value is at most the number of cases, so the default is the last entry of the table.

use codegen::{Unsupported, VReg};
use pvm_isa::Opcode;
use ssa::{BlockCall, InstData, Value};

use super::{Cx, any, calls, compare, temp};
use crate::isa::Inst;

/// Selects instructions for a terminator.
pub fn terminator(cx: &mut Cx<'_>, inst: ssa::Inst) -> Result<(), Unsupported> {
    let func = cx.func;
    match &func.insts[inst] {
        InstData::Jump { to } => cx.set_jump(to),
        InstData::Branch { cond, if_true, if_false } => {
            let branch = compare::branch(cx, *cond);
            cx.set_branch(branch, if_true, if_false);
        }
        InstData::Switch { value, cases, default, .. } => dispatch(cx, *value, cases, default),
        InstData::Return { args } => calls::return_(cx, args),
        InstData::TailCall { func: callee, args } => calls::tail_direct(cx, *callee, args)?,
        InstData::TailCallIndirect { sig, callee, args } => calls::tail_indirect(cx, *sig, *callee, args),
        InstData::Trap { .. } => cx.set_exit(Inst::TRAP),
        other => panic!("{}: {other:?} is no terminator", func.name),
    }
    Ok(())
}

/// Selects a jump through a table. Addresses of the jump table are two apart and taken modulo 2^32, so the value needs
/// no extension.
fn dispatch(cx: &mut Cx<'_>, value: Value, cases: &[(i64, BlockCall)], default: &BlockCall) {
    let is_dense = (0..).zip(cases).all(|(n, (case, _))| n == *case);
    let targets: Vec<_> = cases.iter().map(|(_, to)| to).chain([default]).collect();
    let has_args = targets.iter().any(|to| !to.args.is_empty());
    assert!(is_dense && !has_args, "{}: this switch should have been expanded", cx.func.name);
    let src = any(cx, value);
    let index: VReg = temp(cx);
    cx.emit(Inst::BinaryImm { op: Opcode::ShloLImm64, dst: index, src, imm: 1 });
    let blocks: Vec<ssa::Block> = targets.iter().map(|to| to.block).collect();
    cx.set_dispatch(Inst::Dispatch { index }, &blocks);
}
