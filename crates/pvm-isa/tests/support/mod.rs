//! A reference implementation of the block-cost model: the rules of the Gray Paper (appendix A.9), literally.
//!
//! The Gray Paper describes a machine that changes its state by the first rule that applies: decode, start, or advance
//! by a cycle. Here every rule is one function over a list of entries, without shortcuts and with its own tracking of
//! registers. It shares only the instruction table with the fast simulator.

use std::collections::BTreeSet;

use pvm_isa::table::{Flow, Units};
use pvm_isa::{Inst, Opcode, Reg};

#[derive(Clone, Copy, PartialEq)]
enum State {
    Decoded,
    Waiting,
    Executing,
    Finished,
}

struct Entry {
    id: usize,
    state: State,
    cycles_left: u32,
    depends_on: Vec<usize>,
    owns: BTreeSet<Reg>,
    units: [i32; 5],
}

struct Judge<'a> {
    insts: &'a [Inst],
    unlikely_branch: bool,
    next: usize,
    next_id: usize,
    cycle: u32,
    slots: u8,
    starts: u32,
    units: [i32; 5],
    buffer: Vec<Entry>,
}

/// The cost of a block of instructions up to and including its terminator.
pub fn block_cost(insts: &[Inst], unlikely_branch: bool) -> u32 {
    let mut judge = Judge {
        insts,
        unlikely_branch,
        next: 0,
        next_id: 0,
        cycle: 0,
        slots: 4,
        starts: 5,
        units: [4, 4, 4, 1, 1],
        buffer: Vec::new(),
    };
    while judge.decode() || judge.start() || judge.advance() {}
    judge.cycle.saturating_sub(3).max(1)
}

impl Judge<'_> {
    fn decode(&mut self) -> bool {
        let Some(inst) = self.insts.get(self.next) else { return false };
        let slots = slots(inst);
        if self.buffer.len() >= 32 || slots > self.slots {
            return false;
        }
        self.slots -= slots;
        self.next += 1;
        let reads: BTreeSet<Reg> = inst.gas_reads().iter().collect();
        let writes: BTreeSet<Reg> = inst.gas_writes().iter().collect();
        if inst.op() == Opcode::MoveReg {
            for entry in &mut self.buffer {
                if entry.owns.is_disjoint(&reads) {
                    entry.owns.retain(|reg| !writes.contains(reg));
                } else {
                    entry.owns.extend(&writes);
                }
            }
            return true;
        }
        let sources = self.buffer.iter().filter(|entry| !entry.owns.is_disjoint(&reads));
        let depends_on = sources.map(|entry| entry.id).collect();
        for entry in &mut self.buffer {
            entry.owns.retain(|reg| !writes.contains(reg));
        }
        let cheap = self.unlikely_branch && inst.op().flow() == Flow::Branch;
        let Units { alu, load, store, mul, div } = inst.op().cost().units;
        self.buffer.push(Entry {
            id: self.next_id,
            state: State::Decoded,
            cycles_left: if cheap { 1 } else { inst.op().cost().cycles.into() },
            depends_on,
            owns: writes,
            units: [alu, load, store, mul, div].map(i32::from),
        });
        self.next_id += 1;
        true
    }

    fn start(&mut self) -> bool {
        if self.starts == 0 {
            return false;
        }
        let pending: Vec<usize> = self.buffer.iter().filter(|e| e.cycles_left > 0).map(|e| e.id).collect();
        let free = self.units;
        let can_start = |entry: &&mut Entry| {
            entry.state == State::Waiting
                && entry.units.iter().zip(free).all(|(need, free)| *need <= free)
                && entry.depends_on.iter().all(|id| !pending.contains(id))
        };
        let Some(entry) = self.buffer.iter_mut().find(can_start) else { return false };
        entry.state = State::Executing;
        self.starts -= 1;
        self.units.iter_mut().zip(entry.units).for_each(|(free, need)| *free -= need);
        true
    }

    fn advance(&mut self) -> bool {
        if self.next == self.insts.len() && self.buffer.is_empty() {
            return false;
        }
        self.slots = 4;
        self.starts = 5;
        self.cycle += 1;
        let finished = self.buffer.iter().take_while(|entry| entry.state == State::Finished).count();
        self.buffer.drain(..finished);
        for entry in &mut self.buffer {
            match entry.state {
                State::Decoded => entry.state = State::Waiting,
                State::Executing if entry.cycles_left == 0 => entry.state = State::Finished,
                State::Executing => {
                    entry.cycles_left -= 1;
                    if entry.cycles_left == 0 {
                        self.units.iter_mut().zip(entry.units).for_each(|(free, need)| *free += need);
                    }
                }
                State::Waiting | State::Finished => {}
            }
        }
        true
    }
}

/// Decode slots: fewer if the destination is also a source. For shifts only the shifted value counts as a source.
fn slots(inst: &Inst) -> u8 {
    let slots = inst.op().cost().slots;
    let in_place = match *inst {
        Inst::Reg3 { dst, a, .. } if slots.value_only => dst == a,
        Inst::Reg3 { dst, a, b, .. } => dst == a || dst == b,
        Inst::Reg2Imm { a, b, .. } => a == b,
        Inst::Reg2 { dst, src, .. } => dst == src,
        _ => false,
    };
    if in_place { slots.overlapping } else { slots.otherwise }
}
