//! Vectors, as operations on words.
//!
//! No later stage has vectors. A vector is two words of 64 bits or four of 32 ([`words`]), and each operator becomes code
//! on words:
//! - Lanes of 8 and 16 bits are computed side by side in a word, with masks that stop carries ([`packed`]).
//! - Lanes of 32 and 64 bits, and all floats, are computed one by one, as the scalar operators are ([`by_lane`],
//!   [`floats`]).
//! - Shuffles are shifts and masks of words ([`permute`]).
//!
//! The names of operators consist of the lanes and the operation, so a family is a match of operations. Relaxed
//! operators are those of fixed-width SIMD where one of these is among their allowed meanings.

mod bits;
mod by_lane;
mod floats;
mod integers;
mod memory;
mod packed;
mod permute;
mod plan;
mod widen;
mod words;

use ssa::TrapCode;
use wasm_program::options::Floats;
use wasm_program::{floats as float_operators, vectors};
use wasmparser::Operator;

use super::Translator;
pub use plan::Plan;
pub use words::settled;

/// Translates an operator of this family; returns false if it belongs to another.
pub fn translate(t: &mut Translator<'_, '_, '_>, op: &Operator<'_>) -> bool {
    let Some((lanes, operation)) = vectors::parts(op) else { return false };
    let executes_floats = matches!(t.program().options.floats, Floats::Soft | Floats::Native);
    if float_operators::computes(op) && !executes_floats {
        t.trap_always(TrapCode::Float);
        return true;
    }
    memory::translate(t, op)
        || permute::translate(t, op, lanes, operation)
        || bits::translate(t, operation)
        || widen::translate(t, lanes, operation)
        || floats::translate(t, lanes, operation)
        || integers::translate(t, lanes, operation)
}
