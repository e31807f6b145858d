//! Development tasks of this repository: `cargo xtask COMMAND`.
//!
//! Without the feature `compiler` there is only `tidy`, which needs no LLVM.

#[cfg(feature = "compiler")]
mod tasks;
mod tidy;

use std::path::Path;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Development tasks: checks, benchmarks, differential testing")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check rules that no lint covers: file headers, lengths, boundaries between crates, paths in documents.
    Tidy,
    #[cfg(feature = "compiler")]
    #[command(flatten)]
    Task(tasks::Task),
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Tidy => tidy::run(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))),
        #[cfg(feature = "compiler")]
        Command::Task(task) => task.run(),
    }
}
