//! Dead-code elimination: removing instructions whose results are not read.
//!
//! One backward sweep per block starts from the registers live at its end. Removing an instruction can make others dead
//! in other blocks, so liveness analysis and sweep repeat until an iteration removes no instruction.

use codegen::{Function, PReg, RegSet};

use crate::analysis::effects::{Effects, is_pure};
use crate::analysis::liveness::{Live, live_in, live_out, spill_access};
use crate::machine::{Inst, Mem, Pvm, SP};

/// Removes dead instructions. `at_exit` are registers that the caller relies on.
pub fn remove(func: &mut Function<Pvm, PReg>, at_exit: RegSet) {
    loop {
        let live_in = live_in(func, at_exit);
        let mut removed = false;
        for n in 0..func.order.len() {
            let block = func.order[n];
            let mut live = live_out(func, &live_in, at_exit, block);
            let insts = &mut func.blocks[block].insts;
            let mut kept: Vec<Inst<PReg>> = Vec::with_capacity(insts.len());
            for inst in std::mem::take(insts).into_vec().into_iter().rev() {
                if is_dead(&inst, &live) {
                    removed = true;
                } else {
                    live.step_back(&inst);
                    kept.push(inst);
                }
            }
            kept.reverse();
            *insts = kept.into();
        }
        if !removed {
            return;
        }
    }
}

/// Whether an instruction has no effect that is used. Loads of the program may trap, and the trap is an effect; loads
/// from the frame never trap.
fn is_dead(inst: &Inst<PReg>, live: &Live) -> bool {
    if let Some((slot, false)) = spill_access(inst) {
        return !live.has_slot(slot);
    }
    let is_frame_load = matches!(inst, Inst::Load { mem: Mem::Reg(SP, _) | Mem::Slot(_), .. });
    (is_pure(inst) || is_frame_load) && Effects::of(inst).writes.intersection(live.regs).is_empty()
}
