//! The objects of static data, once all references to it are known.
//!
//! The plan of static data is [`wasm_program::statics`]. Two cases:
//! - With relocations, objects are those of the linker's symbols; [`symbols`] gives them names and access.
//! - Without them, [`cut`] cuts the range of static data into objects, by the references that remain.

use wasm_program::error::Error;
use wasm_program::program::Program;
use wasm_program::statics::StaticPlan;

mod cut;
mod references;
mod symbols;

/// Replaces static data by its objects.
///
/// # Errors
/// Without relocations: data or a global that could hold an address.
pub fn place(module: ssa::Module, plan: &StaticPlan, program: &Program<'_>) -> Result<ssa::Module, Error> {
    match &plan.relocations {
        Some(relocations) => Ok(symbols::place(module, relocations)),
        None => cut::place(module, plan, program),
    }
}
