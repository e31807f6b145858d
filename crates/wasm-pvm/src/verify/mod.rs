//! The self-check: compiled programs beside a reference engine.

mod subject;

pub use subject::{Ending, Program, Subject};

use crate::error::Error;

/// The reason why a program can't be checked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VerifyError {
    /// It can't be compiled.
    #[error(transparent)]
    Compile(#[from] Error),
    /// The reference engine doesn't take the module, or fails.
    #[error("the reference engine: {0}")]
    Reference(String),
    /// The machine doesn't take the program, or fails.
    #[error("{0}")]
    Machine(String),
}
