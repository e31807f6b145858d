//! Gas models: the cost of programs.
//!
//! GP 0.7.2 charges one unit of gas per instruction. GP 0.8 charges for a whole basic block on entry. The cost of a
//! block is the time, in cycles, that a small out-of-order processor needs for it:
//!
//! - The decoder takes instructions in order, up to four *slots* per cycle. An instruction that doesn't fit into the
//!   rest of a cycle waits for the next one, and so do all later instructions.
//! - A decoded instruction enters a buffer of 32 entries. Per cycle up to five entries start, oldest first, each when
//!   the entries that produce its sources are done and its execution units are free. It occupies its units until it is
//!   done.
//! - An entry leaves the buffer two cycles after it is done, and after all older entries.
//! - `move_reg` takes a slot but no entry: it renames registers. Memory is not a dependency.
//!
//! If the first decode cycle is 0, an entry that starts in cycle s with latency c is done in cycle s + c. The block
//! costs the largest s + c − 1, at least 1. Blocks don't overlap.
//!
//! A branch takes 20 cycles, or 1 if the instruction at its target or after it is `trap` or `unlikely`. That is a hint
//! that this successor is rarely executed. The model looks at the opcode *bytes* there, marked in the bitmask or not.
//!
//! Compilers need the costs of many variants of a block, so [`simulate`] works on a stream of [`GasInst`], in constant
//! memory. Sets of buffer entries are bits of a word, and idle cycles are skipped. Termination: every step decodes an
//! instruction, starts an entry, or moves to the next cycle in which an entry is done or leaves; each entry has two
//! such cycles.

use crate::blob::ProgramBlob;
use crate::decode::DecodedInst;
use crate::inst::Inst;
use crate::reg::RegSet;
use crate::table::{Flow, Opcode, Units};
use crate::validate::block_starts;
use crate::version::GpVersion;

/// Decode slots per cycle.
const DECODE_SLOTS: u8 = 4;
/// Entries that can start per cycle.
const STARTS_PER_CYCLE: u32 = 5;
/// Entries in the buffer.
const BUFFER_LEN: usize = 32;
/// The number of execution units of each kind.
const UNITS: Units = Units { alu: 4, load: 4, store: 4, mul: 1, div: 1 };
/// Cycles from the cycle in which an entry is done until it leaves the buffer.
const RETIRE_DELAY: u32 = 2;
/// Latency of a branch one of whose successors is marked as unlikely.
const UNLIKELY_BRANCH_CYCLES: u8 = 1;

/// The properties of an instruction in the model of GP 0.8.
#[derive(Clone, Copy, Debug)]
pub struct GasInst {
    reads: RegSet,
    writes: RegSet,
    units: UnitVector,
    cycles: u8,
    slots: u8,
    renames: bool,
}

impl GasInst {
    /// The properties of `inst`. `unlikely_branch` says whether a successor of a branch starts with `trap` or
    /// `unlikely`; it is ignored for other instructions.
    pub fn new(inst: &Inst, unlikely_branch: bool) -> GasInst {
        let op = inst.op();
        let cost = op.cost();
        let is_cheap = unlikely_branch && op.flow() == Flow::Branch;
        GasInst {
            reads: inst.gas_reads(),
            writes: inst.gas_writes(),
            units: UnitVector::new(cost.units),
            cycles: if is_cheap { UNLIKELY_BRANCH_CYCLES } else { cost.cycles },
            slots: slots(inst),
            renames: op == Opcode::MoveReg,
        }
    }
}

fn slots(inst: &Inst) -> u8 {
    let slots = inst.op().cost().slots;
    let written = inst.gas_writes();
    let sources = match inst.reg_fields()[0] {
        Some(value) if slots.value_only => RegSet::EMPTY.with(value),
        _ => inst.gas_reads(),
    };
    if written.intersection(sources).is_empty() { slots.otherwise } else { slots.overlapping }
}

