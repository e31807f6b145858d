//! Exact bounds checks without branches.
//!
//! The frontend writes a comparison and a branch before every access, and LLVM removes those that it can prove. A branch
//! ends a block, and each block waits for memory anew. So the checks that are left become *clamps* where the machine's
//! memory map can take over: see [`clamps`]. Some checks have a second part, for loads that may be from the argument bytes
//! of an entry. [`pointers`] finds the loads that can't be, and removes it from them.

mod checks;
mod clamps;
mod linear;
mod pointers;
mod split;

#[cfg(test)]
mod tests;

use ::prepare::sums;
use ssa::{DataId, Module};

use crate::memory::{ProgramLayout, linear};
use clamps::Limits;
use pointers::ArgumentPointers;

/// Replaces checks by clamps. Returns whether there are clamps: then the first byte after linear memory must not be
/// mapped.
pub fn clamp_accesses(module: &mut Module, memory: DataId, layout: &ProgramLayout) -> bool {
    for func in module.functions.values_mut().flatten() {
        split::split_joined(func, module.host_arguments);
    }
    if let Some(arguments) = module.host_arguments {
        let pointers = ArgumentPointers::of(module);
        for id in module.functions.ids() {
            if let Some(func) = &mut module.functions[id] {
                checks::drop_argument_checks(func, arguments, |value| pointers.contains(id, value));
            }
        }
    }
    let Some(limits) = Limits::of(module, memory, linear(module, memory), layout) else { return false };
    let mut is_clamped = false;
    for func in module.functions.values_mut().flatten() {
        sums::share(func);
        is_clamped |= clamps::clamp(func, &limits);
    }
    is_clamped
}
