//! Exact bounds checks without branches.
//!
//! The frontend marks accesses by calls of an intrinsic ([`ssa::CheckedAccess`]), which don't keep LLVM from optimising as
//! if nothing were checked. Here the marks become *clamps*: a minimum makes the address of the access one that faults, as
//! the machine's memory map has nothing there. See [`clamps`]. Some loads may also be from the argument bytes of an entry;
//! [`pointers`] finds those that can't be, which are nearly all.

mod ahead;
mod clamps;
mod facts;
mod linear;
mod pointers;
mod ranges;

#[cfg(test)]
mod tests;

use ::prepare::sums;
use ssa::{CheckedAccess, DataId, FuncKind, Module};

use crate::memory::{ProgramLayout, linear};
use clamps::Limits;
use pointers::ArgumentPointers;

/// Replaces marks by clamps. Returns whether there were any: then the first byte after linear memory must not be mapped.
pub fn clamp_accesses(module: &mut Module, memory: DataId, layout: &ProgramLayout) -> bool {
    let is_check =
        |kind: &FuncKind| matches!(kind, FuncKind::Intrinsic(name) if name == CheckedAccess::SYMBOL);
    let Some(check) = module.decls.ids().find(|&id| is_check(&module.decls[id].kind)) else { return false };
    let limits = Limits::of(module, check, memory, linear(module, memory), layout);
    module.functions.values_mut().flatten().for_each(sums::share);
    let pointers = module.host_arguments.map(|_| ArgumentPointers::of(module));
    for id in module.functions.ids() {
        if let Some(func) = &mut module.functions[id] {
            clamps::clamp(func, &limits, &|value| {
                pointers.as_ref().is_some_and(|pointers| pointers.contains(id, value))
            });
        }
    }
    true
}
