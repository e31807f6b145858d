//! Instruction selection.
//!
//! There is one file per family of operations. Each function selects one SSA instruction and ends with the machine
//! instructions that define its result. This file has the functions for operands that the families share.
//!
//! The unit of selection is the machine word. A [`WordSource`] is the origin of a word: a constant, a one-word value,
//! or a half of a two-word value. It skips operations that only move words: a truncation is the low half, and the high
//! half of a zero-extension is 0. A source needs no register until its register is requested.
//!
//! Selection is for cores with the main extension; for the others, [`narrow`] replaces the instructions that they lack.

mod address;
mod arith;
mod bits;
mod calls;
mod compare;
mod control;
mod float;
mod memory;
mod narrow;
mod select;
mod shift;
mod wide;

use std::collections::{BTreeMap, BTreeSet};

use codegen::{CallLayout, Lower, RegClass, Remat, Select, StackSlot, Unsupported, VReg};
use ssa::{BinaryOp, InstData, MemType, Type, UnaryOp, Value};

use crate::isa::Thumb;
use crate::isa::abi;
use crate::isa::condition::Src;
use crate::isa::inst::{Base, Inst, Symbol};

use calls::params;
use control::terminator;

/// The context of lowering one function.
pub type Cx<'a> = Lower<'a, Thumb>;

/// Results of the analyses that selection uses.
#[derive(Debug)]
pub struct Facts {
    /// For each value that is one half of a product, the value that is the other half.
    products: BTreeMap<Value, Value>,
    /// Shifted words that all users take as a shifted operand, so that they need no register.
    operands: BTreeSet<Value>,
    /// Constants that several minima and maxima have as a bound.
    bounds: BTreeSet<u32>,
}

impl Facts {
    /// Analyses a function.
    pub fn new(func: &ssa::Function, shifts_operands: bool) -> Self {
        let operands = if shifts_operands { shift::operands(func) } else { BTreeSet::new() };
        Self { products: prepare::products::pairs(func), operands, bounds: arith::shared_bounds(func) }
    }
}

impl Select for Thumb {
    type Facts = Facts;

    const BOUNDS_LOOPS: bool = true;

    fn value_classes(&self, ty: ssa::Type) -> &'static [RegClass] {
        abi::value_classes(self.cpu, ty)
    }

    fn call_layout(&self, sig: &ssa::Signature) -> CallLayout {
        abi::call_layout(self.cpu, sig)
    }

    fn analyze(&self, _module: &ssa::Module, func: &ssa::Function) -> Facts {
        Facts::new(func, self.cpu.has_main())
    }

    fn legalize(&self, func: &mut codegen::Function<Self, VReg>) {
        if !self.cpu.has_main() {
            narrow::legalize(func);
        }
    }

    fn lower(&self, cx: &mut Lower<'_, Self>, inst: ssa::Inst) -> Result<(), Unsupported> {
        instruction(cx, inst)
    }

    fn lower_terminator(&self, cx: &mut Lower<'_, Self>, inst: ssa::Inst) -> Result<(), Unsupported> {
        terminator(cx, inst)
    }

    fn lower_params(&self, cx: &mut Lower<'_, Self>) -> Result<(), Unsupported> {
        params(cx);
        Ok(())
    }

    fn materialize(&self, module: &ssa::Module, what: Remat, word: usize, dst: VReg) -> Inst<VReg> {
        match what {
            Remat::Const(ty, bits) if self.value_classes(ty)[0] == RegClass::Float => {
                Inst::FloatConst { dst, double: ty == ssa::Type::F64, bits: bits as u64 }
            }
            Remat::Const(_, bits) => Inst::Const { dst, value: (bits >> (32 * word)) as u32 },
            Remat::Data(data, offset) => match self.base_of(data) {
                Some(Base::Data(data)) => Inst::Address { dst, symbol: Symbol::Data(data), offset },
                Some(Base::Register) => Inst::FromBase { dst, src: None, offset },
                None => Inst::Const { dst, value: offset as u32 },
            },
            Remat::Frame(slot) => {
                let slot = StackSlot::Object { slot, offset: 0 };
                Inst::SlotAddr { dst, slot, base: self.memory_base() }
            }
            Remat::Func(func) if word == 0 => Inst::Address { dst, symbol: Symbol::Func(func), offset: 0 },
            Remat::Func(func) => {
                let sig = ssa::EntityId::index(module.decls[func].sig) as u32;
                Inst::Const { dst, value: sig + 1 }
            }
        }
    }
}

/// Selects instructions for an SSA instruction that is no terminator.
fn instruction(cx: &mut Cx<'_>, inst: ssa::Inst) -> Result<(), Unsupported> {
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
            let source = source(cx, result);
            let dst = cx.def_reg(result);
            assign(cx, dst, source);
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

/// The source of a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum WordSource {
    /// A constant.
    Imm(u32),
    /// A one-word value.
    Word(Value),
    /// The low (0) or high (1) half of a two-word value.
    Half(Value, usize),
}

impl WordSource {
    const fn imm(self) -> Option<u32> {
        match self {
            Self::Imm(imm) => Some(imm),
            _ => None,
        }
    }
}

/// Whether values of a type are in core registers.
fn is_in_core(cx: &Cx<'_>, ty: Type) -> bool {
    Select::value_classes(cx.target, ty)[0] == RegClass::Int
}

