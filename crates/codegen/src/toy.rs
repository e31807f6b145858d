//! A target for testing the allocator: an interpreter and a generator of random functions.
//!
//! An instruction is an operation and a list of operands. Each operand may have any description that a real target
//! could give it, so random functions cover every combination. Operations hash the values they read, so any wrong
//! value changes the trace. Execution over physical registers overwrites every register whose contents the
//! descriptions leave undefined: clobbered registers, early definitions before reads, definitions before late reads.
//!
//! The toy has no SSA lowering and no encoding.

mod generate;

use std::collections::BTreeMap;
use std::fmt;

use ssa::{EntityId, IdVec};

use crate::mir::{
    Block, Control, Costs, Effects, Function, Isa, Operand, PReg, RegClass, RegSet, Register, RegisterInfo,
    Reuse, Role, SlotAccess, StackSlot, VReg,
};

pub use generate::{Shape, random_function};

/// The toy machine.
#[derive(Debug)]
pub struct Toy {
    info: RegisterInfo,
}

impl Toy {
    /// A machine with integer registers `0..ints`, of which the last `saved` are callee-saved, and float registers
    /// `32..32 + floats`.
    pub fn new(ints: u8, saved: u8, floats: u8) -> Self {
        let order = [(0..ints).map(PReg::new).collect(), (32..32 + floats).map(PReg::new).collect()];
        let callee_saved = (ints - saved..ints).map(PReg::new).collect();
        Self { info: RegisterInfo { order, callee_saved, spill_bytes: [8, 8], scratch: None } }
    }

    /// The registers a call clobbers.
    pub fn caller_saved(&self) -> RegSet {
        let all: RegSet = self.info.order.iter().flatten().copied().collect();
        all.difference(self.info.callee_saved)
    }
}

/// The operation of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// Each definition becomes a hash of the uses, the constant and its index.
    Compute,
    /// The only definition becomes the only use.
    Copy,
    /// Writes the uses to the trace; definitions as in [`Compute`](Self::Compute).
    Effect,
    /// Stores the only use to a spill slot.
    Spill(StackSlot),
    /// Loads the only definition from a spill slot.
    Reload(StackSlot),
}

/// An instruction.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ToyInst<R> {
    /// The operation.
    pub op: Op,
    /// The operands.
    pub operands: Vec<(R, Operand)>,
    /// A constant that distinguishes it from other instructions.
    pub constant: u64,
    /// The registers it clobbers.
    pub clobbers: RegSet,
}

impl<R> ToyInst<R> {
    /// An instruction without clobbers.
    pub const fn new(op: Op, operands: Vec<(R, Operand)>, constant: u64) -> Self {
        Self { op, operands, constant, clobbers: RegSet::EMPTY }
    }
}

impl<R: Register> fmt::Display for ToyInst<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}.{}", self.op, self.constant)?;
        for (reg, operand) in &self.operands {
            let role = match operand.role {
                Role::Use => "",
                Role::LateUse => "late ",
                Role::Def => "= ",
                Role::EarlyDef => "=early ",
            };
            write!(f, " {role}{reg}")?;
            if let Some(fixed) = operand.fixed {
                write!(f, ":{fixed}")?;
            }
            match operand.reuse {
                Reuse::No => {}
                Reuse::Prefer(index) => write!(f, "~{index}")?,
                Reuse::Must(index) => write!(f, "@{index}")?,
            }
        }
        match self.clobbers.is_empty() {
            true => Ok(()),
            false => write!(f, " clobbers {:?}", self.clobbers),
        }
    }
}

impl Isa for Toy {
    type Inst<R: Register> = ToyInst<R>;

    fn registers(&self) -> &RegisterInfo {
        &self.info
    }

    fn costs(&self, _for_size: bool, _has_calls: bool) -> Costs {
        Costs::SIMPLE
    }

    fn map_operands<R: Register, S: Register>(
        inst: &ToyInst<R>,
        f: &mut dyn FnMut(R, Operand) -> S,
    ) -> ToyInst<S> {
        let operands = inst.operands.iter().map(|&(reg, operand)| (f(reg, operand), operand)).collect();
        ToyInst { op: inst.op, operands, constant: inst.constant, clobbers: inst.clobbers }
    }

    fn clobbers<R: Register>(inst: &ToyInst<R>) -> RegSet {
        inst.clobbers
    }

    fn add_effects(inst: &ToyInst<PReg>, effects: &mut Effects) {
        effects.slot = match inst.op {
            Op::Spill(StackSlot::Spill(slot)) => Some(SlotAccess { slot, is_store: true }),
            Op::Reload(StackSlot::Spill(slot)) => Some(SlotAccess { slot, is_store: false }),
            _ => None,
        };
    }

    fn as_copy<R: Register>(inst: &ToyInst<R>) -> Option<(R, R)> {
        (inst.op == Op::Copy).then(|| (inst.operands[0].0, inst.operands[1].0))
    }

    fn copy(dst: PReg, src: PReg) -> ToyInst<PReg> {
        let class = RegClass::Int;
        ToyInst::new(Op::Copy, vec![(dst, Operand::def(class)), (src, Operand::used(class))], 0)
    }

    fn spill(slot: StackSlot, src: PReg) -> ToyInst<PReg> {
        ToyInst::new(Op::Spill(slot), vec![(src, Operand::used(RegClass::Int))], 0)
    }

    fn reload(dst: PReg, slot: StackSlot) -> ToyInst<PReg> {
        ToyInst::new(Op::Reload(slot), vec![(dst, Operand::def(RegClass::Int))], 0)
    }

