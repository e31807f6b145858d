//! Removing comparisons whose flags are already available.
//!
//! Most arithmetic can set the flags for its result, with negative and zero as a comparison with zero would set them.
//! So such a comparison is removed if three conditions hold: the instruction that computed the register can set the
//! flags, no instruction between them touches flags, and only those two flags are used.
//!
//! A comparison is also removed if an equal one before it has left its flags; this extends along an edge to a block
//! without other predecessors.
//!
//! A test of one bit becomes a shift, which has a short form: the bit becomes the sign. A comparison with a small negative
//! number becomes an addition. Both write the compared register if it is dead afterwards, or else a free one.

use codegen::{Block, BlockData, Control, Effects, Function, Live, Liveness, PReg, RegSet};
use ssa::IdVec;
use thumb_isa::{Cond, Flags, ItMask, Opcode};

use super::narrow::{live_at_end, live_before};
use crate::isa::Thumb;
use crate::isa::inst::{Inst, Machine, to_machine};

/// Removes comparisons with zero.
pub fn reuse(func: &mut Function<Thumb, PReg>) {
    let mut position: IdVec<Block, usize> = IdVec::filled(0, func.blocks.len());
    func.order.iter().enumerate().for_each(|(n, &block)| position[block] = n);
    for n in 0..func.order.len() {
        let block = func.order[n];
        let is_back = goes_back(func, &position, n);
        let data = &mut func.blocks[block];
        compare_at_end(data, is_back, func.optimize_for_size);
        let mut live = live_at_end(&data.control);
        let mut at = data.insts.len();
        while at > 0 {
            at -= 1;
            let only_result = Flags::NZ.contains(live);
            if let Some(reg) = compared_with_zero(&data.insts[at]).filter(|_| only_result)
                && let Some(def) = definition(&data.insts[..at], reg)
            {
                set_flags(&mut data.insts[def]);
                data.insts.remove(at);
                continue;
            }
            live = live_before(&data.insts[at], live);
        }
    }
}

/// Whether the branch of the n-th block goes to this block or an earlier one.
fn goes_back(func: &Function<Thumb, PReg>, position: &IdVec<Block, usize>, n: usize) -> bool {
    let Control::Branch { taken, other, .. } = &func.blocks[func.order[n]].control else { return false };
    let is_next = func.order.get(n + 1) == Some(&taken.block);
    position[if is_next { other } else { taken }.block] <= n
}

/// Makes a branch on zero use the flags of the instruction that computes the register in the same block: if no
/// instruction becomes longer, or if the branch goes backwards, where it would need a comparison.
fn compare_at_end(data: &mut BlockData<Thumb, PReg>, is_back: bool, for_size: bool) {
    let Control::Branch { inst, .. } = &mut data.control else { return };
    let Inst::ZeroBranch { reg, if_zero } = *inst else { return };
    let Some(def) = definition(&data.insts, reg) else { return };
    let widened = data.insts[def + 1..].iter().filter(|inst| !keeps_width(inst)).count();
    if widened > 0 && can_move_to_end(&data.insts, def) {
        let loc = data.insts.loc(def);
        let moved = data.insts.remove(def);
        data.insts.push(moved, loc);
    } else if widened > usize::from(is_back) && (for_size || !is_back) {
        return;
    }
    let def = definition(&data.insts, reg).expect("it is still there");
    set_flags(&mut data.insts[def]);
    *inst = Inst::FlagBranch(if if_zero { Cond::Eq } else { Cond::Ne });
}

/// Whether no later instruction depends on the one at `at` or changes its operands.
fn can_move_to_end(insts: &[Inst<PReg>], at: usize) -> bool {
    let moved = Effects::of::<Thumb>(&insts[at]);
    insts[at + 1..].iter().all(|inst| {
        let passed = Effects::of::<Thumb>(inst);
        passed.reads.union(passed.writes).intersection(moved.writes).is_empty()
            && passed.writes.intersection(moved.reads).is_empty()
    })
}

/// Whether setting flags does not make an instruction longer.
fn keeps_width(inst: &Inst<PReg>) -> bool {
    matches!(inst, Inst::Plain(Machine::Mem { .. } | Machine::MemReg { .. } | Machine::MovReg { .. }))
}

fn compared_with_zero(inst: &Inst<PReg>) -> Option<PReg> {
    match *inst {
        Inst::Plain(Machine::CmpImm { op: Opcode::CmpImm, rn, imm: 0 }) => Some(rn),
        _ => None,
    }
}

