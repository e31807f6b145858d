//! Instruction selection.
//!
//! There is one file per family of operations. Each function selects one SSA instruction and ends with the machine
//! instruction that defines its result. This file has the functions for operands that the families share:
//!
//! - [`source`] skips conversions that move nothing (see [`demand`]), so a value and its renamings use one
//!   register.
//! - [`any`], [`sext`] and [`zext`] give the register of an operand in the form the consumer needs. If the definition
//!   doesn't deliver that form, they extend before the consumer.
//! - [`immediate`] is the value of an operand that is a 32-bit constant; addresses of data objects are constants.

mod address;
mod arith;
mod bits;
mod calls;
mod compare;
mod control;
mod demand;
mod memory;
mod select;

use codegen::{CallLayout, Lower, RegClass, Remat, Select, StackSlot, Unsupported, VReg};
use pvm_isa::Opcode;
use ssa::{InstData, Type, UnaryOp, Value};

use crate::isa::{Inst, Pvm, call_layout};
use demand::{Facts, How};

use calls::params;
use control::terminator;

/// The context of lowering one function.
pub type Cx<'a> = Lower<'a, Pvm>;

impl Select for Pvm {
    type Facts = Facts;

    fn value_classes(&self, _ty: ssa::Type) -> &'static [RegClass] {
        &[RegClass::Int]
    }

    fn call_layout(&self, sig: &ssa::Signature) -> CallLayout {
        call_layout(sig)
    }

    fn analyze(&self, _module: &ssa::Module, func: &ssa::Function) -> Facts {
        Facts::new(func)
    }

    fn lower(&self, cx: &mut Lower<'_, Self>, inst: ssa::Inst) -> Result<(), Unsupported> {
        instruction(cx, inst)
    }

    fn lower_terminator(&self, cx: &mut Lower<'_, Self>, inst: ssa::Inst) -> Result<(), Unsupported> {
        terminator(cx, inst)
    }

    fn address_limit(&self) -> Option<i64> {
        self.address_limit
    }

    fn lower_params(&self, cx: &mut Lower<'_, Self>) -> Result<(), Unsupported> {
        params(cx);
        Ok(())
    }

    fn materialize(&self, _module: &ssa::Module, what: Remat, _word: usize, dst: VReg) -> Inst<VReg> {
        match what {
            Remat::Const(_, value) => Inst::Const { dst, value },
            Remat::Data(data, offset) => {
                Inst::Const { dst, value: i64::from((self.plan.address(data) as i32).wrapping_add(offset)) }
            }
            Remat::Frame(slot) => Inst::SlotAddr {
                dst,
                slot: StackSlot::Object { slot, offset: 0 },
                bias: (self.plan.linear_base() as i32).wrapping_neg(),
            },
            Remat::Func(func) => Inst::FuncRef { dst, func },
        }
    }
}

/// Selects instructions for an SSA instruction that is no terminator.
fn instruction(cx: &mut Cx<'_>, inst: ssa::Inst) -> Result<(), Unsupported> {
    let func = cx.func;
    match &func.insts[inst] {
        InstData::Unary { op, ty, arg } => arith::unary(cx, cx.result(inst), *op, *ty, *arg),
        InstData::Binary { op, ty, args } => arith::binary(cx, cx.result(inst), *op, *ty, *args),
        InstData::Icmp { cond, ty, args } => {
            compare::boolean(cx, cx.result(inst), *cond, *ty, *args);
            Ok(())
        }
        InstData::Fcmp { .. } => Err(cx.unsupported("a float comparison")),
        InstData::Select { cond, if_true, if_false, .. } => {
            select::select(cx, cx.result(inst), *cond, *if_true, *if_false);
            Ok(())
        }
        InstData::Load { mem, addr, flags, .. } => {
            memory::load(cx, cx.result(inst), *mem, addr, flags.volatile);
            Ok(())
        }
        InstData::Store { mem, addr, value, .. } => {
            memory::store(cx, *mem, addr, *value);
            Ok(())
        }
        InstData::Call { func: callee, args } => calls::direct(cx, inst, *callee, args),
        InstData::CallIndirect { sig, callee, args } => {
            calls::indirect(cx, inst, *sig, *callee, args);
            Ok(())
        }
        other => panic!("{}: {other:?} is not lowered here", func.name),
    }
}

