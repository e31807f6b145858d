//! The command line of reports about programs, and of the tool's own manual.

use std::path::PathBuf;

use clap::Args;
use wasm_pvm::GpVersion;
use wasm_pvm::run::{GivenAnswer, Host};

use super::args::{ModuleArgs, PvmArgs, RunArgs, choice, parse_size};
use super::calls::parse_answer;

/// The form of a profile.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum ProfileForm {
    /// Functions, lines and blocks by cost.
    Table,
    /// A line per stack of calls, for tools that draw flame graphs.
    Folded,
    /// The JSON of speedscope.app.
    Speedscope,
    /// A flame graph.
    Svg,
    /// The table as JSON.
    Json,
}

#[derive(Debug, Args)]
pub struct ProfileArgs {
    /// Form of the report.
    #[arg(long = "as", value_name = "FORM", value_enum, default_value = "table")]
    pub form: ProfileForm,
    /// Output file; standard output without it.
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Rows of each part of the table.
    #[arg(long, default_value_t = 20)]
    pub top: usize,
    #[command(flatten)]
    pub run: RunArgs,
}

/// The arguments of `explore`. The module is run if an entry, its arguments or a call is given.
#[derive(Debug, Args)]
pub struct ExploreArgs {
    /// Output file.
    #[arg(short, long)]
    pub output: PathBuf,
    /// Folder of source files. The page gets the lines of files below it that the module's debug information names.
    #[arg(long, value_name = "FOLDER")]
    pub sources: Option<PathBuf>,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Args)]
pub struct SizeArgs {
    /// WebAssembly, a PVM program or a Cortex-M object; `-` is standard input.
    pub file: PathBuf,
    /// Version of the Gray Paper, for programs without our metadata.
    #[arg(long)]
    pub gp: Option<GpVersion>,
    /// The map of the program, which has lines and segments; by default its name with `.map` after it, if there is such
    /// a file.
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// Print the call graph's dominator tree: below a function are those that only it leads to.
    #[arg(long)]
    pub tree: bool,
    /// Print the differences from an older file.
    #[arg(long, value_name = "OLD", conflicts_with = "tree")]
    pub diff: Option<PathBuf>,
    /// Fail with exit code 1 and advice if the file has more bytes. K and M are units.
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub max_size: Option<u32>,
    /// Rows of each part of the report.
    #[arg(long, default_value_t = 20)]
    pub top: usize,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct BudgetArgs {
    /// Program file, or a module in any form that `compile` takes.
    pub program: PathBuf,
    /// File of limits, in TOML.
    pub budget: PathBuf,
    /// Answer a host call, as with `run`. May be repeated.
    #[arg(long = "host-call", value_name = "CALL=VALUE[,VALUE]", value_parser = parse_answer)]
    pub answers: Vec<GivenAnswer>,
    /// Supported host calls, as with `run`.
    #[arg(long, value_parser = choice::<Host>(), default_value = "jam")]
    pub host: Host,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten, next_help_heading = "Compiling a module")]
    pub module: ModuleArgs,
    #[command(flatten)]
    pub pvm: PvmArgs,
}

#[derive(Debug, Args)]
pub struct ExplainCodeArgs {
    /// The code, such as E0104.
    pub code: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder for the pages.
    pub folder: PathBuf,
}
