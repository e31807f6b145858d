//! The function as the allocator sees it: a line of points, and what each instruction needs there.
//!
//! Blocks stand in layout order. Each block takes one number for its head (where parameters appear), one per
//! instruction and one for its control, also when the control has no instruction. Number `n` has two points:
//! *early* `2n`, where operands are read, and *late* `2n + 1`, where results are written. The early point is also
//! the *gap* before the instruction: moves there read what was true at the point before and make what is true at
//! the gap's own point.
//!
//! Operands are reduced to a [`Need`]. An operand that demands one register never constrains the live range of its
//! value: the register is reserved at the instruction's points, and a move in the gap before (for a use) or behind
//! (for a definition) connects it with wherever the value is. A tied use is likewise copied, in the gap, into the
//! register of the definition it is tied to. Hints make most of these moves disappear.

use ssa::{EntityId, IdVec};

use crate::mir::{Block, Control, Function, Succ, VReg};
use crate::registers::{Operand, PReg, RegClass, RegSet, Reuse, Role};
use crate::target::Target;

/// A point on the line. Ranges are half open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Point(u32);

impl Point {
    /// Behind everything.
    pub const MAX: Self = Self(u32::MAX);

    /// The early point of number `n`, and the gap before it.
    pub const fn early(n: u32) -> Self {
        Self(2 * n)
    }

    /// The late point of number `n`.
    pub const fn late(n: u32) -> Self {
        Self(2 * n + 1)
    }

    /// The number it belongs to.
    pub const fn number(self) -> u32 {
        self.0 / 2
    }

    /// Whether moves can stand here.
    pub const fn is_gap(self) -> bool {
        self.0.is_multiple_of(2)
    }

    /// The nearest gap at or before the point.
    pub const fn gap_before(self) -> Self {
        Self(self.0 & !1)
    }

    /// The nearest gap at or behind the point.
    pub const fn gap_after(self) -> Self {
        Self(self.0.next_multiple_of(2))
    }

    /// The next point.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The point before.
    pub const fn prev(self) -> Self {
        Self(self.0 - 1)
    }

    /// How many points `earlier` lies before.
    pub const fn distance_from(self, earlier: Self) -> u32 {
        self.0 - earlier.0
    }
}

/// What an operand needs from the allocator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// Its value in a register at the early point.
    Use,
    /// Its value in a register at both points.
    LateUse,
    /// A copy of its value in this register, at the early point or at both.
    FixedUse { reg: PReg, late: bool },
    /// A copy of its value in the register of the definition at this operand index.
    TiedUse(u8),
    /// A register at the late point.
    Def,
    /// A register at both points.
    EarlyDef,
    /// A register at both points, which holds the operand at this index when the instruction starts.
    TiedDef(u8),
    /// This register, at the late point or at both; the value moves on in the gap behind.
    FixedDef { reg: PReg, early: bool },
}

/// An operand of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// Its virtual register.
    pub vreg: VReg,
    /// What it needs.
    pub need: Need,
    /// For a definition: the operand whose register would make the instruction cheaper.
    pub prefer: Option<u8>,
}

/// Where a virtual register is defined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Def {
    /// Where its live range begins.
    pub at: Point,
    /// Number of the defining instruction, or of the block head for a parameter.
    pub number: u32,
    /// The register it is in just before `at`, for a definition in a fixed register.
    pub fixed: Option<PReg>,
    /// Whether it is a block parameter.
    pub param: bool,
}

/// A stretch where a physical register is taken by an instruction itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reservation {
    /// First point.
    pub from: Point,
    /// Behind the last point.
    pub to: Point,
    /// The value that the register holds there, which may live in it.
    pub holds: Option<VReg>,
}

/// A block's place on the line.
#[derive(Clone, Debug)]
pub struct BlockPlace {
    /// Position in layout order.
    pub position: u32,
    /// First point.
    pub from: Point,
    /// Behind the last point.
    pub to: Point,
    /// Estimated executions per call.
    pub freq: f32,
    /// Predecessors without repetitions.
    pub preds: Vec<Block>,
    /// Successors without repetitions.
    pub succs: Vec<Block>,
    /// Whether a successor stands at or before the block on the line.
    pub goes_back: bool,
}

impl BlockPlace {
    /// Number of the head.
    pub const fn head(&self) -> u32 {
        self.from.number()
    }

    /// Number of the control.
    pub const fn control(&self) -> u32 {
        self.to.number() - 1
    }

