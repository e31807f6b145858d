//! Adding counters to a module.
//!
//! The counters are 64-bit words of a memory of their own, which is exported as [`MEMORY`]. A function counts its calls
//! where it begins. A branch counts its ways: before `if`, `br_if` and `br_table`, the word of the way that the operand
//! on the stack chooses is incremented. Everything else is copied byte by byte, so all indices stay; sections that
//! refer to positions in the code are dropped.

use std::ops::Range;

use wasm_encoder::{
    CodeSection, Encode, ExportKind, Instruction, MemArg, MemArgTarget, MemoryType, Module, RawSection,
    SectionId, ValType,
};
use wasmparser::{
    BinaryReader, BinaryReaderError, CompositeInnerType, FunctionBody, Operator, Parser, Payload, TypeRef,
};

use super::{Profile, collect};

/// The name by which the memory of counters is exported.
pub const MEMORY: &str = "wasm-pvm:counters";
/// Bytes of a counter.
const WORD: u32 = 8;
/// Bytes of a page.
const PAGE: u64 = 1 << 16;
/// Bytes of counters that fit into an offset of 32 bits and leave the machine room for the program.
const MOST_BYTES: u64 = 1 << 28;

/// A module can't get counters.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InstrumentError {
    /// It is malformed.
    #[error("malformed at offset {offset:#x}: {message}")]
    Malformed {
        /// Byte offset.
        offset: u64,
        /// The reason.
        message: String,
    },
    /// It has too many functions and branches.
    #[error("the module needs {0} bytes of counters, and the limit is {MOST_BYTES}: profile a part of it")]
    TooLarge(u64),
}

impl From<BinaryReaderError> for InstrumentError {
    fn from(error: BinaryReaderError) -> Self {
        Self::Malformed { offset: error.offset(), message: error.message().to_owned() }
    }
}

/// What consecutive words count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Site {
    /// The calls of a function.
    Function(u32),
    /// The ways of a branch.
    Branch {
        /// The position of its operator in the module.
        offset: u32,
        /// Their number.
        ways: u32,
    },
}

/// The meaning of the words of [`MEMORY`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counters {
    sites: Vec<Site>,
    words: u32,
    module: Profile,
}

impl Counters {
    /// Bytes of memory that are used.
    pub const fn bytes(&self) -> u32 {
        self.words * WORD
    }

    /// The profile, from the contents of the memory.
    ///
    /// # Panics
    /// If there are not [as many bytes](Self::bytes) as counters have.
    pub fn read(&self, memory: &[u8]) -> Profile {
        assert_eq!(memory.len(), self.bytes() as usize, "bytes of counters");
        let words = memory.chunks_exact(WORD as usize);
        let words = words.map(|word| u64::from_le_bytes(word.try_into().expect("it has eight bytes")));
        Profile { counts: collect(&self.sites, words).into(), ..self.module.clone() }
    }
}

/// Adds counters to a module.
///
/// # Errors
/// If it is malformed or too large.
pub fn instrument(wasm: &[u8]) -> Result<(Vec<u8>, Counters), InstrumentError> {
    let declarations = Declarations::read(wasm)?;
    let mut writer = Writer { wasm, declarations: &declarations, sites: Vec::new(), words: 0 };
    let code = writer.code()?;
    let bytes = u64::from(writer.words) * u64::from(WORD);
    let (words, sites) = (writer.words, writer.sites);
    let module = assemble(wasm, &declarations, &code, bytes.div_ceil(PAGE))?;
    Ok((module, Counters { sites, words, module: Profile::new(wasm, Default::default()) }))
}

/// What the counters depend on.
#[derive(Default)]
struct Declarations<'a> {
    /// Parameters of each type; 0 for types that are no functions.
    params: Vec<usize>,
    /// The type of each function, imported ones first.
    functions: Vec<u32>,
    imported_functions: u32,
    memories: u32,
    bodies: Vec<FunctionBody<'a>>,
    /// All sections in order: id, contents.
    sections: Vec<(u8, Range<usize>)>,
}

