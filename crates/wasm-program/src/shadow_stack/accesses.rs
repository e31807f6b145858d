//! How one function uses the shadow stack: accesses to memory.
//!
//! Memory below the stack pointer belongs to the next call. Between two calls compilers use it all the same, for objects
//! of functions that they then inline into others, and whose frame is given up early. A place there keeps what was stored
//! since the last call, and what was above the pointer at that call; anything else that a function with calls does with it
//! is noted. On a path that never stores there, an object is copied that isn't written, such as the payload of an empty
//! option, and what is copied doesn't matter.

use std::collections::BTreeSet;

use wasmparser::Operator;

use super::frame::{Analysis, State, Stored};
use super::operators::Access;
use super::steps::{LEAST_STATIC, is_inside};
use super::value::{Known, Place, Traits, is_alignment};
use crate::module_info::MAIN_MEMORY;

const REGION_IS_USED: &str = "the stack region is accessed by a constant address";
const ABOVE_ENTRY: &str = "memory above the entry stack pointer is accessed";

/// Places that are noted at a time.
const MAX_STORED: usize = 1 << 12;

/// The direction of an access.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// The bytes are only written.
    Store,
    /// The bytes are read, or it isn't known.
    Load,
}

/// Where a place that is stored to starts and ends, from its origin.
fn range((_, offset, bytes): Stored) -> (i64, i64) {
    (i64::from(offset), i64::from(offset) + i64::from(bytes))
}

/// Whether `a` contains `b`.
fn covers(a: Stored, b: Stored) -> bool {
    a.0 == b.0 && range(a).0 <= range(b).0 && range(b).1 <= range(a).1
}

/// Whether two places may have bytes in common. The distance of two origins isn't known.
fn overlaps(a: Stored, b: Stored) -> bool {
    a.0 != b.0 || range(a).0 < range(b).1 && range(b).0 < range(a).1
}

impl Analysis<'_> {
    /// Checks an access of an operator whose operand is `address`.
    pub(super) fn access(&mut self, address: Known, access: Access, direction: Direction) {
        let Access { offset, bytes, .. } = access;
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
                self.access_unknown(traits, access);
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
        let is_unprotected = self.is_unprotected(place);
        if is_unprotected {
            self.has_changed |= !self.notes_stores;
            self.notes_stores = true;
            self.lowest_unprotected = self.lowest_unprotected.min(self.bound(place));
        }
        match direction {
            Direction::Store if self.notes_stores => self.note_store((place.origin, place.offset, bytes)),
            Direction::Load if is_unprotected => self.is_stale |= !self.is_kept(place, bytes),
            Direction::Store | Direction::Load => {}
        }
    }

    /// Whether a place is below the stack pointer, where calls may change it.
    pub(super) fn is_unprotected(&self, place: Place) -> bool {
        let pointer = self.state.as_ref().and_then(|state| state.pointer);
        pointer.is_some_and(|pointer| !is_inside(place, pointer) && self.bound(place) < self.bound(pointer))
    }

    /// What is stored is there until a call.
    fn note_store(&mut self, stored: Stored) {
        let State { fresh, lost, .. } = self.state();
        fresh.insert(stored);
        lost.retain(|other| !covers(stored, *other));
        let is_large = fresh.len() + lost.len() > MAX_STORED;
        self.is_stale |= is_large;
    }

    /// Whether the bytes at a place below the stack pointer are what the function stored, whatever calls have done.
    fn is_kept(&mut self, place: Place, bytes: u32) -> bool {
        let State { fresh, lost, intact, .. } = self.state();
        let loaded = (place.origin, place.offset, bytes);
        intact.is_some_and(|lowest| is_inside(place, lowest))
            || fresh.iter().any(|stored| covers(*stored, loaded))
                && !lost.iter().any(|stored| overlaps(*stored, loaded))
    }

    /// A call changes what is below the stack pointer.
    pub(super) fn lose_stores(&mut self) {
        let state = self.state();
        let pointer = state.pointer;
        let is_safe = |&(origin, offset, _): &Stored| {
            let place = Place { origin, offset, is_entry: false };
            pointer.is_some_and(|pointer| is_inside(place, pointer))
        };
        let fresh = std::mem::take(&mut state.fresh);
        let (safe, lost): (BTreeSet<Stored>, BTreeSet<Stored>) = fresh.into_iter().partition(is_safe);
        state.fresh = safe;
        state.lost.extend(lost);
        state.intact = pointer;
    }

    /// Checks an access at an offset from a value that is not known.
    fn access_unknown(&mut self, traits: Traits, Access { offset, bytes, align }: Access) {
        let region = self.subject.region;
        let is_aligned = region.is_compiled && offset.is_multiple_of(align);
        let constants = if is_aligned { Traits::aligned_constants(align) } else { Traits::CONSTANT };
        let is_table = traits.has(Traits::CHARACTER) && region.precedes_table(offset, bytes);
        let is_static = offset >= region.top || (LEAST_STATIC..region.floor).contains(&offset) || is_table;
        let is_number = traits.has(Traits::NUMBER) && region.contains(offset) || traits.has(Traits::REGION);
        let is_bad = traits.has(constants) || !traits.is_address() && is_number;
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
                self.access_unknown(traits, Access { offset: 0, bytes: 1, align: 1 });
            }
        }
    }
}
