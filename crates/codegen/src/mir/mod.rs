//! Machine functions: target instructions in blocks, over virtual or physical registers.
//!
//! A block's straight-line instructions and its [`Control`] are separate, because layout decides which successor is
//! next and so which branches and jumps exist. Values flow along edges as block arguments until allocation turns them
//! into moves; afterwards parameter and argument lists are empty.
//!
//! Invariants: block 0 is the entry and has no predecessor; no edge is critical; every definition of a virtual
//! register is unique (SSA) and dominates its uses; [`Function::order`] lists every block once, entry first.

mod effects;
mod insts;
mod isa;
mod registers;

use ssa::{IdVec, SourceLoc, entity_id};

pub use effects::{Effects, SlotAccess};
pub use insts::Insts;
pub use isa::{Costs, Isa, SAVE};
pub use registers::{Fixed, Operand, PReg, RegClass, RegSet, Register, RegisterInfo, Reuse, Role};

entity_id! {
    /// A virtual register.
    VReg = "%";
    /// A block of a machine function.
    Block = "L";
    /// A spill slot.
    SpillSlot = "spill";
}

impl Register for VReg {}

/// A place on the stack.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StackSlot {
    /// A spilled value.
    Spill(SpillSlot),
    /// Byte `offset` of a stack object.
    Object {
        /// The object.
        slot: ssa::FrameSlot,
        /// Byte offset in it.
        offset: i32,
    },
    /// Bytes of the outgoing argument area, from the stack pointer.
    Outgoing(u32),
    /// Bytes of the incoming argument area, from the caller's stack pointer.
    Incoming(u32),
}

/// A virtual register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VRegData {
    /// Its class.
    pub class: RegClass,
    /// Whether its defining instruction reads no register and no memory and can be repeated anywhere.
    pub rematerializable: bool,
}

/// An edge with the arguments for the target's parameters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Succ<R> {
    /// The target.
    pub block: Block,
    /// One register per parameter; empty after allocation.
    pub args: Vec<R>,
}

/// How a block ends.
#[derive(Debug)]
pub enum Control<T: Isa, R: Register> {
    /// Goes to one block; no instruction when it is next.
    Jump(Succ<R>),
    /// Goes to `taken` when the conditional branch `inst` is taken, else to `other`.
    Branch {
        /// The conditional branch, without its label; it has no definitions.
        inst: T::Inst<R>,
        /// Successor if the branch is taken.
        taken: Succ<R>,
        /// Successor if it falls through.
        other: Succ<R>,
    },
    /// A jump through a table; its edges carry no arguments.
    Dispatch {
        /// The dispatch instruction; it has no definitions.
        inst: T::Inst<R>,
        /// The targets in table order, with repetitions.
        targets: Vec<Block>,
    },
    /// Leaves the function: return, trap, tail call.
    Exit(T::Inst<R>),
}

impl<T: Isa, R: Register> Clone for Control<T, R> {
    fn clone(&self) -> Self {
        match self {
            Self::Jump(to) => Self::Jump(to.clone()),
            Self::Branch { inst, taken, other } => {
                Self::Branch { inst: inst.clone(), taken: taken.clone(), other: other.clone() }
            }
            Self::Dispatch { inst, targets } => {
                Self::Dispatch { inst: inst.clone(), targets: targets.clone() }
            }
            Self::Exit(inst) => Self::Exit(inst.clone()),
        }
    }
}

impl<T: Isa, R: Register> Control<T, R> {
    /// The instruction, if the control is not a plain jump.
    pub const fn inst(&self) -> Option<&T::Inst<R>> {
        match self {
            Self::Jump(_) => None,
            Self::Branch { inst, .. } | Self::Dispatch { inst, .. } | Self::Exit(inst) => Some(inst),
        }
    }

    /// The successor blocks, with repetitions only in a dispatch.
    pub fn successors(&self) -> Vec<Block> {
        match self {
            Self::Jump(to) => vec![to.block],
            Self::Branch { taken, other, .. } => vec![taken.block, other.block],
            Self::Dispatch { targets, .. } => targets.clone(),
            Self::Exit(_) => Vec::new(),
        }
    }
}

/// A block.
#[derive(Debug)]
pub struct BlockData<T: Isa, R: Register> {
    /// Parameters; empty after allocation. The entry block has none: an ordinary target instruction with fixed
    /// definitions defines the function's parameters.
    pub params: Vec<R>,
    /// Straight-line instructions.
    pub insts: Insts<T::Inst<R>>,
    /// How the block ends.
    pub control: Control<T, R>,
    /// Source location of `control`.
    pub control_loc: Option<SourceLoc>,
    /// Estimated executions per call.
    pub freq: f32,
    /// For the header of a loop, the most executions each time that the loop is entered, if that is known
    /// ([`ssa::loop_bounds`]).
    pub bound: Option<u32>,
}

