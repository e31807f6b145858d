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

impl ObjectOptions {
    /// Bytes of linear memory, with its surroundings, for a module that declares so many.
    pub fn memory_size(&self, declared: u64, cpu: Cpu) -> u64 {
        MemoryLayout::new(self, cpu).place(declared).0
    }
}

/// The contents of an object.
pub fn contents(module: &Module, id: DataId, is_written: bool, layout: MemoryLayout) -> Contents {
    let object = &module.data[id];
    let (size, align) = match &object.kind {
        DataKind::Memory(memory) => layout.place(memory.min_bytes),
        DataKind::FixedMemory => layout.place_other(object.size, object.align),
        _ => (u64::from(object.size), u64::from(object.align.max(1))),
    };
    let section = match object.kind {
        DataKind::Constant => DataSection::ReadOnly,
        DataKind::Table if !is_written => DataSection::ReadOnly,
        _ if is_zero(object) => DataSection::Zeros,
        _ => DataSection::Data,
    };
    // A memory of zeros may be larger than this machine's.
    let bytes = if section == DataSection::Zeros { Vec::new() } else { bytes(module, object, size as usize) };
    Contents { section, bytes, size, align: if is_table(object) { align.max(4) } else { align } }
}

/// Whether all bytes are zeros.
fn is_zero(object: &DataObject) -> bool {
    let initial = match &object.kind {
        DataKind::Memory(memory) => {
            memory.segments.iter().all(|segment| segment.bytes.iter().all(|&byte| byte == 0))
        }
        _ => object.init.iter().all(|&byte| byte == 0),
    };
    initial && object.relocs.is_empty() && object.addresses.is_empty()
}

/// The bytes of an object, with what its relocations are added to.
fn bytes(module: &Module, object: &DataObject, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    let mut put = |at: usize, from: &[u8]| {
        let at = at.min(size);
        let len = from.len().min(size - at);
        bytes[at..at + len].copy_from_slice(&from[..len]);
    };
    match &object.kind {
        DataKind::Memory(memory) => {
            memory.segments.iter().for_each(|segment| put(segment.offset as usize, &segment.bytes));
        }
        _ => put(0, &object.init),
    }
    for reloc in &object.relocs {
        let sig = module.decls[reloc.func].sig.index() as u32 + 1;
        put(reloc.offset as usize, &[0; 4]);
        put(reloc.offset as usize + 4, &sig.to_le_bytes());
    }
    for stored in &object.addresses {
        put(stored.offset as usize, &stored.addend.to_le_bytes());
    }
    bytes
}

const fn is_table(object: &DataObject) -> bool {
    matches!(object.kind, DataKind::Table)
}
