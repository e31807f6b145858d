//! Inputs that fuzzers begin with, as files.

use std::path::Path;

use anyhow::{Context, Result};
use testkit::targets::TARGETS;

/// Writes the seeds of every target to a folder with its name.
pub fn run(folder: &Path) -> Result<()> {
    for target in &TARGETS {
        let folder = folder.join(target.name);
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let seeds = (target.seeds)()?;
        for (n, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{n:04}")), seed)?;
        }
        println!(
            "{}: {} seeds of {} bytes",
            target.name,
            seeds.len(),
            seeds.iter().map(Vec::len).sum::<usize>()
        );
    }
    Ok(())
}
