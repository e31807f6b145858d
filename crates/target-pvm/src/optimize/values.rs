//! Value numbering: reusing values that are already in a register.
//!
//! Allocation leaves copies, repeated constants, reloads of values that are still in a register, and addresses that
//! selection computed for each use. A forward walk numbers the values in registers and spill slots; equal numbers are
//! equal values. Then
//!
//! - an instruction is removed if its destination already holds its result;
//! - an instruction becomes a copy if another register holds its result;
//! - a use of a copy becomes a use of the register that has held the value longest, so that copies die;
//! - a store is removed if the slot already holds the value.
//!
//! Numbers flow into a block that has one predecessor, in layout order; at the start of other blocks everything is
//! unknown.
//!
//! Spill slots have names until the frame is laid out; then they are eight bytes at a constant distance from the stack
//! pointer. Other memory is not tracked. If the function has stack objects, a store to an unknown address may hit one
//! of them, so it invalidates the slots without name.
//!
//! Instructions with constant operands are folded here, which happens when a constant comes over an edge, and zeros are
//! stored without a register.

use std::collections::BTreeMap;

use codegen::{Block, Control, Effects, Function, Insts, Operand, PReg, SpillSlot, StackSlot, predecessors};
use pvm_isa::Opcode;
use ssa::IdVec;

use crate::analysis::effects::{Access, is_pure};
use crate::isa::{Inst, Mem, Pvm, SP};

/// Maximum number of slots for which all known ones are carried into the next block. Each block has its own copy of the
/// state.
const CARRIED_SLOTS: usize = 256;

/// A value; equal numbers are equal values.
type Number = u32;

/// An expression whose value depends only on the numbers in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Expr {
    Const(i64),
    Func(ssa::FuncId),
    Op(Opcode, Vec<Number>, i32),
}

/// Eight bytes of the frame.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Slot {
    Spill(SpillSlot),
    /// By offset from the stack pointer.
    At(i32),
}

impl Slot {
    const fn of(mem: &Mem<PReg>) -> Option<Self> {
        match *mem {
            Mem::Slot(StackSlot::Spill(slot)) => Some(Self::Spill(slot)),
            Mem::Reg(SP, at) => Some(Self::At(at)),
            _ => None,
        }
    }
}

/// Removes computations of values that are already in a register or slot.
pub fn reuse(func: &mut Function<Pvm, PReg>) {
    let preds = predecessors(func);
    let mut at_end: IdVec<Block, Option<State>> = IdVec::filled(None, func.blocks.len());
    let entry = func.order[0];
    let has_objects = !func.frame_slots.is_empty();
    let mut next = 0;
    for n in 0..func.order.len() {
        let block = func.order[n];
        let inherited = match preds[block][..] {
            [pred] if block != entry => at_end[pred].clone(),
            _ => None,
        };
        let mut state = inherited.unwrap_or_else(|| State::new(&mut next));
        state.has_objects = has_objects;
        let mut kept = Insts::with_capacity(func.blocks[block].insts.len());
        for (inst, loc) in std::mem::take(&mut func.blocks[block].insts).into_located() {
            kept.extend(state.step(inst, &mut next), loc);
        }
        func.blocks[block].insts = kept;
        state.rewrite_control(&mut func.blocks[block].control);
        let is_inherited = func.blocks[block].control.successors().iter().any(|&to| preds[to].len() == 1);
        at_end[block] = is_inherited.then(|| state.pruned());
    }
}

#[derive(Clone, Debug)]
struct State {
    /// The value in each register.
    regs: [Number; 64],
    /// The values of spill slots.
    slots: BTreeMap<Slot, Number>,
    /// Values of expressions.
    exprs: BTreeMap<Expr, Number>,
    /// Values that are constants.
    constants: BTreeMap<Number, i64>,
    /// For each value, the register that has held it longest and still does.
    leaders: BTreeMap<Number, PReg>,
    has_objects: bool,
}

impl State {
    fn new(next: &mut Number) -> Self {
        let regs = std::array::from_fn(|_| fresh(next));
        Self {
            regs,
            slots: BTreeMap::new(),
            exprs: BTreeMap::new(),
            constants: BTreeMap::new(),
            leaders: BTreeMap::new(),
            has_objects: false,
        }
    }

