//! Random instructions for tests, and checks of arbitrary bytes, here and in other crates (feature `testing`).
//!
//! Instructions are generated from the bit patterns of the table. So every operand of a form is covered, and a new row
//! is tested without further work. The generator is deterministic: the same seed gives the same values everywhere.

use crate::decode::{Instructions, decode, decode_as};
use crate::form::Form;
use crate::inst::Inst;
use crate::operand::Cond;

pub use random::Rng;

/// A random value for a field of `bits` bits; all zeros, all ones and values one bit away from them are likely.
fn field(rng: &mut Rng, bits: u32) -> u32 {
    let max = (1u64 << bits) as u32;
    match rng.below(8) {
        0 => 0,
        1 => max.wrapping_sub(1),
        2 => 1 << rng.below(bits as usize),
        3 => max.wrapping_sub(1) ^ 1 << rng.below(bits as usize),
        _ => rng.bits() as u32 & max.wrapping_sub(1),
    }
}

/// A random condition.
pub fn cond(rng: &mut Rng) -> Cond {
    Cond::ALL[rng.below(14)]
}

impl Inst {
    /// A random instruction that this form encodes; `None` if there is none under `it`.
    pub fn arbitrary(form: Form, it: Option<Cond>, rng: &mut Rng) -> Option<Inst> {
        const ATTEMPTS: usize = 2000;
        (0..ATTEMPTS).find_map(|_| decode_as(form, form.pattern().fill(|bits| field(rng, bits)), it))
    }
}

/// Decodes arbitrary bytes as code, prints it, and encodes it again.
///
/// # Panics
/// If the bytes differ, or an instruction decodes to another than the one that was encoded.
pub fn exercise(code: &[u8]) {
    let mut again = Vec::new();
    for (at, decoded) in Instructions::new(code) {
        assert_eq!(at, again.len(), "instructions follow each other");
        match decoded {
            Ok(decoded) => {
                decoded.inst.encode(decoded.form, decoded.it, &mut again);
                assert!(!decoded.inst.asm(decoded.form, decoded.it).to_string().is_empty());
                let found = decode(&again[at..], decoded.it).map(|found| (found.inst, found.it));
                assert_eq!(found, Some((decoded.inst, decoded.it)));
            }
            Err(bytes) => again.extend_from_slice(bytes),
        }
    }
    assert_eq!(again, code, "instructions encode back to the bytes they were read from");
}
