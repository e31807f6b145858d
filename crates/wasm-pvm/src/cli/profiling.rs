//! `wasm-pvm profile`: runs a program once and reports where its gas went, or its instructions on Cortex-M.

use std::path::Path;

use anyhow::{Context, Result, bail};
use pvm_isa::Container;
use serde_json::{Value, json};
use wasm_pvm::OptionsError;
use wasm_pvm::insight::profile::Profile;
use wasm_pvm::run::Status;

use super::args::TargetArg;
use super::report_args::{ProfileArgs, ProfileForm};
use super::run::{self, Failure, report};
use super::{files, json, messages};

/// Runs a program and writes its profile; returns the exit code of this process.
pub fn profile(args: &ProfileArgs) -> Result<u8> {
    let name = files::display(&args.run.program);
    if args.run.profile_out.is_some() {
        bail!(OptionsError::new("--profile-out is an option of `run`".to_owned()));
    }
    let (profile, failure) = match args.run.target {
        TargetArg::Pvm => of_program(args).with_context(|| name.clone())?,
        TargetArg::Thumb(architecture) => {
            run::cortex_m::profile(&args.run, architecture).with_context(|| name.clone())?
        }
    };
    let form = if args.run.json { ProfileForm::Json } else { args.form };
    let text = match form {
        ProfileForm::Table => table(&profile, args.top),
        ProfileForm::Folded => profile.folded(),
        ProfileForm::Speedscope => profile.speedscope(&name),
        ProfileForm::Svg => profile.flame_graph(&name),
        ProfileForm::Json => json::document(as_json(&profile)),
    };
    files::write(args.output.as_deref().unwrap_or(Path::new("-")), text.as_bytes())?;
    match failure {
        Some((code, failure)) => {
            messages::error(code, &format!("{name}: {failure}"), "");
            Ok(run::NOT_HALTED)
        }
        None => Ok(0),
    }
}

/// The profile of a PVM program, and the end of a run that did not halt.
fn of_program(args: &ProfileArgs) -> Result<(Profile, Option<Failure>)> {
    let traced = run::traced(&args.run)?;
    let container = Container::parse_for(args.run.pvm.gp, &traced.program).context("not a PVM program")?;
    let gp = args.run.pvm.gp.or(container.gp()).unwrap_or_default();
    let trace = traced.session.trace().context("the run has no trace")?;
    let profile = Profile::new(&traced.map, container.blob(), gp, trace);
    let failure = traced.ending.filter(|status| *status != Status::Halt);
    Ok((profile, failure.map(|status| (messages::code_of_status(&status), report::ending(&status)))))
}

fn percent(part: u64, all: u64) -> f64 {
    100.0 * part as f64 / all.max(1) as f64
}

fn table(profile: &Profile, top: usize) -> String {
    let all = profile.total;
    let unit = profile.unit;
    let mut text = format!("{unit} {all}\n\n         own      %       total      %     calls  function\n");
    for function in profile.functions.iter().take(top) {
        let calls = function.calls.map_or_else(|| "-".to_owned(), |calls| calls.to_string());
        text += &format!(
            "{:>12}{:>7.2}{:>12}{:>7.2}{calls:>10}  {}\n",
            function.own,
            percent(function.own, all),
            function.total,
            percent(function.total, all),
            function.name,
        );
    }
    text += &more(profile.functions.len(), top, "functions");
    if !profile.lines.is_empty() {
        text += &format!("\n{unit:>12}      %  line\n");
        for line in profile.lines.iter().take(top) {
            text +=
                &format!("{:>12}{:>7.2}  {}:{}\n", line.cost, percent(line.cost, all), line.file, line.line);
        }
        text += &more(profile.lines.len(), top, "lines");
    }
    text += &format!("\n{unit:>12}      %  executions  block\n");
    for block in profile.blocks.iter().take(top) {
        text += &format!(
            "{:>12}{:>7.2}{:>12}  @{} {}\n",
            block.cost,
            percent(block.cost, all),
            block.count,
            block.pc,
            block.function
        );
    }
    text + &more(profile.blocks.len(), top, "blocks")
}

fn more(count: usize, top: usize, kind: &str) -> String {
    match count.saturating_sub(top) {
        0 => String::new(),
        more => format!("{more:>12} more {kind}; --top N shows more\n"),
    }
}

fn as_json(profile: &Profile) -> Value {
    let unit = profile.unit;
    let functions = profile.functions.iter().map(|function| {
        json!({ "name": function.name, "own": function.own, "total": function.total, "calls": function.calls })
    });
    let lines =
        profile.lines.iter().map(|line| json!({ "file": line.file, "line": line.line, (unit): line.cost }));
    let blocks = profile.blocks.iter().map(
        |block| json!({ "pc": block.pc, "function": block.function, "count": block.count, (unit): block.cost }),
    );
    json!({
        (unit): profile.total,
        "functions": functions.collect::<Vec<_>>(),
        "lines": lines.collect::<Vec<_>>(),
        "blocks": blocks.collect::<Vec<_>>(),
    })
}
