//! The layout of a call: the locations of its arguments and results.

use crate::mir::{PReg, RegSet};

/// The location of one machine word of an argument or result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgLoc {
    /// In a register.
    Reg(PReg),
    /// In the outgoing argument area of the caller, bytes from its stack pointer at the call.
    Stack(u32),
}

/// The layout of a call. A value of two machine words (an `i64` on a 32-bit target) has two locations, low first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallLayout {
    /// Locations of each parameter.
    pub params: Vec<Vec<ArgLoc>>,
    /// Locations of each result. Results on the stack are in the caller's outgoing area, below the arguments. So their
    /// locations don't depend on the parameters, and the callee of a tail call can write them.
    pub results: Vec<Vec<ArgLoc>>,
    /// Bytes of arguments and results in the outgoing area. A call may have to make more room: see
    /// [`crate::ArgumentRoom`].
    pub stack_bytes: u32,
    /// Registers the callee may change (results included).
    pub clobbers: RegSet,
}
