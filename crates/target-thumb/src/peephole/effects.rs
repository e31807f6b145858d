//! Effects of final instructions on core registers, and liveness of core registers.

use codegen::{Block, Control, Function, PReg, RegSet};
use ssa::IdVec;
use thumb_isa::{Opcode, RegList};

use crate::isa::Thumb;
use crate::isa::inst::{Inst, LR, Machine, SP};

/// Registers read and written by one instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Effects {
    /// Registers whose old value matters.
    pub reads: RegSet,
    /// Registers that may change.
    pub writes: RegSet,
}

impl Effects {
    /// The effects of an instruction.
    pub fn of(inst: &Inst<PReg>) -> Self {
        let mut effects = Self { reads: RegSet::EMPTY, writes: inst.clobbers() };
        inst.map_operands::<PReg>(&mut |reg, operand| {
            let set = if operand.role.is_def() { &mut effects.writes } else { &mut effects.reads };
            set.insert(reg);
            reg
        });
        match inst {
            Inst::Plain(machine) => effects.add_implied(machine),
            // An IT block may leave its destinations unchanged, and its instructions may update them, so it reads them,
            // too.
            Inst::It { .. } => effects.reads = effects.reads.union(effects.writes),
            Inst::AddressHalf { op: Opcode::Movt, dst, .. } => effects.reads.insert(*dst),
            Inst::Return { pop, .. } if pop.is_empty() => effects.reads.insert(LR),
            Inst::TailCall(_) => effects.reads.insert(LR),
            _ => {}
        }
        effects
    }

    fn add_implied(&mut self, machine: &Machine<PReg>) {
        for (reg, slot) in registers(machine) {
            if slot.reads() && slot.writes() {
                self.reads.insert(reg);
            }
        }
        match *machine {
            Machine::Stack { op: Opcode::Push, list } => {
                self.reads = self.reads.union(set_of(list));
                self.writes.insert(SP);
            }
            Machine::Stack { list, .. } => {
                self.writes = self.writes.union(set_of(list));
                self.writes.insert(SP);
            }
            Machine::Multi { list, .. } => {
                self.reads = self.reads.union(set_of(list));
                self.writes = self.writes.union(set_of(list));
            }
            Machine::FloatStack { .. } => self.writes.insert(SP),
            _ => {}
        }
    }
}

/// The registers of an instruction with their roles.
fn registers(machine: &Machine<PReg>) -> Vec<(PReg, thumb_isa::Role)> {
    let mut list = Vec::new();
    machine.map_regs(&mut |reg, slot| list.push((reg, slot.role)));
    list
}

fn set_of(list: RegList) -> RegSet {
    list.iter().map(|reg| PReg::new(reg.number())).collect()
}

/// Registers that are live at the start of each block. Float registers are not followed.
pub fn live_in(func: &Function<Thumb, PReg>) -> IdVec<Block, RegSet> {
    let mut live_in = IdVec::filled(RegSet::EMPTY, func.blocks.len());
    loop {
        let mut changed = false;
        for &block in func.order.iter().rev() {
            let mut live = live_out(func, &live_in, block);
            for inst in func.blocks[block].insts.iter().rev() {
                live = before(inst, live);
            }
            changed |= live_in[block] != live;
            live_in[block] = live;
        }
        if !changed {
            return live_in;
        }
    }
}

/// Registers that are live before a block's control.
pub fn live_out(func: &Function<Thumb, PReg>, live_in: &IdVec<Block, RegSet>, block: Block) -> RegSet {
    let control: &Control<Thumb, PReg> = &func.blocks[block].control;
    let after = control.successors().into_iter().fold(RegSet::of(&[SP]), |live, to| live.union(live_in[to]));
    control.inst().map_or(after, |inst| before(inst, after))
}

/// Registers that are live before an instruction, if those in `after` are live after it.
pub fn before(inst: &Inst<PReg>, after: RegSet) -> RegSet {
    let effects = Effects::of(inst);
    after.difference(effects.writes).union(effects.reads)
}
