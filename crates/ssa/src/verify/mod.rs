//! The verifier: is a value of [`Module`] what the crate promises?
//!
//! It checks the promises listed at the top of the crate and the documented conditions of every field, and stops
//! at the first that doesn't hold. Each stage relies on those before it only: references are in range before
//! anything is looked up, blocks are well-formed before the graph is built, the graph is right before dominance
//! is asked. Everything is linear but for dominators and name sets (n log n), so it may run after every pass.
//!
//! A condition must be 0 or 1, which types can't express: operands whose definition can be something else at a
//! glance (other constants, addresses) are refused; the interpreter checks the rest at run time.

mod function;
mod module;
mod types;

use std::fmt;

use crate::text::print_inst;
use crate::{Block, FuncId, Function, Inst, Module};

/// The first broken promise of a module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyError {
    /// Name of the function it is in, if it is in one.
    pub function: Option<String>,
    /// The block.
    pub block: Option<Block>,
    /// The text form of the instruction.
    pub inst: Option<String>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(function) = &self.function {
            write!(f, "function `{function}`: ")?;
        }
        if let Some(block) = self.block {
            write!(f, "{block}: ")?;
        }
        if let Some(inst) = &self.inst {
            write!(f, "`{inst}`: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for VerifyError {}

/// Checks a module with all its functions.
pub fn verify(module: &Module) -> Result<(), VerifyError> {
    module::verify_declarations(module)?;
    for func in module.functions.values().flatten() {
        verify_body(module, func)?;
    }
    Ok(())
}

/// Checks one function, which need not be in `module.functions` yet. The declarations of `module` are taken to
/// be right.
pub fn verify_function(module: &Module, func: &Function) -> Result<(), VerifyError> {
    verify_body(module, func)
}

fn verify_body(module: &Module, func: &Function) -> Result<(), VerifyError> {
    function::verify(module, func).map_err(|Fault { block, inst, message }| VerifyError {
        function: Some(func.name.clone()),
        block,
        inst: inst.map(|inst| print_inst(module, func, inst)),
        message,
    })
}

/// A broken promise in a function.
struct Fault {
    block: Option<Block>,
    inst: Option<Inst>,
    message: String,
}

impl Fault {
    fn new(message: impl Into<String>) -> Self {
        Self { block: None, inst: None, message: message.into() }
    }

    fn in_block(block: Block, message: impl Into<String>) -> Self {
        Self { block: Some(block), ..Self::new(message) }
    }

    fn at(block: Block, inst: Inst, message: impl Into<String>) -> Self {
        Self { inst: Some(inst), ..Self::in_block(block, message) }
    }
}

/// `Ok` if `holds`.
fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}

/// A function reference in range, with a usable declaration.
fn check_func(module: &Module, func: FuncId) -> Result<(), String> {
    ensure(module.decls.get(func).is_some(), || format!("{func} doesn't exist"))
}
