//! Rewriting: the function over physical registers, with moves in their gaps.
//!
//! Every operand gets its register. Instructions whose values are rematerialised at each use are dropped.

use ssa::{IdVec, SourceLoc};

use super::intervals::{Intervals, Location};
use super::linear::{LinearFunction, Need, Point};
use super::parallel_move::Step;
use super::resolve::Gap;
use crate::mir::{
    Block, BlockData, Control, Function, Insts, Isa, PReg, RegClass, RegSet, SpillSlot, StackSlot, Succ, VReg,
};

/// The result of the allocator, input of the checker and the rewrite.
#[derive(Debug)]
pub struct Allocation {
    /// The register of every operand, in linear order.
    pub operands: Vec<PReg>,
    /// Moves, sorted by gap.
    pub moves: Vec<(Gap, Step)>,
    /// Whether the instruction of a number is dropped because its value is rematerialised where it is needed.
    pub dropped: Vec<bool>,
    /// Spill slots.
    pub slots: IdVec<SpillSlot, RegClass>,
}

/// Looks up the register of every operand, and finds the instructions to drop.
pub fn assign_operands(linear: &LinearFunction, intervals: &Intervals) -> (Vec<PReg>, Vec<bool>) {
    let mut operands = vec![PReg::new(0); linear.operand_count()];
    let mut dropped = vec![false; linear.numbers() as usize];
    let reg_at = |vreg: VReg, point: Point| match intervals.location_at(vreg, point) {
        Some(Location::Reg(reg)) => Some(reg),
        _ => None,
    };
    for n in 0..linear.numbers() {
        let (early, late) = (Point::early(n), Point::late(n));
        let first = linear.operand_range(n).start;
        let list = linear.operands(n);
        let tied = |index: u8| reg_at(list[index as usize].vreg, early);
        for (i, operand) in list.iter().enumerate() {
            let reg = match operand.need {
                Need::Use | Need::LateUse | Need::EarlyDef | Need::TiedDef(_) => reg_at(operand.vreg, early),
                Need::Def => reg_at(operand.vreg, late),
                Need::TiedUse(index) => tied(index),
                Need::FixedUse { reg, .. } | Need::FixedDef { reg, .. } => Some(reg),
            };
            match reg {
                Some(reg) => operands[first + i] = reg,
                None if operand.need == Need::Def && linear.rematerializable[operand.vreg] => {
                    dropped[n as usize] = true
                }
                None => panic!("{} has no register at number {n}", operand.vreg),
            }
        }
    }
    (operands, dropped)
}

/// Rewrites the function over physical registers.
pub fn rewrite<T: Isa>(
    linear: &LinearFunction,
    func: Function<T, VReg>,
    allocation: Allocation,
) -> Function<T, PReg> {
    let mut writer = Writer {
        linear,
        allocation: &allocation,
        definitions: definitions(linear, &func, &allocation),
        next_move: 0,
        written: RegSet::EMPTY,
    };
    let mut blocks: IdVec<Block, Option<BlockData<T, PReg>>> = func.blocks.ids().map(|_| None).collect();
    for &block in &func.order {
        blocks[block] = Some(writer.block(&func, block));
    }
    assert_eq!(writer.next_move, allocation.moves.len(), "every move is inserted at a gap");
    let written = writer.written;
    Function {
        name: func.name,
        blocks: blocks.values_mut().map(|block| block.take().expect("every block is in the order")).collect(),
        order: func.order,
        vregs: IdVec::new(),
        spill_slots: allocation.slots,
        frame_slots: func.frame_slots,
        variables: func.variables,
        variables_at: func.variables_at,
        outgoing_bytes: func.outgoing_bytes,
        has_calls: func.has_calls,
        stack_bytes: func.stack_bytes,
        written,
        optimize_for_size: func.optimize_for_size,
    }
}

/// The defining instruction of every value that some move rematerialises, sorted by value.
fn definitions<T: Isa>(
    linear: &LinearFunction,
    func: &Function<T, VReg>,
    allocation: &Allocation,
) -> Vec<(VReg, T::Inst<VReg>)> {
    let mut made: Vec<VReg> = allocation
        .moves
        .iter()
        .filter_map(|(_, step)| match step {
            Step::Remat { vreg, .. } => Some(*vreg),
            _ => None,
        })
        .collect();
    made.sort_unstable();
    made.dedup();
    let definition = |vreg: VReg| {
        let number = linear.defs[vreg].expect("a rematerialised value has a definition").number;
        let block = linear.block_at(Point::early(number));
        let index = number - linear.blocks[block].head() - 1;
        (vreg, func.blocks[block].insts[index as usize].clone())
    };
    made.into_iter().map(definition).collect()
}

