//! What can go wrong in a compilation, by whose fault it is. Bugs of the compiler are panics, not errors.

use crate::adapter::AdapterError;
use crate::input::InputError;

/// Why an input was not compiled. The text is one line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no WebAssembly in any accepted form.
    #[error(transparent)]
    Input(#[from] InputError),
    /// An adapter can't be linked to the module.
    #[error("adapter {index}: {error}")]
    Adapter {
        /// Which one, counted from 1.
        index: usize,
        /// Why.
        error: AdapterError,
    },
    /// The module is invalid, or not supported with these options.
    #[error(transparent)]
    Frontend(#[from] llvm_frontend::Error),
    /// The target can't take the program with these options.
    #[error(transparent)]
    Target(#[from] target_pvm::Error),
}
