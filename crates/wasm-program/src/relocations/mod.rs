//! Relocations that a linker left in a linked module (`wasm-ld --emit-relocs`).
//!
//! A linked module has numbers in place of the addresses of symbols. Relocations tell which numbers are
//! addresses, of which symbol, and where each symbol begins and ends, so the code need not be analysed.
//!
//! The linker leaves a symbol table (custom section `linking`) and one list of relocations per section (`reloc.CODE`,
//! `reloc.DATA`). A relocation means that the bytes at an offset of the section hold the value of a symbol plus an
//! addend. In code these are immediates of five bytes, in data words of four.
//!
//! [`read`] derives from them
//! - the *objects*: the extents of data symbols. Symbols that share bytes, as strings with common ends do, are one
//!   object. A symbol without a size, or the linker's start or end symbol of a section, has no extent: then the whole
//!   segment is one object;
//! - the operators and words of data that are addresses, each with its object. The address may be outside of the
//!   object.
//!
//! Invariant: all relocations match the module. Tools that change code and keep custom sections make relocations
//! *stale*. So each is compared with the bytes at its place. If one does not match, none is used: constants are
//! classified as in a module without relocations, and a warning reports it.

mod code;
mod symbols;

use std::collections::BTreeMap;
use std::ops::Range;

use wasmparser::{BinaryReader, Parser, RelocSectionReader, RelocationEntry, RelocationType};

use crate::error::Error;
use crate::module_info::{ModuleInfo, features};
use symbols::{Symbol, Symbols};

/// Globals that linkers define to describe the layout of memory. They are meaningless once data is elsewhere.
pub const LINKER_GLOBALS: [&str; 11] = [
    "__stack_pointer",
    "__stack_low",
    "__stack_high",
    "__global_base",
    "__data_end",
    "__heap_base",
    "__heap_end",
    "__dso_handle",
    "__memory_base",
    "__table_base",
    "__wasm_first_page_end",
];

/// The contents of a module's relocations.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Relocations {
    /// Objects in the order of their addresses; they share no bytes.
    pub objects: Vec<Object>,
    /// Words of data that are addresses, in the order of their places.
    pub words: Vec<(u32, Address)>,
    /// Addresses of global symbols, by name.
    pub symbols: BTreeMap<String, Address>,
    /// Addresses that are immediates of operators, by offset of the operator in the input.
    operators: BTreeMap<usize, Address>,
}

/// An object of static data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    /// The name of its first symbol.
    pub name: String,
    /// Its wasm addresses.
    pub range: Range<u32>,
    /// A power of two.
    pub align: u32,
    /// Whether it is in a segment that the linker calls `.rodata`.
    pub is_read_only: bool,
}

/// An address of static data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    /// The object it belongs to.
    pub object: usize,
    /// The wasm address; not always within the object.
    pub value: u32,
}

impl Relocations {
    /// The object whose address the immediate of the operator at `offset` is.
    pub fn object_at(&self, offset: usize) -> Option<usize> {
        self.operators.get(&offset).map(|address| address.object)
    }
}

/// The reason why relocations are not used.
enum Problem {
    /// They don't match the module, or are malformed.
    Stale(String),
    /// They match, and contain an address that has no meaning in an object.
    Error(Error),
}

impl From<wasmparser::BinaryReaderError> for Problem {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Stale(format!("{} at offset {:#x}", error.message(), error.offset()))
    }
}

/// Reads the relocations of a module; `None` if it has none that match.
///
/// # Errors
/// An address that has no meaning in an object, such as that of the heap.
pub fn read(info: &ModuleInfo, wasm: &[u8]) -> Result<Option<Relocations>, Error> {
    let sections = match Sections::find(info, wasm) {
        Ok(Some(sections)) => sections,
        Ok(None) => return Ok(None),
        Err(problem) => return unusable(problem),
    };
    match sections.read(info, wasm) {
        Ok(relocations) => {
            let (objects, operators) = (relocations.objects.len(), relocations.operators.len());
            tracing::info!(objects, operators, words = relocations.words.len(), "the module has relocations");
            Ok(Some(relocations))
        }
        Err(problem) => unusable(problem),
    }
}

fn unusable(problem: Problem) -> Result<Option<Relocations>, Error> {
    match problem {
        Problem::Error(error) => Err(error),
        Problem::Stale(reason) => {
            tracing::warn!(
                code = "W0103",
                "the module's relocations do not match it and are ignored: {reason}; \
                 a tool changed the module after it was linked"
            );
            Ok(None)
        }
    }
}

/// The sections with relocations.
struct Sections<'a> {
    symbols: Symbols<'a>,
    /// The offset of the code section's contents, and its relocations.
    code: (usize, Vec<RelocationEntry>),
    /// The same for the data section.
    data: (usize, Vec<RelocationEntry>),
}

