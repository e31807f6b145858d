//! Random modules with all proposals, exceptions and threads among them, against the second judge.

use anyhow::{Context, Result};
use wasm_pvm::{Cpu, Floats, GpVersion, OptLevel, Options, PvmBounds, PvmOptions};

use crate::fuzz::{Verdict, module_with_proposals};
use crate::judge;
use crate::program::Pvm;
use crate::spelled::{Open, spell_out};
use crate::thumb::Setup;

const LEVELS: [OptLevel; 4] = [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz];

/// Compares the module of a seed on the PVM with the judge, at a level and for a version that the seed chooses.
///
/// # Errors
/// A disagreement.
pub fn check_pvm(seed: u64) -> Result<Verdict> {
    let level = LEVELS[seed as usize % 4];
    let gp = if seed.is_multiple_of(3) { GpVersion::V072 } else { GpVersion::V08 };
    let pvm = PvmOptions { gp, bounds: PvmBounds::Strict, ..PvmOptions::default() };
    let options = Options { level, threads: 1, ..Options::new(pvm) };
    let bytes = module_with_proposals(seed)?;
    judge::compare(&bytes, seed, &Pvm { options }).with_context(|| format!("seed {seed} -{level:?} {gp}"))
}

/// Compares the module of a seed on a board with the judge, at a level that the seed chooses.
///
/// # Errors
/// A disagreement.
pub fn check_board(seed: u64) -> Result<Verdict> {
    let level = LEVELS[seed as usize % 4];
    let setup = Setup::new(Cpu::M3, level, Floats::Soft).with_memory_of(seed / 4);
    let bytes = spell_out(&module_with_proposals(seed)?, Open::OnBoards)?;
    judge::compare_on_board(&bytes, seed, setup).with_context(|| format!("seed {seed} -{level:?}"))
}
