//! The compact, owned SSA form between LLVM and the code generator.
//!
//! LLVM values are not `Send`, change from release to release and need LLVM in every test. So LLVM IR is read
//! once into this form and dropped; from here on a function is plain data that threads may share, that has a
//! text form, a verifier and an interpreter.
//!
//! What a [`Module`] promises to the code generator (the verifier checks it):
//! - the opcode list is closed ([`InstData`]); value types are [`Type`] only, narrower integers are promoted
//!   and 128-bit ones are split by the reader;
//! - block parameters instead of phis; the entry block's parameters are the function's parameters and it has no
//!   predecessors;
//! - every block ends in exactly one terminator, every block is reachable;
//! - no edge is critical: a successor of a block with several out edges has no other predecessor. Several cases of
//!   one switch may share a successor, which then has no parameters;
//! - definitions dominate uses;
//! - conditions of `branch` and `select`, and results of comparisons, are `i32` values that are 0 or 1.

pub mod cfg;
mod dominators;
pub mod entity;
mod freq;
mod function;
mod inst;
pub mod interp;
pub mod loops;
mod module;
mod names;
mod parse;
pub mod passes;
mod source;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text;
mod typing;
mod verify;

pub use dominators::Dominators;
pub use entity::{EntityId, IdVec};
pub use freq::estimate_frequencies;
pub use function::{Block, BlockData, FrameSlot, FrameSlotData, Function, Inst, Value, ValueData, ValueDef};
pub use inst::{
    Addr, BinaryOp, BlockCall, Cond, FCond, InstData, MemFlags, MemType, TrapCode, Type, UnaryOp,
};
pub use module::{
    DataId, DataKind, DataObject, Export, ExportItem, FuncDecl, FuncId, FuncKind, Import, LinearMemory,
    Module, Relocation, Segment, SigId, Signature, StoredAddress,
};
pub use parse::{ParseError, parse_function, parse_module};
pub use passes::canonicalize;
pub use source::{
    FileName, Position, SourceFile, SourceLoc, SourceLocs, SourceUnit, Sources, Subprogram, SubprogramData,
    UnitData,
};
pub use text::{print_function, print_inst};
pub use verify::{VerifyError, verify, verify_function};