    /// The state without values that no register or slot holds any more, so that it doesn't grow along paths. If there
    /// are very many slots, only those are kept whose value is in a register, too.
    fn pruned(mut self) -> Self {
        if self.slots.len() > CARRIED_SLOTS {
            self.slots.retain(|_, number| self.regs.contains(number));
        }
        let held: std::collections::BTreeSet<Number> =
            self.regs.iter().chain(self.slots.values()).copied().collect();
        self.exprs.retain(|_, number| held.contains(number));
        self.constants.retain(|number, _| held.contains(number));
        self.leaders.retain(|number, _| held.contains(number));
        self
    }

    /// Updates the state, and returns the improved instruction if it is still needed.
    fn step(&mut self, inst: Inst<PReg>, next: &mut Number) -> Option<Inst<PReg>> {
        let inst = self.with_leaders(&inst);
        let inst = self.folded(self.with_immediate(inst));
        if let Some((dst, src)) = inst.as_copy() {
            return self.copy(dst, src, inst);
        }
        if let Inst::Store { op: Opcode::StoreIndU64, src, ref mem } = inst
            && let Some(slot) = Slot::of(mem)
        {
            return self.store_slot(slot, src, inst);
        }
        if let Inst::Load { op: Opcode::LoadIndU64, dst, ref mem } = inst
            && let Some(slot) = Slot::of(mem)
        {
            let known = self.slots.get(&slot).copied();
            let number = known.unwrap_or_else(|| fresh(next));
            self.slots.insert(slot, number);
            return self.define(dst, number, known.is_some(), inst);
        }
        if let Some((dst, expr)) = self.expr(&inst) {
            let known = self.exprs.get(&expr).copied();
            let number = known.unwrap_or_else(|| fresh(next));
            if let Expr::Const(value) = expr {
                self.constants.insert(number, value);
            }
            self.exprs.insert(expr, number);
            return self.define(dst, number, known.is_some(), inst);
        }
        self.forget(&inst, next);
        Some(self.as_zero_store(inst))
    }

    /// The register from which to read the value in `reg`.
    fn leader(&mut self, reg: PReg) -> PReg {
        let number = self.regs[reg.index()];
        match self.leaders.get(&number) {
            Some(&leader) if self.regs[leader.index()] == number => leader,
            _ => {
                self.leaders.insert(number, reg);
                reg
            }
        }
    }

    /// The instruction with every use that is not fixed replaced by the register that has held the value longest.
    fn with_leaders(&mut self, inst: &Inst<PReg>) -> Inst<PReg> {
        // The value that a conditional move keeps must be in its destination.
        let tied = match inst {
            Inst::Cmov { old, .. } | Inst::CmovImm { old, .. } => Some(*old),
            _ => None,
        };
        let mut position = 0;
        inst.map_operands(&mut |reg, operand: Operand| {
            position += 1;
            let is_tied = tied.is_some() && position == 1;
            match operand.role.is_def() || operand.fixed.is_some() || is_tied {
                true => reg,
                false => self.leader(reg),
            }
        })
    }

    fn rewrite_control(&mut self, control: &mut Control<Pvm, PReg>) {
        match control {
            Control::Branch { inst, .. } | Control::Dispatch { inst, .. } => *inst = self.with_leaders(inst),
            Control::Jump(_) | Control::Exit(_) => {}
        }
    }

    fn copy(&mut self, dst: PReg, src: PReg, inst: Inst<PReg>) -> Option<Inst<PReg>> {
        let number = self.regs[src.index()];
        if self.regs[dst.index()] == number {
            return None;
        }
        self.leader(src);
        self.regs[dst.index()] = number;
        Some(inst)
    }

    fn store_slot(&mut self, slot: Slot, src: PReg, inst: Inst<PReg>) -> Option<Inst<PReg>> {
        let number = self.regs[src.index()];
        if self.slots.get(&slot) == Some(&number) {
            return None;
        }
        if let Slot::At(at) = slot {
            self.forget_slots(at, 8);
        }
        self.slots.insert(slot, number);
        Some(self.as_zero_store(inst))
    }

