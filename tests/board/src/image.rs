//! Loading objects: placing sections, resolving symbols, applying relocations.
//!
//! A small linker for the relocations in objects of this architecture: absolute and relative words, calls and jumps,
//! `movw`/`movt` pairs. Calls of functions outside the object go through veneers, since the functions are out of the
//! reach of a branch.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use object::{Object, ObjectSection, ObjectSymbol, RelocationFlags, SectionKind, elf};

use crate::machine::Board;

/// Minimum size in bytes of data sections that go to the large memory.
const LARGE: u64 = 0x4000;

/// The resolution of an undefined symbol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undefined {
    /// An import with this number, implemented by the host.
    Import(u32),
    /// A function at this address.
    Address(u32),
    /// Data at this address.
    Data(u32),
}

/// An object in a board's memory.
#[derive(Clone, Debug, Default)]
pub struct Image {
    symbols: BTreeMap<String, u32>,
    /// Undefined symbols, in the order of the object.
    undefined: Vec<String>,
    /// Contents of sections by address.
    sections: Vec<(u32, Contents)>,
}

#[derive(Clone, Debug)]
enum Contents {
    Bytes(Vec<u8>),
    Zeros(u32),
}

impl Image {
    /// Places an object in a board's memory and writes it there.
    ///
    /// # Errors
    /// If there is no room, a symbol can't be resolved, or a relocation is of an unknown kind.
    pub fn load(
        board: &mut Board,
        bytes: &[u8],
        resolve: &mut dyn FnMut(&str) -> Option<Undefined>,
    ) -> Result<Self> {
        let elf = object::File::parse(bytes).context("the file is not an object")?;
        let mut image = Self::default();
        let placed = image.place(board, &elf)?;
        let addresses = image.resolve(board, &elf, &placed, resolve)?;
        for section in elf.sections() {
            let Some(&(at, index)) = placed.get(&section.index().0) else { continue };
            for (offset, relocation) in section.relocations() {
                let object::RelocationTarget::Symbol(symbol) = relocation.target() else {
                    bail!("a relocation has no symbol");
                };
                let RelocationFlags::Elf { r_type } = relocation.flags() else { bail!("not an ELF object") };
                let target = addresses[&symbol.0];
                let Contents::Bytes(bytes) = &mut image.sections[index].1 else {
                    bail!("a relocation is in a section without contents");
                };
                relocate(bytes, offset as usize, r_type, at + offset as u32, target)?;
            }
        }
        image.restore(board)?;
        Ok(image)
    }

    /// Restores the memory of the image to its initial contents.
    pub fn restore(&self, board: &mut Board) -> Result<()> {
        for (address, contents) in &self.sections {
            match contents {
                Contents::Bytes(bytes) => board.write(*address, bytes)?,
                Contents::Zeros(bytes) => board.fill(*address, *bytes, 0)?,
            }
        }
        Ok(())
    }

    /// The address of a global symbol; bit 0 is set for functions.
    pub fn address(&self, symbol: &str) -> Option<u32> {
        self.symbols.get(symbol).copied()
    }

    /// Undefined symbols in the order of the object.
    pub fn undefined(&self) -> &[String] {
        &self.undefined
    }

    fn place(&mut self, board: &mut Board, elf: &object::File<'_>) -> Result<BTreeMap<usize, (u32, usize)>> {
        let mut placed = BTreeMap::new();
        for section in elf.sections() {
            let is_zeros = section.kind() == SectionKind::UninitializedData;
            let object::SectionFlags::Elf { sh_flags, .. } = section.flags() else {
                bail!("not an ELF object")
            };
            // Unwind tables are not needed.
            let is_unwinding = section.name().unwrap_or_default().starts_with(".ARM.ex");
            if !sh_flags.contains(elf::SHF_ALLOC) || is_unwinding {
                continue;
            }
            let (size, align) = (section.size(), section.align().max(4));
            // Branches don't reach from one memory to the other.
            let is_large = size >= LARGE && section.kind() != SectionKind::Text;
            let at = board.allocate(size, align, is_large)?;
            let contents = match is_zeros {
                true => Contents::Zeros(size.next_multiple_of(4) as u32),
                false => Contents::Bytes(section.data()?.to_vec()),
            };
            placed.insert(section.index().0, (at, self.sections.len()));
            self.sections.push((at, contents));
        }
        Ok(placed)
    }

