//! Numbers that follow from the carry, by arithmetic instead of a select.
//!
//! `sbc r, r, r` is 0 if the carry is set, else -1. So two numbers that differ by 1 need no IT block, if the condition
//! depends on the carry alone: a constant is added to it, or it is negated. The comparisons `hi` and `ls` also depend on
//! the carry alone with exchanged operands, or with the next constant. A zero is recognised by its negation, which sets the
//! carry for zero only.
//!
//! All of this needs the short forms, so registers are low and no flag is live afterwards. It runs when comparisons have
//! been shared, as the arithmetic destroys their flags.

use codegen::{Function, Insts, PReg};
use thumb_isa::{Cond, Opcode, Shift};

use super::narrow::{live_at_end, live_before};
use crate::isa::Thumb;
use crate::isa::condition::Src;
use crate::isa::inst::{Inst, Machine};

/// Instructions that replace others.
struct Rewrite {
    /// Replaces the one before, which has to be the comparison.
    compare: Option<Machine<PReg>>,
    /// Replace the select.
    insts: [Option<Machine<PReg>>; 2],
}

/// Replaces selects of numbers by arithmetic with the carry.
pub fn compute(func: &mut Function<Thumb, PReg>) {
    for n in 0..func.order.len() {
        let data = &mut func.blocks[func.order[n]];
        let mut live = live_at_end(&data.control);
        for at in (0..data.insts.len()).rev() {
            let after = live;
            live = live_before(&data.insts[at], live);
            if !after.is_empty() {
                continue;
            }
            let list = &data.insts[..=at];
            if let Some(rewrite) = of_carry(list).or_else(|| is_zero(list)).or_else(|| is_not_zero(list)) {
                replace(&mut data.insts, at, rewrite);
            }
        }
    }
}

fn replace(insts: &mut Insts<Inst<PReg>>, at: usize, rewrite: Rewrite) {
    if let Some(compare) = rewrite.compare {
        insts[at - 1] = Inst::Plain(compare);
    }
    let loc = insts.loc(at);
    let mut rest = insts.split_off(at);
    rest.remove(0);
    insts.extend(rewrite.insts.into_iter().flatten().map(Inst::Plain), loc);
    insts.append(rest);
}

/// The last instruction as a select: its condition, its destination, and the values if it holds and if it doesn't.
fn select(insts: &[Inst<PReg>]) -> Option<(Cond, PReg, [Src<PReg>; 2])> {
    let Some(Inst::It { cond, mask, body }) = insts.last() else { return None };
    let [first, second] = body[..] else { return None };
    let ((first_dst, first), (second_dst, second)) = (moved(&first)?, moved(&second)?);
    let is_both = mask.conds(*cond).nth(1) == Some(cond.invert());
    (is_both && first_dst == second_dst && is_low(first_dst)).then_some((*cond, first_dst, [first, second]))
}

/// The destination and the value of a move.
const fn moved(inst: &Machine<PReg>) -> Option<(PReg, Src<PReg>)> {
    match *inst {
        Machine::MovImm { op: Opcode::MovImm, rd, imm, .. } => Some((rd, Src::Imm(imm))),
        Machine::MovImm { op: Opcode::MvnImm, rd, imm, .. } => Some((rd, Src::Imm(!imm))),
        Machine::MovReg { op: Opcode::MovReg, rd, rm, .. } => Some((rd, Src::Reg(rm))),
        _ => None,
    }
}

const fn is_low(reg: PReg) -> bool {
    reg.number() < 8
}

