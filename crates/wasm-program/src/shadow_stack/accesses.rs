//! How one function uses the shadow stack: accesses to memory.
//!
//! Memory below the stack pointer belongs to the next call. Between two calls compilers use it all the same, for objects
//! of functions that they then inline into others, and whose frame is given up early. A place there keeps what was stored
//! since the last call, and what was above the pointer at that call; anything else that a function with calls does with it
//! is noted.

use wasmparser::Operator;

use super::frame::{Analysis, State};
use super::steps::{LEAST_STATIC, is_inside};
use super::value::{Known, Place, Traits, is_alignment};
use crate::module_info::MAIN_MEMORY;

const REGION_IS_USED: &str = "the stack region is accessed by a constant address";
const ABOVE_ENTRY: &str = "memory above the entry stack pointer is accessed";

/// The direction of an access.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// The bytes are only written.
    Store,
    /// The bytes are read, or it isn't known.
    Load,
}

impl Analysis<'_> {
    /// Checks an access of `bytes` bytes at `address + offset`.
    pub(super) fn access(&mut self, address: Known, offset: u32, bytes: u32, direction: Direction) {
        let region = self.subject.region;
        if let (Known::Param(param), true) = (address, self.is_certain) {
            self.effects.accessed.insert(param);
        }
        match address {
            Known::Place(_) => {
                let place = self.place_at(address, offset).expect("it is a place");
                self.access_place(place, bytes, direction);
            }
            Known::Constant(address) => {
                if region.overlaps((address as u32).wrapping_add(offset), bytes) {
                    self.suspect(REGION_IS_USED);
                }
            }
            Known::Param(_) | Known::Derived(..) | Known::Unknown(_) => {
                let traits = self.plain(address);
                self.access_unknown(traits, offset, bytes);
            }
        }
    }

    fn access_place(&mut self, place: Place, bytes: u32, direction: Direction) {
        self.reach(place);
        let is_above = self.bound(place) + i64::from(bytes) > 0;
        if is_above {
            match place.origin {
                0 => self.refuse(ABOVE_ENTRY),
                _ => self.suspect(ABOVE_ENTRY),
            }
        }
        if self.is_unprotected(place) {
            self.lowest_unprotected = self.lowest_unprotected.min(self.bound(place));
            self.below_pointer(place, bytes, direction);
        }
    }

    /// Whether a place is below the stack pointer, where calls may change it.
    pub(super) fn is_unprotected(&self, place: Place) -> bool {
        let pointer = self.state.as_ref().and_then(|state| state.pointer);
        pointer.is_some_and(|pointer| !is_inside(place, pointer) && self.bound(place) < self.bound(pointer))
    }

    /// An access below the stack pointer.
    fn below_pointer(&mut self, place: Place, bytes: u32, direction: Direction) {
        let start = i64::from(place.offset);
        let State { fresh, intact, .. } = self.state();
        if intact.is_some_and(|lowest| is_inside(place, lowest)) {
            return;
        }
        match direction {
            Direction::Store => drop(fresh.insert((place.origin, place.offset, bytes))),
            Direction::Load => {
                let holds = |&(origin, offset, stored): &(u32, i32, u32)| {
                    let offset = i64::from(offset);
                    origin == place.origin
                        && offset <= start
                        && start + i64::from(bytes) <= offset + i64::from(stored)
                };
                let is_fresh = fresh.iter().any(holds);
                self.is_stale |= !is_fresh;
            }
        }
    }

    /// Checks an access at an offset from a value that is not known.
    fn access_unknown(&mut self, traits: Traits, offset: u32, bytes: u32) {
        let region = self.subject.region;
        let is_table = traits.has(Traits::CHARACTER) && region.precedes_table(offset, bytes);
        let is_static = offset >= region.top || (LEAST_STATIC..region.floor).contains(&offset) || is_table;
        let is_number = traits.has(Traits::NUMBER) && region.contains(offset) || traits.has(Traits::REGION);
        let is_bad = traits.has(Traits::CONSTANT) || !traits.is_address() && is_number;
        if !is_static && is_bad {
            self.suspect("the stack region is accessed by an address made of constants and numbers");
        }
    }

    pub(super) fn bulk(&mut self, op: &Operator<'_>) {
        let (len, second, to) = (self.pop(), self.pop(), self.pop());
        self.plain(len);
        let (into, from) = match *op {
            Operator::MemoryCopy { dst_mem, src_mem } => (dst_mem, Some(src_mem)),
            Operator::MemoryFill { mem } | Operator::MemoryInit { mem, .. } => (mem, None),
            _ => unreachable!("a bulk operator"),
        };
        self.range_of(into, to, len);
        match from {
            Some(from) => self.range_of(from, second, len),
            None => drop(self.plain(second)),
        }
    }

    /// Checks an access to `len` bytes at `address` of a memory.
    fn range_of(&mut self, memory: u32, address: Known, len: Known) {
        if memory == MAIN_MEMORY {
            self.check_range(address, len);
        } else {
            self.plain(address);
            self.check_elsewhere(address);
        }
    }

    /// Checks an access to `len` bytes at `address`.
    pub(super) fn check_range(&mut self, address: Known, len: Known) {
        let bytes = match len {
            Known::Constant(bytes) => Some(bytes as u32),
            _ => None,
        };
        match address {
            _ if bytes == Some(0) => {}
            Known::Place(place) if bytes.is_some_and(|bytes| bytes < 1 << 30) => {
                self.access_place(place, bytes.unwrap_or_default(), Direction::Load);
            }
            Known::Constant(address) => {
                let address = address as u32;
                let is_empty = bytes.is_none() && (address == 0 || is_alignment(address));
                if !is_empty && self.subject.region.overlaps(address, bytes.unwrap_or(1)) {
                    self.suspect(REGION_IS_USED);
                }
            }
            _ => {
                let traits = self.plain(address);
                self.access_unknown(traits, 0, 1);
            }
        }
    }
}
