//! The Thumb-2 instruction set of Cortex-M cores with the main extension: v7-M, v7E-M and v8-M main, with the
//! single- and double-precision floating-point units FPv4-SP and FPv5.
//!
//! Most instructions have a 16-bit and a 32-bit form, and which one exists depends on the operands, on whether the
//! flags are set, and on whether the instruction stands in an IT block. The crate therefore separates what an
//! instruction does ([`Inst`]) from how it is encoded ([`Form`]): compilers build instructions, ask for the forms
//! they have ([`Inst::form`], [`Inst::narrowed`]) and encode or print the one they choose. Text is that of LLVM's
//! assembler and disassembler.
//!
//! The crate stands alone: it has no dependencies, does no input or output, and never panics on foreign bytes.
//!
//! | module | what |
//! |---|---|
//! | [`rows`] | the instruction table, from which the rest derives |
//! | [`table`] | what can be asked about an opcode |
//! | [`reg`], [`operand`], [`inst`] | registers, other operands, instructions |
//! | [`value`], [`pattern`] | how values and fields become bits |
//! | [`mod@encode`], [`mod@decode`] | instructions to bytes and back |
//! | [`narrow`] | which 16-bit form does the same |
//! | [`valid`] | operand combinations the architecture leaves unpredictable |
//! | [`effect`] | registers and flags read and written, where control goes |
//! | [`text`] | assembly text |

pub mod rows;

pub mod reg;

pub mod operand;

pub mod value;

pub mod pattern;

pub mod table;

pub mod inst;

pub mod valid;

pub mod effect;

pub mod encode;

pub mod decode;

pub mod narrow;

pub mod text;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use decode::{Decoded, decode};
pub use effect::{Flow, UnitSet};
pub use encode::{Form, Width};
pub use inst::{Format, Inst};
pub use operand::{Cond, Flags, ItMask, ItState, RegList, Shift, SysReg};
pub use reg::{Reg, RegClass, RegSlot, Role};
pub use table::{Feature, Features, Opcode};
