//! Machine instructions of Thumb-2 as the code generator sees them.
//!
//! Most are instructions of [`thumb_isa`] over virtual or physical registers. Its table describes the use of their
//! registers, so a new instruction of the table needs no code here. Differences from the bare machine:
//!
//! - Before expansion, no instruction sets or reads the flags. An operation that needs them ([`Test`], carries) is a
//!   composite instruction, which is expanded when all registers are assigned.
//! - An instruction that updates a register ([`Inst::Update`]) has the old value as a separate operand.
//! - Memory in the frame is a [`StackSlot`] until the frame is laid out.
//! - A constant or an address is one instruction of any length.
//! - Calls, returns and the function's parameters name the values in fixed registers.
//!
//! Operands are described once, in [`Inst::map_operands`]. Branches have no label: the block's control has it.

use std::fmt;

use codegen::{Block, Effects, Operand, PReg, RegClass, RegSet, Register, Reuse, SlotAccess, StackSlot};
use ssa::{DataId, FuncId};
use thumb_isa::{Cond, Format, ItMask, Opcode, Reg, RegList, RegSlot, Role, Shift};

use crate::isa::condition::{Src, Test};
use crate::isa::immediate::is_modified;

/// An instruction of the machine over registers of type `R`.
pub type Machine<R> = thumb_isa::Inst<R>;

/// The scratch register of expansions: never allocated, and linkers may change it at calls.
pub const SCRATCH: PReg = PReg::new(12);
/// The stack pointer.
pub const SP: PReg = PReg::new(13);
/// The return address.
pub const LR: PReg = PReg::new(14);
/// The base of linear memory under [`MemoryMode::Register`](super::MemoryMode::Register).
pub const MEMORY_BASE: PReg = PReg::new(11);

/// The opcodes that load a core, single- or double-precision register.
pub const LOADS: [Opcode; 3] = [Opcode::Ldr, Opcode::VldrF32, Opcode::VldrF64];
/// The opcodes that store a core, single- or double-precision register.
pub const STORES: [Opcode; 3] = [Opcode::Str, Opcode::VstrF32, Opcode::VstrF64];

const INT: RegClass = RegClass::Int;
const USE: Operand = Operand::used(INT);
const DEF: Operand = Operand::def(INT);

/// The class of a physical register.
pub const fn class_of(reg: PReg) -> RegClass {
    if reg.number() < 16 { RegClass::Int } else { RegClass::Float }
}

/// An item whose address the linker assigns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Symbol {
    /// A data object.
    Data(DataId),
    /// The code address of a function, with bit 0 set.
    Func(FuncId),
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(data) => data.fmt(f),
            Self::Func(func) => func.fmt(f),
        }
    }
}

/// Two-word arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PairOp {
    /// `a + b`.
    Add,
    /// `a - b`.
    Sub,
}

/// The target of a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Callee<R> {
    /// A function of the program or an import.
    Func(FuncId),
    /// The code address in a register.
    Code(R),
}

/// A call with the values in its fixed registers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Call<R> {
    /// The target.
    pub callee: Callee<R>,
    /// Arguments.
    pub args: Vec<(R, PReg)>,
    /// Results.
    pub results: Vec<(R, PReg)>,
    /// Single-precision registers of arguments, each with the double that the argument was allocated in.
    pub singles: Vec<(PReg, PReg)>,
    /// Registers changed besides the results.
    pub clobbers: RegSet,
}

/// The form of a dispatch table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Table {
    /// Bytes: half the distance from the end of the instruction.
    Bytes,
    /// Half-words: half the distance from the end of the instruction.
    Halves,
    /// Jumps.
    Jumps,
    /// Jumps, for cores without `tbb`. The index has been doubled, and is doubled again if the jumps are long.
    Added { is_long: bool },
}

/// A word after the function's code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Literal {
    /// A number.
    Word(u32),
    /// An address plus a constant.
    Address(Symbol, i32),
}

