//! Arguments of modules whose heap belongs to the host.
//!
//! Polkadot's runtimes import their allocator: `ext_allocator_malloc_version_1`, in early ones `ext_malloc`. The host owns
//! the heap, grows memory as it needs, and allocates the argument of every call there before it makes the call. So to
//! such a module an argument is an ordinary block of its own memory, and the size of its memory says nothing to it.
//!
//! A standard program gets its argument outside of linear memory. With exact bounds, a load then has to be allowed in two
//! places, unless it is known which one its address is in; these modules store the pointer, so it is not. Here their entries get what
//! their host would do: memory grows by a block, where the argument is copied. The block is kept for later calls.
//!
//! A module whose allocator has been linked in owns its heap itself and is left alone: its allocator may take memory at the end
//! for its own.

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    BlockType, CustomSection, Encode, ExportSection, Function, Instruction, Module, RawSection, SectionId,
    ValType,
};
use wasmparser::{BinaryReaderError, CompositeInnerType, ExternalKind, FuncType, Parser, Payload, TypeRef};

use crate::counts::add_entry;

/// Names of the functions of the module `env` by which a host allocates for the program.
const ALLOCATORS: [&str; 2] = ["ext_allocator_malloc_version_1", "ext_malloc"];
/// A custom section in modules whose entries copy their arguments.
const MARK: &str = "wasm-pvm:host-heap";
/// Binary logarithm of the size of a page.
const PAGE_LOG2: i32 = 16;

/// The module with entries that copy their arguments into its memory, if its heap belongs to the host.
///
/// # Errors
/// If it is malformed.
pub fn copy_arguments(wasm: &[u8]) -> Result<Option<Vec<u8>>, BinaryReaderError> {
    let module = Declarations::read(wasm)?;
    if !module.has_host_heap() || module.entries().next().is_none() {
        return Ok(None);
    }
    module.with_copies().map(Some)
}

/// What the new functions depend on.
#[derive(Default)]
struct Declarations {
    types: Vec<Option<FuncType>>,
    /// The type of each function, imported ones first.
    functions: Vec<u32>,
    globals: u32,
    exports: Vec<(String, ExternalKind, u32)>,
    imports_allocator: bool,
    /// Whether the first memory has 32-bit addresses, pages of the usual size, and can grow.
    memory_grows: Option<bool>,
    is_marked: bool,
    /// All sections in order: id, contents.
    sections: Vec<(u8, Vec<u8>)>,
}

impl Declarations {
    fn read(wasm: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut read = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            if let Some((id, range)) = payload.as_section() {
                read.sections.push((id, wasm[range.start as usize..range.end as usize].to_vec()));
            }
            read.section(payload)?;
        }
        Ok(read)
    }

    fn section(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    let types = group?.into_types().map(|ty| match ty.composite_type.inner {
                        CompositeInnerType::Func(ty) => Some(ty),
                        _ => None,
                    });
                    self.types.extend(types);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    self.import(import.module, import.name, import.ty);
                }
            }
            Payload::FunctionSection(section) => {
                self.functions.extend(section.into_iter().collect::<Result<Vec<_>, _>>()?);
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    self.memory(memory?);
                }
            }
            Payload::GlobalSection(section) => self.globals += section.count(),
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    self.exports.push((export.name.to_owned(), export.kind, export.index));
                }
            }
            Payload::CustomSection(section) => self.is_marked |= section.name() == MARK,
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, module: &str, name: &str, ty: TypeRef) {
        match ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.functions.push(ty);
                self.imports_allocator |= module == "env" && ALLOCATORS.contains(&name);
            }
            TypeRef::Memory(memory) => self.memory(memory),
            TypeRef::Global(_) => self.globals += 1,
            _ => {}
        }
    }

    fn memory(&mut self, memory: wasmparser::MemoryType) {
        let is_usual = !memory.memory64 && memory.page_size_log2.is_none();
        let can_grow = memory.maximum.is_none_or(|most| most > memory.initial);
        self.memory_grows.get_or_insert(is_usual && can_grow);
    }

    fn has_host_heap(&self) -> bool {
        self.imports_allocator && self.memory_grows == Some(true) && !self.is_marked
    }

    /// The exported functions that take address and length of an argument and return those of a result, by the places of
    /// their exports.
    fn entries(&self) -> impl Iterator<Item = (usize, u32)> {
        let (pair, packed) = ([wasmparser::ValType::I32; 2], [wasmparser::ValType::I64]);
        let is_entry = move |function: u32| {
            let ty = self.functions.get(function as usize).and_then(|&ty| self.types.get(ty as usize));
            matches!(ty, Some(Some(ty)) if ty.params() == pair && ty.results() == packed)
        };
        let exports = self.exports.iter().enumerate();
        let functions = exports.filter(|(_, (_, kind, _))| *kind == ExternalKind::Func);
        functions.map(|(n, (_, _, index))| (n, *index)).filter(move |&(_, index)| is_entry(index))
    }

    /// The module with a function that copies arguments, and one for every entry that calls it.
    fn with_copies(mut self) -> Result<Vec<u8>, BinaryReaderError> {
        let entries: Vec<(usize, u32)> = self.entries().collect();
        let copier = self.functions.len() as u32;
        let (types, globals) = (self.types.len() as u32, self.globals);
        add_entry(&mut self.sections, SectionId::Type, &COPIER_TYPE)?;
        for _ in 0..2 {
            add_entry(&mut self.sections, SectionId::Global, &ZERO)?;
        }
        self.add_function(types, &copier_body(globals, globals + 1))?;
        for (number, &(export, target)) in (1..).zip(&entries) {
            self.add_function(self.functions[target as usize], &entry_body(copier, target))?;
            self.exports[export].2 = copier + number;
        }
        Ok(self.finish())
    }

    fn add_function(&mut self, ty: u32, body: &Function) -> Result<(), BinaryReaderError> {
        for (id, entry) in [(SectionId::Function, encoded(&ty)), (SectionId::Code, encoded(body))] {
            add_entry(&mut self.sections, id, &entry)?;
        }
        Ok(())
    }

    /// The module with the exports as they are now.
    fn finish(&self) -> Vec<u8> {
        let mut exports = ExportSection::new();
        for (name, kind, index) in &self.exports {
            let kind = RoundtripReencoder.export_kind(*kind).expect("a parsed kind has an encoding");
            exports.export(name, kind, *index);
        }
        let mut module = Module::new();
        for (id, data) in &self.sections {
            if *id == SectionId::Export as u8 {
                module.section(&exports);
            } else {
                module.section(&RawSection { id: *id, data });
            }
        }
        module.section(&CustomSection { name: MARK.into(), data: (&[]).into() });
        module.finish()
    }
}

