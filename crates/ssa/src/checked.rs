//! Checks of accesses to linear memory that the target makes.
//!
//! Where a machine's memory map catches accesses outside of linear memory, frontends write a call of an intrinsic instead
//! of a comparison and a branch. It means: trap unless the access is in bounds. A pass of the target replaces it.
//!
//! A trap ends the program, and nobody sees memory after that. So an access may come before its check or be removed, and a
//! trap may be moved across accesses, but not across calls.

/// The access that a check is for. Calls of the intrinsic [`SYMBOL`](Self::SYMBOL) have an address and
/// [`to_bits`](Self::to_bits) as arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckedAccess {
    /// The constant that is added to the address without wrapping, below [`OFFSETS`](Self::OFFSETS).
    pub offset: u32,
    /// Bytes of the access, below 32.
    pub width: u32,
    /// Whether it may also be to the argument bytes of an entry ([`crate::Module::host_arguments`]).
    pub reads_arguments: bool,
}

impl CheckedAccess {
    /// The intrinsic: `(i32, i32) -> ()`.
    pub const SYMBOL: &str = "__pvm_check";
    /// The number of possible offsets.
    pub const OFFSETS: u32 = 1 << 25;

    /// The access as a number.
    pub const fn to_bits(self) -> u32 {
        self.offset << 6 | self.width << 1 | self.reads_arguments as u32
    }

    /// The access of a number.
    pub const fn from_bits(bits: u32) -> Self {
        Self { offset: bits >> 6, width: bits >> 1 & 31, reads_arguments: bits & 1 != 0 }
    }

    /// Bytes from the address to the end of the access.
    pub const fn span(self) -> u32 {
        self.offset + self.width
    }
}
