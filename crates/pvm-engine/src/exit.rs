//! The ways in which a run stops, and the errors of a machine.

/// The reason why a run stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It jumped to the halt address.
    Halt,
    /// Panic or page fault.
    Panic,
    /// The next block costs more than the remaining gas.
    OutOfGas,
    /// A host call with this number.
    HostCall(u32),
}

/// The reason why a machine can't be made, entered or run.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MachineError {
    /// The program doesn't fit the address space, or the engine refuses it.
    #[error("the program is refused: {0}")]
    Refused(String),
    /// The engine failed.
    #[error("the engine failed: {0}")]
    Engine(String),
    /// The argument bytes exceed the limit.
    #[error("{0} bytes of arguments exceed the limit of 16 MiB")]
    ArgumentsTooLarge(usize),
    /// A call broke the calling convention.
    #[error("calling convention: {0}")]
    Convention(String),
}
