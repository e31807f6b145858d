//! `wasm-pvm completions` and `man`: made from the same description of the command line as its parser.

use anyhow::{Context, Result};
use clap::CommandFactory;

use super::args::Cli;
use super::files;
use super::report_args::{CompletionsArgs, ManArgs};

/// The name of the tool.
const NAME: &str = "wasm-pvm";

/// Prints a script for a shell.
pub fn completions(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    files::print(&script)
}

/// Writes all manual pages.
pub fn man(args: &ManArgs) -> Result<()> {
    let folder = &args.folder;
    std::fs::create_dir_all(folder).with_context(|| format!("{}: can't create", folder.display()))?;
    clap_mangen::generate_to(Cli::command(), folder)
        .with_context(|| format!("{}: can't write", folder.display()))
}
