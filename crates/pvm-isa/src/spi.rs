//! The standard program container (SPI) and the memory map it implies (Gray Paper, appendix A.7).
//!
//! ```text
//! |ro|: 3 bytes  |rw|: 3  heap pages: 2  stack size: 3   ro data   rw data   |blob|: 4   blob
//! ```
//!
//! All numbers are little endian. Memory, where P rounds up to pages of 4 KiB and Z to zones of 64 KiB:
//!
//! | area | start | size | access |
//! |---|---|---|---|
//! | guard | 0 | 0x10000 | none, always panics |
//! | read-only data | 0x10000 | P(ro) | read |
//! | read-write data, then zeros | 0x20000 + Z(ro) | P(rw) + 4096 · heap pages | read, write |
//! | stack | 0xFEFE0000 − P(stack) | P(stack) | read, write |
//! | arguments | 0xFEFF0000 | P(arguments) | read |
//!
//! The Gray Paper also requires 5 zones + Z(ro) + Z(rw + heap) + Z(stack) + 2^24 ≤ 2^32. The widths of the length
//! fields already imply it, so the only condition is that each size fits its field.

use core::fmt;
use core::ops::Range;

use crate::blob::ProgramBlob;
use crate::reader::{ParseError, Reader};
use crate::version::CodeFormat;

/// Bytes in a page, the unit of access rights.
pub const PAGE_SIZE: u32 = 1 << 12;
/// Bytes in a zone, the unit in which memory areas are spaced.
pub const ZONE_SIZE: u32 = 1 << 16;
/// Address of the read-only data. No address below it is ever accessible.
pub const RO_START: u32 = ZONE_SIZE;
/// End (exclusive) of the stack; r1 at entry.
pub const STACK_END: u32 = 0xfefe_0000;
/// Address of the arguments; r7 at entry.
pub const ARGS_START: u32 = 0xfeff_0000;
/// Maximum size of the arguments in bytes.
pub const MAX_ARGS_LEN: u32 = 1 << 24;
/// The code pointer that ends the program when jumped to; r0 at entry.
pub const HALT_ADDRESS: u32 = 0xffff_0000;

/// The largest size of a data area or of the stack in bytes.
pub const MAX_AREA_LEN: u32 = (1 << 24) - 1;

/// A program with its initial memory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SpiProgram {
    /// Read-only data, at [`RO_START`]. At most [`MAX_AREA_LEN`] bytes.
    pub ro_data: Vec<u8>,
    /// Initial read-write data, at [`rw_start`]. At most [`MAX_AREA_LEN`] bytes.
    pub rw_data: Vec<u8>,
    /// Number of zeroed pages after the read-write data.
    pub heap_pages: u16,
    /// Size of the stack in bytes. At most [`MAX_AREA_LEN`].
    pub stack_size: u32,
    /// The program.
    pub blob: ProgramBlob,
}

impl SpiProgram {
    /// Parses a container that takes all of `bytes`, with code that has a bitmask.
    ///
    /// # Errors
    ///
    /// If the bytes are not a container.
    pub fn parse(bytes: &[u8]) -> Result<SpiProgram, ParseError> {
        SpiProgram::parse_as(CodeFormat::Bitmask, bytes)
    }

    /// Parses a container that takes all of `bytes`, with code of a format.
    ///
    /// # Errors
    ///
    /// If the bytes are not a container.
    pub fn parse_as(format: CodeFormat, bytes: &[u8]) -> Result<SpiProgram, ParseError> {
        SpiProgram::read(&mut Reader::new(bytes), format)
    }

    /// Reads a container that takes the rest of the input.
    pub(crate) fn read(reader: &mut Reader<'_>, format: CodeFormat) -> Result<SpiProgram, ParseError> {
        let ro_len = reader.le(3)?;
        let rw_len = reader.le(3)?;
        let heap_pages = reader.le(2)? as u16;
        let stack_size = reader.le(3)?;
        let ro_data = reader.take(ro_len as usize)?.to_vec();
        let rw_data = reader.take(rw_len as usize)?.to_vec();
        let blob_len = reader.le(4)? as usize;
        let blob_offset = reader.offset();
        let mut blob = Reader::nested(reader.take(blob_len)?, blob_offset);
        reader.finish()?;
        let blob = ProgramBlob::read(&mut blob, format)?;
        Ok(SpiProgram { ro_data, rw_data, heap_pages, stack_size, blob })
    }

    /// The container as bytes.
    ///
    /// # Errors
    ///
    /// If an area is too large for its length field.
    pub fn to_bytes(&self) -> Result<Vec<u8>, AreaTooLarge> {
        self.layout()?;
        let blob = self.blob.to_bytes();
        let mut out = Vec::with_capacity(15 + self.ro_data.len() + self.rw_data.len() + blob.len());
        out.extend_from_slice(&(self.ro_data.len() as u32).to_le_bytes()[..3]);
        out.extend_from_slice(&(self.rw_data.len() as u32).to_le_bytes()[..3]);
        out.extend_from_slice(&self.heap_pages.to_le_bytes());
        out.extend_from_slice(&self.stack_size.to_le_bytes()[..3]);
        out.extend_from_slice(&self.ro_data);
        out.extend_from_slice(&self.rw_data);
        let blob_len = u32::try_from(blob.len()).map_err(|_| AreaTooLarge)?;
        out.extend_from_slice(&blob_len.to_le_bytes());
        out.extend_from_slice(&blob);
        Ok(out)
    }

