//! Target-neutral code generation.
//!
//! ```text
//! ssa::Function ─ lower ─► mir<VReg> ─ layout ─ regalloc ─► mir<PReg> ─ frame ─ finish ─ peephole ─ encode ─► Fragment
//!                                                                                    all Fragments ─ relax ─► code
//! ```
//!
//! Shared code knows a target only through the [`Target`] trait. [`compile_function`] is the pipeline. Functions are
//! independent of each other, so [`compile_functions`] runs it on several threads and orders the results by function
//! id.

mod abi;
mod buffer;
mod compile;
mod emit;
mod frame;
mod insts;
pub mod layout;
mod lower;
mod mir;
mod regalloc;
mod region;
mod registers;
mod relax;
mod room;
mod switch;
mod target;
#[cfg(any(test, feature = "testing"))]
pub mod toy;

pub use abi::{ArgLoc, CallLayout};
pub use buffer::{CodeBuffer, Fixup, FixupSite, Fragment, Label, Place, Reference};
pub use compile::{Fragments, Stage, compile_function, compile_functions, print_stage};
pub use emit::emit;
pub use frame::{FrameLayout, StackSlot, registers_to_save};
pub use insts::Insts;
pub use lower::{Lower, Remat, Unsupported, ValueRegs};
pub use mir::{Block, BlockData, Control, Function, SpillSlot, Succ, VReg, VRegData};
pub use regalloc::allocate;
pub use region::{frame_region, predecessors};
pub use registers::{Fixed, Operand, PReg, RegClass, RegSet, Register, RegisterInfo, Reuse, Role};
pub use relax::{Code, Placement, relax};
pub use room::{ArgumentRoom, add_adapter};
pub use switch::{SwitchBytes, SwitchLimits, expand_switches};
pub use target::{Position, Target};
