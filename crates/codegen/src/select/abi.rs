//! Where arguments and results of a call are.

use crate::mir::{PReg, RegSet};

/// Where one machine word of an argument or result is.
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
    /// Locations of each result. Results on the stack are in the caller's outgoing area, below the arguments, so that
    /// where they are does not depend on the parameters and a tail call leaves them to its callee.
    pub results: Vec<Vec<ArgLoc>>,
    /// Bytes of arguments and results in the outgoing area. A call may have to make more room: see
    /// [`crate::ArgumentRoom`].
    pub stack_bytes: u32,
    /// Registers the callee may change (results included).
    pub clobbers: RegSet,
}
