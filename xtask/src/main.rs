//! Checks, benchmarks and tables of this repository: `cargo xtask COMMAND`.

mod bench;
mod bench_thumb;
mod fuzz;
mod growth;
mod tidy;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

#[derive(Parser)]
#[command(about = "Checks, benchmarks and tables of this repository")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check what lints can't: file headers, lengths, walls between crates, paths in documents.
    Tidy,
    /// Our code beside the peers': kernels, and runtimes where there are any.
    Bench {
        /// One line per kernel.
        #[arg(long)]
        kernels: bool,
        /// Cortex-M instead of PVM.
        #[arg(long)]
        thumb: bool,
        /// A folder with modules for Cortex-M.
        #[arg(long, default_value = "../shared/corpus/thumb")]
        modules: PathBuf,
        /// What was measured on those modules once.
        #[arg(long, default_value = "../shared/baselines/thumb-modules.json")]
        baselines: PathBuf,
        /// A folder where the objects for Cortex-M stay.
        #[arg(long)]
        keep: Option<PathBuf>,
        /// A folder with runtimes.
        #[arg(long, env = "RUNTIMES_DIR")]
        runtimes: Option<PathBuf>,
    },
    /// Compile time of growing modules: seconds should grow as the input does.
    Growth {
        /// Families with this in their name only.
        #[arg(long, default_value = "")]
        only: String,
        /// What it compiles for.
        #[arg(long, value_enum, default_value_t = Target::Pvm)]
        target: Target,
    },
    /// Differential testing with random modules until the time is over.
    Fuzz {
        /// How long.
        #[arg(long, default_value_t = 600)]
        seconds: u64,
        /// The first seed.
        #[arg(long, default_value_t = 1 << 32)]
        seed: u64,
        /// What runs the modules.
        #[arg(long, value_enum, default_value_t = Target::Pvm)]
        target: Target,
        /// A generator for one topic instead of modules of every kind.
        #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(fuzz::TOPICS.map(|topic| topic.0)))]
        what: Option<String>,
    },
}

/// A target.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Target {
    /// The PVM.
    Pvm,
    /// Cortex-M; programs run on emulated boards, with integers only, floats in hardware and floats by a library.
    Thumb,
}

fn main() -> Result<()> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    match Cli::parse().command {
        Command::Tidy => tidy::run(root),
        Command::Bench { kernels, thumb: true, modules, baselines, keep, .. } => {
            let keep = keep.as_deref();
            bench_thumb::run(&bench_thumb::Request {
                modules: &modules,
                baselines: &baselines,
                keep,
                verbose: kernels,
            })
        }
        Command::Bench { kernels, runtimes, .. } => bench::run(kernels, runtimes.as_deref()),
        Command::Growth { only, target } => growth::run(&only, target),
        Command::Fuzz { seconds, seed, what: Some(what), .. } => fuzz::run_topic(&what, seconds, seed),
        Command::Fuzz { seconds, seed, target, what: None } => fuzz::run(target, seconds, seed),
    }
}
