//! Calls, parameters and returns.
//!
//! Values in registers are operands of the call, fixed to their registers. The others are stored to the outgoing area
//! before the call and loaded from it afterwards. A tail call writes its stack arguments where the function's own came
//! in; callers have made room for them (see [`codegen::ArgumentRoom`]).

use codegen::{ArgLoc, CallLayout, PReg, RegSet, Select, StackSlot, Unsupported, VReg};
use pvm_isa::Opcode;
use ssa::{FuncId, FuncKind, Inst as SsaInst, SigId, Type, Value};

use super::{Cx, any, immediate, sext, temp};
use crate::isa::{ARGS, Call, Callee, Inst, Mem, RA, RESULTS};

/// The host call of GP 0.8 that grows the heap.
const GROW_HEAP: u32 = 1;

/// Selects a direct call: of a function, of the host, or of an intrinsic.
pub fn direct(cx: &mut Cx<'_>, inst: SsaInst, callee: FuncId, args: &[Value]) -> Result<(), Unsupported> {
    let decl = &cx.module.decls[callee];
    if let Some(number) = cx.target.host_calls.get(callee).copied().flatten() {
        host(cx, inst, number, args);
        return Ok(());
    }
    match &decl.kind {
        FuncKind::Intrinsic(name) if name == "__pvm_grow_heap" => host(cx, inst, GROW_HEAP, args),
        FuncKind::Intrinsic(name) if name == "__pvm_sbrk" => sbrk(cx, inst, args),
        FuncKind::Local => {
            cx.note_call(cx.target.room.of_func(callee));
            call(cx, inst, decl.sig, Callee::Func(callee), args);
        }
        _ => return Err(cx.unsupported(format!("a call of `{}`", decl.name))),
    }
    Ok(())
}

/// Selects a call to a code address.
pub fn indirect(cx: &mut Cx<'_>, inst: SsaInst, sig: SigId, callee: Value, args: &[Value]) {
    let code = any(cx, callee);
    cx.note_call(cx.target.room.of_sig(sig));
    call(cx, inst, sig, Callee::Code(code), args);
}

fn layout(cx: &Cx<'_>, sig: SigId) -> CallLayout {
    cx.target.call_layout(&cx.module.signatures[sig])
}

/// The register of an argument or result, extended as the convention asks.
fn word(cx: &mut Cx<'_>, value: Value) -> VReg {
    match cx.ty(value) {
        Type::I32 => sext(cx, value),
        _ => any(cx, value),
    }
}

fn call(cx: &mut Cx<'_>, inst: SsaInst, sig: SigId, callee: Callee<VReg>, args: &[Value]) {
    let layout = layout(cx, sig);
    let args = pass(cx, &layout.params, args, StackSlot::Outgoing);
    let func = cx.func;
    let mut results = Vec::new();
    let mut loads = Vec::new();
    for (&result, locations) in func.results[inst].iter().zip(&layout.results) {
        if !cx.is_needed(result) {
            continue;
        }
        let dst = cx.def_reg(result);
        match locations[0] {
            ArgLoc::Reg(reg) => results.push((dst, reg)),
            ArgLoc::Stack(offset) => {
                loads.push(Inst::Load {
                    op: Opcode::LoadIndU64,
                    dst,
                    mem: Mem::Slot(StackSlot::Outgoing(offset)),
                });
            }
        }
    }
    emit_call(cx, callee, args, results, layout.clobbers);
    loads.into_iter().for_each(|load| cx.emit(load));
}

fn emit_call(
    cx: &mut Cx<'_>,
    callee: Callee<VReg>,
    args: Vec<(VReg, PReg)>,
    results: Vec<(VReg, PReg)>,
    clobbers: RegSet,
) {
    let clobbers = clobbers.difference(results.iter().map(|&(_, reg)| reg).collect());
    cx.emit(Inst::Call(Box::new(Call { callee, args, results, clobbers })));
}

/// Stores the stack arguments and returns the register arguments.
fn pass(
    cx: &mut Cx<'_>,
    locations: &[Vec<ArgLoc>],
    values: &[Value],
    slot: fn(u32) -> StackSlot,
) -> Vec<(VReg, PReg)> {
    let mut in_registers = Vec::new();
    for (&value, location) in values.iter().zip(locations) {
        match location[0] {
            ArgLoc::Reg(reg) => in_registers.push((word(cx, value), reg)),
            ArgLoc::Stack(offset) => {
                let mem = Mem::Slot(slot(offset));
                match immediate(cx, value) {
                    Some(value) => cx.emit(Inst::StoreImm { op: Opcode::StoreImmIndU64, value, mem }),
                    None => {
                        let src = word(cx, value);
                        cx.emit(Inst::Store { op: Opcode::StoreIndU64, src, mem });
                    }
                }
            }
        }
    }
    in_registers
}

