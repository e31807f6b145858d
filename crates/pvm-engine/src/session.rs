//! A loaded program whose state survives from one call to the next.

use std::rc::Rc;

use pvm_isa::metadata::{DataExportKind, Export, Extension};
use pvm_isa::{Container, GpVersion, ProgramBlob, spi};

use crate::answer::Answer;
use crate::exit::{Exit, MachineError};
use crate::host::HostState;
use crate::invoke::{finish, prepare};
use crate::linear::Linear;
use crate::machine::{Engine, GROW_HEAP, Machine, reg};
use crate::trace::Trace;
use crate::value::{FunctionType, Value, ValueType, words};
use crate::visits::Visits;
use crate::{EntryPoint, Outcome, RunError, RunOptions, Status};

/// The export that only runs the start function.
const START: &str = "(start)";

/// A loaded program, with registers, memory and a host.
pub struct Session {
    machine: Machine,
    host: HostState,
    extension: Extension,
    linear: Option<Linear>,
    /// The limit of each call.
    gas: i64,
    /// The position of the first entry.
    first: u32,
    /// Whether host calls end the run.
    watch: bool,
    /// The lowest address of the stack.
    stack_start: u32,
    /// What it was loaded with.
    loaded: Loaded,
}

/// What a session was loaded with.
#[derive(Clone)]
struct Loaded {
    options: RunOptions,
    gp: GpVersion,
    has_symbols: bool,
    blob: Rc<ProgramBlob>,
}

impl Loaded {
    /// Adds the records that the options ask for.
    fn record(&self, machine: &mut Machine) {
        if let Some(functions) = &self.options.trace {
            machine.set_trace(Trace::new(&self.blob, self.gp, functions));
        }
        if self.options.watch {
            machine.set_visits(Visits::new(self.blob.code.len()));
        }
    }

    /// A host that nothing has been asked of.
    fn host(&self, extension: &Extension, machine: &Machine) -> Result<HostState, RunError> {
        let mut host = HostState::new(extension, self.gp, &self.options, machine.heap_end())?;
        host.has_symbols = self.has_symbols;
        Ok(host)
    }
}

impl Session {
    /// Loads a program file. `options` say how, but not where it is entered.
    ///
    /// # Errors
    /// If it is not a program that the engine can run.
    pub fn load(bytes: &[u8], options: &RunOptions) -> Result<Self, RunError> {
        let container = Container::parse_for(options.gp, bytes).map_err(RunError::Parse)?;
        let extension = container.extension();
        let gp = options.gp.or(container.gp()).unwrap_or_default();
        check(&container, gp)?;
        let engine = match &options.trace {
            Some(_) => Engine::Stepping,
            None if options.watch => Engine::Stepping,
            None => Engine::Polkavm037(options.backend),
        };
        let mut machine = Machine::of_container(&container, gp, engine)?;
        let loaded = Loaded {
            options: options.clone(),
            gp,
            has_symbols: container.polkavm().is_some(),
            blob: Rc::new(container.blob().clone()),
        };
        loaded.record(&mut machine);
        let host = loaded.host(&extension, &machine)?;
        let linear = extension.linear_memory.map(|base| Linear::new(base, rw_start(&container)));
        let gas = i64::try_from(options.gas).unwrap_or(i64::MAX);
        let first = container.polkavm().and_then(|program| program.exports.first());
        let first = first.map_or(0, |export| export.pc);
        let (watch, stack_start) = (options.watch, spi::STACK_END.saturating_sub(stack_bytes(&container)));
        Ok(Self { machine, host, extension, linear, gas, first, watch, stack_start, loaded })
    }

    /// The program as it was when it was loaded, much faster than loading it once more.
    ///
    /// # Errors
    /// If the engine can't make an instance.
    pub fn again(&self) -> Result<Self, RunError> {
        let mut machine = self.machine.again()?;
        self.loaded.record(&mut machine);
        let host = self.loaded.host(&self.extension, &machine)?;
        let (extension, loaded) = (self.extension.clone(), self.loaded.clone());
        let gas = i64::try_from(self.loaded.options.gas).unwrap_or(i64::MAX);
        Ok(Self { machine, host, extension, gas, loaded, ..*self })
    }

    /// Enters the program with argument bytes, as a host does.
    ///
    /// # Errors
    /// If there is no such entry, or the engine fails.
    pub fn enter(&mut self, entry: &EntryPoint, args: &[u8]) -> Result<Outcome, RunError> {
        let pc = entry_pc(&self.extension, entry, self.first)?;
        let is_typed = self.host.has_symbols;
        let base = self.extension.linear_memory.unwrap_or(0);
        match is_typed {
            true => self.machine.enter_export(pc, args, base)?,
            false => self.machine.enter_with_args(pc, args)?,
        }
        let mut outcome = self.run()?;
        if outcome.status == Status::Halt {
            outcome.result = match is_typed {
                true => self.machine.packed_result(base),
                false => self.machine.result(self.extension.result),
            };
            outcome.values = self.returned(pc);
        }
        Ok(outcome)
    }

