//! Command-line parsing and the commands.

mod args;
mod calls;
mod compile;
mod files;
mod floats;
mod guard;
mod inspect;
mod object;
mod profile;
mod run;
mod wasi;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use clap::error::ErrorKind;
use tracing::level_filters::LevelFilter;
use wasm_pvm::OptionsError;

use args::{Cli, Command};

/// Exit code of a wrong command line.
const USAGE: u8 = 2;

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(calls::with_marked_values(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    start_log(cli.verbose);
    guard::guarded(guard::command_line(), || dispatch(&cli.command).unwrap_or_else(|error| failure(&error)))
}

/// Prints an error as one line, and the help that belongs to it.
fn failure(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {}", one_line(&format!("{error:#}")));
    let help = error.chain().find_map(|cause| cause.downcast_ref::<wasm_pvm::Error>()?.help());
    eprint!("{}", help.unwrap_or_default());
    let is_usage = error.chain().any(|cause| {
        cause.is::<OptionsError>() || matches!(cause.downcast_ref(), Some(wasm_pvm::Error::Options(_)))
    });
    if is_usage { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}

fn dispatch(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Compile(args) => compile::compile(args).map(|()| ExitCode::SUCCESS),
        Command::Run(args) => run::run(args).map(ExitCode::from),
        Command::Disasm(args) => inspect::disasm(args).map(|()| ExitCode::SUCCESS),
        Command::Info(args) => inspect::info(args).map(|()| ExitCode::SUCCESS),
        Command::Gas(args) => inspect::gas(args).map(|()| ExitCode::SUCCESS),
        Command::ExplainTrap(args) => object::explain_trap(args).map(|()| ExitCode::SUCCESS),
    }
}

/// Prints help and version unchanged, everything else as one line.
fn usage(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        print!("{error}");
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let message = text.split("\n\nUsage:").next().unwrap_or_default();
    match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            eprintln!(
                "error: a command is missing: compile, run, disasm, info, gas or explain-trap (see --help)"
            );
        }
        _ => eprintln!("{}", one_line(message)),
    }
    ExitCode::from(USAGE)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn start_log(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_ansi(colours);
    log.with_target(false).without_time().init();
}
