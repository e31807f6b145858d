//! Loads and stores of vectors and of their lanes.
//!
//! An access is checked as a whole, then made word by word. A store begins with the highest word: where the machine finds
//! accesses outside of memory, one that crosses the end of memory traps before it has written anything.

use inkwell::values::IntValue;
use wasm_program::vectors::{self, BYTES};
use wasmparser::{MemArg, Operator};

use super::super::Translator;
use super::super::memory::Access;
use super::widen::Half;
use super::words::int;

/// Translates an operator of this family; returns false if it belongs to another.
pub fn translate(t: &mut Translator<'_, '_, '_>, op: &Operator<'_>) -> bool {
    use Operator as Op;
    let Some((memarg, bytes)) = vectors::memory_access(op) else { return false };
    match *op {
        Op::V128Load { .. } => {
            let bits = t.plan.load(t.offset);
            let words = t.load_words(memarg, bits / 8, BYTES);
            t.push_vector(words);
        }
        Op::V128Store { .. } => {
            let vector = t.pop_vector();
            t.store_words(memarg, &vector.words);
        }
        Op::V128Load8x8S { .. } => t.load_extended(memarg, 8, true),
        Op::V128Load8x8U { .. } => t.load_extended(memarg, 8, false),
        Op::V128Load16x4S { .. } => t.load_extended(memarg, 16, true),
        Op::V128Load16x4U { .. } => t.load_extended(memarg, 16, false),
        Op::V128Load32x2S { .. } => t.load_extended(memarg, 32, true),
        Op::V128Load32x2U { .. } => t.load_extended(memarg, 32, false),
        Op::V128Load8Splat { .. }
        | Op::V128Load16Splat { .. }
        | Op::V128Load32Splat { .. }
        | Op::V128Load64Splat { .. } => {
            let value = t.load_words(memarg, bytes, bytes)[0];
            t.splat(bytes * 8, value);
        }
        Op::V128Load32Zero { .. } | Op::V128Load64Zero { .. } => {
            let value = t.load_words(memarg, bytes, bytes)[0];
            let zero = value.get_type().const_zero();
            let mut lanes = vec![zero; (BYTES / bytes) as usize];
            lanes[0] = value;
            t.push_lanes(&lanes);
        }
        Op::V128Load8Lane { lane, .. }
        | Op::V128Load16Lane { lane, .. }
        | Op::V128Load32Lane { lane, .. }
        | Op::V128Load64Lane { lane, .. } => {
            let vector = t.pop_vector();
            let value = t.load_words(memarg, bytes, bytes)[0];
            let words = t.with_lane(&vector, bytes * 8, lane.into(), value);
            t.push_vector(words);
        }
        Op::V128Store8Lane { lane, .. }
        | Op::V128Store16Lane { lane, .. }
        | Op::V128Store32Lane { lane, .. }
        | Op::V128Store64Lane { lane, .. } => {
            let vector = t.pop_vector();
            let value = t.lane(&vector, bytes * 8, lane.into());
            t.store_words(memarg, &[value]);
        }
        _ => return false,
    }
    true
}

impl<'ctx> Translator<'_, 'ctx, '_> {
    /// Pops an address and loads `bytes` bytes as words of `size` bytes.
    fn load_words(&mut self, memarg: MemArg, size: u32, bytes: u32) -> Vec<IntValue<'ctx>> {
        let ty = int(self.ir(), size * 8).into();
        let words = self.destinations(memarg, size, bytes, Access::Load).into_iter();
        words.map(|to| self.load_from(to, ty).into_int_value()).collect()
    }

    /// Pops an address and stores words of one width.
    fn store_words(&mut self, memarg: MemArg, words: &[IntValue<'ctx>]) {
        let size = words[0].get_type().get_bit_width() / 8;
        let to = self.destinations(memarg, size, size * words.len() as u32, Access::Store);
        for (to, &word) in to.into_iter().zip(words).rev() {
            self.store_to(to, word.into());
        }
    }

    /// Loads eight bytes and extends their lanes to twice their width.
    fn load_extended(&mut self, memarg: MemArg, bits: u32, is_signed: bool) {
        let mut words = self.load_words(memarg, self.plan.bits / 8, 8);
        let zero = words[0].get_type().const_zero();
        words.resize(words.len() * 2, zero);
        self.push_vector(words);
        self.extend(bits, Half::Low, is_signed);
    }
}
