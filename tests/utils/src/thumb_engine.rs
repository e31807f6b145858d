//! Modules compiled for Cortex-M, on the engine of the library: what `verify` and `profile` run on.
//!
//! The setup is that of emulated boards ([`crate::thumb`]), and so are the judges. No tool has to be installed.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use board::{Type, Words};
use thumb_engine::{Answer, Cpu, Ending, Image, LoadError, Machine, Memory};
use wasm_pvm::MemoryMode;

use crate::executor::{Call, CallExit, Executable, Executor, Host, Refusal};
use crate::interface::{Function, Interface, interface};
use crate::thumb::{self, Setup, extended, joined_vectors, split_vectors, types};

/// The address of linear memory, if a register points to it.
const BASE: u32 = 0x6000_0000;
/// The most instructions of a call that is expected not to terminate, and of others.
const ENDLESS: u64 = 2_000_000;
const BUDGET: u64 = 2_000_000_000;

/// Compiles modules and runs them on the engine.
pub struct ThumbEngine {
    /// Options of compilation.
    pub setup: Setup,
}

impl ThumbEngine {
    fn loaded(&self, wasm: &[u8]) -> Result<Loaded, Refusal> {
        let interface = interface(wasm).map_err(|error| Refusal::Invalid(error.to_string()))?;
        let object = self.setup.compile(wasm, &interface)?;
        let image = match Image::load(&object) {
            Ok(image) => image,
            Err(LoadError::TooLarge) => return Err(Refusal::NoRoom),
            Err(error) => return Err(Refusal::Other(error.to_string())),
        };
        let renames = thumb::renames(&interface);
        let imports =
            image.undefined().iter().map(|symbol| thumb::import(&interface, &renames, symbol)).collect();
        let mut machine = Machine::new(image);
        let base = match (self.setup.memory, interface.memory_bytes[0]) {
            (MemoryMode::Register, Some(min)) => {
                let bytes = thumb::reserve(&interface).map_or(min, u64::from).next_multiple_of(4);
                machine.memory.map(BASE, vec![0; bytes as usize], true);
                Some(BASE)
            }
            _ => None,
        };
        Ok(Loaded { machine, base, interface, renames, imports })
    }
}

impl Executor for ThumbEngine {
    fn validate(&self, wasm: &[u8]) -> Result<(), Refusal> {
        let interface = interface(wasm).unwrap_or_default();
        self.setup.compile(wasm, &interface).map(|_| ())
    }

    fn load(&self, wasm: &[u8]) -> Result<Box<dyn Executable>, Refusal> {
        Ok(Box::new(self.loaded(wasm)?))
    }

    fn has_floats(&self) -> bool {
        self.setup.executes_floats()
    }
}

/// A program with its machine.
struct Loaded {
    machine: Machine,
    base: Option<u32>,
    interface: Interface,
    renames: BTreeMap<String, String>,
    /// The import of each undefined function.
    imports: Vec<Option<usize>>,
}

/// Answers calls of imports.
struct Imports<'a, 'h> {
    interface: &'a Interface,
    imports: &'a [Option<usize>],
    has_floats: bool,
    host: Host<'h>,
    failure: Result<()>,
}

impl thumb_engine::Host for Imports<'_, '_> {
    fn call(&mut self, cpu: &mut Cpu, memory: &mut Memory, function: usize) -> Answer {
        match self.answer(cpu, memory, function) {
            Ok(()) => Answer::Return,
            Err(error) => {
                self.failure = Err(error);
                Answer::Stop
            }
        }
    }
}

impl Imports<'_, '_> {
    fn answer(&mut self, cpu: &mut Cpu, memory: &Memory, function: usize) -> Result<()> {
        let number = self.imports[function].context("a function that is no import")?;
        let (_, field, function) = &self.interface.imports[number];
        let sp = cpu.r(13);
        ensure!(sp.is_multiple_of(8), "{field} is called with the stack pointer {sp:#x}");
        let (params, results) = (types(&function.params), types(&function.results));
        ensure!(results.len() <= 1, "an import with several results");
        let bytes = 4 * Words::stack_words(self.has_floats, &params) as u32;
        let stack = memory.read(sp, bytes).context("arguments are outside of memory")?;
        let stack =
            stack.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().expect("four"))).collect();
        let floats = cpu.floats[..16].try_into().expect("16 words");
        let words = Words { core: [0, 1, 2, 3].map(|n| cpu.r(n)), floats, stack };
        let args = extended(&params, words.values(self.has_floats, &params));
        let result = (self.host)(number as u32, &args);
        let words = Words::arguments(self.has_floats, &results, &[result]);
        // Registers that a function need not preserve have any value after it.
        for n in [2, 3, 12] {
            cpu.set_r(n, 0xc0ff_ee00 | n as u32);
        }
        cpu.floats[..16].fill(0xc0ff_ee10);
        (0..2).for_each(|n| cpu.set_r(n, words.core[n]));
        cpu.floats[..2].copy_from_slice(&words.floats[..2]);
        Ok(())
    }
}

