//! The linearised function: the allocator's view of a function as program points and operand constraints.
//!
//! Blocks are in layout order. Each block takes one number for its head, where parameters are defined, one per
//! instruction, and one for its control (even if that has no instruction). Number `n` has two program points: *early*
//! `2n`, where operands are read, and *late* `2n + 1`, where results are written. The early point is also the *gap*
//! before the instruction. Moves in a gap read the locations of the previous point and write those of the gap's own
//! point.
//!
//! An operand's constraint is its [`Need`]. An operand in a fixed register never constrains the live range of its
//! value. The register is reserved at the points of the instruction, and a move connects it with the location of the
//! value. The move is in the gap before the instruction for a use, after it for a definition. A tied use is copied in
//! the gap into the register of the definition it is tied to. Hints make most of these moves unnecessary.

use ssa::cfg::Graph;
use ssa::{EntityId, IdVec};

use crate::mir::{
    Block, Control, Costs, Function, Isa, Operand, PReg, RegClass, RegSet, Reuse, Role, Succ, VReg,
};

/// A program point. Ranges of points are half-open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Point(u32);

impl Point {
    /// After all points of any function.
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

    /// Whether this is a gap, where moves can be inserted.
    pub const fn is_gap(self) -> bool {
        self.0.is_multiple_of(2)
    }

    /// The nearest gap at or before the point.
    pub const fn gap_before(self) -> Self {
        Self(self.0 & !1)
    }

    /// The nearest gap at or after the point.
    pub const fn gap_after(self) -> Self {
        Self(self.0.next_multiple_of(2))
    }

    /// The next point.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The previous point.
    pub const fn prev(self) -> Self {
        Self(self.0 - 1)
    }

    /// The number of points from `earlier` to this one.
    pub const fn distance_from(self, earlier: Self) -> u32 {
        self.0 - earlier.0
    }
}

/// The constraint of an operand.
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
    /// This register, at the late point or at both; the value is moved away in the gap after the instruction.
    FixedDef { reg: PReg, early: bool },
}

/// An operand of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AllocOperand {
    /// Its virtual register.
    pub vreg: VReg,
    /// Its constraint.
    pub need: Need,
    /// For a definition: the operand whose register would make the instruction cheaper.
    pub prefer: Option<u8>,
}

/// The definition of a virtual register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Def {
    /// The start of its live range.
    pub at: Point,
    /// Number of the defining instruction, or of the block head for a parameter.
    pub number: u32,
    /// For a definition in a fixed register: this register, which holds the value directly before `at`.
    pub fixed: Option<PReg>,
    /// Whether it is a block parameter.
    pub param: bool,
}

/// A range of points at which an instruction itself occupies a physical register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reservation {
    /// First point.
    pub from: Point,
    /// End (exclusive).
    pub to: Point,
    /// The value that the register holds there; a piece of this value doesn't conflict.
    pub holds: Option<VReg>,
}

/// The points and the control flow of a block.
#[derive(Clone, Debug)]
pub struct BlockSpan {
    /// Position in layout order.
    pub position: u32,
    /// First point.
    pub from: Point,
    /// End (exclusive).
    pub to: Point,
    /// Estimated executions per call.
    pub freq: f32,
    /// Predecessors without repetitions.
    pub preds: Vec<Block>,
    /// Successors without repetitions.
    pub succs: Vec<Block>,
    /// Whether a successor is at or before the block in the linear order.
    pub goes_back: bool,
}

impl BlockSpan {
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

/// An edge argument: the value `arg` is passed to `param` on the edge from `pred` to `block`.
#[derive(Clone, Copy, Debug)]
pub struct EdgeArg {
    /// Source of the edge.
    pub pred: Block,
    /// Target of the edge.
    pub block: Block,
    /// The parameter.
    pub param: VReg,
    /// The value it gets.
    pub arg: VReg,
}

/// The linearised function, with the target's costs.
#[derive(Debug)]
pub struct LinearFunction {
    /// Blocks by id.
    pub blocks: IdVec<Block, BlockSpan>,
    /// Blocks in layout order.
    pub order: Vec<Block>,
    /// Definitions; `None` for a register that is never defined.
    pub defs: IdVec<VReg, Option<Def>>,
    /// Classes.
    pub classes: IdVec<VReg, RegClass>,
    /// Whether a value can be rematerialised instead of spilled.
    pub rematerializable: IdVec<VReg, bool>,
    /// Reservations of each physical register, ascending.
    pub reservations: Vec<Vec<Reservation>>,
    /// Gaps before the instructions that clobber registers, ascending.
    pub clobbers: Vec<Point>,
    /// Edge arguments whose parameter is used, in the order of the predecessors.
    pub edge_args: Vec<EdgeArg>,
    /// Source and destination of copies, with the number of the instruction.
    pub copies: Vec<(VReg, VReg, u32)>,
    /// The target's costs for this function.
    pub costs: Costs,
    /// Cost of rematerialising each value that can be, in loads from the stack.
    pub rematerialize: IdVec<VReg, f32>,
    operands: Vec<AllocOperand>,
    operand_ends: Vec<u32>,
    block_of: Vec<Block>,
}

impl Graph for LinearFunction {
    type Node = Block;

