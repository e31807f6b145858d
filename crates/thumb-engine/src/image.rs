//! Loading objects: placing sections, resolving symbols, applying relocations.
//!
//! The memory map is that of a microcontroller. Code, constants, variables and the stack have ranges of their own with
//! nothing between them, so that a wrong address faults. Undefined functions get addresses after the code, where no
//! memory is; a jump to one of them asks the host.

use std::collections::BTreeMap;

use object::elf::{self, FileHeader32};
use object::read::elf::ElfFile32;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, RelocationFlags, SectionKind, SymbolKind};

use crate::attributes::Core;
use crate::error::LoadError;
use crate::relocate;

/// Start of the code.
const CODE: u32 = 0x0800_0000;
/// Start of constants.
const CONSTANTS: u32 = 0x1000_0000;
/// Start of variables.
const VARIABLES: u32 = 0x2000_0000;
/// Reach of a branch, and so the limit of code with its undefined functions.
const MOST_CODE: u32 = 0x0100_0000;
/// Most bytes of constants, and of variables.
const MOST_DATA: u32 = 0x0f00_0000;
/// Bytes between the addresses of undefined functions.
const STUB: u32 = 4;

/// The kind of a symbol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A function.
    Function,
    /// Data, or a place without a type.
    Other,
    /// The start of code or of data among code.
    Mark {
        /// Whether it is code.
        is_code: bool,
    },
}

/// A defined symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Symbol {
    /// Its name.
    pub name: String,
    /// Its address, without bit 0 that marks code.
    pub address: u32,
    /// Bytes.
    pub size: u32,
    /// Its kind.
    pub kind: Kind,
    /// Whether other objects see it.
    pub is_global: bool,
}

/// A range of memory with its initial contents.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Area {
    pub start: u32,
    pub bytes: Vec<u8>,
}

impl Area {
    const fn new(start: u32) -> Self {
        Self { start, bytes: Vec::new() }
    }

    /// Adds bytes, or `size` zeros; returns their address.
    fn place(&mut self, align: u64, size: u64, data: &[u8], most: u32) -> Result<u32, LoadError> {
        let at = (self.bytes.len() as u64).next_multiple_of(align.max(1));
        let end = at.checked_add(size).filter(|&end| end <= most.into()).ok_or(LoadError::TooLarge)?;
        self.bytes.resize(at as usize, 0);
        self.bytes.extend_from_slice(data);
        self.bytes.resize(end as usize, 0);
        Ok(self.start + at as u32)
    }
}

/// A linked object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// The core that it is for.
    pub core: Core,
    pub(crate) code: Area,
    pub(crate) constants: Area,
    pub(crate) variables: Area,
    /// By ascending addresses.
    symbols: Vec<Symbol>,
    /// Undefined symbols in the order of the object.
    undefined: Vec<String>,
    /// Debug sections with final addresses.
    debug: BTreeMap<String, Vec<u8>>,
}

type File<'a> = ElfFile32<'a, Endianness>;

/// The places of sections: address by index.
type Places = BTreeMap<usize, u32>;

impl Image {
    /// Links an object.
    ///
    /// # Errors
    /// If it is broken, for another machine, or too large.
    pub fn load(bytes: &[u8]) -> Result<Self, LoadError> {
        let elf: File<'_> = ElfFile32::<Endianness>::parse(bytes)?;
        check(elf.elf_header())?;
        let attributes = elf.section_by_name(".ARM.attributes").map(|section| section.data()).transpose()?;
        let core = Core::of_attributes(attributes.unwrap_or_default()).ok_or(LoadError::Core)?;
        let mut image = Self::of_code(core, CODE, Vec::new());
        let places = image.place(&elf)?;
        let addresses = image.resolve(&elf, &places)?;
        image.relocate(&elf, &places, &addresses)?;
        Ok(image)
    }

    /// A program of code alone at an address, without symbols.
    pub const fn of_code(core: Core, start: u32, code: Vec<u8>) -> Self {
        Self {
            core,
            code: Area { start, bytes: code },
            constants: Area::new(CONSTANTS),
            variables: Area::new(VARIABLES),
            symbols: Vec::new(),
            undefined: Vec::new(),
            debug: BTreeMap::new(),
        }
    }

    fn place(&mut self, elf: &File<'_>) -> Result<Places, LoadError> {
        let mut places = Places::new();
        for section in elf.sections() {
            let object::SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            let name = section.name()?;
            if !sh_flags.contains(elf::SHF_ALLOC) {
                if name.starts_with(".debug") {
                    self.debug.insert(name.to_owned(), section.data()?.to_vec());
                }
                continue;
            }
            // Unwind tables are not needed.
            if name.starts_with(".ARM.ex") {
                continue;
            }
            let (area, most) = match section.kind() {
                SectionKind::Text => (&mut self.code, MOST_CODE),
                _ if sh_flags.contains(elf::SHF_WRITE) => (&mut self.variables, MOST_DATA),
                _ => (&mut self.constants, MOST_DATA),
            };
            let at = area.place(section.align().max(4), section.size(), section.data()?, most)?;
            places.insert(section.index().0, at);
        }
        Ok(places)
    }