/// The cost in GP 0.8 of a block of these instructions, up to and including its terminator.
pub fn simulate(insts: impl IntoIterator<Item = GasInst>) -> u32 {
    let mut machine = Machine::new();
    insts.into_iter().for_each(|inst| machine.add(inst));
    machine.finish()
}

/// The cost of a block, given as instructions up to and including the terminator.
///
/// `unlikely_branch` says whether a successor of a final branch starts with `trap` or `unlikely`.
pub fn block_cost(gp: GpVersion, insts: &[Inst], unlikely_branch: bool) -> u32 {
    match gp {
        GpVersion::V072 => insts.len() as u32,
        GpVersion::V08 | GpVersion::Next => {
            simulate(insts.iter().map(|inst| GasInst::new(inst, unlikely_branch)))
        }
    }
}

/// The cost of the block of a program that starts at `pc`. A block that runs off the end of the code ends there with
/// an implicit `trap`.
pub fn block_cost_at(gp: GpVersion, program: &ProgramBlob, pc: u32) -> u32 {
    let block = Block { program, gp, pc: Some(pc) };
    match gp {
        GpVersion::V072 => block.count() as u32,
        GpVersion::V08 | GpVersion::Next => simulate(
            block.map(|(pc, inst)| GasInst::new(&inst.inst, has_unlikely_successor(gp, program, pc, &inst))),
        ),
    }
}

/// The instructions of the block that starts at `pc`, each with its part of the block's cost: the gas by which it makes
/// the block up to it more expensive. The sum is the cost of the block.
///
/// An instruction can also make a block cheaper, because a younger instruction may start before an older one that is
/// not ready. Then the instructions before it have less, so that no part is negative.
pub fn instruction_costs(gp: GpVersion, program: &ProgramBlob, pc: u32) -> Vec<(u32, u32)> {
    let block = Block { program, gp, pc: Some(pc) };
    if !gp.has_block_prices() {
        return block.map(|(pc, _)| (pc, 1)).collect();
    }
    let mut machine = Machine::new();
    let up_to = |(pc, inst): (u32, DecodedInst<'_>)| {
        machine.add(GasInst::new(&inst.inst, has_unlikely_successor(gp, program, pc, &inst)));
        (pc, machine.clone().finish())
    };
    let mut costs: Vec<(u32, u32)> = block.map(up_to).collect();
    for n in (1..costs.len()).rev() {
        costs[n - 1].1 = costs[n - 1].1.min(costs[n].1);
    }
    for n in (1..costs.len()).rev() {
        costs[n].1 -= costs[n - 1].1;
    }
    costs
}

/// Every block of a program with its cost, by position.
pub fn program_costs(gp: GpVersion, program: &ProgramBlob) -> Vec<(u32, u32)> {
    let starts = block_starts(gp, program);
    starts.into_iter().map(|pc| (pc, block_cost_at(gp, program, pc))).collect()
}

/// Whether the branch at `pc` is cheap: the opcode byte at its target or after it is that of `trap` or `unlikely`.
/// Bytes outside the code count as zero, which is `trap`.
fn has_unlikely_successor(gp: GpVersion, program: &ProgramBlob, pc: u32, inst: &DecodedInst<'_>) -> bool {
    let is_marked = |pos: i64| {
        let byte = usize::try_from(pos).ok().and_then(|pos| program.code.get(pos)).copied().unwrap_or(0);
        matches!(Opcode::of_bytes(gp, &[byte]), Some(Opcode::Trap | Opcode::Unlikely))
    };
    inst.inst.target(pc).is_some_and(is_marked) || is_marked(i64::from(pc) + i64::from(inst.len))
}

/// The instructions of one block, ending with a terminator.
struct Block<'a> {
    program: &'a ProgramBlob,
    gp: GpVersion,
    pc: Option<u32>,
}

impl<'a> Iterator for Block<'a> {
    type Item = (u32, DecodedInst<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let pc = self.pc?;
        let inst = self.program.decode(self.gp, pc);
        self.pc = (!inst.inst.op().is_terminator()).then_some(pc + inst.len);
        Some((pc, inst))
    }
}

