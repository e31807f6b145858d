//! Where debuggers find the caller of a function, at each of its instructions.
//!
//! The finished instructions are executed abstractly. A register or a word of the stack frame holds the caller's value of
//! a register, an address at a known distance from the caller's frame, a number, or something unknown. So the result is
//! true for all forms of prologues and epilogues, also where a path saves registers late and where instructions have
//! been replaced or moved. At joins of paths, facts that differ become unknown. A fact never becomes known again, so
//! this ends.
//!
//! Two paths with and without a frame may share the code of a trap. The caller can't be found there, and the rows say so.
//!
//! Other assumptions than about the frame's own accesses are not needed: nothing else writes saved registers in memory.

use std::collections::BTreeMap;

use codegen::{Block, Cfa, Effects, Function, PReg, Saved, Unwind, UnwindRow};
use ssa::IdVec;
use thumb_isa::{Opcode, RegList, Shift};

use crate::isa::Thumb;
use crate::isa::abi::FIRST_DOUBLE;
use crate::isa::inst::{Inst, LR, Literal, Machine, SP};

const CORE: usize = 16;

/// The contents of a register or word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Value {
    Unknown,
    Number(u32),
    /// What the register contained at the entry.
    Caller(PReg),
    /// An address in the stack.
    Address(Address),
    /// An address in the stack without its low bits, which have been shifted out.
    Shifted(u32),
}

/// An address in the stack.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Address {
    /// Relative to the start of a frame that is aligned to more than the stack pointer.
    Aligned(i32),
    /// Relative to the stack pointer at the entry.
    Cfa(i32),
}

impl Address {
    const fn plus(self, offset: i32) -> Self {
        match self {
            Self::Aligned(at) => Self::Aligned(at.wrapping_add(offset)),
            Self::Cfa(at) => Self::Cfa(at.wrapping_add(offset)),
        }
    }
}

impl Value {
    const fn plus(self, offset: i32) -> Self {
        match self {
            Self::Number(number) => Self::Number(number.wrapping_add_signed(offset)),
            Self::Address(address) => Self::Address(address.plus(offset)),
            _ => Self::Unknown,
        }
    }

    /// The number added to another value.
    const fn added_to(self, other: Self) -> Self {
        match (self, other) {
            (Self::Number(number), other) | (other, Self::Number(number)) => other.plus(number.cast_signed()),
            _ => Self::Unknown,
        }
    }
}

/// What is known before an instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
struct State {
    core: [Value; CORE],
    /// Words of the stack with known contents.
    stack: BTreeMap<Address, Value>,
}

/// The rows of a function.
pub fn unwind(func: &Function<Thumb, PReg>) -> Unwind {
    let starts = states(func);
    let mut rows = IdVec::filled(Vec::new(), func.blocks.len());
    for (block, start) in starts.iter() {
        let Some(mut state) = start.clone() else { continue };
        let mut row = state.row();
        let mut list = vec![(0, row.clone())];
        for (n, inst) in func.blocks[block].insts.iter().enumerate() {
            state.step(inst);
            let next = state.row();
            if next != row {
                list.push((n + 1, next.clone()));
                row = next;
            }
        }
        rows[block] = list;
    }
    let prologue = prologue(func, &rows[func.order[0]]);
    Unwind { rows, prologue }
}

/// The states at the beginning of blocks.
fn states(func: &Function<Thumb, PReg>) -> IdVec<Block, Option<State>> {
    let mut starts = IdVec::filled(None, func.blocks.len());
    starts[func.order[0]] = Some(State::at_entry());
    let mut open = vec![func.order[0]];
    while let Some(block) = open.pop() {
        let mut state: State = starts[block].clone().expect("an open block has been reached");
        func.blocks[block].insts.iter().for_each(|inst| state.step(inst));
        state.leave_block();
        for to in func.blocks[block].control.successors() {
            let joined = starts[to].as_ref().map_or_else(|| state.clone(), |known| known.meet(&state));
            if starts[to].as_ref() != Some(&joined) {
                starts[to] = Some(joined);
                open.push(to);
            }
        }
    }
    starts
}

