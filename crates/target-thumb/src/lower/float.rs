//! Float operations on cores with a floating-point unit.
//!
//! Legalisation has replaced operations that the hardware lacks, so every operation here is one instruction or a few.
//! Conversions go through a single-precision register that holds the integer. `vcmp` sets the flags like an integer
//! comparison, and sets carry and overflow for "unordered". Two SSA conditions are disjunctions of two of the
//! machine's.

use codegen::{RegClass, Unsupported, VReg};
use ssa::{BinaryOp, FCond, Type, UnaryOp, Value};
use thumb_isa::{Cond, Opcode, Shift};

use super::{Cx, assign, halves, is_in_core, reg, source, temp, word};
use crate::isa::condition::{Compare, Src, Test};
use crate::isa::inst::{Inst, Machine, alu_reg};

/// Selects the reinterpretation of bits.
pub fn bitcast(cx: &mut Cx<'_>, result: Value, arg: Value) {
    let (to, from) = (cx.ty(result), cx.ty(arg));
    match (is_in_core(cx, from), is_in_core(cx, to), to.bits()) {
        (true, true, 32) => {
            let dst = cx.def_reg(result);
            let source = source(cx, arg);
            assign(cx, dst, source);
        }
        (true, true, _) => {
            let dst = cx.def_regs(result).pair();
            let sources = halves(cx, arg);
            dst.into_iter().zip(sources).for_each(|(dst, source)| assign(cx, dst, source));
        }
        (true, false, 32) => {
            let dst = cx.def_reg(result);
            let src = word(cx, arg);
            cx.emit(Inst::Plain(Machine::reg2(Opcode::VmovToSingle, dst, src)));
        }
        (true, false, _) => {
            let dst = cx.def_reg(result);
            let [low, high] = halves(cx, arg).map(|source| reg(cx, source));
            cx.emit(Inst::Plain(Machine::reg3(Opcode::VmovToDouble, dst, low, high)));
        }
        (false, _, 32) => {
            let dst = cx.def_reg(result);
            let src = cx.reg(arg);
            cx.emit(Inst::Plain(Machine::reg2(Opcode::VmovFromSingle, dst, src)));
        }
        (false, ..) => {
            let [low, high] = cx.def_regs(result).pair();
            let src = cx.reg(arg);
            cx.emit(Inst::Plain(Machine::reg3(Opcode::VmovFromDouble, low, high, src)));
        }
    }
}

/// The opcode for single or double precision.
const fn of_width(ty: Type, single: Opcode, double: Opcode) -> Opcode {
    if matches!(ty, Type::F32) { single } else { double }
}

/// Selects a unary operation with a float operand or result.
pub fn unary(cx: &mut Cx<'_>, result: Value, op: UnaryOp, ty: Type, arg: Value) -> Result<(), Unsupported> {
    let from = cx.ty(arg);
    let in_hardware = |ty: Type| ty.is_int() || !is_in_core(cx, ty);
    if !in_hardware(ty) || !in_hardware(from) || ty == Type::I64 || from == Type::I64 {
        return Err(cx.unsupported(format!("`{op}` from {from} to {ty} in selection")));
    }
    use Opcode as O;
    match op {
        UnaryOp::FtoS | UnaryOp::FtoSSat => {
            from_float(cx, result, of_width(from, O::VcvtS32F32, O::VcvtS32F64), arg)
        }
        UnaryOp::FtoU | UnaryOp::FtoUSat => {
            from_float(cx, result, of_width(from, O::VcvtU32F32, O::VcvtU32F64), arg)
        }
        UnaryOp::StoF => to_float(cx, result, of_width(ty, O::VcvtF32S32, O::VcvtF64S32), arg),
        UnaryOp::UtoF => to_float(cx, result, of_width(ty, O::VcvtF32U32, O::VcvtF64U32), arg),
        _ => {
            let machine_op = match op {
                UnaryOp::Fneg => of_width(ty, O::VnegF32, O::VnegF64),
                UnaryOp::Fabs => of_width(ty, O::VabsF32, O::VabsF64),
                UnaryOp::Fsqrt => of_width(ty, O::VsqrtF32, O::VsqrtF64),
                UnaryOp::Fceil => of_width(ty, O::VrintpF32, O::VrintpF64),
                UnaryOp::Ffloor => of_width(ty, O::VrintmF32, O::VrintmF64),
                UnaryOp::Ftrunc => of_width(ty, O::VrintzF32, O::VrintzF64),
                UnaryOp::Fnearest => of_width(ty, O::VrintnF32, O::VrintnF64),
                UnaryOp::Fpromote => O::VcvtF64F32,
                UnaryOp::Fdemote => O::VcvtF32F64,
                _ => panic!("{}: {op} is not an operation on floats", cx.func.name),
            };
            if !cx.target.cpu.features().contains(machine_op.feature()) {
                return Err(cx.unsupported(format!("`{op}` in selection")));
            }
            let dst = cx.def_reg(result);
            let src = cx.reg(arg);
            cx.emit(Inst::Plain(Machine::reg2(machine_op, dst, src)));
        }
    }
    Ok(())
}

