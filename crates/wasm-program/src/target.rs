//! The machine that the code is for, as far as the frontend has to know it.
//!
//! Code of the frontend never asks for a certain machine: every difference is a field of [`TargetDescription`].

use runtime::llvm::Growth;
use ssa::Type;

/// Facts about a machine. Pointers have 32 bits on every machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TargetDescription {
    /// The machine that decides LLVM's cost models: the machine itself, or the most similar one that LLVM knows.
    pub triple: &'static str,
    /// LLVM's name of its CPU.
    pub cpu: &'static str,
    /// LLVM's names of its features.
    pub features: &'static str,
    /// LLVM's data layout, if it isn't that of the triple.
    pub data_layout: Option<&'static str>,
    /// Whether constants that all calls of a function pass are propagated into it.
    pub propagates_arguments: bool,
    /// Granularity in bytes of accessible memory, a power of two: of two bytes in the same granule either both can be
    /// read or none.
    pub access_granule: u32,
    /// Whether words can be accessed at any address.
    pub unaligned: bool,
    /// Whether helpers that access memory are small rather than fast at the smallest level.
    pub has_small_helpers: bool,
    /// The type of the words that a vector consists of, `i32` or `i64`: the width of the machine's registers.
    pub vector_word: Type,
    /// The owner of the bytes of linear memory.
    pub memory_owner: MemoryOwner,
    /// The way in which memory grows.
    pub growth: Growth,
    /// Whether code outside of the module may call functions through its exported tables.
    pub shares_tables: bool,
    /// Whether registers have 64 bits, so that float routines are short.
    pub has_wide_words: bool,
}

/// The owner of the bytes of linear memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemoryOwner {
    /// The machine: memory begins with the declared size or more, and may grow as far as the machine allows.
    Machine,
    /// The linker, which reserves the declared size or a size of the options; memory grows within that.
    Linker,
}
