//! Parallel moves: making many places change at once by moves one after another.
//!
//! Every place is written by at most one move, so the moves form trees whose roots are written last, and cycles.
//! A move is ready when nobody still reads its destination. We emit ready moves until none is left; what remains
//! are cycles, and one is broken by saving one of its places elsewhere: in a free register, else in a slot. Then
//! its readers read the copy, and the move into the place is ready. Each step emits a move or breaks a cycle that
//! can't come back, so it ends.
//!
//! A move from memory to memory needs a register: one that a later move of the same batch writes anyway, a free
//! one, or, if there is neither, any register, which is saved and restored around it.

use std::collections::BTreeMap;

use crate::mir::{SpillSlot, VReg};
use crate::registers::{PReg, RegClass, RegSet};

/// A place that a move reads or writes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    /// A register.
    Reg(PReg),
    /// A spill slot.
    Slot(SpillSlot),
    /// A value that can be made again; only read.
    Remat(VReg),
}

/// One of the moves that happen at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    /// What is read.
    pub src: Place,
    /// What is written.
    pub dst: Place,
    /// The class of the value.
    pub class: RegClass,
}

/// A move that one instruction does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Register to register.
    Copy {
        /// Written.
        dst: PReg,
        /// Read.
        src: PReg,
    },
    /// Register to slot.
    Store {
        /// Written.
        slot: SpillSlot,
        /// Read.
        src: PReg,
    },
    /// Slot to register.
    Load {
        /// Written.
        dst: PReg,
        /// Read.
        slot: SpillSlot,
    },
    /// The value's definition again, to another register.
    Make {
        /// Written.
        dst: PReg,
        /// The value.
        vreg: VReg,
    },
}

/// What moves may use besides their own places.
pub trait Spare {
    /// Registers of a class that hold nothing around the moves.
    fn free(&mut self, class: RegClass) -> RegSet;
    /// Some register of a class.
    fn any(&mut self, class: RegClass) -> PReg;
    /// A slot that nothing else uses around the moves; another one for each `n`.
    fn slot(&mut self, class: RegClass, n: usize) -> SpillSlot;
}

/// Orders moves so that each reads what was there before all of them.
pub fn sequentialize(moves: &[Move], spare: &mut impl Spare) -> Vec<Step> {
    let mut batch =
        Batch { pending: BTreeMap::new(), readers: BTreeMap::new(), held: RegSet::EMPTY, steps: Vec::new() };
    for &a_move in moves.iter().filter(|a_move| a_move.src != a_move.dst) {
        batch.add(a_move);
    }
    batch.run(spare);
    batch.steps
}

struct Batch {
    /// Moves to do, by destination.
    pending: BTreeMap<Place, Move>,
    /// How many pending moves read a place.
    readers: BTreeMap<Place, usize>,
    /// Spare registers that hold a place of a broken cycle.
    held: RegSet,
    steps: Vec<Step>,
}

impl Batch {
    fn add(&mut self, a_move: Move) {
        if let Some(old) = self.pending.insert(a_move.dst, a_move) {
            assert_eq!(old.src, a_move.src, "two values are moved to one place");
            return;
        }
        *self.readers.entry(a_move.src).or_default() += 1;
    }

    fn run(&mut self, spare: &mut impl Spare) {
        let mut ready: Vec<Place> = self.pending.keys().copied().filter(|dst| !self.is_read(dst)).collect();
        loop {
            while let Some(dst) = next_ready(&mut ready) {
                let a_move = self.pending.remove(&dst).expect("a ready move is pending");
                self.emit(a_move, spare);
                self.release(a_move.src, &mut ready);
            }
            let Some((&dst, &a_move)) = self.pending.first_key_value() else { return };
            self.break_cycle(dst, a_move.class, spare);
            ready.push(dst);
        }
    }

    fn is_read(&self, place: &Place) -> bool {
        self.readers.get(place).is_some_and(|&count| count > 0)
    }

    /// Notes that a place has been read by one of its readers.
    fn release(&mut self, place: Place, ready: &mut Vec<Place>) {
        let count = self.readers.get_mut(&place).expect("a place that is read has readers");
        *count -= 1;
        if *count > 0 {
            return;
        }
        if self.pending.contains_key(&place) {
            ready.push(place);
        }
        if let Place::Reg(reg) = place {
            self.held.remove(reg);
        }
    }

    /// Saves what is in `place` and lets its readers read the copy.
    fn break_cycle(&mut self, place: Place, class: RegClass, spare: &mut impl Spare) {
        let free = self.free_register(class, spare);
        let copy = match free {
            Some(reg) => Place::Reg(reg),
            None => Place::Slot(spare.slot(class, 0)),
        };
        self.emit(Move { src: place, dst: copy, class }, spare);
        if let Some(reg) = free {
            self.held.insert(reg);
        }
        for a_move in self.pending.values_mut().filter(|a_move| a_move.src == place) {
            a_move.src = copy;
        }
        let count = self.readers.remove(&place).expect("a place in a cycle is read");
        self.readers.insert(copy, count);
    }

    /// A free register that no pending move touches.
    fn free_register(&self, class: RegClass, spare: &mut impl Spare) -> Option<PReg> {
        let mut free = spare.free(class).difference(self.held);
        for a_move in self.pending.values() {
            for place in [a_move.src, a_move.dst] {
                if let Place::Reg(reg) = place {
                    free.remove(reg);
                }
            }
        }
        free.iter().next()
    }

    /// A register that a pending move is going to write and nobody reads.
    fn doomed_register(&self, class: RegClass) -> Option<PReg> {
        self.pending.values().find_map(|a_move| match a_move.dst {
            Place::Reg(reg) if a_move.class == class && !self.is_read(&a_move.dst) => Some(reg),
            _ => None,
        })
    }

    fn emit(&mut self, a_move: Move, spare: &mut impl Spare) {
        match (a_move.src, a_move.dst) {
            (Place::Reg(src), Place::Reg(dst)) => self.steps.push(Step::Copy { dst, src }),
            (Place::Reg(src), Place::Slot(slot)) => self.steps.push(Step::Store { slot, src }),
            (Place::Slot(slot), Place::Reg(dst)) => self.steps.push(Step::Load { dst, slot }),
            (Place::Remat(vreg), Place::Reg(dst)) => self.steps.push(Step::Make { dst, vreg }),
            (src, Place::Slot(slot)) => self.emit_to_memory(src, slot, a_move.class, spare),
            (_, Place::Remat(_)) => unreachable!("a value to make again is only read"),
        }
    }

    fn emit_to_memory(&mut self, src: Place, slot: SpillSlot, class: RegClass, spare: &mut impl Spare) {
        let temp = self.doomed_register(class).or_else(|| self.free_register(class, spare));
        let reg = temp.unwrap_or_else(|| spare.any(class));
        let saved = temp.is_none().then(|| spare.slot(class, 1));
        if let Some(saved) = saved {
            self.steps.push(Step::Store { slot: saved, src: reg });
        }
        self.emit(Move { src, dst: Place::Reg(reg), class }, spare);
        self.steps.push(Step::Store { slot, src: reg });
        if let Some(saved) = saved {
            self.steps.push(Step::Load { dst: reg, slot: saved });
        }
    }
}

/// Takes a ready move to memory if there is one, while registers for it are still to be written; else the last.
fn next_ready(ready: &mut Vec<Place>) -> Option<Place> {
    let index = ready.iter().position(|dst| matches!(dst, Place::Slot(_)));
    match index {
        Some(index) => Some(ready.remove(index)),
        None => ready.pop(),
    }
}
