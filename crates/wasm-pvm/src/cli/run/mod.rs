//! `wasm-pvm run`: a program, or a module that is compiled first, is loaded once and called.
//!
//! It is either entered as a host does, with argument bytes, or its exports are invoked with typed values, one after the
//! other. Linear memory can be written before and between calls, and printed after the last one.

pub mod cortex_m;
pub mod program;
pub mod report;
mod streams;
mod trap;

use anyhow::{Context, Result, bail};
use pvm_isa::Container;
use wasm_pvm::OptionsError;
use wasm_pvm::insight::CodeMap;
use wasm_pvm::run::{EntryPoint, FunctionType, Outcome, RunOptions, Session, Status, Value};

use self::program::Program;
use self::report::{Called, Report};
pub use self::streams::StreamArgs;
use super::args::{RunArgs, TargetArg};
use super::calls::{Invocation, argument_bytes};
use super::{files, profile};

/// The end of a run that did not halt: the code of its message, and the message.
pub type Failure = (&'static str, String);

/// Exit code of a run that did not halt.
pub const NOT_HALTED: u8 = 3;

/// Runs a program; returns the exit code of this process.
pub fn run(args: &RunArgs) -> Result<u8> {
    if let TargetArg::Thumb(architecture) = args.target {
        return cortex_m::run(args, architecture);
    }
    let name = || files::display(&args.program);
    let program = program::load(args)?;
    let options = options(args);
    let mut session = Session::load(&program.bytes, &options).with_context(name)?;
    if let Some(first) = program.first_address {
        session.set_first_address(first);
    }
    let mut report = Report::default();
    let input = input(args, &program).with_context(name)?;
    let halted = call(&mut session, args, &input, &mut report).with_context(name)?;
    let has_exited = report.entered.as_ref().is_some_and(|outcome| streams::code(outcome).is_some());
    if !halted && !has_exited {
        report.trap = trap::explain(args, &program, &input, &options, &report).with_context(name)?;
    }
    if let (Some(path), Some(counters)) = (&args.profile_out, &program.counters) {
        profile::write(&mut session, counters, path).with_context(name)?;
    }
    let mut unreadable = Ok(());
    for dump in &args.dump {
        match session.read(dump.address, dump.len) {
            Ok(bytes) => report.dumps.push((dump.address, bytes)),
            Err(error) => unreadable = Err(error),
        }
    }
    let code = match &report.entered {
        Some(outcome) if program.streams.is_some() && !args.json => {
            let code = streams::finish(outcome)?;
            report.entered = None;
            report.print(false)?;
            code
        }
        _ => {
            report.print(args.json)?;
            if halted { 0 } else { NOT_HALTED }
        }
    };
    unreadable.with_context(|| format!("{}: --dump", name()))?;
    Ok(code)
}

/// The options of the engine.
fn options(args: &RunArgs) -> RunOptions {
    RunOptions {
        gas: args.gas,
        backend: args.backend,
        host: args.host,
        answers: args.answers.clone(),
        gp: args.pvm.gp,
        ..RunOptions::default()
    }
}

/// A run with a record of every instruction.
pub struct Traced {
    /// The program file.
    pub program: Vec<u8>,
    /// The map of its code, or what its metadata tells about it.
    pub map: CodeMap,
    /// The session after all calls.
    pub session: Session,
    /// The end of the last call.
    pub ending: Option<Status>,
    /// Gas of all calls.
    pub gas: u64,
}

/// Makes all calls of a run with a trace.
pub fn traced(args: &RunArgs) -> Result<Traced> {
    traced_program(args, &program::load(args)?)
}

/// The same, for a program that has been loaded.
pub fn traced_program(args: &RunArgs, program: &Program) -> Result<Traced> {
    let input = input(args, program)?;
    repeated(args, program, &input, &options(args))
}

/// Makes all calls of a program with a trace.
fn repeated(args: &RunArgs, program: &Program, input: &[u8], options: &RunOptions) -> Result<Traced> {
    let map = match &program.map {
        Some(map) => map.clone(),
        None => {
            let container = Container::parse_for(options.gp, &program.bytes).context("not a PVM program")?;
            CodeMap::of_container(&container, options.gp.or(container.gp()).unwrap_or_default())
        }
    };
    let options = RunOptions { trace: Some(map.starts()), ..options.clone() };
    let mut session = Session::load(&program.bytes, &options)?;
    if let Some(first) = program.first_address {
        session.set_first_address(first);
    }
    let mut report = Report::default();
    call(&mut session, args, input, &mut report)?;
    let ending = report.outcomes().last().map(|outcome| outcome.status.clone());
    let gas = report.outcomes().map(|outcome| outcome.gas).sum();
    Ok(Traced { program: program.bytes.clone(), map, session, ending, gas })
}

/// The argument bytes of an entry. Standard input can be read only once.
fn input(args: &RunArgs, program: &Program) -> Result<Vec<u8>> {
    match (&args.args, program.streams) {
        _ if !args.invocations.0.is_empty() => Ok(Vec::new()),
        (None, Some(streams)) => streams.input(),
        (text, _) => argument_bytes(text.as_deref().unwrap_or_default()),
    }
}

/// Makes all calls, up to the first that does not halt. Returns whether all halted.
fn call(session: &mut Session, args: &RunArgs, input: &[u8], report: &mut Report) -> Result<bool> {
    let invocations = &args.invocations.0;
    let calls = typed_calls(session, invocations)?;
    if (!calls.is_empty() || !args.pokes.0.is_empty())
        && let Some(outcome) = session.instantiate()?
        && outcome.status != Status::Halt
    {
        report.called.push(Called { name: None, outcome });
        return Ok(false);
    }
    poke(session, args, 0)?;
    if calls.is_empty() {
        let outcome = session.enter(&entry(args), input)?;
        let halted = outcome.status == Status::Halt;
        report.entered = Some(outcome);
        return Ok(halted);
    }
    for (made, (invocation, values)) in (1..).zip(invocations.iter().zip(&calls)) {
        let outcome: Outcome = session.invoke(&invocation.name, values)?;
        let halted = outcome.status == Status::Halt;
        report.called.push(Called { name: Some(invocation.name.clone()), outcome });
        if !halted {
            return Ok(false);
        }
        poke(session, args, made)?;
    }
    Ok(true)
}

/// Writes the bytes that are due after a number of calls.
fn poke(session: &mut Session, args: &RunArgs, made: usize) -> Result<()> {
    for poke in args.pokes.0.iter().filter(|poke| poke.calls_before == made) {
        session.write(poke.address, &poke.bytes).context("--poke")?;
    }
    Ok(())
}

fn entry(args: &RunArgs) -> EntryPoint {
    match (&args.entry, args.pc) {
        (Some(name), _) => EntryPoint::Name(name.clone()),
        (None, Some(pc)) => EntryPoint::Pc(pc),
        (None, None) => EntryPoint::First,
    }
}

/// The arguments of all calls. They are checked before the first one is made.
fn typed_calls(session: &Session, invocations: &[Invocation]) -> Result<Vec<Vec<Value>>> {
    invocations
        .iter()
        .map(|invocation| {
            let ty = session.function(&invocation.name)?;
            arguments(&ty, &invocation.args).with_context(|| format!("--invoke {}", invocation.name))
        })
        .collect()
}

fn arguments(ty: &FunctionType, texts: &[String]) -> Result<Vec<Value>> {
    if texts.len() != ty.params.len() {
        let plural = if ty.params.len() == 1 { "" } else { "s" };
        let count = ty.params.len();
        let given = texts.len();
        bail!(OptionsError::new(format!("the function {ty} takes {count} argument{plural}, not {given}")));
    }
    let value = |(number, (ty, text)): (usize, (&wasm_pvm::run::ValueType, &String))| {
        ty.parse(text).ok_or_else(|| {
            let ty = ty.name();
            OptionsError::new(format!("`{text}` is no value for parameter {number} of type {ty}")).into()
        })
    };
    (1..).zip(ty.params.iter().zip(texts)).map(value).collect()
}