/// The last instruction that defines a register, if it can set the flags for it and flags are not used after it.
fn definition(insts: &[Inst<PReg>], reg: PReg) -> Option<usize> {
    for (at, inst) in insts.iter().enumerate().rev() {
        if Effects::of::<Thumb>(inst).writes.contains(reg) {
            return can_set_flags(inst, reg).then_some(at);
        }
        let Inst::Plain(machine) = inst else { return None };
        if machine.flags_written() != Flags::NONE || machine.flags_read() != Flags::NONE {
            return None;
        }
    }
    None
}

fn can_set_flags(inst: &Inst<PReg>, reg: PReg) -> bool {
    let Inst::Plain(machine) = inst else { return false };
    let computes = match *machine {
        Machine::AluImm { rd, .. }
        | Machine::AluReg { rd, .. }
        | Machine::MovShifted { rd, .. }
        | Machine::ShiftImm { rd, .. }
        | Machine::Reg3S { rd, .. } => rd == reg,
        Machine::Extend { .. } => return false,
        _ => false,
    };
    computes && to_machine(&machine.with_flags(true)).shortest_form(None).is_some()
}

fn set_flags(inst: &mut Inst<PReg>) {
    if let Inst::Plain(machine) = inst {
        *machine = machine.with_flags(true);
    }
}

/// A comparison whose flags are available, and the bytes by which instructions grow if they are to stay available.
#[derive(Clone, Copy)]
struct Known {
    compare: Machine<PReg>,
    grown: u32,
}

/// Removes comparisons whose flags are available from the same block or from its only predecessor. For size, a comparison
/// stays if the instructions that would have to keep the flags for it have short forms that set them.
pub fn share(func: &mut Function<Thumb, PReg>) {
    let preds = only_predecessors(func);
    let mut at_end: IdVec<Block, Option<Known>> = IdVec::filled(None, func.blocks.len());
    for n in 0..func.order.len() {
        let block = func.order[n];
        let known = share_in_block(func, block, preds[block].and_then(|pred| at_end[pred]));
        // Such a branch reads flags, so no instruction before it may be turned into one that changes them, and none grows
        // for comparisons after it.
        let keeps = matches!(func.blocks[block].control, Control::Branch { inst: Inst::FlagBranch(_), .. });
        at_end[block] = known.filter(|_| keeps).map(|known| Known { grown: 0, ..known });
    }
}

/// Removes comparisons whose flags are available from the same block. Others may still be replaced.
pub fn share_in_blocks(func: &mut Function<Thumb, PReg>) {
    for n in 0..func.order.len() {
        share_in_block(func, func.order[n], None);
    }
}

/// Does so in one block; returns the comparison that is available at its end.
fn share_in_block(func: &mut Function<Thumb, PReg>, block: Block, mut known: Option<Known>) -> Option<Known> {
    let for_size = func.optimize_for_size;
    let most = |known: Known| if for_size { bytes(&known.compare, true) } else { u32::MAX };
    func.blocks[block].insts.retain(|inst| {
        let equal = known.filter(|known| *inst == Inst::Plain(known.compare));
        if equal.is_some_and(|known| known.grown <= most(known)) {
            return false;
        }
        known = known_after(inst, known);
        true
    });
    known
}

/// The comparison whose flags are available after an instruction.
fn known_after(inst: &Inst<PReg>, before: Option<Known>) -> Option<Known> {
    match inst {
        Inst::Plain(compare @ (Machine::CmpImm { .. } | Machine::CmpReg { .. })) => {
            return Some(Known { compare: *compare, grown: 0 });
        }
        Inst::Plain(machine) if machine.flags_written() != Flags::NONE => return None,
        Inst::It { body, .. } if body.iter().any(|inst| inst.flags_written() != Flags::NONE) => return None,
        Inst::Plain(_) | Inst::It { .. } | Inst::LoadLiteral { .. } | Inst::AddressHalf { .. } => {}
        _ => return None,
    }
    let Known { compare, grown } = before?;
    let reads = Effects::of::<Thumb>(&Inst::Plain(compare)).reads;
    let writes = Effects::of::<Thumb>(inst).writes;
    // What reads the flags needs them in any case.
    let grown = if reads_flags(inst) { 0 } else { grown + growth(inst) };
    reads.intersection(writes).is_empty().then_some(Known { compare, grown })
}

fn reads_flags(inst: &Inst<PReg>) -> bool {
    match inst {
        Inst::It { .. } => true,
        Inst::Plain(machine) => machine.flags_read() != Flags::NONE,
        _ => false,
    }
}

/// The bytes by which an instruction grows if it may not set flags.
fn growth(inst: &Inst<PReg>) -> u32 {
    match inst {
        Inst::Plain(machine) => bytes(machine, false) - bytes(machine, true),
        _ => 0,
    }
}