fn from_float(cx: &mut Cx<'_>, result: Value, op: Opcode, arg: Value) {
    let dst = cx.def_reg(result);
    let src = cx.reg(arg);
    let converted = cx.temp(RegClass::Float);
    cx.emit(Inst::Plain(Machine::reg2(op, converted, src)));
    cx.emit(Inst::Plain(Machine::reg2(Opcode::VmovFromSingle, dst, converted)));
}

fn to_float(cx: &mut Cx<'_>, result: Value, op: Opcode, arg: Value) {
    let dst = cx.def_reg(result);
    let src = word(cx, arg);
    let bits = cx.temp(RegClass::Float);
    cx.emit(Inst::Plain(Machine::reg2(Opcode::VmovToSingle, bits, src)));
    cx.emit(Inst::Plain(Machine::reg2(op, dst, bits)));
}

/// Selects a binary operation on floats.
pub fn binary(
    cx: &mut Cx<'_>,
    result: Value,
    op: BinaryOp,
    ty: Type,
    args: [Value; 2],
) -> Result<(), Unsupported> {
    use Opcode as O;
    if is_in_core(cx, ty) {
        return Err(cx.unsupported(format!("`{op}` on {ty} in selection")));
    }
    let machine_op = match op {
        BinaryOp::Fadd => of_width(ty, O::VaddF32, O::VaddF64),
        BinaryOp::Fsub => of_width(ty, O::VsubF32, O::VsubF64),
        BinaryOp::Fmul => of_width(ty, O::VmulF32, O::VmulF64),
        BinaryOp::Fdiv => of_width(ty, O::VdivF32, O::VdivF64),
        _ => return Err(cx.unsupported(format!("`{op}` in selection"))),
    };
    let dst = cx.def_reg(result);
    let [a, b] = args.map(|arg| cx.reg(arg));
    cx.emit(Inst::Plain(Machine::reg3(machine_op, dst, a, b)));
    Ok(())
}

/// The test of a float comparison.
pub fn test(cx: &mut Cx<'_>, cond: FCond, ty: Type, [a, b]: [Value; 2]) -> Test<VReg> {
    let double = ty == Type::F64;
    let left = cx.reg(a);
    let compare = match cx.constant(b) {
        Some(0) => Compare::FloatZero { double, a: left },
        _ => Compare::Float { double, a: left, b: cx.reg(b) },
    };
    let cond = match cond {
        FCond::Oeq => Cond::Eq,
        FCond::Olt => Cond::Mi,
        FCond::Ole => Cond::Ls,
        FCond::Ogt => Cond::Gt,
        FCond::Oge => Cond::Ge,
        FCond::Ord => Cond::Vc,
        FCond::Une => Cond::Ne,
        FCond::Ult => Cond::Lt,
        FCond::Ule => Cond::Le,
        FCond::Ugt => Cond::Hi,
        FCond::Uge => Cond::Pl,
        FCond::Uno => Cond::Vs,
        FCond::One => return either(cx, compare, Cond::Mi, Cond::Gt),
        FCond::Ueq => return either(cx, compare, Cond::Eq, Cond::Vs),
    };
    Test { cond, compare }
}

/// A test that holds when one of two conditions does.
fn either(cx: &mut Cx<'_>, compare: Compare<VReg>, first: Cond, second: Cond) -> Test<VReg> {
    let [a, b] = [first, second].map(|cond| {
        let dst = temp(cx);
        cx.emit(Inst::Select {
            test: Test { cond, compare },
            dst,
            if_true: Src::Imm(1),
            if_false: Src::Imm(0),
        });
        dst
    });
    let any = temp(cx);
    cx.emit(alu_reg(Opcode::OrrReg, any, a, b, Shift::NONE));
    Test { cond: Cond::Ne, compare: Compare::imm(Opcode::CmpImm, any, 0) }
}
