//! Expansion of switches, within the limits that suit this machine.

use codegen::SwitchLimits;

/// Turns the switches of a function into branches and into the dense tables that selection requires. A dispatch costs
/// as much as one and a half branches, and its range check as one more, so a few cases are better compared one by one.
pub fn expand(func: &mut ssa::Function) {
    let limits = match func.optimize_for_size {
        true => SwitchLimits { min_clusters: 5, max_sparsity: 2, bytes: None },
        false => SwitchLimits { min_clusters: 4, max_sparsity: 4, bytes: None },
    };
    codegen::expand_switches(func, limits);
}
