//! Data objects as section contents.
//!
//! Data that is never written goes to read-only sections, and data that starts as zeros to sections without bytes. A
//! function reference is the function's address followed by its signature's number plus one; an address of data is a
//! word. A table is read-only unless code stores to it or uses its address other than in loads.

use ssa::{DataId, DataKind, DataObject, EntityId as _, Module};

use super::{MemoryShape, ObjectOptions};
use crate::isa::cpu::{Architecture, Cpu};

/// Bytes of the widest access to linear memory.
const WIDEST_ACCESS: u64 = 8;

/// The kind of section of a data object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DataSection {
    /// `.rodata`.
    ReadOnly,
    /// `.data`.
    Data,
    /// `.bss`.
    Zeros,
}

/// The contents of a data object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contents {
    /// Its section.
    pub section: DataSection,
    /// The bytes; none in `.bss`.
    pub bytes: Vec<u8>,
    /// Size in bytes.
    pub size: u64,
    /// Alignment.
    pub align: u64,
}

/// Layout of linear memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryLayout {
    /// Its size in bytes, if it isn't the declared one.
    pub bytes: Option<u64>,
    /// Its surroundings.
    pub shape: MemoryShape,
    /// The architecture, which defines the regions of its memory protection unit.
    pub architecture: Architecture,
}

impl MemoryLayout {
    /// The layout for these options.
    pub const fn new(options: &ObjectOptions, cpu: Cpu) -> Self {
        Self { bytes: options.memory_bytes, shape: options.memory_shape, architecture: cpu.architecture() }
    }

    /// Size and alignment of the first memory, if it declares so many bytes.
    pub fn place(self, declared: u64) -> (u64, u64) {
        let size = self.bytes.unwrap_or(declared);
        match self.shape {
            MemoryShape::Plain => (size, 16),
            MemoryShape::Slack => (size + WIDEST_ACCESS, 16),
            MemoryShape::Region => self.region(size),
        }
    }

    /// Size and alignment of a memory other than the first, with so many bytes. `align` is its alignment if it is no
    /// region.
    pub fn place_other(self, bytes: u32, align: u32) -> (u64, u64) {
        match self.shape {
            MemoryShape::Region => self.region(bytes.into()),
            _ => (bytes.into(), align.into()),
        }
    }

    /// Size and alignment of a region of the memory protection unit.
    ///
    /// Regions of ARMv7-M are powers of two from 32 on, at multiples of their size; those of ARMv8-M begin and end at
    /// multiples of 32.
    fn region(self, bytes: u64) -> (u64, u64) {
        if self.architecture.is_v8() {
            return (bytes.next_multiple_of(32), 32);
        }
        let size = bytes.next_power_of_two().max(32);
        (size, size)
    }
}

/// The contents of an object.
pub fn contents(module: &Module, id: DataId, is_written: bool, layout: MemoryLayout) -> Contents {
    let object = &module.data[id];
    let (mut bytes, size, align) = match &object.kind {
        DataKind::Memory(memory) => {
            let (size, align) = layout.place(memory.min_bytes);
            let mut bytes = vec![0; size as usize];
            for segment in &memory.segments {
                let start = (segment.offset as usize).min(bytes.len());
                let len = segment.bytes.len().min(bytes.len() - start);
                bytes[start..start + len].copy_from_slice(&segment.bytes[..len]);
            }
            (bytes, size, align)
        }
        kind => {
            let (size, align) = match kind {
                DataKind::FixedMemory => layout.place_other(object.size, object.align),
                _ => (object.size.into(), object.align.max(1).into()),
            };
            let mut bytes = object.init.clone();
            bytes.resize(size as usize, 0);
            (bytes, size, align)
        }
    };
    for reloc in &object.relocs {
        let sig = module.decls[reloc.func].sig.index() as u32 + 1;
        let at = reloc.offset as usize;
        bytes[at..at + 4].fill(0);
        bytes[at + 4..at + 8].copy_from_slice(&sig.to_le_bytes());
    }
    for stored in &object.addresses {
        let at = stored.offset as usize;
        bytes[at..at + 4].copy_from_slice(&stored.addend.to_le_bytes());
    }
    let is_zero = bytes.iter().all(|&byte| byte == 0);
    let section = match object.kind {
        DataKind::Constant => DataSection::ReadOnly,
        DataKind::Table if !is_written => DataSection::ReadOnly,
        _ if is_zero && object.relocs.is_empty() && object.addresses.is_empty() => DataSection::Zeros,
        _ => DataSection::Data,
    };
    if section == DataSection::Zeros {
        bytes.clear();
    }
    Contents { section, bytes, size, align: if is_table(object) { align.max(4) } else { align } }
}

const fn is_table(object: &DataObject) -> bool {
    matches!(object.kind, DataKind::Table)
}
