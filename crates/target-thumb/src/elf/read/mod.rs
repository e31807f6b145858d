//! Reading relocatable ELF objects for ARM back: as plain lists of sections, symbols and relocations.
//!
//! [`assembly()`] prints an object as text for an assembler, [`listing`] its code for a person, [`Summary`] describes its contents. Both work on the
//! finished bytes, so they can't differ from the object that a linker sees.

mod assembly;
mod code;
mod loops;
mod summary;
mod tags;
mod traps;

use object::elf::{self, FileHeader32, SectionHeader32};
use object::read::StringTable;
use object::read::elf::{FileHeader, Rel as _, SectionHeader as _, Sym as _};
use object::{Endianness, SectionIndex};

pub use codegen::depth::{Depth, Step};

pub use assembly::{CodeLine, assembly, listing};
pub use loops::{LoopBound, loop_bounds};
pub use summary::{ExportStack, FunctionSummary, SectionSummary, Summary, SymbolSummary};
pub use traps::{function_at, reason, trap_at};

/// Reasons why a file can't be read as an object.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FileError {
    /// It is no ELF file, or a broken one; with the defect.
    #[error("broken ELF file: {0}")]
    Broken(String),
    /// It is an ELF file of another kind or for another machine.
    #[error("an ELF file, but no relocatable object for ARM of 32 bits, little endian")]
    Foreign,
    /// An item has no text that an assembler accepts.
    #[error("no assembly for {0}")]
    NoAssembly(String),
}

impl From<object::read::Error> for FileError {
    fn from(error: object::read::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

type Header = FileHeader32<Endianness>;
const LITTLE: Endianness = Endianness::Little;

/// A relocation of a section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Relocation {
    /// Its place, as an offset from the start of the section.
    pub offset: u32,
    /// Its type in the ABI.
    pub kind: elf::RelocationType,
    /// Index of its symbol.
    pub symbol: usize,
}

/// A section with contents of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Section {
    /// Its index in the file.
    pub index: usize,
    pub name: String,
    pub kind: elf::SectionType,
    pub flags: elf::SectionFlags,
    pub align: u32,
    pub link: usize,
    pub size: u32,
    /// Its bytes; none for a section without contents in the file.
    pub data: Vec<u8>,
    /// Its relocations in the order of their offsets.
    pub relocations: Vec<Relocation>,
}

impl Section {
    pub fn has(&self, flag: elf::SectionFlags) -> bool {
        self.flags.contains(flag)
    }

    pub fn relocation_at(&self, offset: u32) -> Option<&Relocation> {
        let index = self.relocations.binary_search_by_key(&offset, |relocation| relocation.offset).ok()?;
        self.relocations.get(index)
    }

    /// The word at an offset.
    pub fn word(&self, offset: u32) -> Option<u32> {
        let at = offset as usize;
        Some(u32::from_le_bytes(self.data.get(at..at.checked_add(4)?)?.try_into().ok()?))
    }
}

/// A symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Symbol {
    pub name: String,
    pub value: u32,
    pub size: u32,
    pub kind: elf::SymbolType,
    pub is_global: bool,
    /// The index of its section; `None` if it is undefined or absolute.
    pub section: Option<usize>,
    /// Whether its address is a number.
    pub is_absolute: bool,
}

impl Symbol {
    /// Whether it has a name and is defined elsewhere.
    pub const fn is_undefined(&self) -> bool {
        self.section.is_none() && !self.is_absolute && !self.name.is_empty()
    }

    /// Its offset in its section, without bit 0 that marks code addresses.
    pub fn offset(&self) -> u32 {
        if self.kind == elf::STT_FUNC { self.value & !1 } else { self.value }
    }

    /// Whether it is a mapping symbol, which marks where code or data begins.
    pub fn is_mark(&self) -> bool {
        let is_named = |mark: &str| {
            self.name.strip_prefix(mark).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        !self.is_global && self.kind == elf::STT_NOTYPE && ["$t", "$d"].into_iter().any(is_named)
    }
}

/// An object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct File {
    /// Sections in the order of the file.
    pub sections: Vec<Section>,
    /// Symbols by index.
    pub symbols: Vec<Symbol>,
}