/// A select of two neighbouring numbers by the carry.
fn of_carry(insts: &[Inst<PReg>]) -> Option<Rewrite> {
    let (cond, dst, [Src::Imm(if_true), Src::Imm(if_false)]) = select(insts)? else { return None };
    let (compare, cond) = by_carry(insts, cond)?;
    let (lower, higher) = if cond == Cond::Lo { (if_true, if_false) } else { (if_false, if_true) };
    let adding = |imm| Machine::alu_imm(Opcode::AddImm, false, dst, dst, imm);
    // The number is now 0 if the carry is set, else -1.
    let second = match (lower, higher) {
        (u32::MAX, 0) => None,
        (1, 0) => Some(Machine::alu_imm(Opcode::RsbImm, false, dst, dst, 0)),
        (0, u32::MAX) => Some(Machine::mov_shifted(Opcode::MvnReg, false, dst, dst, Shift::NONE)),
        (_, 0..=0xff) if lower == higher.wrapping_sub(1) => Some(adding(higher)),
        _ => return None,
    };
    let first = Machine::alu_reg(Opcode::SbcReg, false, dst, dst, dst, Shift::NONE);
    Some(Rewrite { compare, insts: [Some(first), second] })
}

/// A condition as `lo` or `hs`, with the comparison for it if that has to be another one.
fn by_carry(insts: &[Inst<PReg>], cond: Cond) -> Option<(Option<Machine<PReg>>, Cond)> {
    let swapped = match cond {
        Cond::Lo | Cond::Hs => return Some((None, cond)),
        Cond::Hi => Cond::Lo,
        Cond::Ls => Cond::Hs,
        _ => return None,
    };
    match *insts.get(insts.len().checked_sub(2)?)? {
        Inst::Plain(Machine::CmpReg { op: Opcode::CmpReg, rn, rm, shift: Shift::NONE }) => {
            Some((Some(Machine::cmp_reg(Opcode::CmpReg, rm, rn, Shift::NONE)), swapped))
        }
        // Above a number is at least the next one.
        Inst::Plain(Machine::CmpImm { op: Opcode::CmpImm, rn, imm: imm @ 0..0xff }) => {
            Some((Some(Machine::cmp_imm(Opcode::CmpImm, rn, imm + 1)), swapped.invert()))
        }
        _ => None,
    }
}

/// The count of leading zeros, shifted so that only 32 leaves a bit.
fn is_zero(insts: &[Inst<PReg>]) -> Option<Rewrite> {
    let [.., Inst::Plain(Machine::Reg2 { op: Opcode::Clz, rd, rm }), Inst::Plain(shift)] = *insts else {
        return None;
    };
    let is_shift = shift.with_flags(false) == Machine::shift_imm(Opcode::LsrImm, false, rd, rd, 5);
    if !is_shift || rd == rm || !is_low(rd) || !is_low(rm) {
        return None;
    }
    let negation = Machine::alu_imm(Opcode::RsbImm, true, rd, rm, 0);
    let sum = Machine::alu_reg(Opcode::AdcReg, false, rd, rd, rm, Shift::NONE);
    Some(Rewrite { compare: Some(negation), insts: [Some(sum), None] })
}

/// A select of 1 for another number than 0. `x - 1` borrows for 0 only, and `x - (x - 1)` is 1.
fn is_not_zero(insts: &[Inst<PReg>]) -> Option<Rewrite> {
    let (cond, dst, values) = select(insts)?;
    let compare = insts.get(insts.len().checked_sub(2)?)?;
    let Inst::Plain(Machine::CmpImm { op: Opcode::CmpImm, rn, imm: 0 }) = *compare else { return None };
    let [if_zero, otherwise] = match cond {
        Cond::Eq => values,
        Cond::Ne => [values[1], values[0]],
        _ => return None,
    };
    let is_number = otherwise == Src::Imm(1) && (if_zero == Src::Imm(0) || if_zero == Src::Reg(rn));
    if !is_number || dst == rn || !is_low(rn) {
        return None;
    }
    let less = Machine::alu_imm(Opcode::SubImm, true, dst, rn, 1);
    let difference = Machine::alu_reg(Opcode::SbcReg, false, dst, rn, dst, Shift::NONE);
    Some(Rewrite { compare: Some(less), insts: [Some(difference), None] })
}
