//! Test cases for the specified behaviour of helpers.

use super::evaluator::Evaluator;
use super::{Division, Operation};

/// The place of the areas of the memory cases.
const AREA: u32 = 0x4000;
/// Bytes compared around the areas.
const AREA_BYTES: u32 = 0x300;
/// The place of 128-bit results.
const RESULT: u32 = 0x4100;
/// Lengths of the memory cases: every small one, and some that reach unrolled loops.
const LENGTHS: [u32; 24] =
    [0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 23, 31, 32, 33, 47, 63, 64, 65, 100, 127, 200];
/// Distances of the destination from the source, without overlap.
const APART: [i32; 6] = [0x200, 0x201, 0x207, -0x200, -0x203, -0x1ff];
/// Distances that overlap for most lengths.
const OVERLAPPING: [i32; 10] = [0, 1, 3, 4, 8, 17, -1, -5, -8, -32];
/// Halves of the operands of the arithmetic cases.
const HALVES: [u64; 10] = [
    0,
    1,
    2,
    10,
    0xffff_ffff,
    0x1_0000_0000,
    0x0123_4567_89ab_cdef,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// Whether the function with this index behaves as specified for the helper, in all cases.
pub fn confirm(evaluator: &mut Evaluator<'_>, function: u32, helper: Operation) -> bool {
    match helper {
        Operation::Memcpy => copies(evaluator, function, &APART),
        Operation::Memmove => {
            copies(evaluator, function, &OVERLAPPING) && copies(evaluator, function, &APART)
        }
        Operation::Memset => sets(evaluator, function),
        Operation::Memcmp => compares(evaluator, function),
        Operation::Multi3 => computes(evaluator, function, |a, b| Some(a.wrapping_mul(b))),
        Operation::Divide(division) => computes(evaluator, function, |a, b| divide(division, a, b)),
    }
}

/// Whether a division by zero traps.
pub fn traps_at_zero(evaluator: &mut Evaluator<'_>, function: u32) -> bool {
    HALVES.iter().all(|&low| {
        HALVES.iter().all(|&high| {
            evaluator.reset();
            evaluator.call(function, &[RESULT.into(), low, high, 0, 0]).is_none() && evaluator.has_fuel()
        })
    })
}

fn divide(division: Division, a: u128, b: u128) -> Option<u128> {
    match division {
        Division::UnsignedQuotient => a.checked_div(b),
        Division::UnsignedRemainder => a.checked_rem(b),
        Division::SignedQuotient => (a as i128).checked_div(b as i128).map(|q| q as u128),
        Division::SignedRemainder => (a as i128).checked_rem(b as i128).map(|r| r as u128),
    }
}

/// Bytes that differ from their neighbours.
fn pattern(seed: u32) -> Vec<u8> {
    (0..AREA_BYTES).map(|i| (i.wrapping_mul(167).wrapping_add(seed) >> 1) as u8 ^ (i >> 8) as u8).collect()
}

/// Whether the area holds `bytes` and nothing else was written.
fn left_behind(evaluator: &Evaluator<'_>, bytes: &[u8]) -> bool {
    evaluator.read(AREA, AREA_BYTES) == bytes && evaluator.untouched_except(AREA..AREA + AREA_BYTES)
}

fn copies(evaluator: &mut Evaluator<'_>, function: u32, distances: &[i32]) -> bool {
    // The longest copy that stays apart from its source, and within the area on both sides.
    let middle: u32 = if distances.iter().any(|d| d.unsigned_abs() >= 0x100) { 0x10 } else { 0x100 };
    LENGTHS.iter().all(|&length| {
        distances.iter().enumerate().all(|(n, &distance)| {
            let base = if distance < -0x100 { middle + 0x210 } else { middle };
            let from = (base + (n as u32 * 3) % 8).min(AREA_BYTES - length);
            let to = from.wrapping_add_signed(distance).min(AREA_BYTES - length);
            let mut bytes = pattern(length);
            evaluator.reset();
            evaluator.write(AREA, &bytes);
            let result = evaluator.call(function, &[(AREA + to).into(), (AREA + from).into(), length.into()]);
            bytes.copy_within(from as usize..(from + length) as usize, to as usize);
            result == Some(Some(u64::from(AREA + to))) && left_behind(evaluator, &bytes)
        })
    })
}

fn sets(evaluator: &mut Evaluator<'_>, function: u32) -> bool {
    LENGTHS.iter().all(|&length| {
        [(0u32, 0u32), (0x80, 1), (0x1ff, 3), (0x1234_5678, 6)].iter().all(|&(value, start)| {
            let start = 0x100 + start;
            let mut bytes = pattern(value);
            evaluator.reset();
            evaluator.write(AREA, &bytes);
            let result = evaluator.call(function, &[(AREA + start).into(), value.into(), length.into()]);
            bytes[start as usize..(start + length) as usize].fill(value as u8);
            result == Some(Some(u64::from(AREA + start))) && left_behind(evaluator, &bytes)
        })
    })
}

fn compares(evaluator: &mut Evaluator<'_>, function: u32) -> bool {
    let (a, b) = (0x11u32, 0x185u32);
    LENGTHS.iter().all(|&length| {
        // No difference, and differences at both ends and in the middle, in both directions.
        let places = [None, Some(0), Some(length / 2), Some(length.saturating_sub(1)), Some(length)];
        places.iter().all(|place| {
            [(0x10u8, 0xf0u8), (0xff, 0x01), (0x7f, 0x80)].iter().all(|&(left, right)| {
                let mut bytes = pattern(7);
                bytes.copy_within(a as usize..(a + length) as usize, b as usize);
                bytes[(a + length) as usize] = 1;
                bytes[(b + length) as usize] = 2;
                if let Some(place) = place {
                    bytes[(a + place) as usize] = left;
                    bytes[(b + place) as usize] = right;
                }
                let differs = place.is_some_and(|place| place < length);
                let expected = if differs { i32::from(left) - i32::from(right) } else { 0 };
                evaluator.reset();
                evaluator.write(AREA, &bytes);
                let result = evaluator.call(function, &[(AREA + a).into(), (AREA + b).into(), length.into()]);
                result == Some(Some(u64::from(expected as u32))) && left_behind(evaluator, &bytes)
            })
        })
    })
}

fn computes(
    evaluator: &mut Evaluator<'_>,
    function: u32,
    expected: impl Fn(u128, u128) -> Option<u128>,
) -> bool {
    let join = |low: u64, high: u64| u128::from(high) << 64 | u128::from(low);
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut cases = Vec::new();
    for (i, &low) in HALVES.iter().enumerate() {
        for (j, &high) in HALVES.iter().enumerate() {
            let other = join(HALVES[(i * 3 + j) % HALVES.len()], HALVES[(i + j * 7 + 1) % HALVES.len()]);
            cases.push((join(low, high), other));
            cases.push((join(low, high), join(HALVES[j], 0)));
            cases.push((join(low, high), join(next(), next()) >> (next() % 128)));
        }
    }
    let guard = [0x5au8; 48];
    cases.into_iter().all(|(a, b)| {
        let Some(expected) = expected(a, b) else { return true };
        evaluator.reset();
        evaluator.write(RESULT - 16, &guard);
        let halves = [a as u64, (a >> 64) as u64, b as u64, (b >> 64) as u64];
        let result = evaluator.call(function, &[RESULT.into(), halves[0], halves[1], halves[2], halves[3]]);
        let mut bytes = guard;
        bytes[16..32].copy_from_slice(&expected.to_le_bytes());
        result == Some(None)
            && evaluator.read(RESULT - 16, 48) == bytes
            && evaluator.untouched_except(RESULT - 16..RESULT + 32)
    })
}
