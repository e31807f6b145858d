//! Tests of the whole compiler for the PVM, one module per subject, in one binary: it links LLVM.

mod arguments;
mod differential;
mod gas;
mod kernels;
mod polkavm;
mod runtimes;
mod spec;
mod substrate;
mod types;
