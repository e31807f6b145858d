//! Cortex-M objects on the engine, as the self-check sees them.
//!
//! Blocks are those of the machine, without those that begin with an undefined instruction. An object with native memory
//! has its data at other addresses than the module, so there is nothing to compare; it is refused if the module has a memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ssa::{Import, TrapCode};
use thumb_engine::{Block, blocks};
use wasmparser::{Parser, Payload, TypeRef};

use super::VerifyError;
use super::subject::{Effect, Ending, Program, Subject};
use crate::cortex_m::{self, Fault, Instance, ObjectError, Outcome, Record};
use crate::options::{ImportAction, MemoryMode, ThumbBounds, ThumbOptions};
use crate::run::{FunctionType, Value};

/// Instructions of the start function.
const START_BUDGET: u64 = 1 << 32;
/// The first byte pair of an undefined instruction, in its upper half.
const UDF: u8 = 0xde;
/// The error for objects that have no memory of their own.
const NATIVE: &str = "an object with native memory has its data at other addresses than the module, so its memory can't be \
                      compared; --memory symbol or register gives it a memory of its own";

/// All reasons of traps.
const TRAPS: [TrapCode; 14] = [
    TrapCode::Unreachable,
    TrapCode::MemoryOutOfBounds,
    TrapCode::TableOutOfBounds,
    TrapCode::BadSignature,
    TrapCode::DivideByZero,
    TrapCode::IntegerOverflow,
    TrapCode::BadConversion,
    TrapCode::Float,
    TrapCode::Import,
    TrapCode::UnalignedAtomic,
    TrapCode::EndlessWait,
    TrapCode::UnsharedWait,
    TrapCode::Exception,
    TrapCode::NullReference,
];

/// A Cortex-M object.
pub struct ThumbProgram {
    program: cortex_m::Program,
    effects: BTreeMap<Import, Effect>,
    /// Imports by their symbols.
    symbols: BTreeMap<String, Import>,
    /// All blocks that do more than trap.
    blocks: Vec<Block>,
    has_loose_bounds: bool,
}

impl ThumbProgram {
    /// Takes an object and the module that it was compiled from, with these options.
    ///
    /// # Errors
    /// If one of them can't be read, or memory can't be compared.
    pub fn new(wasm: &[u8], object: &[u8], options: &ThumbOptions) -> Result<Self, VerifyError> {
        let program = cortex_m::Program::new(wasm, object, options).map_err(failed)?;
        let (imports, has_memory) = declarations(wasm)?;
        if options.memory == MemoryMode::Native && has_memory {
            return Err(VerifyError::Machine(NATIVE.to_owned()));
        }
        let (mut effects, mut symbols) = (BTreeMap::new(), BTreeMap::new());
        for import in imports {
            let action = options.imports.action(&import).or_else(|| options.imports.wildcard(&import));
            let effect = match action {
                Some(ImportAction::Trap | ImportAction::LoggedTrap) => Effect::Traps,
                Some(ImportAction::Nop) => Effect::Nothing,
                _ => Effect::Host,
            };
            symbols.insert(symbol(&import, options), import.clone());
            effects.insert(import, effect);
        }
        let image = program.image();
        let code = image.code();
        let does_more = |block: &Block| code.get((block.start - image.start()) as usize + 1) != Some(&UDF);
        let blocks = blocks(image).into_iter().filter(does_more).collect();
        let has_loose_bounds = options.resolved_bounds() != ThumbBounds::Check;
        Ok(Self { program, effects, symbols, blocks, has_loose_bounds })
    }
}

/// The imported functions of a module, and whether it has a memory.
fn declarations(wasm: &[u8]) -> Result<(Vec<Import>, bool), VerifyError> {
    let malformed = |error: wasmparser::BinaryReaderError| VerifyError::Machine(error.to_string());
    let (mut imports, mut has_memory) = (Vec::new(), false);
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(malformed)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(malformed)?;
                    has_memory |= matches!(import.ty, TypeRef::Memory(_));
                    if matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)) {
                        imports
                            .push(Import { module: import.module.to_owned(), field: import.name.to_owned() });
                    }
                }
            }
            Payload::MemorySection(section) => has_memory |= section.count() > 0,
            _ => {}
        }
    }
    Ok((imports, has_memory))
}

