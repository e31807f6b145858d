//! Expansion of composite instructions into instructions of the machine.
//!
//! This runs when registers, frame and block order are settled. Every composite that uses the flags is expanded here.
//! The instructions that allocation inserted between composites don't touch the flags: they are moves, loads and wide
//! forms only.
//!
//! A composite was allocated as if it read all operands before it writes any result. If its first instruction writes a
//! register that a later one reads, the value goes through the scratch register, which is otherwise free here.

use codegen::PReg;
use thumb_isa::value::float_imm_from_f64;
use thumb_isa::{Cond, ItMask, Opcode, Shift};

use super::Pool;
use crate::isa::abi::FIRST_DOUBLE;
use crate::isa::condition::{Compare, Src, Test, Word};
use crate::isa::immediate::{fits_add, is_modified};
use crate::isa::inst::{
    Inst, Literal, MEMORY_BASE, Machine, PairOp, SCRATCH, Symbol, add_imm, alu_reg, float_move,
};

type Out = Vec<Inst<PReg>>;

/// Appends the expansion of an instruction that is no control.
pub fn instruction(inst: Inst<PReg>, pool: &mut Pool, out: &mut Out) {
    match inst {
        Inst::Update { inst, .. } | Inst::UpdatePair { inst, .. } => out.push(Inst::Plain(inst)),
        Inst::Const { dst, value } => constant(dst, value, pool, out),
        Inst::FloatConst { dst, double, bits } => float_constant(dst, double, bits, pool, out),
        Inst::Address { dst, symbol, offset } => address(dst, symbol, offset, pool, out),
        Inst::FromBase { dst, src: Some(src), .. } => {
            out.push(alu_reg(Opcode::AddReg, dst, src, MEMORY_BASE, Shift::NONE));
        }
        Inst::FromBase { dst, src: None, offset } => from_base(dst, offset as u32, pool, out),
        Inst::BaseAccess { op, rt, index } => {
            out.push(Inst::Plain(Machine::mem_reg(op, rt, MEMORY_BASE, index, 0)));
        }
        Inst::BaseOffset { op, rt, offset } => {
            out.push(Inst::Plain(Machine::mem(op, rt, MEMORY_BASE, offset)))
        }
        Inst::Pair { op, dst, a, b } => pair(op, dst, a, b, out),
        Inst::PairNeg { dst, src } => negate(dst, src, out),
        Inst::PairHalve { signed, dst, src } => halve(signed, dst, src, out),
        Inst::Select { test, dst, if_true, if_false } => select(test, &[(dst, if_true, if_false)], out),
        Inst::SelectPair { test, dst, if_true, if_false } => {
            let words = [0, 1].map(|n| (dst[n], if_true[n], if_false[n]));
            select(test, &words, out);
        }
        Inst::Conditional { test, inst } => {
            let cond = flags(test, out);
            conditional(cond, vec![inst], Vec::new(), out);
        }
        Inst::SelectFloat { test, double, dst, if_true, if_false } => {
            select_float(test, double, dst, if_true, if_false, out);
        }
        Inst::Params { singles, .. } => {
            let moves = singles.into_iter().map(|(single, double)| float_move(double, single));
            out.extend(moves);
        }
        Inst::Call(ref call) => {
            out.extend(call.singles.iter().map(|&(single, double)| float_move(single, double)));
            out.push(inst);
        }
        other => out.push(other),
    }
}

/// Appends the instructions that a control needs before it, and returns the control.
pub fn control(inst: Inst<PReg>, out: &mut Out) -> Inst<PReg> {
    match inst {
        Inst::Branch(Test { cond, compare: Compare::Word(Word::Imm { op: Opcode::CmpImm, a, imm: 0 }) })
            if a.number() < 8 && matches!(cond, Cond::Eq | Cond::Ne) =>
        {
            Inst::ZeroBranch { reg: a, if_zero: cond == Cond::Eq }
        }
        Inst::Branch(test) => Inst::FlagBranch(flags(test, out)),
        other => other,
    }
}

fn plain(inst: Machine<PReg>) -> Inst<PReg> {
    Inst::Plain(inst)
}

// ---- Constants ----

/// `dst = value` as one instruction, if a single one can do it.
pub fn short_constant(dst: PReg, value: u32) -> Option<Machine<PReg>> {
    if is_modified(value) {
        Some(Machine::mov_imm(Opcode::MovImm, false, dst, value))
    } else if is_modified(!value) {
        Some(Machine::mov_imm(Opcode::MvnImm, false, dst, !value))
    } else if value <= 0xffff {
        Some(Machine::mov_half(Opcode::Movw, dst, value))
    } else {
        None
    }
}

