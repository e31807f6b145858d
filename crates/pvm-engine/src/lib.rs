//! Running compiled programs and answering their host calls.
//!
//! [`run()`] takes a program file, of this compiler or any other. It enters the program with argument bytes, as a JAM host
//! does, and runs it until it halts or makes an unknown host call. A [`Session`] keeps the program's state: it can be
//! entered again, its exports can be called with typed values, and its linear memory can be read and written. These
//! calls are answered:
//!
//! | host call | answer |
//! |---|---|
//! | those in [`RunOptions::answers`] | the given values |
//! | `gas` (0) | the remaining gas |
//! | `grow_heap` (1, GP 0.8) | grows the heap |
//! | `log` (100, JIP-1) | the message is kept in [`Outcome::log`] |
//! | with [`Host::Substrate`]: imports by name | the allocator and the logger of Substrate |
//!
//! Host calls cost the gas of the Gray Paper, in addition to the engine's charge for the `ecalli` itself.
//!
//! [`Machine`] is the engine itself: registers, memory and gas. The command line and all tests that execute PVM code use
//! it. Therefore it is a crate of its own, which depends on `pvm-isa` and the engine only.

mod answer;
mod call;
mod exit;
mod growth;
mod host;
mod instance;
mod invoke;
mod linear;
mod machine;
mod polkavm;
mod session;
mod substrate;
mod trace;
mod value;
mod visits;

use pvm_isa::GpVersion;

pub use call::RawCall;
pub use exit::{Exit, MachineError};
pub use host::{GivenAnswer, HostCallId};
pub use machine::{Backend, Engine, GROW_HEAP, Machine, reg};
pub use session::Session;
pub use trace::{Call, Sample, Trace};
pub use value::{FunctionType, Value, ValueType};

/// The host calls that are answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Host {
    /// Those that every JAM host has in every context.
    #[default]
    Jam,
    /// Also the allocator and logging functions of Substrate, by the names of the imports.
    Substrate,
}

/// The place at which a program is entered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum EntryPoint {
    /// At position 0.
    #[default]
    First,
    /// At the export with this name.
    Name(String),
    /// At a position of the code.
    Pc(u32),
}

/// All options of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunOptions {
    /// The entry.
    pub entry: EntryPoint,
    /// Argument bytes.
    pub args: Vec<u8>,
    /// Limit of gas.
    pub gas: u64,
    /// Execution by interpretation or recompilation.
    pub backend: Backend,
    /// The host calls that are answered.
    pub host: Host,
    /// Answers to host calls; they come before all others.
    pub answers: Vec<GivenAnswer>,
    /// The version of the Gray Paper; `None` takes it from the metadata, or 0.8 where there is none.
    pub gp: Option<GpVersion>,
    /// Record every instruction in a [`Trace`], by functions that begin at these ascending positions. The interpreter
    /// runs the program, many times slower.
    pub trace: Option<Vec<u32>>,
    /// Only watch the program: record the positions that run ([`Session::take_visited`]), and answer no host call but
    /// `grow_heap`, so that all others end the run. Also many times slower.
    pub watch: bool,
}

impl RunOptions {
    /// The default limit of gas.
    pub const DEFAULT_GAS: u64 = 1 << 60;
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            entry: EntryPoint::First,
            args: Vec::new(),
            gas: Self::DEFAULT_GAS,
            backend: Backend::Auto,
            host: Host::Jam,
            answers: Vec::new(),
            gp: None,
            trace: None,
            watch: false,
        }
    }
}

/// The end of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Status {
    /// The program halted.
    Halt,
    /// A panic or page fault.
    Panic,
    /// The gas limit was reached.
    OutOfGas,
    /// An unknown host call.
    HostCall {
        /// Its number.
        number: u32,
        /// The import with this number, if the metadata has it.
        name: Option<String>,
    },
}

impl Status {
    /// One word for the status.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Halt => "halt",
            Self::Panic => "panic",
            Self::OutOfGas => "out-of-gas",
            Self::HostCall { .. } => "host-call",
        }
    }
}

/// A line a program wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    /// Level: 0 fatal, 1 warning, 2 info, 3 helpful, 4 pedantic.
    pub level: u64,
    /// The writer's name; may be empty.
    pub target: String,
    /// The text.
    pub message: String,
}

/// The outcome of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The way it ended.
    pub status: Status,
    /// The gas it used.
    pub gas: u64,
    /// The result bytes; empty unless it halted and they are readable.
    pub result: Vec<u8>,
    /// The results of the function, if it halted and returned them as they are, not as result bytes.
    pub values: Vec<Value>,
    /// The lines it logged.
    pub log: Vec<LogLine>,
}

/// The reason why a program could not be run.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RunError {
    /// The file is not a program.
    #[error("not a PVM program: {0}")]
    Parse(pvm_isa::ParseError),
    /// The machine refuses the program or its arguments, or fails.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// There is no such entry.
    #[error("the program has no entry `{name}`; it has {known}")]
    UnknownEntry {
        /// The requested name.
        name: String,
        /// The existing names.
        known: String,
    },
    /// A host call that is answered is no import.
    #[error("no host call is named `{name}`; {known}")]
    UnknownHostCall {
        /// The given name.
        name: String,
        /// What is known.
        known: String,
    },
    /// There is no such export.
    #[error("the program has no export `{name}` to invoke; it has {known}{hint}")]
    UnknownExport {
        /// The requested name.
        name: String,
        /// The existing names.
        known: String,
        /// Advice.
        hint: &'static str,
    },
    /// The metadata has no readable type of an export.
    #[error(
        "the type of the export `{0}` is not known: it has a reference to an exception, or the metadata is damaged"
    )]
    UnknownType(String),
    /// An address in linear memory is not accessible.
    #[error("{len} bytes at {address:#x} are not in linear memory, which is from {first:#x} to {end:#x}")]
    Address {
        /// The wasm address.
        address: u32,
        /// Number of bytes.
        len: u64,
        /// Start of linear memory.
        first: u32,
        /// Its exclusive end.
        end: u64,
    },
    /// The program is not known to have linear memory.
    #[error("the metadata names no linear memory, so there is none to read or write")]
    NoMemory,
}

/// Runs a program file.
///
/// # Errors
/// If it is not a program that the engine can run, or has no such entry.
pub fn run(bytes: &[u8], options: &RunOptions) -> Result<Outcome, RunError> {
    Session::load(bytes, options)?.enter(&options.entry, &options.args)
}
