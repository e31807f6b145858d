//! Running compiled objects: the exports of a module in its Cortex-M object, on an engine in this process.
//!
//! [`Program`] joins what the object knows, symbols and settings, with what the module knows, the types of its exports. An
//! [`Instance`] of it is called with typed values. Linear memory is read and written by wasm addresses. The object runs
//! without firmware, so a call of an undefined function ends a run.

use std::collections::BTreeMap;
use std::ops::Range;

use target_thumb::file::{FileError, Summary};
use thumb_engine::aapcs::Type;
use thumb_engine::{Answer, Cpu, Function, Host, Kind, LoadError, Machine, Memory};
use wasmparser::BinaryReaderError;

pub use thumb_engine::{Ending, Fault, Image, Trace};

use crate::exports::{self, Exports};
use crate::options::ThumbOptions;
use crate::run::{FunctionType, Value, ValueType};

/// The address of linear memory, if a register points to it.
const BASE: u32 = 0x6000_0000;
/// Most bytes of linear memory that the embedder provides.
const MOST_PROVIDED: u64 = 0x4000_0000;
/// The symbol of linear memory.
const LINEAR_MEMORY: &str = "__linear_memory";

/// Reasons why an object can't be run.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ObjectError {
    /// It can't be linked.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The module is malformed.
    #[error("the module is malformed: {0}")]
    Module(String),
    /// The object has no such export.
    #[error("the object has no function `{0}`")]
    NoFunction(String),
    /// A type that has no form in the calling convention.
    #[error("the function `{0}` has a type that can't be given from outside")]
    Type(String),
    /// It needs more memory than the engine has.
    #[error("linear memory of {0} bytes is too large for the engine")]
    TooLarge(u64),
    /// An address outside of linear memory.
    #[error("the address {0:#x} is outside of linear memory")]
    Address(u64),
}

impl From<BinaryReaderError> for ObjectError {
    fn from(error: BinaryReaderError) -> Self {
        Self::Module(error.to_string())
    }
}

/// The place of linear memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Linear {
    /// The machine address of wasm address 0.
    base: u32,
    /// Bytes; 0 if wasm addresses are machine addresses.
    bytes: u32,
    /// Whether r11 points to it.
    is_register: bool,
}

/// A compiled object with the types of its module's exports.
#[derive(Clone, Debug)]
pub struct Program {
    image: Image,
    exports: Exports,
    renames: BTreeMap<String, String>,
    first_call: Option<String>,
    /// The handler of traps.
    handler: Option<String>,
    linear: Linear,
}

impl Program {
    /// Joins an object with the module that it was compiled from, with these options.
    ///
    /// # Errors
    /// If one of them can't be read, or memory is too large.
    pub fn new(wasm: &[u8], object: &[u8], options: &ThumbOptions) -> Result<Self, ObjectError> {
        let summary = Summary::read(object)?;
        let image = Image::load(object)?;
        let exports = exports::exports(wasm)?;
        let renames = options.renames.clone();
        let symbol = renames.get(LINEAR_MEMORY).map_or(LINEAR_MEMORY, String::as_str);
        let found = image.symbols().iter().find(|known| known.name == symbol);
        let linear = match (summary.provided_memory(), found) {
            (Some(bytes), _) if bytes > MOST_PROVIDED => return Err(ObjectError::TooLarge(bytes)),
            (Some(bytes), _) => Linear { base: BASE, bytes: bytes as u32, is_register: true },
            (None, Some(symbol)) => Linear { base: symbol.address, bytes: symbol.size, is_register: false },
            (None, None) => Linear { base: 0, bytes: 0, is_register: false },
        };
        let handler = match &options.trap {
            crate::options::Trap::Handler(symbol) => Some(symbol.clone()),
            crate::options::Trap::Instruction => None,
        };
        let first_call = summary.first_call().map(str::to_owned);
        Ok(Self { image, exports, renames, first_call, handler, linear })
    }

    /// The program as the engine has it.
    pub const fn image(&self) -> &Image {
        &self.image
    }

    /// The type of an exported function that can be called.
    ///
    /// # Errors
    /// If there is none of this name, or it has a type without a form in the calling convention.
    pub fn function(&self, export: &str) -> Result<FunctionType, ObjectError> {
        let signature = self.exports.functions.get(export);
        let signature = signature.ok_or_else(|| ObjectError::NoFunction(export.to_owned()))?;
        self.address(export)?;
        FunctionType::parse(signature).ok_or_else(|| ObjectError::Type(export.to_owned()))
    }