    /// The addresses of the program's memory areas.
    ///
    /// # Errors
    ///
    /// If an area is too large for its length field.
    pub fn layout(&self) -> Result<MemoryLayout, AreaTooLarge> {
        let len = |data: &[u8]| u32::try_from(data.len()).map_err(|_| AreaTooLarge);
        MemoryLayout::new(len(&self.ro_data)?, len(&self.rw_data)?, self.heap_pages, self.stack_size)
    }
}

/// The memory areas of a program. Ranges cover whole pages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemoryLayout {
    /// Read-only data.
    pub ro: Range<u32>,
    /// Read-write data and heap.
    pub rw: Range<u32>,
    /// The stack; it grows down from the end.
    pub stack: Range<u32>,
}

impl MemoryLayout {
    /// The layout for areas of the given sizes in bytes.
    ///
    /// # Errors
    ///
    /// If a size exceeds [`MAX_AREA_LEN`].
    pub fn new(ro_len: u32, rw_len: u32, heap_pages: u16, stack_size: u32) -> Result<Self, AreaTooLarge> {
        if ro_len.max(rw_len).max(stack_size) > MAX_AREA_LEN {
            return Err(AreaTooLarge);
        }
        let heap = u32::from(heap_pages) * PAGE_SIZE;
        let rw_start = rw_start(ro_len);
        Ok(MemoryLayout {
            ro: RO_START..RO_START + page_align(ro_len),
            rw: rw_start..rw_start + page_align(rw_len) + heap,
            stack: STACK_END - page_align(stack_size)..STACK_END,
        })
    }

    /// End (exclusive) of the highest page the heap may grow to, in pages: one zone below the stack.
    pub fn heap_limit_page(&self) -> u32 {
        (self.stack.start - ZONE_SIZE) / PAGE_SIZE
    }
}

/// The areas of the largest sizes fit into the address space together.
const _: () = {
    let area = (MAX_AREA_LEN as u64).next_multiple_of(ZONE_SIZE as u64);
    let heap = (u16::MAX as u64 * PAGE_SIZE as u64).next_multiple_of(ZONE_SIZE as u64);
    assert!(5 * ZONE_SIZE as u64 + 3 * area + heap + MAX_ARGS_LEN as u64 <= 1 << 32);
};

/// A data area or the stack is larger than [`MAX_AREA_LEN`], or the blob is larger than 4 GiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AreaTooLarge;

impl fmt::Display for AreaTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a data area or the stack exceeds the limit of the container (16 MiB less one byte)")
    }
}

impl core::error::Error for AreaTooLarge {}

/// Address of the read-write data, if there are `ro_len` bytes (at most [`MAX_AREA_LEN`]) of read-only data.
pub const fn rw_start(ro_len: u32) -> u32 {
    2 * ZONE_SIZE + ro_len.next_multiple_of(ZONE_SIZE)
}

/// Rounds a size up to whole pages.
pub const fn page_align(len: u32) -> u32 {
    len.next_multiple_of(PAGE_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::ParseErrorKind;

    #[test]
    fn the_map_follows_the_sizes() {
        let layout = MemoryLayout::new(1, 5000, 3, 4097).expect("fits");
        assert_eq!(layout.ro, 0x1_0000..0x1_1000);
        assert_eq!(layout.rw, 0x3_0000..0x3_5000);
        assert_eq!(layout.stack, 0xfefd_e000..0xfefe_0000);
        assert_eq!(layout.heap_limit_page(), 0xf_efce);
        assert_eq!(rw_start(0), 0x2_0000);
        assert_eq!(rw_start(0x1_0000), 0x3_0000);
        assert_eq!(rw_start(0x1_0001), 0x4_0000);
    }

    #[test]
    fn sizes_are_limited() {
        let max = MAX_AREA_LEN;
        assert!(MemoryLayout::new(max, max, u16::MAX, max).is_ok());
        assert_eq!(MemoryLayout::new(max + 1, 0, 0, 0), Err(AreaTooLarge));
        assert_eq!(MemoryLayout::new(0, 0, 0, max + 1), Err(AreaTooLarge));
    }

    #[test]
    fn a_program_survives_writing_and_reading() {
        let program = SpiProgram {
            ro_data: vec![1, 2, 3],
            rw_data: vec![4; 5000],
            heap_pages: 300,
            stack_size: 70_000,
            blob: ProgramBlob::default(),
        };
        let bytes = program.to_bytes().expect("fits");
        assert_eq!(bytes.len(), 11 + 3 + 5000 + 4 + 3);
        assert_eq!(SpiProgram::parse(&bytes), Ok(program));
    }

    #[test]
    fn errors_inside_the_blob_count_from_the_start() {
        let mut bytes = SpiProgram::default().to_bytes().expect("fits");
        let entry_size = bytes.len() - 2;
        bytes[entry_size] = 9;
        let error = SpiProgram::parse(&bytes).expect_err("damaged");
        assert_eq!(error, ParseError { offset: entry_size, kind: ParseErrorKind::BadJumpTableEntrySize });
    }
}