impl Loaded {
    fn address(&self, export: &str) -> Option<u32> {
        self.machine.image().address(self.renames.get(export).map_or(export, String::as_str))
    }

    fn linear_memory(&self) -> Option<u32> {
        self.base.or_else(|| self.machine.image().address("__linear_memory"))
    }

    fn read(&self, address: u32, len: u32) -> Result<Vec<u8>> {
        Ok(self.machine.memory.read(address, len).context("outside of memory")?.to_vec())
    }

    fn invoke(
        &mut self,
        address: u32,
        function: &Function,
        call: &Call<'_>,
        host: Host<'_>,
    ) -> Result<CallExit> {
        let (params, results): (Vec<Type>, Vec<Type>) = (types(&function.params), types(&function.results));
        let args = split_vectors(&function.params, call.args);
        let typed = thumb_engine::Function { address, params, results };
        let budget = if call.is_endless { ENDLESS } else { BUDGET };
        let has_floats = self.machine.image().core.passes_floats;
        let (interface, imports, base) = (&self.interface, &self.imports, self.base);
        let mut host = Imports { interface, imports, has_floats, host, failure: Ok(()) };
        let outcome = self.machine.invoke(&typed, &args, base, budget, &mut host);
        host.failure?;
        Ok(match outcome.ending {
            Ending::Returned => {
                let values = extended(&typed.results, outcome.results);
                CallExit::Returned(joined_vectors(&function.results, &values))
            }
            Ending::Trapped(number) => CallExit::Trapped(Some(thumb::trap(number as u8)?)),
            Ending::Exhausted => CallExit::Exhausted,
            Ending::OutOfBudget if call.is_endless => CallExit::Exhausted,
            other => bail!("at {:#x}: {other:x?}", outcome.at),
        })
    }
}

impl Executable for Loaded {
    fn start(&mut self, host: Host<'_>) -> Result<CallExit> {
        match self.machine.image().address("__wasm_start") {
            Some(address) => {
                let call = Call { name: "__wasm_start", args: &[], is_endless: false };
                self.invoke(address, &Function::default(), &call, host)
            }
            None => Ok(CallExit::Returned(Vec::new())),
        }
    }

    fn call(&mut self, call: Call<'_>, host: Host<'_>) -> Result<CallExit> {
        let (index, function) = self.interface.functions.get(call.name).context("no such export")?.clone();
        match self.address(call.name) {
            Some(address) => self.invoke(address, &function, &call, host),
            None if (index as usize) < self.interface.imports.len() => {
                let result = host(index, call.args);
                let results = extended(&types(&function.results), vec![result; function.results.len()]);
                Ok(CallExit::Returned(results))
            }
            None => bail!("the export {} has no symbol", call.name),
        }
    }

    fn is_limited(&self) -> bool {
        thumb::is_limited(&self.interface)
    }

    fn memory(&mut self, len: u32) -> Result<Vec<u8>> {
        self.read(self.linear_memory().context("no linear memory")?, len)
    }

    fn exported_memory(&mut self, name: &str, len: u32) -> Result<Vec<u8>> {
        let exports = &self.interface.memory_exports;
        let (_, index) = exports.iter().find(|(export, _)| export == name).context("no such memory")?;
        let address = if *index == 0 { self.linear_memory() } else { self.address(name) };
        self.read(address.context("the memory has no symbol")?, len)
    }

    fn memory_exports(&self) -> Vec<String> {
        match self.linear_memory() {
            Some(_) => self.interface.memory_exports.iter().map(|(name, _)| name.clone()).collect(),
            None => Vec::new(),
        }
    }

    fn global_word(&mut self, name: &str, bytes: u32) -> Result<Option<u64>> {
        let Some(address) = self.address(name) else { return Ok(None) };
        let mut word = [0; 8];
        word[..bytes as usize].copy_from_slice(&self.read(address, bytes)?);
        Ok(Some(u64::from_le_bytes(word)))
    }
}