    /// The address of the function of an export. An export of an import may have none.
    fn address(&self, export: &str) -> Result<u32, ObjectError> {
        self.symbol(export).ok_or_else(|| ObjectError::NoFunction(export.to_owned()))
    }

    /// The addresses of the code of an exported function.
    pub fn range(&self, export: &str) -> Option<Range<u32>> {
        let address = self.symbol(export)?;
        let symbols = self.image.symbols().iter().filter(|symbol| symbol.address == address);
        let size = symbols.filter(|symbol| symbol.kind == Kind::Function).map(|symbol| symbol.size).max()?;
        Some(address..address + size)
    }

    fn symbol(&self, export: &str) -> Option<u32> {
        self.image.address(self.renames.get(export).map_or(export, String::as_str))
    }

    /// The address and the type of an exported global, if it has a place.
    pub fn global(&self, export: &str) -> Option<(u32, ValueType, bool)> {
        use pvm_isa::metadata::DataExportKind;
        let (_, kind) = self.exports.data.iter().find(|(name, _)| name == export)?;
        let DataExportKind::Global { ty, mutable } = *kind else { return None };
        Some((self.symbol(export)?, ValueType::of_letter(ty)?, mutable))
    }

    /// Bytes of linear memory that can be read from outside; 0 if wasm addresses are machine addresses.
    pub const fn memory_bytes(&self) -> u32 {
        self.linear.bytes
    }

    /// A new instance. Its start function has not run.
    pub fn instantiate(&self) -> Instance<'_> {
        let mut machine = Machine::new(self.image.clone());
        if self.linear.is_register {
            machine.memory.map(BASE, vec![0; self.linear.bytes as usize], true);
        }
        Instance { program: self, machine }
    }
}

/// The end of a call with its results.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// How it ended. A call of the trap handler is the trap.
    pub ending: Ending,
    /// The address of the last instruction.
    pub at: u32,
    /// The undefined function whose call ended it.
    pub undefined: Option<String>,
    /// The offset in the module that a trap handler gets.
    pub offset: Option<u32>,
    /// The results, if it returned.
    pub values: Vec<Value>,
    /// The number of executed instructions.
    pub instructions: u64,
}

/// What is recorded of a run.
#[derive(Default)]
pub struct Record<'a> {
    /// Every instruction with the calls that led to it.
    pub trace: Option<&'a mut Trace>,
    /// Whether the half-word at an offset in the code was executed.
    pub executed: Option<&'a mut Vec<bool>>,
}

/// The host of a run: it records, and stops at the first undefined function.
struct Recorder<'a, 'b> {
    record: &'a mut Record<'b>,
    start: u32,
    stopped: Option<usize>,
}

impl Host for Recorder<'_, '_> {
    fn step(&mut self, cpu: &Cpu) {
        if let Some(trace) = &mut self.record.trace {
            trace.step(cpu);
        }
        if let Some(executed) = &mut self.record.executed
            && let Some(place) = executed.get_mut((cpu.pc().wrapping_sub(self.start) / 2) as usize)
        {
            *place = true;
        }
    }

    fn call(&mut self, _: &mut Cpu, _: &mut Memory, function: usize) -> Answer {
        self.stopped = Some(function);
        Answer::Stop
    }
}

/// A running object.
pub struct Instance<'p> {
    program: &'p Program,
    machine: Machine,
}