    fn invert<R: Register>(inst: &ToyInst<R>) -> ToyInst<R> {
        inst.clone()
    }

    fn is_trap<R: Register>(_inst: &ToyInst<R>) -> bool {
        false
    }
}

/// The observable behaviour of a run: blocks entered and effects.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    /// Blocks in the order they were entered.
    pub blocks: Vec<Block>,
    /// Hashes of effects in order.
    pub effects: Vec<u64>,
}

/// Runs a function over virtual registers for at most `fuel` blocks.
pub fn run_virtual(func: &Function<Toy, VReg>, fuel: usize) -> Trace {
    Machine { regs: BTreeMap::new(), slots: BTreeMap::new(), trace: Trace::default(), clobbered: |_| None }
        .run(func, fuel)
}

/// Runs a function over physical registers for at most `fuel` blocks.
pub fn run_physical(func: &Function<Toy, PReg>, fuel: usize) -> Trace {
    Machine { regs: BTreeMap::new(), slots: BTreeMap::new(), trace: Trace::default(), clobbered: Some }
        .run(func, fuel)
}

/// Blocks of a run that are compared.
pub const BLOCKS: usize = 60;

/// Checks that an allocated function does what [`run_virtual`] saw in [`BLOCKS`] blocks, and writes the machine's registers
/// only.
///
/// # Errors
/// The difference, with the text of the function.
pub fn check_allocation(toy: &Toy, result: &Function<Toy, PReg>, expected: &Trace) -> Result<(), String> {
    let actual = run_physical(result, BLOCKS);
    if actual != *expected {
        return Err(format!("{result}\n{expected:?}\n{actual:?}"));
    }
    let all = toy.registers().order.iter().flatten().copied().collect();
    let others = result.written.difference(all);
    if others.is_empty() { Ok(()) } else { Err(format!("{result}\nwrites {others:?}")) }
}

struct Machine<R, C> {
    regs: BTreeMap<R, u64>,
    slots: BTreeMap<StackSlot, u64>,
    trace: Trace,
    /// The register to destroy for a clobber.
    clobbered: C,
}

impl<R: Register, C: Fn(PReg) -> Option<R>> Machine<R, C> {
    fn run(mut self, func: &Function<Toy, R>, fuel: usize) -> Trace {
        let mut block = func.order[0];
        for _ in 0..fuel {
            self.trace.blocks.push(block);
            for inst in &func.blocks[block].insts {
                self.inst(inst);
            }
            let control = &func.blocks[block].control;
            let hash = control.inst().map_or(0, |inst| self.inst(inst));
            let (next, args) = match control {
                Control::Jump(to) => (to.block, &to.args[..]),
                Control::Branch { taken, other, .. } => {
                    let to = if hash & 1 == 0 { taken } else { other };
                    (to.block, &to.args[..])
                }
                Control::Dispatch { targets, .. } => (targets[hash as usize % targets.len()], &[][..]),
                Control::Exit(_) => break,
            };
            let values: Vec<u64> = args.iter().map(|&arg| self.read(arg)).collect();
            for (&param, value) in func.blocks[next].params.iter().zip(values) {
                self.regs.insert(param, value);
            }
            block = next;
        }
        self.trace
    }

    fn read(&self, reg: R) -> u64 {
        self.regs.get(&reg).copied().unwrap_or(0xdead)
    }

    /// Executes an instruction and returns the hash of the values it read.
    fn inst(&mut self, inst: &ToyInst<R>) -> u64 {
        self.destroy(inst, |operand| {
            operand.role == Role::EarlyDef && !matches!(operand.reuse, Reuse::Must(_))
        });
        let mut values: Vec<u64> = inst.operands.iter().map(|&(reg, _)| self.read(reg)).collect();
        for reg in inst.clobbers.iter() {
            if let Some(reg) = (self.clobbered)(reg) {
                self.regs.insert(reg, 0xc10b);
            }
        }
        self.destroy(inst, |operand| operand.role.is_def());
        for (value, &(reg, operand)) in values.iter_mut().zip(&inst.operands) {
            if operand.role == Role::LateUse {
                *value = self.read(reg);
            }
        }
        let mut hash = mix(inst.constant);
        for (value, (_, operand)) in values.iter().zip(&inst.operands) {
            if !operand.role.is_def() {
                hash = mix(hash ^ value);
            }
        }
        self.finish(inst, hash, &values);
        hash
    }

    fn destroy(&mut self, inst: &ToyInst<R>, which: impl Fn(&Operand) -> bool) {
        for (reg, _) in inst.operands.iter().filter(|(_, operand)| which(operand)) {
            self.regs.insert(*reg, 0xdef);
        }
    }

    fn finish(&mut self, inst: &ToyInst<R>, hash: u64, values: &[u64]) {
        if inst.op == Op::Effect {
            self.trace.effects.push(hash);
        }
        for (i, &(reg, operand)) in inst.operands.iter().enumerate() {
            let value = match inst.op {
                _ if !operand.role.is_def() => continue,
                Op::Copy => values[1],
                Op::Reload(slot) => self.slots.get(&slot).copied().unwrap_or(0x51075),
                _ => mix(hash.wrapping_add(i as u64)),
            };
            self.regs.insert(reg, value);
        }
        if let Op::Spill(slot) = inst.op {
            self.slots.insert(slot, values[0]);
        }
    }
}

/// A bijective hash of 64 bits.
pub const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A function without code.
pub fn empty_function() -> Function<Toy, VReg> {
    Function::new("toy".to_owned(), IdVec::new())
}

/// Block number `n`.
pub fn block(n: usize) -> Block {
    Block::new(n)
}
