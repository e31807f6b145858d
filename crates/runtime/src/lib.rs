//! Bodies of functions that compiled code calls and no wasm module contains.

pub mod float;
pub mod llvm;
pub mod ssa;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