impl<T: Isa, R: Register> BlockData<T, R> {
    /// A block without straight-line instructions.
    pub const fn new(control: Control<T, R>, freq: f32) -> Self {
        Self { params: Vec::new(), insts: Insts::new(), control, control_loc: None, freq, bound: None }
    }
}

impl<T: Isa, R: Register> Clone for BlockData<T, R> {
    fn clone(&self) -> Self {
        Self {
            params: self.params.clone(),
            insts: self.insts.clone(),
            control: self.control.clone(),
            control_loc: self.control_loc,
            freq: self.freq,
            bound: self.bound,
        }
    }
}

/// The address of a stack object, for debuggers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameBase {
    /// So many bytes from the stack pointer at the function's entry.
    Entry(i32),
    /// So many bytes above the stack pointer in the function's body.
    Stack(i32),
}

/// A machine function.
#[derive(Debug)]
pub struct Function<T: Isa, R: Register> {
    /// Used in messages and listings.
    pub name: String,
    /// Blocks by id.
    pub blocks: IdVec<Block, BlockData<T, R>>,
    /// Blocks in layout order, entry first.
    pub order: Vec<Block>,
    /// Virtual registers (unused after allocation).
    pub vregs: IdVec<VReg, VRegData>,
    /// Class of every spill slot that allocation made.
    pub spill_slots: IdVec<SpillSlot, RegClass>,
    /// Size and alignment of the stack objects.
    pub frame_slots: IdVec<ssa::FrameSlot, ssa::FrameSlotData>,
    /// The stack object with the variables of the source.
    pub variables: Option<ssa::FrameSlot>,
    /// Where debuggers find it; set by [`Target::frame`](crate::Target::frame).
    pub variables_at: Option<FrameBase>,
    /// Bytes of the largest outgoing stack-argument area.
    pub outgoing_bytes: u32,
    /// Whether the function makes calls (which clobber its return address).
    pub has_calls: bool,
    /// Maximum stack use without callees, in bytes, saved registers included; set by
    /// [`Target::frame`](crate::Target::frame).
    pub stack_bytes: u32,
    /// All registers that some instruction writes or clobbers; known after allocation.
    pub written: RegSet,
    /// Whether the function should be small rather than fast.
    pub optimize_for_size: bool,
}

impl<T: Isa, R: Register> Clone for Function<T, R> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            blocks: self.blocks.clone(),
            order: self.order.clone(),
            vregs: self.vregs.clone(),
            spill_slots: self.spill_slots.clone(),
            frame_slots: self.frame_slots.clone(),
            variables: self.variables,
            variables_at: self.variables_at,
            outgoing_bytes: self.outgoing_bytes,
            has_calls: self.has_calls,
            stack_bytes: self.stack_bytes,
            written: self.written,
            optimize_for_size: self.optimize_for_size,
        }
    }
}

impl<T: Isa, R: Register> Function<T, R> {
    /// A function of the given blocks, in order, without registers, slots and calls so far.
    pub fn new(name: String, blocks: IdVec<Block, BlockData<T, R>>) -> Self {
        Self {
            name,
            order: blocks.ids().collect(),
            blocks,
            vregs: IdVec::new(),
            spill_slots: IdVec::new(),
            frame_slots: IdVec::new(),
            variables: None,
            variables_at: None,
            outgoing_bytes: 0,
            has_calls: false,
            stack_bytes: 0,
            written: RegSet::EMPTY,
            optimize_for_size: false,
        }
    }
}

impl<T: Isa> Function<T, PReg> {
    /// The stack slot of a spilled value.
    pub const fn spill(slot: SpillSlot) -> StackSlot {
        StackSlot::Spill(slot)
    }
}

impl<T: Isa, R: Register> std::fmt::Display for Function<T, R> {
    /// Blocks in layout order, one instruction per line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}:", self.name)?;
        for &id in &self.order {
            let block = &self.blocks[id];
            writeln!(f, "{id}{}  ; freq {}", params(&block.params), block.freq)?;
            for inst in &block.insts {
                writeln!(f, "    {inst}")?;
            }
            match &block.control {
                Control::Jump(to) => writeln!(f, "    => {}{}", to.block, params(&to.args))?,
                Control::Branch { inst, taken, other } => writeln!(
                    f,
                    "    {inst} => {}{} else {}{}",
                    taken.block,
                    params(&taken.args),
                    other.block,
                    params(&other.args)
                )?,
                Control::Dispatch { inst, targets } => writeln!(f, "    {inst} => {targets:?}")?,
                Control::Exit(inst) => writeln!(f, "    {inst}")?,
            }
        }
        Ok(())
    }
}

/// `(a, b)`, or an empty string if there are none.
fn params<R: Register>(regs: &[R]) -> String {
    if regs.is_empty() {
        return String::new();
    }
    let names: Vec<String> = regs.iter().map(ToString::to_string).collect();
    format!("({})", names.join(", "))
}
