//! Bodies of compiler helpers, printed with their lines for `crates/wasm-program/src/libcalls/known.txt`.
//!
//! The words in capitals are left open. The reader fills in the source of the body, and the domain on which it equals its
//! operation.

use std::path::Path;

use anyhow::{Context, Result};
use llvm_frontend::{Candidate, candidates};

/// Prints the functions of a module that have the signature of a helper and a name that contains `name`.
pub fn run(module: &Path, name: &str) -> Result<()> {
    let wasm = wat::parse_file(module).with_context(|| format!("{}", module.display()))?;
    let found = candidates(&wasm)?;
    for candidate in found.iter().filter(|candidate| candidate.name.contains(name)) {
        println!("{}", text(candidate));
    }
    Ok(())
}

fn text(candidate: &Candidate) -> String {
    let name = &candidate.name;
    match (candidate.recognised, &candidate.form, &candidate.digest) {
        (Some((libcall, by)), ..) => format!("{name}: recognised as {:?} by {by}\n", libcall.operation),
        (None, Some(form), Some(digest)) => {
            format!("{name} OPERATION DOMAIN {} {digest} SOURCE\n{form}", form.len())
        }
        _ => format!("{name}: uses operators that bodies of helpers don't\n"),
    }
}