/// A machine instruction over virtual or physical registers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Inst<R> {
    /// A machine instruction that updates no register.
    Plain(Machine<R>),
    /// A machine instruction whose form requires that its destination is its first source.
    Tied(Machine<R>),
    /// A machine instruction that updates one register; `old` is its value before.
    Update { inst: Machine<R>, old: R },
    /// A machine instruction that updates two registers; `old` are their values before.
    UpdatePair { inst: Machine<R>, old: [R; 2] },
    /// `dst = value`.
    Const { dst: R, value: u32 },
    /// `dst` = the float with these bits, of double precision if `double`.
    FloatConst { dst: R, double: bool, bits: u64 },
    /// `dst = address of symbol + offset`.
    Address { dst: R, symbol: Symbol, offset: i32 },
    /// `dst = memory base + src + offset` where a register holds the base. Either `src` is absent or the offset is 0.
    FromBase { dst: R, src: Option<R>, offset: i32 },
    /// `dst = machine address of slot - address of base`.
    SlotAddr { dst: R, slot: StackSlot, base: Option<Base> },
    /// `op rt, [base, index]` where a register holds the base; the opcode has the format [`Format::MemReg`].
    BaseAccess { op: Opcode, rt: R, index: R },
    /// `op rt, [base, #offset]` where a register holds the base; the opcode has the format [`Format::Mem`].
    BaseOffset { op: Opcode, rt: R, offset: i32 },
    /// `op dst, slot`; the opcode has the format [`Format::Mem`].
    LoadSlot { op: Opcode, dst: R, slot: StackSlot },
    /// `op src, slot`; the opcode has the format [`Format::Mem`].
    StoreSlot { op: Opcode, src: R, slot: StackSlot },
    /// Two-word arithmetic, low word first.
    Pair { op: PairOp, dst: [R; 2], a: [R; 2], b: [Src<R>; 2] },
    /// The same where each destination is the first source's register.
    TiedPair { op: PairOp, dst: [R; 2], a: [R; 2], b: [Src<R>; 2] },
    /// Two-word negation.
    PairNeg { dst: [R; 2], src: [R; 2] },
    /// `dst = src >> 1`, two words; arithmetic or logical.
    PairHalve { signed: bool, dst: [R; 2], src: [R; 2] },
    /// `dst = if test { if_true } else { if_false }`. Constants fit a move.
    Select { test: Test<R>, dst: R, if_true: Src<R>, if_false: Src<R> },
    /// The same with two words.
    SelectPair { test: Test<R>, dst: [R; 2], if_true: [Src<R>; 2], if_false: [Src<R>; 2] },
    /// The same with floats, of double precision if `double`.
    SelectFloat { test: Test<R>, double: bool, dst: R, if_true: R, if_false: R },
    /// An instruction that updates its first source if the test holds; its destination is that register.
    Conditional { test: Test<R>, inst: Machine<R> },
    /// Branch if the test holds.
    Branch(Test<R>),
    /// Jump to the `index`-th target of the block's table.
    Dispatch { index: R, table: Table },
    /// Defines the parameters that come in registers. Its only code is moves from single-precision registers to the
    /// doubles that they are allocated in.
    Params { defs: Vec<(R, PReg)>, singles: Vec<(PReg, PReg)> },
    /// A call.
    Call(Box<Call<R>>),
    /// A jump to another function, which returns to our caller.
    TailCall(Box<Call<R>>),
    /// Return, restoring registers on the way; the list has `pc` if the return address is among them.
    Return { uses: Vec<(R, PReg)>, pop: RegList },

    /// After expansion: branch on the flags.
    FlagBranch(Cond),
    /// After expansion: branch if a low register is zero, or if it is not.
    ZeroBranch { reg: R, if_zero: bool },
    /// After expansion: an IT block.
    It { cond: Cond, mask: ItMask, body: Vec<Machine<R>> },
    /// After expansion, on cores without IT blocks: instructions that run if the flags satisfy a condition, and others
    /// that run if they don't.
    Either { cond: Cond, if_true: Vec<Machine<R>>, if_false: Vec<Machine<R>> },
    /// After expansion: one half of an address, by `movw` or `movt`.
    AddressHalf { op: Opcode, dst: R, symbol: Symbol, offset: i32 },
    /// After expansion: `dst` = the `index`-th word of the pool in a block.
    LoadLiteral { dst: R, pool: Block, index: u32, literal: Literal },
    /// After expansion: a pool of words, the control of a block that nothing jumps to.
    Pool { words: Vec<Literal> },
}

