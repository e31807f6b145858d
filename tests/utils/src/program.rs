//! A compiled module on an engine, called like a wasm instance.
//!
//! Exports are entered raw, under the calling convention of the target (`docs/src/using.md`). State survives between
//! calls.

use anyhow::{Context, Result, ensure};
use llvm_frontend::Error as FrontendError;
use pvm_engine::{Engine, Exit, Machine};
use pvm_isa::{Container, GpVersion, ProgramBlob, gas};
use wasm_pvm::{Details, EntryMode, Error, Floats, ImportMap, Options, PvmOptions, PvmReport, START_ENTRY};
use wasmparser::ValType;

use crate::executor::{self, CallExit, Executable, Executor, Host, Refusal};
use crate::interface::{Interface, interface, words};

/// Maximum number of bytes of a global.
const WORD: usize = 8;
/// Host-call numbers of imports begin here.
const FIRST_IMPORT: u32 = 1000;

/// Gas of a call that is expected to terminate.
const GAS: i64 = 1 << 32;
/// Gas of a call that is not.
const ENDLESS_GAS: i64 = 1 << 28;

/// A compiled module with state.
pub struct Program {
    machine: Machine,
    report: PvmReport,
    interface: Interface,
}

/// `options`, which are for the PVM, with raw entries, addresses for all exports, and imports as host calls.
pub fn raw_options(options: &Options) -> Options {
    let target = PvmOptions {
        entries: EntryMode::Raw,
        imports: ImportMap::default().with_auto(FIRST_IMPORT),
        keep_exports: true,
        ..pvm(options).clone()
    };
    Options { target: target.into(), ..options.clone() }
}

fn pvm(options: &Options) -> &PvmOptions {
    options.pvm().expect("the options are for the PVM")
}

impl Program {
    /// Compiles a module and loads it on the first engine of its version.
    pub fn compile(wasm: &[u8], options: &Options) -> Result<Self> {
        let output = wasm_pvm::compile(wasm, &raw_options(options))?;
        Self::load(wasm, output, pvm(options).gp)
    }

    /// Loads a module that was compiled with [`raw_options`] on the first engine of its version, and checks the price of
    /// every block.
    pub fn load(wasm: &[u8], output: wasm_pvm::Output, gp: GpVersion) -> Result<Self> {
        let Container::Jam { program, .. } = Container::parse_jam(&output.bytes)? else {
            unreachable!("parsed as JAM")
        };
        let machine = Machine::new(&program, gp, Engine::for_version(gp)[0])?;
        if gp.has_block_prices() {
            check_gas(gp, &machine, &program.blob)?;
        }
        let Details::Pvm(report) = output.report.details else { unreachable!("the options are for the PVM") };
        Ok(Self { machine, report: *report, interface: interface(wasm)? })
    }

    /// Whether an entry has this name.
    pub fn has_entry(&self, name: &str) -> bool {
        self.report.entry_pc(name).is_some()
    }

    /// Calls an entry with at most this much gas.
    pub fn enter(
        &mut self,
        name: &str,
        args: &[u64],
        results: usize,
        gas: i64,
        host: Host<'_>,
    ) -> Result<CallExit> {
        let pc = self.report.entry_pc(name).with_context(|| format!("no entry {name}"))?;
        let call = self.machine.enter_call(pc, args, results)?;
        self.machine.set_gas(gas);
        let exit = loop {
            match self.machine.run()? {
                Exit::HostCall(number) => self.host_call(number, host)?,
                exit => break exit,
            }
        };
        Ok(match exit {
            Exit::Halt => CallExit::Returned(self.machine.results_of(call)?),
            Exit::OutOfGas => CallExit::Exhausted,
            Exit::Panic | Exit::HostCall(_) => CallExit::Trapped(None),
        })
    }

    fn host_call(&mut self, number: u32, host: Host<'_>) -> Result<()> {
        let index = number.checked_sub(FIRST_IMPORT).context("a host call that is no import")?;
        let import = self.interface.imports.get(index as usize).context("a host call that is no import")?;
        let params = &import.2.params;
        ensure!(params.len() <= 6, "an import with more arguments than a host call takes");
        let mut args = Vec::new();
        for (n, wide) in params.iter().map(is_wide).enumerate() {
            let word = self.machine.reg(7 + n);
            ensure!(wide || word >> 32 == 0, "an i32 argument of a host call isn't zero-extended: {word:#x}");
            args.push(if wide { word } else { i64::from(word as i32) as u64 });
        }
        self.machine.set_reg(7, host(index, &args));
        Ok(())
    }
}

