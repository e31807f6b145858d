//! The layout that a container prescribes: where a program's memory areas and entries are, and how large they may be.
//!
//! ```text
//! ro_start       read-only area
//! rw_start(ro)   read-write area: stored bytes, then zeroed pages; the heap grows beyond them
//! ...            stack
//! arguments      the bytes that a host passes
//! ```
//!
//! The sizes of the read-only and the read-write area decide the addresses of the following ones, and hosts allocate
//! the stack. A program's code contains these addresses, so they must be the container's.

use pvm_isa::spi;

/// Places and limits of memory areas, and the spacing of entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProgramLayout {
    /// Bytes of a page, the unit of access rights.
    pub page: u32,
    /// Address of the read-only area.
    pub ro_start: u32,
    /// Address of the read-write area if the read-only area is empty.
    pub lowest_rw_start: u32,
    /// The read-only area moves the read-write area by its size, rounded up to a multiple of this.
    pub zone: u32,
    /// End of the machine's stack, if it is the same in every program.
    pub stack_end: Option<u32>,
    /// Address of the arguments that a host passes.
    pub arguments: u32,
    /// Maximum number of stored bytes of an area, and of bytes of the stack.
    pub max_area: u32,
    /// Maximum number of zeroed pages after the stored bytes of the read-write area.
    pub max_heap_pages: u32,
    /// Bytes of the machine's stack for values that wasm engines keep outside of linear memory.
    pub machine_stack: u32,
    /// Whether memory can't grow while the program runs: what it may grow to is part of the read-write area.
    pub reserves_growth: bool,
    /// Whether wasm addresses must be the machine's. Then the size of the read-only area, which zeros may follow without
    /// being stored, moves the read-write area up to linear memory.
    pub base_zero: bool,
    /// Maximum number of instructions of a basic block, if hosts have one.
    pub max_block: Option<usize>,
    /// Distance in the code between the jumps of two entries, in bytes. 0: the container has the positions of functions
    /// by name, and hosts call them as typed functions.
    pub entry_spacing: u32,
}

impl ProgramLayout {
    /// See [`Self::most_caught_bytes`].
    pub const UNMAPPED: u32 = 1 << 26;

    /// The layout of a standard program ([`spi`]).
    pub const SPI: Self = Self {
        page: spi::PAGE_SIZE,
        ro_start: spi::RO_START,
        lowest_rw_start: spi::rw_start(0),
        zone: spi::ZONE_SIZE,
        stack_end: Some(spi::STACK_END),
        arguments: spi::ARGS_START,
        max_area: spi::MAX_AREA_LEN,
        max_heap_pages: u16::MAX as u32,
        machine_stack: super::MACHINE_STACK,
        reserves_growth: false,
        base_zero: false,
        max_block: None,
        entry_spacing: 5,
    };

    /// The layout of PolkaVM's container ([`pvm_isa::polkavm`]). Its sizes have 32 bits; the limits leave room for a
    /// stack and for what hosts put above it.
    pub const POLKAVM: Self = Self {
        stack_end: None,
        arguments: 0,
        max_area: 1 << 28,
        max_heap_pages: 0xa_0000,
        reserves_growth: true,
        entry_spacing: 0,
        ..Self::SPI
    };

    /// Address of the read-write area after `ro_len` bytes of read-only data.
    pub const fn rw_start(&self, ro_len: u32) -> u32 {
        self.lowest_rw_start + ro_len.next_multiple_of(self.zone)
    }

    /// The highest address for the read-write area, if `front` bytes of it are to end before `first`.
    pub const fn rw_start_below(&self, first: u32, front: u32) -> Option<u32> {
        match first.checked_sub(front) {
            Some(start) => Some(start / self.zone * self.zone),
            None => None,
        }
    }

    /// The size of the largest linear memory with at least [`Self::UNMAPPED`] bytes after it that are never mapped, if the
    /// container leaves room between the heap and the stack.
    pub fn most_caught_bytes(&self) -> Option<u64> {
        // Other containers have other areas after the heap.
        if *self != Self::SPI {
            return None;
        }
        let initial = u64::from(self.max_area) + u64::from(self.max_heap_pages) * u64::from(self.page);
        let highest_base = u64::from(self.rw_start(self.max_area)) + initial;
        let lowest_stack = u64::from(self.arguments - self.zone - self.max_stack());
        lowest_stack.checked_sub(highest_base + u64::from(Self::UNMAPPED) + u64::from(self.page))
    }

    /// So many bytes of stack in whole pages, at least one, if they are not more than the maximum.
    pub fn stack_pages(&self, bytes: u32) -> Option<u32> {
        let pages = bytes.max(1).checked_next_multiple_of(self.page)?;
        (pages <= self.max_stack()).then_some(pages)
    }

    /// Maximum size of the stack in bytes, in whole pages.
    pub const fn max_stack(&self) -> u32 {
        self.max_area / self.page * self.page
    }
}

impl Default for ProgramLayout {
    fn default() -> Self {
        Self::SPI
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_where_the_standard_program_has_them() {
        for ro_len in [0, 1, 0x1_0000, 0x1_0001, spi::MAX_AREA_LEN] {
            let map = spi::MemoryLayout::new(ro_len, 5, 0, ProgramLayout::SPI.max_stack()).expect("fits");
            assert_eq!(map.ro.start, ProgramLayout::SPI.ro_start);
            assert_eq!(map.rw.start, ProgramLayout::SPI.rw_start(ro_len));
        }
    }
}
