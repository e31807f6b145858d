//! Hints: which register would make a move disappear.
//!
//! Values are related by block arguments, copies and operands that prefer one register, and to physical registers
//! by operands in fixed registers. When a piece is placed, every related value that already has a register at the
//! related point votes for it with the frequency of the move that would be saved. A related value without a
//! register yet votes, with less weight, for what its *web* (all values it is transitively related to) wants: the
//! register its first placed member got, or a fixed register one of them needs.

use ssa::{EntityId, IdVec};

use super::program::{Need, Point, Program};
use crate::mir::VReg;
use crate::registers::PReg;

/// What a hint points at.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Wish {
    /// This register.
    Reg(PReg),
    /// Wherever this value is at this point.
    Value(VReg, Point),
}

/// A reason for a register.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Hint {
    /// Where the value would have to be in the register.
    pub at: Point,
    /// Which register.
    pub wish: Wish,
    /// Executions of the move it saves.
    pub weight: f32,
    /// Whether the values should be of one web.
    joins: bool,
}

/// What an instruction in the register it prefers is worth, of a move.
const PREFERENCE: f32 = 0.5;

/// What another of its operands is worth there; often the instruction is cheaper in the register of either.
const OTHER_PREFERENCE: f32 = 0.25;

/// The hints of all values.
#[derive(Debug)]
pub struct Hints {
    hints: Vec<Hint>,
    ends: IdVec<VReg, u32>,
    web: IdVec<VReg, VReg>,
    /// The register the web of a representative wants, and how much.
    wanted: IdVec<VReg, Option<(PReg, f32)>>,
}

impl Hints {
    /// Collects hints.
    pub fn new(program: &Program) -> Self {
        let mut list: Vec<(VReg, Hint)> = Vec::new();
        collect_edges(program, &mut list);
        collect_copies(program, &mut list);
        collect_operands(program, &mut list);
        list.sort_by_key(|(vreg, hint)| (*vreg, hint.at));
        let mut this = Self {
            hints: list.iter().map(|(_, hint)| *hint).collect(),
            ends: IdVec::filled(0, program.defs.len()),
            web: program.defs.ids().collect(),
            wanted: IdVec::filled(None, program.defs.len()),
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

    /// What the web of a value wants.
    pub fn wanted(&self, vreg: VReg) -> Option<PReg> {
        self.wanted[self.find(vreg)].map(|(reg, _)| reg)
    }

    /// Notes that a value got a register.
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

    /// `find`, halving the path.
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

fn collect_edges(program: &Program, list: &mut Vec<(VReg, Hint)>) {
    for edge in &program.edge_args {
        let arg_at = program.blocks[edge.pred].last();
        let param_at = program.blocks[edge.block].from;
        let weight = program.edge_freq(edge.pred, edge.block);
        relate(list, (edge.param, param_at), (edge.arg, arg_at), weight, true);
    }
}

fn collect_copies(program: &Program, list: &mut Vec<(VReg, Hint)>) {
    for &(src, dst, n) in &program.copies {
        let weight = program.freq_at(Point::early(n));
        relate(list, (src, Point::early(n)), (dst, Point::late(n)), weight, true);
    }
}

fn collect_operands(program: &Program, list: &mut Vec<(VReg, Hint)>) {
    for n in 0..program.numbers() {
        let early = Point::early(n);
        let weight = program.freq_at(early);
        let slots = program.slots(n);
        for slot in slots {
            match slot.need {
                Need::FixedUse { reg, .. } => {
                    list.push((
                        slot.vreg,
                        Hint { at: early.prev(), wish: Wish::Reg(reg), weight, joins: false },
                    ));
                }
                Need::FixedDef { reg, .. } => {
                    list.push((
                        slot.vreg,
                        Hint { at: Point::early(n + 1), wish: Wish::Reg(reg), weight, joins: false },
                    ));
                }
                Need::TiedDef(index) => {
                    relate(
                        list,
                        (slots[index as usize].vreg, early.prev()),
                        (slot.vreg, early),
                        weight,
                        true,
                    );
                }
                _ => {}
            }
            if let (Some(index), Need::Def) = (slot.prefer, slot.need) {
                for (i, used) in slots.iter().enumerate().filter(|(_, used)| used.need == Need::Use) {
                    let is_first = i == usize::from(index);
                    let weight = weight * if is_first { PREFERENCE } else { OTHER_PREFERENCE };
                    relate(list, (used.vreg, early), (slot.vreg, Point::late(n)), weight, is_first);
                }
            }
        }
    }
}
