//! Dead-code elimination: removing instructions whose results are not read.
//!
//! One backward sweep per block starts from the registers live at its end. Removing an instruction can make others dead
//! in other blocks, so liveness analysis and sweep repeat until an iteration removes no instruction.

use codegen::{Effects, Function, Insts, Live, Liveness, PReg, RegSet, SlotAccess};

use crate::analysis::effects::is_pure;
use crate::isa::{Inst, Mem, Pvm, SP};

/// Removes dead instructions. `at_exit` are registers that the caller relies on.
pub fn remove(func: &mut Function<Pvm, PReg>, at_exit: RegSet) {
    loop {
        let liveness = Liveness::of(func, at_exit);
        let mut removed = false;
        for n in 0..func.order.len() {
            let block = func.order[n];
            let mut live = liveness.at_end(func, block);
            let insts = &mut func.blocks[block].insts;
            let mut kept = Insts::with_capacity(insts.len());
            let all: Vec<_> = std::mem::take(insts).into_located().collect();
            for (inst, loc) in all.into_iter().rev() {
                let effects = Effects::of::<Pvm>(&inst);
                if is_dead(&inst, &effects, &live) {
                    removed = true;
                } else {
                    live.step_back(&effects);
                    kept.push(inst, loc);
                }
            }
            kept.reverse();
            *insts = kept;
        }
        if !removed {
            return;
        }
    }
}

/// Whether an instruction has no effect that is used. Loads of the program may trap, and the trap is an effect; loads
/// from the frame never trap. The stack pointer is always needed.
fn is_dead(inst: &Inst<PReg>, effects: &Effects, live: &Live) -> bool {
    if let Some(SlotAccess { slot, is_store: true }) = effects.slot {
        return !live.has_slot(slot);
    }
    let is_frame_load = matches!(inst, Inst::Load { mem: Mem::Reg(SP, _) | Mem::Slot(_), .. });
    let needed = live.regs.union(RegSet::of(&[SP]));
    (is_pure(inst) || is_frame_load) && effects.writes.intersection(needed).is_empty()
}