/// The base that an address is relative to: that of linear memory for wasm addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Base {
    /// A data object.
    Data(DataId),
    /// The register [`MEMORY_BASE`].
    Register,
}

/// The class that a register field requires.
const fn slot_class(slot: RegSlot) -> RegClass {
    match slot.class {
        thumb_isa::RegClass::Single | thumb_isa::RegClass::Double => RegClass::Float,
        _ => RegClass::Int,
    }
}

/// Whether the short forms of a format require the destination to be the first source.
const fn prefers_two_address(format: Format) -> bool {
    matches!(
        format,
        Format::AluImm
            | Format::AluReg
            | Format::MovReg
            | Format::MovShifted
            | Format::ShiftImm
            | Format::Reg3S
            | Format::Reg2
    )
}

/// The position of an instruction's first source among its registers.
fn first_source<R: Register>(inst: &Machine<R>) -> Option<u8> {
    let source = inst.op().reg_slots().iter().position(|slot| slot.role == Role::Read);
    source.map(|source| source as u8)
}

/// Maps the registers of an instruction without updates.
fn map_plain<R: Register, S: Register>(inst: &Machine<R>, f: &mut dyn FnMut(R, Operand) -> S) -> Machine<S> {
    let prefers = first_source(inst).filter(|_| prefers_two_address(inst.format()));
    map_defs(inst, prefers.map_or(Reuse::No, Reuse::Prefer), f)
}

/// Maps the registers of an instruction without updates, given the tie of its definitions.
fn map_defs<R: Register, S: Register>(
    inst: &Machine<R>,
    reuse: Reuse,
    f: &mut dyn FnMut(R, Operand) -> S,
) -> Machine<S> {
    inst.map_regs(&mut |reg, slot| {
        let class = slot_class(slot);
        f(reg, if slot.role.writes() { Operand::def(class).with_reuse(reuse) } else { Operand::used(class) })
    })
}

/// Maps the registers of an instruction with updates. The old values of the updated registers have been mapped before,
/// in the same order, as the first operands.
fn map_updates<R: Register, S: Register>(
    inst: &Machine<R>,
    f: &mut dyn FnMut(R, Operand) -> S,
) -> Machine<S> {
    let mut updated = 0;
    inst.map_regs(&mut |reg, slot| {
        let class = slot_class(slot);
        match slot.role {
            Role::Update => {
                updated += 1;
                f(reg, Operand::def(class).with_reuse(Reuse::Must(updated - 1)))
            }
            Role::Write => f(reg, Operand::def(class)),
            Role::Read => f(reg, Operand::used(class)),
        }
    })
}

/// The class of the first updated register.
fn updated_class<R: Register>(inst: &Machine<R>) -> RegClass {
    let slot = inst.op().reg_slots().iter().find(|slot| slot.role == Role::Update);
    slot_class(*slot.expect("the instruction updates a register"))
}

fn map_fixed<R: Register, S: Register>(
    list: &[(R, PReg)],
    operand: fn(RegClass, PReg) -> Operand,
    f: &mut dyn FnMut(R, Operand) -> S,
) -> Vec<(S, PReg)> {
    list.iter().map(|&(reg, at)| (f(reg, operand(class_of(at), at)), at)).collect()
}

