//! Flattening components into core modules.
//!
//! A component (WASI 0.2, `wasm32-wasip2`) wraps core modules. It says which exports of which instance each import is
//! given, and converts between values of the component model and numbers: `canon lower` makes a core function of a
//! function of the host, `canon lift` a function for the host of a core function. All of this is static, so a component
//! can be rewritten as one core module, of the form that a core module has before a tool wraps it into a component:
//!
//! - A function `f` of an interface `i` of the host is the import `f` of the module `i`, with the flat types of the
//!   canonical ABI; dropping a handle of a resource `r` is `[resource-drop]r`.
//! - A function `f` of an exported interface `i` is the export `i#f`, if its types are scalars. Others are left out.
//! - The first memory is the one through which functions of the host exchange data, and the export `cabi_realloc`
//!   allocates in it.
//!
//! [`read`] reads and validates the definitions, [`evaluate`] carries them out, with instances and functions as values,
//! and [`glue`] writes a module that connects the host to the instances. The linker of adapters makes one module of all.

mod evaluate;
mod glue;
mod read;
mod scope;

use crate::adapter::{self, AdapterError};

/// Name of the function that allocates memory for results of the host's functions.
pub const REALLOC: &str = "cabi_realloc";

/// The reason why a component can't be flattened.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ComponentError {
    /// It is malformed or invalid.
    #[error("the component is invalid at offset {offset:#x}: {message}")]
    Invalid {
        /// Byte offset in the component.
        offset: u64,
        /// The reason.
        message: String,
    },
    /// It uses a part of the component model that is not supported.
    #[error("the component uses {what} (offset {offset:#x}), which is not supported: {way_out}")]
    Unsupported {
        /// The part.
        what: &'static str,
        /// Byte offset in the component.
        offset: u64,
        /// A way out.
        way_out: &'static str,
    },
    /// It imports a module, component or value.
    #[error(
        "the component imports {0}, which is no interface of functions: compose it with its definition first"
    )]
    Import(String),
    /// It has no function that can be called.
    #[error(
        "the component exports no function that can be called{}: export `wasi:cli/run`, or functions whose parameters and \
         result are numbers, booleans or characters", left_out(.0)
    )]
    NoEntry(Vec<String>),
    /// It instantiates too many definitions.
    #[error("the component instantiates more than {0} definitions")]
    TooLarge(usize),
    /// Its modules can't be linked.
    #[error("linking the component's modules: {0}")]
    Linking(AdapterError),
}

impl ComponentError {
    fn invalid(error: &wasmparser::Error) -> Self {
        Self::Invalid { offset: error.offset(), message: error.message().to_owned() }
    }
}

impl From<wasmparser::Error> for ComponentError {
    fn from(error: wasmparser::Error) -> Self {
        Self::invalid(&error)
    }
}

fn left_out(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(" ({} have other types)", names.join(", ")) }
}

/// The core module that a component is equivalent to.
///
/// # Errors
/// If the component is invalid, uses what is not supported, or has nothing that can be called.
pub fn flatten(bytes: &[u8]) -> Result<Vec<u8>, ComponentError> {
    let component = read::read(bytes)?;
    let program = evaluate::evaluate(&component)?;
    if program.entries.is_empty() {
        return Err(ComponentError::NoEntry(program.left_out));
    }
    if !program.left_out.is_empty() {
        let names = program.left_out.join(", ");
        tracing::warn!(
            code = "W0116",
            "functions with other types than numbers, booleans and characters are left out: {names}"
        );
    }
    let glue::Linkage { instances, memories, exports } = glue::linkage(program);
    adapter::link_instances(&instances, &memories, &exports).map_err(ComponentError::Linking)
}

#[cfg(test)]
mod tests;