/// Selects a host call: up to six words in, up to two out; no other register changes.
fn host(cx: &mut Cx<'_>, inst: SsaInst, number: u32, args: &[Value]) {
    assert!(args.len() <= 6, "{}: a host call with {} arguments", cx.func.name, args.len());
    let args = args.iter().zip(ARGS).map(|(&arg, reg)| (word(cx, arg), reg)).collect();
    let func = cx.func;
    let mut results = Vec::new();
    for (&result, reg) in func.results[inst].iter().zip(RESULTS) {
        if cx.is_needed(result) {
            results.push((cx.def_reg(result), reg));
        }
    }
    let clobbers = RegSet::of(&[RESULTS[0], RESULTS[1]]);
    emit_call(cx, Callee::Host(number), args, results, clobbers);
}

/// Selects `sbrk`. The result is an address, so as an `i32` it must be extended.
fn sbrk(cx: &mut Cx<'_>, inst: SsaInst, args: &[Value]) {
    let result = cx.result(inst);
    let src = word(cx, args[0]);
    let dst = cx.def_reg(result);
    match cx.ty(result) {
        Type::I32 => {
            let address = super::unary_temp(cx, Opcode::Sbrk, src);
            cx.emit(Inst::BinaryImm { op: Opcode::AddImm32, dst, src: address, imm: 0 });
        }
        _ => cx.emit(Inst::Unary { op: Opcode::Sbrk, dst, src }),
    }
}

/// The register of the return address.
fn return_address(cx: &mut Cx<'_>) -> VReg {
    match cx.facts.return_address {
        Some(reg) => reg,
        None => {
            let reg = temp(cx);
            cx.facts.return_address = Some(reg);
            reg
        }
    }
}

/// Selects the definition of the return address and of the parameters that are used.
pub fn params(cx: &mut Cx<'_>) {
    let func = cx.func;
    let layout = layout(cx, func.sig);
    let mut defs: Vec<(VReg, PReg)> = cx.facts.return_address.map(|reg| (reg, RA)).into_iter().collect();
    let mut loads = Vec::new();
    for (&param, location) in func.blocks[func.entry()].params.iter().zip(&layout.params) {
        if !cx.is_needed(param) {
            continue;
        }
        let dst = cx.def_reg(param);
        match location[0] {
            ArgLoc::Reg(reg) => defs.push((dst, reg)),
            ArgLoc::Stack(offset) => {
                loads.push(Inst::Load {
                    op: Opcode::LoadIndU64,
                    dst,
                    mem: Mem::Slot(StackSlot::Incoming(offset)),
                });
            }
        }
    }
    cx.emit(Inst::Params { defs });
    loads.into_iter().for_each(|load| cx.emit(load));
}

/// Selects a return.
pub fn return_(cx: &mut Cx<'_>, args: &[Value]) {
    let layout = layout(cx, cx.func.sig);
    let mut uses = pass(cx, &layout.results, args, StackSlot::Incoming);
    uses.insert(0, (return_address(cx), RA));
    cx.set_exit(Inst::Return { uses });
}

/// Selects a direct tail call.
pub fn tail_direct(cx: &mut Cx<'_>, callee: FuncId, args: &[Value]) -> Result<(), Unsupported> {
    let decl = &cx.module.decls[callee];
    if decl.kind != FuncKind::Local {
        return Err(cx.unsupported(format!("a tail call of `{}`", decl.name)));
    }
    tail_call(cx, decl.sig, Callee::Func(callee), args);
    Ok(())
}

/// Selects a tail call to a code address.
pub fn tail_indirect(cx: &mut Cx<'_>, sig: SigId, callee: Value, args: &[Value]) {
    let code = any(cx, callee);
    tail_call(cx, sig, Callee::Code(code), args);
}

/// Selects a tail call. Its stack arguments overwrite the function's own stack parameters, which were loaded at entry.
fn tail_call(cx: &mut Cx<'_>, sig: SigId, callee: Callee<VReg>, args: &[Value]) {
    let theirs = layout(cx, sig);
    let mut args = pass(cx, &theirs.params, args, StackSlot::Incoming);
    args.insert(0, (return_address(cx), RA));
    let call = Call { callee, args, results: Vec::new(), clobbers: RegSet::EMPTY };
    cx.set_exit(Inst::TailCall(Box::new(call)));
}
