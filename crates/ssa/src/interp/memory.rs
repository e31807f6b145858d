//! The machine address space: the addresses of data objects and functions, and the contents of memory.

use crate::{DataId, DataKind, EntityId, FuncId, IdVec, Module};

/// The addresses of data objects and functions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Machine address of each data object.
    pub data: IdVec<DataId, u32>,
    /// Code address of each function; distinct and not 0.
    pub code: IdVec<FuncId, u32>,
}

/// Bytes between data objects in a packed layout, so that small overruns are found.
const GAP: u32 = 64;

impl Layout {
    /// Data objects in sequence from 64 KiB on, linear memory last; functions at multiples of 4.
    pub fn packed(module: &Module) -> Self {
        let mut data = IdVec::filled(0, module.data.len());
        let mut next = 0x1_0000u32;
        let is_memory = |id: DataId| matches!(module.data[id].kind, DataKind::Memory(_));
        let (memories, others): (Vec<DataId>, Vec<DataId>) = module.data.ids().partition(|&id| is_memory(id));
        for id in others.into_iter().chain(memories) {
            let object = &module.data[id];
            data[id] = next.next_multiple_of(object.align);
            next = data[id] + object.size + GAP;
        }
        let code = module.decls.ids().map(|func| 4 * (func.index() as u32 + 1)).collect();
        Self { data, code }
    }

    /// A function reference: the code address in the low half, the signature's id plus one in the high half.
    pub fn reference(&self, module: &Module, func: FuncId) -> u64 {
        let sig = module.decls[func].sig.index() as u64 + 1;
        sig << 32 | u64::from(self.code[func])
    }
}

/// Disjoint ranges of readable and writable bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Memory {
    /// Sorted by start address.
    regions: Vec<(u32, Vec<u8>)>,
}

impl Memory {
    /// The initial contents of every data object. Segments are clipped to the minimum size of linear memory.
    pub fn new(module: &Module, layout: &Layout) -> Self {
        let mut regions: Vec<(u32, Vec<u8>)> =
            module.data.ids().map(|id| (layout.data[id], image(module, layout, id))).collect();
        regions.sort_by_key(|&(start, _)| start);
        Self { regions }
    }

    /// The bytes of the region that starts at `start`.
    pub fn region(&self, start: u32) -> Option<&[u8]> {
        let n = self.regions.binary_search_by_key(&start, |&(start, _)| start).ok()?;
        Some(&self.regions[n].1)
    }

    /// Changes the size of the region that starts at `start`; new bytes are 0. `false` if there is no such region
    /// or it would run into the next.
    pub fn resize(&mut self, start: u32, size: u64) -> bool {
        let Ok(n) = self.regions.binary_search_by_key(&start, |&(start, _)| start) else { return false };
        let limit = self.regions.get(n + 1).map_or(1 << 32, |&(next, _)| u64::from(next));
        let fits = u64::from(start) + size <= limit;
        if fits {
            self.regions[n].1.resize(size as usize, 0);
        }
        fits
    }

    /// `len` (at most 8) bytes, little-endian.
    pub fn read(&self, address: u32, len: u32) -> Option<u64> {
        let (region, offset) = self.find(address, len)?;
        let bytes = &self.regions[region].1[offset..offset + len as usize];
        Some(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    /// Writes the low `len` (at most 8) bytes of `value`; nothing if one of them is inaccessible.
    pub fn write(&mut self, address: u32, len: u32, value: u64) -> Option<()> {
        let (region, offset) = self.find(address, len)?;
        let bytes = &mut self.regions[region].1[offset..offset + len as usize];
        bytes.copy_from_slice(&value.to_le_bytes()[..len as usize]);
        Some(())
    }

    /// The region that contains all of a range, and the offset in it.
    fn find(&self, address: u32, len: u32) -> Option<(usize, usize)> {
        let region = self.regions.partition_point(|&(start, _)| start <= address).checked_sub(1)?;
        let (start, bytes) = &self.regions[region];
        let offset = (address - start) as usize;
        (offset + len as usize <= bytes.len()).then_some((region, offset))
    }
}

/// The initial bytes of a data object.
fn image(module: &Module, layout: &Layout, id: DataId) -> Vec<u8> {
    let object = &module.data[id];
    let mut bytes = object.init.clone();
    match &object.kind {
        DataKind::Memory(memory) => {
            bytes.resize(memory.min_bytes as usize, 0);
            for segment in &memory.segments {
                let tail = bytes.get_mut(segment.offset as usize..).unwrap_or(&mut []);
                let len = tail.len().min(segment.bytes.len());
                tail[..len].copy_from_slice(&segment.bytes[..len]);
            }
        }
        _ => bytes.resize(object.size as usize, 0),
    }
    for reloc in &object.relocs {
        let reference = layout.reference(module, reloc.func).to_le_bytes();
        bytes[reloc.offset as usize..][..reference.len()].copy_from_slice(&reference);
    }
    for stored in &object.addresses {
        let address = layout.data[stored.data].wrapping_add_signed(stored.addend).to_le_bytes();
        bytes[stored.offset as usize..][..address.len()].copy_from_slice(&address);
    }
    bytes
}