fn constant(dst: PReg, value: u32, pool: &mut Pool, out: &mut Out) {
    if let Some(inst) = short_constant(dst, value) {
        out.push(plain(inst));
    } else if pool.is_wanted() {
        out.push(pool.load(dst, Literal::Word(value)));
    } else {
        out.push(plain(Machine::mov_half(Opcode::Movw, dst, value & 0xffff)));
        out.push(plain(Machine::mov_half(Opcode::Movt, dst, value >> 16)));
    }
}

fn address(dst: PReg, symbol: Symbol, offset: i32, pool: &mut Pool, out: &mut Out) {
    let near = i32::from(offset as i16);
    if pool.is_wanted() || near != offset && pool.is_in_reach() {
        out.push(pool.load(dst, Literal::Address(symbol, offset)));
        return;
    }
    out.push(Inst::AddressHalf { op: Opcode::Movw, dst, symbol, offset: near });
    out.push(Inst::AddressHalf { op: Opcode::Movt, dst, symbol, offset: near });
    let rest = offset.wrapping_sub(near) as u32;
    for byte in [0x00ff_0000, 0xff00_0000] {
        if rest & byte != 0 {
            out.push(add_imm(dst, dst, rest & byte));
        }
    }
}

fn from_base(dst: PReg, offset: u32, pool: &mut Pool, out: &mut Out) {
    if offset == 0 {
        out.push(Inst::copy(dst, MEMORY_BASE));
    } else if fits_add(offset) {
        out.push(add_imm(dst, MEMORY_BASE, offset));
    } else {
        constant(dst, offset, pool, out);
        out.push(alu_reg(Opcode::AddReg, dst, dst, MEMORY_BASE, Shift::NONE));
    }
}

fn float_constant(dst: PReg, double: bool, bits: u64, pool: &mut Pool, out: &mut Out) {
    let value = if double { f64::from_bits(bits) } else { f64::from(f32::from_bits(bits as u32)) };
    let op = if double { Opcode::VmovImmF64 } else { Opcode::VmovImmF32 };
    if let Some(imm) = float_imm_from_f64(value) {
        out.push(plain(Machine::float_imm(op, dst, imm)));
        return;
    }
    constant(SCRATCH, bits as u32, pool, out);
    if !double {
        out.push(plain(Machine::reg2(Opcode::VmovToSingle, dst, SCRATCH)));
    } else if bits >> 32 == bits & 0xffff_ffff {
        out.push(plain(Machine::reg3(Opcode::VmovToDouble, dst, SCRATCH, SCRATCH)));
    } else {
        let [low, high] = halves_of(dst);
        out.push(plain(Machine::reg2(Opcode::VmovToSingle, low, SCRATCH)));
        constant(SCRATCH, (bits >> 32) as u32, pool, out);
        out.push(plain(Machine::reg2(Opcode::VmovToSingle, high, SCRATCH)));
    }
}

/// The single-precision registers that a double consists of.
fn halves_of(double: PReg) -> [PReg; 2] {
    let first = crate::isa::abi::FIRST_SINGLE + 2 * (double.number() - FIRST_DOUBLE);
    [first, first + 1].map(PReg::new)
}

// ---- Two words ----

/// Calls `emit` with the register for the first of two words: its own, or the scratch register if its own `is_read`
/// later.
fn in_order(dst: PReg, is_read: bool, out: &mut Out, emit: impl FnOnce(PReg, &mut Out)) {
    if is_read {
        emit(SCRATCH, out);
        out.push(Inst::copy(dst, SCRATCH));
    } else {
        emit(dst, out);
    }
}

fn pair(op: PairOp, dst: [PReg; 2], a: [PReg; 2], b: [Src<PReg>; 2], out: &mut Out) {
    let is_read = a[1] == dst[0] || b[1] == Src::Reg(dst[0]);
    in_order(dst[0], is_read, out, |low, out| {
        out.push(plain(first_word(op, low, a[0], b[0])));
        out.push(plain(carry_word(op, false, dst[1], a[1], b[1])));
    });
}