    /// The results of the function that was entered at `pc`, if it returns them as they are.
    fn returned(&self, pc: u32) -> Vec<Value> {
        let export = self.extension.exports.iter().find(|export| export.pc == pc);
        let is_packed = |export: &Export| self.host.has_symbols && export.signature == "ii>I";
        let is_direct = |export: &Export| self.extension.host_result(export).is_none() && !is_packed(export);
        let direct = export.filter(|export| is_direct(export));
        let ty = direct.and_then(|export| FunctionType::parse(&export.signature));
        ty.map_or_else(Vec::new, |ty| crate::call::results_in_registers(&self.machine, &ty.results))
    }

    /// The record of all instructions, if the options ask for one.
    pub fn trace(&self) -> Option<&Trace> {
        self.machine.trace()
    }

    /// The type of an exported function.
    ///
    /// # Errors
    /// If there is none, or its type is not known.
    pub fn function(&self, name: &str) -> Result<FunctionType, RunError> {
        let export = self.export(name)?;
        FunctionType::parse(&export.signature).ok_or_else(|| RunError::UnknownType(name.to_owned()))
    }

    fn export(&self, name: &str) -> Result<&Export, RunError> {
        let found = self.extension.exports.iter().find(|export| export.name == name);
        found.ok_or_else(|| {
            let exports = self.extension.exports.iter().filter(|export| export.name != START);
            let names: Vec<&str> = exports.map(|export| export.name.as_str()).collect();
            let (known, hint) = match (names.is_empty(), self.extension.raw_entries) {
                (true, _) => ("no description of its exports".to_owned(), ""),
                (false, true) => (names.join(", "), ""),
                (false, false) => {
                    (names.join(", "), "; `--entries raw` makes every exported function an entry")
                }
            };
            RunError::UnknownExport { name: name.to_owned(), known, hint }
        })
    }

    /// Runs the start function, if it is an entry of its own. Otherwise the first entry runs it.
    ///
    /// # Errors
    /// If the engine fails.
    pub fn instantiate(&mut self) -> Result<Option<Outcome>, RunError> {
        let is_start = |export: &&Export| export.name == START && export.signature == ">";
        match self.extension.raw_entries && self.extension.exports.iter().any(|export| is_start(&export)) {
            true => self.invoke(START, &[]).map(Some),
            false => Ok(None),
        }
    }

    /// Calls an exported function. Its results are in [`Outcome::values`].
    ///
    /// # Errors
    /// If there is none, or the engine fails.
    ///
    /// # Panics
    /// If the arguments are not of the function's type.
    pub fn invoke(&mut self, name: &str, args: &[Value]) -> Result<Outcome, RunError> {
        let ty = self.function(name)?;
        assert!(args.iter().map(|arg| arg.ty).eq(ty.params.iter().copied()), "arguments of other types");
        let export = self.export(name)?;
        let (pc, convention) = (export.pc, self.extension.host_result(export));
        let base = self.extension.linear_memory.unwrap_or(0);
        let call = prepare(&mut self.machine, pc, &ty, args, convention, base)?;
        let mut outcome = self.run()?;
        if outcome.status == Status::Halt {
            outcome.values = finish(&mut self.machine, call, &ty, convention, base, self.extension.result)?;
        }
        Ok(outcome)
    }

    /// The value of an exported global, if the metadata has its address.
    pub fn global(&mut self, name: &str) -> Option<Value> {
        let export = self.extension.data.iter().flatten().find(|export| export.name == name)?;
        let DataExportKind::Global { ty, .. } = export.kind else { return None };
        let ty = ValueType::of_letter(ty)?;
        let mut bytes = self.machine.read(export.address, ty.bytes())?;
        bytes.resize(ty.words() * 8, 0);
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        Some(Value::of_words(ty, &bytes.chunks_exact(8).map(word).collect::<Vec<_>>()))
    }

    /// The first bytes of an exported memory, if the metadata has its address and they can be read.
    pub fn exported_memory(&mut self, name: &str, len: u32) -> Option<Vec<u8>> {
        let export = self.extension.data.iter().flatten().find(|export| export.name == name)?;
        matches!(export.kind, DataExportKind::Memory { .. }).then_some(())?;
        self.machine.read(export.address, len)
    }

    /// Sets an exported global. Returns whether the metadata has its address.
    pub fn set_global(&mut self, name: &str, value: &Value) -> bool {
        let Some(export) = self.extension.data.iter().flatten().find(|export| export.name == name) else {
            return false;
        };
        let bytes: Vec<u8> = words(&[*value]).into_iter().flat_map(u64::to_le_bytes).collect();
        let is_global = matches!(export.kind, DataExportKind::Global { ty, .. } if ValueType::of_letter(ty) == Some(value.ty));
        is_global && self.machine.write(export.address, &bytes[..value.ty.bytes() as usize])
    }

