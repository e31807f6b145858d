//! The corpus for Cortex-M: modules of kernels, compiled, linked, and compared with the reference engine.
//!
//! In native mode wasm addresses are machine addresses. So a board has the module's memory at address 0, where it has
//! RAM, and the reference engine has the same bytes at the same addresses. Pointer arguments point into one region at
//! the end of memory that the module doesn't use itself. It is filled the same on both sides, and compared after each
//! call. Static data and the stack are elsewhere in native mode; they are compared through their effects on results.
//!
//! Calls follow each other on one instance until one traps. If the reference engine finds an access out of bounds,
//! the call is not compared, because native mode checks no bounds.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use board::{Answer, Board, Call, Ending, Image, Undefined, Words};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use wasm_pvm::{Cpu, MemoryMode, OptLevel, Options, ThumbOptions};
use wasmparser::{DataKind, Operator, Parser, Payload};

use crate::executor::Trap;
use crate::interface::{Interface, interface};
use crate::oracle::{Export, ImportCall, Outcome, Reference};
use crate::thumb::types;
use random::Rng;

/// Fuel of the reference engine per call.
const FUEL: u64 = 100_000;
/// Bytes of the region for pointers.
const REGION: u32 = 4096;
/// The symbol of an import without a name.
const NAMELESS: &str = "import_without_name";

/// A module of the corpus.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its name.
    pub name: String,
    /// The wasm.
    pub wasm: Vec<u8>,
    interface: Interface,
}

/// Numbers of calls.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Compared {
    /// Calls that returned, or trapped, with the same effects.
    pub agreed: usize,
    /// Calls that can't be compared.
    pub unknown: usize,
}

/// The folder of the corpus, outside of the repository.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/thumb")
}

/// The modules of a folder, sorted; none if there is no such folder.
pub fn modules(folder: &Path) -> Result<Vec<Module>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut modules = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            let wasm = std::fs::read(&path)?;
            let name = path.file_stem().context("a file name")?.to_string_lossy().into_owned();
            modules.push(Module::new(&name, wasm)?);
        }
    }
    modules.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(modules)
}

impl Module {
    /// A module.
    ///
    /// # Errors
    /// If it is not wasm.
    pub fn new(name: &str, wasm: Vec<u8>) -> Result<Self> {
        Ok(Self { name: name.to_owned(), interface: interface(&wasm)?, wasm })
    }

    /// Compiles the module to an object.
    ///
    /// # Errors
    /// If the compiler refuses it.
    pub fn compile(&self, memory: MemoryMode, cpu: Cpu, level: OptLevel) -> Result<Vec<u8>> {
        let mut thumb = ThumbOptions { memory, ..ThumbOptions::new(cpu) };
        thumb.renames.insert(String::new(), NAMELESS.to_owned());
        let options = Options { level, threads: 1, ..Options::new(thumb) };
        Ok(wasm_pvm::compile(&self.wasm, &options)?.bytes)
    }

    /// Checks that the undefined symbols of the object are imports of the module. (An import without remaining calls
    /// needs no symbol; [`Self::compare`] notices missing calls.)
    ///
    /// # Errors
    /// If there is another one, or an exported function has no symbol.
    pub fn check_symbols(&self, object: &[u8]) -> Result<()> {
        let elf = object::File::parse(object)?;
        let undefined: BTreeSet<&str> = elf
            .symbols()
            .filter(|s| s.is_undefined())
            .filter_map(|s| s.name().ok())
            .filter(|n| !n.is_empty())
            .collect();
        let imports: BTreeSet<&str> = self.import_symbols().into_iter().collect();
        ensure!(undefined.is_subset(&imports), "undefined are {undefined:?}, imported {imports:?}");
        let defined: BTreeSet<&str> = elf
            .symbols()
            .filter(|s| s.is_global() && s.is_definition())
            .filter_map(|s| s.name().ok())
            .collect();
        let missing: Vec<&String> =
            self.interface.functions.keys().filter(|name| !defined.contains(name.as_str())).collect();
        ensure!(missing.is_empty(), "no symbols for {missing:?}");
        Ok(())
    }

    /// Symbols of the imports, in order.
    pub fn import_symbols(&self) -> Vec<&str> {
        let fields = self.interface.imports.iter().map(|(_, field, _)| field.as_str());
        fields.map(|field| if field.is_empty() { NAMELESS } else { field }).collect()
    }