impl<R: Register> Call<R> {
    fn map<S: Register>(&self, code: Operand, f: &mut dyn FnMut(R, Operand) -> S) -> Call<S> {
        let callee = match self.callee {
            Callee::Func(func) => Callee::Func(func),
            Callee::Code(reg) => Callee::Code(f(reg, code)),
        };
        let args = map_fixed(&self.args, Operand::fixed_use, f);
        let results = map_fixed(&self.results, Operand::fixed_def, f);
        Call { callee, args, results, singles: self.singles.clone(), clobbers: self.clobbers }
    }
}

fn map_src<R: Register, S: Register>(src: Src<R>, f: &mut dyn FnMut(R, Operand) -> S) -> Src<S> {
    src.map(|reg| f(reg, USE))
}

fn map_srcs<R: Register, S: Register>(srcs: [Src<R>; 2], f: &mut dyn FnMut(R, Operand) -> S) -> [Src<S>; 2] {
    srcs.map(|src| map_src(src, f))
}

/// A definition. If `position` is given, it is cheaper in the register of the operand at this position.
fn def_like(position: Option<u8>) -> Operand {
    position.map_or(DEF, |position| DEF.with_reuse(Reuse::Prefer(position)))
}

impl<R: Register> Inst<R> {
    /// A register copy.
    pub fn copy(dst: R, src: R) -> Self {
        Self::Plain(Machine::mov_reg(Opcode::MovReg, false, dst, src))
    }

    /// See [`codegen::Isa::map_operands`].
    pub fn map_operands<S: Register>(&self, f: &mut dyn FnMut(R, Operand) -> S) -> Inst<S> {
        match *self {
            Self::Plain(ref inst) => Inst::Plain(map_plain(inst, f)),
            Self::Tied(ref inst) => {
                let source = first_source(inst).expect("the instruction has a source");
                Inst::Tied(map_defs(inst, Reuse::Must(source), f))
            }
            Self::Update { ref inst, old } => {
                let old = f(old, Operand::used(updated_class(inst)));
                Inst::Update { inst: map_updates(inst, f), old }
            }
            Self::UpdatePair { ref inst, old } => {
                let old = old.map(|reg| f(reg, USE));
                Inst::UpdatePair { inst: map_updates(inst, f), old }
            }
            Self::Const { dst, value } => Inst::Const { dst: f(dst, DEF), value },
            Self::FloatConst { dst, double, bits } => {
                Inst::FloatConst { dst: f(dst, Operand::def(RegClass::Float)), double, bits }
            }
            Self::Address { dst, symbol, offset } => Inst::Address { dst: f(dst, DEF), symbol, offset },
            Self::FromBase { dst, src, offset } => {
                let src = src.map(|reg| f(reg, USE));
                Inst::FromBase { dst: f(dst, def_like(src.map(|_| 0))), src, offset }
            }
            Self::BaseAccess { op, rt, index } => {
                let index = f(index, USE);
                Inst::BaseAccess { op, rt: f(rt, data_operand(op)), index }
            }
            Self::BaseOffset { op, rt, offset } => {
                Inst::BaseOffset { op, rt: f(rt, data_operand(op)), offset }
            }
            Self::SlotAddr { dst, slot, base } => Inst::SlotAddr { dst: f(dst, DEF), slot, base },
            Self::LoadSlot { op, dst, slot } => Inst::LoadSlot { op, dst: f(dst, data_operand(op)), slot },
            Self::StoreSlot { op, src, slot } => Inst::StoreSlot { op, src: f(src, data_operand(op)), slot },
            Self::Pair { .. } | Self::TiedPair { .. } | Self::PairNeg { .. } | Self::PairHalve { .. } => {
                self.map_pair(f)
            }
            Self::Conditional { test, ref inst } => {
                let first = test.compare.register_count();
                let source = first + first_source(inst).expect("the instruction has a source");
                let test = test.map(f);
                Inst::Conditional { test, inst: map_defs(inst, Reuse::Must(source), f) }
            }
            Self::Select { .. } | Self::SelectPair { .. } | Self::SelectFloat { .. } => self.map_select(f),
            Self::Branch(test) => Inst::Branch(test.map(f)),
            Self::Dispatch { index, table } => Inst::Dispatch { index: f(index, USE), table },
            Self::Params { ref defs, ref singles } => {
                Inst::Params { defs: map_fixed(defs, Operand::fixed_def, f), singles: singles.clone() }
            }
            Self::Call(ref call) => Inst::Call(Box::new(call.map(USE, f))),
            Self::TailCall(ref call) => {
                Inst::TailCall(Box::new(call.map(Operand::fixed_use(INT, SCRATCH), f)))
            }
            Self::Return { ref uses, pop } => {
                Inst::Return { uses: map_fixed(uses, Operand::fixed_use, f), pop }
            }
            _ => self.map_expanded(f),
        }
    }

