//! The driver's view of a target: every step of a compilation that depends on the machine.
//!
//! The pipeline asks [`Options::backend`] for the backend of the chosen target and never for the target itself.

mod container;
mod limits;
mod metadata;
mod pvm;
mod thumb;

use llvm_frontend::Demands;
use ssa::Module;

use crate::clock::Clock;
use std::ops::Range;

use crate::error::Error;
use crate::exports::Exports;
use crate::options::{Floats, Options, OptionsError, Target};
use crate::report::Details;

/// A module after the frontend.
pub struct Translated<'a> {
    /// The module in SSA.
    pub module: Module,
    /// Its exports with their types in wasm.
    pub exports: Exports,
    /// The module that it was, with everything linked in.
    pub wasm: &'a [u8],
    /// The bytes of each function's body in the module, if the target records them.
    pub bodies: Vec<(String, Range<usize>)>,
}

/// A target with the options of one compilation.
pub trait Backend {
    /// Checks that the options are consistent.
    fn check(&self) -> Result<(), OptionsError>;

    /// Treatment of float operators unless the options choose one, in a module whose reachable code does or doesn't
    /// compute with floats.
    fn default_floats(&self, computes: bool) -> Floats;

    /// Options of the frontend that depend on the target; the caller adds the others.
    fn frontend(&self) -> llvm_frontend::Options;

    /// The requirements of a module that the target can't meet.
    fn unmet(&self, demands: &Demands) -> Vec<Error>;

    /// The names that the output can't have.
    fn unmet_names(&self, _: &Demands) -> Vec<Error> {
        Vec::new()
    }

    /// Names of the passes over each function, in order.
    fn pass_names(&self) -> Vec<&'static str>;

    /// Whether accesses have to stay inside of the size of linear memory.
    fn limits_memory(&self) -> bool;

    /// Whether the output records the places of functions in the module.
    fn records_bodies(&self) -> bool {
        false
    }

    /// Compiles a module to the output file and the facts about it. Calls `observe` with the module after the target's
    /// passes from SSA to SSA.
    fn compile(
        &self,
        translated: Translated<'_>,
        clock: &mut Clock,
        observe: &mut dyn FnMut(&Module),
    ) -> Result<(Vec<u8>, Details), Error>;

    /// The text of the module after the target's passes from SSA to SSA.
    fn prepared(&self, translated: Translated<'_>) -> Result<String, Error>;

    /// The text of every function after one of [`Self::pass_names`].
    fn after(&self, translated: Translated<'_>, pass: &str) -> Result<String, Error>;

    /// The assembly of the finished code.
    fn assembly(&self, translated: Translated<'_>) -> Result<String, Error>;

    /// Whether the output has a C header.
    fn has_header(&self) -> bool;

    /// The C header of the output.
    fn header(&self, translated: Translated<'_>) -> Result<String, Error>;
}

impl Options {
    /// The backend of the target.
    pub(crate) fn backend(&self) -> Box<dyn Backend + '_> {
        match &self.target {
            Target::Pvm(target) => Box::new(pvm::Pvm { target, options: self }),
            Target::Thumb(target) => Box::new(thumb::Thumb { target, options: self }),
        }
    }
}