    /// Compares calls of every exported function, `calls` of each, with random arguments.
    ///
    /// # Errors
    /// The first difference.
    pub fn compare(
        &self,
        board: &mut Board,
        memory: MemoryMode,
        level: OptLevel,
        calls: usize,
    ) -> Result<Compared> {
        let object = self.compile(memory, Cpu::M3, level)?;
        board.clear();
        let symbols = self.import_symbols();
        let image = Image::load(board, &object, &mut |symbol| {
            let n = symbols.iter().position(|import| *import == symbol)?;
            Some(Undefined::Import(n as u32))
        })?;
        let exports = self.reference()?.integer_exports();
        let mut random = Rng::new(7);
        let mut compared = Compared::default();
        let layout = MemoryLayout::of(self, &image, memory)?;
        let mut instance = None;
        for export in &exports {
            for _ in 0..calls {
                let reference = match instance.take() {
                    Some(reference) => reference,
                    None => {
                        layout.restore(self, board, &image, memory)?;
                        self.reference()?
                    }
                };
                let trial = Trial::new(export, &layout, &mut random);
                let mut sides = Sides { module: self, image: &image, layout: &layout, board, reference };
                let verdict =
                    trial.run(&mut sides).with_context(|| format!("{} {:x?}", export.name, trial.args))?;
                match verdict {
                    Verdict::Returned | Verdict::Trapped => compared.agreed += 1,
                    Verdict::Unknown => compared.unknown += 1,
                }
                instance = (verdict == Verdict::Returned).then_some(sides.reference);
            }
        }
        Ok(compared)
    }

    fn reference(&self) -> Result<Reference> {
        let bytes = self.interface.memory_bytes[0].map(|bytes| bytes as usize);
        let reference = Reference::with(&self.wasm, FUEL, answer, bytes)?;
        reference.context("the reference engine can't instantiate the module")
    }
}

/// The byte that fills native memory where the module must not read.
const POISON: u8 = 0xa5;
/// Bytes at address 0 that may change, because small numbers are used as addresses.
const LOW: u32 = 0x1_0000;
/// Machine addresses of static data and the stack on the board.
const BOARD_MEMORY: u64 = 0x2000_0000;

/// Layout of the module's memory.
struct MemoryLayout {
    /// Size of memory.
    bytes: u32,
    /// The region, if there is memory.
    region: Option<u32>,
    /// The machine address of memory.
    base: u32,
}

impl MemoryLayout {
    fn of(module: &Module, image: &Image, memory: MemoryMode) -> Result<Self> {
        let bytes = module.interface.memory_bytes[0].unwrap_or(0) as u32;
        let base = match memory {
            MemoryMode::Symbol => image.address("__linear_memory").unwrap_or(0),
            _ => 0,
        };
        let region = if bytes == 0 { None } else { Some(region(&module.wasm, bytes)?) };
        Ok(Self { bytes, region, base })
    }

    /// Puts memory into its initial state. In native mode no code may read static data at its wasm address.
    fn restore(&self, module: &Module, board: &mut Board, image: &Image, memory: MemoryMode) -> Result<()> {
        image.restore(board)?;
        if let Some(start) = image.address("__wasm_start") {
            let exit = board.call(&Call::new(start, Words::default()), &mut |_, _| Ok(Answer::default()))?;
            ensure!(exit.ending == Ending::Returned, "it starts");
        }
        if memory == MemoryMode::Native {
            board.fill(0, LOW, 0)?;
            for segment in segments(&module.wasm)? {
                board.write(segment.start, &vec![POISON; segment.len()])?;
            }
        }
        Ok(())
    }

    /// Whether two words may be the same pointer: to static data or the stack, whose addresses differ.
    fn is_same(&self, ours: u64, expected: u64) -> bool {
        let is_ours = (BOARD_MEMORY..BOARD_MEMORY + 0x200_0000).contains(&(ours & 0xffff_ffff));
        let is_theirs = (expected & 0xffff_ffff) < u64::from(self.bytes);
        ours == expected || (is_ours && is_theirs)
    }
}

/// A part of memory that the module doesn't use itself.
fn region(wasm: &[u8], bytes: u32) -> Result<u32> {
    let taken = taken(wasm)?;
    let candidates = (1..16).map(|n| bytes - n * REGION);
    let is_free = |at: &u32| taken.iter().all(|taken| *at >= taken.end || at + REGION <= taken.start);
    candidates.into_iter().find(is_free).context("no free part of memory")
}

/// Data segments, and the stacks below the initial values of the first mutable globals.
fn taken(wasm: &[u8]) -> Result<Vec<Range<u32>>> {
    const STACK: u32 = 0x4000;
    let mut taken = segments(wasm)?;
    taken.push(0..LOW.min(0x400));
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::GlobalSection(section) = payload? else { continue };
        for global in section {
            let global = global?;
            let value = global.init_expr.get_operators_reader().read()?;
            if let (true, Operator::I32Const { value }) = (global.ty.mutable, value) {
                taken.push((value as u32).saturating_sub(STACK)..value as u32);
            }
        }
    }
    Ok(taken)
}