/// The type `(i32, i32) -> i32`.
const COPIER_TYPE: [u8; 6] = [0x60, 2, 0x7f, 0x7f, 1, 0x7f];
/// A variable `i32` that is 0 at first.
const ZERO: [u8; 5] = [0x7f, 1, 0x41, 0, 0x0b];

fn encoded(entry: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    entry.encode(&mut bytes);
    bytes
}

/// Copies an argument to the block that the global `block` is the address of, and returns that. If the block has fewer bytes
/// than the global `room` says, memory grows by a new one first.
fn copier_body(block: u32, room: u32) -> Function {
    use Instruction as I;
    let [argument, length, pages] = [0, 1, 2];
    let mut body = Function::new([(1, ValType::I32)]);
    let grow = [
        I::LocalGet(length),
        I::GlobalGet(room),
        I::I32GtU,
        I::If(BlockType::Empty),
        // Pages of the block; then its address, unless memory can't grow.
        I::LocalGet(length),
        I::I32Const(1),
        I::I32Sub,
        I::I32Const(PAGE_LOG2),
        I::I32ShrU,
        I::I32Const(1),
        I::I32Add,
        I::LocalTee(pages),
        I::MemoryGrow(0),
        I::GlobalSet(block),
        I::GlobalGet(block),
        I::I32Const(-1),
        I::I32Eq,
        I::If(BlockType::Empty),
        I::Unreachable,
        I::End,
        I::GlobalGet(block),
        I::I32Const(PAGE_LOG2),
        I::I32Shl,
        I::GlobalSet(block),
        I::LocalGet(pages),
        I::I32Const(PAGE_LOG2),
        I::I32Shl,
        I::GlobalSet(room),
        I::End,
    ];
    let copy = [
        I::GlobalGet(block),
        I::LocalGet(argument),
        I::LocalGet(length),
        I::MemoryCopy { src_mem: 0, dst_mem: 0 },
        I::GlobalGet(block),
        I::End,
    ];
    grow.iter().chain(&copy).for_each(|instruction| {
        body.instruction(instruction);
    });
    body
}

/// Calls a function with a copy of its argument.
fn entry_body(copier: u32, target: u32) -> Function {
    let mut body = Function::new([]);
    for instruction in [
        Instruction::LocalGet(0),
        Instruction::LocalGet(1),
        Instruction::Call(copier),
        Instruction::LocalGet(1),
        Instruction::Call(target),
        Instruction::End,
    ] {
        body.instruction(&instruction);
    }
    body
}