    /// Maps the registers of an instruction of the last passes.
    fn map_expanded<S: Register>(&self, f: &mut dyn FnMut(R, Operand) -> S) -> Inst<S> {
        match *self {
            Self::FlagBranch(cond) => Inst::FlagBranch(cond),
            Self::ZeroBranch { reg, if_zero } => Inst::ZeroBranch { reg: f(reg, USE), if_zero },
            Self::It { cond, mask, ref body } => {
                Inst::It { cond, mask, body: body.iter().map(|inst| map_plain(inst, f)).collect() }
            }
            Self::Either { cond, ref if_true, ref if_false } => {
                let [if_true, if_false] =
                    [if_true, if_false].map(|list| list.iter().map(|inst| map_plain(inst, f)).collect());
                Inst::Either { cond, if_true, if_false }
            }
            Self::AddressHalf { op, dst, symbol, offset } => {
                Inst::AddressHalf { op, dst: f(dst, DEF), symbol, offset }
            }
            Self::LoadLiteral { dst, pool, index, literal } => {
                Inst::LoadLiteral { dst: f(dst, DEF), pool, index, literal }
            }
            Self::Pool { ref words } => Inst::Pool { words: words.clone() },
            _ => unreachable!("the caller has looked"),
        }
    }

    fn map_pair<S: Register>(&self, f: &mut dyn FnMut(R, Operand) -> S) -> Inst<S> {
        match *self {
            Self::Pair { op, dst, a, b } => {
                let a = a.map(|reg| f(reg, USE));
                let b = map_srcs(b, f);
                Inst::Pair { op, dst: map_pair_defs(dst, f), a, b }
            }
            Self::TiedPair { op, dst, a, b } => {
                let a = a.map(|reg| f(reg, USE));
                let b = map_srcs(b, f);
                let dst = [(dst[0], 0), (dst[1], 1)]
                    .map(|(reg, source)| f(reg, DEF.with_reuse(Reuse::Must(source))));
                Inst::TiedPair { op, dst, a, b }
            }
            Self::PairNeg { dst, src } => {
                let src = src.map(|reg| f(reg, USE));
                Inst::PairNeg { dst: map_pair_defs(dst, f), src }
            }
            Self::PairHalve { signed, dst, src } => {
                let src = src.map(|reg| f(reg, USE));
                Inst::PairHalve { signed, dst: map_pair_defs(dst, f), src }
            }
            _ => unreachable!("the caller has looked"),
        }
    }

