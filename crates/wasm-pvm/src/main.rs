//! The command-line tool `wasm-pvm`.
//!
//! Exit codes: 0 success; 1 the input can't be used or an operation failed; 2 the command line is wrong; 3 `run` ran
//! the program and it did not halt; 70 a bug of this tool. Errors are one line on standard error, with the place in the
//! module and help after it, except bugs. A command that fails writes no output file.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    // By the convention of no-color.org, any text but the empty one counts.
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    cli::main(is_plain, std::env::var_os("TERM").is_some_and(|value| value == "dumb"))
}
