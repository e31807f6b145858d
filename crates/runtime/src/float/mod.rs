//! Float arithmetic of WebAssembly on integers.
//!
//! The routines are straight lines of integer operations over an abstract [`Word`], with the quick case of each
//! operation apart from the [general](arithmetic) one. Results are those of IEEE 754 with rounding to nearest, ties to
//! even. Every NaN that an operation makes is the canonical one.

pub mod arithmetic;
pub mod convert;
pub mod format;
pub mod order;
pub mod root;
pub mod rounding;
pub mod routines;
pub mod word;

pub use format::{F32, F64, Format};
pub use word::{Bit, Host, Word};
