//! Sequentialised parallel moves against a simulation: all small cases, and random larger ones.

use std::collections::BTreeMap;

use random::Rng;
use ssa::EntityId;

use crate::mir::{PReg, RegClass, RegSet, SpillSlot, VReg};
use crate::regalloc::parallel_move::{Move, Spare, Step, Storage, sequentialize};

/// Slots from this number on are for the resolver.
const EMERGENCY: usize = 100;

struct Spares(RegSet);

impl Spare for Spares {
    fn free(&mut self, _class: RegClass) -> RegSet {
        self.0
    }
    fn any(&mut self, _class: RegClass) -> PReg {
        PReg::new(0)
    }
    fn slot(&mut self, _class: RegClass, n: usize) -> SpillSlot {
        SpillSlot::new(EMERGENCY + n)
    }
}

/// The contents of a register or slot, named by the register or slot that held them at first.
fn read(state: &BTreeMap<Storage, Storage>, storage: Storage) -> Storage {
    state.get(&storage).copied().unwrap_or(storage)
}

fn simulate(steps: &[Step]) -> BTreeMap<Storage, Storage> {
    let mut state = BTreeMap::new();
    for step in steps {
        let (dst, src) = match *step {
            Step::Copy { dst, src } => (Storage::Reg(dst), Storage::Reg(src)),
            Step::Store { slot, src } => (Storage::Slot(slot), Storage::Reg(src)),
            Step::Load { dst, slot } => (Storage::Reg(dst), Storage::Slot(slot)),
            Step::Remat { dst, vreg } => (Storage::Reg(dst), Storage::Remat(vreg)),
        };
        let value = read(&state, src);
        state.insert(dst, value);
    }
    state
}

/// Checks that destinations hold their sources and that nothing else has changed.
fn check(moves: &[Move], free: RegSet) {
    let steps = sequentialize(moves, &mut Spares(free));
    let state = simulate(&steps);
    for a_move in moves {
        assert_eq!(read(&state, a_move.dst), a_move.src, "{moves:?}\n{steps:?}");
    }
    for (&storage, &value) in &state {
        let is_spare = match storage {
            Storage::Reg(reg) => free.contains(reg),
            Storage::Slot(slot) => slot.index() >= EMERGENCY,
            Storage::Remat(_) => false,
        };
        let is_written = moves.iter().any(|a_move| a_move.dst == storage);
        assert!(is_spare || is_written || value == storage, "{storage:?} is destroyed\n{moves:?}\n{steps:?}");
    }
}

fn storages(regs: u8, slots: usize) -> Vec<Storage> {
    let regs = (0..regs).map(|n| Storage::Reg(PReg::new(n)));
    regs.chain((0..slots).map(|n| Storage::Slot(SpillSlot::new(n)))).collect()
}

/// Every assignment of a source to each destination: none, a rematerialised value, or a register or slot.
#[test]
fn all_small_cases_are_right() {
    for (regs, slots) in [(3, 2), (2, 3), (5, 0), (1, 3)] {
        let storages = storages(regs, slots);
        let choices = storages.len() + 2;
        for mut case in 0..choices.pow(storages.len() as u32) {
            let mut moves = Vec::new();
            for &dst in &storages {
                let choice = case % choices;
                case /= choices;
                let src = match choice {
                    0 => continue,
                    1 => Storage::Remat(VReg::new(0)),
                    n => storages[n - 2],
                };
                moves.push(Move { src, dst, class: RegClass::Int });
            }
            check(&moves, RegSet::EMPTY);
            check(&moves, RegSet::of(&[PReg::new(40)]));
        }
    }
}

#[test]
fn random_cases_are_right() {
    let mut rng = Rng::new(1);
    for _ in 0..20_000 {
        let storages = storages(1 + rng.below(12) as u8, rng.below(8));
        let mut moves = Vec::new();
        for &dst in &storages {
            if rng.chance(70) {
                moves.push(Move { src: storages[rng.below(storages.len())], dst, class: RegClass::Int });
            }
        }
        check(&moves, RegSet::EMPTY);
        check(&moves, RegSet::of(&[PReg::new(40), PReg::new(41)]));
    }
}

/// With a free register, a cycle of n registers costs n + 1 moves.
#[test]
fn a_swap_takes_three_copies() {
    let [a, b] = [0, 1].map(|n| Storage::Reg(PReg::new(n)));
    let class = RegClass::Int;
    let moves = [Move { src: a, dst: b, class }, Move { src: b, dst: a, class }];
    let steps = sequentialize(&moves, &mut Spares(RegSet::of(&[PReg::new(9)])));
    assert_eq!(steps.len(), 3);
    assert!(steps.iter().all(|step| matches!(step, Step::Copy { .. })));
}
