//! What programs cost.
//!
//! GP 0.7.2 charges one unit per instruction. GP 0.8 charges a whole basic block when control enters it,
//! and the price of a block is the time a small out-of-order processor needs for it:
//!
//! - The decoder takes instructions in order, up to four *slots* per cycle. An instruction that does not
//!   fit into the rest of a cycle waits for the next one, and so does everything behind it.
//! - A decoded instruction enters a buffer of 32 entries. Per cycle up to five entries start, oldest first,
//!   each when the entries that produce its sources are done and its execution units are free. It holds
//!   its units until its result is there.
//! - An entry leaves the buffer two cycles after its result, and not before all older entries.
//! - `move_reg` takes a slot but no entry: it renames registers. Memory is not a dependency.
//!
//! With the first decode cycle counted as 0, an entry that starts in cycle s with latency c is done in
//! cycle s + c, and the block costs the largest s + c − 1, at least 1. Blocks do not overlap.
//!
//! A branch takes 20 cycles, but 1 if the instruction at its target or behind it is `trap` or `unlikely`:
//! a hint that one way is rarely taken. The model looks at the opcode *bytes* there, marked or not.
//!
//! Compilers ask for the price of many variants of a block, so [`simulate`] works on a stream of
//! [`GasInst`], in fixed memory. It keeps sets of buffer entries as bits of a word and jumps over cycles
//! in which nothing can happen: it ends because every step either decodes, or starts an entry, or moves to
//! the next cycle in which an entry is done or leaves, of which each entry has two.

use crate::blob::ProgramBlob;
use crate::decode::DecodedInst;
use crate::inst::Inst;
use crate::reg::RegSet;
use crate::table::{Flow, GpVersion, Opcode, Units};
use crate::validate::block_starts;

/// Decode slots per cycle.
const DECODE_SLOTS: u8 = 4;
/// Entries that can start per cycle.
const STARTS_PER_CYCLE: u32 = 5;
/// Entries in the buffer.
const BUFFER_LEN: usize = 32;
/// How many execution units of each kind there are.
const UNITS: Units = Units { alu: 4, load: 4, store: 4, mul: 1, div: 1 };
/// Cycles between an entry's result and its leaving the buffer.
const RETIRE_DELAY: u32 = 2;
/// Latency of a branch one of whose successors is marked as unlikely.
const UNLIKELY_BRANCH_CYCLES: u8 = 1;

/// What the model of GP 0.8 needs to know about an instruction.
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
    /// The instruction as the model sees it. `unlikely_branch` says whether a successor of a branch starts
    /// with `trap` or `unlikely`; it does not matter for other instructions.
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

/// The price in GP 0.8 of a block of these instructions, up to and including its terminator.
pub fn simulate(insts: impl IntoIterator<Item = GasInst>) -> u32 {
    let mut machine = Machine::new();
    for inst in insts {
        while !machine.can_decode(inst.slots) {
            machine.finish_cycle();
        }
        machine.decode(inst);
    }
    while machine.waiting != 0 {
        machine.finish_cycle();
    }
    machine.last_done.saturating_sub(1).max(1)
}

/// The price of a block, given as instructions up to and including the terminator.
///
/// `unlikely_branch` says whether a successor of a final branch starts with `trap` or `unlikely`.
pub fn block_cost(gp: GpVersion, insts: &[Inst], unlikely_branch: bool) -> u32 {
    match gp {
        GpVersion::V072 => insts.len() as u32,
        GpVersion::V08 => simulate(insts.iter().map(|inst| GasInst::new(inst, unlikely_branch))),
    }
}

/// The price of the block of a program that starts at `pc`. A block that runs off the end of the code is
/// taken to end there with `trap`.
pub fn block_cost_at(gp: GpVersion, program: &ProgramBlob, pc: u32) -> u32 {
    let block = Block { program, gp, pc: Some(pc) };
    match gp {
        GpVersion::V072 => block.count() as u32,
        GpVersion::V08 => simulate(
            block.map(|(pc, inst)| GasInst::new(&inst.inst, has_unlikely_successor(gp, program, pc, &inst))),
        ),
    }
}

/// Every block of a program with its price, by position.
pub fn program_costs(gp: GpVersion, program: &ProgramBlob) -> Vec<(u32, u32)> {
    let starts = block_starts(gp, program);
    starts.into_iter().map(|pc| (pc, block_cost_at(gp, program, pc))).collect()
}

