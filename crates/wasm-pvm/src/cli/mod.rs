//! Command-line parsing and the commands.

mod args;
mod bar;
mod budget;
mod calls;
mod compile;
mod cycles;
mod explain;
mod explained;
mod explore;
mod files;
mod floats;
mod guard;
mod inspect;
mod json;
mod manual;
mod memory;
mod messages;
mod object;
mod profile;
mod profiling;
mod report_args;
mod run;
mod size;
mod stack;
mod verify;
mod verify_args;
mod wasi;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use clap::error::ErrorKind;
use tracing::level_filters::LevelFilter;
use wasm_pvm::OptionsError;

use args::{Cli, Colour, Command};
use messages::{Events, MessageForm};

/// Exit code of a wrong command line.
const USAGE: u8 = 2;

/// Parses the command line and runs the command. Messages have no colours by themselves if `is_plain`, and no line of a
/// terminal is cleared if `is_dumb`.
pub fn main(is_plain: bool, is_dumb: bool) -> ExitCode {
    memory::report_exhaustion();
    let cli = match Cli::try_parse_from(calls::with_marked_values(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    messages::set_form(cli.message_format);
    let has_colours = match cli.color {
        Colour::Auto => !is_plain && std::io::stderr().is_terminal(),
        Colour::Always => true,
        Colour::Never => false,
    };
    messages::set_colours(has_colours);
    start_log(cli.verbose, has_colours);
    if !is_dumb && !cli.quiet && cli.message_format == MessageForm::Text {
        bar::enable(cli.progress_after);
    }
    guard::guarded(guard::command_line(), || dispatch(&cli.command).unwrap_or_else(|error| failure(&error)))
}

/// Prints an error with its help, and chooses the exit code.
fn failure(error: &anyhow::Error) -> ExitCode {
    messages::failure(error);
    let is_usage = error.chain().any(|cause| {
        cause.is::<OptionsError>() || matches!(messages::known(cause), Some(wasm_pvm::Error::Options(_)))
    });
    if is_usage { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}

fn dispatch(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Compile(args) => compile::compile(args).map(ExitCode::from),
        Command::Run(args) => run::run(args).map(ExitCode::from),
        Command::Profile(args) => profiling::profile(args).map(ExitCode::from),
        Command::Explore(args) => explore::explore(args).map(ExitCode::from),
        Command::Disasm(args) => inspect::disasm(args).map(|()| ExitCode::SUCCESS),
        Command::Info(args) => inspect::info(args).map(|()| ExitCode::SUCCESS),
        Command::Gas(args) => inspect::gas(args).map(|()| ExitCode::SUCCESS),
        Command::Budget(args) => budget::budget(args).map(ExitCode::from),
        Command::Verify(args) => verify::verify(args).map(ExitCode::from),
        Command::Completions(args) => manual::completions(args).map(|()| ExitCode::SUCCESS),
        Command::Man(args) => manual::man(args).map(|()| ExitCode::SUCCESS),
        Command::Size(args) => size::size(args).map(ExitCode::from),
        Command::Explain(args) => explain::explain(args).map(|()| ExitCode::SUCCESS),
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
    if wants_json() {
        messages::set_form(MessageForm::Json);
    }
    let message = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            "a command is missing: compile, run, profile, explore, disasm, info, gas, size, budget, verify, explain \
             or explain-trap (see --help)"
                .to_owned()
        }
        _ => messages::one_line(message.strip_prefix("error: ").unwrap_or(message)),
    };
    messages::error(messages::USAGE, &message, "");
    ExitCode::from(USAGE)
}

/// Whether the words of a wrong command line ask for JSON.
fn wants_json() -> bool {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let is_apart = |pair: &[String]| pair[0] == "--message-format" && pair[1] == "json";
    words.windows(2).any(is_apart) || words.iter().any(|word| word == "--message-format=json")
}

fn start_log(verbose: u8, colours: bool) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(bar::Events).with_ansi(colours);
    log.event_format(Events::new()).init();
}
