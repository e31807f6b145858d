//! Expansion for cores without the main extension: every instruction gets its 16-bit form.
//!
//! As in [`super::expand`], no flags are live between composites, so an instruction of its own may set them; nearly all
//! 16-bit forms do. Copies of registers, loads and stores don't, so they may be inside of a composite. Only moves reach
//! the scratch register. A composite that needs a low register besides its own keeps the value of one in the scratch
//! register meanwhile.
//!
//! There are no IT blocks. Instructions on a condition are branched around; see [`Inst::Either`].

use codegen::PReg;
use thumb_isa::{Cond, Feature, Features, Opcode, Shift};

use super::Pool;
use super::expand::moves_with;
use crate::isa::condition::{Compare, Src, Test, Word};
use crate::isa::inst::{Inst, Literal, MEMORY_BASE, Machine, PairOp, SCRATCH, alu_reg, to_machine};

type Out = Vec<Inst<PReg>>;

/// Appends the expansion of an instruction that is no control.
pub fn instruction(inst: Inst<PReg>, features: Features, pool: &mut Pool, out: &mut Out) {
    match inst {
        Inst::Plain(machine) | Inst::Tied(machine) => out.push(Inst::Plain(short(&machine, features))),
        Inst::Const { dst, value } => constant(dst, value, pool, out),
        Inst::Address { dst, symbol, offset } => {
            out.push(pool.load(dst, Literal::Address(symbol, offset)));
        }
        Inst::FromBase { dst, src, offset } => {
            assert_eq!(offset, 0, "an offset has an instruction of its own");
            copy(dst, src.unwrap_or(MEMORY_BASE), out);
            if src.is_some() {
                out.push(alu_reg(Opcode::AddReg, dst, dst, MEMORY_BASE, Shift::NONE));
            }
        }
        Inst::TiedPair { op, dst, a, b } => pair(op, dst, a, b, out),
        Inst::Select { test, dst, if_true, if_false } => select_word(test, dst, if_true, if_false, out),
        Inst::SelectPair { test, dst, if_true, if_false } => {
            let words =
                |srcs: [Src<PReg>; 2]| moves_with(vec![(dst[0], srcs[0]), (dst[1], srcs[1])], &assign);
            either(test, words(if_true), words(if_false), out);
        }
        other => out.push(other),
    }
}

/// Appends the instructions that a control needs before it, and returns the control.
pub fn control(inst: Inst<PReg>, features: Features, out: &mut Out) -> Inst<PReg> {
    match inst {
        Inst::Branch(Test { cond, compare: Compare::Word(Word::Imm { op: Opcode::CmpImm, a, imm: 0 }) })
            if matches!(cond, Cond::Eq | Cond::Ne) && features.contains(Feature::V8Base) =>
        {
            Inst::ZeroBranch { reg: a, if_zero: cond == Cond::Eq }
        }
        Inst::Branch(test) => Inst::FlagBranch(flags(test, out)),
        other => other,
    }
}

/// The instruction in a form that the core has. Panics if there is none.
fn short(machine: &Machine<PReg>, features: Features) -> Machine<PReg> {
    let inst = to_machine(machine);
    match inst.narrowed(true, None) {
        Some(short) => short.map_regs(&mut |reg, _| PReg::new(reg.number())),
        None => {
            assert!(inst.shortest_form_of(features, None).is_some(), "the core has no form of `{inst}`");
            *machine
        }
    }
}

fn copy(dst: PReg, src: PReg, out: &mut Out) {
    if dst != src {
        out.push(Inst::copy(dst, src));
    }
}

// ---- Constants ----

/// `dst = value`, a constant of 8 bits.
fn byte(dst: PReg, value: u32) -> Machine<PReg> {
    Machine::mov_imm(Opcode::MovImm, true, dst, value)
}