/// The wasm addresses of data segments.
fn segments(wasm: &[u8]) -> Result<Vec<Range<u32>>> {
    let mut segments = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::DataSection(section) = payload? else { continue };
        for data in section {
            let data = data?;
            let DataKind::Active { offset_expr, .. } = data.kind else { continue };
            if let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? {
                segments.push(value as u32..value as u32 + data.data.len() as u32);
            }
        }
    }
    Ok(segments)
}

/// The results of imports: small numbers and addresses of the region at the end of 64 KiB, by the order of calls.
fn answer(index: u32, _args: &[u64], calls: usize) -> u64 {
    let mut random = Rng::new((u64::from(index) << 32 | calls as u64) + 99);
    match random.bits() % 3 {
        0 => 0,
        1 => random.bits() % 256,
        _ => 0x7000 + random.bits() % 0x800 * 4,
    }
}

/// Results or the reason why there are none, and the calls of imports.
type Ours = (std::result::Result<Vec<u64>, Ending>, Vec<ImportCall>);

/// One call.
#[derive(Debug)]
struct Trial<'a> {
    export: &'a Export,
    args: Vec<u64>,
    /// Contents of the region.
    contents: Vec<u8>,
}

impl<'a> Trial<'a> {
    fn new(export: &'a Export, layout: &MemoryLayout, random: &mut Rng) -> Self {
        let region = layout.region.unwrap_or(0);
        let mut value = |is_wide: bool, is_pointer: u64| -> u64 {
            match random.bits() % 8 {
                n if n < is_pointer && !is_wide => u64::from(region) + random.bits() % 0x3f0 * 4,
                0..6 => random.bits() % 64,
                _ if is_wide => random.interesting() as u64,
                _ => i64::from(random.interesting() as u64 as i32) as u64,
            }
        };
        let args = export.params.iter().map(|&is_wide| value(is_wide, 4)).collect();
        let words = (0..REGION / 4).map(|_| value(false, 3) as u32);
        let contents = words.flat_map(u32::to_le_bytes).collect();
        Self { export, args, contents }
    }

    /// Makes the call on both sides.
    fn run(&self, sides: &mut Sides<'_>) -> Result<Verdict> {
        let layout = sides.layout;
        sides.write_region(&self.contents)?;
        let expected = sides.reference.call(self.export, &self.args, FUEL)?;
        if matches!(expected, Outcome::Exhausted | Outcome::Trapped(Trap::Memory)) {
            return Ok(Verdict::Unknown);
        }
        let calls = sides.reference.take_import_calls();
        let (ending, made) = self.call(sides)?;
        compare_calls(layout, &made, &calls)?;
        match (&ending, &expected) {
            (Ok(words), Outcome::Returned(expected)) => {
                let is_same = words.iter().zip(expected).all(|(&a, &b)| layout.is_same(a, b));
                ensure!(is_same, "returned {words:x?} instead of {expected:x?}");
            }
            (Err(Ending::Trapped(number)), Outcome::Trapped(trap)) => {
                ensure!(crate::thumb::trap(*number)? == *trap, "trap {number} instead of {trap:?}");
                return Ok(Verdict::Trapped);
            }
            _ => bail!("{ending:x?} instead of {expected:x?}"),
        }
        sides.compare_regions()?;
        Ok(Verdict::Returned)
    }

    /// Results or the reason why there are none, and the calls of imports.
    fn call(&self, sides: &mut Sides<'_>) -> Result<Ours> {
        let interface = &sides.module.interface;
        let (_, function) = &interface.functions[&self.export.name];
        let (params, results) = (types(&function.params), types(&function.results));
        let address = sides.image.address(&self.export.name).context("the export has a symbol")?;
        let call = Call::new(address, Words::arguments(false, &params, &self.args));
        let mut made = Vec::new();
        let exit = sides.board.call(&call, &mut |board, import| {
            ensure!(import.sp.is_multiple_of(8), "called with the stack pointer {:#x}", import.sp);
            let function = &interface.imports[import.number as usize].2;
            let (params, results) = (types(&function.params), types(&function.results));
            let stack = board.read_words(import.sp, Words::stack_words(false, &params))?;
            let words = Words { stack, ..import.words.clone() };
            let args = crate::thumb::extended(&params, words.values(false, &params));
            let result = answer(import.number, &args, made.len());
            made.push((import.number, args));
            let words = Words::arguments(false, &results, &[result]);
            Ok(Answer { core: [words.core[0], words.core[1]], ..Answer::default() })
        })?;
        let values = crate::thumb::extended(&results, exit.words.values(false, &results));
        Ok((if exit.ending == Ending::Returned { Ok(values) } else { Err(exit.ending) }, made))
    }
}

