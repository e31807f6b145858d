//! Modules compiled for Cortex-M, on an emulated board.
//!
//! Objects are linked by the board's own linker and entered by the procedure call standard. Linear memory is the
//! object's (`--memory symbol`). On every return the board checks callee-saved registers and the stack pointer; the stack
//! pointer must be a multiple of 8 at every call of an import.

use std::cell::RefCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use anyhow::{Context as _, Result, bail, ensure};
use board::{Answer, Board, Core, Ending, Image, ImportCall, Type, Undefined, Words};
use wasm_pvm::{Cpu, FloatHelpers, Floats, MemoryMode, OptLevel, Options, ThumbBounds, ThumbOptions};
use wasmparser::ValType;

use crate::executor::{Call, CallExit, Executable, Executor, Host, Refusal, Trap};
use crate::interface::{self, Function, Interface, interface};
use crate::program::refusal;

/// Prefix of the symbols of imports.
const IMPORT_PREFIX: &str = "import_";
/// Time limit of a call that is expected not to terminate, in hundredths of a second.
const ENDLESS_TICKS: u32 = 50;
/// Maximum growth of the first memory, in bytes.
const MOST_GROWTH: u64 = 0x20_0000;
/// Maximum growth of each other memory, in bytes.
const MOST_FURTHER_GROWTH: u32 = 5 << 16;
/// Bytes reserved for several results.
const STRUCTURE_BYTES: u32 = 1024;

/// Options of compilation.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The core.
    pub cpu: Cpu,
    /// The optimisation level.
    pub level: OptLevel,
    /// Treatment of float operators.
    pub floats: Floats,
    /// Functions for float operators that the core lacks.
    pub float_helpers: FloatHelpers,
    /// Where linear memory is: at a symbol, or where a register points.
    pub memory: MemoryMode,
    /// Values of imported globals.
    pub imported_globals: BTreeMap<ssa::Import, wasm_pvm::ConstValue>,
}

impl Setup {
    /// A core, a level, and the treatment of float operators.
    pub const fn new(cpu: Cpu, level: OptLevel, floats: Floats) -> Self {
        Self {
            cpu,
            level,
            floats,
            float_helpers: FloatHelpers::Aeabi,
            memory: MemoryMode::Symbol,
            imported_globals: BTreeMap::new(),
        }
    }

    /// The same with linear memory where a register points, for one seed of three.
    #[must_use]
    pub const fn with_memory_of(mut self, seed: u64) -> Self {
        self.memory = if seed % 3 == 2 { MemoryMode::Register } else { MemoryMode::Symbol };
        self
    }

    /// The same with our own functions for float operators.
    #[must_use]
    pub const fn with_own_float_helpers(mut self) -> Self {
        self.float_helpers = FloatHelpers::Own;
        self
    }

    /// Whether float operators are executed.
    pub const fn executes_floats(&self) -> bool {
        matches!(self.floats, Floats::Soft | Floats::Hard)
    }

    /// Whether floats are passed in float registers.
    const fn passes_floats(&self) -> bool {
        self.executes_floats() && board_core(self.cpu).has_floats()
    }

    /// Whether it can be run here; if not, the check is recorded as skipped.
    pub fn is_available(&self) -> bool {
        let mut tools = board::TOOLS.to_vec();
        if self.floats == Floats::Soft {
            tools.push("arm-none-eabi-gcc");
        }
        needs::tools(&tools)
    }

    /// Compiles a module to an object.
    ///
    /// # Errors
    /// The reason of a refusal.
    pub fn compile(&self, wasm: &[u8], interface: &Interface) -> Result<Vec<u8>, Refusal> {
        let thumb = ThumbOptions {
            memory: self.memory,
            float_helpers: self.float_helpers,
            bounds: Some(ThumbBounds::Check),
            memory_bytes: reserve(interface),
            memory_reserve: if interface.grows { MOST_FURTHER_GROWTH } else { 0 },
            import_prefix: IMPORT_PREFIX.to_owned(),
            renames: renames(interface),
            ..ThumbOptions::new(self.cpu)
        };
        let options = Options {
            level: self.level,
            floats: Some(self.floats),
            imported_globals: self.imported_globals.clone(),
            threads: 1,
            ..Options::new(thumb)
        };
        wasm_pvm::compile(wasm, &options).map(|output| output.bytes).map_err(refusal)
    }
}

