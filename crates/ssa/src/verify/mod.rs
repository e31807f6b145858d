//! The verifier of [`Module`]s.
//!
//! It checks the invariants listed in the documentation of the crate and the documented conditions of every field, and
//! stops at the first violation. Each stage relies only on earlier ones: references are checked before they are
//! followed, blocks before the graph is built, the graph before dominance. Everything is linear except dominators and
//! name sets (n log n), so the verifier may run after every pass.
//!
//! A condition must be 0 or 1, which types can't express. The verifier refuses operands that are obviously something
//! else (other constants, addresses); the interpreter checks the rest at run time.

mod function;
mod module;
mod types;

use std::fmt;

use crate::text::print_inst;
use crate::{Block, FuncId, Function, Inst, Module};

/// The first violated invariant of a module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyError {
    /// Name of the function it is in, unless it concerns a declaration.
    pub function: Option<String>,
    /// The block, if it concerns one.
    pub block: Option<Block>,
    /// The text form of the instruction, if it concerns one.
    pub inst: Option<String>,
    /// The violation.
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
    module.functions.values().flatten().try_for_each(|func| verify_function(module, func))
}

/// Checks all functions that have a body, after the passes of a target. The declarations are not checked: a function that
/// was removed because nothing reaches it is still declared. Targets use frame slots also where no shadow stack is fused,
/// such as for results that a convention returns in memory.
pub fn verify_bodies(module: &Module) -> Result<(), VerifyError> {
    for func in module.functions.values().flatten() {
        verify_body(module, func)?;
    }
    Ok(())
}

/// Checks one function, which need not be in `module.functions` yet. The declarations of `module` are not checked.
pub fn verify_function(module: &Module, func: &Function) -> Result<(), VerifyError> {
    verify_body(module, func)?;
    function::check_addresses(module, func).map_err(|fault| fault.of(module, func))
}

fn verify_body(module: &Module, func: &Function) -> Result<(), VerifyError> {
    function::verify(module, func).map_err(|fault| fault.of(module, func))
}

/// A violated invariant of a function.
struct Fault {
    block: Option<Block>,
    inst: Option<Inst>,
    message: String,
}

impl Fault {
    fn of(self, module: &Module, func: &Function) -> VerifyError {
        VerifyError {
            function: Some(func.name.clone()),
            block: self.block,
            inst: self.inst.map(|inst| print_inst(module, func, inst)),
            message: self.message,
        }
    }

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

/// Checks that a function is declared.
fn check_func(module: &Module, func: FuncId) -> Result<(), String> {
    ensure(module.decls.get(func).is_some(), || format!("{func} doesn't exist"))
}