struct Writer<'a, T: Isa> {
    linear: &'a LinearFunction,
    allocation: &'a Allocation,
    definitions: Vec<(VReg, T::Inst<VReg>)>,
    next_move: usize,
    written: RegSet,
}

impl<T: Isa> Writer<'_, T> {
    fn block(&mut self, func: &Function<T, VReg>, block: Block) -> BlockData<T, PReg> {
        let data = &func.blocks[block];
        let span = &self.linear.blocks[block];
        let mut out = Insts::with_capacity(data.insts.len());
        // Moves get the location of the instruction after them.
        let first = if data.insts.is_empty() { data.control_loc } else { data.insts.loc(0) };
        self.moves(span.from, false, first, &mut out);
        for (i, inst) in data.insts.iter().enumerate() {
            let n = span.head() + 1 + i as u32;
            let loc = data.insts.loc(i);
            self.moves(Point::early(n), false, loc, &mut out);
            if self.allocation.dropped[n as usize] {
                continue;
            }
            let inst = self.inst(inst, n);
            if T::as_copy(&inst).is_none_or(|(dst, src)| dst != src) {
                out.push(inst, loc);
            }
        }
        let control_loc = data.control_loc;
        self.moves(Point::early(span.control()), false, control_loc, &mut out);
        let control = self.control(&data.control, span.control());
        self.moves(Point::early(span.control()), true, control_loc, &mut out);
        BlockData { insts: out, control_loc, bound: data.bound, ..BlockData::new(control, data.freq) }
    }

    fn inst(&mut self, inst: &T::Inst<VReg>, n: u32) -> T::Inst<PReg> {
        let mut regs = self.allocation.operands[self.linear.operand_range(n)].iter();
        let written = &mut self.written;
        let inst = T::map_operands(inst, &mut |_, operand| {
            let reg = *regs.next().expect("an instruction has the operands it had");
            if operand.role.is_def() {
                written.insert(reg);
            }
            reg
        });
        self.written = self.written.union(T::clobbers(&inst));
        inst
    }

    fn control(&mut self, control: &Control<T, VReg>, n: u32) -> Control<T, PReg> {
        let to = |succ: &Succ<VReg>| Succ { block: succ.block, args: Vec::new() };
        match control {
            Control::Jump(succ) => Control::Jump(to(succ)),
            Control::Branch { inst, taken, other } => {
                Control::Branch { inst: self.inst(inst, n), taken: to(taken), other: to(other) }
            }
            Control::Dispatch { inst, targets } => {
                Control::Dispatch { inst: self.inst(inst, n), targets: targets.clone() }
            }
            Control::Exit(inst) => Control::Exit(self.inst(inst, n)),
        }
    }

    /// Appends the moves of a gap.
    fn moves(&mut self, at: Point, on_edge: bool, loc: Option<SourceLoc>, out: &mut Insts<T::Inst<PReg>>) {
        let gap = Gap { at, on_edge };
        while let Some(&(_, step)) =
            self.allocation.moves.get(self.next_move).filter(|(other, _)| *other == gap)
        {
            self.next_move += 1;
            out.push(self.step(step), loc);
        }
    }

    fn step(&mut self, step: Step) -> T::Inst<PReg> {
        match step {
            Step::Copy { dst, src } => {
                self.written.insert(dst);
                T::copy(dst, src)
            }
            Step::Store { slot, src } => T::spill(StackSlot::Spill(slot), src),
            Step::Load { dst, slot } => {
                self.written.insert(dst);
                T::reload(dst, StackSlot::Spill(slot))
            }
            Step::Remat { dst, vreg } => {
                self.written.insert(dst);
                let index = self.definitions.binary_search_by_key(&vreg, |(vreg, _)| *vreg);
                let (_, inst) = &self.definitions[index.expect("the definition was looked up")];
                T::map_operands(inst, &mut |_, _| dst)
            }
        }
    }
}