    /// What the metadata says about the program.
    pub const fn description(&self) -> &Extension {
        &self.extension
    }

    /// The wasm addresses of linear memory, if there is one. Memory that can grow ends where it has grown to.
    pub fn linear_memory(&self) -> Option<std::ops::Range<u64>> {
        self.linear.map(|linear| u64::from(linear.first)..linear.end(&self.machine))
    }

    /// Sets the limit of each call from now on.
    pub fn set_gas(&mut self, gas: u64) {
        self.gas = i64::try_from(gas).unwrap_or(i64::MAX);
    }

    /// Whether the last run ended with a stack pointer below the stack: a function had no room for its frame. A program
    /// whose stack is elsewhere in memory has none where nothing is mapped.
    pub fn is_out_of_stack(&mut self) -> bool {
        let sp = self.machine.reg(reg::SP);
        let mut is_mapped = || u32::try_from(sp).is_ok_and(|sp| self.machine.read(sp, 1).is_some());
        sp < u64::from(self.stack_start) && !is_mapped()
    }

    /// The positions that ran since this was last called, in ascending order, if the program is watched.
    pub fn take_visited(&mut self) -> Vec<u32> {
        self.machine.take_visited()
    }

    /// Says at which wasm address linear memory begins to have bytes of its own.
    pub fn set_first_address(&mut self, first: u32) {
        self.linear.iter_mut().for_each(|linear| linear.first = first);
    }

    /// Reads linear memory.
    ///
    /// # Errors
    /// If some of it is not accessible.
    pub fn read(&mut self, address: u32, len: u32) -> Result<Vec<u8>, RunError> {
        self.linear.ok_or(RunError::NoMemory)?.read(&mut self.machine, address, len)
    }

    /// Writes linear memory.
    ///
    /// # Errors
    /// If some of it is not accessible. Then nothing is written.
    pub fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), RunError> {
        self.linear.ok_or(RunError::NoMemory)?.write(&mut self.machine, address, bytes)
    }

    /// Runs the program from where it was entered.
    fn run(&mut self) -> Result<Outcome, RunError> {
        self.machine.set_gas(self.gas);
        let status = self.run_with_host()?;
        let left = self.machine.gas().max(0);
        self.machine.end_trace(left);
        let gas = (self.gas - left) as u64;
        let log = std::mem::take(&mut self.host.log);
        Ok(Outcome { status, gas, result: Vec::new(), values: Vec::new(), log })
    }

    fn run_with_host(&mut self) -> Result<Status, RunError> {
        let watch = self.watch;
        let Self { machine, host, .. } = self;
        loop {
            match machine.resume()? {
                Exit::Halt => return Ok(Status::Halt),
                Exit::Panic => return Ok(Status::Panic),
                Exit::OutOfGas => return Ok(Status::OutOfGas),
                Exit::HostCall(number) if watch && number != GROW_HEAP => {
                    return Ok(Status::HostCall { number, name: host.name_of(number) });
                }
                Exit::HostCall(number) => match host.call(number, machine) {
                    Answer::Continue => {}
                    Answer::Panic => return Ok(Status::Panic),
                    Answer::OutOfGas => return Ok(Status::OutOfGas),
                    Answer::Unknown => return Ok(Status::HostCall { number, name: host.name_of(number) }),
                },
            }
        }
    }
}

/// Refuses invalid programs.
fn check(container: &Container, gp: GpVersion) -> Result<(), MachineError> {
    pvm_isa::validate::validate(gp, container.blob())
        .map_err(|error| MachineError::Refused(error.to_string()))
}

/// The size of the machine's stack, in whole pages.
fn stack_bytes(container: &Container) -> u32 {
    let bytes = match container {
        Container::Jam { program, .. } | Container::Spi(program) => program.stack_size,
        Container::Raw(_) => 0,
        Container::PolkaVm(program) | Container::CoreVm { program, .. } => program.stack_size,
    };
    bytes.next_multiple_of(spi::PAGE_SIZE)
}

/// The address of the read-write area.
fn rw_start(container: &Container) -> u32 {
    let ro = match container {
        Container::Jam { program, .. } | Container::Spi(program) => program.ro_data.len() as u32,
        Container::Raw(_) => 0,
        Container::PolkaVm(program) | Container::CoreVm { program, .. } => program.ro_size,
    };
    spi::rw_start(ro)
}

fn entry_pc(extension: &Extension, entry: &EntryPoint, first: u32) -> Result<u32, RunError> {
    let name = match entry {
        EntryPoint::First => return Ok(first),
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
