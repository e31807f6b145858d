//! The Cortex-M target: from an [`ssa::Module`] to a relocatable ELF object.
//!
//! ```text
//! Module ─ legalize ─ expand switches ─► Module ─► Thumb ─ codegen ─► Fragments ─ object ─► bytes
//! ```

pub mod abi;
pub mod cpu;

mod encode;
mod expand;
mod fixup;
mod frame;
mod immediate;
mod inst;
mod lower;
mod peephole;
mod target;
mod test;

pub use cpu::{Cpu, UnknownCpu};
pub use target::{MemoryMode, Thumb};