/// The length of the prologue of the entry block, whose rows are given: up to the last row before the first that is no
/// part of it.
fn prologue(func: &Function<Thumb, PReg>, rows: &[(usize, UnwindRow)]) -> usize {
    let insts = &func.blocks[func.order[0]].insts;
    let end = insts.iter().position(|inst| matches!(inst, Inst::Call(_))).unwrap_or(insts.len());
    let grows = |pair: &&[(usize, UnwindRow)]| {
        pair[1].0 <= end
            && match (pair[0].1.cfa, pair[1].1.cfa) {
                (Cfa::Register { reg: SP, offset: before }, Cfa::Register { reg: SP, offset }) => {
                    before <= offset
                }
                _ => true,
            }
    };
    rows.windows(2).take_while(grows).last().map_or(0, |pair| pair[1].0)
}

impl State {
    fn at_entry() -> Self {
        let mut core = [Value::Unknown; CORE];
        for reg in (4..12).chain([LR.number()]) {
            core[usize::from(reg)] = Value::Caller(PReg::new(reg));
        }
        core[SP.index()] = Value::Address(Address::Cfa(0));
        Self { core, stack: BTreeMap::new() }
    }

    /// What is known in both states.
    fn meet(&self, other: &Self) -> Self {
        let mut state = self.clone();
        for (value, other) in state.core.iter_mut().zip(&other.core) {
            if value != other {
                *value = Value::Unknown;
            }
        }
        state.stack.retain(|address, value| other.stack.get(address) == Some(value));
        state
    }

    /// Forgets values that only prologues and epilogues need, each of which is in one block. So few facts differ at joins.
    fn leave_block(&mut self) {
        for (number, value) in self.core.iter_mut().enumerate() {
            if number != SP.index() && !matches!(value, Value::Caller(_)) {
                *value = Value::Unknown;
            }
        }
        self.stack.retain(|_, value| matches!(value, Value::Caller(_) | Value::Address(_)));
    }

    // ---- Rows ----

    fn row(&self) -> UnwindRow {
        let cfa = self.cfa();
        if cfa == Cfa::Unknown {
            return UnwindRow { cfa, saved: vec![(LR, Saved::Lost)] };
        }
        let core = (4..12).chain([LR.number()]).map(PReg::new);
        let mut saved: Vec<(PReg, Saved)> = core.filter_map(|reg| Some((reg, self.place(reg)?))).collect();
        let floats = self.saved().filter(|(reg, _)| reg.index() >= CORE);
        saved.extend(floats.map(|(reg, at)| (reg, Saved::Offset(at))));
        saved.sort_by_key(|(reg, _)| *reg);
        UnwindRow { cfa, saved }
    }

    /// The registers of the caller in the stack.
    fn saved(&self) -> impl Iterator<Item = (PReg, i32)> {
        self.stack.iter().filter_map(|(address, value)| match (address, value) {
            (Address::Cfa(at), Value::Caller(reg)) => Some((*reg, *at)),
            _ => None,
        })
    }

    /// The place of the caller's value of a core register; `None` for the register itself. A word of the stack is
    /// preferred, because a long jump between blocks may change the link register.
    fn place(&self, reg: PReg) -> Option<Saved> {
        if let Some((_, at)) = self.saved().find(|(saved, _)| *saved == reg) {
            return Some(Saved::Offset(at));
        }
        if self.core[reg.index()] == Value::Caller(reg) {
            return None;
        }
        Some(match self.core.iter().position(|value| *value == Value::Caller(reg)) {
            Some(other) => Saved::Register(PReg::new(other as u8)),
            None => Saved::Lost,
        })
    }

    fn cfa(&self) -> Cfa {
        let in_register = |reg: PReg| match self.core[reg.index()] {
            Value::Address(Address::Cfa(at)) => Some(Cfa::Register { reg, offset: -at }),
            _ => None,
        };
        let in_stack = || {
            let Value::Address(Address::Aligned(sp)) = self.core[SP.index()] else { return None };
            self.stack.iter().find_map(|(address, value)| match (address, value) {
                (Address::Aligned(at), Value::Address(Address::Cfa(cfa))) if *at >= sp => {
                    Some(Cfa::Loaded { reg: SP, at: at - sp, offset: -cfa })
                }
                _ => None,
            })
        };
        let any = || (0..CORE as u8).map(PReg::new).find_map(in_register);
        in_register(SP).or_else(in_stack).or_else(any).unwrap_or(Cfa::Unknown)
    }

