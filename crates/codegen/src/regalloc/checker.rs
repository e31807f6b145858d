//! The allocation checker: an independent verifier of an [`Allocation`].
//!
//! It executes the allocated function symbolically. The state maps each physical register and spill slot to the
//! virtual registers whose values it certainly holds. A definition makes its register hold that one value and
//! invalidates all other copies of it. A move copies the entry of its source, and a clobber removes an entry. On an
//! edge, a parameter is in every location of its argument. Where paths meet, the states are intersected.
//!
//! States only shrink, so iterating over the blocks terminates. At the fixed point every read must find its value, and
//! every operand constraint must hold.
//!
//! Operands are read from the target again, not from the allocator's data.

use std::collections::BTreeMap;

use ssa::IdVec;

use super::linear::{LinearFunction, Point, control_succs};
use super::parallel_move::{Step, Storage};
use super::resolve::Gap;
use super::rewrite::Allocation;
use crate::mir::{Block, Function, Isa, Operand, PReg, Reuse, Role, VReg};

/// The values that each register and slot certainly holds.
#[derive(Clone, Default)]
struct State {
    /// Sorted lists, none of them empty.
    values: BTreeMap<Storage, Vec<VReg>>,
    /// The registers and slots that hold a value. Without them every definition would search the whole state, and time
    /// would be quadratic in a function with many spill slots.
    homes: BTreeMap<VReg, Vec<Storage>>,
}

impl State {
    fn holds(&self, storage: Storage, value: VReg) -> bool {
        self.values.get(&storage).is_some_and(|values| values.contains(&value))
    }

    /// Makes a register or slot hold these values, a sorted list, and no others.
    fn set(&mut self, storage: Storage, values: Vec<VReg>) {
        self.clear(storage);
        for &value in &values {
            self.homes.entry(value).or_default().push(storage);
        }
        if !values.is_empty() {
            self.values.insert(storage, values);
        }
    }

    fn clear(&mut self, storage: Storage) {
        for value in self.values.remove(&storage).into_iter().flatten() {
            let homes = self.homes.get_mut(&value).expect("a value that is held has homes");
            homes.retain(|&home| home != storage);
        }
    }

    fn copy(&mut self, dst: Storage, src: Storage) {
        let values = self.values.get(&src).cloned().unwrap_or_default();
        self.set(dst, values);
    }

    /// Invalidates all copies of a value, which has been redefined.
    fn forget(&mut self, vreg: VReg) {
        for storage in self.homes.remove(&vreg).into_iter().flatten() {
            let values = self.values.get_mut(&storage).expect("homes hold their values");
            values.retain(|&value| value != vreg);
            if values.is_empty() {
                self.values.remove(&storage);
            }
        }
    }

    /// Keeps what `other` holds, too; returns whether anything was lost.
    fn intersect(&mut self, other: &Self) -> bool {
        let mut kept = Self::default();
        let mut lost = false;
        for (&storage, values) in &self.values {
            let others = other.values.get(&storage).map_or(&[][..], Vec::as_slice);
            let both: Vec<VReg> =
                values.iter().copied().filter(|value| others.binary_search(value).is_ok()).collect();
            lost |= both.len() != values.len();
            kept.set(storage, both);
        }
        if lost {
            *self = kept;
        }
        lost
    }
}

/// Verifies an allocation; the error describes the first violation.
pub fn check<T: Isa>(
    target: &T,
    func: &Function<T, VReg>,
    linear: &LinearFunction,
    allocation: &Allocation,
) -> Result<(), String> {
    let checker = Checker { target, func, linear, allocation };
    let mut entries: IdVec<Block, Option<State>> = IdVec::filled(None, func.blocks.len());
    entries[func.order[0]] = Some(State::default());
    let mut todo = vec![func.order[0]];
    while let Some(block) = todo.pop() {
        let state = entries[block].clone().expect("a queued block has a state");
        for (succ, state) in checker.block(block, state, &mut |_| {}) {
            if meet(&mut entries[succ], state) {
                todo.push(succ);
            }
        }
    }
    let mut error = None;
    for &block in &func.order {
        if let Some(state) = entries[block].take() {
            checker.block(block, state, &mut |message| {
                error.get_or_insert(format!("{block}: {message}"));
            });
        }
    }
    error.map_or(Ok(()), Err)
}

