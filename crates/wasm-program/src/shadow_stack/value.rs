//! Values as the recognition of the shadow stack sees them.
//!
//! A value is a constant, a [`Place`] at a constant distance from the stack pointer the function was entered with, a
//! parameter, or unknown. An unknown value has [`Traits`]: the kinds of values it may be computed from.

use std::ops::{BitAnd, BitOr, BitOrAssign};

/// An address relative to an origin. Origin 0 is the stack pointer the function was entered with; each alignment
/// of a place is an origin of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    pub origin: u32,
    pub offset: i32,
    /// It is the entry value itself or that value aligned down: it has not been lowered by a frame.
    pub is_entry: bool,
}

/// The stack pointer at entry.
pub const ENTRY: Place = Place { origin: 0, offset: 0, is_entry: true };

impl Place {
    /// Whether both are the same address, however they were made.
    pub fn equals(self, other: Self) -> bool {
        (self.origin, self.offset) == (other.origin, other.offset)
    }
}

/// The kinds of values that a value may be computed from. The empty set is null and the addresses of empty slices.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Traits(u16);

impl Traits {
    pub const NONE: Self = Self(0);
    /// Something that may be an address: it was loaded, came from outside, or is a constant outside of the region.
    pub const ADDRESS: Self = Self(1);
    /// A number that was computed.
    pub const NUMBER: Self = Self(2);
    /// An address of the stack region made of constants and numbers.
    pub const REGION: Self = Self(4);
    /// The address of a stack object of this function.
    pub const OBJECT: Self = Self(8);
    /// The address of a stack object of some function.
    pub const FOREIGN: Self = Self(16);
    /// A constant that may be a bound of the stack.
    pub const BOUND: Self = Self(32);
    /// The constant that is the end of the stack.
    pub const TOP: Self = Self(64);
    /// The stack pointer a function was entered with.
    pub const ENTRY: Self = Self(128);
    /// A constant address of the stack region.
    pub const CONSTANT: Self = Self(256);
    /// From elsewhere, where only null and the addresses of empty slices are: nothing is accessed there.
    pub const EMPTY: Self = Self(512);

    /// A character went into the number.
    pub const CHARACTER: Self = Self(1024);

    /// Whether some of `other` is in it.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Without `other`.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the value may be an address that is not made of numbers alone.
    pub fn is_address(self) -> bool {
        self.has(Self::ADDRESS | Self::OBJECT | Self::FOREIGN | Self::ENTRY | Self::EMPTY)
    }

    /// Of an address from which something is computed: it is no bound any more.
    pub fn computed(self) -> Self {
        self.without(Self::BOUND | Self::TOP | Self::CONSTANT)
    }

    /// Of an address below it: below the end of the stack is the stack.
    pub fn below(self) -> Self {
        if self.has(Self::TOP) { Self::REGION | Self::CONSTANT } else { Self::NONE }
    }

    /// Of a value from elsewhere: [`EMPTY`](Self::EMPTY) if nothing else is known.
    pub fn elsewhere(self) -> Self {
        if self == Self::NONE { Self::EMPTY } else { self }
    }

    /// Of a number that is computed from it.
    pub fn number(self) -> Self {
        Self::NUMBER | self & Self::CHARACTER
    }

    /// As another function sees it.
    pub fn outside(self) -> Self {
        let foreign = if self.has(Self::OBJECT) { Self::FOREIGN } else { Self::NONE };
        self.without(Self::OBJECT | Self::BOUND | Self::EMPTY) | foreign
    }

    /// As seen by functions of which only the type is known: a number for one is an address for another.
    pub fn by_type(self) -> Self {
        let address = if self.has(Self::OBJECT | Self::FOREIGN) { Self::ADDRESS } else { Self::NONE };
        self & (Self::ADDRESS | Self::NUMBER | Self::CHARACTER | Self::ENTRY) | address
    }
}

impl BitOr for Traits {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Traits {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOrAssign for Traits {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// A value, as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    Constant(i32),
    Place(Place),
    /// The parameter with this number, as the function was called with it.
    Param(u32),
    /// That parameter plus numbers: where it is an address, one in the same object.
    Derived(u32, Traits),
    Unknown(Traits),
}

impl Known {
    /// An ordinary value of which nothing is known.
    pub const ORDINARY: Self = Self::Unknown(Traits::ADDRESS);
    /// A number that is no address.
    pub const NUMBER: Self = Self::Unknown(Traits::NUMBER);
    /// The result of a comparison.
    pub const TRUTH: Self = Self::Unknown(Traits::EMPTY);

    /// The parameter that it differs from by numbers only.
    pub fn base(self) -> Option<u32> {
        match self {
            Self::Param(param) | Self::Derived(param, _) => Some(param),
            _ => None,
        }
    }

    /// A value with these traits that differs from a parameter by numbers, if there is one.
    pub fn derived(base: Option<u32>, traits: Traits) -> Self {
        base.map_or(Self::Unknown(traits), |param| Self::Derived(param, traits))
    }

    /// Whether two values differ by the same number wherever their object is.
    pub fn shares_base(self, other: Self) -> bool {
        self.base().is_some() && self.base() == other.base()
    }
}

/// The part of linear memory that is the shadow stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// Its lowest address.
    pub floor: u32,
    /// The initial value of the stack pointer.
    pub top: u32,
    /// Whether numbers are addresses of linear memory: not in native memory, where they are the machine's.
    pub is_addressed: bool,
}

/// Constants below this are too common as numbers to be taken for bounds of the stack.
pub const LEAST_BOUND: u32 = 1024;
/// Tables for characters begin at one of these.
const CHARACTERS: u32 = 128;
/// Addresses of empty slices are alignments up to this.
const LARGEST_ALIGN: u32 = 128;

impl Region {
    /// Whether an address is in it.
    pub fn contains(self, address: u32) -> bool {
        self.is_addressed && (self.floor..self.top).contains(&address)
    }

    /// Whether a table of elements of `bytes` bytes for characters may begin above it whose address for character 0 is
    /// this one.
    pub fn precedes_table(self, address: u32, bytes: u32) -> bool {
        address.saturating_add(bytes * CHARACTERS) >= self.top
    }

    /// Its size in bytes.
    pub fn size(self) -> u32 {
        self.top - self.floor
    }

    /// Whether bytes from `address` on are in it.
    pub fn overlaps(self, address: u32, bytes: u32) -> bool {
        let end = u64::from(address) + u64::from(bytes);
        let is_in = address < self.top && end > u64::from(self.floor);
        self.is_addressed && bytes > 0 && is_in
    }

    /// The traits of a constant.
    pub fn constant(self, value: i32) -> Traits {
        let address = value as u32;
        if address == 0 || value < 0 {
            return Traits::NONE;
        }
        let mut traits = Traits::NONE;
        if (self.floor..=self.top).contains(&address) && address >= LEAST_BOUND {
            traits |= Traits::BOUND;
        }
        if address == self.top {
            traits |= Traits::TOP;
        }
        if !self.contains(address) {
            traits | Traits::ADDRESS
        } else if is_alignment(address) {
            traits
        } else {
            traits | Traits::REGION | Traits::CONSTANT
        }
    }
}

/// Whether a constant may be the address of an empty slice.
pub fn is_alignment(address: u32) -> bool {
    address.is_power_of_two() && address <= LARGEST_ALIGN
}
