//! Small clean-ups that make a function keep the promises of the crate.
//!
//! They are not optimisations, LLVM has done those: they turn whatever the reader of LLVM IR writes down
//! directly (a block parameter per phi, an edge per branch) into canonical form. Each is a function on a
//! function, near-linear, deterministic, and free of recursion; [`canonicalize`] is the list in order.

mod compact;
mod critical_edges;
mod dead;
mod entry;
mod fold_branches;
mod merge_blocks;
mod redundant_params;
mod replace;

pub use compact::compact;
pub use critical_edges::split_critical_edges;
pub use dead::remove_dead;
pub use entry::isolate_entry;
pub use fold_branches::fold_branches;
pub use merge_blocks::merge_blocks;
pub use redundant_params::remove_redundant_params;

use crate::Function;

/// Brings a function into canonical form: every promise of the crate about the shape of functions holds, blocks
/// are in reverse postorder and ids are dense in that order. The function's blocks end in terminators and its
/// definitions dominate their uses already.
pub fn canonicalize(func: &mut Function) {
    isolate_entry(func);
    // Twice: a parameter that turns out to be constant or dead may make a branch foldable.
    for _ in 0..2 {
        fold_branches(func);
        compact(func);
        remove_redundant_params(func);
        remove_dead(func);
    }
    merge_blocks(func);
    split_critical_edges(func);
    compact(func);
}
