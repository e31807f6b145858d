//! Instruction selection.
//!
//! One file per family; each function selects one SSA instruction and ends with the machine instructions that define
//! its result. What they share is here: operands.
//!
//! The unit of selection is the machine word. A [`Part`] says where a word comes from without asking for it: a
//! constant, a one-word value, or a half of a two-word value, looked through everything that only moves words (a
//! truncation is the low half; the high half of a zero-extension is 0). Asking for its register marks the value behind
//! it as needed.

mod address;
mod arith;
mod bits;
mod calls;
mod compare;
mod control;
mod float;
mod memory;
mod select;
mod shift;
mod wide;

use std::collections::{BTreeMap, BTreeSet};

use codegen::{Lower, RegClass, Unsupported, VReg};
use ssa::{BinaryOp, InstData, MemType, Type, UnaryOp, Value};

use crate::inst::Inst;
use crate::target::Thumb;
use crate::test::Src;

pub use arith::add_imm;
pub use calls::{is_runtime_function, params};
pub use control::{terminator, trap_number};

/// The context of lowering one function.
pub type Cx<'a> = Lower<'a, Thumb>;

/// What selection knows of a function.
#[derive(Debug)]
pub struct Facts {
    /// Values that are the halves of one product, each with the other.
    products: BTreeMap<Value, Value>,
    /// Shifted words that every user takes as a shifted operand, so that they need no register.
    operands: BTreeSet<Value>,
}

impl Facts {
    /// Analyses a function.
    pub fn new(func: &ssa::Function) -> Self {
        Self { products: crate::products::pairs(func), operands: shift::operands(func) }
    }
}

/// Selects instructions for an SSA instruction that is no terminator.
pub fn instruction(cx: &mut Cx<'_>, inst: ssa::Inst) -> Result<(), Unsupported> {
    let func = cx.func;
    match &func.insts[inst] {
        InstData::Unary { op, ty, arg } => return unary(cx, cx.result(inst), *op, *ty, *arg),
        InstData::Binary { op, ty, args } => return binary(cx, cx.result(inst), *op, *ty, *args),
        InstData::Icmp { .. } | InstData::Fcmp { .. } => select::boolean(cx, cx.result(inst)),
        InstData::Select { cond, if_true, if_false, .. } => {
            select::select(cx, cx.result(inst), *cond, *if_true, *if_false);
        }
        InstData::Load { mem, addr, flags, .. } => memory::load(cx, cx.result(inst), *mem, addr, *flags),
        InstData::Store { mem, addr, value, flags } => memory::store(cx, *mem, addr, *value, *flags),
        InstData::Call { func: callee, args } => calls::direct(cx, inst, *callee, args)?,
        InstData::CallIndirect { sig, callee, args } => calls::indirect(cx, inst, *sig, *callee, args),
        other => panic!("{}: {other:?} is not lowered here", func.name),
    }
    Ok(())
}

fn unary(cx: &mut Cx<'_>, result: Value, op: UnaryOp, ty: Type, arg: Value) -> Result<(), Unsupported> {
    let from = cx.ty(arg);
    match (op, ty) {
        (UnaryOp::Bitcast, _) => float::bitcast(cx, result, arg),
        (UnaryOp::Trunc, _) => {
            let part = part(cx, result);
            let dst = cx.def_reg(result);
            assign(cx, dst, part);
        }
        (UnaryOp::Zext | UnaryOp::Sext, _) => wide::extend(cx, result, op == UnaryOp::Sext, arg),
        _ if ty.is_float() || from.is_float() => return float::unary(cx, result, op, ty, arg),
        (_, Type::I32) => bits::unary(cx, result, op, arg),
        _ => bits::unary_pair(cx, result, op, arg),
    }
    Ok(())
}

fn binary(
    cx: &mut Cx<'_>,
    result: Value,
    op: BinaryOp,
    ty: Type,
    args: [Value; 2],
) -> Result<(), Unsupported> {
    match ty {
        Type::I32 => arith::binary(cx, result, op, args),
        Type::I64 => return wide::binary(cx, result, op, args),
        Type::F32 | Type::F64 => return float::binary(cx, result, op, ty, args),
    }
    Ok(())
}

/// A new virtual register for a word.
fn temp(cx: &mut Cx<'_>) -> VReg {
    cx.temp(RegClass::Int)
}

/// Where a word comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// It is this number.
    Imm(u32),
    /// A one-word value.
    Word(Value),
    /// The low (0) or high (1) half of a two-word value.
    Half(Value, usize),
}

impl Part {
    const fn imm(self) -> Option<u32> {
        match self {
            Self::Imm(imm) => Some(imm),
            _ => None,
        }
    }
}

/// Whether values of a type are in core registers.
fn is_in_core(cx: &Cx<'_>, ty: Type) -> bool {
    codegen::Target::value_classes(cx.target, ty)[0] == RegClass::Int
}

/// Where a one-word value in core registers comes from.
fn part(cx: &Cx<'_>, value: Value) -> Part {
    match cx.def(value) {
        Some(&InstData::Const { bits, .. }) => Part::Imm(bits as u32),
        Some(&InstData::Unary { op: UnaryOp::Trunc, arg, .. }) => half(cx, arg, 0),
        Some(&InstData::Unary { op: UnaryOp::Bitcast, arg, .. }) if is_in_core(cx, cx.ty(arg)) => {
            part(cx, arg)
        }
        _ => Part::Word(value),
    }
}