impl File {
    /// Reads an object.
    pub fn parse(bytes: &[u8]) -> Result<Self, FileError> {
        let header = match Header::parse(bytes) {
            Ok(header) if header.is_little_endian() => header,
            // For example an ELF file of 64 bits.
            _ if bytes.starts_with(&elf::ELFMAG) => return Err(FileError::Foreign),
            Ok(_) => return Err(FileError::Foreign),
            Err(error) => return Err(error.into()),
        };
        if header.e_machine(LITTLE) != elf::EM_ARM || header.e_type(LITTLE) != elf::ET_REL {
            return Err(FileError::Foreign);
        }
        let table = header.sections(LITTLE, bytes)?;
        let symbols = table.symbols(LITTLE, bytes, elf::SHT_SYMTAB)?;
        let mut file = Self { sections: Vec::new(), symbols: Vec::new() };
        for symbol in symbols.symbols() {
            file.symbols.push(read_symbol(symbol, symbols.strings())?);
        }
        let mut relocations = Vec::new();
        for (index, section) in table.enumerate() {
            if let Some((list, _)) = section.rel(LITTLE, bytes)? {
                relocations.push((section.sh_info(LITTLE) as usize, list));
            } else if has_contents(section) {
                let name = String::from_utf8_lossy(table.section_name(LITTLE, section)?).into_owned();
                file.sections.push(read_section(index, name, section, bytes)?);
            }
        }
        for (target, list) in relocations {
            file.add_relocations(target, list)?;
        }
        Ok(file)
    }

    fn add_relocations(&mut self, target: usize, list: &[elf::Rel32<Endianness>]) -> Result<(), FileError> {
        let symbols = self.symbols.len();
        let Some(section) = self.sections.iter_mut().find(|section| section.index == target) else {
            return Err(FileError::Broken(format!("relocations of section {target}, which has no contents")));
        };
        for entry in list {
            let symbol = entry.r_sym(LITTLE) as usize;
            if symbol >= symbols {
                return Err(FileError::Broken(format!("a relocation of `{}` has no symbol", section.name)));
            }
            let (offset, kind) = (entry.r_offset(LITTLE), entry.r_type(LITTLE));
            section.relocations.push(Relocation { offset, kind, symbol });
        }
        section.relocations.sort_by_key(|relocation| relocation.offset);
        Ok(())
    }

    /// The section with this index in the file.
    pub fn section(&self, index: usize) -> Option<&Section> {
        let at = self.sections.binary_search_by_key(&index, |section| section.index).ok()?;
        self.sections.get(at)
    }
}

/// Whether a section contains more than tables of the file format.
fn has_contents(section: &SectionHeader32<Endianness>) -> bool {
    let kind = section.sh_type(LITTLE);
    !matches!(kind, elf::SHT_NULL | elf::SHT_SYMTAB | elf::SHT_STRTAB | elf::SHT_SYMTAB_SHNDX)
}

fn read_section(
    index: SectionIndex,
    name: String,
    section: &SectionHeader32<Endianness>,
    bytes: &[u8],
) -> Result<Section, FileError> {
    Ok(Section {
        index: index.0,
        name,
        kind: section.sh_type(LITTLE),
        flags: section.sh_flags(LITTLE),
        align: section.sh_addralign(LITTLE),
        link: section.sh_link(LITTLE) as usize,
        size: section.sh_size(LITTLE),
        data: section.data(LITTLE, bytes)?.to_vec(),
        relocations: Vec::new(),
    })
}

fn read_symbol(symbol: &elf::Sym32<Endianness>, strings: StringTable<'_>) -> Result<Symbol, FileError> {
    let index = symbol.st_shndx(LITTLE);
    Ok(Symbol {
        name: String::from_utf8_lossy(symbol.name(LITTLE, strings)?).into_owned(),
        value: symbol.st_value(LITTLE),
        size: symbol.st_size(LITTLE),
        kind: symbol.st_type(),
        is_global: !symbol.is_local(),
        section: (index != elf::SHN_UNDEF && index != elf::SHN_ABS).then_some(usize::from(index.0)),
        is_absolute: index == elf::SHN_ABS,
    })
}
