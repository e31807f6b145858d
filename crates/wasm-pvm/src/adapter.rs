//! Linking adapters: modules whose exports replace imports of another module.
//!
//! An import map gives an import a fixed action. Some imports need code as well, for example to read a string's length
//! from memory before a host call. Such code is a wasm module of its own, the *adapter*. Adapters are linked with the
//! *main* module into one module before compilation, so the optimiser can inline them.
//!
//! The result behaves as if an engine instantiated the adapters, then the main module, and gave each the exports of
//! the others. Unlike in an engine, modules may import from each other in circles, as long as no import is its own
//! definition.
//!
//! - An import is replaced by an export of the same kind whose name is the import's second level ([`resolve`]). Types
//!   must match by the rules of WebAssembly's linking. Remaining imports of one name become one import.
//! - Constant expressions get the values of globals that replace imports ([`constants`]).
//! - Segments are written and start functions run in the order of instantiation ([`start`]).
//! - There is one memory, the main module's if it has one. An adapter may use it without declaring it. A memory that an
//!   adapter declares is replaced by that one if it has no pages or is never accessed. Two other memories are an error,
//!   unless the adapter imports the first, so that it means both.
//! - Modules of a component are given the exports that their imports mean, not found by name ([`instances`]).
//! - The result exports the main module's exports. All other entries of the modules are concatenated ([`layout`]).
//!
//! No module is validated here: the frontend validates the result.

mod accesses;
mod classes;
mod constants;
mod encode;
mod instances;
mod layout;
mod module;
mod resolve;
mod start;
mod types;

use std::cell::RefCell;

use wasm_encoder::reencode;

use constants::Constants;
use encode::Linking;
pub(crate) use instances::{Given, Instance, InstanceExport, Source, link_instances};
use layout::Layout;
use module::{LinkedModule, ModuleExport, Space};
use resolve::MAIN;

/// Why adapters can't be linked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AdapterError {
    /// One of the modules is malformed.
    #[error("{module}: malformed at offset {offset:#x}: {message}")]
    Malformed {
        /// The module.
        module: String,
        /// Byte offset in the module.
        offset: u64,
        /// The reason.
        message: String,
    },
    /// An index is out of range.
    #[error("the modules refer to {0} {1}, which does not exist")]
    Index(&'static str, u32),
    /// The export and the import have different types.
    #[error("{} imports {} as {}, but {} has {}", .0.one.0, .0.import, .0.one.1, .0.other.0, .0.other.1)]
    Type(Box<Disagreement>),
    /// Two modules import one name from the host with different types.
    #[error(
        "{} imports {} as {}, but {} imports it as {}: give them the same type, or different names",
        .0.one.0, .0.import, .0.one.1, .0.other.0, .0.other.1
    )]
    Clash(Box<Disagreement>),
    /// Two modules have a memory each.
    #[error(
        "{one} and {other} have a memory each, and there can be one: let {other} import its memory from {one}, \
         such as `(import \"env\" \"memory\" (memory 0))`"
    )]
    Memories {
        /// The module with the first memory.
        one: String,
        /// The module with another.
        other: String,
    },
    /// An import is given nothing, or an entry that does not exist.
    #[error("{0}: the import {1} is given nothing")]
    NotGiven(String, String),
    /// The functions of a component that the host calls or implements access several memories.
    #[error("the component's functions exchange data through several memories, and one is supported")]
    SharedMemories,
    /// Imports and exports form a circle without a definition.
    #[error("the import {0} is its own definition")]
    Circular(String),
    /// A constant expression refers to a mutable global.
    #[error("{1}: a constant expression refers to the mutable global {0}")]
    Mutable(String, String),
    /// A constant expression that depends on globals of the host exceeds a limit of its length.
    #[error("{0}: a constant expression is too long")]
    Constant(String),
    /// Any other input that the encoder refuses.
    #[error("{0}: {1}")]
    Other(String, String),
}

