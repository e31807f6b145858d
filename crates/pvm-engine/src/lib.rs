//! Running compiled programs and answering their host calls.
//!
//! [`run()`] takes a program file, of this compiler or any other. It enters the program with argument bytes, as a JAM host
//! does, and runs it until it halts or makes an unknown host call. These calls are answered:
//!
//! | host call | answer |
//! |---|---|
//! | `gas` (0) | the remaining gas |
//! | `grow_heap` (1, GP 0.8) | grows the heap |
//! | `log` (100, JIP-1) | the message is kept in [`Outcome::log`] |
//! | with [`Host::Substrate`]: imports by name | the allocator and the logger of Substrate |
//!
//! Host calls cost the gas of the Gray Paper, in addition to the engine's charge for the `ecalli` itself.
//!
//! [`Machine`] is the engine itself: registers, memory and gas. The command line and all tests that execute PVM code use
//! it. Therefore it is a crate of its own, which depends on `pvm-isa` and the engine only.

mod answer;
mod call;
mod exit;
mod host;
mod instance;
mod machine;
mod polkavm;
mod substrate;

use pvm_isa::metadata::Extension;
use pvm_isa::{Container, GpVersion, Opcode};

pub use call::RawCall;
pub use exit::{Exit, MachineError};
pub use machine::{Backend, Engine, GROW_HEAP, Machine, reg};

use answer::Answer;
use host::HostState;

/// The host calls that are answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Host {
    /// Those that every JAM host has in every context.
    #[default]
    Jam,
    /// Also the allocator and logging functions of Substrate, by the names of the imports.
    Substrate,
}

/// The place at which a program is entered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum EntryPoint {
    /// At position 0.
    #[default]
    First,
    /// At the export with this name.
    Name(String),
    /// At a position of the code.
    Pc(u32),
}

/// All options of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunOptions {
    /// The entry.
    pub entry: EntryPoint,
    /// Argument bytes.
    pub args: Vec<u8>,
    /// Limit of gas.
    pub gas: u64,
    /// Execution by interpretation or recompilation.
    pub backend: Backend,
    /// The host calls that are answered.
    pub host: Host,
    /// The version of the Gray Paper; `None` takes it from the metadata, or 0.8 where there is none.
    pub gp: Option<GpVersion>,
}

impl RunOptions {
    /// The default limit of gas.
    pub const DEFAULT_GAS: u64 = 1 << 60;
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            entry: EntryPoint::First,
            args: Vec::new(),
            gas: Self::DEFAULT_GAS,
            backend: Backend::Auto,
            host: Host::Jam,
            gp: None,
        }
    }
}

/// The end of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Status {
    /// The program halted.
    Halt,
    /// A panic or page fault.
    Panic,
    /// The gas limit was reached.
    OutOfGas,
    /// An unknown host call.
    HostCall {
        /// Its number.
        number: u32,
        /// The import with this number, if the metadata has it.
        name: Option<String>,
    },
}

impl Status {
    /// One word for the status.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Halt => "halt",
            Self::Panic => "panic",
            Self::OutOfGas => "out-of-gas",
            Self::HostCall { .. } => "host-call",
        }
    }
}

/// A line a program wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    /// Level: 0 fatal, 1 warning, 2 info, 3 helpful, 4 pedantic.
    pub level: u64,
    /// The writer's name; may be empty.
    pub target: String,
    /// The text.
    pub message: String,
}

/// The outcome of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The way it ended.
    pub status: Status,
    /// The gas it used.
    pub gas: u64,
    /// The result bytes; empty unless it halted and they are readable.
    pub result: Vec<u8>,
    /// The lines it logged.
    pub log: Vec<LogLine>,
}

/// The reason why a program could not be run.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RunError {
    /// The file is not a program.
    #[error("not a PVM program: {0}")]
    Parse(pvm_isa::ParseError),
    /// The machine refuses the program or its arguments, or fails.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// There is no such entry.
    #[error("the program has no entry `{name}`; it has {known}")]
    UnknownEntry {
        /// The requested name.
        name: String,
        /// The existing names.
        known: String,
    },
}

