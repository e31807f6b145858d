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
mod lowest;
mod passed;
mod pointers;
mod ranges;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use ::prepare::sums;
use ssa::{CheckedAccess, DataId, FuncId, FuncKind, Module};

use crate::memory::{ProgramLayout, linear};
use clamps::Limits;
use lowest::{computes_addresses, lowest_of_hosts};
use passed::Arguments;
use pointers::ArgumentPointers;

/// What is known about a module whose accesses have been clamped.
pub struct Checked {
    /// The bytes that the arguments must have for functions to be entered, where that isn't 0.
    pub least_arguments: BTreeMap<FuncId, u32>,
    /// No address of linear memory below this is used.
    pub lowest: u32,
    /// Clamped addresses are at most this.
    pub limit: u32,
}

/// Replaces marks by clamps. `entered` are the functions whose first parameters are address and length of the
/// arguments where hosts enter them, each with whether it has no other callers. Returns `None` if there are no marks. Else
/// the first byte after linear memory must not be mapped.
pub fn clamp_accesses(
    module: &mut Module,
    memory: DataId,
    layout: &ProgramLayout,
    entered: &BTreeMap<FuncId, bool>,
) -> Option<Checked> {
    let is_check =
        |kind: &FuncKind| matches!(kind, FuncKind::Intrinsic(name) if name == CheckedAccess::SYMBOL);
    let check = module.decls.ids().find(|&id| is_check(&module.decls[id].kind))?;
    let limits = Limits::of(module, check, memory, linear(module, memory), layout);
    module.functions.values_mut().flatten().for_each(sums::share);
    let pointers = module.host_arguments.map(|_| ArgumentPointers::of(module, memory, entered.keys()));
    let lowest = lowest_of_hosts(module, entered);
    let mut checked = Checked { least_arguments: BTreeMap::new(), lowest, limit: limits.limit };
    let mut arguments = Arguments::of(module, entered.keys());
    for id in std::mem::take(&mut arguments.order) {
        if let Some(func) = &mut module.functions[id] {
            let is_entered = module.host_arguments.is_some() && entered.get(&id) == Some(&true);
            let may_be_argument =
                |value| pointers.as_ref().is_some_and(|pointers| pointers.contains(id, value));
            let clamped = clamps::clamp(id, func, &limits, is_entered, &may_be_argument, &mut arguments);
            checked.lowest = checked.lowest.min(clamped.lowest);
            if clamped.least_arguments > 0 {
                checked.least_arguments.insert(id, clamped.least_arguments);
            }
        }
    }
    if computes_addresses(module, memory) {
        checked.lowest = 0;
    }
    Some(checked)
}
