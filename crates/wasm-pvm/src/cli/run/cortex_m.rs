//! `run` and `profile` on Cortex-M: a module is compiled to an object, which runs on the engine of this tool.
//!
//! An object is a part of firmware and has no entry, so its exports are invoked with typed values. There is no firmware
//! here: a call of an undefined function ends the run.

use anyhow::{Context, Result, bail};
use serde_json::{Value as Json, json};
use wasm_pvm::cortex_m::{Ending, Instance, Outcome, Program, Record, Trace};
use wasm_pvm::insight::cortex_m::ObjectPlaces;
use wasm_pvm::insight::profile::{Places as _, Profile};
use wasm_pvm::insight::trap::Explanation;
use wasm_pvm::run::RunOptions;
use wasm_pvm::{Architecture, OptionsError, Target, input, object};

use super::{Failure, NOT_HALTED, arguments, report};
use crate::cli::args::RunArgs;
use crate::cli::{compile, files, json, messages, object as elf};

/// Instructions of a run that is repeated at most, to explain its end.
const MOST_REPEATED: u64 = 200_000_000;

/// A call of an export, or of the start function if it has no name.
struct Called {
    name: Option<String>,
    outcome: Outcome,
}

/// All calls of a run.
struct Run {
    calls: Vec<Called>,
    dumps: Vec<(u32, Vec<u8>)>,
}

impl Run {
    /// The call that did not return.
    fn failed(&self) -> Option<&Called> {
        self.calls.last().filter(|called| called.outcome.ending != Ending::Returned)
    }
}

/// Runs a module; returns the exit code of this process.
pub fn run(args: &RunArgs, architecture: Architecture) -> Result<u8> {
    let name = || files::display(&args.program);
    let program = compiled(args, architecture).with_context(name)?;
    let run = calls(args, &program, &mut Record::default()).with_context(name)?;
    let explanation = match run.failed() {
        Some(_) => explained(args, &program, &run).with_context(name)?,
        None => None,
    };
    if args.json {
        files::print(json::document(as_json(&run, explanation.as_ref())).as_bytes())?;
    } else {
        let mut text = String::new();
        let values = run.calls.iter().flat_map(|called| &called.outcome.values);
        values.for_each(|value| text += &format!("{value}\n"));
        run.dumps.iter().for_each(|(address, bytes)| text += &report::dump_text(*address, bytes));
        files::print(text.as_bytes())?;
    }
    let Some(Called { name, outcome }) = run.failed() else { return Ok(0) };
    let (code, text) = failure(outcome);
    messages::error(code, &format!("{}: {text}", name.as_deref().unwrap_or("the start function")), "");
    if let Some(explanation) = explanation.filter(|_| !args.json) {
        messages::note(&explanation.to_string());
    }
    Ok(NOT_HALTED)
}

/// The profile of a run, and the end of a call that did not return.
pub fn profile(args: &RunArgs, architecture: Architecture) -> Result<(Profile, Option<Failure>)> {
    let program = compiled(args, architecture)?;
    let mut trace = Trace::new(program.image());
    let run = calls(args, &program, &mut Record { trace: Some(&mut trace), executed: None })?;
    let failure = run.failed().map(|called| failure(&called.outcome));
    Ok((Profile::of_object(program.image(), &trace), failure))
}

/// Compiles the module, after a look at options that objects don't have.
fn compiled(args: &RunArgs, architecture: Architecture) -> Result<Program> {
    let given = [
        (args.args.is_some(), "--args"),
        (args.entry.is_some(), "--entry"),
        (args.pc.is_some(), "--pc"),
        (!args.answers.is_empty(), "--host-call"),
        (args.profile_out.is_some(), "--profile-out"),
        (args.map.is_some(), "--map"),
        (args.backend != RunOptions::default().backend, "--backend"),
        (args.host != RunOptions::default().host, "--host"),
    ];
    let option = given.into_iter().find(|(is_given, _)| *is_given).map(|(_, name)| name);
    if let Some(option) = option.or_else(|| args.streams.first()) {
        bail!(OptionsError::new(format!("{option} is an option of pvm, and the target is {architecture}")));
    }
    if args.invocations.0.is_empty() {
        bail!(OptionsError::new("an object has no entry; --invoke names an export to call".to_owned()));
    }
    compile::provoke(&args.module);
    let file = files::read(&args.program)?;
    if elf::is_elf(&file) {
        bail!("it is an object, which has no types of functions; give the module that it is compiled from");
    }
    let wasm = input::to_wasm(&file)?;
    let options = compile::options(&args.program, args.target, &args.module, &args.pvm, &args.thumb)?;
    let Target::Thumb(target) = &options.target else { bail!("the target is no Cortex-M") };
    let output = wasm_pvm::compile(&wasm, &options)?;
    compile::warn_of_unused_lines(&wasm, &options)?;
    Ok(Program::new(&wasm, &output.bytes, target)?)
}