/// `dst = value` in at most two instructions, or from the pool.
fn constant(dst: PReg, value: u32, pool: &mut Pool, out: &mut Out) {
    let zeros = value.trailing_zeros();
    let second = match value {
        0..=0xff => None,
        0x100..=0x1fe => Some((0xff, Machine::alu_imm(Opcode::AddImm, true, dst, dst, value - 0xff))),
        _ if !value <= 0xff => {
            Some((!value, Machine::mov_shifted(Opcode::MvnReg, true, dst, dst, Shift::NONE)))
        }
        _ if value >> zeros <= 0xff => {
            Some((value >> zeros, Machine::shift_imm(Opcode::LslImm, true, dst, dst, zeros)))
        }
        _ => return out.push(pool.load(dst, Literal::Word(value))),
    };
    let first = second.map_or(value, |(first, _)| first);
    out.push(Inst::Plain(byte(dst, first)));
    out.extend(second.map(|(_, inst)| Inst::Plain(inst)));
}

// ---- Two words ----

fn pair(op: PairOp, dst: [PReg; 2], a: [PReg; 2], b: [Src<PReg>; 2], out: &mut Out) {
    assert_eq!(dst, a, "the destinations are the first sources");
    let (with_register, with_constant, carrying) = match op {
        PairOp::Add => (Opcode::AddReg, Opcode::AddImm, Opcode::AdcReg),
        PairOp::Sub => (Opcode::SubReg, Opcode::SubImm, Opcode::SbcReg),
    };
    out.push(Inst::Plain(match b[0] {
        Src::Reg(b) => Machine::alu_reg(with_register, true, dst[0], a[0], b, Shift::NONE),
        Src::Imm(imm) => Machine::alu_imm(with_constant, true, dst[0], a[0], imm),
    }));
    let Src::Reg(high) = b[1] else { panic!("a carry is added to a register") };
    out.push(Inst::Plain(Machine::alu_reg(carrying, true, dst[1], a[1], high, Shift::NONE)));
}

// ---- Flags ----

/// Appends instructions that set the flags for a test; returns the condition.
fn flags(test: Test<PReg>, out: &mut Out) -> Cond {
    match test.compare {
        Compare::Word(word) => out.push(Inst::Plain(word_compare(word))),
        Compare::Chain { first, run, second } => {
            out.push(Inst::Plain(word_compare(first)));
            out.push(Inst::Either { cond: run, if_true: vec![word_compare(second)], if_false: Vec::new() });
        }
        Compare::Pair { a, b } => {
            out.push(Inst::Plain(compare(a[0], b[0])));
            if matches!(test.cond, Cond::Eq | Cond::Ne) {
                let if_true = vec![compare(a[1], b[1])];
                out.push(Inst::Either { cond: Cond::Eq, if_true, if_false: Vec::new() });
            } else {
                let Src::Reg(high) = b[1] else { panic!("a borrow is subtracted from a register") };
                destructive(Machine::alu_reg(Opcode::SbcReg, true, a[1], a[1], high, Shift::NONE), a[1], out);
            }
        }
        Compare::PairZero { a } if a[0] == a[1] => {
            out.push(Inst::Plain(Machine::cmp_imm(Opcode::CmpImm, a[0], 0)));
        }
        Compare::PairZero { a } => {
            destructive(Machine::alu_reg(Opcode::OrrReg, true, a[0], a[0], a[1], Shift::NONE), a[0], out);
        }
        Compare::Float { .. } | Compare::FloatZero { .. } => panic!("these cores have no floats"),
    }
    test.cond
}

/// Appends an instruction for its flags alone: the register that it writes is restored.
fn destructive(inst: Machine<PReg>, reg: PReg, out: &mut Out) {
    out.extend([Inst::copy(SCRATCH, reg), Inst::Plain(inst), Inst::copy(reg, SCRATCH)]);
}

fn word_compare(word: Word<PReg>) -> Machine<PReg> {
    match word {
        Word::Reg { op, a, b, .. } => Machine::cmp_reg(op, a, b, Shift::NONE),
        Word::Imm { op, a, imm } => Machine::cmp_imm(op, a, imm),
    }
}

fn compare(a: PReg, b: Src<PReg>) -> Machine<PReg> {
    match b {
        Src::Reg(b) => Machine::cmp_reg(Opcode::CmpReg, a, b, Shift::NONE),
        Src::Imm(imm) => Machine::cmp_imm(Opcode::CmpImm, a, imm),
    }
}

// ---- Selects ----

fn assign(dst: PReg, src: Src<PReg>) -> Machine<PReg> {
    match src {
        Src::Reg(src) => Machine::mov_reg(Opcode::MovReg, false, dst, src),
        Src::Imm(imm) => byte(dst, imm),
    }
}

