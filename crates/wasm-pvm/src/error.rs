//! What can go wrong in a compilation, by whose fault it is. Bugs of the compiler are panics, not errors.

use crate::adapter::AdapterError;
use crate::input::InputError;
use crate::options::OptionsError;

/// Why an input was not compiled. The text is one line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The options contradict each other.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The bytes are no WebAssembly in any accepted form.
    #[error(transparent)]
    Input(#[from] InputError),
    /// An adapter is no WebAssembly in any accepted form.
    #[error("adapter {index}: {error}")]
    Adapter {
        /// Which one, counted from 1.
        index: usize,
        /// Why.
        error: InputError,
    },
    /// The modules don't fit each other.
    #[error("linking adapters: {0}")]
    Linking(AdapterError),
    /// The module is invalid, or not supported with these options.
    #[error(transparent)]
    Frontend(#[from] llvm_frontend::Error),
    /// The module asks for several things that it doesn't get.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<Error>),
    /// The PVM can't take the program with these options.
    #[error(transparent)]
    Pvm(#[from] target_pvm::Error),
    /// Cortex-M can't take the program with these options.
    #[error(transparent)]
    Thumb(#[from] target_thumb::Error),
    /// An object can't be read, or has no assembly.
    #[error(transparent)]
    File(#[from] target_thumb::FileError),
}