    fn len(&self) -> usize {
        self.blocks.len()
    }

    fn successors(&self, block: Block) -> &[Block] {
        &self.blocks[block].succs
    }

    fn predecessors(&self, block: Block) -> &[Block] {
        &self.blocks[block].preds
    }
}

impl LinearFunction {
    /// Numbers the function.
    pub fn new<T: Isa>(target: &T, func: &Function<T, VReg>) -> Self {
        let mut linear = Self {
            blocks: block_spans(func),
            order: func.order.clone(),
            defs: IdVec::filled(None, func.vregs.len()),
            classes: func.vregs.values().map(|data| data.class).collect(),
            rematerializable: func.vregs.values().map(|data| data.rematerializable).collect(),
            reservations: vec![Vec::new(); 64],
            clobbers: Vec::new(),
            edge_args: Vec::new(),
            copies: Vec::new(),
            costs: target.costs(func.optimize_for_size, func.has_calls),
            rematerialize: IdVec::filled(0.0, func.vregs.len()),
            operands: Vec::new(),
            operand_ends: Vec::new(),
            block_of: Vec::new(),
        };
        for &block in &func.order {
            linear.add_block(func, block);
        }
        linear.add_edge_args(func);
        linear
    }

    /// The operands of number `n`, in the target's order.
    pub fn operands(&self, n: u32) -> &[AllocOperand] {
        &self.operands[self.operand_range(n)]
    }

    /// The index range of the operands of number `n` among all operands.
    pub fn operand_range(&self, n: u32) -> std::ops::Range<usize> {
        let start = if n == 0 { 0 } else { self.operand_ends[n as usize - 1] };
        start as usize..self.operand_ends[n as usize] as usize
    }

    /// The number of operands.
    pub fn operand_count(&self) -> usize {
        self.operands.len()
    }

    /// The count of numbers: one per block head, instruction and control.
    pub fn numbers(&self) -> u32 {
        self.operand_ends.len() as u32
    }

    /// The block of a point.
    pub fn block_at(&self, point: Point) -> Block {
        self.block_of[point.number() as usize]
    }

    /// Estimated executions per call of the block of a point.
    pub fn freq_at(&self, point: Point) -> f32 {
        self.blocks[self.block_at(point)].freq
    }

    /// Estimated executions per call of an edge; follows from the blocks because no edge is critical.
    pub fn edge_freq(&self, pred: Block, block: Block) -> f32 {
        match self.blocks[block].preds.len() {
            1 => self.blocks[block].freq,
            _ => self.blocks[pred].freq,
        }
    }

    /// Whether `point` is the first point of a block.
    pub fn is_block_start(&self, point: Point) -> bool {
        self.blocks[self.block_at(point)].from == point
    }

    fn add_block<T: Isa>(&mut self, func: &Function<T, VReg>, block: Block) {
        let data = &func.blocks[block];
        let from = self.blocks[block].from;
        for &param in &data.params {
            self.define(param, Def { at: from, number: from.number(), fixed: None, param: true });
        }
        self.end_number(block);
        for inst in &data.insts {
            self.add_inst::<T>(inst);
            self.end_number(block);
        }
        if let Some(inst) = data.control.inst() {
            self.add_inst::<T>(inst);
        }
        self.end_number(block);
        debug_assert_eq!(Point::early(self.numbers()), self.blocks[block].to);
    }

    fn end_number(&mut self, block: Block) {
        self.operand_ends.push(self.operands.len() as u32);
        self.block_of.push(block);
    }