/// Runs a program file.
///
/// # Errors
/// If it is not a program that the engine can run, or has no such entry.
pub fn run(bytes: &[u8], options: &RunOptions) -> Result<Outcome, RunError> {
    let container = Container::parse(bytes).map_err(RunError::Parse)?;
    let extension = container.extension();
    let pc = entry_pc(&container, &extension, &options.entry)?;
    let gp = options.gp.or(container.gp()).unwrap_or_default();
    check(&container, gp)?;
    let mut machine = Machine::of_container(&container, gp, Engine::Polkavm037(options.backend))?;
    let is_polkavm = container.polkavm().is_some();
    let base = extension.linear_memory.unwrap_or(0);
    match is_polkavm {
        true => machine.enter_export(pc, &options.args, base)?,
        false => machine.enter_with_args(pc, &options.args)?,
    }
    let gas = i64::try_from(options.gas).unwrap_or(i64::MAX);
    machine.set_gas(gas);
    let mut host = HostState::new(&extension, gp, options.host, machine.heap_end());
    host.has_symbols = is_polkavm;
    let status = run_with_host(&mut machine, &mut host)?;
    let result = match status {
        Status::Halt if is_polkavm => machine.packed_result(base),
        Status::Halt => machine.result(extension.result),
        _ => Vec::new(),
    };
    let left = machine.gas().max(0);
    Ok(Outcome { status, gas: (gas - left) as u64, result, log: host.log })
}

/// Refuses invalid programs, and those that need `sbrk`.
fn check(container: &Container, gp: GpVersion) -> Result<(), MachineError> {
    let blob = container.blob();
    pvm_isa::validate::validate(gp, blob).map_err(|error| MachineError::Refused(error.to_string()))?;
    let mut instructions = blob.instructions(gp);
    if gp == GpVersion::V072 && instructions.any(|(_, inst)| inst.inst.op() == Opcode::Sbrk) {
        return Err(MachineError::Refused(
            "programs for GP 0.7 grow memory by sbrk, which the engine lacks; compile for GP 0.8 to run it here".into(),
        ));
    }
    Ok(())
}

fn run_with_host(machine: &mut Machine, host: &mut HostState) -> Result<Status, RunError> {
    loop {
        match machine.resume()? {
            Exit::Halt => return Ok(Status::Halt),
            Exit::Panic => return Ok(Status::Panic),
            Exit::OutOfGas => return Ok(Status::OutOfGas),
            Exit::HostCall(number) => match host.call(number, machine) {
                Answer::Continue => {}
                Answer::Panic => return Ok(Status::Panic),
                Answer::OutOfGas => return Ok(Status::OutOfGas),
                Answer::Unknown => return Ok(Status::HostCall { number, name: host.name_of(number) }),
            },
        }
    }
}

fn entry_pc(container: &Container, extension: &Extension, entry: &EntryPoint) -> Result<u32, RunError> {
    let name = match entry {
        EntryPoint::First => {
            let first = container.polkavm().and_then(|program| program.exports.first());
            return Ok(first.map_or(0, |export| export.pc));
        }
        EntryPoint::Pc(pc) => return Ok(*pc),
        EntryPoint::Name(name) => name,
    };
    let exported = extension.exports.iter().find(|export| export.name == *name).map(|export| export.pc);
    // Programs without our metadata follow the conventions of services.
    let conventional = match name.as_str() {
        "refine" | "is_authorized" | "main" if extension.exports.is_empty() => Some(0),
        "accumulate" if extension.exports.is_empty() => Some(5),
        _ => None,
    };
    exported.or(conventional).ok_or_else(|| {
        let names: Vec<&str> = extension.exports.iter().map(|export| export.name.as_str()).collect();
        let known = if names.is_empty() { "no named entries".to_owned() } else { names.join(", ") };
        RunError::UnknownEntry { name: name.clone(), known }
    })
}
