//! Both instruction sets, containers and objects: any bytes, and damaged files of the compiler.

use std::sync::OnceLock;

use anyhow::Result;
use random::Rng;

use super::{inspect, seeds, split};

/// Changes of a file, at most.
const CHANGES: usize = 6;

pub fn check(bytes: &[u8]) -> Result<()> {
    let (mut choices, rest) = split(bytes);
    match choices.below(5) {
        0 => inspect::program(rest)?,
        1 => inspect::object(rest),
        2 => thumb_isa::testing::exercise(rest),
        3 => inspect::program(&damaged(programs()?, rest))?,
        _ => inspect::object(&damaged(objects()?, rest)),
    }
    Ok(())
}

/// One of the files, changed as the tape says.
fn damaged(files: &[Vec<u8>], tape: &[u8]) -> Vec<u8> {
    let random = &mut Rng::from_bytes(tape);
    let mut file = files[random.below(files.len())].clone();
    for _ in 0..random.below(CHANGES + 1) {
        pvm_isa::testing::damage(&mut file, random);
    }
    if random.one_in(2) {
        pvm_isa::testing::repair_length(&mut file);
    }
    file
}

fn programs() -> Result<&'static [Vec<u8>]> {
    static PROGRAMS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    once(&PROGRAMS, seeds::programs)
}

fn objects() -> Result<&'static [Vec<u8>]> {
    static OBJECTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    once(&OBJECTS, seeds::objects)
}

fn once(
    cell: &'static OnceLock<Vec<Vec<u8>>>,
    make: fn() -> Result<Vec<Vec<u8>>>,
) -> Result<&'static [Vec<u8>]> {
    if cell.get().is_none() {
        // Another thread makes the same.
        let _ = cell.set(make()?);
    }
    Ok(cell.get().expect("it was set"))
}