impl<'a> Sections<'a> {
    /// `None` if the module has no relocations of code, or no symbols.
    fn find(info: &'a ModuleInfo, wasm: &'a [u8]) -> Result<Option<Self>, Problem> {
        let custom = |wanted: &str| {
            let found = info.custom_sections.iter().find(|(name, _)| name == wanted);
            found.map(|(_, range)| payload(wasm, range.clone()))
        };
        let (Some(linking), Some(code)) = (custom("linking"), custom("reloc.CODE")) else { return Ok(None) };
        let starts = starts(wasm)?;
        let entries = |reader: BinaryReader<'a>, wanted: u8| -> Result<_, Problem> {
            let reader = RelocSectionReader::new(reader)?;
            let start = starts.get(reader.section_index() as usize).filter(|(id, _)| *id == wanted);
            let start = start.ok_or_else(|| Problem::Stale("they belong to another section".to_owned()))?.1;
            let mut entries = reader.entries().into_iter().collect::<Result<Vec<_>, _>>()?;
            entries.sort_by_key(|entry| entry.offset);
            Ok((start, entries))
        };
        let data = match custom("reloc.DATA") {
            Some(reader) => entries(reader, DATA_SECTION)?,
            None => (0, Vec::new()),
        };
        let (symbols, code) = (Symbols::read(info, linking)?, entries(code, CODE_SECTION)?);
        Ok(Some(Self { symbols, code, data }))
    }

    fn read(self, info: &ModuleInfo, wasm: &[u8]) -> Result<Relocations, Problem> {
        let operators = code::check(info, wasm, &self.symbols, self.code.0, &self.code.1)?;
        let words = self.words(info, wasm)?;
        let referred = operators.values().chain(words.values()).map(|(symbol, _)| *symbol);
        let objects = self.symbols.objects(referred);
        let crosses = |at: &&u32| {
            let next = objects.partition_point(|object| object.range.end <= **at);
            objects.get(next).is_some_and(|object| {
                let is_inside = object.range.start <= **at && object.range.end - **at >= WORD as u32;
                !is_inside && object.range.start < **at + WORD as u32
            })
        };
        if let Some(at) = words.keys().find(crosses) {
            return Err(Problem::Stale(format!("the address at {at} in data is not within one symbol")));
        }
        let address = |(symbol, value): (u32, u32)| -> Option<Address> {
            Some(Address { object: self.symbols.object_of(&objects, symbol)?, value })
        };
        let operators = operators.iter().filter_map(|(&at, &target)| Some((at, address(target)?))).collect();
        let words = words.iter().filter_map(|(&at, &target)| Some((at, address(target)?))).collect();
        let symbols = self
            .symbols
            .global()
            .filter_map(|(index, name, value)| Some((name.to_owned(), address((index, value))?)));
        Ok(Relocations { words, operators, symbols: symbols.collect(), objects })
    }

    /// The words of data that are addresses: by place, the symbol and the value.
    fn words(&self, info: &ModuleInfo, wasm: &[u8]) -> Result<BTreeMap<u32, (u32, u32)>, Problem> {
        let mut words = BTreeMap::new();
        let (start, entries) = &self.data;
        for entry in entries {
            let at = start + entry.offset as usize;
            let segment =
                self.symbols.segments.iter().find(|segment| {
                    segment.bytes.start <= at && at.saturating_add(WORD) <= segment.bytes.end
                });
            let stale = |what: &str| Problem::Stale(format!("{what} at offset {at:#x}, in data"));
            let segment = segment.ok_or_else(|| stale("a relocation outside of segments"))?;
            let found = wasm[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
            match entry.ty {
                RelocationType::MemoryAddrI32 => {
                    let expected =
                        self.symbols.value(entry.index, entry.addend).map_err(|what| stale(&what))?;
                    if found != expected {
                        return Err(stale(&format!("{found} instead of {expected}")));
                    }
                    if let Some(symbol) = self.symbols.located(info, entry.index, at, None)? {
                        words.insert(segment.start + (at - segment.bytes.start) as u32, (symbol, found));
                    }
                }
                // Functions are called through tables, so their addresses are numbers.
                RelocationType::TableIndexI32
                    if matches!(self.symbols.get(entry.index), Some(Symbol::Function(_))) => {}
                other => return Err(Problem::Error(unsupported(None, at, other))),
            }
        }
        Ok(words)
    }
}

/// Bytes of an address.
const WORD: usize = 4;
/// Id of the code section.
const CODE_SECTION: u8 = 10;
/// Id of the data section.
const DATA_SECTION: u8 = 11;

fn unsupported(function: Option<String>, offset: usize, kind: RelocationType) -> Error {
    Error::Unsupported {
        function,
        offset,
        what: format!("a relocation of type {kind:?} in native memory; `--memory symbol` needs none"),
    }
}

/// The contents of a custom section.
fn payload(wasm: &[u8], range: Range<usize>) -> BinaryReader<'_> {
    BinaryReader::new_features(&wasm[range.clone()], range.start as u64, features())
}

/// Id and first byte of the contents of each section.
fn starts(wasm: &[u8]) -> Result<Vec<(u8, usize)>, Problem> {
    let mut starts = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Some((id, range)) = payload?.as_section() {
            starts.push((id, range.start as usize));
        }
    }
    Ok(starts)
}
