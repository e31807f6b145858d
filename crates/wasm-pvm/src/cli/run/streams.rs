//! WASI commands that `run` compiles: they get the standard streams of this process, and its exit code is theirs.
//!
//! The program itself reads its argument bytes and returns its output, as everywhere. So input is read before it starts,
//! and output is written when it has ended.

use std::io::Write;

use anyhow::Result;
use clap::Args;
use wasm_pvm::run::{LogLine, Outcome, Status};
use wasm_pvm::wasi::{Failure, Imports, Wasi};

use super::report;
use crate::cli::{bar, files, wasi};

/// The exit code of a program that did not halt.
const NOT_HALTED: u8 = 3;
/// The text before the code of `proc_exit` in the log.
const EXIT_CODE: &str = "exit code ";
/// Bytes that output may grow by.
pub const RESERVE: u32 = 64 << 20;

/// Options of `run` for WASI programs.
#[derive(Debug, Args)]
#[command(next_help_heading = "WASI modules")]
pub struct StreamArgs {
    /// Variable in the environment of the WASI program. May be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Directory whose files the WASI program can read, with its name in it (`/` by default). May be repeated.
    #[arg(long, value_name = "HOST[::GUEST]")]
    pub dir: Vec<String>,
    /// Arguments of the WASI program.
    #[arg(last = true, value_name = "ARGUMENT")]
    pub words: Vec<String>,
}

impl StreamArgs {
    /// The first of these options that was given.
    pub fn first(&self) -> Option<&'static str> {
        let given = [
            (!self.env.is_empty(), "--env"),
            (!self.dir.is_empty(), "--dir"),
            (!self.words.is_empty(), "an argument after --"),
        ];
        given.into_iter().find(|(is_given, _)| *is_given).map(|(_, name)| name)
    }

    /// The arguments, environment and files of the program with this name.
    pub fn wasi(&self, name: &str) -> Result<Wasi> {
        let wasi = wasi::read(name, &self.words, &self.env, &self.dir)?;
        Ok(Wasi { failure: Failure::Halt, ..wasi })
    }
}

/// The standard streams that a program uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Streams {
    reads_input: bool,
}

impl Streams {
    /// Those of a program with these imports, if it is a command.
    pub fn of(imports: Imports) -> Option<Self> {
        imports.is_command.then_some(Self { reads_input: imports.reads })
    }

    /// All of standard input, if the program reads from it.
    pub fn input(self) -> Result<Vec<u8>> {
        if self.reads_input { files::read("-".as_ref()) } else { Ok(Vec::new()) }
    }
}

/// The exit code that a program gave.
pub fn code(outcome: &Outcome) -> Option<u8> {
    outcome.log.iter().filter_map(exit_code).next_back()
}

/// Writes the output and the log of a command; returns its exit code.
pub fn finish(outcome: &Outcome) -> Result<u8> {
    let mut code = None;
    for line in &outcome.log {
        match exit_code(line) {
            Some(number) => code = Some(number),
            // The lines of the program itself.
            None if line.level == 2 && line.target.is_empty() => {
                bar::print(format_args!("{}\n", line.message));
            }
            None => report::print_log(line),
        }
    }
    let mut output = std::io::stdout().lock();
    output.write_all(&outcome.result)?;
    output.flush()?;
    if outcome.status == Status::Halt {
        return Ok(code.unwrap_or(0));
    }
    report::print_ending("the program did not halt", &outcome.status);
    Ok(NOT_HALTED)
}

/// The code of `proc_exit`, as processes have it.
fn exit_code(line: &LogLine) -> Option<u8> {
    let number: u32 = line.message.strip_prefix(EXIT_CODE)?.parse().ok()?;
    let code = u8::try_from(number & 0xff).unwrap_or(u8::MAX);
    (line.target == "wasi").then_some(if code == 0 && number != 0 { u8::MAX } else { code })
}
