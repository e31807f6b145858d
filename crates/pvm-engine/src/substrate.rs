//! The host functions of Substrate that pure runtime entry points need.
//!
//! A runtime does not manage its heap: it asks its host for memory. This allocator hands out blocks whose size is a
//! power of two, from free lists per size, else from the end of the memory, which it grows. It begins after the
//! program's initial memory, so its blocks overlap none of the program's data.
//!
//! Pointers are wasm addresses; byte slices are `address | length << 32`.

use std::collections::BTreeMap;

use pvm_isa::spi::PAGE_SIZE;

use crate::LogLine;
use crate::answer::{Answer, read_text};
use crate::machine::{Machine, reg};

/// The smallest block is `1 << MIN_ORDER` bytes.
const MIN_ORDER: u32 = 3;
/// The largest block is `1 << MAX_ORDER` bytes, as in Substrate.
const MAX_ORDER: u32 = 25;
/// Minimum number of pages by which the heap grows.
const GROWTH_PAGES: u32 = 256;
/// Level for `ext_logging_max_level`: everything.
const MAX_LEVEL: u64 = 5;

pub struct Substrate {
    /// `pvm = wasm + base` modulo 2^32.
    base: u32,
    /// The PVM address after the last block.
    top: u32,
    /// PVM addresses of free blocks, by order.
    free: [Vec<u32>; MAX_ORDER as usize + 1],
    /// Order of each block in use, by PVM address.
    used: BTreeMap<u32, u32>,
}

impl Substrate {
    pub fn new(base: u32, heap_end: u32) -> Self {
        Self { base, top: heap_end * PAGE_SIZE, free: Default::default(), used: BTreeMap::new() }
    }

    /// Answers the import `name`, if it is known.
    pub fn call(&mut self, name: &str, machine: &mut Machine, log: &mut Vec<LogLine>) -> Option<Answer> {
        let words = [0, 1, 2].map(|n| machine.reg(reg::A0 + n));
        match name {
            "ext_allocator_malloc_version_1" => {
                let Some(address) = self.allocate(machine, words[0] as u32) else {
                    return Some(Answer::Panic);
                };
                machine.set_reg(reg::A0, u64::from(address.wrapping_sub(self.base)));
            }
            "ext_allocator_free_version_1" => {
                let address = (words[0] as u32).wrapping_add(self.base);
                let Some(order) = self.used.remove(&address) else { return Some(Answer::Panic) };
                self.free[order as usize].push(address);
            }
            "ext_logging_max_level_version_1" => machine.set_reg(reg::A0, MAX_LEVEL),
            "ext_logging_log_version_1" => {
                let target = self.text(machine, words[1]);
                let message = self.text(machine, words[2]);
                let (Some(target), Some(message)) = (target, message) else { return Some(Answer::Panic) };
                log.push(LogLine { level: words[0], target, message });
            }
            "ext_misc_print_utf8_version_1"
            | "ext_misc_print_hex_version_1"
            | "ext_misc_print_num_version_1" => {
                let Some(message) = self.printed(name, machine, words[0]) else { return Some(Answer::Panic) };
                log.push(LogLine { level: 2, target: "print".into(), message });
            }
            _ => return None,
        }
        Some(Answer::Continue)
    }

    fn printed(&self, name: &str, machine: &mut Machine, word: u64) -> Option<String> {
        match name {
            "ext_misc_print_num_version_1" => Some(word.to_string()),
            "ext_misc_print_utf8_version_1" => self.text(machine, word),
            _ => {
                let address = (word as u32).wrapping_add(self.base);
                let bytes = machine.read(address, (word >> 32) as u32)?;
                Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
            }
        }
    }

    /// The text of a slice.
    fn text(&self, machine: &mut Machine, slice: u64) -> Option<String> {
        let address = (slice as u32).wrapping_add(self.base);
        read_text(machine, u64::from(address), slice >> 32)
    }

    /// The PVM address of a new block of at least `size` bytes.
    fn allocate(&mut self, machine: &mut Machine, size: u32) -> Option<u32> {
        let order = order_of(size)?;
        let address = match self.free[order as usize].pop() {
            Some(address) => address,
            None => {
                let address = self.top;
                let end = address.checked_add(1 << order)?;
                let page = end.div_ceil(PAGE_SIZE);
                let missing = page > machine.heap_end();
                let generous = u64::from(page + GROWTH_PAGES);
                if missing && !machine.grow_heap(generous) && !machine.grow_heap(u64::from(page)) {
                    return None;
                }
                self.top = end;
                address
            }
        };
        self.used.insert(address, order);
        Some(address)
    }
}

/// The order of the smallest block of at least `size` bytes.
fn order_of(size: u32) -> Option<u32> {
    let order = size.max(1).checked_next_power_of_two()?.trailing_zeros().max(MIN_ORDER);
    (order <= MAX_ORDER).then_some(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_powers_of_two() {
        assert_eq!([0, 1, 8, 9, 1 << 25].map(order_of), [Some(3), Some(3), Some(3), Some(4), Some(25)]);
        assert_eq!([(1 << 25) + 1, u32::MAX].map(order_of), [None, None]);
    }
}
