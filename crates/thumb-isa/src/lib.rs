//! The Thumb instruction set of Cortex-M cores: v6-M, v7-M, v7E-M, v8-M and v8.1-M, with the single- and
//! double-precision floating-point units FPv4-SP and FPv5.
//!
//! Most instructions have a 16-bit and a 32-bit form. Which one exists depends on the operands, on whether the flags
//! are set, and on whether the instruction is in an IT block. The crate therefore separates the operation ([`Inst`])
//! from its encoding ([`Form`]). Compilers build instructions, ask for their forms ([`Inst::form`],
//! [`Inst::narrowed`]) and encode or print the one they choose. Text has the syntax of LLVM's assembler and
//! disassembler.
//!
//! The crate is independent of the compiler: it has no dependencies, does no input or output, and never panics on
//! arbitrary bytes.
//!
//! | module | contents |
//! |---|---|
//! | [`rows`] | the instruction table, from which the rest derives |
//! | [`mod@format`] | operand formats, by which the table is grouped |
//! | [`value`], [`pattern`] | encoding of values and fields as bits |
//! | [`table`], [`form`] | opcodes with their properties, and their encodings |
//! | [`reg`], [`operand`], [`inst`] | registers, other operands, instructions |
//! | [`mod@encode`], [`mod@decode`] | instructions to bytes and back |
//! | [`narrow`] | equivalent instructions with a 16-bit form |
//! | [`valid`] | operand combinations the architecture leaves unpredictable |
//! | [`effect`] | registers and flags read and written, control flow |
//! | [`text`] | assembly text |

pub mod decode;
pub mod effect;
pub mod encode;
pub mod form;
pub mod format;
pub mod inst;
pub mod narrow;
pub mod operand;
pub mod pattern;
pub mod reg;
pub mod rows;
pub mod table;
pub mod text;
pub mod valid;
pub mod value;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use decode::{Decoded, decode};
pub use effect::{Flow, UnitSet};
pub use form::{Form, Width};
pub use format::Format;
pub use inst::Inst;
pub use operand::{Cond, Flags, ItMask, ItState, RegList, Shift, SysReg};
pub use reg::{Reg, RegClass, RegSlot, Role};
pub use table::{Feature, Features, Opcode};
