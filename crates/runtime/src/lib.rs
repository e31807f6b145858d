//! Bodies of functions that compiled code calls and no wasm module contains.

pub mod float;
