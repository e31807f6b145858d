//! The programs of numerical kernels in `tests/fixtures/polybench`, for integers and for floats.
//!
//! A kernel NAME is three functions: `NAME_set(seed)` fills its arrays, `NAME()` computes, `NAME_sum()` returns the
//! checksum of its results.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::kernels::folder;

/// The argument of `NAME_set`.
pub const SEED: u32 = 1;

/// One program of all kernels.
#[derive(Clone, Debug)]
pub struct Program {
    /// The type of its numbers: `int` or `float`.
    pub numbers: &'static str,
    /// The wasm.
    pub wasm: Vec<u8>,
    /// The checksum of each kernel in a native build.
    pub sums: BTreeMap<String, u32>,
}

/// The program for integers, and the one for floats.
pub fn programs() -> Result<[Program; 2]> {
    Ok([program("int")?, program("float")?])
}

fn program(numbers: &'static str) -> Result<Program> {
    let folder = folder("polybench");
    let text = std::fs::read_to_string(folder.join("expected.json"))?;
    let mut sums: BTreeMap<String, BTreeMap<String, u32>> = serde_json::from_str(&text)?;
    let sums = sums.remove(numbers).with_context(|| format!("no sums of {numbers}"))?;
    let wasm = std::fs::read(folder.join("wasm").join(numbers).with_extension("wasm"))?;
    Ok(Program { numbers, wasm, sums })
}

/// The C source of both programs, and the option that selects one of them.
pub fn source(numbers: &str) -> (PathBuf, &'static [&'static str]) {
    let file = folder("polybench").join("src/polybench.c");
    (file, if numbers == "float" { &["-DFLOATS"] } else { &[] })
}