/// Makes all calls, up to the first that does not return.
fn calls(args: &RunArgs, program: &Program, record: &mut Record<'_>) -> Result<Run> {
    let mut run = Run { calls: Vec::new(), dumps: Vec::new() };
    let mut values = Vec::new();
    for invocation in &args.invocations.0 {
        let ty = program.function(&invocation.name)?;
        let context = || format!("--invoke {}", invocation.name);
        values.push(arguments(&ty, &invocation.args).with_context(context)?);
    }
    let mut instance = program.instantiate();
    if let Some(outcome) = instance.start(args.gas, record)
        && outcome.ending != Ending::Returned
    {
        run.calls.push(Called { name: None, outcome });
        return Ok(run);
    }
    poke(&mut instance, args, 0)?;
    for (made, (invocation, values)) in (1..).zip(args.invocations.0.iter().zip(&values)) {
        let outcome = instance.call(&invocation.name, values, args.gas, record)?;
        let is_over = outcome.ending != Ending::Returned;
        run.calls.push(Called { name: Some(invocation.name.clone()), outcome });
        if is_over {
            break;
        }
        poke(&mut instance, args, made)?;
    }
    for dump in &args.dump {
        let bytes = instance.read(dump.address.into(), dump.len as usize).context("--dump")?;
        run.dumps.push((dump.address, bytes));
    }
    Ok(run)
}

/// Writes the bytes that are due after a number of calls.
fn poke(instance: &mut Instance<'_>, args: &RunArgs, made: usize) -> Result<()> {
    for poke in args.pokes.0.iter().filter(|poke| poke.calls_before == made) {
        instance.write(poke.address.into(), &poke.bytes).context("--poke")?;
    }
    Ok(())
}

/// The place of the last instruction and the calls that led to it, by a second run with a trace; `None` if the run was long.
fn explained(args: &RunArgs, program: &Program, run: &Run) -> Result<Option<Explanation>> {
    let Some(Called { outcome, .. }) = run.failed() else { return Ok(None) };
    let all: u64 = run.calls.iter().map(|called| called.outcome.instructions).sum();
    if all > MOST_REPEATED {
        tracing::info!(
            "the run took more than {MOST_REPEATED} instructions and is not repeated for an explanation"
        );
        return Ok(None);
    }
    let mut trace = Trace::new(program.image());
    calls(args, program, &mut Record { trace: Some(&mut trace), executed: None })?;
    let places = ObjectPlaces::new(program.image());
    let at = trace.last().unwrap_or(outcome.at);
    let frames = [at].into_iter().chain(trace.active().into_iter().rev());
    let frames = frames.flat_map(|at| places.frames(at)).collect();
    let reason = match outcome.ending {
        Ending::Trapped(number) => {
            object::reason(number).map_or_else(|| format!("trap {number}"), str::to_owned)
        }
        _ => failure(outcome).1,
    };
    Ok(Some(Explanation { reason, pc: at, frames }))
}

/// The end of a call that did not return.
fn failure(outcome: &Outcome) -> Failure {
    let code = match outcome.ending {
        Ending::OutOfBudget => "E0402",
        Ending::Stopped => "E0403",
        _ => "E0401",
    };
    let text = match outcome.ending {
        Ending::Returned => "it returned".to_owned(),
        Ending::Trapped(_) => "it trapped".to_owned(),
        Ending::Exhausted => "its stack overflowed".to_owned(),
        Ending::OutOfBudget => {
            format!("it did not return within {} instructions; --gas sets the limit", outcome.instructions)
        }
        Ending::Stopped => {
            let symbol = outcome.undefined.as_deref().unwrap_or_default();
            format!("it called `{symbol}`, which the object doesn't define; --imports gives imports a body")
        }
        Ending::Faulted(fault) => format!("it faulted: {fault}"),
        Ending::Corrupted(register) => format!("it did not preserve register {register}"),
    };
    (code, text)
}

fn as_json(run: &Run, explanation: Option<&Explanation>) -> Json {
    let calls = run.calls.iter().map(|Called { name, outcome }| {
        let values: Vec<Json> = outcome.values.iter().map(report::value_json).collect();
        let status = match outcome.ending {
            Ending::Returned => "returned",
            Ending::Trapped(_) => "trapped",
            Ending::Exhausted => "out-of-stack",
            Ending::OutOfBudget => "out-of-instructions",
            Ending::Stopped => "undefined-function",
            Ending::Faulted(_) | Ending::Corrupted(_) => "faulted",
        };
        json!({
            "name": name,
            "status": status,
            "instructions": outcome.instructions,
            "values": values,
            "undefined": outcome.undefined,
        })
    });
    let mut object = json!({ "calls": calls.collect::<Vec<_>>() });
    if let Some(explanation) = explanation {
        object["stopped"] = report::trap_json(explanation);
    }
    if !run.dumps.is_empty() {
        object["memory"] = report::dumps_json(&run.dumps);
    }
    object
}
