//! Ends of runs.

/// A fault that an instruction raises.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// An access outside of memory.
    #[error("an access of {address:#x}, where no memory is")]
    Unmapped {
        /// The address.
        address: u32,
    },
    /// A store into memory that can't be written.
    #[error("a store at {address:#x}, which is read-only")]
    ReadOnly {
        /// The address.
        address: u32,
    },
    /// An access that is not aligned as the instruction or the core needs it.
    #[error("an unaligned access of {address:#x}")]
    Unaligned {
        /// The address.
        address: u32,
    },
    /// No instruction of the core.
    #[error("no instruction of this core")]
    Undefined,
    /// A jump to an address without code.
    #[error("a jump to {address:#x}, where no code is")]
    NoCode {
        /// The address.
        address: u32,
    },
    /// A jump to an address with bit 0 clear, which means code of another instruction set.
    #[error("a jump to {address:#x}, whose bit 0 is clear")]
    NotThumb {
        /// The address.
        address: u32,
    },
    /// An instruction whose effect depends on a system around the core: an exception, a stack of its own, a rounding mode.
    #[error("an instruction that needs a system around the core")]
    System,
}

/// Why a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It returned.
    Returned,
    /// The instruction `udf` with this operand.
    Trapped(u32),
    /// The stack overflowed.
    Exhausted,
    /// The budget of instructions is used up.
    OutOfBudget,
    /// The host ended the call.
    Stopped,
    /// Another fault.
    Faulted(Fault),
    /// It returned, but a callee-saved register has changed: the number of a core register, or 16 plus the number of a
    /// float register.
    Corrupted(u32),
}
