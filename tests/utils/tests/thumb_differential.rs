//! Random modules on emulated boards against the reference engine; `cargo xtask fuzz --target thumb` is the open-ended
//! run.

use anyhow::Result;
use testkit::fuzz::{Verdict, compare, module, module_with_floats};
use testkit::thumb::{Setup, Thumb};
use wasm_pvm::{Cpu, Floats, OptLevel};

/// Modules per level.
const SEEDS: u64 = 150;

#[test]
fn m3_at_o0() {
    agree(Setup::new(Cpu::M3, OptLevel::O0, Floats::Reject), module, 0);
}

#[test]
fn m4_at_o2() {
    agree(Setup::new(Cpu::M4, OptLevel::O2, Floats::Reject), module, SEEDS);
}

#[test]
fn m3_at_oz() {
    agree(Setup::new(Cpu::M3, OptLevel::Oz, Floats::Reject), module, 2 * SEEDS);
}

#[test]
fn m33_at_os() {
    agree(Setup::new(Cpu::M33, OptLevel::Os, Floats::Reject), module, 3 * SEEDS);
}

#[test]
fn double_precision_at_o2() {
    agree(Setup::new(Cpu::M7DP, OptLevel::O2, Floats::Hard), module_with_floats, 4 * SEEDS);
}

#[test]
fn single_precision_and_library_at_oz() {
    agree(Setup::new(Cpu::M4F, OptLevel::Oz, Floats::Soft), module_with_floats, 5 * SEEDS);
}

#[test]
fn library_at_o2() {
    agree(Setup::new(Cpu::M3, OptLevel::O2, Floats::Soft), module_with_floats, 6 * SEEDS);
}

fn agree(setup: Setup, module: fn(u64) -> Result<Vec<u8>>, first: u64) {
    if !setup.is_available() {
        return;
    }
    let context = format!("{} -{:?}", setup.cpu, setup.level);
    let thumb = Thumb::new(setup).unwrap();
    let (mut agreed, mut calls) = (0, 0);
    for seed in first..first + SEEDS {
        let bytes = module(seed).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
        match compare(&bytes, seed, &thumb) {
            Ok(Verdict::Agreed(n)) => (agreed, calls) = (agreed + 1, calls + n),
            Ok(Verdict::Nothing) => {}
            Err(error) => panic!("seed {seed} {context}: {error:#}"),
        }
    }
    println!("{context}: {agreed} modules agreed on {calls} calls");
    assert!(agreed > SEEDS / 3, "a third of the random modules must be comparable, {agreed} were");
}