    /// The last point.
    pub const fn last(&self) -> Point {
        self.to.prev()
    }
}

/// An edge argument: the value `arg` becomes `param` on the way from `pred` to `block`.
#[derive(Clone, Copy, Debug)]
pub struct EdgeArg {
    /// Where the edge starts.
    pub pred: Block,
    /// Where it ends.
    pub block: Block,
    /// The parameter.
    pub param: VReg,
    /// The value it gets.
    pub arg: VReg,
}

/// The whole function.
#[derive(Debug)]
pub struct Program {
    /// Blocks by id.
    pub blocks: IdVec<Block, BlockPlace>,
    /// Blocks in layout order.
    pub order: Vec<Block>,
    /// Definitions; `None` for a register that is never defined.
    pub defs: IdVec<VReg, Option<Def>>,
    /// Classes.
    pub classes: IdVec<VReg, RegClass>,
    /// Which definitions can be repeated instead of spilled.
    pub rematerializable: IdVec<VReg, bool>,
    /// Reservations of each physical register in line order.
    pub reservations: Vec<Vec<Reservation>>,
    /// Gaps before the instructions that clobber registers, in line order.
    pub clobbers: Vec<Point>,
    /// Edge arguments whose parameter is used, in line order of the predecessor's end.
    pub edge_args: Vec<EdgeArg>,
    /// Source and destination of copies, with the number of the instruction.
    pub copies: Vec<(VReg, VReg, u32)>,
    /// See [`Target::CONTROL_WAIT`].
    pub control_wait: f32,
    /// See [`Target::rematerialize_cost`].
    pub rematerialize: IdVec<VReg, f32>,
    /// See [`Target::SAVE_SPAN`].
    pub save_span: u32,
    /// See [`Target::save_costs`].
    pub save_costs: [f32; 2],
    slots: Vec<Slot>,
    slots_end: Vec<u32>,
    block_of: Vec<Block>,
}

impl Program {
    /// Numbers the function.
    pub fn new<T: Target>(target: &T, func: &Function<T, VReg>) -> Self {
        let mut program = Self {
            blocks: places(func),
            order: func.order.clone(),
            defs: IdVec::filled(None, func.vregs.len()),
            classes: func.vregs.values().map(|data| data.class).collect(),
            rematerializable: func.vregs.values().map(|data| data.rematerializable).collect(),
            reservations: vec![Vec::new(); 64],
            clobbers: Vec::new(),
            edge_args: Vec::new(),
            copies: Vec::new(),
            control_wait: T::CONTROL_WAIT,
            rematerialize: IdVec::filled(0.0, func.vregs.len()),
            save_span: T::SAVE_SPAN,
            save_costs: target.save_costs(func),
            slots: Vec::new(),
            slots_end: Vec::new(),
            block_of: Vec::new(),
        };
        for &block in &func.order {
            program.add_block(target, func, block);
        }
        program.add_edge_args(func);
        program
    }

    /// The operands of number `n`, in the target's order.
    pub fn slots(&self, n: u32) -> &[Slot] {
        &self.slots[self.slots_range(n)]
    }

    /// Where the operands of number `n` stand among all operands.
    pub fn slots_range(&self, n: u32) -> std::ops::Range<usize> {
        let start = if n == 0 { 0 } else { self.slots_end[n as usize - 1] };
        start as usize..self.slots_end[n as usize] as usize
    }

    /// How many operands there are.
    pub fn slot_count(&self) -> usize {
        self.slots.len()
    }

    /// How many numbers there are.
    pub fn numbers(&self) -> u32 {
        self.slots_end.len() as u32
    }

    /// The block of a point.
    pub fn block_at(&self, point: Point) -> Block {
        self.block_of[point.number() as usize]
    }

    /// Estimated executions of a point.
    pub fn freq_at(&self, point: Point) -> f32 {
        self.blocks[self.block_at(point)].freq
    }

    /// Estimated executions of an edge; exact because no edge is critical.
    pub fn edge_freq(&self, pred: Block, block: Block) -> f32 {
        match self.blocks[block].preds.len() {
            1 => self.blocks[block].freq,
            _ => self.blocks[pred].freq,
        }
    }

    /// Whether `point` is where a block begins.
    pub fn is_block_start(&self, point: Point) -> bool {
        self.blocks[self.block_at(point)].from == point
    }

