//! Sharing of constants and addresses over blocks, where code should be small.
//!
//! Selection shares a value without operands within a block, and with blocks that are executed less often. A value that
//! takes a [long](Isa::is_long) instruction is cheaper in a register that several blocks read. So if one block dominates
//! another and both compute the same value, the second one uses the register of the first. This applies to blocks near
//! each other and without calls between them, because a register that is occupied for long costs more. The allocator still
//! computes the value where it is used if registers are scarce. Termination: one walk over the instructions.

use std::collections::HashMap;

use ssa::{Dominators, EntityId};

use crate::mir::{Control, Function, Isa, Succ, VReg};

/// The maximum number of instructions, in reverse postorder, between two computations of a value that is shared.
const MAX_DISTANCE: usize = 24;

/// The register that replaces another one.
type Replaced = HashMap<VReg, VReg>;

/// A register with a value.
struct Holder {
    block: ssa::Block,
    reg: VReg,
    /// The number of the last instruction before which the value was computed.
    last: usize,
}

/// Removes long computations of values that a dominating block has in a register. `func` has the blocks of `out`.
pub fn share<T: Isa>(func: &ssa::Function, out: &mut Function<T, VReg>) {
    if !out.optimize_for_size {
        return;
    }
    let dominators = Dominators::new(func);
    let mut known: HashMap<T::Inst<VReg>, Holder> = HashMap::new();
    let mut replaced = Replaced::new();
    let (mut at, mut last_call) = (0_usize, 0);
    for n in 0..out.order.len() {
        let block = out.order[n];
        let here = ssa::Block::new(block.index());
        let vregs = &out.vregs;
        out.blocks[block].insts.retain(|inst| {
            at += 1;
            if !T::clobbers(inst).is_empty() {
                last_call = at;
            }
            let Some(reg) = long_value::<T>(inst).filter(|&reg| vregs[reg].rematerializable) else {
                return true;
            };
            let near = at.saturating_sub(MAX_DISTANCE).max(last_call);
            match known.get_mut(&anonymous::<T>(inst)) {
                Some(holder) if holder.last >= near && dominators.dominates(holder.block, here) => {
                    holder.last = at;
                    replaced.insert(reg, holder.reg);
                    false
                }
                _ => {
                    known.insert(anonymous::<T>(inst), Holder { block: here, reg, last: at });
                    true
                }
            }
        });
    }
    if !replaced.is_empty() {
        out.blocks.values_mut().for_each(|data| {
            data.insts.iter_mut().for_each(|inst| rename::<T>(inst, &replaced));
            rename_control(&mut data.control, &replaced);
        });
    }
}

/// The register that a long instruction without other operands defines.
fn long_value<T: Isa>(inst: &T::Inst<VReg>) -> Option<VReg> {
    if !T::is_long(inst) {
        return None;
    }
    let mut operands = Vec::new();
    T::map_operands(inst, &mut |reg: VReg, operand| {
        operands.push((reg, operand.role.is_def()));
        reg
    });
    match operands[..] {
        [(dst, true)] => Some(dst),
        _ => None,
    }
}

/// The instruction with the same register in place of each operand.
fn anonymous<T: Isa>(inst: &T::Inst<VReg>) -> T::Inst<VReg> {
    T::map_operands(inst, &mut |_: VReg, _| VReg::new(0))
}

fn rename<T: Isa>(inst: &mut T::Inst<VReg>, replaced: &Replaced) {
    *inst = T::map_operands(inst, &mut |reg, _| replaced.get(&reg).copied().unwrap_or(reg));
}

fn rename_control<T: Isa>(control: &mut Control<T, VReg>, replaced: &Replaced) {
    let in_args = |succ: &mut Succ<VReg>| {
        succ.args.iter_mut().for_each(|arg| *arg = replaced.get(arg).copied().unwrap_or(*arg));
    };
    match control {
        Control::Jump(to) => in_args(to),
        Control::Branch { inst, taken, other } => {
            rename::<T>(inst, replaced);
            in_args(taken);
            in_args(other);
        }
        Control::Dispatch { inst, .. } | Control::Exit(inst) => rename::<T>(inst, replaced),
    }
}
