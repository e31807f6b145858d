//! How a debugger finds the caller of a function, instruction by instruction.
//!
//! The rows describe the state before an instruction: the address of the caller's frame (the CFA, which is the stack
//! pointer at the entry of the function), and the places of the caller's registers. A register without an entry has
//! the caller's value.

use ssa::IdVec;

use crate::mir::{Block, PReg};

/// The address of the caller's frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cfa {
    /// A register plus a constant.
    Register {
        /// The register.
        reg: PReg,
        /// The constant.
        offset: i32,
    },
    /// The word at `reg + at`, plus a constant.
    Loaded {
        /// The register.
        reg: PReg,
        /// The distance of the word.
        at: i32,
        /// The constant.
        offset: i32,
    },
    /// Unknown.
    Unknown,
}

/// The place of a caller's register that doesn't have the caller's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Saved {
    /// In memory, so many bytes from the CFA.
    Offset(i32),
    /// In another register.
    Register(PReg),
    /// Nowhere.
    Lost,
}

/// The state before an instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnwindRow {
    /// The address of the caller's frame.
    pub cfa: Cfa,
    /// Registers that don't have the caller's value, in ascending order.
    pub saved: Vec<(PReg, Saved)>,
}

/// The states of a function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unwind {
    /// Per block the rows, each with the number of the first instruction that it applies to. The control counts as the
    /// last instruction.
    pub rows: IdVec<Block, Vec<(usize, UnwindRow)>>,
    /// The number of instructions of the prologue at the beginning of the entry block.
    pub prologue: usize,
}
