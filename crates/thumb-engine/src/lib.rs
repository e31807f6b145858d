//! Runs relocatable objects of Cortex-M code on the host.
//!
//! [`Image`] links one object: it places sections, applies relocations, and reads the core from the build attributes.
//! [`Machine`] calls its functions by the procedure call standard ([`aapcs`]) and executes the instructions that
//! `thumb-isa` decodes, with a budget. A call ends by a return, a trap (`udf`), a fault, an overflow of the stack, or an
//! empty budget ([`Ending`]). Undefined functions are the host's ([`Host`]); those of the run-time ABI are answered by
//! the host's arithmetic. The host can also look at every instruction, as [`Trace`] does.
//!
//! The engine is an independent judge of the compiler and doesn't depend on it. Its own judge is QEMU: the tests compare
//! registers, flags and memory after every instruction of the table.
//!
//! Limits: one thread of execution without exceptions. An instruction that needs more (`svc`, another rounding mode, a
//! stack pointer of the system) is a fault. The bits of FPSCR for cumulative exceptions read as zero; no compiled code
//! reads them. Division by zero gives zero, as cores do after reset.

pub mod aapcs;

mod aeabi;
mod attributes;
mod blocks;

mod cpu;
mod error;
mod execute;
mod fault;
mod image;
mod machine;
mod memory;
mod relocate;
mod trace;
mod typed;

pub use attributes::Core;
pub use blocks::{Block, Placed, blocks, instructions, table_targets, target};
pub use cpu::{Cpu, Status};
pub use error::LoadError;
pub use fault::{Ending, Fault};
pub use image::{Image, Kind, Symbol};
pub use machine::{Answer, Call, Exit, Host, Machine, NoHost};
pub use memory::Memory;
pub use trace::{Sample, Trace};
pub use typed::{Function, Outcome};
