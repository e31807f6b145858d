//! Tests of the whole compiler for the PVM, one module per subject, in one binary: it links LLVM.

mod arguments;
mod differential;
mod exceptions;
mod gas;
mod invoke;
mod kernels;
mod memories;
mod polkavm;
mod programs;
mod proposals;
mod runtimes;
mod side_modules;
mod spec;
mod stack_in_memory;
mod substrate;
mod targets;
mod types;
