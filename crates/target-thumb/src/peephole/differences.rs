//! Comparisons of numbers that are also subtracted.
//!
//! A subtraction sets the same flags as a comparison of its operands, for words and for pairs of words. So if the block
//! subtracts the same numbers before it compares them, the subtraction takes the place of the comparison. It moves down,
//! which is possible if nothing between them needs the difference or changes a register of the subtraction. It runs right
//! after expansion, when no subtraction of words sets flags for another user yet. Termination: each step removes an
//! instruction or goes on to the next.

use std::ops::Range;

use codegen::{Effects, Function, Insts, PReg, RegSet};
use thumb_isa::{Opcode, Shift};

use crate::isa::Thumb;
use crate::isa::inst::{Inst, Machine, SCRATCH};

/// The maximum number of instructions between a subtraction and a comparison.
const MAX_DISTANCE: usize = 32;

/// Replaces comparisons by subtractions of the same numbers.
pub fn share(func: &mut Function<Thumb, PReg>) {
    for data in func.blocks.values_mut() {
        let mut at = 0;
        while at < data.insts.len() {
            if let Some(compared) = compared(&data.insts, at) {
                let len = compared.len();
                let first = at.saturating_sub(MAX_DISTANCE);
                let found = (first..(at + 1).saturating_sub(len))
                    .rev()
                    .find(|&from| subtracts(&data.insts[from..from + len], &compared, SCRATCH))
                    .filter(|&from| can_move(&data.insts, from..from + len, at));
                if let Some(from) = found {
                    replace(&mut data.insts, from, at, len);
                    continue;
                }
            }
            at += 1;
        }
    }
}

/// The subtraction that has the flags of a comparison at `at`, with the scratch register as the destination.
fn compared(insts: &[Inst<PReg>], at: usize) -> Option<Vec<Machine<PReg>>> {
    let first = match insts[at] {
        Inst::Plain(Machine::CmpReg { op: Opcode::CmpReg, rn, rm, shift: Shift::NONE }) => {
            Machine::alu_reg(Opcode::SubReg, true, SCRATCH, rn, rm, Shift::NONE)
        }
        Inst::Plain(Machine::CmpImm { op: Opcode::CmpImm, rn, imm }) => {
            Machine::alu_imm(Opcode::SubImm, true, SCRATCH, rn, imm)
        }
        _ => return None,
    };
    match insts.get(at + 1) {
        Some(&Inst::Plain(borrow)) if destination(&borrow) == Some(SCRATCH) && uses_carry(&borrow) => {
            Some(vec![first, borrow])
        }
        _ => Some(vec![first]),
    }
}

const fn uses_carry(inst: &Machine<PReg>) -> bool {
    matches!(inst.op(), Opcode::SbcReg | Opcode::SbcImm | Opcode::AdcImm)
}

const fn destination(inst: &Machine<PReg>) -> Option<PReg> {
    match *inst {
        Machine::AluReg { rd, .. } | Machine::AluImm { rd, .. } => Some(rd),
        _ => None,
    }
}

/// Whether instructions are those of `compared`, except for destinations and for setting flags.
fn subtracts(insts: &[Inst<PReg>], compared: &[Machine<PReg>], to: PReg) -> bool {
    insts.iter().zip(compared).all(|(inst, wanted)| match *inst {
        Inst::Plain(Machine::AluReg { op, rn, rm, shift, .. }) => {
            *wanted == Machine::AluReg { op, s: true, rd: to, rn, rm, shift }
        }
        Inst::Plain(Machine::AluImm { op, rn, imm, .. }) => {
            *wanted == Machine::AluImm { op, s: true, rd: to, rn, imm }
        }
        _ => false,
    })
}

/// Whether the subtraction does not change what it reads, and may be executed at `to` instead.
fn can_move(insts: &[Inst<PReg>], from: Range<usize>, to: usize) -> bool {
    let (mut reads, mut writes) = (RegSet::EMPTY, RegSet::EMPTY);
    for inst in &insts[from.clone()] {
        let effects = Effects::of::<Thumb>(inst);
        reads = reads.union(effects.reads);
        writes = writes.union(effects.writes);
    }
    let is_free = |inst: &Inst<PReg>| {
        let passed = Effects::of::<Thumb>(inst);
        passed.writes.intersection(reads.union(writes)).is_empty()
            && passed.reads.intersection(writes).is_empty()
    };
    let is_used =
        from.len() == 1 && matches!(&insts[from.start], Inst::Plain(inst) if inst.sets_flags() == Some(true));
    !is_used && reads.intersection(writes).is_empty() && insts[from.end..to].iter().all(is_free)
}

/// Moves the subtraction of `len` instructions at `from` to the place of the comparison at `to`.
fn replace(insts: &mut Insts<Inst<PReg>>, from: usize, to: usize, len: usize) {
    for n in 0..len {
        if let Inst::Plain(machine) = insts[from + n] {
            insts[to + n] = Inst::Plain(machine.with_flags(true));
        }
    }
    for _ in 0..len {
        insts.remove(from);
    }
}
