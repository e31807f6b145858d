//! Running compiled programs on emulated Cortex-M boards.
//!
//! The board checks that callee-saved registers and the stack pointer are preserved.

use board::aapcs::{members, structure};
use board::{Answer, Board, Core, Ending, Image, ImportCall, Undefined, Words};
use ssa::interp::{Interpreter, Options as InterpOptions};
use ssa::testing::SCRATCH_BYTES;
use ssa::{EntityId, Export, ExportItem, FuncId, FuncKind, Module, Signature, Type};
use target_thumb::{Cpu, InitialData, MemoryMode, ObjectOptions, Options};

use crate::{Outcome, answer, scratch};

/// Bytes of linear memory on the board: the range that programs access.
const MEMORY_BYTES: u32 = SCRATCH_BYTES + 16;
/// Bytes for several results.
const STRUCTURE_BYTES: u32 = 256;

/// Options of the target for programs on a board.
pub fn options(cpu: Cpu, memory: MemoryMode) -> Options {
    Options {
        cpu,
        memory,
        initial_data: if memory == MemoryMode::Symbol { InitialData::Image } else { InitialData::None },
        soft_floats: true,
        object: ObjectOptions { memory_bytes: Some(MEMORY_BYTES.into()), ..ObjectOptions::default() },
        threads: 1,
        ..Options::default()
    }
}

/// The core of the board for a core of the compiler.
pub const fn core(cpu: Cpu) -> Core {
    match cpu {
        Cpu::M0 | Cpu::M0Plus | Cpu::M1 => Core::M0,
        Cpu::M23 => Core::M23,
        Cpu::M3 => Core::M3,
        Cpu::M4 => Core::M4,
        Cpu::M4F => Core::M4F,
        Cpu::M7 => Core::M7,
        Cpu::M7DP => Core::M7DP,
        Cpu::M33 => Core::M33,
        Cpu::M33F => Core::M33F,
        Cpu::M52 | Cpu::M55 | Cpu::M85 => Core::M55,
        Cpu::M55DP | Cpu::M85DP => Core::M55DP,
    }
}

/// A compiled module on a board.
pub struct Loaded<'b, 'm> {
    board: &'b mut Board,
    module: &'m Module,
    mode: MemoryMode,
    image: Image,
    /// Address of linear memory.
    memory: Option<u32>,
    /// Address of the structure for several results.
    structure: u32,
}

impl<'b, 'm> Loaded<'b, 'm> {
    /// Compiles a module and loads it into the memory of a board, in place of earlier programs.
    ///
    /// # Panics
    /// If it can't be compiled or loaded.
    pub fn new(board: &'b mut Board, module: &'m Module, options: &Options) -> Self {
        board.clear();
        let object = target_thumb::compile(with_memory_exported(module), options).expect("it compiles");
        let library = board.symbols_starting("__aeabi_");
        let image = Image::load(board, &object.bytes, &mut |symbol| match import(module, symbol) {
            Some(func) => Some(Undefined::Import(func.index() as u32)),
            None => library.get(symbol).map(|&address| Undefined::Address(address)),
        });
        let image = image.expect("it can be loaded");
        let structure = board.allocate(STRUCTURE_BYTES.into(), 8, false).expect("there is room");
        let memory = module.memory().map(|_| match options.memory {
            MemoryMode::Symbol => image.address("__linear_memory").expect("the memory is exported"),
            MemoryMode::Register => board.allocate(MEMORY_BYTES.into(), 16, false).expect("there is room"),
            MemoryMode::Native => board.low_memory()[0],
        });
        Self { board, module, mode: options.memory, image, memory, structure }
    }

