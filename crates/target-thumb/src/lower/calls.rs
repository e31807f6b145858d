//! Calls, parameters and returns.
//!
//! Words in registers are operands of the call, fixed to their registers. The others are stored to the outgoing area
//! before the call and loaded from it afterwards. A tail call overwrites the function's own stack arguments with those
//! of the callee; callers have made room for them (see [`codegen::ArgumentRoom`]). The callee's results are at the
//! locations of the function's results.

use codegen::{ArgLoc, CallLayout, PReg, RegSet, Select, StackSlot, Unsupported, VReg};
use ssa::{FuncId, FuncKind, Inst as SsaInst, SigId, Type, Value};
use thumb_isa::{Feature, Opcode, RegList};

use super::address::frame_address;
use super::{Cx, halves, is_in_core, reg, temp, word};
use crate::isa::abi::{is_runtime_function, stage_singles};
use crate::isa::inst::{Call, Callee, Inst, LOADS, STORES, Symbol};

fn layout(cx: &Cx<'_>, sig: SigId) -> CallLayout {
    cx.target.call_layout(&cx.module.signatures[sig])
}

/// Selects a direct call.
pub fn direct(cx: &mut Cx<'_>, inst: SsaInst, callee: FuncId, args: &[Value]) -> Result<(), Unsupported> {
    let decl = &cx.module.decls[callee];
    if cx.target.trap_handler == Some(callee) {
        noreturn(cx, callee, args);
        return Ok(());
    }
    if let FuncKind::Intrinsic(name) = &decl.kind
        && !is_runtime_function(name)
    {
        return Err(cx.unsupported(format!("a call of the intrinsic `{name}`")));
    }
    let func = cx.func;
    cx.note_call(cx.target.room.of_func(callee));
    call(cx, decl.sig, Callee::Func(callee), args, &func.results[inst]);
    Ok(())
}

/// Selects a call, with words as arguments, of a function that doesn't return. So the link register is not saved.
fn noreturn(cx: &mut Cx<'_>, callee: FuncId, args: &[Value]) {
    let layout = layout(cx, cx.module.decls[callee].sig);
    let args = args.iter().zip(&layout.params).map(|(&arg, at)| {
        let &[ArgLoc::Reg(reg)] = &at[..] else { unreachable!("the first words travel in registers") };
        (word(cx, arg), reg)
    });
    let args = args.collect();
    cx.note_call(layout.stack_bytes);
    let call = Call {
        callee: Callee::Func(callee),
        args,
        results: Vec::new(),
        singles: Vec::new(),
        clobbers: RegSet::EMPTY,
    };
    cx.emit(Inst::Call(Box::new(call)));
}

/// Selects a call to a code address.
pub fn indirect(cx: &mut Cx<'_>, inst: SsaInst, sig: SigId, callee: Value, args: &[Value]) {
    let code = word(cx, callee);
    let func = cx.func;
    cx.note_call(cx.target.room.of_sig(sig));
    call(cx, sig, Callee::Code(code), args, &func.results[inst]);
}

fn call(cx: &mut Cx<'_>, sig: SigId, callee: Callee<VReg>, args: &[Value], results: &[Value]) {
    let mut layout = layout(cx, sig);
    let singles = stage_singles(cx.target.cpu, &mut layout.params);
    let args = pass(cx, &layout.params, args, StackSlot::Outgoing);
    stage_singles(cx.target.cpu, &mut layout.results);
    let mut in_registers = Vec::new();
    let mut loads = Vec::new();
    for (&result, locations) in results.iter().zip(&layout.results) {
        if cx.is_needed(result) {
            let regs = cx.def_regs(result);
            receive(
                cx,
                cx.ty(result),
                regs.as_slice(),
                locations,
                StackSlot::Outgoing,
                &mut in_registers,
                &mut loads,
            );
        }
    }
    let clobbers = layout.clobbers.difference(in_registers.iter().map(|&(_, reg)| reg).collect());
    cx.emit(Inst::Call(Box::new(Call { callee, args, results: in_registers, singles, clobbers })));
    loads.into_iter().for_each(|load| cx.emit(load));
}

/// Splits the words of a value into those that arrive in registers and loads of the others.
fn receive(
    cx: &Cx<'_>,
    ty: Type,
    regs: &[VReg],
    locations: &[ArgLoc],
    slot: fn(u32) -> StackSlot,
    in_registers: &mut Vec<(VReg, PReg)>,
    loads: &mut Vec<Inst<VReg>>,
) {
    for (&dst, &location) in regs.iter().zip(locations) {
        match location {
            ArgLoc::Reg(reg) => in_registers.push((dst, reg)),
            ArgLoc::Stack(offset) => {
                let op = transfer(cx, ty, LOADS);
                loads.push(Inst::LoadSlot { op, dst, slot: slot(offset) });
            }
        }
    }
}

