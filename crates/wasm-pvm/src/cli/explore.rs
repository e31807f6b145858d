//! `wasm-pvm explore`: a page with the code of every stage.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pvm_isa::Container;
use wasm_pvm::insight::explore::{Exploration, RunCosts};
use wasm_pvm::run::Status;
use wasm_pvm::{Options, OptionsError, Output, input, wasi};

use super::args::{RunArgs, TargetArg};
use super::report_args::ExploreArgs;
use super::run::{self, program, report};
use super::{bar, compile, files};

/// Writes the page of a module; returns the exit code of this process.
pub fn explore(args: &ExploreArgs) -> Result<u8> {
    let path = &args.run.program;
    let name = || files::display(path);
    check(args)?;
    compile::provoke(&args.run.module);
    let file = files::read(path)?;
    let wasm = input::to_wasm(&file).with_context(name)?;
    let runs = run_option(&args.run).is_some();
    let options = match args.run.target {
        TargetArg::Pvm if runs => program::options(&args.run, wasi::imports(&wasm))?,
        target => compile::options(path, target, &args.run.module, &args.run.pvm, &args.run.thumb)?,
    };
    let (output, exploration) = bar::shown(|| wasm_pvm::explore(&wasm, &options)).with_context(name)?;
    compile::warn_of_unused_lines(&wasm, &options)?;
    let costs = match runs {
        true => Some(costs(args, output, &options, &wasm).with_context(name)?),
        false => None,
    };
    write(args, &exploration, costs.as_ref().map(|(costs, _)| costs))?;
    match costs.and_then(|(_, ending)| ending) {
        Some(status) if status != Status::Halt => {
            report::print_ending(&name(), &status);
            Ok(run::NOT_HALTED)
        }
        _ => Ok(0),
    }
}

fn write(args: &ExploreArgs, exploration: &Exploration, costs: Option<&RunCosts>) -> Result<()> {
    let path = &args.run.program;
    let title = path.file_name().filter(|_| !files::is_standard(path));
    let title = title.map_or_else(|| "wasm-pvm".to_owned(), |name| name.to_string_lossy().into_owned());
    let folder = args
        .sources
        .as_deref()
        .map(|folder| folder.canonicalize().with_context(|| format!("{}: can't read", folder.display())));
    let folder = folder.transpose()?;
    let read = |name: &str| read_source(folder.as_deref()?, name);
    files::write(&args.output, exploration.page(&title, costs, &read).as_bytes())
}

/// Reads a source file, if it is below a folder: debug information can name any file of this machine.
fn read_source(folder: &Path, name: &str) -> Option<String> {
    let path: PathBuf = folder.join(name).canonicalize().ok()?;
    if !path.starts_with(folder) {
        return None;
    }
    std::fs::read_to_string(path).ok()
}

/// Refuses options of `run` that mean nothing here.
fn check(args: &ExploreArgs) -> Result<()> {
    let run = &args.run;
    let foreign = [
        (run.profile_out.is_some(), "--profile-out"),
        (run.map.is_some(), "--map"),
        (run.json, "--json"),
        (!run.dump.is_empty(), "--dump"),
    ];
    if let Some((_, option)) = foreign.into_iter().find(|(is_given, _)| *is_given) {
        bail!(OptionsError::new(format!("{option} is an option of `run`")));
    }
    match (run_option(run), run.target) {
        (Some(option), TargetArg::Thumb(target)) => {
            bail!(OptionsError::new(format!("{option} is an option of pvm, and the target is {target}")))
        }
        _ => Ok(()),
    }
}

/// The first option that asks for a run.
fn run_option(args: &RunArgs) -> Option<&'static str> {
    let given = [
        (args.entry.is_some(), "--entry"),
        (args.args.is_some(), "--args"),
        (args.pc.is_some(), "--pc"),
        (!args.invocations.0.is_empty(), "--invoke"),
    ];
    given.into_iter().find(|(is_given, _)| *is_given).map(|(_, name)| name)
}

/// Runs the program with a trace: its costs, and the end of the last call.
fn costs(
    args: &ExploreArgs,
    output: Output,
    options: &Options,
    wasm: &[u8],
) -> Result<(RunCosts, Option<Status>)> {
    let program = program::compiled(output, options, wasm, &args.run);
    let traced = run::traced_program(&args.run, &program)?;
    let gp = options.pvm().context("the run is on the PVM")?.gp;
    let container = Container::parse_for(Some(gp), &program.bytes).context("not a PVM program")?;
    let trace = traced.session.trace().context("the run has no trace")?;
    let costs = RunCosts::new(run_name(&args.run), container.blob(), gp, trace);
    Ok((costs, traced.ending))
}

/// The run in words.
fn run_name(args: &RunArgs) -> String {
    let call = |(name, args): (&str, &[String])| format!("{name}({})", args.join(", "));
    let calls = args.invocations.0.iter().map(|made| call((&made.name, &made.args)));
    let entry = args.entry.as_deref().unwrap_or("first entry");
    match (&args.args, args.pc) {
        _ if !args.invocations.0.is_empty() => calls.collect::<Vec<_>>().join(", "),
        (None, Some(pc)) => format!("entry at {pc}"),
        (Some(bytes), Some(pc)) => format!("entry at {pc} with {bytes}"),
        (None, None) => entry.to_owned(),
        (Some(bytes), None) => format!("{entry} with {bytes}"),
    }
}
