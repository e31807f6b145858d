//! Finding addresses among the constants of a part, before LLVM optimises.
//!
//! Where linear memory is the machine's memory, a constant may be an address of static data, an address of a device, or
//! a number. [`flow`] is the graph of how values are computed, [`signs`] the evidence in it, and [`literals`] the
//! decision for each constant in the range of static data. Accesses to devices become volatile.

mod flow;
mod literals;
mod signs;

use inkwell::module::Module;
use inkwell::values::InstructionOpcode;
use wasm_program::error::Error;
use wasm_program::program::Program;

use crate::passes;

/// Processes all code of a part before LLVM optimises: makes accesses to devices volatile, and classifies literals.
///
/// # Errors
/// A literal that could be an address or a number.
pub fn resolve(module: &Module<'_>, program: &Program<'_>) -> Result<(), Error> {
    if !program.options.static_data {
        return Ok(());
    }
    passes::promote(module, &program.options.target);
    let plan = program.statics.as_ref().filter(|plan| plan.relocations.is_none());
    let devices = {
        let graph = flow::Graph::new(module, program);
        let devices =
            signs::device_accesses(&graph, |constant| !plan.is_some_and(|plan| plan.contains(constant)));
        if let Some(plan) = plan {
            literals::resolve(module, &graph, plan, program)?;
        }
        devices
    };
    let functions = module.get_functions();
    let instructions =
        functions.flat_map(|f| f.get_basic_blocks()).flat_map(|block| block.get_instructions());
    let accesses = instructions
        .filter(|inst| matches!(inst.get_opcode(), InstructionOpcode::Load | InstructionOpcode::Store));
    for (access, _) in accesses.zip(devices).filter(|(_, is_device)| *is_device) {
        access.set_volatile(true).expect("loads and stores can be volatile");
    }
    Ok(())
}
