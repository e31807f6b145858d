//! The command line of `verify`.

use std::path::PathBuf;

use clap::Args;

use super::args::{ModuleArgs, PvmArgs, TargetArg, ThumbArgs};

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// WebAssembly binary, text format, or compressed Substrate runtime; `-` is standard input.
    pub input: PathBuf,
    /// Check this compiled program instead of what this compiler makes. Only its exports are called.
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Calls of each function.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub inputs: u32,
    /// Seed of all inputs.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Check one function only: its name, its export or its index.
    #[arg(long, value_name = "FUNCTION")]
    pub function: Option<String>,
    /// Operators that a call executes at most in the reference engine.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub fuel: u64,
    /// File for a smaller module with the first difference; by default the input's name with the extension
    /// `reduced.wasm`.
    #[arg(long, value_name = "FILE")]
    pub reduced: Option<PathBuf>,
    /// Machine to compile for, as with `compile`.
    #[arg(long, default_value = "pvm")]
    pub target: TargetArg,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten, next_help_heading = "Compiling the module")]
    pub module: ModuleArgs,
    #[command(flatten)]
    pub pvm: PvmArgs,
    #[command(flatten)]
    pub thumb: ThumbArgs,
}