    fn resolve(&mut self, elf: &File<'_>, places: &Places) -> Result<BTreeMap<usize, u32>, LoadError> {
        let stubs = self.stubs();
        let mut addresses = BTreeMap::new();
        for symbol in elf.symbols() {
            let name = symbol.name()?;
            let value = symbol.address() as u32;
            let address = match symbol.section_index().map(|section| places.get(&section.0)) {
                Some(Some(&at)) => at.wrapping_add(value),
                // The start of a debug section.
                Some(None) => value,
                None if symbol.is_undefined() && !name.is_empty() => {
                    self.undefined.push(name.to_owned());
                    addresses
                        .insert(symbol.index().0, (stubs + STUB * (self.undefined.len() as u32 - 1)) | 1);
                    continue;
                }
                None => value,
            };
            addresses.insert(symbol.index().0, address);
            if symbol.section_index().is_some_and(|section| places.contains_key(&section.0))
                && symbol.kind() != SymbolKind::Section
            {
                let kind = kind(name, &symbol);
                let address = if kind == Kind::Function { address & !1 } else { address };
                let (size, is_global) = (symbol.size() as u32, symbol.is_global());
                self.symbols.push(Symbol { name: name.to_owned(), address, size, kind, is_global });
            }
        }
        self.symbols.sort_by_key(|symbol| symbol.address);
        Ok(addresses)
    }

    fn relocate(
        &mut self,
        elf: &File<'_>,
        places: &Places,
        addresses: &BTreeMap<usize, u32>,
    ) -> Result<(), LoadError> {
        for section in elf.sections() {
            let place = places.get(&section.index().0).copied();
            let name = section.name()?;
            let (bytes, start) = match place {
                Some(at) => {
                    let area = self.area_mut(at);
                    let start = (at - area.start) as usize;
                    let end = start + section.size() as usize;
                    (&mut area.bytes[start..end], at)
                }
                None => match self.debug.get_mut(name) {
                    Some(bytes) => (bytes.as_mut_slice(), 0),
                    None => continue,
                },
            };
            for (offset, relocation) in section.relocations() {
                let object::RelocationTarget::Symbol(symbol) = relocation.target() else {
                    return Err(LoadError::Broken("a relocation has no symbol".to_owned()));
                };
                let RelocationFlags::Elf { r_type } = relocation.flags() else { continue };
                let target = addresses.get(&symbol.0).copied().unwrap_or(0);
                relocate::apply(bytes, offset as usize, r_type, start.wrapping_add(offset as u32), target)?;
            }
        }
        Ok(())
    }

    fn area_mut(&mut self, address: u32) -> &mut Area {
        match address {
            VARIABLES.. => &mut self.variables,
            CONSTANTS.. => &mut self.constants,
            _ => &mut self.code,
        }
    }

    /// The address of the first undefined function.
    pub(crate) fn stubs(&self) -> u32 {
        self.code.start + (self.code.bytes.len() as u32).next_multiple_of(STUB)
    }

    /// The index in [`Self::undefined`] of the function at an address.
    pub fn stub(&self, address: u32) -> Option<usize> {
        let index = (address.checked_sub(self.stubs())? / STUB) as usize;
        (address.is_multiple_of(STUB) && index < self.undefined.len()).then_some(index)
    }

    /// The address of a symbol; a global one, if there are several.
    pub fn address(&self, name: &str) -> Option<u32> {
        let named = || self.symbols.iter().filter(|symbol| symbol.name == name);
        named().find(|symbol| symbol.is_global).or_else(|| named().next()).map(|symbol| symbol.address)
    }

    /// Defined symbols by ascending addresses.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// Undefined symbols in the order of the object.
    pub fn undefined(&self) -> &[String] {
        &self.undefined
    }

    /// A debug section, whose references to code are final addresses.
    pub fn debug_section(&self, name: &str) -> Option<&[u8]> {
        self.debug.get(name).map(Vec::as_slice)
    }

    /// The address of the code.
    pub const fn start(&self) -> u32 {
        self.code.start
    }

    /// The code.
    pub fn code(&self) -> &[u8] {
        &self.code.bytes
    }
}

fn check(header: &FileHeader32<Endianness>) -> Result<(), LoadError> {
    let is_little = header.e_ident.data == elf::ELFDATA2LSB;
    let endian = Endianness::Little;
    if is_little && header.e_machine.get(endian) == elf::EM_ARM && header.e_type.get(endian) == elf::ET_REL {
        return Ok(());
    }
    Err(LoadError::Broken("an ELF file of another kind".to_owned()))
}

fn kind<'a>(name: &str, symbol: &impl ObjectSymbol<'a>) -> Kind {
    let is_mark = |mark: &str| {
        !symbol.is_global()
            && name.strip_prefix(mark).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    match symbol.kind() {
        SymbolKind::Text => Kind::Function,
        _ if is_mark("$t") => Kind::Mark { is_code: true },
        _ if is_mark("$d") => Kind::Mark { is_code: false },
        _ => Kind::Other,
    }
}