/// A new virtual register.
fn temp(cx: &mut Cx<'_>) -> VReg {
    cx.temp(RegClass::Int)
}

/// The value whose register also holds `value`.
fn source(cx: &Cx<'_>, mut value: Value) -> Value {
    while let Some(&InstData::Unary { op, arg, .. }) = cx.def(value) {
        let is_renaming = match op {
            UnaryOp::Trunc | UnaryOp::Bitcast => cx.facts.how(value) == How::Wide,
            UnaryOp::Sext => cx.facts.is_sext(arg),
            UnaryOp::Zext => cx.facts.is_zext(arg),
            _ => false,
        };
        if !is_renaming {
            break;
        }
        value = arg;
    }
    value
}

/// The register of an operand, in any form.
fn any(cx: &mut Cx<'_>, value: Value) -> VReg {
    let source = source(cx, value);
    cx.reg(source)
}

/// The register of an operand, an `i32` sign-extended.
fn sext(cx: &mut Cx<'_>, value: Value) -> VReg {
    let reg = any(cx, value);
    match cx.ty(value) == Type::I32 && !cx.facts.is_sext(value) {
        true => unary_imm(cx, Opcode::AddImm32, reg, 0),
        false => reg,
    }
}

/// The register of an `i32` operand, zero-extended.
fn zext(cx: &mut Cx<'_>, value: Value) -> VReg {
    let reg = any(cx, value);
    match cx.facts.is_zext(value) {
        true => reg,
        false => {
            let high = unary_imm(cx, Opcode::ShloLImm64, reg, 32);
            unary_imm(cx, Opcode::ShloRImm64, high, 32)
        }
    }
}

/// Appends `op temp = src, imm` and returns the new register.
fn unary_imm(cx: &mut Cx<'_>, op: Opcode, src: VReg, imm: i32) -> VReg {
    let dst = temp(cx);
    cx.emit(Inst::BinaryImm { op, dst, src, imm });
    dst
}

/// Appends `op temp = a, b` and returns the new register.
fn binary_temp(cx: &mut Cx<'_>, op: Opcode, a: VReg, b: VReg) -> VReg {
    let dst = temp(cx);
    cx.emit(Inst::Binary { op, dst, a, b });
    dst
}

/// Appends `op temp = src` and returns the new register.
fn unary_temp(cx: &mut Cx<'_>, op: Opcode, src: VReg) -> VReg {
    let dst = temp(cx);
    cx.emit(Inst::Unary { op, dst, src });
    dst
}

/// Calls `emit` with the register in which `value` is computed: its own, or a temporary one that is then sign-extended
/// into its own.
fn define(cx: &mut Cx<'_>, value: Value, emit: impl FnOnce(&mut Cx<'_>, VReg)) {
    let dst = cx.def_reg(value);
    if cx.facts.how(value) == How::Extend {
        let raw = temp(cx);
        emit(cx, raw);
        cx.emit(Inst::BinaryImm { op: Opcode::AddImm32, dst, src: raw, imm: 0 });
    } else {
        emit(cx, dst);
    }
}

/// The value of an operand that is a number or the address of a data object.
fn constant(cx: &Cx<'_>, value: Value) -> Option<i64> {
    match *cx.def(value)? {
        InstData::Const { bits, .. } => Some(bits),
        InstData::DataAddr { data, offset } => {
            Some(i64::from((cx.target.plan.address(data) as i32).wrapping_add(offset)))
        }
        _ => None,
    }
}

/// The value of a constant operand that fits an immediate.
fn immediate(cx: &Cx<'_>, value: Value) -> Option<i32> {
    constant(cx, value).and_then(|value| i32::try_from(value).ok())
}

/// The operands of a foldable binary operation that defines `value`, if `value` has only this use.
fn single_use_binary(cx: &Cx<'_>, value: Value, wanted: ssa::BinaryOp) -> Option<[Value; 2]> {
    match *cx.pure_def(value)? {
        InstData::Binary { op, args, .. } if op == wanted && cx.has_one_use(value) => Some(args),
        _ => None,
    }
}