/// The source of a one-word value in core registers.
fn source(cx: &Cx<'_>, value: Value) -> WordSource {
    match cx.def(value) {
        Some(&InstData::Const { bits, .. }) => WordSource::Imm(bits as u32),
        Some(&InstData::Unary { op: UnaryOp::Trunc, arg, .. }) => half(cx, arg, 0),
        Some(&InstData::Unary { op: UnaryOp::Bitcast, arg, .. }) if is_in_core(cx, cx.ty(arg)) => {
            source(cx, arg)
        }
        _ => WordSource::Word(value),
    }
}

/// The source of a half of a two-word value.
fn half(cx: &Cx<'_>, value: Value, which: usize) -> WordSource {
    half_at(cx, value, which, 0)
}

/// The sources of both halves.
fn halves(cx: &Cx<'_>, value: Value) -> [WordSource; 2] {
    [half(cx, value, 0), half(cx, value, 1)]
}

/// Maximum number of definitions that [`half`] skips.
const DEPTH: u32 = 8;

fn half_at(cx: &Cx<'_>, value: Value, which: usize, depth: u32) -> WordSource {
    let itself = WordSource::Half(value, which);
    let Some(def) = cx.def(value).filter(|_| depth < DEPTH) else { return itself };
    let deeper = |value, which| half_at(cx, value, which, depth + 1);
    match *def {
        InstData::Const { bits, .. } => WordSource::Imm((bits >> (32 * which)) as u32),
        InstData::Unary { op: UnaryOp::Zext, .. } if which == 1 => WordSource::Imm(0),
        InstData::Unary { op: UnaryOp::Zext | UnaryOp::Sext, arg, .. } if which == 0 => source(cx, arg),
        InstData::Unary { op: UnaryOp::Bitcast, arg, .. } if is_in_core(cx, cx.ty(arg)) => deeper(arg, which),
        InstData::Load { mem: MemType::U8 | MemType::U16 | MemType::U32, .. } if which == 1 => {
            WordSource::Imm(0)
        }
        InstData::Binary { op: BinaryOp::Shl, args, .. } => match (cx.constant(args[1]), which) {
            (Some(32..), 0) => WordSource::Imm(0),
            (Some(32), _) => deeper(args[0], 0),
            _ => itself,
        },
        InstData::Binary { op: BinaryOp::ShrU, args, .. } => match (cx.constant(args[1]), which) {
            (Some(32..), 1) => WordSource::Imm(0),
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

/// The operand that a bitwise operation on two words passes on unchanged, if it does.
const fn logic_identity(op: BinaryOp, a: WordSource, b: WordSource) -> Option<WordSource> {
    match (op, a, b) {
        (BinaryOp::And, WordSource::Imm(0), _) | (BinaryOp::And, _, WordSource::Imm(0)) => {
            Some(WordSource::Imm(0))
        }
        (BinaryOp::And, other, WordSource::Imm(u32::MAX))
        | (BinaryOp::And, WordSource::Imm(u32::MAX), other) => Some(other),
        (BinaryOp::Or, _, WordSource::Imm(u32::MAX)) => Some(WordSource::Imm(u32::MAX)),
        (BinaryOp::Or | BinaryOp::Xor, other, WordSource::Imm(0))
        | (BinaryOp::Or | BinaryOp::Xor, WordSource::Imm(0), other) => Some(other),
        _ => None,
    }
}

/// The register of a word.
fn reg(cx: &mut Cx<'_>, source: WordSource) -> VReg {
    match source {
        WordSource::Imm(imm) => constant(cx, imm),
        WordSource::Word(value) => cx.reg(value),
        WordSource::Half(value, which) => cx.regs(value).pair()[which],
    }
}

/// The register of a one-word value in core registers.
fn word(cx: &mut Cx<'_>, value: Value) -> VReg {
    let source = source(cx, value);
    reg(cx, source)
}

/// The registers of both halves of a two-word value.
fn words(cx: &mut Cx<'_>, value: Value) -> [VReg; 2] {
    halves(cx, value).map(|source| reg(cx, source))
}

/// A register with a constant.
fn constant(cx: &mut Cx<'_>, value: u32) -> VReg {
    cx.constant_reg(Type::I32, i64::from(value as i32))
}

/// A word as an operand: a constant only if `fits`.
fn src(cx: &mut Cx<'_>, source: WordSource, fits: fn(u32) -> bool) -> Src<VReg> {
    match source {
        WordSource::Imm(imm) if fits(imm) => Src::Imm(imm),
        _ => Src::Reg(reg(cx, source)),
    }
}

/// Appends `dst = source`.
fn assign(cx: &mut Cx<'_>, dst: VReg, source: WordSource) {
    match source {
        WordSource::Imm(value) => cx.emit(Inst::Const { dst, value }),
        _ => {
            let from = reg(cx, source);
            cx.emit(Inst::copy(dst, from));
        }
    }
}

/// The operands of a foldable binary operation that defines `value`, if `value` has only this use.
fn single_use_binary(cx: &Cx<'_>, value: Value, wanted: BinaryOp) -> Option<[Value; 2]> {
    match *cx.pure_def(value)? {
        InstData::Binary { op, args, .. } if op == wanted && cx.has_one_use(value) => Some(args),
        _ => None,
    }
}
