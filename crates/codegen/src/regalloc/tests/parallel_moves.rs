//! The parallel-move resolver against a simulation: all small cases, and random larger ones.

use std::collections::BTreeMap;

use ssa::EntityId;

use crate::mir::{SpillSlot, VReg};
use crate::regalloc::parallel_move::{Move, Place, Spare, Step, sequentialize};
use crate::registers::{PReg, RegClass, RegSet};
use crate::toy::Rng;

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

/// What is in a place; a place that nothing was written to holds itself.
fn read(state: &BTreeMap<Place, Place>, place: Place) -> Place {
    state.get(&place).copied().unwrap_or(place)
}

fn simulate(steps: &[Step]) -> BTreeMap<Place, Place> {
    let mut state = BTreeMap::new();
    for step in steps {
        let (dst, src) = match *step {
            Step::Copy { dst, src } => (Place::Reg(dst), Place::Reg(src)),
            Step::Store { slot, src } => (Place::Slot(slot), Place::Reg(src)),
            Step::Load { dst, slot } => (Place::Reg(dst), Place::Slot(slot)),
            Step::Make { dst, vreg } => (Place::Reg(dst), Place::Remat(vreg)),
        };
        let value = read(&state, src);
        state.insert(dst, value);
    }
    state
}

/// Checks that destinations hold their sources and that everything else is as it was.
fn check(moves: &[Move], free: RegSet) {
    let steps = sequentialize(moves, &mut Spares(free));
    let state = simulate(&steps);
    for a_move in moves {
        assert_eq!(read(&state, a_move.dst), a_move.src, "{moves:?}\n{steps:?}");
    }
    for (&place, &value) in &state {
        let is_spare = match place {
            Place::Reg(reg) => free.contains(reg),
            Place::Slot(slot) => slot.index() >= EMERGENCY,
            Place::Remat(_) => false,
        };
        let is_written = moves.iter().any(|a_move| a_move.dst == place);
        assert!(is_spare || is_written || value == place, "{place:?} is destroyed\n{moves:?}\n{steps:?}");
    }
}

fn places(regs: u8, slots: usize) -> Vec<Place> {
    let regs = (0..regs).map(|n| Place::Reg(PReg::new(n)));
    regs.chain((0..slots).map(|n| Place::Slot(SpillSlot::new(n)))).collect()
}

/// Every assignment of nothing, a value to make again, or a place to each place.
#[test]
fn all_small_cases_are_right() {
    for (regs, slots) in [(3, 2), (2, 3), (5, 0), (1, 3)] {
        let places = places(regs, slots);
        let choices = places.len() + 2;
        for mut case in 0..choices.pow(places.len() as u32) {
            let mut moves = Vec::new();
            for &dst in &places {
                let choice = case % choices;
                case /= choices;
                let src = match choice {
                    0 => continue,
                    1 => Place::Remat(VReg::new(0)),
                    n => places[n - 2],
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
        let places = places(1 + rng.below(12) as u8, rng.below(8));
        let mut moves = Vec::new();
        for &dst in &places {
            if rng.chance(70) {
                moves.push(Move { src: places[rng.below(places.len())], dst, class: RegClass::Int });
            }
        }
        check(&moves, RegSet::EMPTY);
        check(&moves, RegSet::of(&[PReg::new(40), PReg::new(41)]));
    }
}

/// A cycle of registers with a free register costs one more move than it has places.
#[test]
fn a_swap_takes_three_copies() {
    let [a, b] = [0, 1].map(|n| Place::Reg(PReg::new(n)));
    let class = RegClass::Int;
    let moves = [Move { src: a, dst: b, class }, Move { src: b, dst: a, class }];
    let steps = sequentialize(&moves, &mut Spares(RegSet::of(&[PReg::new(9)])));
    assert_eq!(steps.len(), 3);
    assert!(steps.iter().all(|step| matches!(step, Step::Copy { .. })));
}
