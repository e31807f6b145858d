//! Passes from SSA to SSA that adapt a module to the core, its calling convention and its memory.
//!
//! | pass | problem | result |
//! |---|---|---|
//! | [`initial`] | a section with all of linear memory would contain its zeros, too | data as runs, and a function that copies them |
//! | [`doubles`] | the convention passes doubles in d registers, which a core with single precision can't compute with | wrappers of exports and imports |
//! | [`softfp`] | firmware passes floats in core registers, although the core has a unit | wrappers of exports and imports |
//! | [`adapters`] | a caller outside of the program makes no room for tail calls | exports that make an ordinary call |
//! | [`traps`] | firmware wants to know what trapped, and where | calls of a handler before traps |
//!
//! [`uses`] finds the data objects that are written. [`parameters`] are the facts about cores that shared passes need.

pub mod adapters;
pub mod doubles;
pub mod initial;
pub mod parameters;
pub mod softfp;
pub mod traps;
pub mod uses;