/// Intersects `old` with `new`; returns whether that changed it.
fn meet(old: &mut Option<State>, new: State) -> bool {
    match old {
        Some(old) => old.intersect(&new),
        None => {
            *old = Some(new);
            true
        }
    }
}

struct Checker<'a, T: Isa> {
    target: &'a T,
    func: &'a Function<T, VReg>,
    linear: &'a LinearFunction,
    allocation: &'a Allocation,
}

impl<T: Isa> Checker<'_, T> {
    /// Executes a block symbolically; returns the states at the start of its successors.
    fn block(&self, block: Block, mut state: State, report: &mut dyn FnMut(String)) -> Vec<(Block, State)> {
        let data = &self.func.blocks[block];
        let span = &self.linear.blocks[block];
        self.moves(Gap { at: span.from, on_edge: false }, &mut state, report);
        for (i, inst) in data.insts.iter().enumerate() {
            self.inst(inst, span.head() + 1 + i as u32, &mut state, report);
        }
        match data.control.inst() {
            Some(inst) => self.inst(inst, span.control(), &mut state, report),
            None => self.moves(Gap { at: Point::early(span.control()), on_edge: false }, &mut state, report),
        }
        self.moves(Gap { at: Point::early(span.control()), on_edge: true }, &mut state, report);
        self.edges(block, &state)
    }

    fn edges(&self, block: Block, state: &State) -> Vec<(Block, State)> {
        let control = &self.func.blocks[block].control;
        let with_args: Vec<(Block, State)> = control_succs(control)
            .map(|succ| (succ.block, pass(state, &self.func.blocks[succ.block].params, &succ.args)))
            .collect();
        if !with_args.is_empty() {
            return with_args;
        }
        control.successors().into_iter().map(|succ| (succ, state.clone())).collect()
    }

    fn moves(&self, gap: Gap, state: &mut State, report: &mut dyn FnMut(String)) {
        let moves = &self.allocation.moves;
        let first = moves.partition_point(|(other, _)| *other < gap);
        for (_, step) in moves[first..].iter().take_while(|(other, _)| *other == gap) {
            match *step {
                Step::Copy { dst, src } => state.copy(Storage::Reg(dst), Storage::Reg(src)),
                Step::Store { slot, src } => state.copy(Storage::Slot(slot), Storage::Reg(src)),
                Step::Load { dst, slot } => state.copy(Storage::Reg(dst), Storage::Slot(slot)),
                Step::Remat { dst, vreg } => {
                    if !self.is_rematerializable(vreg) {
                        report(format!("{vreg} can't be rematerialised at {gap:?}"));
                    }
                    state.set(Storage::Reg(dst), self.names_after(gap, vreg));
                }
            }
        }
    }

    fn is_rematerializable(&self, vreg: VReg) -> bool {
        let number = self.linear.defs[vreg].expect("a rematerialised value has a definition").number;
        let block = self.linear.block_at(Point::early(number));
        let index = number - self.linear.blocks[block].head();
        let inst = index.checked_sub(1).and_then(|index| self.func.blocks[block].insts.get(index as usize));
        self.func.vregs[vreg].rematerializable || inst.is_some_and(T::is_rematerializable)
    }

    /// A value and, for moves at the start of a block, the parameters that it is passed to on the only edge into the
    /// block.
    fn names_after(&self, gap: Gap, vreg: VReg) -> Vec<VReg> {
        let mut names = vec![vreg];
        let block = self.linear.block_at(gap.at);
        if let ([pred], false) =
            (&self.linear.blocks[block].preds[..], self.linear.blocks[block].from < gap.at)
        {
            let params = &self.func.blocks[block].params;
            let succs = control_succs(&self.func.blocks[*pred].control).filter(|succ| succ.block == block);
            let pairs = succs.flat_map(|succ| params.iter().zip(&succ.args));
            names.extend(pairs.filter(|&(_, &arg)| arg == vreg).map(|(&param, _)| param));
        }
        names.sort_unstable();
        names
    }

    fn inst(&self, inst: &T::Inst<VReg>, n: u32, state: &mut State, report: &mut dyn FnMut(String)) {
        self.moves(Gap { at: Point::early(n), on_edge: false }, state, report);
        let mut operands: Vec<(VReg, Operand)> = Vec::new();
        T::map_operands(inst, &mut |reg: VReg, operand| {
            operands.push((reg, operand));
            reg
        });
        let mut complain = |message: String| report(format!("number {n}, {inst}: {message}"));
        if self.allocation.dropped[n as usize] {
            match operands[..] {
                [(vreg, _)] if self.is_rematerializable(vreg) => state.forget(vreg),
                _ => complain("the instruction was dropped but is needed".to_owned()),
            }
            return;
        }
        let regs = &self.allocation.operands[self.linear.operand_range(n)];
        self.constraints(inst, &operands, regs, &mut complain);
        for (&(vreg, operand), &reg) in operands.iter().zip(regs) {
            if !operand.role.is_def() && !state.holds(Storage::Reg(reg), vreg) {
                complain(format!("{reg} does not hold {vreg}"));
            }
        }
        for reg in T::clobbers(inst).iter() {
            state.clear(Storage::Reg(reg));
        }
        for (&(vreg, _), &reg) in operands.iter().zip(regs).filter(|((_, operand), _)| operand.role.is_def())
        {
            state.forget(vreg);
            state.set(Storage::Reg(reg), vec![vreg]);
        }
    }

    fn constraints(
        &self,
        inst: &T::Inst<VReg>,
        operands: &[(VReg, Operand)],
        regs: &[PReg],
        complain: &mut dyn FnMut(String),
    ) {
        let clobbers = T::clobbers(inst);
        for (i, (&(vreg, operand), &reg)) in operands.iter().zip(regs).enumerate() {
            if operand.fixed.is_some_and(|fixed| fixed != reg) {
                complain(format!("{vreg} is in {reg}, not in its fixed register"));
            }
            if operand.fixed.is_none() && !self.target.registers().allocatable(operand.class).contains(&reg) {
                complain(format!("{vreg} is in {reg}, which is not allocatable in its class"));
            }
            if operand.role == Role::LateUse && clobbers.contains(reg) {
                complain(format!("{vreg} is a late use in {reg}, which is clobbered"));
            }
            if let Reuse::Must(tied) = operand.reuse
                && regs[tied as usize] != reg
            {
                complain(format!("{vreg} is not in the register it reuses"));
            }
            for (j, (&(other, other_operand), &other_reg)) in operands.iter().zip(regs).enumerate() {
                if i < j && reg == other_reg && conflict((i, vreg, operand), (j, other, other_operand)) {
                    complain(format!("{vreg} and {other} are both in {reg}"));
                }
            }
        }
    }
}

