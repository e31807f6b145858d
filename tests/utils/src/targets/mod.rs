//! Targets for fuzzers: functions from bytes to a verdict, one per subject.
//!
//! A fuzzer that sees coverage changes bytes; the tests give each target a few pseudo-random inputs and damaged files. The
//! first bytes of an input, its *head*, choose the subject and its options; the rest is the input itself, or the tape of a
//! random generator ([`Rng::from_bytes`]), so that every byte is one decision. A head of zeros, which missing bytes are,
//! chooses the plain case. Everything derives from the bytes.

mod compile;
mod differential;
mod float;
mod inspect;
mod isa;
mod llvm;
mod options;
mod regalloc;
mod seeds;

use anyhow::Result;
use random::Rng;

/// Bytes of the head.
const HEAD: usize = 16;

/// A target.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// What it checks.
    pub about: &'static str,
    /// Checks an input. An error is a finding, and so is a panic.
    pub check: fn(&[u8]) -> Result<()>,
    /// Inputs that a fuzzer may begin with.
    pub seeds: fn() -> Result<Vec<Vec<u8>>>,
}

/// All of them.
pub const TARGETS: [Target; 7] = [
    Target {
        name: "compile",
        about: "any bytes, and mutated real modules, with any options: a program or an error",
        check: compile::check,
        seeds: seeds::compile,
    },
    Target {
        name: "diff-pvm",
        about: "random programs on the PVM and in wasmi",
        check: differential::check_pvm,
        seeds: seeds::diff_pvm,
    },
    Target {
        name: "diff-thumb",
        about: "random programs on emulated boards and in wasmi",
        check: differential::check_board,
        seeds: seeds::diff_thumb,
    },
    Target {
        name: "regalloc",
        about: "random functions of a toy machine and of both targets, allocated",
        check: regalloc::check,
        seeds: seeds::regalloc,
    },
    Target {
        name: "isa",
        about: "decoders, encoders and reports on any code, container and object",
        check: isa::check,
        seeds: seeds::isa,
    },
    Target {
        name: "llvm",
        about: "random programs in the SSA interpreter and in wasmi, after every pipeline",
        check: llvm::check,
        seeds: seeds::llvm,
    },
    Target {
        name: "float",
        about: "the float routines and the host",
        check: float::check,
        seeds: seeds::float,
    },
];

/// The target with a name.
pub fn by_name(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Checks an input for a fuzzer, which takes a panic for a finding.
///
/// # Panics
/// If there is no such target, or with the finding.
pub fn run(name: &str, bytes: &[u8]) {
    let target = by_name(name).unwrap_or_else(|| panic!("no target {name}"));
    (target.check)(bytes).unwrap_or_else(|finding| panic!("{finding:#}"));
}

/// The choices of the head, and the rest.
fn split(bytes: &[u8]) -> (Rng, &[u8]) {
    let mut head = [0; HEAD];
    let (start, rest) = bytes.split_at(bytes.len().min(HEAD));
    head[..start.len()].copy_from_slice(start);
    (Rng::from_bytes(&head), rest)
}
