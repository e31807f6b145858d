//! Replacing what the machine lacks by what it has, in SSA.
//!
//! Operations that take many instructions become calls of helper functions, which are SSA, too (`helpers.ssa`), and are
//! compiled into the object as local functions: nothing is left for the linker to find.

mod divide;
mod helpers;

use ssa::Module;

use crate::cpu::Cpu;

/// Rewrites a module so that selection has an answer to everything in it that the core can do.
pub fn legalize(module: &mut Module, _cpu: Cpu) {
    let mut helpers = helpers::Helpers::new();
    for id in module.functions.ids().collect::<Vec<_>>() {
        let Some(mut func) = module.functions[id].take() else { continue };
        divide::replace(module, &mut func, &mut helpers);
        module.functions[id] = Some(func);
    }
}