    fn map_select<S: Register>(&self, f: &mut dyn FnMut(R, Operand) -> S) -> Inst<S> {
        match *self {
            Self::Select { test, dst, if_true, if_false } => {
                let first = test.compare.register_count();
                let test = test.map(f);
                let (if_true, if_false) = (map_src(if_true, f), map_src(if_false, f));
                let both = if_true.imm().is_none() && if_false.imm().is_none();
                let any = if_true.imm().is_none() || if_false.imm().is_none();
                let like = any.then_some(first + u8::from(both));
                Inst::Select { test, dst: f(dst, def_like(like)), if_true, if_false }
            }
            Self::SelectPair { test, dst, if_true, if_false } => {
                let first = test.compare.register_count();
                let test = test.map(f);
                let (if_true, if_false) = (map_srcs(if_true, f), map_srcs(if_false, f));
                let in_registers = |srcs: &[Src<S>; 2]| srcs.iter().all(|src| src.imm().is_none());
                let like = match (in_registers(&if_true), in_registers(&if_false)) {
                    (true, true) => Some(first + 2),
                    (true, false) => Some(first),
                    (false, true) => {
                        Some(first + (if_true.iter().filter(|src| src.imm().is_none()).count() as u8))
                    }
                    (false, false) => None,
                };
                let low = f(dst[0], def_like(like));
                let high = f(dst[1], def_like(like.map(|like| like + 1)));
                Inst::SelectPair { test, dst: [low, high], if_true, if_false }
            }
            Self::SelectFloat { test, double, dst, if_true, if_false } => {
                let first = test.compare.register_count();
                let test = test.map(f);
                let float = Operand::used(RegClass::Float);
                let (if_true, if_false) = (f(if_true, float), f(if_false, float));
                let dst = f(dst, Operand::def(RegClass::Float).with_reuse(Reuse::Prefer(first + 1)));
                Inst::SelectFloat { test, double, dst, if_true, if_false }
            }
            _ => unreachable!("the caller has looked"),
        }
    }

    /// See [`codegen::Isa::clobbers`].
    pub fn clobbers(&self) -> RegSet {
        match self {
            Self::Call(call) => call.clobbers,
            _ => RegSet::EMPTY,
        }
    }

    /// Destination and source of a register copy.
    pub const fn as_copy(&self) -> Option<(R, R)> {
        match *self {
            Self::Plain(Machine::MovReg { op: Opcode::MovReg, s: false, rd, rm }) => Some((rd, rm)),
            Self::Plain(Machine::Reg2 { op: Opcode::VmovF32 | Opcode::VmovF64, rd, rm }) => Some((rd, rm)),
            _ => None,
        }
    }

    /// The branch with the opposite condition. Panics if this is no branch.
    pub fn invert(&self) -> Self {
        match *self {
            Self::Branch(test) => Self::Branch(test.invert()),
            Self::FlagBranch(cond) => Self::FlagBranch(cond.invert()),
            Self::ZeroBranch { reg, if_zero } => Self::ZeroBranch { reg, if_zero: !if_zero },
            _ => panic!("{self} is no branch"),
        }
    }
}

/// The definitions of a two-word operation whose first two operands are the two words of its first source.
fn map_pair_defs<R: Register, S: Register>(dst: [R; 2], f: &mut dyn FnMut(R, Operand) -> S) -> [S; 2] {
    [f(dst[0], def_like(Some(0))), f(dst[1], def_like(Some(1)))]
}

/// The role of the register that a load or store transfers.
fn data_operand(op: Opcode) -> Operand {
    let class = data_class(op);
    if is_load(op) { Operand::def(class) } else { Operand::used(class) }
}

/// The class of the register that a load or store transfers.
pub fn data_class(op: Opcode) -> RegClass {
    slot_class(op.reg_slots()[0])
}

/// Whether a load or store is a load.
pub fn is_load(op: Opcode) -> bool {
    op.reg_slots()[0].role.writes()
}

impl Inst<PReg> {
    /// See [`codegen::Isa::add_effects`].
    pub fn add_effects(&self, effects: &mut Effects) {
        match *self {
            Self::Plain(ref machine) => add_machine_effects(machine, effects),
            // An IT block or its like may leave its destinations unchanged, and its instructions may update them, so it reads them,
            // too.
            Self::It { .. } | Self::Either { .. } => effects.reads = effects.reads.union(effects.writes),
            Self::AddressHalf { op: Opcode::Movt, dst, .. } => effects.reads.insert(dst),
            Self::Return { pop, .. } if pop.is_empty() => effects.reads.insert(LR),
            Self::TailCall(_) => effects.reads.insert(LR),
            Self::LoadSlot { slot: StackSlot::Spill(slot), .. } => {
                effects.slot = Some(SlotAccess { slot, is_store: false });
            }
            Self::StoreSlot { slot: StackSlot::Spill(slot), .. } => {
                effects.slot = Some(SlotAccess { slot, is_store: true });
            }
            _ => {}
        }
    }
}

