//! Target-neutral code generation.
//!
//! ```text
//! ssa::Function ─ select ─ order ─► mir<VReg> ─ allocate ─ optimize ─ frame ─ layout ─ peephole ─► mir<PReg>
//! mir<PReg> ─ emit ─► Fragment          all Fragments ─ relax ─► code
//! ```
//!
//! Shared code knows a target only through traits: [`Isa`], [`Select`], [`Encode`] and [`Target`]. [`compile_function`]
//! runs the pipeline. Functions are independent of each other, so [`compile_functions`] runs it on several threads and
//! orders the results by function id.

mod compile;
pub mod depth;
mod emit;
mod frame;
pub mod layout;
mod liveness;
mod locations;
mod mir;
mod regalloc;
mod relax;
mod select;
mod target;
#[cfg(any(test, feature = "testing"))]
pub mod toy;

pub use compile::{Fragments, MIR, compile_function, compile_functions, pass_names, print_function};
pub use emit::{
    Cfa, CodeBuffer, Encode, Fixup, FixupSite, Fragment, Label, Place, Reference, Saved, Unwind, UnwindRow,
    emit,
};
pub use frame::{FrameLayout, frame_region, predecessors, registers_to_save};
pub use liveness::{Live, Liveness};
pub use locations::{CodeLocations, Site, Sites};
pub use mir::{
    Block, BlockData, Control, Costs, Effects, Fixed, FrameBase, Function, Insts, Isa, Operand, PReg,
    RegClass, RegSet, Register, RegisterInfo, Reuse, Role, SAVE, SlotAccess, SpillSlot, StackSlot, Succ,
    VReg, VRegData,
};
pub use regalloc::allocate;
pub use relax::{Blocks, Code, Placement, relax};
pub use select::{
    ArgLoc, ArgumentRoom, CallLayout, Lower, Remat, Select, Unsupported, ValueRegs, add_adapter,
};
pub use target::{Pass, Target};