/// `dst = a op b`, also setting the carry.
fn first_word(op: PairOp, dst: PReg, a: PReg, b: Src<PReg>) -> Machine<PReg> {
    match (op, b) {
        (PairOp::Add, Src::Reg(b)) => Machine::alu_reg(Opcode::AddReg, true, dst, a, b, Shift::NONE),
        (PairOp::Sub, Src::Reg(b)) => Machine::alu_reg(Opcode::SubReg, true, dst, a, b, Shift::NONE),
        (op, Src::Imm(imm)) => {
            let adding = op == PairOp::Add;
            let (same, other) =
                if adding { (Opcode::AddImm, Opcode::SubImm) } else { (Opcode::SubImm, Opcode::AddImm) };
            let negated = imm.wrapping_neg();
            // Adding a number and subtracting its negation set the same carry, except for 0.
            match imm == 0 || is_modified(imm) && !(negated < imm && is_modified(negated)) {
                true => Machine::alu_imm(same, true, dst, a, imm),
                false => Machine::alu_imm(other, true, dst, a, negated),
            }
        }
    }
}

/// `dst = a op b` with the carry.
fn carry_word(op: PairOp, sets_flags: bool, dst: PReg, a: PReg, b: Src<PReg>) -> Machine<PReg> {
    match (op, b) {
        (PairOp::Add, Src::Reg(b)) => Machine::alu_reg(Opcode::AdcReg, sets_flags, dst, a, b, Shift::NONE),
        (PairOp::Sub, Src::Reg(b)) => Machine::alu_reg(Opcode::SbcReg, sets_flags, dst, a, b, Shift::NONE),
        (op, Src::Imm(imm)) => {
            let adding = op == PairOp::Add;
            let (same, other) =
                if adding { (Opcode::AdcImm, Opcode::SbcImm) } else { (Opcode::SbcImm, Opcode::AdcImm) };
            match is_modified(imm) {
                true => Machine::alu_imm(same, sets_flags, dst, a, imm),
                false => Machine::alu_imm(other, sets_flags, dst, a, !imm),
            }
        }
    }
}

/// Two-word negation: `x - 2x` with borrow is `-x` with borrow.
fn negate(dst: [PReg; 2], src: [PReg; 2], out: &mut Out) {
    in_order(dst[0], src[1] == dst[0], out, |low, out| {
        out.push(plain(Machine::alu_imm(Opcode::RsbImm, true, low, src[0], 0)));
        out.push(plain(Machine::alu_reg(Opcode::SbcReg, false, dst[1], src[1], src[1], Shift::Lsl(1))));
    });
}

/// Two-word halving: the bit that leaves the high word enters the low one through the carry.
fn halve(signed: bool, dst: [PReg; 2], src: [PReg; 2], out: &mut Out) {
    let op = if signed { Opcode::AsrImm } else { Opcode::LsrImm };
    in_order(dst[1], src[0] == dst[1], out, |high, out| {
        out.push(plain(Machine::shift_imm(op, true, high, src[1], 1)));
        out.push(plain(Machine::mov_reg(Opcode::Rrx, false, dst[0], src[0])));
    });
}

// ---- Flags ----

/// Appends instructions that set the flags for a test; returns the condition.
pub fn flags(test: Test<PReg>, out: &mut Out) -> Cond {
    match test.compare {
        Compare::Word(word) => out.push(plain(word_compare(word))),
        Compare::Chain { first, run, second } => {
            out.push(plain(word_compare(first)));
            out.push(Inst::It { cond: run, mask: ItMask::new(run, &[]), body: vec![word_compare(second)] });
        }
        Compare::Pair { a, b } if matches!(test.cond, Cond::Eq | Cond::Ne) => {
            out.push(plain(compare_word(a[0], b[0])));
            let body = vec![compare_word(a[1], b[1])];
            out.push(Inst::It { cond: Cond::Eq, mask: ItMask::new(Cond::Eq, &[]), body });
        }
        Compare::Pair { a, b } => {
            out.push(plain(compare_word(a[0], b[0])));
            out.push(plain(carry_word(PairOp::Sub, true, SCRATCH, a[1], b[1])));
        }
        Compare::PairZero { a } => {
            out.push(plain(Machine::alu_reg(Opcode::OrrReg, true, SCRATCH, a[0], a[1], Shift::NONE)));
        }
        Compare::Float { double, a, b } => {
            let op = if double { Opcode::VcmpF64 } else { Opcode::VcmpF32 };
            out.push(plain(Machine::reg2(op, a, b)));
            out.push(plain(Machine::no_arg(Opcode::VmrsApsr)));
        }
        Compare::FloatZero { double, a } => {
            let op = if double { Opcode::VcmpZeroF64 } else { Opcode::VcmpZeroF32 };
            out.push(plain(Machine::float_cmp_zero(op, a)));
            out.push(plain(Machine::no_arg(Opcode::VmrsApsr)));
        }
    }
    test.cond
}

