//! Prices of the basic blocks of a final function in GP 0.8.
//!
//! The machine's basic blocks differ from those of the function. A call ends one in the middle of a block, and a block
//! that is no jump target continues its predecessor's. [`segments`] cuts a function in layout order into the machine's
//! blocks, as the emitter will write them. The frequency of a segment is that of the block it starts in.

use codegen::{Block, Control, Function, PReg};
use pvm_isa::gas::{self, GasInst};
use pvm_isa::{Opcode, asm};
use ssa::IdVec;

use crate::analysis::effects::ends_block;
use crate::isa::{Inst, Pvm};

/// A basic block of the machine.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The block that starts where the segment starts, if one does.
    pub block: Option<Block>,
    /// The instructions, without a final branch.
    pub insts: Vec<pvm_isa::Inst>,
    /// The final branch, and its possible destinations.
    pub branch: Option<(pvm_isa::Inst, [Option<Block>; 2])>,
    /// Executions per call of the function.
    pub freq: f32,
}

impl Segment {
    /// The price in gas, with or without `unlikely` at the start, and with a cheap or an ordinary branch at the end.
    pub fn cost(&self, is_unlikely: bool, cheap_branch: bool) -> u32 {
        let mark = is_unlikely.then(asm::unlikely);
        let insts = mark.iter().chain(&self.insts).map(|inst| GasInst::new(inst, false));
        let branch = self.branch.as_ref().map(|(inst, _)| GasInst::new(inst, cheap_branch));
        gas::simulate(insts.chain(branch))
    }
}

/// The machine's blocks of a function, in code order.
pub fn segments(func: &Function<Pvm, PReg>) -> Vec<Segment> {
    let mut cutter = Cutter { segments: Vec::new(), open: None };
    let labelled = jump_targets(func);
    for (n, &block) in func.order.iter().enumerate() {
        cutter.begin(block, labelled[block], func.blocks[block].freq);
        for inst in &func.blocks[block].insts {
            cutter.push(inst, func.blocks[block].freq);
        }
        cutter.control(&func.blocks[block].control, func.order.get(n + 1).copied(), func.blocks[block].freq);
    }
    cutter.close();
    cutter.segments
}

/// Blocks that are targets of jumps.
fn jump_targets(func: &Function<Pvm, PReg>) -> IdVec<Block, bool> {
    let mut targets = IdVec::filled(false, func.blocks.len());
    for (n, &block) in func.order.iter().enumerate() {
        let next = func.order.get(n + 1).copied();
        match &func.blocks[block].control {
            Control::Jump(to) => targets[to.block] |= next != Some(to.block),
            Control::Branch { taken, other, .. } => {
                targets[taken.block] |= next != Some(taken.block);
                targets[other.block] |= next != Some(other.block);
            }
            Control::Dispatch { targets: list, .. } => list.iter().for_each(|&to| targets[to] = true),
            Control::Exit(_) => {}
        }
    }
    targets
}

struct Cutter {
    segments: Vec<Segment>,
    /// The segment being filled, if control can run into the next instruction.
    open: Option<Segment>,
}

impl Cutter {
    fn begin(&mut self, block: Block, is_target: bool, freq: f32) {
        if is_target && let Some(open) = &mut self.open {
            if !open.insts.is_empty() {
                open.insts.push(asm::fallthrough());
            }
            self.close();
        }
        let open = self.open.get_or_insert_with(|| new_segment(None, freq));
        if open.insts.is_empty() && open.block.is_none() {
            open.block = Some(block);
        }
    }

    fn push(&mut self, inst: &Inst<PReg>, freq: f32) {
        let Some(machine) = inst.machine() else { return };
        self.open.get_or_insert_with(|| new_segment(None, freq)).insts.push(machine);
        if ends_block(inst) {
            self.close();
        }
    }

    fn control(&mut self, control: &Control<Pvm, PReg>, next: Option<Block>, freq: f32) {
        match control {
            Control::Jump(to) if next == Some(to.block) => {}
            Control::Jump(_) => self.jump(freq),
            Control::Branch { inst, taken, other } => {
                let machine = inst.machine().expect("a branch is a machine instruction");
                let target = if next == Some(taken.block) { other.block } else { taken.block };
                let falls_to = [taken.block, other.block].into_iter().find(|&to| next == Some(to));
                let open = self.open.get_or_insert_with(|| new_segment(None, freq));
                open.branch = Some((machine, [Some(target), falls_to]));
                self.close();
                if falls_to.is_none() {
                    self.jump(freq);
                }
            }
            Control::Dispatch { inst, .. } | Control::Exit(inst) => {
                self.push(inst, freq);
                self.close();
            }
        }
    }

    fn jump(&mut self, freq: f32) {
        let open = self.open.get_or_insert_with(|| new_segment(None, freq));
        open.insts.push(pvm_isa::Inst::off(Opcode::Jump, 0));
        self.close();
    }

    fn close(&mut self) {
        self.segments.extend(self.open.take());
    }
}

const fn new_segment(block: Option<Block>, freq: f32) -> Segment {
    Segment { block, insts: Vec::new(), branch: None, freq }
}
