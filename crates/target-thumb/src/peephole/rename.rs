//! Renaming of callee-saved registers, so that short forms reach the values that instructions use most.
//!
//! Short forms reach r0–r7. Allocation takes low registers first, so a value with a long live range and few uses may keep
//! a low register from one with many. The callee-saved registers that a function uses are all alike: it saves the same
//! ones whichever names its values have. So their names may be exchanged throughout the function. In a function without
//! calls this holds for the link register as well, as every function that writes it saves it.
//!
//! For each instruction we compute the bytes that it saves if all of its callee-saved registers are low. Those with the same
//! registers are counted together. There are at most nine registers, of which four are low, so all choices are tried.

use std::collections::BTreeMap;

use codegen::{Control, Function, Isa, PReg, RegSet};
use thumb_isa::{Cond, Reg};

use super::{Pool, expand};
use crate::isa::Thumb;
use crate::isa::inst::{Inst, LR, Machine, SCRATCH, to_machine};

/// Bytes saved by sets of callee-saved registers, if all of a set are low.
type Savings = BTreeMap<u64, u32>;

/// Gives the low names among the callee-saved registers in use to those that save most bytes.
pub fn rename(target: &Thumb, func: &mut Function<Thumb, PReg>) {
    let used = renameable(target, func);
    let low: RegSet = used.iter().filter(|&reg| is_low(reg)).collect();
    if !target.cpu.has_main() || low == used {
        return;
    }
    let savings = savings(func, used);
    let chosen = best(&savings, used, low);
    let moved = |from: RegSet, to: RegSet| from.difference(to).iter().collect::<Vec<_>>();
    let pairs: Vec<(PReg, PReg)> = moved(chosen, low).into_iter().zip(moved(low, chosen)).collect();
    if pairs.is_empty() {
        return;
    }
    let renamed = |reg: PReg| {
        let pair = pairs.iter().find(|&&(a, b)| reg == a || reg == b);
        pair.map_or(reg, |&(a, b)| if reg == a { b } else { a })
    };
    for data in func.blocks.values_mut() {
        for inst in &mut data.insts {
            *inst = inst.map_operands(&mut |reg, _| renamed(reg));
        }
        if let Control::Exit(inst) | Control::Branch { inst, .. } | Control::Dispatch { inst, .. } =
            &mut data.control
        {
            *inst = inst.map_operands(&mut |reg, _| renamed(reg));
        }
    }
}

const fn is_low(reg: PReg) -> bool {
    reg.number() < 8
}

/// The core registers that the function uses and saves, and whose names have no other meaning.
fn renameable(target: &Thumb, func: &Function<Thumb, PReg>) -> RegSet {
    let info = target.registers();
    let allocatable: RegSet = info.order[0].iter().copied().collect();
    let mut used = func.written.intersection(info.callee_saved).intersection(allocatable);
    if func.has_calls {
        used.remove(LR);
    }
    used
}

/// The set of registers to be low, as many as in `low`, that saves most; `low` itself if no other saves more.
fn best(savings: &Savings, used: RegSet, low: RegSet) -> RegSet {
    let of = |set: RegSet| {
        let within = savings.iter().filter(|&(&regs, _)| regs & !bits(set) == 0);
        within.map(|(_, bytes)| bytes).sum::<u32>()
    };
    let regs: Vec<PReg> = used.iter().collect();
    let mut best = (of(low), low);
    for choice in 0_u32..1 << regs.len() {
        if choice.count_ones() as usize != low.len() {
            continue;
        }
        let set: RegSet = (0..regs.len()).filter(|n| choice >> n & 1 == 1).map(|n| regs[n]).collect();
        let saved = of(set);
        if saved > best.0 {
            best = (saved, set);
        }
    }
    best.1
}

fn bits(set: RegSet) -> u64 {
    set.iter().fold(0, |bits, reg| bits | 1 << reg.number())
}

/// The savings of all instructions.
fn savings(func: &Function<Thumb, PReg>, used: RegSet) -> Savings {
    let mut savings = Savings::new();
    let mut pool = Pool::new(func);
    for &block in &func.order {
        let data = &func.blocks[block];
        for inst in data.insts.iter().chain(data.control.inst()) {
            let regs = operands(inst);
            let concerned = regs.intersection(used);
            if concerned.is_empty() || inst.as_copy().is_some() {
                continue;
            }
            let size = |names| bytes(&with_names(inst, concerned, names), &mut pool);
            let others = regs.difference(used);
            let [low, high] = [0..8, 8..15].map(|numbers| names(numbers, others));
            if low.len() >= concerned.len() && high.len() >= concerned.len() {
                let mut size = size;
                let saved = size(high).saturating_sub(size(low));
                *savings.entry(bits(concerned)).or_insert(0) += saved;
            }
        }
    }
    savings
}

fn operands(inst: &Inst<PReg>) -> RegSet {
    let mut regs = RegSet::EMPTY;
    inst.map_operands(&mut |reg, operand| {
        regs.insert(operand.fixed.unwrap_or(reg));
        reg
    });
    regs
}

/// Registers that an instruction may name without confusion.
fn names(numbers: std::ops::Range<u8>, others: RegSet) -> Vec<PReg> {
    let names = numbers.map(PReg::new).filter(|&reg| !others.contains(reg));
    names.filter(|&reg| reg != SCRATCH && reg.number() != Reg::SP.number()).collect()
}

fn with_names(inst: &Inst<PReg>, concerned: RegSet, names: Vec<PReg>) -> Inst<PReg> {
    let to: Vec<(PReg, PReg)> = concerned.iter().zip(names).collect();
    inst.map_operands(&mut |reg, _| to.iter().find(|(from, _)| *from == reg).map_or(reg, |&(_, to)| to))
}

/// The estimated size of an instruction or control, expanded. Half of a saving in frame accesses is counted, because
/// two words are often accessed by one instruction of a fixed size.
fn bytes(inst: &Inst<PReg>, pool: &mut Pool) -> u32 {
    let mut out = Vec::new();
    match inst {
        Inst::LoadSlot { dst: reg, .. } | Inst::StoreSlot { src: reg, .. } => {
            return if is_low(*reg) { 3 } else { 4 };
        }
        Inst::Branch(_) => {
            let control = expand::control(inst.clone(), &mut out);
            out.push(control);
        }
        _ => expand::instruction(inst.clone(), pool, &mut out),
    }
    out.iter().map(expanded_bytes).sum()
}

fn expanded_bytes(inst: &Inst<PReg>) -> u32 {
    match inst {
        Inst::Plain(machine) | Inst::Tied(machine) => machine_bytes(machine, None),
        Inst::It { cond, mask, body } => {
            let insts = body.iter().zip(mask.conds(*cond));
            2 + insts.map(|(inst, cond)| machine_bytes(inst, Some(cond))).sum::<u32>()
        }
        Inst::LoadLiteral { dst, .. } if is_low(*dst) => 2,
        Inst::ZeroBranch { .. } | Inst::FlagBranch(_) => 2,
        _ => 4,
    }
}

fn machine_bytes(inst: &Machine<PReg>, it: Option<Cond>) -> u32 {
    if to_machine(inst).narrowed(it.is_none(), it).is_some() { 2 } else { 4 }
}