impl<'a> Declarations<'a> {
    fn read(wasm: &'a [u8]) -> Result<Self, InstrumentError> {
        let mut read = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            if let Payload::CustomSection(custom) = &payload
                && refers_to_code(custom.name())
            {
                continue;
            }
            if let Some((id, range)) = payload.as_section() {
                read.sections.push((id, range.start as usize..range.end as usize));
            }
            read.declare(payload)?;
        }
        Ok(read)
    }

    fn declare(&mut self, payload: Payload<'a>) -> Result<(), InstrumentError> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    for ty in group?.into_types() {
                        let params = match ty.composite_type.inner {
                            CompositeInnerType::Func(ty) => ty.params().len(),
                            _ => 0,
                        };
                        self.params.push(params);
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    match import?.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                            self.functions.push(ty);
                            self.imported_functions += 1;
                        }
                        TypeRef::Memory(_) => self.memories += 1,
                        _ => {}
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.functions.push(ty?);
                }
            }
            Payload::MemorySection(section) => self.memories += section.count(),
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            _ => {}
        }
        Ok(())
    }

    /// The number of parameters of a function.
    fn params_of(&self, function: u32) -> u32 {
        let ty = self.functions.get(function as usize);
        ty.and_then(|&ty| self.params.get(ty as usize)).map_or(0, |&params| params as u32)
    }
}

/// Whether a custom section refers to positions in the code.
fn refers_to_code(name: &str) -> bool {
    name.starts_with(".debug_")
        || name.starts_with("reloc.")
        || ["linking", "sourceMappingURL", "metadata.code.branch_hint"].contains(&name)
}

/// Copies the code with counters.
struct Writer<'a, 'd> {
    wasm: &'a [u8],
    declarations: &'d Declarations<'a>,
    sites: Vec<Site>,
    words: u32,
}

impl Writer<'_, '_> {
    fn code(&mut self) -> Result<CodeSection, InstrumentError> {
        let mut code = CodeSection::new();
        for (index, body) in (self.declarations.imported_functions..).zip(&self.declarations.bodies) {
            code.raw(&self.function(index, body)?);
        }
        Ok(code)
    }

    /// The body of a function, with two more locals.
    fn function(&mut self, index: u32, body: &FunctionBody<'_>) -> Result<Vec<u8>, InstrumentError> {
        let locals = body.get_locals_reader()?;
        let (groups, start) = (locals.get_count(), locals.original_position() as usize);
        let mut operand = self.declarations.params_of(index);
        for local in locals {
            operand = operand.saturating_add(local?.0);
        }
        let mut operators = body.get_operators_reader()?;
        let mut copied = operators.original_position() as usize;
        let mut bytes = Vec::with_capacity(body.range().end as usize - start);
        (groups + 1).encode(&mut bytes);
        bytes.extend(&self.wasm[start..copied]);
        2u32.encode(&mut bytes);
        ValType::I32.encode(&mut bytes);
        self.count_call(index, &mut bytes)?;
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset()?;
            let ways = match &operator {
                Operator::If { .. } | Operator::BrIf { .. } => 2,
                Operator::BrTable { targets } => targets.len() + 1,
                _ => continue,
            };
            bytes.extend(&self.wasm[copied..offset as usize]);
            copied = offset as usize;
            let site = Site::Branch { offset: offset as u32, ways };
            let word = self.reserve(site, ways)?;
            let is_table = matches!(operator, Operator::BrTable { .. });
            self.count_way(word, is_table.then_some(ways - 1), operand, &mut bytes);
        }
        bytes.extend(&self.wasm[copied..body.range().end as usize]);
        Ok(bytes)
    }

    fn count_call(&mut self, index: u32, bytes: &mut Vec<u8>) -> Result<(), InstrumentError> {
        let word = self.reserve(Site::Function(index), 1)?;
        encode(&[Instruction::I32Const(0), Instruction::I32Const(0)], bytes);
        self.increment(word, bytes);
        Ok(())
    }

    /// Before a branch whose operand is on the stack: counts the way it chooses. `last` is the number of the last way of a
    /// table.
    fn count_way(&self, word: u64, last: Option<u32>, operand: u32, bytes: &mut Vec<u8>) {
        let address = operand + 1;
        encode(&[Instruction::LocalTee(operand)], bytes);
        match last {
            None => encode(&[Instruction::I32Const(0), Instruction::I32Ne], bytes),
            Some(last) => {
                let last = Instruction::I32Const(last.cast_signed());
                let operand = Instruction::LocalGet(operand);
                encode(&[last.clone(), operand, last, Instruction::I32LtU, Instruction::Select], bytes);
            }
        }
        let shift = Instruction::I32Const(WORD.ilog2().cast_signed());
        let tee = Instruction::LocalTee(address);
        encode(&[shift, Instruction::I32Shl, tee, Instruction::LocalGet(address)], bytes);
        self.increment(word, bytes);
        encode(&[Instruction::LocalGet(operand)], bytes);
    }

    /// Increments the word that is `word` bytes after the address, which is on the stack twice.
    fn increment(&self, word: u64, bytes: &mut Vec<u8>) {
        let at = MemArg {
            offset: word,
            align: WORD.ilog2(),
            target: MemArgTarget::Memory(self.declarations.memories),
            ordering: None,
        };
        let (load, store) = (Instruction::I64Load(at), Instruction::I64Store(at));
        encode(&[load, Instruction::I64Const(1), Instruction::I64Add, store], bytes);
    }

    /// Reserves words for a site, and returns the position of the first in bytes.
    fn reserve(&mut self, site: Site, words: u32) -> Result<u64, InstrumentError> {
        let first = u64::from(self.words) * u64::from(WORD);
        let end = first + u64::from(words) * u64::from(WORD);
        if end > MOST_BYTES {
            return Err(InstrumentError::TooLarge(end));
        }
        self.words += words;
        self.sites.push(site);
        Ok(first)
    }
}