    fn add_inst<T: Isa>(&mut self, inst: &T::Inst<VReg>) {
        let n = self.numbers();
        let mut described: Vec<(VReg, Operand)> = Vec::new();
        T::map_operands(inst, &mut |reg: VReg, operand| {
            described.push((reg, operand));
            reg
        });
        let first = self.operands.len();
        self.operands.extend(described.iter().map(|&(vreg, operand)| AllocOperand {
            vreg,
            need: untied_need(operand),
            prefer: match operand.reuse {
                Reuse::Prefer(index) => Some(index),
                _ => None,
            },
        }));
        tie_operands(&described, &mut self.operands[first..]);
        if let ([(dst, operand)], true) = (&described[..], T::is_rematerializable(inst)) {
            self.rematerializable[*dst] |= operand.role.is_def();
        }
        if let [(dst, Operand { role: Role::Def, .. })] = described[..]
            && self.rematerializable[dst]
        {
            let Costs { rematerialize, rematerialize_long, .. } = self.costs;
            self.rematerialize[dst] = if T::is_long(inst) { rematerialize_long } else { rematerialize };
        }
        if let Some((dst, src)) = T::as_copy(inst) {
            self.copies.push((src, dst, n));
        }
        self.reserve(n, first, T::clobbers(inst));
    }

    /// Records the definitions of number `n` and its register reservations.
    fn reserve(&mut self, n: u32, first: usize, clobbers: RegSet) {
        let (early, late, end) = (Point::early(n), Point::late(n), Point::early(n + 1));
        for i in first..self.operands.len() {
            if let AllocOperand { vreg, need: Need::FixedUse { reg, late: is_late }, .. } = self.operands[i] {
                let to = if is_late { end } else { late };
                self.reservations[reg.index()].push(Reservation { from: early, to, holds: Some(vreg) });
            }
        }
        for i in first..self.operands.len() {
            let AllocOperand { vreg, need, .. } = self.operands[i];
            if need != Need::Def || self.operands.len() > first + 1 {
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

    /// Records the edge arguments whose parameters are used.
    fn add_edge_args<T: Isa>(&mut self, func: &Function<T, VReg>) {
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

    /// The registers that some instruction reads, directly or through parameters.
    fn used_vregs(&self, edges: &[EdgeArg]) -> IdVec<VReg, bool> {
        let mut used = IdVec::filled(false, self.defs.len());
        let mut by_param: Vec<(VReg, VReg)> = edges.iter().map(|edge| (edge.param, edge.arg)).collect();
        by_param.sort_unstable();
        let is_read = |operand: &&AllocOperand| !is_definition(operand.need);
        let mut todo: Vec<VReg> = self.operands.iter().filter(is_read).map(|operand| operand.vreg).collect();
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
pub fn control_succs<T: Isa>(control: &Control<T, VReg>) -> impl Iterator<Item = &Succ<VReg>> {
    let (first, second) = match control {
        Control::Jump(to) => (Some(to), None),
        Control::Branch { taken, other, .. } => (Some(taken), Some(other)),
        Control::Dispatch { .. } | Control::Exit(_) => (None, None),
    };
    first.into_iter().chain(second)
}

/// Upper limit of frequencies, so that sums of costs stay finite.
const MAX_FREQ: f32 = 1e12;

fn block_spans<T: Isa>(func: &Function<T, VReg>) -> IdVec<Block, BlockSpan> {
    let mut blocks: IdVec<Block, BlockSpan> = func
        .blocks
        .values()
        .map(|data| BlockSpan {
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
        let span = &mut blocks[block];
        span.position = position as u32;
        span.from = Point::early(next);
        next += func.blocks[block].insts.len() as u32 + 2;
        span.to = Point::early(next);
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

/// Applies `Reuse::Must`. If either side of a tie is in a fixed register, both are. Further plain uses of a tied value
/// also read the definition's register, so that the value need not outlive its copy.
fn tie_operands(described: &[(VReg, Operand)], operands: &mut [AllocOperand]) {
    for (index, &(_, operand)) in described.iter().enumerate() {
        let Reuse::Must(tied) = operand.reuse else { continue };
        let tied = tied as usize;
        let fixed = operand.fixed.or(described[tied].1.fixed);
        if let Some(reg) = fixed {
            operands[index].need = Need::FixedDef { reg, early: true };
            operands[tied].need = Need::FixedUse { reg, late: false };
            continue;
        }
        operands[index].need = Need::TiedDef(tied as u8);
        operands[tied].need = Need::TiedUse(index as u8);
        if operand.role == Role::EarlyDef {
            continue;
        }
        let vreg = operands[tied].vreg;
        for operand in operands.iter_mut().filter(|other| other.vreg == vreg && other.need == Need::Use) {
            operand.need = Need::TiedUse(index as u8);
        }
    }
}