fn select_word(test: Test<PReg>, dst: PReg, if_true: Src<PReg>, if_false: Src<PReg>, out: &mut Out) {
    if let (Src::Imm(1), Src::Imm(0)) = (if_true, if_false)
        && boolean(test, dst, out)
    {
        return;
    }
    let arms = |src| moves_with(vec![(dst, src)], &assign);
    let (if_true_insts, if_false_insts) = (arms(if_true), arms(if_false));
    let is_two_way = !if_true_insts.is_empty() && !if_false_insts.is_empty();
    if is_two_way && !reads(test, dst) && if_true != Src::Reg(dst) {
        // One of the values is there before the test.
        out.extend(if_false_insts.into_iter().map(Inst::Plain));
        either(test, if_true_insts, Vec::new(), out);
    } else {
        either(test, if_true_insts, if_false_insts, out);
    }
}

/// Whether a test reads a register.
fn reads(test: Test<PReg>, reg: PReg) -> bool {
    let mut found = false;
    let _: Test<PReg> = test.map(&mut |operand, _| {
        found |= operand == reg;
        operand
    });
    found
}

/// Appends instructions that run if a test holds, and others that run if it doesn't.
fn either(test: Test<PReg>, if_true: Vec<Machine<PReg>>, if_false: Vec<Machine<PReg>>, out: &mut Out) {
    if !if_true.is_empty() || !if_false.is_empty() {
        let cond = flags(test, out);
        out.push(Inst::Either { cond, if_true, if_false });
    }
}

/// Appends `dst` = 1 if a test holds, else 0, by arithmetic with the carry; returns `false` if that does not apply.
fn boolean(test: Test<PReg>, dst: PReg, out: &mut Out) -> bool {
    let carry = |op, a, b| Inst::Plain(Machine::alu_reg(op, true, dst, a, b, Shift::NONE));
    let negate = |src| Inst::Plain(Machine::alu_imm(Opcode::RsbImm, true, dst, src, 0));
    match (test.cond, test.compare) {
        // -x carries if x is 0.
        (Cond::Eq, Compare::Word(Word::Imm { op: Opcode::CmpImm, a, imm: 0 })) if a != dst => {
            out.extend([negate(a), carry(Opcode::AdcReg, dst, a)]);
        }
        (Cond::Eq, Compare::Word(Word::Imm { op: Opcode::CmpImm, a, imm: 0 })) => {
            // x - 1 borrows if x is 0.
            out.push(Inst::Plain(Machine::alu_imm(Opcode::SubImm, true, dst, a, 1)));
            out.extend([carry(Opcode::SbcReg, dst, dst), negate(dst)]);
        }
        (Cond::Ne, Compare::Word(Word::Imm { op: Opcode::CmpImm, a, imm: 0 })) => {
            out.extend([negate(a), carry(Opcode::SbcReg, dst, dst), negate(dst)]);
        }
        (Cond::Lo | Cond::Hs, Compare::Word(Word::Reg { op: Opcode::CmpReg, .. } | Word::Imm { .. }))
        | (Cond::Lo | Cond::Hs, Compare::Pair { .. }) => carry_as_number(flags(test, out), dst, out),
        (Cond::Hi | Cond::Ls, Compare::Word(Word::Reg { op: Opcode::CmpReg, a, b, shift })) => {
            let compare = Compare::regs(Opcode::CmpReg, b, a, shift);
            let cond = if test.cond == Cond::Hi { Cond::Lo } else { Cond::Hs };
            carry_as_number(flags(Test { cond, compare }, out), dst, out);
        }
        _ => return false,
    }
    true
}

/// Appends `dst` = the carry if `cond` is `hs`, or its complement if it is `lo`.
fn carry_as_number(cond: Cond, dst: PReg, out: &mut Out) {
    out.push(Inst::Plain(Machine::alu_reg(Opcode::SbcReg, true, dst, dst, dst, Shift::NONE)));
    out.push(Inst::Plain(match cond {
        Cond::Lo => Machine::alu_imm(Opcode::RsbImm, true, dst, dst, 0),
        _ => Machine::alu_imm(Opcode::AddImm, true, dst, dst, 1),
    }));
}
