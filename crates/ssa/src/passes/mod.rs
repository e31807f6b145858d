//! Clean-up passes that establish the invariants of the crate.
//!
//! They are not optimisations; LLVM has done those. They bring the direct output of the reader of LLVM IR (one block
//! parameter per phi, one edge per branch) into canonical form. Each pass takes one function, is near-linear and
//! deterministic, and doesn't recurse. [`canonicalize`] lists them in order.

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

/// Brings a function into canonical form: the invariants of the crate hold, blocks are in reverse postorder, and ids
/// are dense in that order. Before, blocks must already end in terminators and definitions must dominate their uses.
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