fn word_compare(word: Word<PReg>) -> Machine<PReg> {
    match word {
        Word::Reg { op, a, b, shift } => Machine::cmp_reg(op, a, b, shift),
        Word::Imm { op, a, imm } => Machine::cmp_imm(op, a, imm),
    }
}

fn compare_word(a: PReg, b: Src<PReg>) -> Machine<PReg> {
    match b {
        Src::Reg(b) => Machine::cmp_reg(Opcode::CmpReg, a, b, Shift::NONE),
        Src::Imm(imm) if is_modified(imm) => Machine::cmp_imm(Opcode::CmpImm, a, imm),
        Src::Imm(imm) => Machine::cmp_imm(Opcode::CmnImm, a, imm.wrapping_neg()),
    }
}

// ---- Selects ----

/// Appends a select of `words`: destinations, each with its values for true and false.
fn select(test: Test<PReg>, words: &[(PReg, Src<PReg>, Src<PReg>)], out: &mut Out) {
    let if_true = moves_with(words.iter().map(|&(dst, value, _)| (dst, value)).collect(), &assign);
    let if_false = moves_with(words.iter().map(|&(dst, _, value)| (dst, value)).collect(), &assign);
    if if_true.is_empty() && if_false.is_empty() {
        return;
    }
    let cond = flags(test, out);
    conditional(cond, if_true, if_false, out);
}

/// Parallel moves as sequential moves, made by `assign`. There are at most two.
pub fn moves_with(
    list: Vec<(PReg, Src<PReg>)>,
    assign: &dyn Fn(PReg, Src<PReg>) -> Machine<PReg>,
) -> Vec<Machine<PReg>> {
    let list: Vec<_> = list.into_iter().filter(|&(dst, src)| src != Src::Reg(dst)).collect();
    match list[..] {
        [(first, first_src), (second, second_src)] if second_src == Src::Reg(first) => {
            if first_src == Src::Reg(second) {
                let swapped = [(SCRATCH, Src::Reg(first)), (first, first_src), (second, Src::Reg(SCRATCH))];
                return swapped.map(|(dst, src)| assign(dst, src)).to_vec();
            }
            vec![assign(second, second_src), assign(first, first_src)]
        }
        _ => list.into_iter().map(|(dst, src)| assign(dst, src)).collect(),
    }
}

fn assign(dst: PReg, src: Src<PReg>) -> Machine<PReg> {
    match src {
        Src::Reg(src) => Machine::mov_reg(Opcode::MovReg, false, dst, src),
        Src::Imm(imm) => short_constant(dst, imm).expect("lowering put only short constants here"),
    }
}

/// Appends instructions that run if `cond` holds, and others that run if it doesn't.
fn conditional(cond: Cond, if_true: Vec<Machine<PReg>>, if_false: Vec<Machine<PReg>>, out: &mut Out) {
    let lists = [(cond, if_true), (cond.invert(), if_false)];
    let all: Vec<(Cond, Machine<PReg>)> =
        lists.into_iter().flat_map(|(cond, insts)| insts.into_iter().map(move |inst| (cond, inst))).collect();
    for block in all.chunks(4) {
        let first = block[0].0;
        let following: Vec<bool> = block[1..].iter().map(|(cond, _)| *cond == first).collect();
        let mask = ItMask::new(first, &following);
        out.push(Inst::It { cond: first, mask, body: block.iter().map(|(_, inst)| *inst).collect() });
    }
}

fn select_float(test: Test<PReg>, double: bool, dst: PReg, if_true: PReg, if_false: PReg, out: &mut Out) {
    let op = if double { Opcode::VmovF64 } else { Opcode::VmovF32 };
    let to = |src: PReg| (src != dst).then(|| Machine::reg2(op, dst, src));
    let (if_true, if_false): (Vec<_>, Vec<_>) =
        (to(if_true).into_iter().collect(), to(if_false).into_iter().collect());
    if !if_true.is_empty() || !if_false.is_empty() {
        let cond = flags(test, out);
        conditional(cond, if_true, if_false, out);
    }
}