/// Whether two operands of an instruction can't share a register.
fn conflict(a: (usize, VReg, Operand), b: (usize, VReg, Operand)) -> bool {
    let tied =
        |def: (usize, VReg, Operand), read: (usize, VReg, Operand)| def.2.reuse == Reuse::Must(read.0 as u8);
    match (a.2.role.is_def(), b.2.role.is_def()) {
        (true, true) => true,
        (false, false) => false,
        (true, false) => def_meets_use(a.2, b.2) && !tied(a, b),
        (false, true) => def_meets_use(b.2, a.2) && !tied(b, a),
    }
}

fn def_meets_use(def: Operand, read: Operand) -> bool {
    def.role == Role::EarlyDef || read.role == Role::LateUse
}

/// The state after an edge: parameters are in the locations of their arguments.
fn pass(state: &State, params: &[VReg], args: &[VReg]) -> State {
    let mut result = State::default();
    for (&storage, values) in &state.values {
        let mut passed: Vec<VReg> = values.iter().copied().filter(|value| !params.contains(value)).collect();
        passed
            .extend(params.iter().zip(args).filter(|(_, arg)| values.contains(arg)).map(|(&param, _)| param));
        passed.sort_unstable();
        passed.dedup();
        result.set(storage, passed);
    }
    result
}