    // ---- Instructions ----

    fn set(&mut self, reg: PReg, value: Value) {
        if let Some(core) = self.core.get_mut(reg.index()) {
            *core = value;
        }
        if reg == SP {
            // Interrupts write below the stack pointer.
            match value {
                Value::Address(sp @ Address::Aligned(_)) => self.stack.retain(|at, _| *at >= sp),
                Value::Address(sp @ Address::Cfa(_)) => self.stack.retain(|at, _| *at >= sp),
                _ => self.stack.clear(),
            }
        }
    }

    fn get(&self, reg: PReg) -> Value {
        self.core.get(reg.index()).copied().unwrap_or(Value::Unknown)
    }

    fn store(&mut self, base: PReg, offset: i32, value: Value) {
        if let Value::Address(base) = self.get(base) {
            match value {
                Value::Unknown => self.stack.remove(&base.plus(offset)),
                value => self.stack.insert(base.plus(offset), value),
            };
        }
    }

    fn loaded(&self, base: PReg, offset: i32) -> Value {
        match self.get(base) {
            Value::Address(base) => self.stack.get(&base.plus(offset)).copied().unwrap_or(Value::Unknown),
            _ => Value::Unknown,
        }
    }

    /// Moves a register by a constant.
    fn advance(&mut self, reg: PReg, offset: i32) {
        self.set(reg, self.get(reg).plus(offset));
    }

    fn step(&mut self, inst: &Inst<PReg>) {
        let known = match inst {
            Inst::Plain(machine) => self.machine(machine),
            Inst::LoadLiteral { dst, literal: Literal::Word(word), .. } => {
                self.set(*dst, Value::Number(*word));
                true
            }
            _ => false,
        };
        if !known {
            for reg in Effects::of::<Thumb>(inst).writes.iter() {
                self.set(reg, Value::Unknown);
            }
        }
        // Also by a call that does not return.
        if matches!(inst, Inst::Call(_)) {
            self.set(LR, Value::Unknown);
        }
    }

    /// Executes an instruction that is known to move such values.
    fn machine(&mut self, machine: &Machine<PReg>) -> bool {
        match *machine {
            Machine::Stack { op: Opcode::Push, list } => self.push(list),
            Machine::Stack { list, .. } => self.pop(list),
            Machine::FloatStack { op, first, count } => {
                let bytes: i32 = if first.number() >= FIRST_DOUBLE { 8 } else { 4 };
                let is_push = matches!(op, Opcode::VpushF32 | Opcode::VpushF64);
                let all = bytes * count.cast_signed();
                self.advance(SP, if is_push { -all } else { all });
                for n in (0..count as u8).filter(|_| is_push) {
                    let reg = PReg::new(first.number() + n);
                    self.store(SP, bytes * i32::from(n), Value::Caller(reg));
                }
            }
            Machine::Mem { op: Opcode::Str, rt, rn, offset } => self.store(rn, offset, self.get(rt)),
            Machine::Mem { op: Opcode::Ldr, rt, rn, offset } => self.set(rt, self.loaded(rn, offset)),
            Machine::MemPre { op: Opcode::StrPre, rt, rn, offset } => {
                let value = self.get(rt);
                self.advance(rn, offset);
                self.store(rn, 0, value);
            }
            Machine::MemPost { op: Opcode::LdrPost, rt, rn, offset } => {
                let value = self.loaded(rn, 0);
                self.advance(rn, offset);
                self.set(rt, value);
            }
            Machine::Dual { op: Opcode::Strd, rt, rt2, rn, offset } => {
                let values = [self.get(rt), self.get(rt2)];
                self.store(rn, offset, values[0]);
                self.store(rn, offset + 4, values[1]);
            }
            Machine::Dual { op: Opcode::Ldrd, rt, rt2, rn, offset } => {
                let values = [self.loaded(rn, offset), self.loaded(rn, offset + 4)];
                self.set(rt, values[0]);
                self.set(rt2, values[1]);
            }
            _ => return self.arithmetic(machine),
        }
        true
    }

