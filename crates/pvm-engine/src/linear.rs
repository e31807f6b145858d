//! Linear memory, by wasm addresses.
//!
//! A wasm address `a` is the machine address `a + base` modulo 2^32. Linear memory is at the end of the heap and grows with
//! it. It may begin above wasm address 0: where the C stack is the machine's, the addresses below have no memory.

use pvm_isa::spi::PAGE_SIZE;

use crate::RunError;
use crate::machine::Machine;

/// The place of linear memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Linear {
    base: u32,
    /// The first wasm address with memory.
    pub first: u32,
}

impl Linear {
    /// Linear memory with this base, in a heap that begins at `heap_start`.
    pub fn new(base: u32, heap_start: u32) -> Self {
        // Where the base is above the start of the heap, the program's variables are between them.
        let first = heap_start.wrapping_sub(base) as i32;
        Self { base, first: first.max(0) as u32 }
    }

    /// Reads bytes.
    pub fn read(self, machine: &mut Machine, address: u32, len: u32) -> Result<Vec<u8>, RunError> {
        let start = self.check(machine, address, u64::from(len))?;
        machine.read(start, len).ok_or_else(|| self.error(machine, address, u64::from(len)))
    }

    /// Writes bytes.
    pub fn write(self, machine: &mut Machine, address: u32, bytes: &[u8]) -> Result<(), RunError> {
        let start = self.check(machine, address, bytes.len() as u64)?;
        match machine.write(start, bytes) {
            true => Ok(()),
            false => Err(self.error(machine, address, bytes.len() as u64)),
        }
    }

    /// The machine address of accessible bytes.
    fn check(self, machine: &Machine, address: u32, len: u64) -> Result<u32, RunError> {
        let is_inside = address >= self.first && u64::from(address) + len <= self.end(machine);
        match is_inside {
            true => Ok(address.wrapping_add(self.base)),
            false => Err(self.error(machine, address, len)),
        }
    }

    /// The exclusive end in wasm addresses.
    pub fn end(self, machine: &Machine) -> u64 {
        u64::from((machine.heap_end() * PAGE_SIZE).wrapping_sub(self.base))
    }

    fn error(self, machine: &Machine, address: u32, len: u64) -> RunError {
        RunError::Address { address, len, first: self.first, end: self.end(machine) }
    }
}
