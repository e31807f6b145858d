//! `wasm-pvm budget`: measures a program and compares it with its budget.

use anyhow::{Context, Result, bail};
use pvm_isa::Container;
use serde_json::json;
use wasm_pvm::insight::budget::{Budget, Measured, Run};
use wasm_pvm::run::{RunOptions, Status};

use super::args::{RunArgs, TargetArg, ThumbArgs};
use super::calls::{Invocation, Invocations, Pokes};
use super::report_args::BudgetArgs;
use super::run::{self, StreamArgs, report};
use super::{files, json, messages};

/// Measures a program; returns the exit code of this process: 1 if it exceeds its budget.
pub fn budget(args: &BudgetArgs) -> Result<u8> {
    let name = || files::display(&args.budget);
    let text = String::from_utf8(files::read(&args.budget)?).ok();
    let text = text.with_context(|| format!("{}: is not text", name()))?;
    let budget = Budget::parse(&text).with_context(name)?;
    let measured = measure(args, &budget).with_context(|| files::display(&args.program))?;
    let is_kept = measured.iter().all(Measured::is_kept);
    let text = if args.json { as_json(&measured) } else { table(&measured) };
    files::print(text.as_bytes())?;
    if !is_kept {
        let exceeded = measured.iter().filter(|measured| !measured.is_kept()).count();
        let program = files::display(&args.program);
        let text = format!("{program}: {exceeded} of {} limits are exceeded", measured.len());
        messages::error(messages::LIMIT, &text, "");
    }
    Ok(u8::from(!is_kept))
}

fn measure(args: &BudgetArgs, budget: &Budget) -> Result<Vec<Measured>> {
    let mut measured = Vec::new();
    // A module is measured as `compile` compiles it; runs of exports get a program with all of them as entries.
    let entered = Run::Entry { name: String::new(), args: String::new() };
    let file = run::program::load(&run_args(args, &entered)?)?.bytes;
    let container = Container::parse_for(args.pvm.gp, &file).context("not a PVM program")?;
    let gp = args.pvm.gp.or(container.gp()).unwrap_or_default();
    measured.extend(budget.of_program(file.len(), container.blob(), gp));
    for limits in &budget.runs {
        let traced = run::traced(&run_args(args, &limits.run)?).with_context(|| limits.run.name())?;
        match &traced.ending {
            Some(Status::Halt) => {}
            Some(status) => bail!("{}: {}", limits.run.name(), report::ending(status)),
            None => bail!("{}: nothing ran", limits.run.name()),
        }
        let stack = traced.session.trace().map_or(0, |trace| trace.stack_bytes());
        measured.extend(limits.check(traced.gas, stack));
    }
    Ok(measured)
}

/// The arguments of `run` for a run of the budget.
fn run_args(args: &BudgetArgs, run: &Run) -> Result<RunArgs> {
    let (entry, bytes, invocations) = match run {
        Run::Entry { name, args } => {
            (Some(name.clone()).filter(|name| !name.is_empty()), Some(args.clone()), Vec::new())
        }
        Run::Call { name, values } => {
            (None, None, vec![Invocation { name: name.clone(), args: values.clone() }])
        }
    };
    Ok(RunArgs {
        program: args.program.clone(),
        args: bytes,
        entry,
        pc: None,
        invocations: Invocations(invocations),
        answers: args.answers.clone(),
        pokes: Pokes::default(),
        dump: Vec::new(),
        gas: RunOptions::DEFAULT_GAS,
        target: TargetArg::Pvm,
        backend: wasm_pvm::run::Backend::Interpreter,
        host: args.host,
        profile_out: None,
        map: None,
        json: false,
        streams: StreamArgs { env: Vec::new(), dir: Vec::new(), words: Vec::new() },
        module: args.module.clone(),
        pvm: args.pvm.clone(),
        thumb: ThumbArgs::default(),
    })
}

fn table(measured: &[Measured]) -> String {
    let mut text = "  measured     limit\n".to_owned();
    for Measured { subject, measured, limit } in measured {
        let mark = if measured > limit { "  exceeded" } else { "" };
        text += &format!("{measured:>10}{limit:>10}  {subject}{mark}\n");
    }
    text
}

fn as_json(measured: &[Measured]) -> String {
    let rows = measured.iter().map(|row| {
        json!({ "subject": row.subject, "measured": row.measured, "limit": row.limit, "kept": row.is_kept() })
    });
    let value = json!({ "limits": rows.collect::<Vec<_>>() });
    json::document(value)
}