/// Adds reads of updated registers, and registers that are in a list or implied.
fn add_machine_effects(machine: &Machine<PReg>, effects: &mut Effects) {
    machine.map_regs(&mut |reg, slot| {
        if slot.role == Role::Update {
            effects.reads.insert(reg);
        }
        reg
    });
    match *machine {
        Machine::Stack { op: Opcode::Push, list } => {
            effects.reads = effects.reads.union(set_of(list));
            effects.writes.insert(SP);
        }
        Machine::Stack { list, .. } => {
            effects.writes = effects.writes.union(set_of(list));
            effects.writes.insert(SP);
        }
        Machine::Multi { list, .. } => {
            effects.reads = effects.reads.union(set_of(list));
            effects.writes = effects.writes.union(set_of(list));
        }
        Machine::FloatStack { .. } => effects.writes.insert(SP),
        _ => {}
    }
}

fn set_of(list: RegList) -> RegSet {
    list.iter().map(|reg| PReg::new(reg.number())).collect()
}

/// The machine's register for a register field. Where doubles are allocated as a whole, a single is the lower half of
/// one.
pub fn machine_reg(reg: PReg, slot: RegSlot) -> Reg {
    let reg = Reg::from_number(reg.number());
    match (slot.class, reg.bank()) {
        (thumb_isa::RegClass::Single, thumb_isa::reg::Bank::Double) => Reg::s(2 * reg.index()),
        _ => reg,
    }
}

/// The instruction over the machine's registers.
pub fn to_machine(inst: &Machine<PReg>) -> Machine<Reg> {
    inst.map_regs(&mut machine_reg)
}

/// The machine's register for a core register.
pub const fn core_reg(reg: PReg) -> Reg {
    Reg::r(reg.number())
}

/// `op dst, a, b` with a shifted second operand.
pub fn alu_reg<R: Register>(op: Opcode, dst: R, a: R, b: R, shift: Shift) -> Inst<R> {
    Inst::Plain(Machine::alu_reg(op, false, dst, a, b, shift))
}

/// `op dst, a, #imm`.
pub fn alu_imm<R: Register>(op: Opcode, dst: R, a: R, imm: u32) -> Inst<R> {
    Inst::Plain(Machine::alu_imm(op, false, dst, a, imm))
}

/// `op dst, src, #amount`.
pub fn shift_imm<R: Register>(op: Opcode, dst: R, src: R, amount: u32) -> Inst<R> {
    Inst::Plain(Machine::shift_imm(op, false, dst, src, amount))
}

/// `op dst, a, b` for shifts by registers and `mul`.
pub fn reg3_s<R: Register>(op: Opcode, dst: R, a: R, b: R) -> Inst<R> {
    Inst::Plain(Machine::reg3_s(op, false, dst, a, b))
}

/// `dst = a + imm` for a constant that fits.
pub fn add_imm<R: Register>(dst: R, a: R, imm: u32) -> Inst<R> {
    let negated = imm.wrapping_neg();
    if (imm as i32) >= 0 && is_modified(imm) {
        alu_imm(Opcode::AddImm, dst, a, imm)
    } else if is_modified(negated) {
        alu_imm(Opcode::SubImm, dst, a, negated)
    } else if is_modified(imm) {
        alu_imm(Opcode::AddImm, dst, a, imm)
    } else if imm < 4096 {
        Inst::Plain(Machine::add_plain(Opcode::Addw, dst, a, imm))
    } else {
        Inst::Plain(Machine::add_plain(Opcode::Subw, dst, a, negated))
    }
}

/// A move between single-precision registers.
pub fn float_move(dst: PReg, src: PReg) -> Inst<PReg> {
    Inst::Plain(Machine::reg2(Opcode::VmovF32, dst, src))
}
