//! Copy coalescing, and removal of instructions whose results are unused.
//!
//! Moves on edges and into fixed registers often copy a register that dies there. If the same block computes the
//! register, and no instruction in between uses source or destination otherwise, the computation writes the destination
//! of the copy directly. A constant is computed in place of the copy. A copy between equal registers is removed.

use codegen::{Effects, Function, Insts, Liveness, PReg, RegSet};
use thumb_isa::Features;

use crate::isa::Thumb;
use crate::isa::inst::{Inst, LR, Machine, SP, to_machine};

/// Redirects definitions to the destinations of copies, and removes dead instructions.
pub fn forward(target: &Thumb, func: &mut Function<Thumb, PReg>) {
    let features = target.cpu.features();
    func.blocks.values_mut().for_each(|data| remove_known(&mut data.insts));
    let liveness = Liveness::of(func, RegSet::EMPTY);
    for n in 0..func.order.len() {
        let block = func.order[n];
        let mut live = liveness.at_end(func, block);
        let insts = &mut func.blocks[block].insts;
        let mut at = insts.len();
        while at > 0 {
            at -= 1;
            if is_dead(&insts[at], live.regs) {
                insts.remove(at);
                continue;
            }
            if let Some((dst, src)) = insts[at].as_copy()
                && dst != src
                && !live.regs.contains(src)
                && is_free(dst)
                && is_free(src)
            {
                if redirect(&mut insts[..at], dst, src, features) {
                    insts.remove(at);
                    continue;
                }
                if let Some(def) = constant_of(&insts[..at], src)
                    && let Some(again) = with_destination(&insts[def], src, dst, features)
                {
                    insts[at] = again;
                    insts.remove(def);
                    at -= 1;
                }
            }
            live.step_back(&Effects::of::<Thumb>(&insts[at]));
        }
    }
}

/// Removes copies between core registers that are equal already, such as a copy back to the source of another one.
fn remove_known(insts: &mut Insts<Inst<PReg>>) {
    let mut equal: Vec<[PReg; 2]> = Vec::new();
    insts.retain(|inst| {
        // A float register of two words is also two others.
        let copy = inst.as_copy().filter(|(dst, src)| dst != src && is_free(*dst) && is_free(*src));
        if copy.is_some_and(|(dst, src)| equal.contains(&[dst, src]) || equal.contains(&[src, dst])) {
            return false;
        }
        let writes = Effects::of::<Thumb>(inst).writes;
        equal.retain(|pair| !pair.iter().any(|&reg| writes.contains(reg)));
        equal.extend(copy.map(|(dst, src)| [dst, src]));
        true
    });
}

/// Whether the allocator may assign a register.
const fn is_free(reg: PReg) -> bool {
    reg.number() < 12 || reg.number() == LR.number()
}

/// Makes the last instruction that writes `src` write `dst`, if no other instruction is affected.
fn redirect(insts: &mut [Inst<PReg>], dst: PReg, src: PReg, features: Features) -> bool {
    for n in (0..insts.len()).rev() {
        let effects = Effects::of::<Thumb>(&insts[n]);
        if effects.writes.contains(src) {
            if effects.writes.contains(dst) {
                return false;
            }
            let Some(renamed) = with_destination(&insts[n], src, dst, features) else { return false };
            insts[n] = renamed;
            return true;
        }
        if effects.reads.contains(src) || effects.reads.contains(dst) || effects.writes.contains(dst) {
            return false;
        }
    }
    false
}

/// The instruction that loads a constant into a register that is not read afterwards.
fn constant_of(insts: &[Inst<PReg>], reg: PReg) -> Option<usize> {
    for (n, inst) in insts.iter().enumerate().rev() {
        let effects = Effects::of::<Thumb>(inst);
        if effects.reads.contains(reg) {
            return None;
        }
        if effects.writes.contains(reg) {
            let is_constant = matches!(inst, Inst::Plain(Machine::MovImm { s: false, .. }));
            return is_constant.then_some(n);
        }
    }
    None
}

/// The same instruction with another destination, if all its registers are explicit and not fixed.
fn with_destination(inst: &Inst<PReg>, from: PReg, to: PReg, features: Features) -> Option<Inst<PReg>> {
    match inst {
        Inst::Plain(machine) => {
            let mut updates = false;
            let renamed = machine.map_regs(&mut |reg, slot| {
                updates |= slot.role.reads() && slot.role.writes();
                if slot.role.writes() && reg == from { to } else { reg }
            });
            let is_listed = matches!(machine, Machine::Stack { .. } | Machine::Multi { .. });
            let is_valid = to_machine(&renamed).shortest_form_of(features, None).is_some();
            (!updates && !is_listed && is_valid).then_some(Inst::Plain(renamed))
        }
        Inst::LoadLiteral { pool, index, literal, .. } => {
            Some(Inst::LoadLiteral { dst: to, pool: *pool, index: *index, literal: *literal })
        }
        _ => None,
    }
}

/// Whether an instruction only computes core registers that are not live, and sets no flags.
fn is_dead(inst: &Inst<PReg>, live: RegSet) -> bool {
    let is_pure = match inst {
        Inst::Plain(machine) => is_pure(machine),
        Inst::LoadLiteral { .. } | Inst::AddressHalf { .. } => true,
        _ => false,
    };
    let writes = Effects::of::<Thumb>(inst).writes;
    is_pure && !writes.is_empty() && !writes.contains(SP) && writes.intersection(live).is_empty()
}

/// Whether an instruction only computes core registers. Loads may be needed for their faults.
fn is_pure(machine: &Machine<PReg>) -> bool {
    let computes = matches!(
        machine,
        Machine::AluImm { .. }
            | Machine::AluReg { .. }
            | Machine::MovImm { .. }
            | Machine::MovHalf { .. }
            | Machine::MovReg { .. }
            | Machine::MovShifted { .. }
            | Machine::AddPlain { .. }
            | Machine::ShiftImm { .. }
            | Machine::Reg3S { .. }
            | Machine::MulLong { .. }
            | Machine::Extend { .. }
            | Machine::BitField { .. }
    );
    computes && machine.flags_written() == thumb_isa::Flags::NONE
}
