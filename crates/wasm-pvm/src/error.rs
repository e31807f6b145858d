//! Errors of a compilation, by whose fault they are. Bugs of the compiler are panics, not errors.

use crate::adapter::AdapterError;
use crate::counts::{InstrumentError, ProfileError};
use crate::input::InputError;
use crate::missing::MissingImports;
use crate::options::OptionsError;
use crate::wasi::WasiError;

/// The reason why an input was not compiled. The text is one line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The options contradict each other.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The bytes are not WebAssembly in any accepted form.
    #[error(transparent)]
    Input(#[from] InputError),
    /// An adapter is not WebAssembly in any accepted form.
    #[error("adapter {index}: {error}")]
    Adapter {
        /// Its number, counted from 1.
        index: usize,
        /// The reason.
        error: InputError,
    },
    /// A side module can't be placed.
    #[error("{0}")]
    SideModule(String),
    /// The modules can't be linked.
    #[error("linking adapters: {0}")]
    Linking(AdapterError),
    /// The module can't be linked with WASI.
    #[error(transparent)]
    Wasi(#[from] WasiError),
    /// The profile is not of this module.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The module can't get counters.
    #[error(transparent)]
    Instrument(#[from] InstrumentError),
    /// The module is invalid, or not supported with these options.
    #[error(transparent)]
    Frontend(#[from] llvm_frontend::Error),
    /// Imports without an action.
    #[error(transparent)]
    MissingImports(MissingImports),
    /// Requirements of the module that can't be met, all of them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<Error>),
    /// The PVM can't take the program with these options.
    #[error(transparent)]
    Pvm(#[from] target_pvm::Error),
    /// The program exceeds a limit of its container or of its hosts, or lacks what they need.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// Cortex-M can't take the program with these options.
    #[error(transparent)]
    Thumb(#[from] target_thumb::Error),
    /// The system has no address space for the stack of a thread.
    #[error("the system refuses a stack of {} MiB ({reason}); compiling needs that much address space (`ulimit -v`)", .bytes >> 20)]
    Stack {
        /// Its size.
        bytes: usize,
        /// The system's reason.
        reason: String,
    },
    /// An object can't be read, or has no assembly.
    #[error(transparent)]
    File(#[from] target_thumb::FileError),
}

impl Error {
    /// Lines that help to correct the error, if there are any beyond its text.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::MissingImports(missing) => Some(missing.help()),
            Self::Several(errors) => errors.iter().find_map(Self::help),
            _ => None,
        }
    }
}

/// The reason why no host or container takes a program.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LimitError {
    /// A number is too large.
    #[error("{what}: {measured}, and the limit is {limit} ({parts})")]
    Exceeded {
        /// The number.
        what: String,
        /// Its value.
        measured: usize,
        /// Its limit.
        limit: usize,
        /// What it consists of.
        parts: String,
    },
    /// The program lacks something.
    #[error("{0}")]
    Missing(String),
}
