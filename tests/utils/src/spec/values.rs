//! Values of the suite's scripts as machine words, and back.
//!
//! An i32 is passed sign-extended and compared by its low half; floats are their bits; a null reference is 0 and the
//! external reference `n` is `n + 1`, which is never null.

use wast::core::{NanPattern, WastArgCore, WastRetCore};
use wast::{WastArg, WastRet};

/// The machine word of an argument.
pub fn word(arg: &WastArg<'_>) -> Result<u64, String> {
    let WastArg::Core(arg) = arg else { return Err(format!("an argument that isn't core wasm: {arg:?}")) };
    Ok(match arg {
        WastArgCore::I32(value) => i64::from(*value) as u64,
        WastArgCore::I64(value) => *value as u64,
        WastArgCore::F32(value) => i64::from(value.bits as i32) as u64,
        WastArgCore::F64(value) => value.bits,
        WastArgCore::RefNull(_) => 0,
        WastArgCore::RefExtern(n) | WastArgCore::RefHost(n) => u64::from(*n) + 1,
        WastArgCore::V128(_) => return Err("a vector argument".to_owned()),
    })
}

/// Whether a machine word is the one the script expects.
pub fn matches(word: u64, expected: &WastRet<'_>) -> bool {
    match expected {
        WastRet::Core(expected) => matches_core(word, expected),
        _ => false,
    }
}

fn matches_core(word: u64, expected: &WastRetCore<'_>) -> bool {
    match expected {
        WastRetCore::I32(value) => word as i64 == i64::from(*value),
        WastRetCore::I64(value) => word == *value as u64,
        WastRetCore::F32(pattern) => {
            let (bits, quiet) = (word as u32, 1 << 22);
            match pattern {
                NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
                NanPattern::ArithmeticNan => bits & 0x7f80_0000 == 0x7f80_0000 && bits & quiet != 0,
                NanPattern::Value(value) => bits == value.bits,
            }
        }
        WastRetCore::F64(pattern) => match pattern {
            NanPattern::CanonicalNan => word & (u64::MAX >> 1) == 0x7ff8_0000_0000_0000,
            NanPattern::ArithmeticNan => word >> 51 & 0xfff == 0xfff,
            NanPattern::Value(value) => word == value.bits,
        },
        WastRetCore::RefNull(_) => word == 0,
        WastRetCore::RefExtern(Some(n)) => word == u64::from(*n) + 1,
        WastRetCore::RefExtern(None) | WastRetCore::RefFunc(_) => word != 0,
        WastRetCore::Either(any) => any.iter().any(|expected| matches_core(word, expected)),
        _ => false,
    }
}

/// Bytes that the value of an expected result takes in memory.
pub fn size(expected: &WastRet<'_>) -> u32 {
    match expected {
        WastRet::Core(WastRetCore::I32(_) | WastRetCore::F32(_)) => 4,
        _ => 8,
    }
}
