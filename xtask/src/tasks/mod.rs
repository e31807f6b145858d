//! Tasks that compile or run programs: benchmarks, growth of compile times, open-ended testing, bodies of helpers.

mod bench;
mod bench_next;
mod bench_thumb;
mod bench_time;
mod fuzz;
mod growth;
mod helper;
mod seeds;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};

/// A task.
#[derive(Subcommand)]
pub enum Task {
    /// Compare our code with that of other compilers: kernels, and runtimes if a folder has any.
    Bench {
        /// Print one line per kernel.
        #[arg(long)]
        kernels: bool,
        /// Measure Cortex-M instead of PVM.
        #[arg(long)]
        thumb: bool,
        /// Measure times of compilation and execution beside wasmtime instead of sizes and gas.
        #[arg(long, conflicts_with = "thumb")]
        times: bool,
        /// Only the size of code in the next format.
        #[arg(long, conflicts_with_all = ["thumb", "times"])]
        next: bool,
        /// The folder with modules for Cortex-M.
        #[arg(long, default_value = "../shared/corpus/thumb")]
        modules: PathBuf,
        /// The file with measurements of other compilers on those modules.
        #[arg(long, default_value = "../shared/baselines/thumb-modules.json")]
        baselines: PathBuf,
        /// Only compare the sizes of these modules for Cortex-M.
        #[arg(requires = "thumb")]
        files: Vec<PathBuf>,
        /// Print one table for Cortex-M only.
        #[arg(long, value_enum, requires = "thumb")]
        table: Option<bench_thumb::Table>,
        /// Keep the objects for Cortex-M in this folder.
        #[arg(long)]
        keep: Option<PathBuf>,
        /// The folder with runtimes.
        #[arg(long, env = "RUNTIMES_DIR")]
        runtimes: Option<PathBuf>,
    },
    /// Measure compile times and memory of growing modules; both should grow linearly with the input.
    Growth {
        /// Only families whose name contains this text.
        #[arg(long, default_value = "")]
        only: String,
        /// The target to compile for.
        #[arg(long, value_enum, default_value_t = Target::Pvm)]
        target: Target,
        /// Only compile the module on standard input, and print what that takes.
        #[arg(long, hide = true)]
        measure: bool,
    },
    /// Write inputs that fuzzers begin with, a folder per target of testkit.
    Seeds {
        /// Where the folders are made.
        folder: PathBuf,
    },
    /// Print functions of a module that have the signature of a compiler helper, as files for known bodies.
    Helper {
        /// The module, binary or text.
        module: PathBuf,
        /// Only functions whose name contains this text.
        #[arg(default_value = "")]
        name: String,
    },
    /// Test random modules against the reference engine until the time is over.
    Fuzz {
        /// Duration in seconds.
        #[arg(long, default_value_t = 600)]
        seconds: u64,
        /// The first seed.
        #[arg(long, default_value_t = 1 << 32)]
        seed: u64,
        /// The target that runs the modules.
        #[arg(long, value_enum, default_value_t = Target::Pvm)]
        target: Target,
        /// A generator for one topic instead of modules of every kind.
        #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(fuzz::TOPICS.map(|topic| topic.0)))]
        what: Option<String>,
    },
}

/// A target.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Target {
    /// The PVM.
    Pvm,
    /// Cortex-M; programs run on emulated boards, with integers only, floats in hardware and floats by a library.
    Thumb,
}

impl Task {
    /// Runs the task.
    ///
    /// # Errors
    /// If it can't be run or finds a failure.
    pub fn run(self) -> Result<()> {
        match self {
            Self::Bench { kernels, thumb: true, modules, files, baselines, keep, table, .. } => {
                let keep = keep.as_deref();
                bench_thumb::run(&bench_thumb::Request {
                    modules: &modules,
                    files: &files,
                    baselines: &baselines,
                    keep,
                    verbose: kernels,
                    only: table,
                })
            }
            Self::Bench { times: true, runtimes, .. } => {
                bench_time::run(&runtimes.unwrap_or_else(testkit::runtimes::folder))
            }
            Self::Bench { next: true, runtimes, .. } => {
                bench_next::run(&runtimes.unwrap_or_else(testkit::runtimes::folder))
            }
            Self::Bench { kernels, runtimes, .. } => bench::run(kernels, runtimes.as_deref()),
            Self::Helper { module, name } => helper::run(&module, &name),
            Self::Growth { target, measure: true, .. } => growth::measure(target),
            Self::Growth { only, target, .. } => growth::run(&only, target),
            Self::Seeds { folder } => seeds::run(&folder),
            Self::Fuzz { seconds, seed, what: Some(what), .. } => fuzz::run_topic(&what, seconds, seed),
            Self::Fuzz { seconds, seed, target, what: None } => fuzz::run(target, seconds, seed),
        }
    }
}