fn compare_calls(layout: &MemoryLayout, made: &[ImportCall], expected: &[ImportCall]) -> Result<()> {
    let is_same = made.len() == expected.len()
        && made.iter().zip(expected).all(|(ours, theirs)| {
            ours.0 == theirs.0 && ours.1.iter().zip(&theirs.1).all(|(&a, &b)| layout.is_same(a, b))
        });
    ensure!(is_same, "called imports {made:x?} instead of {expected:x?}");
    Ok(())
}

/// The outcome of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// Both sides returned the same.
    Returned,
    /// Both sides trapped for the same reason.
    Trapped,
    /// It was not made on the board.
    Unknown,
}

/// The two sides that are compared.
struct Sides<'a> {
    module: &'a Module,
    image: &'a Image,
    layout: &'a MemoryLayout,
    board: &'a mut Board,
    reference: Reference,
}

impl Sides<'_> {
    fn write_region(&mut self, contents: &[u8]) -> Result<()> {
        let Some(region) = self.layout.region else { return Ok(()) };
        let (name, _) = self.module.interface.memory_exports.first().context("memory is exported")?;
        let memory = self.reference.memory_mut(name).context("an exported memory")?;
        memory[region as usize..][..contents.len()].copy_from_slice(contents);
        self.board.write(self.layout.base + region, contents)
    }

    fn compare_regions(&mut self) -> Result<()> {
        let Some(region) = self.layout.region else { return Ok(()) };
        let memory = self.reference.memory(&self.module.interface.memory_exports[0].0).context("a memory")?;
        let expected = &memory[region as usize..][..REGION as usize];
        let ours = self.board.read(self.layout.base + region, REGION)?;
        for (n, (ours, expected)) in ours.chunks_exact(4).zip(expected.chunks_exact(4)).enumerate() {
            let word = |bytes: &[u8]| u64::from(u32::from_le_bytes(bytes.try_into().expect("four bytes")));
            let (ours, expected) = (word(ours), word(expected));
            ensure!(
                self.layout.is_same(ours, expected),
                "memory differs at {:#x} of the region: {ours:#x} instead of {expected:#x}",
                4 * n
            );
        }
        Ok(())
    }
}

/// A symbol of a linked image: name, address, bytes.
pub type Linked = (String, u64, Vec<u8>);

/// Links an object with a linker, with a stub for each import, and returns its functions and data objects. (The
/// contents between them are up to the linker.)
///
/// # Errors
/// If a tool is missing or fails, or warns.
pub fn link(linker: &str, object: &[u8], imports: &[&str]) -> Result<Vec<Linked>> {
    link_in(tempfile::tempdir()?.path(), linker, object, imports)
}

fn link_in(folder: &Path, linker: &str, object: &[u8], imports: &[&str]) -> Result<Vec<Linked>> {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let mut stubs = String::from("    .syntax unified\n    .thumb\n    .text\n    .global _start\n_start:\n");
    for import in imports.iter().collect::<BTreeSet<_>>() {
        stubs
            .push_str(&format!("    .thumb_func\n    .global {import:?}\n{import:?}:\n    bx lr\n    nop\n"));
    }
    let script = "SECTIONS { . = 0x8000; .text : { *(SORT(.text*)) } .rodata : { *(SORT(.rodata*)) } \
                  . = 0x20000000; .data : { *(SORT(.data*)) } .bss : { *(SORT(.bss*)) } }\n";
    std::fs::write(path("stubs.s"), stubs)?;
    std::fs::write(path("link.ld"), script)?;
    std::fs::write(path("module.o"), object)?;
    let assemble =
        ["--target=thumbv7m-none-eabi", "-mcpu=cortex-m3", "-c", &path("stubs.s"), "-o", &path("stubs.o")];
    board::run_tool("clang-22", &assemble)?;
    let (script, image) = (path("link.ld"), path("image.elf"));
    let args = ["-T", &script, "-o", &image, &path("module.o"), &path("stubs.o"), "--fatal-warnings"];
    board::run_tool(linker, &args)?;
    let image = std::fs::read(image)?;
    let elf = object::File::parse(&*image)?;
    let mut linked = Vec::new();
    for symbol in elf.symbols().filter(|symbol| symbol.size() > 0) {
        let Some(section) = symbol.section_index() else { continue };
        let at = symbol.address() & !u64::from(symbol.kind() == object::SymbolKind::Text);
        let bytes = elf.section_by_index(section)?.data_range(at, symbol.size())?;
        // One of the linkers takes the text after `@` for a version and drops it.
        let name = symbol.name()?.split('@').next().unwrap_or_default().to_owned();
        linked.push((name, at, bytes.unwrap_or_default().to_vec()));
    }
    linked.sort();
    Ok(linked)
}