/// The symbol of an import.
fn symbol(import: &Import, options: &ThumbOptions) -> String {
    let full = format!("{}.{}", import.module, import.field);
    let renamed = options.renames.get(&full).or_else(|| options.renames.get(&import.field));
    renamed.cloned().unwrap_or_else(|| format!("{}{}", options.import_prefix, import.field))
}

impl Program for ThumbProgram {
    fn function(&self, export: &str) -> Option<FunctionType> {
        self.program.function(export).ok()
    }

    fn blocks(&self, export: &str) -> Vec<u32> {
        let Some(range) = self.program.range(export) else { return Vec::new() };
        let starts = self.blocks.iter().map(|block| block.start);
        starts.filter(|start| range.contains(start)).collect()
    }

    fn effects(&self) -> BTreeMap<Import, Effect> {
        self.effects.clone()
    }

    fn instantiate(&self) -> Result<Box<dyn Subject + '_>, VerifyError> {
        let image = self.program.image();
        let executed = vec![false; image.code().len().div_ceil(2)];
        Ok(Box::new(Running { program: self, instance: self.program.instantiate(), executed }))
    }
}

/// An instance.
struct Running<'p> {
    program: &'p ThumbProgram,
    instance: Instance<'p>,
    /// Whether each half-word of the code was executed.
    executed: Vec<bool>,
}

impl Running<'_> {
    fn ending(&self, outcome: Outcome) -> Ending {
        use cortex_m::Ending as End;
        match outcome.ending {
            End::Returned => Ending::Returned(outcome.values),
            End::Trapped(number) => Ending::Trapped(TRAPS.into_iter().find(|trap| trap.number() == number)),
            End::Exhausted => Ending::OutOfStack,
            End::OutOfBudget => Ending::OutOfBudget,
            End::Stopped => {
                let import = outcome.undefined.and_then(|symbol| self.program.symbols.get(&symbol));
                Ending::Import(import.map(|import| format!("{}.{}", import.module, import.field)))
            }
            // Without checks, an access outside of memory may do anything.
            End::Faulted(Fault::Unmapped { .. } | Fault::ReadOnly { .. })
                if self.program.has_loose_bounds =>
            {
                Ending::Trapped(None)
            }
            End::Faulted(fault) => Ending::Broken(format!("at {:#x}: {fault}", outcome.at)),
            End::Corrupted(register) => Ending::Broken(format!("register {register} has changed")),
        }
    }
}

impl Subject for Running<'_> {
    fn start(&mut self) -> Result<Ending, VerifyError> {
        let mut record = Record { trace: None, executed: Some(&mut self.executed) };
        Ok(match self.instance.start(START_BUDGET, &mut record) {
            Some(outcome) => self.ending(outcome),
            None => Ending::Returned(Vec::new()),
        })
    }

    fn call(&mut self, export: &str, args: &[Value], budget: u64) -> Result<Ending, VerifyError> {
        let mut record = Record { trace: None, executed: Some(&mut self.executed) };
        let outcome = self.instance.call(export, args, budget, &mut record).map_err(failed)?;
        Ok(self.ending(outcome))
    }

    fn memory(&self) -> Range<u64> {
        0..u64::from(self.program.program.memory_bytes())
    }

    fn read(&mut self, address: u64, len: usize) -> Result<Vec<u8>, VerifyError> {
        self.instance.read(address, len).map_err(failed)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), VerifyError> {
        self.instance.write(address, bytes).map_err(failed)
    }

    fn global(&mut self, export: &str) -> Option<Value> {
        self.instance.global(export)
    }

    fn set_global(&mut self, export: &str, value: Value) -> bool {
        self.instance.set_global(export, value)
    }

    fn reached(&mut self) -> BTreeSet<u32> {
        let start = self.program.program.image().start();
        let mut reached = BTreeSet::new();
        for (place, address) in self.executed.iter_mut().zip((start..).step_by(2)) {
            if std::mem::take(place) {
                reached.insert(address);
            }
        }
        reached
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of `map_err`")]
fn failed(error: ObjectError) -> VerifyError {
    VerifyError::Machine(error.to_string())
}