/// Memory to reserve for a module that may grow: up to its maximum, within limits.
pub(crate) fn reserve(interface: &Interface) -> Option<u32> {
    let [min, max] = interface.memory_bytes;
    let most = min?.saturating_add(MOST_GROWTH);
    let bytes = max.map_or(most, |max| max.min(most));
    u32::try_from(bytes).ok().filter(|_| interface.grows)
}

/// Whether a memory of the module can't grow as far as the module allows.
pub(crate) fn is_limited(interface: &Interface) -> bool {
    let max = interface.memory_bytes[1].unwrap_or(u64::MAX);
    let has_others = interface.memories > 1 && interface.grows;
    has_others || reserve(interface).is_some_and(|reserved| u64::from(reserved) < max)
}

/// The index of the import with a symbol.
pub(crate) fn import(
    interface: &Interface,
    renames: &BTreeMap<String, String>,
    symbol: &str,
) -> Option<usize> {
    let is = |field: &String| {
        renames
            .get(field)
            .map_or_else(|| symbol.strip_prefix(IMPORT_PREFIX) == Some(field), |renamed| renamed == symbol)
    };
    interface.imports.iter().position(|(_, field, _)| is(field))
}

/// The core of the board for a core of the compiler.
pub const fn board_core(cpu: Cpu) -> Core {
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

/// Symbols for exports, whose names need not be valid symbols. The name of an export that is also an import's is kept,
/// because a rename would apply to both.
pub(crate) fn renames(interface: &Interface) -> BTreeMap<String, String> {
    let functions = interface.functions.keys();
    let memories = interface.memory_exports.iter().map(|(name, _)| name);
    let exports: BTreeSet<&String> = functions.chain(memories).chain(&interface.data_exports).collect();
    let imports: BTreeSet<&String> = interface.imports.iter().map(|(_, field, _)| field).collect();
    let renamed = |names: &BTreeSet<&String>, others: &BTreeSet<&String>, prefix: &str| -> Vec<_> {
        let only = names.difference(others).enumerate();
        only.map(|(n, name)| ((*name).clone(), format!("{prefix}{n}"))).collect()
    };
    let exported = renamed(&exports, &imports, "export_");
    exported.into_iter().chain(renamed(&imports, &exports, IMPORT_PREFIX)).collect()
}

/// A board that modules are compiled for.
pub struct Thumb {
    setup: Setup,
    board: Rc<RefCell<Board>>,
}

impl Thumb {
    /// Starts a board.
    ///
    /// # Errors
    /// If the tools for it are missing.
    pub fn new(setup: Setup) -> Result<Self> {
        let board = Board::start(board_core(setup.cpu))?;
        Ok(Self { setup, board: Rc::new(RefCell::new(board)) })
    }

    /// The board for a setup that this thread has started before, or a new one.
    ///
    /// # Errors
    /// If the tools for it are missing.
    pub fn shared(setup: Setup) -> Result<Self> {
        thread_local! {
            static BOARDS: RefCell<BTreeMap<Cpu, Thumb>> = const { RefCell::new(BTreeMap::new()) };
        }
        BOARDS.with_borrow_mut(|boards| {
            let board = match boards.entry(setup.cpu) {
                Entry::Occupied(board) => board.into_mut(),
                Entry::Vacant(place) => place.insert(Self::new(setup.clone())?),
            };
            Ok(board.with_setup(setup))
        })
    }

    /// Options of compilation.
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The same board with another setup for the same core.
    #[must_use]
    pub fn with_setup(&self, setup: Setup) -> Self {
        Self { setup, board: Rc::clone(&self.board) }
    }

    fn loaded(&self, wasm: &[u8]) -> Result<Loaded, Refusal> {
        let other = |error: anyhow::Error| Refusal::Other(format!("{error:#}"));
        let interface = interface(wasm).map_err(|error| Refusal::Invalid(error.to_string()))?;
        let object = self.setup.compile(wasm, &interface)?;
        let renames = renames(&interface);
        let mut board = self.board.borrow_mut();
        let library: BTreeMap<String, u32> = match self.setup.float_helpers {
            FloatHelpers::Aeabi => board.symbols_starting("__aeabi_"),
            FloatHelpers::Own => BTreeMap::new(),
        };
        let loaded =
            Image::load(&mut board, &object, &mut |symbol| match import(&interface, &renames, symbol) {
                Some(n) => Some(Undefined::Import(n as u32)),
                None => library.get(symbol).map(|&address| Undefined::Address(address)),
            });
        let image = match loaded {
            Ok(image) => image,
            Err(error) if error.to_string().contains("no room") => return Err(Refusal::NoRoom),
            Err(error) => return Err(other(error)),
        };
        let structure = board.allocate(STRUCTURE_BYTES.into(), 8, false).map_err(|_| Refusal::NoRoom)?;
        let base = match (self.setup.memory, interface.memory_bytes[0]) {
            (MemoryMode::Register, Some(min)) => {
                let bytes = reserve(&interface).map_or(min, u64::from).next_multiple_of(4);
                let base = board.allocate(bytes, 16, true).map_err(|_| Refusal::NoRoom)?;
                board.fill(base, bytes as u32, 0).map_err(other)?;
                Some(base)
            }
            _ => None,
        };
        let has_floats = self.setup.passes_floats();
        let board = Rc::clone(&self.board);
        Ok(Loaded { board, image, base, interface, renames, structure, has_floats })
    }
}

impl Executor for Thumb {
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

    fn clear(&self) {
        self.board.borrow_mut().clear();
    }
}

/// An object in the memory of a board.
struct Loaded {
    board: Rc<RefCell<Board>>,
    image: Image,
    /// Linear memory, if a register points to it.
    base: Option<u32>,
    interface: Interface,
    renames: BTreeMap<String, String>,
    /// The address for several results.
    structure: u32,
    /// Whether floats are passed in float registers.
    has_floats: bool,
}

impl Loaded {
    fn address(&self, export: &str) -> Option<u32> {
        self.image.address(self.renames.get(export).map_or(export, String::as_str))
    }

    fn linear_memory(&self) -> Option<u32> {
        self.base.or_else(|| self.image.address("__linear_memory"))
    }

    /// Calls code at an address.
    fn invoke(
        &mut self,
        address: u32,
        function: &Function,
        args: &[u64],
        is_endless: bool,
        host: Host<'_>,
    ) -> Result<CallExit> {
        let (mut types, results) = (types(&function.params), types(&function.results));
        let mut args = split_vectors(&function.params, args);
        if results.len() > 1 {
            types.insert(0, Type::I32);
            args.insert(0, self.structure.into());
        }
        let words = Words::arguments(self.has_floats, &types, &args);
        let mut call = board::Call::new(address, words);
        call.base = self.base.unwrap_or(call.base);
        if is_endless {
            call.ticks = ENDLESS_TICKS;
        }
        let (imports, has_floats) = (&self.interface.imports, self.has_floats);
        let mut board = self.board.borrow_mut();
        let exit = board.call(&call, &mut |board, import| {
            let (_, field, function) = &imports[import.number as usize];
            answer(board, import, function, has_floats, host).with_context(|| format!("import {field}"))
        })?;
        Ok(match exit.ending {
            Ending::Returned if results.len() > 1 => {
                let words = board.read_words(self.structure, STRUCTURE_BYTES as usize / 4)?;
                let values = extended(&results, board::aapcs::members(&results, &words));
                CallExit::Returned(joined_vectors(&function.results, &values))
            }
            Ending::Returned => {
                CallExit::Returned(extended(&results, exit.words.values(has_floats, &results)))
            }
            Ending::Trapped(number) => CallExit::Trapped(Some(trap(number)?)),
            Ending::Exhausted => CallExit::Exhausted,
            Ending::TimedOut(_) if is_endless => CallExit::Exhausted,
            Ending::TimedOut(at) => bail!("no end, at {at:#x}"),
            Ending::Corrupted(register) => {
                bail!("register {register} has another value than before the call")
            }
            Ending::Faulted(fault) => bail!("a fault: {fault:x?}"),
        })
    }
}

/// The trap of an operand of `udf`.
pub(crate) fn trap(number: u8) -> Result<Trap> {
    Ok(match number {
        0 => Trap::Unreachable,
        1 => Trap::IntegerOverflow,
        2 => Trap::DivideByZero,
        3 => Trap::Memory,
        4 => Trap::Table,
        5 => Trap::Signature,
        6 => Trap::Conversion,
        7 => Trap::Float,
        9 => Trap::Unaligned,
        10 | 11 => Trap::Wait,
        12 => Trap::Exception,
        13 => Trap::NullReference,
        other => bail!("trap {other}, which no module makes"),
    })
}

/// Answers a call of an import.
fn answer(
    board: &mut Board,
    import: &ImportCall,
    function: &Function,
    has_floats: bool,
    host: Host<'_>,
) -> Result<Answer> {
    ensure!(import.sp.is_multiple_of(8), "called with the stack pointer {:#x}", import.sp);
    let (params, results) = (types(&function.params), types(&function.results));
    ensure!(results.len() <= 1, "an import with several results");
    let stack = board.read_words(import.sp, Words::stack_words(has_floats, &params))?;
    let words = Words { stack, ..import.words.clone() };
    let args = extended(&params, words.values(has_floats, &params));
    let result = host(import.number, &args);
    let words = Words::arguments(has_floats, &results, &[result]);
    Ok(Answer { core: [words.core[0], words.core[1]], floats: [words.floats[0], words.floats[1]] })
}

/// Sign-extends 32-bit values.
pub(crate) fn extended(types: &[Type], values: Vec<u64>) -> Vec<u64> {
    let extend = |(ty, value): (&Type, u64)| match ty.words() {
        1 => i64::from(value as i32) as u64,
        _ => value,
    };
    types.iter().zip(values).map(extend).collect()
}

/// Types of the procedure call standard.
pub(crate) fn types(types: &[ValType]) -> Vec<Type> {
    let lower = |ty: &ValType| match ty {
        ValType::I32 => vec![Type::I32],
        ValType::F32 => vec![Type::F32],
        ValType::F64 => vec![Type::F64],
        ValType::V128 => vec![Type::I32; 4],
        ValType::I64 | ValType::Ref(_) => vec![Type::I64],
    };
    types.iter().flat_map(lower).collect()
}

/// Vectors of two words become four words of 32 bits.
pub(crate) fn split_vectors(types: &[ValType], words: &[u64]) -> Vec<u64> {
    let mut words = words.iter().copied();
    let mut split = Vec::new();
    for &ty in types {
        for word in words.by_ref().take(interface::words(ty)) {
            match ty {
                ValType::V128 => split.extend([u64::from(word as u32), word >> 32]),
                _ => split.push(word),
            }
        }
    }
    split
}

/// The reverse of [`split_vectors`].
pub(crate) fn joined_vectors(types: &[ValType], values: &[u64]) -> Vec<u64> {
    let mut values = values.iter().copied();
    let mut words = Vec::new();
    for &ty in types {
        match ty {
            ValType::V128 => {
                let parts: Vec<u64> = values.by_ref().take(4).collect();
                words.extend(parts.chunks(2).map(|pair| pair[1] << 32 | u64::from(pair[0] as u32)));
            }
            _ => words.extend(values.next()),
        }
    }
    words
}

impl Executable for Loaded {
    fn start(&mut self, host: Host<'_>) -> Result<CallExit> {
        match self.image.address("__wasm_start") {
            Some(address) => self.invoke(address, &Function::default(), &[], false, host),
            None => Ok(CallExit::Returned(Vec::new())),
        }
    }

    fn call(&mut self, call: Call<'_>, host: Host<'_>) -> Result<CallExit> {
        let (index, function) = self.interface.functions.get(call.name).context("no such export")?.clone();
        match self.address(call.name) {
            Some(address) => self.invoke(address, &function, call.args, call.is_endless, host),
            None if (index as usize) < self.interface.imports.len() => {
                let result = host(index, call.args);
                let results = extended(&types(&function.results), vec![result; function.results.len()]);
                Ok(CallExit::Returned(results))
            }
            None => bail!("the export {} has no symbol", call.name),
        }
    }

    fn is_limited(&self) -> bool {
        is_limited(&self.interface)
    }

    fn memory(&mut self, len: u32) -> Result<Vec<u8>> {
        let address = self.linear_memory().context("no linear memory")?;
        self.board.borrow_mut().read(address, len)
    }

    fn exported_memory(&mut self, name: &str, len: u32) -> Result<Vec<u8>> {
        let exports = &self.interface.memory_exports;
        let (_, index) = exports.iter().find(|(export, _)| export == name).context("no such memory")?;
        let address = if *index == 0 { self.linear_memory() } else { self.address(name) };
        self.board.borrow_mut().read(address.context("the memory has no symbol")?, len)
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
        word[..bytes as usize].copy_from_slice(&self.board.borrow_mut().read(address, bytes)?);
        Ok(Some(u64::from_le_bytes(word)))
    }
}
