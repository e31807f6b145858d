//! Random instructions for tests, here and in other crates (feature `testing`).
//!
//! Instructions are generated from the bit patterns of the table. So every operand of a form is covered, and a new row
//! is tested without further work. The generator is deterministic: the same seed gives the same values everywhere.

use crate::decode::decode_as;
use crate::form::Form;
use crate::inst::Inst;
use crate::operand::Cond;

/// A small random number generator (SplitMix64).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator whose sequence is determined by the seed.
    pub const fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `n` (≥ 1).
    pub const fn below(&mut self, n: u32) -> u32 {
        ((self.bits() >> 16) % n as u64) as u32
    }

    /// A value for a field of `bits` bits; all zeros, all ones and values one bit away from them are likely.
    pub const fn field(&mut self, bits: u32) -> u32 {
        let max = (1u64 << bits) as u32;
        match self.below(8) {
            0 => 0,
            1 => max.wrapping_sub(1),
            2 => 1 << self.below(bits),
            3 => max.wrapping_sub(1) ^ 1 << self.below(bits),
            _ => self.bits() as u32 & max.wrapping_sub(1),
        }
    }

    /// A condition.
    pub const fn cond(&mut self) -> Cond {
        Cond::ALL[self.below(14) as usize]
    }
}

impl Inst {
    /// A random instruction that this form encodes; `None` if there is none under `it`.
    pub fn arbitrary(form: Form, it: Option<Cond>, rng: &mut Rng) -> Option<Inst> {
        const ATTEMPTS: usize = 2000;
        (0..ATTEMPTS).find_map(|_| decode_as(form, form.pattern().fill(|bits| rng.field(bits)), it))
    }
}
