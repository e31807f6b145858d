//! Tests of the whole compiler for Cortex-M on emulated boards, one module per subject, in one binary: it links LLVM.

mod aapcs;
mod alignment;
mod corpus;
mod differential;
mod engine;
mod exceptions;
mod fixtures;
mod kernels;
mod memories;
mod options;
mod polybench;
mod programs;
mod relocations;
mod side_modules;
mod spec;
mod statics;
mod targets;