/// Counts of the five kinds of units, one nibble each, so that adding and comparing are single operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct UnitVector(u32);

impl UnitVector {
    /// The top bit of each nibble; no count reaches it.
    const GUARD: u32 = 0x8_8888;

    const fn new(units: Units) -> UnitVector {
        let Units { alu, load, store, mul, div } = units;
        UnitVector(
            alu as u32 | (load as u32) << 4 | (store as u32) << 8 | (mul as u32) << 12 | (div as u32) << 16,
        )
    }

    /// Whether every count is at most the other's: no nibble borrows from its guard bit.
    const fn fits(self, free: UnitVector) -> bool {
        ((free.0 | Self::GUARD) - self.0) & Self::GUARD == Self::GUARD
    }
}

/// A set of buffer entries; bit i is the entry at index i of the buffer.
type Entries = u32;

/// The state of the processor. Entry n of the block is at index n mod 32 of the buffer.
#[derive(Clone)]
struct Machine {
    cycle: u32,
    slots_left: u8,
    /// Units that no running entry occupies.
    free: UnitVector,
    /// Number of entries that have left the buffer.
    first: u32,
    /// Number of entries that have entered it.
    end: u32,
    /// Entries that have not started.
    waiting: Entries,
    /// Waiting entries whose sources have all started, so that `ready` is final.
    resolved: Entries,
    /// Running entries that occupy units.
    running: Entries,
    /// First cycle in which an entry may start, by its sources that have started.
    ready: [u32; BUFFER_LEN],
    /// For entries that have started, the cycle in which they are done.
    done: [u32; BUFFER_LEN],
    /// Sources of an entry that have not started.
    missing: [Entries; BUFFER_LEN],
    /// Waiting entries that have an entry among their `missing` sources.
    users: [Entries; BUFFER_LEN],
    cycles: [u8; BUFFER_LEN],
    units: [UnitVector; BUFFER_LEN],
    /// One more than the number of the entry that produces each register's value; 0 if none in this block.
    /// Indexed by register.
    writer: [u32; 16],
    /// Bit i is set if an entry is done or can leave in cycle `cycle + 1 + i`.
    events: u128,
    /// The latest cycle of a result so far.
    last_done: u32,
}

impl Machine {
    fn new() -> Machine {
        Machine {
            cycle: 0,
            slots_left: DECODE_SLOTS,
            free: UnitVector::new(UNITS),
            first: 0,
            end: 0,
            waiting: 0,
            resolved: 0,
            running: 0,
            ready: [0; BUFFER_LEN],
            done: [0; BUFFER_LEN],
            missing: [0; BUFFER_LEN],
            users: [0; BUFFER_LEN],
            cycles: [0; BUFFER_LEN],
            units: [UnitVector(0); BUFFER_LEN],
            writer: [0; 16],
            events: 0,
            last_done: 0,
        }
    }

    /// Decodes the next instruction, as soon as that is possible.
    fn add(&mut self, inst: GasInst) {
        while !self.can_decode(inst.slots) {
            self.finish_cycle();
        }
        self.decode(inst);
    }

    /// The cost of the instructions so far, as a block.
    fn finish(mut self) -> u32 {
        while self.waiting != 0 {
            self.finish_cycle();
        }
        self.last_done.saturating_sub(1).max(1)
    }

    fn can_decode(&self, slots: u8) -> bool {
        slots <= self.slots_left && ((self.end - self.first) as usize) < BUFFER_LEN
    }

    /// Decodes an instruction in this cycle, in which it must fit.
    fn decode(&mut self, inst: GasInst) {
        self.slots_left -= inst.slots;
        if inst.renames {
            let source = inst.reads.bits().trailing_zeros() as usize;
            self.writer[inst.writes.bits().trailing_zeros() as usize] = self.writer[source];
            return;
        }
        let index = buffer_index(self.end);
        self.end += 1;
        self.cycles[index] = inst.cycles;
        self.units[index] = inst.units;
        self.users[index] = 0;
        self.add_sources(index, inst.reads);
        for reg in bits(inst.writes.bits().into()) {
            self.writer[reg] = self.end;
        }
        self.waiting |= 1 << index;
    }

