//! The initial contents of memory.

use ssa::{DataKind, FuncId, Module};

use super::layout::ProgramLayout;
use super::{MemoryError, MemoryPlan, limited, too_large};

/// Initial contents and sizes of the memory areas.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Images {
    /// Read-only bytes.
    pub ro: Vec<u8>,
    /// Size of the read-only area in bytes.
    pub ro_size: u32,
    /// Read-write bytes, without trailing zeros.
    pub rw: Vec<u8>,
    /// Zeroed pages after the read-write bytes.
    pub heap_pages: u32,
    /// Bytes of stack, in whole pages.
    pub stack_size: u32,
}

impl MemoryPlan {
    /// The initial bytes of both areas. `reference` gives the value of a function reference.
    ///
    /// # Errors
    /// If the zeros after the stored bytes are too many for the container.
    pub fn images(
        &self,
        module: &Module,
        mut reference: impl FnMut(FuncId) -> u64,
    ) -> Result<Images, MemoryError> {
        let mut ro = vec![0; self.ro_len as usize];
        let mut rw = Vec::new();
        for (id, object) in module.data.iter() {
            let Some(address) = self.addresses[id] else { continue };
            if let DataKind::Memory(memory) = &object.kind {
                for segment in memory.segments.iter().filter(|segment| !segment.bytes.is_empty()) {
                    let address = address.wrapping_add(segment.offset);
                    write_at(&mut rw, (address - self.rw_start) as usize, &segment.bytes);
                }
                continue;
            }
            if address >= self.rw_end {
                // A variable on the stack, which is zero at first.
                continue;
            }
            let (area, start) = if address < self.rw_start {
                (&mut ro, self.layout.ro_start)
            } else {
                (&mut rw, self.rw_start)
            };
            let at = (address - start) as usize;
            write_at(area, at, &object.init);
            for reloc in &object.relocs {
                write_at(area, at + reloc.offset as usize, &reference(reloc.func).to_le_bytes());
            }
            for stored in &object.addresses {
                let address = self.address(stored.data).wrapping_add_signed(stored.addend);
                write_at(area, at + stored.offset as usize, &address.to_le_bytes());
            }
        }
        let used = rw.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        rw.truncate(used);
        let heap_pages = self.heap_pages(&mut rw)?;
        let max = self.layout.max_area;
        limited(rw.len() as u64, max).map_err(|bytes| MemoryError::ReadWrite { bytes, max })?;
        let ro_size = self.ro_len.max(self.rw_start - self.layout.rw_start(0));
        let ro_size = if self.layout.base_zero { ro_size } else { self.ro_len };
        Ok(Images { ro, ro_size, rw, heap_pages, stack_size: self.stack_size })
    }

    /// The number of stored bytes, whatever the values of function references.
    ///
    /// # Errors
    /// As for [`images`](Self::images).
    pub fn stored_bytes(&self, module: &Module) -> Result<usize, MemoryError> {
        let images = self.images(module, |_| u64::MAX)?;
        Ok(images.ro.len() + images.rw.len())
    }

    /// The number of zeroed pages after the stored bytes. Pages beyond the container's maximum are stored instead.
    fn heap_pages(&self, rw: &mut Vec<u8>) -> Result<u32, MemoryError> {
        let ProgramLayout { page, max_heap_pages, max_area, .. } = self.layout;
        let stored = (rw.len() as u32).next_multiple_of(page);
        let pages = (self.rw_end - self.rw_start - stored) / page;
        let Some(excess) = pages.checked_sub(max_heap_pages).filter(|&excess| excess > 0) else {
            return Ok(pages);
        };
        // A page counts as stored if its first byte is, so the last of these pages needs only one byte.
        let len = stored + (excess - 1) * page + 1;
        if len > max_area {
            return Err(too_large(&self.layout, u64::from(pages) * u64::from(page)));
        }
        rw.resize(len as usize, 0);
        Ok(max_heap_pages)
    }
}

/// Writes bytes at an offset of an image, which is extended with zeros if it ends before.
fn write_at(image: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if image.len() < at + bytes.len() {
        image.resize(at + bytes.len(), 0);
    }
    image[at..at + bytes.len()].copy_from_slice(bytes);
}
