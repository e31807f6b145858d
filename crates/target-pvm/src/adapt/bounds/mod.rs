//! Exact bounds checks without branches.
//!
//! The frontend marks accesses by calls of an intrinsic ([`ssa::CheckedAccess`]), which don't keep LLVM from optimising as
//! if nothing were checked. Here the marks become *clamps*: a minimum makes the address of the access one that faults, as
//! the machine's memory map has nothing there. See [`clamps`]. Some loads may also be from the argument bytes of an entry;
//! [`pointers`] finds those that can't be, which are nearly all.

mod ahead;
mod arguments;
mod clamps;
mod facts;
mod hoist;
mod intervals;
mod linear;
mod pointers;
mod ranges;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use ::prepare::sums;
use ssa::{CheckedAccess, DataId, FuncId, FuncKind, Module};

use crate::memory::{ProgramLayout, linear};
use clamps::Limits;
use pointers::ArgumentPointers;

/// Replaces marks by clamps. `entered` are the functions whose first parameters are address and length of the
/// arguments where hosts enter them, each with whether it has no other callers. Returns `None` if there are no marks. Else
/// the first byte after linear memory must not be mapped, and functions must only be entered with as many bytes of
/// arguments as the result has for them.
pub fn clamp_accesses(
    module: &mut Module,
    memory: DataId,
    layout: &ProgramLayout,
    entered: &BTreeMap<FuncId, bool>,
) -> Option<BTreeMap<FuncId, u32>> {
    let is_check =
        |kind: &FuncKind| matches!(kind, FuncKind::Intrinsic(name) if name == CheckedAccess::SYMBOL);
    let Some(check) = module.decls.ids().find(|&id| is_check(&module.decls[id].kind)) else { return None };
    let limits = Limits::of(module, check, memory, linear(module, memory), layout);
    module.functions.values_mut().flatten().for_each(sums::share);
    let pointers = module.host_arguments.map(|_| ArgumentPointers::of(module, memory, entered.keys()));
    let mut certain = BTreeMap::new();
    for id in module.functions.ids() {
        if let Some(func) = &mut module.functions[id] {
            let is_entered = module.host_arguments.is_some() && entered.get(&id) == Some(&true);
            let bytes = clamps::clamp(func, &limits, is_entered, &|value| {
                pointers.as_ref().is_some_and(|pointers| pointers.contains(id, value))
            });
            if bytes > 0 {
                certain.insert(id, bytes);
            }
        }
    }
    Some(certain)
}
