//! What a profile has counted in runs of a module.

use std::collections::BTreeMap;

/// Counts of functions and branches. Code that is not in the maps was not observed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// The number of calls of each function, by its index.
    pub functions: BTreeMap<u32, u64>,
    /// How often each way of a branch was taken, by the byte offset of its operator in the module. The ways of `if` and
    /// `br_if` are those for a condition of 0 and for any other; those of `br_table` are its labels, the default last.
    pub branches: BTreeMap<u32, Vec<u64>>,
}

impl Counts {
    /// All counts: calls of functions, and ways of branches.
    pub fn all(&self) -> impl Iterator<Item = u64> {
        self.functions.values().copied().chain(self.branches.values().flatten().copied())
    }
}
