//! Values of the suite's scripts as machine words, and back.
//!
//! A vector is two words, the low half first; any other value is one. An i32 is passed sign-extended and compared by its low half; floats are their bits; a null reference is 0 and the
//! external reference `n` is `n + 1`, which is never null.

use wast::core::{NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::token::{F32, F64};
use wast::{WastArg, WastRet};

/// The machine words of an argument.
pub fn words(arg: &WastArg<'_>) -> Result<Vec<u64>, String> {
    let WastArg::Core(arg) = arg else { return Err(format!("an argument that isn't core wasm: {arg:?}")) };
    Ok(vec![match arg {
        WastArgCore::I32(value) => i64::from(*value) as u64,
        WastArgCore::I64(value) => *value as u64,
        WastArgCore::F32(value) => i64::from(value.bits as i32) as u64,
        WastArgCore::F64(value) => value.bits,
        WastArgCore::RefNull(_) => 0,
        WastArgCore::RefExtern(n) | WastArgCore::RefHost(n) => u64::from(*n) + 1,
        WastArgCore::V128(value) => {
            let bits = u128::from_le_bytes(value.to_le_bytes());
            return Ok(vec![bits as u64, (bits >> 64) as u64]);
        }
    }])
}

/// Whether machine words are those that the script expects.
pub fn matches(words: &[u64], expected: &WastRet<'_>) -> bool {
    match expected {
        WastRet::Core(expected) => matches_core(words, expected),
        _ => false,
    }
}

fn matches_core(words: &[u64], expected: &WastRetCore<'_>) -> bool {
    let word = words[0];
    match expected {
        WastRetCore::I32(value) => word as i64 == i64::from(*value),
        WastRetCore::I64(value) => word == *value as u64,
        WastRetCore::F32(pattern) => matches_f32(word as u32, pattern),
        WastRetCore::F64(pattern) => matches_f64(word, pattern),
        WastRetCore::V128(pattern) => words.len() == 2 && matches_vector([word, words[1]], pattern),
        WastRetCore::RefNull(_) => word == 0,
        WastRetCore::RefExtern(Some(n)) => word == u64::from(*n) + 1,
        WastRetCore::RefExtern(None) | WastRetCore::RefFunc(_) => word != 0,
        WastRetCore::Either(any) => any.iter().any(|expected| matches_core(words, expected)),
        _ => false,
    }
}

fn matches_f32(bits: u32, pattern: &NanPattern<F32>) -> bool {
    let quiet = 1 << 22;
    match pattern {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => bits & 0x7f80_0000 == 0x7f80_0000 && bits & quiet != 0,
        NanPattern::Value(value) => bits == value.bits,
    }
}

fn matches_f64(word: u64, pattern: &NanPattern<F64>) -> bool {
    match pattern {
        NanPattern::CanonicalNan => word & (u64::MAX >> 1) == 0x7ff8_0000_0000_0000,
        NanPattern::ArithmeticNan => word >> 51 & 0xfff == 0xfff,
        NanPattern::Value(value) => word == value.bits,
    }
}

/// Whether the lanes of a vector, given as two words, are the expected ones.
fn matches_vector(words: [u64; 2], pattern: &V128Pattern) -> bool {
    let half = |n: usize| (words[n / 2] >> (32 * (n % 2))) as u32;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let is = |expected: Vec<u8>| bytes == expected;
    match pattern {
        V128Pattern::I8x16(lanes) => is(lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect()),
        V128Pattern::I16x8(lanes) => is(lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect()),
        V128Pattern::I32x4(lanes) => is(lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect()),
        V128Pattern::I64x2(lanes) => is(lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect()),
        V128Pattern::F32x4(lanes) => lanes.iter().enumerate().all(|(n, lane)| matches_f32(half(n), lane)),
        V128Pattern::F64x2(lanes) => lanes.iter().zip(words).all(|(lane, word)| matches_f64(word, lane)),
    }
}

/// Machine words of an expected result.
pub fn count(expected: &WastRet<'_>) -> usize {
    match expected {
        WastRet::Core(WastRetCore::V128(_)) => 2,
        WastRet::Core(WastRetCore::Either(any)) if matches!(any.first(), Some(WastRetCore::V128(_))) => 2,
        _ => 1,
    }
}

/// Bytes that the value of an expected result takes in memory.
pub fn size(expected: &WastRet<'_>) -> u32 {
    match expected {
        WastRet::Core(WastRetCore::I32(_) | WastRetCore::F32(_)) => 4,
        _ => 8,
    }
}