    /// A store of a register that holds zero, as a store of the constant.
    fn as_zero_store(&self, inst: Inst<PReg>) -> Inst<PReg> {
        let Inst::Store { op, src, mem } = inst else { return inst };
        let is_zero = self.constants.get(&self.regs[src.index()]) == Some(&0);
        match op.constant_form() {
            Some(op) if is_zero => Inst::StoreImm { op, value: 0, mem },
            _ => inst,
        }
    }

    /// An instruction with two source registers of which one holds a constant, with an immediate instead.
    fn with_immediate(&self, inst: Inst<PReg>) -> Inst<PReg> {
        let Inst::Binary { op, dst, a, b } = inst else { return inst };
        let immediate = |reg: PReg| {
            self.constants.get(&self.regs[reg.index()]).and_then(|&value| i32::try_from(value).ok())
        };
        // Cheap operations whose operands may be exchanged.
        let is_simple = matches!(op, Opcode::Add64 | Opcode::Add32 | Opcode::And | Opcode::Or | Opcode::Xor);
        let Some(op) = op.immediate_form().filter(|_| is_simple) else { return inst };
        match (immediate(a), immediate(b)) {
            (_, Some(imm)) => Inst::BinaryImm { op, dst, src: a, imm },
            (Some(imm), None) => Inst::BinaryImm { op, dst, src: b, imm },
            (None, None) => inst,
        }
    }

    /// An instruction whose operand is constant, as a constant.
    fn folded(&self, inst: Inst<PReg>) -> Inst<PReg> {
        let Inst::BinaryImm { op, dst, src, imm } = inst else { return inst };
        let Some(&operand) = self.constants.get(&self.regs[src.index()]) else { return inst };
        let imm = i64::from(imm);
        let value = match op {
            Opcode::AddImm32 => i64::from(operand.wrapping_add(imm) as i32),
            Opcode::AddImm64 => operand.wrapping_add(imm),
            Opcode::XorImm => operand ^ imm,
            Opcode::AndImm => operand & imm,
            Opcode::OrImm => operand | imm,
            Opcode::ShloLImm64 => operand << (imm & 63),
            Opcode::ShloRImm64 => (operand as u64 >> (imm & 63)) as i64,
            _ => return inst,
        };
        // A long constant is only worth replacing another.
        let is_long = |value: i64| i32::try_from(value).is_err();
        if is_long(value) && !is_long(operand) { inst } else { Inst::Const { dst, value } }
    }

    /// Records that `inst` writes a value to `dst`, and returns the instruction that still has to do so, if any.
    /// `is_known` tells whether the value may be in a register already.
    fn define(&mut self, dst: PReg, number: Number, is_known: bool, inst: Inst<PReg>) -> Option<Inst<PReg>> {
        if self.regs[dst.index()] == number {
            return None;
        }
        let holder = is_known.then(|| self.holder(number)).flatten();
        self.regs[dst.index()] = number;
        match holder {
            Some(src) => Some(Inst::copy(dst, src)),
            None => {
                self.leaders.insert(number, dst);
                Some(inst)
            }
        }
    }

    /// A register that holds a value.
    fn holder(&self, number: Number) -> Option<PReg> {
        let leader = self.leaders.get(&number).copied();
        let holds = |reg: &PReg| self.regs[reg.index()] == number;
        leader.filter(holds).or_else(|| (0..13).map(PReg::new).find(holds))
    }

    /// The destination of a pure instruction and the expression it computes.
    fn expr(&self, inst: &Inst<PReg>) -> Option<(PReg, Expr)> {
        let number = |reg: PReg| self.regs[reg.index()];
        Some(match *inst {
            Inst::Const { dst, value } => (dst, Expr::Const(value)),
            Inst::FuncRef { dst, func } => (dst, Expr::Func(func)),
            Inst::Unary { op, dst, src } if is_pure(inst) => (dst, Expr::Op(op, vec![number(src)], 0)),
            Inst::BinaryImm { op, dst, src, imm } if dst != SP => (dst, Expr::Op(op, vec![number(src)], imm)),
            Inst::Binary { op, dst, a, b } => (dst, Expr::Op(op, vec![number(a), number(b)], 0)),
            _ => return None,
        })
    }