    /// Records the sources of the new entry at `index`.
    fn add_sources(&mut self, index: usize, reads: RegSet) {
        let mut ready = self.cycle + 1;
        let mut missing = 0;
        for reg in bits(reads.bits().into()) {
            let writer = self.writer[reg];
            if writer <= self.first {
                continue;
            }
            let source = buffer_index(writer - 1);
            if self.waiting >> source & 1 != 0 {
                missing |= 1 << source;
                self.users[source] |= 1 << index;
            } else {
                ready = ready.max(self.done[source]);
            }
        }
        self.ready[index] = ready;
        self.missing[index] = missing;
        self.resolved |= u32::from(missing == 0) << index;
    }

    /// Starts the entries that can start in this cycle, and advances to the next cycle that isn't idle.
    fn finish_cycle(&mut self) {
        let starts_left = self.start_entries();
        let is_next_idle = self.slots_left == DECODE_SLOTS && starts_left > 0;
        let step = if is_next_idle { self.events.trailing_zeros() + 1 } else { 1 };
        assert!(step < 128, "the processor is stuck in cycle {}", self.cycle);
        let has_event = self.events >> (step - 1) & 1 != 0;
        self.events >>= step;
        self.cycle += step;
        self.slots_left = DECODE_SLOTS;
        if has_event {
            self.release_units();
            self.retire();
        }
    }

    /// Starts entries, oldest first. Returns how many more could have started.
    fn start_entries(&mut self) -> u32 {
        let mut starts_left = STARTS_PER_CYCLE;
        let oldest = buffer_index(self.first);
        for age in bits(self.resolved.rotate_right(oldest as u32)) {
            let index = (age + oldest) % BUFFER_LEN;
            if self.ready[index] <= self.cycle && self.units[index].fits(self.free) {
                self.start(index);
                starts_left -= 1;
                if starts_left == 0 {
                    break;
                }
            }
        }
        starts_left
    }

    fn start(&mut self, index: usize) {
        let entry = 1 << index;
        let cycles = self.cycles[index];
        let done = self.cycle + u32::from(cycles);
        self.done[index] = done;
        self.last_done = self.last_done.max(done);
        self.events |= (1 | 1 << RETIRE_DELAY) << (cycles - 1);
        self.waiting &= !entry;
        self.resolved &= !entry;
        self.running |= u32::from(self.units[index].0 != 0) << index;
        self.free.0 -= self.units[index].0;
        for user in bits(self.users[index]) {
            self.missing[user] &= !entry;
            self.ready[user] = self.ready[user].max(done);
            self.resolved |= u32::from(self.missing[user] == 0) << user;
        }
    }

    /// Frees the units of entries that are done.
    fn release_units(&mut self) {
        for index in bits(self.running) {
            if self.done[index] <= self.cycle {
                self.free.0 += self.units[index].0;
                self.running &= !(1 << index);
            }
        }
    }

    /// Removes the oldest entries from the buffer, in order, two cycles after they are done.
    fn retire(&mut self) {
        while self.first < self.end {
            let oldest = buffer_index(self.first);
            if self.waiting >> oldest & 1 != 0 || self.done[oldest] + RETIRE_DELAY > self.cycle {
                break;
            }
            self.first += 1;
        }
    }
}

/// The buffer index of entry number `n`.
fn buffer_index(n: u32) -> usize {
    n as usize % BUFFER_LEN
}

/// The indices of the set bits, in ascending order.
fn bits(mut set: u32) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        if set == 0 {
            return None;
        }
        let lowest = set.trailing_zeros();
        set &= set - 1;
        Some(lowest as usize)
    })
}