impl Instance<'_> {
    /// Calls the function that the firmware must call first, if there is one: it copies initial data and runs the start
    /// function.
    pub fn start(&mut self, budget: u64, record: &mut Record<'_>) -> Option<Outcome> {
        let address = self.program.image.address(self.program.first_call.as_deref()?)?;
        let function = Function { address, params: Vec::new(), results: Vec::new() };
        Some(self.invoke(&function, &FunctionType::default(), &[], budget, record))
    }

    /// Calls an exported function with arguments of its type.
    ///
    /// # Errors
    /// If there is none of this name, or it has a type without a form in the calling convention.
    pub fn call(
        &mut self,
        export: &str,
        args: &[Value],
        budget: u64,
        record: &mut Record<'_>,
    ) -> Result<Outcome, ObjectError> {
        let ty = self.program.function(export)?;
        let function = Function {
            address: self.program.address(export)?,
            params: lowered(&ty.params),
            results: lowered(&ty.results),
        };
        Ok(self.invoke(&function, &ty, args, budget, record))
    }

    fn invoke(
        &mut self,
        function: &Function,
        ty: &FunctionType,
        args: &[Value],
        budget: u64,
        record: &mut Record<'_>,
    ) -> Outcome {
        if let Some(trace) = &mut record.trace {
            trace.enter();
        }
        let words: Vec<u64> = args.iter().flat_map(words).collect();
        let base = self.program.linear.is_register.then_some(BASE);
        let mut host = Recorder { record, start: self.program.image.start(), stopped: None };
        let outcome = self.machine.invoke(function, &words, base, budget, &mut host);
        let undefined = host.stopped.map(|index| self.program.image.undefined()[index].clone());
        let is_trap = undefined.is_some() && undefined == self.program.handler;
        let (ending, offset) = match is_trap {
            true => (Ending::Trapped(self.machine.cpu.r(0)), Some(self.machine.cpu.r(1))),
            false => (outcome.ending, None),
        };
        let values =
            if outcome.ending == Ending::Returned { values(ty, &outcome.results) } else { Vec::new() };
        let undefined = undefined.filter(|_| !is_trap);
        Outcome { ending, at: outcome.at, undefined, offset, values, instructions: outcome.instructions }
    }

    /// Reads linear memory.
    ///
    /// # Errors
    /// If a byte is outside of it.
    pub fn read(&self, address: u64, len: usize) -> Result<Vec<u8>, ObjectError> {
        let at = self.linear(address, len)?;
        let bytes = u32::try_from(len).ok().and_then(|len| self.machine.memory.read(at, len));
        Ok(bytes.ok_or(ObjectError::Address(address))?.to_vec())
    }

    /// Writes linear memory.
    ///
    /// # Errors
    /// If a byte is outside of it.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), ObjectError> {
        let at = self.linear(address, bytes.len())?;
        self.machine.memory.write(at, bytes).ok_or(ObjectError::Address(address))
    }

    /// The machine address of a range of linear memory.
    fn linear(&self, address: u64, len: usize) -> Result<u32, ObjectError> {
        let Linear { base, bytes, .. } = self.program.linear;
        let end = address.checked_add(len as u64).ok_or(ObjectError::Address(address))?;
        let limit = if bytes == 0 { 1 << 32 } else { u64::from(bytes) };
        if end > limit {
            return Err(ObjectError::Address(address));
        }
        Ok(base.wrapping_add(address as u32))
    }

    /// The value of an exported global; `None` if it has no place.
    pub fn global(&self, export: &str) -> Option<Value> {
        let (address, ty, _) = self.program.global(export)?;
        let bytes = self.machine.memory.read(address, ty.bytes())?;
        let bits = bytes.iter().rev().fold(0, |bits, &byte| bits << 8 | u128::from(byte));
        Some(Value { ty, bits })
    }

    /// Sets an exported mutable global. Returns whether that was possible.
    pub fn set_global(&mut self, export: &str, value: Value) -> bool {
        let Some((address, ty, true)) = self.program.global(export) else { return false };
        let bytes = value.bits.to_le_bytes();
        ty == value.ty && self.machine.memory.write(address, &bytes[..ty.bytes() as usize]).is_some()
    }
}

/// Types in the calling convention. A vector is four words, a reference 64 bits.
fn lowered(types: &[ValueType]) -> Vec<Type> {
    let lower = |ty: &ValueType| match ty {
        ValueType::I32 => vec![Type::I32],
        ValueType::F32 => vec![Type::F32],
        ValueType::F64 => vec![Type::F64],
        ValueType::V128 => vec![Type::I32; 4],
        ValueType::I64 | ValueType::FuncRef | ValueType::ExternRef => vec![Type::I64],
    };
    types.iter().flat_map(lower).collect()
}

fn words(value: &Value) -> Vec<u64> {
    match value.ty {
        ValueType::V128 => (0..4).map(|n| u64::from((value.bits >> (32 * n)) as u32)).collect(),
        _ => vec![value.bits as u64],
    }
}

fn values(ty: &FunctionType, mut words: &[u64]) -> Vec<Value> {
    let mut values = Vec::new();
    for &ty in &ty.results {
        let count = if ty == ValueType::V128 { 4 } else { 1 };
        let (these, rest) = words.split_at(count.min(words.len()));
        let bits = these.iter().rev().fold(0, |bits: u128, &word| bits << 32 | u128::from(word));
        values.push(Value { ty, bits });
        words = rest;
    }
    values
}
