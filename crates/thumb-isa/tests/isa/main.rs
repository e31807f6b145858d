//! Tests of the instruction set: against LLVM, against the architecture's rules, and against itself.

mod effects;
mod llvm;
mod narrow;
mod roundtrip;
mod support;
