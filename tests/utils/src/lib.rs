//! Test runners, engines and generators shared by the tests, the benchmarks and the sweeps.
//!
//! Everything here judges the compiler from outside: programs are compiled through the public API and executed on an
//! independent engine. Their expected behaviour comes from the WebAssembly specification suite or from another
//! independent engine.

pub mod adapters;
pub mod atomics;
pub mod data;
pub mod edges;
pub mod engine;
pub mod exceptions;
pub mod executor;
pub mod firmware;
pub mod fuzz;
pub mod helpers;
pub mod interface;
pub mod judge;
pub mod kernels;
pub mod loader;
pub mod nests;
pub mod oracle;
pub mod polkavm;
pub mod polybench;
pub mod program;
pub mod programs;
pub mod proposals;
pub mod reports;
pub mod runtimes;
pub mod scripts;
pub mod shapes;
pub mod spec;
pub use wasm_pvm::verify::spelled;
pub mod stacks;
pub mod tails;
pub mod targets;
pub mod thumb;
pub mod thumb_corpus;
pub mod thumb_engine;
