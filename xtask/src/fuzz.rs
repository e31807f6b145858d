//! Open-ended differential testing: random modules against the reference engine, at every level and both versions.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use testkit::fuzz::{Verdict, compare, module};
use wasm_pvm::{GpVersion, OptLevel, Options, PvmBounds, PvmOptions};

/// Compares modules from `seed` on until the time is over; the first disagreement is an error that names its seed.
pub fn run(seconds: u64, seed: u64) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut modules, mut calls) = (0u64, 0);
    for seed in seed.. {
        if Instant::now() >= end {
            break;
        }
        let level = [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz][seed as usize % 4];
        let gp = if seed % 3 == 0 { GpVersion::V072 } else { GpVersion::V08 };
        let pvm = PvmOptions { gp, bounds: PvmBounds::Strict, ..PvmOptions::default() };
        let options = Options { level, ..Options::new(pvm) };
        let verdict = compare(&module(seed)?, seed, &options)
            .with_context(|| format!("seed {seed} -{level:?} {gp}"))?;
        if let Verdict::Agreed(n) = verdict {
            (modules, calls) = (modules + 1, calls + n);
        }
    }
    println!("{modules} modules agreed on {calls} calls");
    Ok(())
}