    fn add_block<T: Target>(&mut self, target: &T, func: &Function<T, VReg>, block: Block) {
        let data = &func.blocks[block];
        let from = self.blocks[block].from;
        for &param in &data.params {
            self.define(param, Def { at: from, number: from.number(), fixed: None, param: true });
        }
        self.end_number(block);
        for inst in &data.insts {
            self.add_inst(target, inst, func.optimize_for_size);
            self.end_number(block);
        }
        if let Some(inst) = data.control.inst() {
            self.add_inst(target, inst, func.optimize_for_size);
        }
        self.end_number(block);
        debug_assert_eq!(Point::early(self.numbers()), self.blocks[block].to);
    }

    fn end_number(&mut self, block: Block) {
        self.slots_end.push(self.slots.len() as u32);
        self.block_of.push(block);
    }

    fn add_inst<T: Target>(&mut self, target: &T, inst: &T::Inst<VReg>, for_size: bool) {
        let n = self.numbers();
        let mut operands: Vec<(VReg, Operand)> = Vec::new();
        T::map_operands(inst, &mut |reg: VReg, operand| {
            operands.push((reg, operand));
            reg
        });
        let first = self.slots.len();
        self.slots.extend(operands.iter().map(|&(vreg, operand)| Slot {
            vreg,
            need: untied_need(operand),
            prefer: match operand.reuse {
                Reuse::Prefer(index) => Some(index),
                _ => None,
            },
        }));
        tie_operands(&operands, &mut self.slots[first..]);
        if let ([(dst, operand)], true) = (&operands[..], T::is_rematerializable(inst)) {
            self.rematerializable[*dst] |= operand.role.is_def();
        }
        if let [(dst, Operand { role: Role::Def, .. })] = operands[..]
            && self.rematerializable[dst]
        {
            self.rematerialize[dst] = target.rematerialize_cost(inst, for_size);
        }
        if let Some((dst, src)) = T::as_copy(inst) {
            self.copies.push((src, dst, n));
        }
        self.reserve(n, first, target.clobbers(inst));
    }

    /// Records the definitions of number `n` and the registers it takes.
    fn reserve(&mut self, n: u32, first: usize, clobbers: RegSet) {
        let (early, late, end) = (Point::early(n), Point::late(n), Point::early(n + 1));
        for i in first..self.slots.len() {
            if let Slot { vreg, need: Need::FixedUse { reg, late: is_late }, .. } = self.slots[i] {
                let to = if is_late { end } else { late };
                self.reservations[reg.index()].push(Reservation { from: early, to, holds: Some(vreg) });
            }
        }
        for i in first..self.slots.len() {
            let Slot { vreg, need, .. } = self.slots[i];
            if need != Need::Def || self.slots.len() > first + 1 {
                self.rematerializable[vreg] &= !is_definition(need);
            }
            let (at, fixed) = match need {
                Need::Def => (late, None),
                Need::EarlyDef | Need::TiedDef(_) => (early, None),
                Need::FixedDef { reg, early: is_early } => {
                    let from = if is_early { early } else { late };
                    self.reservations[reg.index()].push(Reservation { from, to: end, holds: None });
                    (end, Some(reg))
                }
                _ => continue,
            };
            self.define(vreg, Def { at, number: n, fixed, param: false });
        }
        for reg in clobbers.iter() {
            self.reservations[reg.index()].push(Reservation { from: late, to: end, holds: None });
        }
        if !clobbers.is_empty() {
            self.clobbers.push(early);
        }
    }

    fn define(&mut self, vreg: VReg, def: Def) {
        assert!(self.defs[vreg].replace(def).is_none(), "{vreg} is defined twice");
    }

    /// Records the edge arguments that matter.
    fn add_edge_args<T: Target>(&mut self, func: &Function<T, VReg>) {
        let mut all = Vec::new();
        for &pred in &func.order {
            for Succ { block, args } in control_succs(&func.blocks[pred].control) {
                let params = &func.blocks[*block].params;
                assert_eq!(params.len(), args.len(), "{pred}: an argument for every parameter of {block}");
                let pairs = params.iter().zip(args);
                all.extend(pairs.map(|(&param, &arg)| EdgeArg { pred, block: *block, param, arg }));
            }
        }
        let used = self.used_vregs(&all);
        all.retain(|edge| used[edge.param]);
        self.edge_args = all;
    }