/// Where a half of a two-word value comes from.
fn half(cx: &Cx<'_>, value: Value, which: usize) -> Part {
    half_at(cx, value, which, 0)
}

/// Both halves.
fn halves(cx: &Cx<'_>, value: Value) -> [Part; 2] {
    [half(cx, value, 0), half(cx, value, 1)]
}

/// How many definitions are looked through.
const DEPTH: u32 = 8;

fn half_at(cx: &Cx<'_>, value: Value, which: usize, depth: u32) -> Part {
    let itself = Part::Half(value, which);
    let Some(def) = cx.def(value).filter(|_| depth < DEPTH) else { return itself };
    let deeper = |value, which| half_at(cx, value, which, depth + 1);
    match *def {
        InstData::Const { bits, .. } => Part::Imm((bits >> (32 * which)) as u32),
        InstData::Unary { op: UnaryOp::Zext, .. } if which == 1 => Part::Imm(0),
        InstData::Unary { op: UnaryOp::Zext | UnaryOp::Sext, arg, .. } if which == 0 => part(cx, arg),
        InstData::Unary { op: UnaryOp::Bitcast, arg, .. } if is_in_core(cx, cx.ty(arg)) => deeper(arg, which),
        InstData::Load { mem: MemType::U8 | MemType::U16 | MemType::U32, .. } if which == 1 => Part::Imm(0),
        InstData::Binary { op: BinaryOp::Shl, args, .. } => match (cx.constant(args[1]), which) {
            (Some(32..), 0) => Part::Imm(0),
            (Some(32), _) => deeper(args[0], 0),
            _ => itself,
        },
        InstData::Binary { op: BinaryOp::ShrU, args, .. } => match (cx.constant(args[1]), which) {
            (Some(32..), 1) => Part::Imm(0),
            (Some(32), _) => deeper(args[0], 1),
            _ => itself,
        },
        InstData::Binary { op: BinaryOp::ShrS, args, .. } => match (cx.constant(args[1]), which) {
            (Some(32), 0) => deeper(args[0], 1),
            _ => itself,
        },
        InstData::Binary { op: BinaryOp::Rotl | BinaryOp::Rotr, args, .. }
            if cx.constant(args[1]) == Some(32) =>
        {
            deeper(args[0], 1 - which)
        }
        InstData::Binary { op: op @ (BinaryOp::And | BinaryOp::Or | BinaryOp::Xor), args, .. } => {
            let [a, b] = args.map(|arg| deeper(arg, which));
            logic_identity(op, a, b).unwrap_or(itself)
        }
        _ => itself,
    }
}

/// The word a bitwise operation on two words just passes on, if it does.
const fn logic_identity(op: BinaryOp, a: Part, b: Part) -> Option<Part> {
    match (op, a, b) {
        (BinaryOp::And, Part::Imm(0), _) | (BinaryOp::And, _, Part::Imm(0)) => Some(Part::Imm(0)),
        (BinaryOp::And, other, Part::Imm(u32::MAX)) | (BinaryOp::And, Part::Imm(u32::MAX), other) => {
            Some(other)
        }
        (BinaryOp::Or, _, Part::Imm(u32::MAX)) => Some(Part::Imm(u32::MAX)),
        (BinaryOp::Or | BinaryOp::Xor, other, Part::Imm(0))
        | (BinaryOp::Or | BinaryOp::Xor, Part::Imm(0), other) => Some(other),
        _ => None,
    }
}

/// The register of a word.
fn reg(cx: &mut Cx<'_>, part: Part) -> VReg {
    match part {
        Part::Imm(imm) => constant(cx, imm),
        Part::Word(value) => cx.reg(value),
        Part::Half(value, which) => cx.regs(value).pair()[which],
    }
}

/// The register of a one-word value in core registers.
fn word(cx: &mut Cx<'_>, value: Value) -> VReg {
    let part = part(cx, value);
    reg(cx, part)
}

/// The registers of both halves of a two-word value.
fn words(cx: &mut Cx<'_>, value: Value) -> [VReg; 2] {
    halves(cx, value).map(|part| reg(cx, part))
}

/// A register with a constant.
fn constant(cx: &mut Cx<'_>, value: u32) -> VReg {
    cx.constant_reg(Type::I32, i64::from(value as i32))
}

/// A word as an operand, a constant only if `fits`.
fn src(cx: &mut Cx<'_>, part: Part, fits: fn(u32) -> bool) -> Src<VReg> {
    match part {
        Part::Imm(imm) if fits(imm) => Src::Imm(imm),
        _ => Src::Reg(reg(cx, part)),
    }
}

/// Appends `dst = part`.
fn assign(cx: &mut Cx<'_>, dst: VReg, part: Part) {
    match part {
        Part::Imm(value) => cx.emit(Inst::Const { dst, value }),
        _ => {
            let from = reg(cx, part);
            cx.emit(Inst::copy(dst, from));
        }
    }
}

/// The operands of a foldable binary operation that defines `value` for this use only.
fn single_use_binary(cx: &Cx<'_>, value: Value, wanted: BinaryOp) -> Option<[Value; 2]> {
    match *cx.pure_def(value)? {
        InstData::Binary { op, args, .. } if op == wanted && cx.has_one_use(value) => Some(args),
        _ => None,
    }
}