    fn push(&mut self, list: RegList) {
        let regs: Vec<PReg> = list.iter().map(|reg| PReg::new(reg.number())).collect();
        self.advance(SP, -4 * regs.len() as i32);
        for (reg, at) in regs.into_iter().zip((0..).step_by(4)) {
            self.store(SP, at, self.get(reg));
        }
    }

    fn pop(&mut self, list: RegList) {
        for (reg, at) in list.iter().zip((0..).step_by(4)) {
            self.set(PReg::new(reg.number()), self.loaded(SP, at));
        }
        self.advance(SP, 4 * list.len() as i32);
    }

    fn arithmetic(&mut self, machine: &Machine<PReg>) -> bool {
        let (dst, value) = match *machine {
            Machine::MovReg { op: Opcode::MovReg, rd, rm, .. } => (rd, self.get(rm)),
            Machine::MovImm { op: Opcode::MovImm, rd, imm, .. } => (rd, Value::Number(imm)),
            Machine::MovImm { op: Opcode::MvnImm, rd, imm, .. } => (rd, Value::Number(!imm)),
            Machine::MovHalf { op: Opcode::Movw, rd, imm } => (rd, Value::Number(imm)),
            Machine::MovHalf { op: Opcode::Movt, rd, imm } => (rd, with_high(self.get(rd), imm)),
            Machine::AluImm { op: Opcode::AddImm, rd, rn, imm, .. }
            | Machine::AddPlain { op: Opcode::Addw, rd, rn, imm } => {
                (rd, self.get(rn).plus(imm.cast_signed()))
            }
            Machine::AluImm { op: Opcode::SubImm, rd, rn, imm, .. }
            | Machine::AddPlain { op: Opcode::Subw, rd, rn, imm } => {
                (rd, self.get(rn).plus(imm.wrapping_neg().cast_signed()))
            }
            Machine::AluReg { op: Opcode::AddReg, rd, rn, rm, shift: Shift::NONE, .. } => {
                (rd, self.get(rn).added_to(self.get(rm)))
            }
            Machine::AluReg { op: Opcode::RsbReg, rd, rn, rm, shift: Shift::NONE, .. } => {
                (rd, negated(self.get(rn)).added_to(self.get(rm)))
            }
            Machine::AluImm { op: Opcode::RsbImm, rd, rn, imm: 0, .. } => (rd, negated(self.get(rn))),
            Machine::ShiftImm { op: op @ (Opcode::LslImm | Opcode::LsrImm), rd, rm, amount, .. } => {
                (rd, shifted(op, self.get(rm), amount))
            }
            Machine::BitClear { op: Opcode::Bfc, rd, low: 0, .. }
                if matches!(self.get(rd), Value::Address(_)) =>
            {
                (rd, Value::Address(Address::Aligned(0)))
            }
            _ => return false,
        };
        self.set(dst, value);
        true
    }
}

fn with_high(value: Value, high: u32) -> Value {
    match value {
        Value::Number(low) => Value::Number(low & 0xffff | high << 16),
        _ => Value::Unknown,
    }
}

const fn negated(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(number.wrapping_neg()),
        _ => Value::Unknown,
    }
}

/// A shift by a constant. A shift to the right and back aligns an address.
fn shifted(op: Opcode, value: Value, amount: u32) -> Value {
    match (op, value) {
        (Opcode::LslImm, Value::Number(number)) => Value::Number(number.checked_shl(amount).unwrap_or(0)),
        (Opcode::LsrImm, Value::Number(number)) => Value::Number(number.checked_shr(amount).unwrap_or(0)),
        (Opcode::LsrImm, Value::Address(_)) => Value::Shifted(amount),
        (Opcode::LslImm, Value::Shifted(by)) if by == amount => Value::Address(Address::Aligned(0)),
        _ => Value::Unknown,
    }
}
