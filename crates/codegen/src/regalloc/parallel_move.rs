//! Sequentialising parallel moves.
//!
//! Every destination is written by one move, so the moves form trees and cycles. A move is ready when no pending move
//! reads its destination. We emit ready moves until none is left; the remaining moves are cycles. To break a cycle, we
//! save the contents of one destination in a free register or, if there is none, in a slot. The moves that would read
//! the destination then read the copy, so the move into the destination is ready.
//!
//! Termination: each step emits a move or breaks a cycle for good.
//!
//! A move from memory to memory needs a register: one that a later move of the same batch overwrites anyway, or a free
//! one. If there is neither, any register is saved and restored around the move.

use std::collections::BTreeMap;

use crate::mir::{PReg, RegClass, RegSet, SpillSlot, VReg};

/// The source or destination of a move.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Storage {
    /// A register.
    Reg(PReg),
    /// A spill slot.
    Slot(SpillSlot),
    /// A value that can be rematerialised; only a source.
    Remat(VReg),
}

/// One of the moves that happen in parallel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    /// The source.
    pub src: Storage,
    /// The destination.
    pub dst: Storage,
    /// The class of the value.
    pub class: RegClass,
}

/// A move that one instruction performs.
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
    /// Rematerialisation: the value's definition, into another register.
    Remat {
        /// Written.
        dst: PReg,
        /// The value.
        vreg: VReg,
    },
}

/// Registers and slots that moves may use besides their sources and destinations.
pub trait Spare {
    /// Registers of a class that are free before and after the moves.
    fn free(&mut self, class: RegClass) -> RegSet;
    /// Any register of a class.
    fn any(&mut self, class: RegClass) -> PReg;
    /// A slot that is unused before and after the moves; a different one for each `n`.
    fn slot(&mut self, class: RegClass, n: usize) -> SpillSlot;
}

/// Orders moves so that each reads its source as it was before all of them.
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
    /// Moves not yet emitted, by destination.
    pending: BTreeMap<Storage, Move>,
    /// The number of pending moves that read each source.
    readers: BTreeMap<Storage, usize>,
    /// Spare registers that hold the saved contents of a broken cycle.
    held: RegSet,
    steps: Vec<Step>,
}

impl Batch {
    fn add(&mut self, a_move: Move) {
        if let Some(old) = self.pending.insert(a_move.dst, a_move) {
            assert_eq!(old.src, a_move.src, "two values are moved to one destination");
            return;
        }
        *self.readers.entry(a_move.src).or_default() += 1;
    }

    fn run(&mut self, spare: &mut impl Spare) {
        let mut ready: Vec<Storage> = self.pending.keys().copied().filter(|dst| !self.is_read(dst)).collect();
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

    fn is_read(&self, storage: &Storage) -> bool {
        self.readers.get(storage).is_some_and(|&count| count > 0)
    }

    /// Records that one pending move has read `storage`.
    fn release(&mut self, storage: Storage, ready: &mut Vec<Storage>) {
        let count = self.readers.get_mut(&storage).expect("a source has readers");
        *count -= 1;
        if *count > 0 {
            return;
        }
        if self.pending.contains_key(&storage) {
            ready.push(storage);
        }
        if let Storage::Reg(reg) = storage {
            self.held.remove(reg);
        }
    }

    /// Saves the contents of `storage` and lets the moves that read it read the copy.
    fn break_cycle(&mut self, storage: Storage, class: RegClass, spare: &mut impl Spare) {
        let free = self.free_register(class, spare);
        let copy = match free {
            Some(reg) => Storage::Reg(reg),
            None => Storage::Slot(spare.slot(class, 0)),
        };
        self.emit(Move { src: storage, dst: copy, class }, spare);
        if let Some(reg) = free {
            self.held.insert(reg);
        }
        for a_move in self.pending.values_mut().filter(|a_move| a_move.src == storage) {
            a_move.src = copy;
        }
        let count = self.readers.remove(&storage).expect("a destination in a cycle is read");
        self.readers.insert(copy, count);
    }

    /// A free register that no pending move touches.
    fn free_register(&self, class: RegClass, spare: &mut impl Spare) -> Option<PReg> {
        let mut free = spare.free(class).difference(self.held);
        for a_move in self.pending.values() {
            for storage in [a_move.src, a_move.dst] {
                if let Storage::Reg(reg) = storage {
                    free.remove(reg);
                }
            }
        }
        free.iter().next()
    }

    /// A register that a pending move will overwrite and that no pending move reads.
    fn overwritten_register(&self, class: RegClass) -> Option<PReg> {
        self.pending.values().find_map(|a_move| match a_move.dst {
            Storage::Reg(reg) if a_move.class == class && !self.is_read(&a_move.dst) => Some(reg),
            _ => None,
        })
    }

    fn emit(&mut self, a_move: Move, spare: &mut impl Spare) {
        match (a_move.src, a_move.dst) {
            (Storage::Reg(src), Storage::Reg(dst)) => self.steps.push(Step::Copy { dst, src }),
            (Storage::Reg(src), Storage::Slot(slot)) => self.steps.push(Step::Store { slot, src }),
            (Storage::Slot(slot), Storage::Reg(dst)) => self.steps.push(Step::Load { dst, slot }),
            (Storage::Remat(vreg), Storage::Reg(dst)) => self.steps.push(Step::Remat { dst, vreg }),
            (src, Storage::Slot(slot)) => self.emit_to_memory(src, slot, a_move.class, spare),
            (_, Storage::Remat(_)) => unreachable!("a rematerialised value is only a source"),
        }
    }

    fn emit_to_memory(&mut self, src: Storage, slot: SpillSlot, class: RegClass, spare: &mut impl Spare) {
        let temp = self.overwritten_register(class).or_else(|| self.free_register(class, spare));
        let reg = temp.unwrap_or_else(|| spare.any(class));
        let saved = temp.is_none().then(|| spare.slot(class, 1));
        if let Some(saved) = saved {
            self.steps.push(Step::Store { slot: saved, src: reg });
        }
        self.emit(Move { src, dst: Storage::Reg(reg), class }, spare);
        self.steps.push(Step::Store { slot, src: reg });
        if let Some(saved) = saved {
            self.steps.push(Step::Load { dst: reg, slot: saved });
        }
    }
}

/// The next ready move. Moves to memory come first, while there are registers still to be overwritten.
fn next_ready(ready: &mut Vec<Storage>) -> Option<Storage> {
    let index = ready.iter().position(|dst| matches!(dst, Storage::Slot(_)));
    match index {
        Some(index) => Some(ready.remove(index)),
        None => ready.pop(),
    }
}