    /// Which registers some instruction reads, directly or through parameters.
    fn used_vregs(&self, edges: &[EdgeArg]) -> IdVec<VReg, bool> {
        let mut used = IdVec::filled(false, self.defs.len());
        let mut by_param: Vec<(VReg, VReg)> = edges.iter().map(|edge| (edge.param, edge.arg)).collect();
        by_param.sort_unstable();
        let is_read = |slot: &&Slot| !is_definition(slot.need);
        let mut todo: Vec<VReg> = self.slots.iter().filter(is_read).map(|slot| slot.vreg).collect();
        while let Some(vreg) = todo.pop() {
            if std::mem::replace(&mut used[vreg], true) {
                continue;
            }
            let first = by_param.partition_point(|&(param, _)| param < vreg);
            let args = by_param[first..].iter().take_while(|&&(param, _)| param == vreg);
            todo.extend(args.map(|&(_, arg)| arg));
        }
        used
    }
}

const fn is_definition(need: Need) -> bool {
    matches!(need, Need::Def | Need::EarlyDef | Need::TiedDef(_) | Need::FixedDef { .. })
}

/// The edges of a control that can carry arguments.
pub fn control_succs<T: Target>(control: &Control<T, VReg>) -> impl Iterator<Item = &Succ<VReg>> {
    let (first, second) = match control {
        Control::Jump(to) => (Some(to), None),
        Control::Branch { taken, other, .. } => (Some(taken), Some(other)),
        Control::Dispatch { .. } | Control::Exit(_) => (None, None),
    };
    first.into_iter().chain(second)
}

/// Frequencies are clamped so that sums of costs stay finite.
const MAX_FREQ: f32 = 1e12;

fn places<T: Target>(func: &Function<T, VReg>) -> IdVec<Block, BlockPlace> {
    let mut blocks: IdVec<Block, BlockPlace> = func
        .blocks
        .values()
        .map(|data| BlockPlace {
            position: 0,
            from: Point(0),
            to: Point(0),
            freq: if data.freq.is_finite() { data.freq.clamp(0.0, MAX_FREQ) } else { MAX_FREQ },
            preds: Vec::new(),
            succs: Vec::new(),
            goes_back: false,
        })
        .collect();
    let mut next = 0;
    for (position, &block) in func.order.iter().enumerate() {
        let place = &mut blocks[block];
        place.position = position as u32;
        place.from = Point::early(next);
        next += func.blocks[block].insts.len() as u32 + 2;
        place.to = Point::early(next);
        let mut succs = func.blocks[block].control.successors();
        succs.sort_by_key(|succ| succ.index());
        succs.dedup();
        succs.iter().for_each(|&succ| blocks[succ].preds.push(block));
        blocks[block].succs = succs;
    }
    for block in blocks.ids() {
        let goes_back = blocks[block].succs.iter().any(|&succ| blocks[succ].from <= blocks[block].from);
        blocks[block].goes_back = goes_back;
    }
    assert!(next < u32::MAX / 2 - 2, "{}: too many instructions", func.name);
    blocks
}

fn untied_need(operand: Operand) -> Need {
    match (operand.role, operand.fixed) {
        (Role::Use, None) => Need::Use,
        (Role::LateUse, None) => Need::LateUse,
        (Role::Use, Some(reg)) => Need::FixedUse { reg, late: false },
        (Role::LateUse, Some(reg)) => Need::FixedUse { reg, late: true },
        (Role::Def, None) => Need::Def,
        (Role::EarlyDef, None) => Need::EarlyDef,
        (Role::Def, Some(reg)) => Need::FixedDef { reg, early: false },
        (Role::EarlyDef, Some(reg)) => Need::FixedDef { reg, early: true },
    }
}

/// Applies `Reuse::Must`. A fixed register on either side of a tie fixes both. Further plain uses of a tied value
/// read the definition's register, too, so that the value need not outlive its own copy.
fn tie_operands(operands: &[(VReg, Operand)], slots: &mut [Slot]) {
    for (index, &(_, operand)) in operands.iter().enumerate() {
        let Reuse::Must(tied) = operand.reuse else { continue };
        let tied = tied as usize;
        let fixed = operand.fixed.or(operands[tied].1.fixed);
        if let Some(reg) = fixed {
            slots[index].need = Need::FixedDef { reg, early: true };
            slots[tied].need = Need::FixedUse { reg, late: false };
            continue;
        }
        slots[index].need = Need::TiedDef(tied as u8);
        slots[tied].need = Need::TiedUse(index as u8);
        if operand.role == Role::EarlyDef {
            continue;
        }
        let vreg = slots[tied].vreg;
        for slot in slots.iter_mut().filter(|slot| slot.vreg == vreg && slot.need == Need::Use) {
            slot.need = Need::TiedUse(index as u8);
        }
    }
}
