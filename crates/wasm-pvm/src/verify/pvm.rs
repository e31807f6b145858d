//! PVM programs on the engine, as the self-check sees them.
//!
//! Blocks are those of the machine. A call of an export enters the function that the jump at its entry leads to.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use pvm_isa::metadata::ImportKind;
use pvm_isa::validate::block_starts;
use pvm_isa::{Container, GpVersion, Opcode};
use ssa::Import;

use super::VerifyError;
use super::subject::{Effect, Ending, Program, Subject};
use crate::run::{
    FunctionType, GROW_HEAP, MachineError, Outcome, RunError, RunOptions, Session, Status, Value,
};

/// Gas of the start function.
const START_GAS: u64 = 1 << 36;

/// A PVM program.
pub struct PvmProgram {
    file: Vec<u8>,
    /// The loaded program; it is never run.
    loaded: OnceCell<Session>,
    container: Container,
    gp: GpVersion,
    /// The first wasm address with memory, if it is known.
    first: Option<u32>,
    /// The first positions of all blocks that do more than trap.
    blocks: Vec<u32>,
    /// The first positions of all functions.
    functions: Vec<u32>,
}

impl PvmProgram {
    /// Takes a program file. Linear memory begins at the wasm address `first`, if that is known.
    ///
    /// # Errors
    /// If it is not a program.
    pub fn new(file: Vec<u8>, first: Option<u32>) -> Result<Self, VerifyError> {
        let container = Container::parse(&file)
            .map_err(|error| VerifyError::Machine(format!("not a PVM program: {error}")))?;
        let gp = container.gp().unwrap_or_default();
        let blob = container.blob();
        let does_more = |pc: &u32| blob.decode(gp, *pc).inst.op() != Opcode::Trap;
        let blocks = block_starts(gp, blob).into_iter().filter(does_more).collect();
        let functions = container.functions(gp).into_iter().map(|function| function.pc).collect();
        Ok(Self { file, loaded: OnceCell::new(), container, gp, first, blocks, functions })
    }
}

impl Program for PvmProgram {
    fn function(&self, export: &str) -> Option<FunctionType> {
        let extension = self.container.extension();
        let export = extension.exports.iter().find(|known| known.name == export)?;
        FunctionType::parse(&export.signature)
    }

    fn effects(&self) -> BTreeMap<Import, Effect> {
        let effect = |kind| match kind {
            // The engine grows memory, and goes on.
            ImportKind::Ecalli(GROW_HEAP) | ImportKind::BuiltIn => Effect::BuiltIn,
            ImportKind::Ecalli(_) => Effect::Host,
            ImportKind::Trap => Effect::Traps,
            ImportKind::Nop => Effect::Nothing,
        };
        let imports = self.container.extension().imports.into_iter();
        imports
            .map(|import| (Import { module: import.module, field: import.name }, effect(import.kind)))
            .collect()
    }

    fn blocks(&self, export: &str) -> Vec<u32> {
        let extension = self.container.extension();
        let Some(export) = extension.exports.iter().find(|known| known.name == export) else {
            return Vec::new();
        };
        let jump = self.container.blob().decode(self.gp, export.pc).inst.target(export.pc);
        let start = jump.and_then(|target| u32::try_from(target).ok()).unwrap_or(export.pc);
        let next = self.functions.iter().copied().find(|&function| function > start).unwrap_or(u32::MAX);
        self.blocks.iter().copied().filter(|pc| (start..next).contains(pc)).collect()
    }

    fn instantiate(&self) -> Result<Box<dyn Subject + '_>, VerifyError> {
        let loaded = match self.loaded.get() {
            Some(loaded) => loaded,
            None => {
                let options = RunOptions { watch: true, gp: Some(self.gp), ..RunOptions::default() };
                let loaded = Session::load(&self.file, &options).map_err(failed)?;
                self.loaded.get_or_init(|| loaded)
            }
        };
        let mut session = loaded.again().map_err(failed)?;
        if let Some(first) = self.first {
            session.set_first_address(first);
        }
        Ok(Box::new(Running { session }))
    }
}

/// An instance.
struct Running {
    session: Session,
}

impl Running {
    fn ending(&mut self, outcome: Result<Outcome, RunError>) -> Result<Ending, VerifyError> {
        let outcome = match outcome {
            Err(RunError::Machine(MachineError::Convention(problem))) => return Ok(Ending::Broken(problem)),
            outcome => outcome.map_err(failed)?,
        };
        Ok(match outcome.status {
            Status::Halt => Ending::Returned(outcome.values),
            Status::Panic if self.session.is_out_of_stack() => Ending::OutOfStack,
            Status::Panic => Ending::Trapped(None),
            Status::OutOfGas => Ending::OutOfBudget,
            Status::HostCall { number, .. } => Ending::Import(self.import(number)),
        })
    }

    fn import(&self, number: u32) -> Option<String> {
        let mut imports = self.session.description().imports.iter();
        let import = imports.find(|import| import.kind == ImportKind::Ecalli(number))?;
        Some(format!("{}.{}", import.module, import.name))
    }
}

impl Subject for Running {
    fn start(&mut self) -> Result<Ending, VerifyError> {
        self.session.set_gas(START_GAS);
        match self.session.instantiate().transpose() {
            Some(outcome) => self.ending(outcome),
            None => Ok(Ending::Returned(Vec::new())),
        }
    }

    fn call(&mut self, export: &str, args: &[Value], budget: u64) -> Result<Ending, VerifyError> {
        self.session.set_gas(budget);
        let outcome = self.session.invoke(export, args);
        self.ending(outcome)
    }

    fn memory(&self) -> Range<u64> {
        self.session.linear_memory().unwrap_or(0..0)
    }

    fn read(&mut self, address: u64, len: usize) -> Result<Vec<u8>, VerifyError> {
        self.session.read(address as u32, len as u32).map_err(failed)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), VerifyError> {
        self.session.write(address as u32, bytes).map_err(failed)
    }

    fn global(&mut self, export: &str) -> Option<Value> {
        self.session.global(export)
    }

    fn set_global(&mut self, export: &str, value: Value) -> bool {
        self.session.set_global(export, &value)
    }

    fn reached(&mut self) -> BTreeSet<u32> {
        self.session.take_visited().into_iter().collect()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of `map_err`")]
fn failed(error: RunError) -> VerifyError {
    VerifyError::Machine(error.to_string())
}
