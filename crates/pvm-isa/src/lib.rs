//! The PVM instruction set, its containers and its gas models.
//!
//! The PVM is the virtual machine of JAM: thirteen 64-bit registers, paged 32-bit memory, variable-length
//! code with an instruction bitmask, and indirect jumps through a jump table. Two versions of its
//! specification, the Gray Paper, are supported side by side, and a proposed code format, see [`GpVersion`].
//!
//! The crate is independent of the compiler: compilers build [`Inst`]s and [`ProgramBlob`]s with it, tools read them
//! back. It has no dependencies, does no input or output, and never panics on arbitrary bytes.
//!
//! | module | contents |
//! |---|---|
//! | [`version`] | versions of the Gray Paper |
//! | [`table`] | the instruction table, from which the rest derives |
//! | [`reg`], [`inst`], [`asm`] | registers, instructions, one constructor per instruction |
//! | [`encode`], [`decode`] | instructions to bytes and back |
//! | [`blocks`] | the next code format |
//! | [`bitmask`], [`blob`], [`spi`], [`polkavm`], [`metadata`], [`container`] | programs as files |
//! | [`validate`] | validation: the rules of the engines, and stricter ones for compilers |
//! | [`gas`] | the cost of basic blocks |
//! | [`disasm`] | programs as text |

pub mod version;

pub mod table;

pub mod reg;

pub mod inst;

pub mod asm;

pub mod encode;

pub mod decode;

pub mod blocks;

mod reader;

pub mod bitmask;

pub mod blob;

pub mod spi;

pub mod polkavm;

pub mod metadata;

pub mod container;

pub mod validate;

pub mod gas;

pub mod disasm;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use bitmask::Bitmask;
pub use blob::ProgramBlob;
pub use container::Container;
pub use decode::DecodedInst;
pub use inst::Inst;
pub use polkavm::PolkaVmProgram;
pub use reader::{ParseError, ParseErrorKind, write_nat};
pub use reg::{Reg, RegSet};
pub use spi::SpiProgram;
pub use table::{Flow, Format, Opcode, Role};
pub use version::{CodeFormat, GpVersion, UnknownGpVersion};
