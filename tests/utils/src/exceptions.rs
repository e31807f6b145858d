//! A C++ program with exceptions, compiled by clang to both proposals. The results are those of the native compiler, whose
//! exceptions have nothing in common with wasm's.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::executor::{Call, CallExit, Executor, Trap};

/// The binaries of the program.
pub const BINARIES: [&str; 4] = ["throws-O0", "throws-O2", "throws-legacy-O0", "throws-legacy-O2"];

/// A file of the fixture.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/exceptions").join(name)
}

/// Runs a binary up to a number of rounds, and calls the function that throws an exception which nothing catches.
///
/// # Errors
/// If a result differs.
pub fn check(binary: &str, most_rounds: u32, executor: &dyn Executor) -> Result<()> {
    let wasm = std::fs::read(file(binary).with_extension("wasm"))?;
    let mut program = executor.load(&wasm).map_err(|refusal| anyhow::anyhow!("{binary}: {refusal}"))?;
    program.start(&mut |_, _| 0)?;
    let mut call = |name, arg: u32| {
        let args = [i64::from(arg as i32) as u64];
        program.call(Call { name, args: &args, is_endless: false }, &mut |_, _| 0)
    };
    for line in std::fs::read_to_string(file("expected.txt"))?.lines() {
        let (rounds, expected) = line.split_once(' ').context("rounds and result")?;
        let (rounds, expected): (u32, u32) = (rounds.parse()?, expected.parse()?);
        if rounds <= most_rounds {
            let exit = call("throws", rounds)?;
            let expected = CallExit::Returned(vec![i64::from(expected as i32) as u64]);
            ensure!(exit == expected, "{binary}: throws({rounds}) is {exit:?}, not {expected:?}");
        }
    }
    ensure!(call("escapes", 0)? == CallExit::Returned(vec![0x55]), "{binary}: nothing is thrown");
    let exit = call("escapes", 3)?;
    ensure!(
        matches!(exit, CallExit::Trapped(None | Some(Trap::Exception))),
        "{binary}: an exception that nothing catches ends in {exit:?}"
    );
    executor.clear();
    Ok(())
}