fn encode(instructions: &[Instruction<'_>], bytes: &mut Vec<u8>) {
    instructions.iter().for_each(|instruction| instruction.encode(bytes));
}

/// The module with other code, and with a memory of `pages` pages that is exported.
fn assemble(
    wasm: &[u8],
    declarations: &Declarations<'_>,
    code: &CodeSection,
    pages: u64,
) -> Result<Vec<u8>, InstrumentError> {
    let ty = MemoryType {
        minimum: pages,
        maximum: Some(pages),
        memory64: false,
        shared: false,
        page_size_log2: None,
    };
    let mut memory = Vec::new();
    ty.encode(&mut memory);
    let mut export = Vec::new();
    MEMORY.encode(&mut export);
    ExportKind::Memory.encode(&mut export);
    declarations.memories.encode(&mut export);
    let contents = |(id, range): &(u8, Range<usize>)| (*id, wasm[range.clone()].to_vec());
    let mut sections: Vec<(u8, Vec<u8>)> = declarations.sections.iter().map(contents).collect();
    add_entry(&mut sections, SectionId::Memory, &memory)?;
    add_entry(&mut sections, SectionId::Export, &export)?;
    let mut module = Module::new();
    for (id, data) in sections {
        if id == SectionId::Code as u8 {
            module.section(code);
        } else {
            module.section(&RawSection { id, data: &data });
        }
    }
    Ok(module.finish())
}

/// The non-custom sections in the order of the binary format.
const ORDER: [SectionId; 13] = [
    SectionId::Type,
    SectionId::Import,
    SectionId::Function,
    SectionId::Table,
    SectionId::Memory,
    SectionId::Tag,
    SectionId::Global,
    SectionId::Export,
    SectionId::Start,
    SectionId::Element,
    SectionId::DataCount,
    SectionId::Code,
    SectionId::Data,
];

/// Appends an entry to a section, which is added if there is none.
pub fn add_entry(
    sections: &mut Vec<(u8, Vec<u8>)>,
    id: SectionId,
    entry: &[u8],
) -> Result<(), BinaryReaderError> {
    let rank = |id: u8| ORDER.iter().position(|&known| known as u8 == id);
    let mut at = sections.iter().position(|(other, _)| rank(*other) >= rank(id as u8));
    if at.is_none_or(|at| sections[at].0 != id as u8) {
        let place = at.unwrap_or(sections.len());
        sections.insert(place, (id as u8, vec![0]));
        at = Some(place);
    }
    let contents = &mut sections[at.expect("the section is there")].1;
    let mut reader = BinaryReader::new(contents, 0);
    let count = reader.read_var_u32()?;
    let entries = contents.split_off(reader.original_position() as usize);
    contents.clear();
    (count + 1).encode(contents);
    contents.extend(entries);
    contents.extend(entry);
    Ok(())
}