/// The bytes of an instruction's shortest form, which may set flags where they are dead.
fn bytes(machine: &Machine<PReg>, flags_dead: bool) -> u32 {
    if to_machine(machine).narrowed(flags_dead, None).is_some() { 2 } else { 4 }
}

/// For each block its predecessor in the order, if exactly one edge leads to it.
fn only_predecessors(func: &Function<Thumb, PReg>) -> IdVec<Block, Option<Block>> {
    let mut preds = IdVec::filled(None, func.blocks.len());
    let mut edges = IdVec::filled(0, func.blocks.len());
    for &block in &func.order {
        for to in func.blocks[block].control.successors() {
            edges[to] += 1;
            preds[to] = Some(block);
        }
    }
    for block in func.blocks.ids() {
        preds[block] = preds[block].filter(|_| edges[block] == 1 && block != func.order[0]);
    }
    preds
}

/// Turns tests of one bit into shifts, and comparisons with negative numbers into additions.
pub fn shift_tests(func: &mut Function<Thumb, PReg>) {
    let liveness = Liveness::of(func, RegSet::EMPTY);
    for n in 0..func.order.len() {
        let block = func.order[n];
        let after = liveness.at_end(func, block).regs;
        let data = &mut func.blocks[block];
        if let (Some(Inst::Plain(last)), Control::Branch { inst: Inst::FlagBranch(cond), .. }) =
            (data.insts.last_mut(), &mut data.control)
            && let Some((shorter, new_cond)) = shorter_compare(last, *cond, after)
        {
            (*last, *cond) = (shorter, new_cond);
        }
        let live = liveness.at_end(func, block);
        shift_tests_of_its(&mut func.blocks[block], live);
    }
}

/// Does the same for tests that an IT block reads, if it is the only user of the flags. `live` is what is live at the end.
fn shift_tests_of_its(data: &mut BlockData<Thumb, PReg>, mut live: Live) {
    let mut flags = live_at_end(&data.control);
    for at in (0..data.insts.len()).rev() {
        let after = flags;
        flags = live_before(&data.insts[at], flags);
        live.step_back(&Effects::of::<Thumb>(&data.insts[at]));
        let (compares, its) = data.insts.split_at_mut(at);
        if let (Some(Inst::Plain(compare)), Inst::It { cond, mask, .. }) = (compares.last_mut(), &mut its[0])
            && after.is_empty()
            && flags == cond.flags()
            && let Some((shorter, new_cond)) = shorter_compare(compare, *cond, live.regs)
        {
            let same: Vec<bool> = mask.conds(*cond).skip(1).map(|other| other == *cond).collect();
            *compare = shorter;
            (*cond, *mask) = (new_cond, ItMask::new(new_cond, &same));
            flags = new_cond.flags();
        }
    }
}

/// An instruction with a short form that sets the flags for a comparison of a low register, and the condition on them.
/// `live` are the registers that are live after it.
fn shorter_compare(compare: &Machine<PReg>, cond: Cond, live: RegSet) -> Option<(Machine<PReg>, Cond)> {
    let Machine::CmpImm { op, rn, imm } = *compare else { return None };
    let own = Some(rn).filter(|rn| !live.contains(*rn));
    let free = || own.or_else(|| (0..4).map(PReg::new).find(|reg| !live.contains(*reg)));
    if rn.number() >= 8 {
        return None;
    }
    match op {
        Opcode::TstImm if imm == 1 << 31 => {
            Some((Machine::cmp_imm(Opcode::CmpImm, rn, 0), sign_condition(cond)?))
        }
        Opcode::TstImm if imm.is_power_of_two() => {
            let shift = Machine::shift_imm(Opcode::LslImm, true, free()?, rn, imm.leading_zeros());
            Some((shift, sign_condition(cond)?))
        }
        // A number is below a power of two if none of the bits from there on is set.
        Opcode::CmpImm if imm > 0xff && imm.is_power_of_two() && matches!(cond, Cond::Lo | Cond::Hs) => {
            let shift = Machine::shift_imm(Opcode::LsrImm, true, free()?, rn, imm.trailing_zeros());
            Some((shift, if cond == Cond::Lo { Cond::Eq } else { Cond::Ne }))
        }
        Opcode::CmnImm if imm <= 0xff => {
            let to = if imm <= 7 { free() } else { own };
            Some((Machine::alu_imm(Opcode::AddImm, true, to?, rn, imm), cond))
        }
        _ => None,
    }
}

/// The condition on the sign that corresponds to one on zero of a single bit.
const fn sign_condition(cond: Cond) -> Option<Cond> {
    match cond {
        Cond::Eq => Some(Cond::Pl),
        Cond::Ne => Some(Cond::Mi),
        _ => None,
    }
}
