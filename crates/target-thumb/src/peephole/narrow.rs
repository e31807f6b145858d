//! Choosing the 16-bit forms.
//!
//! Most 16-bit forms set the flags. A backward walk over each block tracks the live flags. Where none is live, an
//! instruction may become one that sets them. Flags are live across an edge only if the branch of the block reads flags
//! itself; then they are live from the instruction that sets them to the end of the block.

use codegen::{Control, Function, PReg};
use thumb_isa::{Cond, Flags};

use crate::isa::Thumb;
use crate::isa::inst::{Inst, Machine, to_machine};

/// Replaces instructions by equal ones with short forms.
pub fn narrow(func: &mut Function<Thumb, PReg>) {
    for n in 0..func.order.len() {
        let data = &mut func.blocks[func.order[n]];
        let mut live = live_at_end(&data.control);
        for inst in data.insts.iter_mut().rev() {
            shorten(inst, live.is_empty());
            live = live_before(inst, live);
        }
    }
}

/// Flags that a block's control reads.
pub fn live_at_end(control: &Control<Thumb, PReg>) -> Flags {
    match control {
        Control::Branch { inst: Inst::FlagBranch(cond), .. } => cond.flags(),
        _ => Flags::NONE,
    }
}

/// Flags that are live before an instruction, if `after` are live after it.
pub fn live_before(inst: &Inst<PReg>, after: Flags) -> Flags {
    match inst {
        Inst::Plain(machine) => after.difference(machine.flags_written()).union(machine.flags_read()),
        Inst::It { cond, body, .. } => {
            body.iter().fold(after.union(cond.flags()), |flags, machine| flags.union(machine.flags_read()))
        }
        Inst::Either { cond, .. } => after.union(cond.flags()),
        // Calls don't preserve flags.
        Inst::Call(_) => Flags::NONE,
        _ => after,
    }
}

fn shorten(inst: &mut Inst<PReg>, flags_dead: bool) {
    match inst {
        Inst::Plain(machine) => shorten_machine(machine, flags_dead, None),
        Inst::It { cond, mask, body } => {
            for (inst, cond) in body.iter_mut().zip(mask.conds(*cond)) {
                shorten_machine(inst, false, Some(cond));
            }
        }
        _ => {}
    }
}

fn shorten_machine(machine: &mut Machine<PReg>, flags_dead: bool, it: Option<Cond>) {
    if let Some(short) = to_machine(machine).narrowed(flags_dead, it) {
        *machine = short.map_regs(&mut |reg, _| PReg::new(reg.number()));
    }
}
