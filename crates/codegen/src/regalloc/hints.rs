//! Register hints: the registers that would make a move unnecessary.
//!
//! Block arguments, copies and operands that prefer a shared register relate values to each other. Operands in fixed
//! registers relate values to physical registers. When a piece is placed, every related value that already has a
//! register votes for it, with the frequency of the move that would be saved. A related value without a register
//! votes, with less weight, for the register preferred by its *web* (all values it is transitively related to). That
//! is the register of a member that has been placed, or a fixed register that a member needs, whichever weighs most.

use ssa::{EntityId, IdVec};

use super::linear::{LinearFunction, Need, Point};
use crate::mir::{PReg, VReg};

/// The register that a hint suggests.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Wish {
    /// This register.
    Reg(PReg),
    /// The location of this value at this point.
    Value(VReg, Point),
}

/// A hint for one value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Hint {
    /// The point at which the value should be in the register.
    pub at: Point,
    /// The suggested register.
    pub wish: Wish,
    /// Executions per call of the move that it saves.
    pub weight: f32,
    /// Whether it joins the webs of the two values.
    joins: bool,
}

/// Value of giving a definition the register of its preferred operand, in moves.
const PREFERENCE: f32 = 0.5;

/// Value of giving a definition the register of another operand, in moves: often the instruction is cheaper with
/// either.
const OTHER_PREFERENCE: f32 = 0.25;

/// The hints of all values.
#[derive(Debug)]
pub struct Hints {
    hints: Vec<Hint>,
    ends: IdVec<VReg, u32>,
    web: IdVec<VReg, VReg>,
    /// The register preferred by the web of a representative, and the weight of that preference.
    wanted: IdVec<VReg, Option<(PReg, f32)>>,
}

impl Hints {
    /// Collects hints.
    pub fn new(linear: &LinearFunction) -> Self {
        let mut list: Vec<(VReg, Hint)> = Vec::new();
        collect_edges(linear, &mut list);
        collect_copies(linear, &mut list);
        collect_operands(linear, &mut list);
        list.sort_by_key(|(vreg, hint)| (*vreg, hint.at));
        let mut this = Self {
            hints: list.iter().map(|(_, hint)| *hint).collect(),
            ends: IdVec::filled(0, linear.defs.len()),
            web: linear.defs.ids().collect(),
            wanted: IdVec::filled(None, linear.defs.len()),
        };
        this.index(&list);
        this
    }

    /// The hints of a value whose point is in `from..=to`.
    pub fn of(&self, vreg: VReg, from: Point, to: Point) -> &[Hint] {
        let start = match vreg.index() {
            0 => 0,
            n => self.ends[VReg::new(n - 1)] as usize,
        };
        let all = &self.hints[start..self.ends[vreg] as usize];
        let first = all.partition_point(|hint| hint.at < from);
        let end = all.partition_point(|hint| hint.at <= to);
        &all[first..end]
    }

    /// The register preferred by the web of a value.
    pub fn wanted(&self, vreg: VReg) -> Option<PReg> {
        self.wanted[self.find(vreg)].map(|(reg, _)| reg)
    }

    /// Records that a value got a register.
    pub fn note(&mut self, vreg: VReg, reg: PReg, weight: f32) {
        let web = self.find(vreg);
        if self.wanted[web].is_none_or(|(_, old)| old < weight) {
            self.wanted[web] = Some((reg, weight));
        }
    }

    fn index(&mut self, list: &[(VReg, Hint)]) {
        for (vreg, _) in list {
            self.ends[*vreg] += 1;
        }
        let mut total = 0;
        for end in self.ends.values_mut() {
            total += *end;
            *end = total;
        }
        for (vreg, hint) in list {
            if let (Wish::Value(other, _), true) = (hint.wish, hint.joins) {
                self.join(*vreg, other);
            }
        }
        for (vreg, hint) in list {
            if let Wish::Reg(reg) = hint.wish {
                self.note(*vreg, reg, hint.weight * PREFERENCE);
            }
        }
    }

    fn find(&self, vreg: VReg) -> VReg {
        let mut root = vreg;
        while self.web[root] != root {
            root = self.web[root];
        }
        root
    }

    fn join(&mut self, a: VReg, b: VReg) {
        let (a, b) = (self.find_short(a), self.find_short(b));
        self.web[a.max(b)] = a.min(b);
    }

    /// `find` with path halving.
    fn find_short(&mut self, mut vreg: VReg) -> VReg {
        while self.web[vreg] != vreg {
            self.web[vreg] = self.web[self.web[vreg]];
            vreg = self.web[vreg];
        }
        vreg
    }
}

fn relate(list: &mut Vec<(VReg, Hint)>, a: (VReg, Point), b: (VReg, Point), weight: f32, joins: bool) {
    list.push((a.0, Hint { at: a.1, wish: Wish::Value(b.0, b.1), weight, joins }));
    list.push((b.0, Hint { at: b.1, wish: Wish::Value(a.0, a.1), weight, joins }));
}

fn collect_edges(linear: &LinearFunction, list: &mut Vec<(VReg, Hint)>) {
    for edge in &linear.edge_args {
        let arg_at = linear.blocks[edge.pred].last();
        let param_at = linear.blocks[edge.block].from;
        let weight = linear.edge_freq(edge.pred, edge.block);
        relate(list, (edge.param, param_at), (edge.arg, arg_at), weight, true);
    }
}

fn collect_copies(linear: &LinearFunction, list: &mut Vec<(VReg, Hint)>) {
    for &(src, dst, n) in &linear.copies {
        let weight = linear.freq_at(Point::early(n));
        relate(list, (src, Point::early(n)), (dst, Point::late(n)), weight, true);
    }
}

fn collect_operands(linear: &LinearFunction, list: &mut Vec<(VReg, Hint)>) {
    for n in 0..linear.numbers() {
        let early = Point::early(n);
        let weight = linear.freq_at(early);
        let operands = linear.operands(n);
        for operand in operands {
            match operand.need {
                Need::FixedUse { reg, .. } => {
                    list.push((
                        operand.vreg,
                        Hint { at: early.prev(), wish: Wish::Reg(reg), weight, joins: false },
                    ));
                }
                Need::FixedDef { reg, .. } => {
                    list.push((
                        operand.vreg,
                        Hint { at: Point::early(n + 1), wish: Wish::Reg(reg), weight, joins: false },
                    ));
                }
                Need::TiedDef(index) => {
                    relate(
                        list,
                        (operands[index as usize].vreg, early.prev()),
                        (operand.vreg, early),
                        weight,
                        true,
                    );
                }
                _ => {}
            }
            if let (Some(index), Need::Def) = (operand.prefer, operand.need) {
                for (i, used) in operands.iter().enumerate().filter(|(_, used)| used.need == Need::Use) {
                    let is_first = i == usize::from(index);
                    let weight = weight * if is_first { PREFERENCE } else { OTHER_PREFERENCE };
                    relate(list, (used.vreg, early), (operand.vreg, Point::late(n)), weight, is_first);
                }
            }
        }
    }
}
