//! The self-check: compiled programs beside a reference engine.
//!
//! Each function that can be called without a host runs in the program, on the machine's engine, and in the module, on
//! `wasmi`, with generated arguments, memory and globals ([`inputs`]). Results, traps, memory and globals are compared
//! ([`check`]). The exports of the module come first. Then the module is compiled again with exports for its other
//! functions, so these are checked as they are compiled then: with the same options, but perhaps with other decisions about
//! inlining.
//!
//! Everything derives from the seed and the index of a function, so a report repeats itself, and one function can be
//! repeated alone. What the target has to offer is in [`subject`]; the rest knows nothing of machines.

mod check;
mod inputs;
mod module;
mod pvm;
mod reduce;
mod reference;
mod stage;
mod subject;
mod target;
mod thumb;

pub mod spelled;

use llvm_frontend::ModuleInfo;

pub use check::{Checked, Class, Difference, text_of_value};
pub use inputs::Input;
pub use subject::{Effect, Ending, Program, Subject};

use self::module::{exported, internal};
use self::stage::{Maker, Stage, Strict};
use crate::compile::linked;
use crate::error::Error;
use crate::options::Options;

/// The reason why a program can't be checked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VerifyError {
    /// It can't be compiled.
    #[error(transparent)]
    Compile(#[from] Error),
    /// The reference engine doesn't take the module, or fails.
    #[error("it can't be checked by the reference engine, wasmi: {0}")]
    Reference(String),
    /// The machine doesn't take the program, or fails.
    #[error("{0}")]
    Machine(String),
    /// The start function doesn't return on both sides.
    #[error(
        "nothing can be called, as the start function does not return: in the reference engine, {expected}; in the \
         program, {actual}"
    )]
    Start {
        /// Its end in the reference engine.
        expected: String,
        /// Its end in the program.
        actual: String,
    },
    /// There is no such function.
    #[error("the module has no function `{0}` that can be called")]
    UnknownFunction(String),
}

/// The extent of a check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// A compiled file to check, instead of the output of this compiler. Only its exports can be called.
    pub against: Option<Vec<u8>>,
    /// The calls of each function.
    pub inputs: u32,
    /// The seed of all inputs.
    pub seed: u64,
    /// Check this function only, by name, export or index.
    pub function: Option<String>,
    /// The most that a call takes in the reference engine, in its unit: about an operator.
    pub fuel: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { against: None, inputs: 32, seed: 0, function: None, fuel: 100_000 }
    }
}

/// A function that was checked, or not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FunctionReport {
    /// Its wasm index.
    pub index: u32,
    /// Its name in the module.
    pub name: String,
    /// Whether the module exports it.
    pub is_exported: bool,
    /// The outcome, or the reason why it can't be called.
    pub outcome: Result<Checked, String>,
}

/// The outcome of a check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verification {
    /// The exports of the module, and then its other functions, by index.
    pub functions: Vec<FunctionReport>,
    /// A smaller module with the first difference, if there is any.
    pub reduced: Option<Vec<u8>>,
}

impl Verification {
    /// Functions with a difference.
    pub fn differences(&self) -> impl Iterator<Item = (&FunctionReport, &Difference)> {
        self.functions
            .iter()
            .filter_map(|function| Some((function, function.outcome.as_ref().ok()?.difference.as_ref()?)))
    }
}

/// Checks a module: what it compiles to with these options, or a file that was compiled before.
///
/// # Errors
/// If it can't be compiled, or can't run on one of the sides. A difference is no error.
pub fn verify(input: &[u8], options: &Options, settings: &Settings) -> Result<Verification, VerifyError> {
    verify_with(input, options, settings, &target::compiled)
}

/// The same for programs that `make` makes of modules.
fn verify_with(
    input: &[u8],
    options: &Options,
    settings: &Settings,
    make: Maker<'_>,
) -> Result<Verification, VerifyError> {
    let (wasm, options) = linked(input, options)?;
    let info = parse(&wasm)?;
    let options = target::callable(options);
    let outer = exported(&wasm, &info);
    // All exports of the first module are exports of the second.
    let inner = if settings.against.is_none() { Some(internal(&wasm, &info)?) } else { None };
    let strict = Strict::new(inner.as_ref().map_or(&outer.wasm, |inner| &inner.wasm));
    let stage = Stage::new(&outer, &options, settings, make, &strict)?;
    let mut functions = stage.functions(true)?;
    let mut reduced = stage.reduced(&functions);
    if let Some(inner) = inner.as_ref().filter(|inner| !inner.functions.is_empty()) {
        // Counts are of the module as it was.
        let options = Options { profile: None, ..options };
        let stage = Stage::new(inner, &options, settings, make, &strict)?;
        let found = stage.functions(false)?;
        reduced = reduced.or_else(|| stage.reduced(&found));
        functions.extend(found);
    }
    if let Some(name) = settings.function.as_ref().filter(|_| functions.is_empty()) {
        return Err(VerifyError::UnknownFunction(name.clone()));
    }
    Ok(Verification { functions, reduced })
}

fn parse(wasm: &[u8]) -> Result<ModuleInfo, VerifyError> {
    ModuleInfo::parse(wasm).map_err(|error| Error::from(error).into())
}

#[cfg(test)]
mod tests;