    fn resolve(
        &mut self,
        board: &mut Board,
        elf: &object::File<'_>,
        placed: &BTreeMap<usize, (u32, usize)>,
        resolve: &mut dyn FnMut(&str) -> Option<Undefined>,
    ) -> Result<BTreeMap<usize, u32>> {
        let mut addresses = BTreeMap::new();
        for symbol in elf.symbols() {
            let name = symbol.name().unwrap_or_default();
            let address = match symbol.section_index() {
                Some(section) => match placed.get(&section.0) {
                    Some(&(at, _)) => at + symbol.address() as u32,
                    None => continue,
                },
                None if symbol.is_undefined() && !name.is_empty() => {
                    self.undefined.push(name.to_owned());
                    let symbol =
                        resolve(name).with_context(|| format!("the symbol `{name}` is undefined"))?;
                    self.veneer(board, symbol)?
                }
                None if symbol.is_definition() => symbol.address() as u32,
                None => continue,
            };
            if symbol.is_global() && symbol.is_definition() {
                self.symbols.insert(name.to_owned(), address);
            }
            addresses.insert(symbol.index().0, address);
        }
        Ok(addresses)
    }

    /// The address of an undefined symbol. For functions this is a veneer: `ldr r12, number; ldr pc, target`.
    fn veneer(&mut self, board: &mut Board, symbol: Undefined) -> Result<u32> {
        let (number, target) = match symbol {
            Undefined::Import(number) => (number, board.import_entry()),
            Undefined::Address(address) => (0, address),
            Undefined::Data(address) => return Ok(address),
        };
        let at = board.allocate(16, 4, false)?;
        let words = [0xc004_f8df, 0xf004_f8df, number, target | 1];
        let bytes = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
        self.sections.push((at, Contents::Bytes(bytes)));
        Ok(at | 1)
    }
}

/// Applies a relocation at `offset` in `bytes`, which is at `address` in memory.
fn relocate(
    bytes: &mut [u8],
    offset: usize,
    r_type: elf::RelocationType,
    address: u32,
    target: u32,
) -> Result<()> {
    let site: &mut [u8; 4] = bytes
        .get_mut(offset..offset + 4)
        .context("a relocation is outside its section")?
        .try_into()
        .expect("four bytes");
    let word = u32::from_le_bytes(*site);
    let halves = [word & 0xffff, word >> 16];
    let join = |[first, second]: [u32; 2]| first | second << 16;
    let new = match r_type {
        elf::R_ARM_ABS32 => word.wrapping_add(target),
        elf::R_ARM_REL32 => word.wrapping_add(target).wrapping_sub(address),
        elf::R_ARM_THM_PC22 | elf::R_ARM_THM_JUMP24 => {
            let distance = (target & !1).wrapping_add(branch_offset(halves)).wrapping_sub(address);
            join(with_branch_offset(halves, distance as i32)?)
        }
        elf::R_ARM_THM_MOVW_ABS_NC => join(with_immediate(halves, target.wrapping_add(immediate(halves)))),
        elf::R_ARM_THM_MOVT_ABS => join(with_immediate(halves, target.wrapping_add(immediate(halves)) >> 16)),
        other => bail!("a relocation has the unknown type {other}"),
    };
    *site = new.to_le_bytes();
    Ok(())
}

/// The offset in a `bl` or `b.w`.
const fn branch_offset([first, second]: [u32; 2]) -> u32 {
    let sign = first >> 10 & 1;
    let i1 = !(second >> 13 ^ sign) & 1;
    let i2 = !(second >> 11 ^ sign) & 1;
    let bits = sign << 24 | i1 << 23 | i2 << 22 | (first & 0x3ff) << 12 | (second & 0x7ff) << 1;
    ((bits << 7) as i32 >> 7) as u32
}

fn with_branch_offset([first, second]: [u32; 2], distance: i32) -> Result<[u32; 2]> {
    ensure!((-(1 << 24)..1 << 24).contains(&distance), "a branch target is out of reach");
    let bits = distance as u32;
    let sign = bits >> 24 & 1;
    let j1 = !(bits >> 23 ^ sign) & 1;
    let j2 = !(bits >> 22 ^ sign) & 1;
    let first = first & 0xf800 | sign << 10 | bits >> 12 & 0x3ff;
    let second = second & 0xd000 | j1 << 13 | j2 << 11 | bits >> 1 & 0x7ff;
    Ok([first, second])
}

/// The signed 16-bit immediate of `movw` or `movt`.
const fn immediate([first, second]: [u32; 2]) -> u32 {
    let bits = (first & 0xf) << 12 | (first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | second & 0xff;
    bits as u16 as i16 as u32
}

const fn with_immediate([first, second]: [u32; 2], value: u32) -> [u32; 2] {
    let first = first & 0xfbf0 | value >> 12 & 0xf | (value >> 11 & 1) << 10;
    let second = second & 0x8f00 | (value >> 8 & 7) << 12 | value & 0xff;
    [first, second]
}
