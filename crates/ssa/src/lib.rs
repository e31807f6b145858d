//! The compact, owned SSA form between LLVM and the code generator.
//!
//! LLVM values are not `Send`, their API changes with each release, and tests over them need LLVM. So LLVM IR is read
//! once into this form and dropped. From here on a function is plain data that threads can share, with a text form, a
//! verifier and an interpreter.
//!
//! Invariants of a [`Module`], which the code generator relies on and the verifier checks:
//! - the opcode list is closed ([`InstData`]); value types are [`Type`] only: the reader of LLVM IR promotes narrower
//!   integers and splits 128-bit ones;
//! - block parameters replace phis; the parameters of the entry block are those of the function, and it has no
//!   predecessors;
//! - every block is reachable and ends in exactly one terminator;
//! - no edge is critical: a successor of a block with several successors has no other predecessor. Several cases of
//!   one switch may share a successor, which then has no parameters;
//! - definitions dominate uses;
//! - conditions of `branch` and `select`, and results of comparisons, are `i32` values that are 0 or 1.

pub mod cfg;
mod checked;
mod dominators;
pub mod entity;
mod freq;
mod function;
mod ids;
mod inst;
pub mod interp;
pub mod known_bits;
pub mod loops;
mod module;
mod names;
mod ops;
mod parse;
pub mod passes;
mod reach;
mod source;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text;
mod typing;
mod verify;

pub use checked::CheckedAccess;
pub use dominators::Dominators;
pub use entity::{EntityId, IdVec};
pub use freq::{estimate_frequencies, estimate_frequencies_with};
pub use function::{BlockData, FrameSlotData, Function, ValueData, ValueDef};
pub use ids::{Block, DataId, FrameSlot, FuncId, Inst, SigId, Value};
pub use inst::{Addr, BlockCall, InstData, MemFlags, TrapCode};
pub use module::{
    DataKind, DataObject, Export, ExportItem, FuncDecl, FuncKind, Import, LinearMemory, Module, Relocation,
    Segment, Signature, StoredAddress,
};
pub use ops::{BinaryOp, Cond, FCond, MemType, Type, UnaryOp};
pub use parse::{ParseError, parse_function, parse_module};
pub use passes::canonicalize;
pub use reach::{Reachable, remove_unreachable};
pub use source::{
    Callee, FIRST_INLINED, FileName, Inlined, InlinedCall, InlinedCallData, Position, SourceFile, SourceLoc,
    SourceLocs, SourceType, SourceUnit, Sources, Subprogram, SubprogramData, TypeAttribute, TypeEntry,
    UnitData, Variable,
};
pub use text::{print_function, print_inst, print_lines};
pub use verify::{VerifyError, verify, verify_bodies, verify_function};