    /// Applies the effect of any other instruction: values in its destinations are unknown afterwards.
    fn forget(&mut self, inst: &Inst<PReg>, next: &mut Number) {
        let effects = Effects::of::<Pvm>(inst);
        for reg in effects.writes.iter() {
            self.regs[reg.index()] = fresh(next);
        }
        if effects.writes.contains(SP) {
            self.slots.clear();
        }
        match Access::of(inst) {
            Some(Access { mem: Mem::Reg(SP, at), bytes, is_store: true }) => {
                self.forget_slots(at, bytes as i32)
            }
            Some(access) if access.is_store && self.has_objects => self.slots.clear(),
            _ => {}
        }
        if matches!(inst, Inst::Call(_)) {
            self.slots.clear();
        }
    }

    fn forget_slots(&mut self, at: i32, bytes: i32) {
        let overlapping = Slot::At(at.saturating_sub(7))..Slot::At(at.saturating_add(bytes));
        while let Some((&slot, _)) = self.slots.range(overlapping.clone()).next() {
            self.slots.remove(&slot);
        }
    }
}

fn fresh(next: &mut Number) -> Number {
    *next += 1;
    *next - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn r(n: u8) -> PReg {
        PReg::new(n)
    }

    fn run(insts: &[Inst<PReg>]) -> Vec<Inst<PReg>> {
        let mut next = 0;
        let mut state = State::new(&mut next);
        insts.iter().filter_map(|inst| state.step(inst.clone(), &mut next)).collect()
    }

    fn spill(src: u8, at: i32) -> Inst<PReg> {
        Inst::Store { op: Opcode::StoreIndU64, src: r(src), mem: Mem::Reg(SP, at) }
    }

    fn reload(dst: u8, at: i32) -> Inst<PReg> {
        Inst::Load { op: Opcode::LoadIndU64, dst: r(dst), mem: Mem::Reg(SP, at) }
    }

    fn add(dst: u8, a: u8, b: u8) -> Inst<PReg> {
        Inst::Binary { op: Opcode::Add64, dst: r(dst), a: r(a), b: r(b) }
    }

    #[test]
    fn reloads_become_copies_or_go() {
        assert_eq!(run(&[spill(7, 8), reload(8, 8)]), [spill(7, 8), Inst::copy(r(8), r(7))]);
        assert_eq!(run(&[spill(7, 8), reload(7, 8)]), [spill(7, 8)]);
        assert_eq!(run(&[reload(7, 8), spill(7, 8)]), [reload(7, 8)]);
        let clobbered = [spill(7, 8), add(7, 7, 9), reload(8, 8)];
        assert_eq!(run(&clobbered), clobbered);
        let overwritten = [spill(7, 8), spill(9, 12), reload(8, 8)];
        assert_eq!(run(&overwritten), overwritten);
    }

    #[test]
    fn constants_are_made_once() {
        let load = |dst: u8| Inst::Const { dst: r(dst), value: 1 << 40 };
        assert_eq!(run(&[load(7), load(7), load(8)]), [load(7), Inst::copy(r(8), r(7))]);
    }

    #[test]
    fn uses_of_copies_use_the_source() {
        let insts = [Inst::copy(r(8), r(7)), add(8, 8, 9), add(10, 8, 7)];
        assert_eq!(run(&insts), [Inst::copy(r(8), r(7)), add(8, 7, 9), add(10, 8, 7)]);
    }

    #[test]
    fn a_kept_value_stays_where_it_is() {
        let cmov = Inst::Cmov { op: Opcode::CmovNz, dst: r(8), old: r(8), src: r(9), cond: r(10) };
        let insts = [Inst::copy(r(8), r(7)), cmov.clone(), add(11, 8, 7)];
        assert_eq!(run(&insts), [Inst::copy(r(8), r(7)), cmov, add(11, 8, 7)]);
    }
}
