//! Ranges of the constants in instructions.

use thumb_isa::value::modified_from_u32;

/// Whether a constant is a "modified constant": a byte at any position, or a repeated byte.
pub fn is_modified(value: u32) -> bool {
    modified_from_u32(value).is_some()
}

/// Whether `cmp` or `cmn` can compare with a constant.
pub fn fits_compare(value: u32) -> bool {
    is_modified(value) || is_modified(value.wrapping_neg())
}

/// Whether `add` or `sub` can add a constant.
pub fn fits_add(value: u32) -> bool {
    fits_compare(value) || value < 4096 || value.wrapping_neg() < 4096
}

/// Whether one move can load a constant.
pub fn fits_move(value: u32) -> bool {
    is_modified(value) || is_modified(!value) || value <= 0xffff
}

/// Whether `adc` or `sbc` can add a constant and the carry.
pub fn fits_carry(value: u32) -> bool {
    is_modified(value) || is_modified(!value)
}

/// Whether a move in an IT block can load a constant; not `movw`, which is always wide there, too.
pub fn fits_select(value: u32) -> bool {
    fits_move(value)
}