/// The gas simulator agrees with the engine's own on every block.
///
/// # Errors
/// The first block on which it doesn't.
pub fn check_gas(gp: GpVersion, machine: &Machine, blob: &ProgramBlob) -> Result<usize> {
    let costs = gas::program_costs(gp, blob);
    for &(pc, cost) in &costs {
        let engine = machine.gas_of_block(pc);
        ensure!(engine == Some(i64::from(cost)), "the block at {pc} costs {engine:?}, not {cost}");
    }
    Ok(costs.len())
}

/// Whether a value has more than 32 bits.
fn is_wide(ty: &ValType) -> bool {
    !matches!(ty, ValType::I32 | ValType::F32)
}

/// Compiles modules for the PVM and loads them on an engine.
#[derive(Clone, Debug)]
pub struct Pvm {
    /// Options of compilation.
    pub options: Options,
}

impl Executor for Pvm {
    fn validate(&self, wasm: &[u8]) -> Result<(), Refusal> {
        wasm_pvm::compile(wasm, &raw_options(&self.options)).map(|_| ()).map_err(refusal)
    }

    fn load(&self, wasm: &[u8]) -> Result<Box<dyn Executable>, Refusal> {
        let output = wasm_pvm::compile(wasm, &raw_options(&self.options)).map_err(refusal)?;
        let gp = self.options.pvm().expect("options for the PVM").gp;
        match Program::load(wasm, output, gp) {
            Ok(program) => Ok(Box::new(program)),
            Err(error) => Err(Refusal::Other(format!("{error:#}"))),
        }
    }

    fn has_floats(&self) -> bool {
        self.options.resolved_floats() == Floats::Soft
    }
}

impl Program {
    /// The contents of `len` bytes of memory. Bytes outside of the program's memory are zero: they were never written.
    fn bytes(&mut self, from: u32, len: u32) -> Result<Vec<u8>> {
        const CHUNK: u32 = 4096;
        let mut bytes = Vec::with_capacity(len as usize);
        for at in (0..len).step_by(CHUNK as usize) {
            let size = CHUNK.min(len - at);
            let chunk = self.machine.read(from.wrapping_add(at), size);
            bytes.extend(chunk.unwrap_or_else(|| vec![0; size as usize]));
        }
        Ok(bytes)
    }
}

/// Classifies an error by its fault.
pub fn refusal(error: Error) -> Refusal {
    match error {
        // A module that is valid under another proposal is invalid without it.
        Error::Frontend(FrontendError::InvalidWasm { .. } | FrontendError::Proposal { .. })
        | Error::Input(_) => Refusal::Invalid(error.to_string()),
        error => Refusal::Other(error.to_string()),
    }
}

impl Executable for Program {
    fn start(&mut self, host: Host<'_>) -> Result<CallExit> {
        if !self.has_entry(START_ENTRY) {
            return Ok(CallExit::Returned(Vec::new()));
        }
        self.enter(START_ENTRY, &[], 0, GAS, host)
    }

    fn call(&mut self, call: executor::Call<'_>, host: Host<'_>) -> Result<CallExit> {
        let (_, function) = self.interface.functions.get(call.name).context("no such export")?;
        let gas = if call.is_endless { ENDLESS_GAS } else { GAS };
        let results = function.results.iter().map(|&ty| words(ty)).sum();
        self.enter(call.name, call.args, results, gas, host)
    }

    fn memory(&mut self, len: u32) -> Result<Vec<u8>> {
        self.bytes(self.report.linear_base, len)
    }

    fn exported_memory(&mut self, name: &str, len: u32) -> Result<Vec<u8>> {
        self.bytes(self.report.exported_data(name).context("no such memory")?, len)
    }

    fn memory_exports(&self) -> Vec<String> {
        let exports = self.interface.memory_exports.iter().map(|(name, _)| name);
        exports.filter(|name| self.report.exported_data(name).is_some()).cloned().collect()
    }

    fn global_word(&mut self, name: &str, bytes: u32) -> Result<Option<u64>> {
        let Some(address) = self.report.exported_data(name) else { return Ok(None) };
        let mut word = [0; WORD];
        let read = self.machine.read(address, bytes).with_context(|| format!("global {name}"))?;
        word[..bytes as usize].copy_from_slice(&read);
        Ok(Some(u64::from_le_bytes(word)))
    }
}