/// The opcode that transfers a register of a value of this type: of a core, single- or double-precision register.
fn transfer(cx: &Cx<'_>, ty: Type, [core, single, double]: [Opcode; 3]) -> Opcode {
    match ty {
        _ if is_in_core(cx, ty) => core,
        Type::F32 => single,
        _ => double,
    }
}

/// The registers of a value's words. The address of a stack object is rematerialised for each call: that costs no more
/// than a move to the argument's register, and occupies no register before.
fn value_words(cx: &mut Cx<'_>, value: Value) -> Vec<VReg> {
    let ty = cx.ty(value);
    if !is_in_core(cx, ty) {
        vec![cx.reg(value)]
    } else if let Some((slot, None)) = frame_address(cx, value, 0) {
        let dst = temp(cx);
        cx.emit(Inst::SlotAddr { dst, slot, base: None });
        vec![dst]
    } else if ty.bits() == 32 {
        vec![word(cx, value)]
    } else {
        halves(cx, value).map(|source| reg(cx, source)).to_vec()
    }
}

/// Stores the stack arguments and returns the register arguments.
fn pass(
    cx: &mut Cx<'_>,
    locations: &[Vec<ArgLoc>],
    values: &[Value],
    slot: fn(u32) -> StackSlot,
) -> Vec<(VReg, PReg)> {
    let mut in_registers = Vec::new();
    for (&value, locations) in values.iter().zip(locations) {
        let ty = cx.ty(value);
        let op = transfer(cx, ty, STORES);
        let words = value_words(cx, value);
        for (&src, &location) in words.iter().zip(locations) {
            match location {
                ArgLoc::Reg(reg) => in_registers.push((src, reg)),
                ArgLoc::Stack(offset) => cx.emit(Inst::StoreSlot { op, src, slot: slot(offset) }),
            }
        }
    }
    in_registers
}

/// Selects the definition of the parameters that are used.
pub fn params(cx: &mut Cx<'_>) {
    let func = cx.func;
    let mut layout = layout(cx, func.sig);
    let mut singles = stage_singles(cx.target.cpu, &mut layout.params);
    let mut defs = Vec::new();
    let mut loads = Vec::new();
    for (&param, locations) in func.blocks[func.entry()].params.iter().zip(&layout.params) {
        if cx.is_needed(param) {
            let regs = cx.def_regs(param);
            receive(cx, cx.ty(param), regs.as_slice(), locations, StackSlot::Incoming, &mut defs, &mut loads);
        }
    }
    singles.retain(|&(_, double)| defs.iter().any(|&(_, reg)| reg == double));
    cx.emit(Inst::Params { defs, singles });
    loads.into_iter().for_each(|load| cx.emit(load));
}

/// Selects a return.
pub fn return_(cx: &mut Cx<'_>, args: &[Value]) {
    let mut layout = layout(cx, cx.func.sig);
    stage_singles(cx.target.cpu, &mut layout.results);
    let uses = pass(cx, &layout.results, args, StackSlot::Incoming);
    cx.set_exit(Inst::Return { uses, pop: RegList::EMPTY });
}

/// Selects a direct tail call. v6-M has no long jump, and jumps to an address in a register instead.
pub fn tail_direct(cx: &mut Cx<'_>, callee: FuncId, args: &[Value]) {
    let sig = cx.module.decls[callee].sig;
    if cx.target.cpu.features().contains(Feature::V8Base) {
        return tail_call(cx, sig, Callee::Func(callee), args);
    }
    let code = temp(cx);
    cx.emit(Inst::Address { dst: code, symbol: Symbol::Func(callee), offset: 0 });
    tail_call(cx, sig, Callee::Code(code), args);
}

/// Selects a tail call to a code address.
pub fn tail_indirect(cx: &mut Cx<'_>, sig: SigId, callee: Value, args: &[Value]) {
    let code = word(cx, callee);
    tail_call(cx, sig, Callee::Code(code), args);
}

fn tail_call(cx: &mut Cx<'_>, sig: SigId, callee: Callee<VReg>, args: &[Value]) {
    let mut layout = layout(cx, sig);
    let singles = stage_singles(cx.target.cpu, &mut layout.params);
    // The arguments overwrite the function's own stack parameters, which were loaded at entry.
    let args = pass(cx, &layout.params, args, StackSlot::Incoming);
    let call = Call { callee, args, results: Vec::new(), singles, clobbers: RegSet::EMPTY };
    cx.set_exit(Inst::TailCall(Box::new(call)));
}