    /// Calls the export `name`, which is `func`, with the initial memory.
    ///
    /// # Panics
    /// If the call neither returns nor traps.
    pub fn call(&mut self, name: &str, func: FuncId, args: &[u64]) -> Outcome {
        self.image.restore(self.board).expect("the board listens");
        if let Some(memory) = self.memory.filter(|_| self.mode != MemoryMode::Symbol) {
            let initial = Interpreter::new(self.module, InterpOptions::new(self.module));
            self.board.write(memory, &scratch(&initial)).expect("the board listens");
        }
        let module = self.module;
        let sig = module.signature_of(func);
        let (params, args) = outside(sig, args, self.structure);
        let has_floats = self.board.core().has_floats();
        let address = self.image.address(name).expect("the function is exported");
        let mut call = board::Call::new(address, Words::arguments(has_floats, &params, &args));
        // As the interpreter does; other bits of NaNs may reach results as integers.
        call.canonical_nans = has_floats;
        if let Some(memory) = self.memory.filter(|_| self.mode == MemoryMode::Register) {
            call.base = memory;
        }
        let mut imports = Vec::new();
        let exit = self.board.call(&call, &mut |board, import| {
            let (func, args, answer) = answered(board, module, import)?;
            imports.push((func, args));
            Ok(answer)
        });
        let exit = exit.expect("the board answers");
        let end = match exit.ending {
            Ending::Returned => Ok(self.results(sig, &exit.words)),
            Ending::Trapped(number) => Err(Some(number.into())),
            other => panic!("{name}: {other:x?}, arguments {args:x?}"),
        };
        let memory = self.memory.map(|memory| self.board.read(memory, SCRATCH_BYTES));
        let memory = memory.transpose().expect("the board answers").unwrap_or_default();
        Outcome { end, imports, memory }
    }

    fn results(&mut self, sig: &Signature, words: &Words) -> Vec<u64> {
        if sig.results.len() < 2 {
            return words.values(self.board.core().has_floats(), &types(&sig.results));
        }
        let words = self.board.read_words(self.structure, STRUCTURE_BYTES as usize / 4);
        members(&types(&sig.results), &words.expect("the board answers"))
    }
}

/// The module with an export of its linear memory, so that the memory can be found.
fn with_memory_exported(module: &Module) -> Module {
    let mut module = module.clone();
    let memory = module.memory().map(|(id, _)| ExportItem::Data(id));
    let missing = memory.filter(|item| module.exports.iter().all(|export| export.item != *item));
    module.exports.extend(missing.map(|item| Export { name: "memory".into(), item }));
    module
}

/// The import with this symbol.
fn import(module: &Module, symbol: &str) -> Option<FuncId> {
    let is_it = |kind: &FuncKind| matches!(kind, FuncKind::Import(import) if import.field == symbol);
    module.decls.iter().find(|(_, decl)| is_it(&decl.kind)).map(|(func, _)| func)
}

/// Answers a call of an import as the interpreter's host does; returns the import, its arguments and its results.
fn answered(
    board: &mut Board,
    module: &Module,
    import: &ImportCall,
) -> anyhow::Result<(FuncId, Vec<u64>, Answer)> {
    let func = FuncId::new(import.number as usize);
    let sig = module.signature_of(func);
    let has_floats = board.core().has_floats();
    let (params, _) = outside(sig, &[], 0);
    assert!(import.sp.is_multiple_of(8), "an import is called with the stack pointer {:#x}", import.sp);
    let stack = board.read_words(import.sp, Words::stack_words(has_floats, &params))?;
    let mut args = Words { stack, ..import.words.clone() }.values(has_floats, &params);
    let pointer = (sig.results.len() > 1).then(|| args.remove(0) as u32);
    let results = answer(module, func, &args);
    let results_types = types(&sig.results);
    if let Some(pointer) = pointer {
        board.write_words(pointer, &structure(&results_types, &results))?;
        return Ok((func, args, Answer::default()));
    }
    let words = Words::arguments(has_floats, &results_types, &results);
    let answer = Answer { core: [words.core[0], words.core[1]], floats: [words.floats[0], words.floats[1]] };
    Ok((func, args, answer))
}

/// Parameters and arguments as seen from outside: several results are passed as a pointer.
fn outside(sig: &Signature, args: &[u64], structure: u32) -> (Vec<board::Type>, Vec<u64>) {
    let pointer = sig.results.len() > 1;
    let params = pointer.then_some(board::Type::I32).into_iter().chain(types(&sig.params));
    let args = pointer.then_some(structure.into()).into_iter().chain(args.iter().copied());
    (params.collect(), args.collect())
}

fn types(types: &[Type]) -> Vec<board::Type> {
    let lower = |ty: &Type| match ty {
        Type::I32 => board::Type::I32,
        Type::I64 => board::Type::I64,
        Type::F32 => board::Type::F32,
        Type::F64 => board::Type::F64,
    };
    types.iter().map(lower).collect()
}