/// Two modules see different types in one import.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disagreement {
    /// Full name of the import.
    pub import: String,
    /// The importing module, and the type it requires.
    pub one: (String, String),
    /// The other module, and the type that it exports or requires.
    pub other: (String, String),
}

impl AdapterError {
    pub(crate) fn malformed(module: &str, error: &wasmparser::Error) -> Self {
        let message = error.message().to_owned();
        Self::Malformed { module: module.to_owned(), offset: error.offset(), message }
    }

    fn encoding(module: &str, error: reencode::Error<Self>) -> Self {
        match error {
            reencode::Error::UserError(error) => error,
            reencode::Error::ParseError(error) => Self::malformed(module, &error),
            other => Self::Other(module.to_owned(), other.to_string()),
        }
    }
}

/// Links `adapters` into `main`; all are WebAssembly binaries.
///
/// # Errors
/// If types disagree, definitions are circular, there are two memories, or a module is malformed.
pub fn link<A: AsRef<[u8]>>(main: &[u8], adapters: &[A]) -> Result<Vec<u8>, AdapterError> {
    let modules = parse(main, adapters)?;
    let exports = modules[MAIN].exports.iter().map(|export| (MAIN, *export)).collect();
    encode(&modules, exports)
}

/// Links an adapter whose export `entry` is the only function that the result exports, under the name `name`.
pub(crate) fn link_entry(
    main: &[u8],
    adapter: &[u8],
    entry: &str,
    name: &str,
) -> Result<Vec<u8>, AdapterError> {
    let adapters = [adapter];
    let modules = parse(main, &adapters)?;
    let missing = || AdapterError::Other("the adapter".to_owned(), format!("it has no export {entry}"));
    let entry = modules[MAIN + 1].export(entry).ok_or_else(missing)?;
    let of_main = modules[MAIN].exports.iter().filter(|export| export.space != Space::Func);
    let of_main = of_main.filter(|export| export.name != name).map(|export| (MAIN, *export));
    let exports = std::iter::once((MAIN + 1, ModuleExport { name, ..*entry })).chain(of_main).collect();
    encode(&modules, exports)
}

/// Links an adapter into a module whose export `start`, if it has one, is called at the end of instantiation. The export
/// `hidden` is for the adapter only.
pub(crate) fn link_started(
    main: &[u8],
    adapter: &[u8],
    start: &str,
    hidden: Option<&str>,
) -> Result<Vec<u8>, AdapterError> {
    let adapters = [adapter];
    let mut modules = parse(main, &adapters)?;
    let export = modules[MAIN].export(start).filter(|export| export.space == Space::Func).copied();
    modules[MAIN].starts.extend(export.map(|export| export.index));
    let exports = modules[MAIN].exports.iter().filter(|export| export.name != start);
    let exports = exports.filter(|export| Some(export.name) != hidden);
    let exports = exports.map(|export| (MAIN, *export)).collect();
    encode(&modules, exports)
}

fn parse<'a, A: AsRef<[u8]>>(
    main: &'a [u8],
    adapters: &'a [A],
) -> Result<Vec<LinkedModule<'a>>, AdapterError> {
    let mut modules = vec![LinkedModule::parse("the main module", main)?];
    for (n, adapter) in (1..).zip(adapters) {
        modules.push(LinkedModule::parse(&format!("adapter {n}"), adapter.as_ref())?);
    }
    classes::classify(&mut modules)?;
    Ok(modules)
}

fn encode(
    modules: &[LinkedModule<'_>],
    exports: Vec<(usize, ModuleExport<'_>)>,
) -> Result<Vec<u8>, AdapterError> {
    let layout = Layout::new(modules, resolve::meanings(modules)?)?;
    encode_as(modules, layout, exports)
}

fn encode_as(
    modules: &[LinkedModule<'_>],
    layout: Layout,
    exports: Vec<(usize, ModuleExport<'_>)>,
) -> Result<Vec<u8>, AdapterError> {
    Linking { modules, layout, constants: RefCell::new(Constants::default()), exports }.encode()
}

#[cfg(test)]
mod tests;