/// Whether the branch at `pc` is cheap: the opcode byte at its target or behind it is that of `trap` or
/// `unlikely`. Outside of the code there are zeros, which is `trap`.
fn has_unlikely_successor(gp: GpVersion, program: &ProgramBlob, pc: u32, inst: &DecodedInst<'_>) -> bool {
    let is_marked = |pos: i64| {
        let byte = usize::try_from(pos).ok().and_then(|pos| program.code.get(pos)).copied().unwrap_or(0);
        matches!(Opcode::from_number(gp, byte), Some(Opcode::Trap | Opcode::Unlikely))
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

/// A set of buffer entries; bit i stands for the entry in place i.
type Entries = u32;

/// The processor between two decisions. Entry n of the block sits in place n mod 32.
struct Machine {
    cycle: u32,
    slots_left: u8,
    /// Units that no running entry holds.
    free: UnitVector,
    /// Number of entries that have left the buffer.
    first: u32,
    /// Number of entries that have entered it.
    end: u32,
    /// Entries that have not started.
    waiting: Entries,
    /// Waiting entries whose sources have all started, so that `ready` is final.
    resolved: Entries,
    /// Running entries that hold units.
    running: Entries,
    /// First cycle in which an entry may start, as far as its started sources go.
    ready: [u32; BUFFER_LEN],
    /// Cycle of the result, of entries that have started.
    done: [u32; BUFFER_LEN],
    /// Sources of an entry that have not started.
    missing: [Entries; BUFFER_LEN],
    /// Waiting entries that miss an entry's result.
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
        let place = place(self.end);
        self.end += 1;
        self.cycles[place] = inst.cycles;
        self.units[place] = inst.units;
        self.users[place] = 0;
        self.add_sources(place, inst.reads);
        for reg in bits(inst.writes.bits().into()) {
            self.writer[reg] = self.end;
        }
        self.waiting |= 1 << place;
    }

    /// Notes what the new entry in `place` waits for.
    fn add_sources(&mut self, place: usize, reads: RegSet) {
        let mut ready = self.cycle + 1;
        let mut missing = 0;
        for reg in bits(reads.bits().into()) {
            let writer = self.writer[reg];
            if writer <= self.first {
                continue;
            }
            let source = self::place(writer - 1);
            if self.waiting >> source & 1 != 0 {
                missing |= 1 << source;
                self.users[source] |= 1 << place;
            } else {
                ready = ready.max(self.done[source]);
            }
        }
        self.ready[place] = ready;
        self.missing[place] = missing;
        self.resolved |= u32::from(missing == 0) << place;
    }

    /// Starts what can start in this cycle and moves on to the next cycle in which anything can happen.
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
        let oldest = place(self.first);
        for age in bits(self.resolved.rotate_right(oldest as u32)) {
            let place = (age + oldest) % BUFFER_LEN;
            if self.ready[place] <= self.cycle && self.units[place].fits(self.free) {
                self.start(place);
                starts_left -= 1;
                if starts_left == 0 {
                    break;
                }
            }
        }
        starts_left
    }

    fn start(&mut self, place: usize) {
        let entry = 1 << place;
        let cycles = self.cycles[place];
        let done = self.cycle + u32::from(cycles);
        self.done[place] = done;
        self.last_done = self.last_done.max(done);
        self.events |= (1 | 1 << RETIRE_DELAY) << (cycles - 1);
        self.waiting &= !entry;
        self.resolved &= !entry;
        self.running |= u32::from(self.units[place].0 != 0) << place;
        self.free.0 -= self.units[place].0;
        for user in bits(self.users[place]) {
            self.missing[user] &= !entry;
            self.ready[user] = self.ready[user].max(done);
            self.resolved |= u32::from(self.missing[user] == 0) << user;
        }
    }

    /// Takes back the units of entries that are done.
    fn release_units(&mut self) {
        for place in bits(self.running) {
            if self.done[place] <= self.cycle {
                self.free.0 += self.units[place].0;
                self.running &= !(1 << place);
            }
        }
    }

    /// Lets the oldest entries leave the buffer, in order.
    fn retire(&mut self) {
        while self.first < self.end {
            let oldest = place(self.first);
            if self.waiting >> oldest & 1 != 0 || self.done[oldest] + RETIRE_DELAY > self.cycle {
                break;
            }
            self.first += 1;
        }
    }
}

/// The place of entry number `n`.
fn place(n: u32) -> usize {
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
