//! Vectors: shuffles against their definition, and vectors wherever values can be.

mod support;

use std::fmt::Write as _;

use llvm_frontend::{Bounds, ConstValue, OptLevel, Options, TargetDescription};
use random::Rng;
use ssa::TrapCode;
use ssa::interp::{Interpreter, Stop};
use support::{all_options, call, call_in, compile_text, options, with_global};

/// All options with the registers of both machines.
fn all_words() -> Vec<Options> {
    let narrow = |options: Options| Options {
        target: TargetDescription { vector_word: ssa::Type::I32, ..options.target },
        ..options
    };
    all_options().into_iter().flat_map(|options| [options.clone(), narrow(options)]).collect()
}

/// A number as the words that a vector is passed in.
fn words(options: &Options, vector: u128) -> Vec<u64> {
    let bits = options.target.vector_word.bits();
    (0..128).step_by(bits as usize).map(|at| (vector >> at) as u64 & (u64::MAX >> (64 - bits))).collect()
}

fn vector(options: &Options, words: &[u64]) -> u128 {
    let bits = options.target.vector_word.bits();
    let low = |word: u64| u128::from(word & (u64::MAX >> (64 - bits)));
    words.iter().rev().fold(0, |vector, &word| vector << (bits % 128) | low(word))
}

/// Indices of several kinds: any, moves of lanes, reversals, bytes of one vector.
fn indices(random: &mut Rng) -> [u8; 16] {
    let (kind, distance) = (random.below(6), random.below(32) as u8);
    let lane = 1 << random.below(4);
    let mut any = [0; 16];
    for (n, index) in (0..16).zip(&mut any) {
        *index = match kind {
            0 => random.below(32) as u8,
            1 => (n + distance) % 32,
            2 => n ^ (lane - 1),
            3 => (n ^ (lane - 1)) + 16 * u8::from(random.one_in(4)),
            4 => n / lane * lane + (n + distance) % lane,
            _ => random.below(16) as u8,
        };
    }
    any
}

fn shuffled(a: u128, b: u128, lanes: [u8; 16]) -> u128 {
    let bytes = [a.to_le_bytes(), b.to_le_bytes()].concat();
    u128::from_le_bytes(lanes.map(|lane| bytes[usize::from(lane)]))
}

fn random_vector(random: &mut Rng) -> u128 {
    u128::from(random.bits()) << 64 | u128::from(random.bits())
}

#[test]
fn shuffles_take_the_bytes_that_their_indices_name() {
    let mut random = Rng::new(9);
    let all: Vec<[u8; 16]> = (0..120).map(|_| indices(&mut random)).collect();
    let mut text = "(module".to_owned();
    for (n, lanes) in all.iter().enumerate() {
        let lanes: Vec<String> = lanes.iter().map(u8::to_string).collect();
        // In words of 64 bits, and in words of 32.
        for (name, lane) in [("a", "i64x2"), ("b", "i32x4")] {
            write!(
                text,
                "(func (export \"{name}{n}\") (param v128 v128) (result v128) (i8x16.shuffle {} \
                 ({lane}.add (local.get 0) (local.get 0)) ({lane}.add (local.get 1) (local.get 1))))",
                lanes.join(" ")
            )
            .expect("writing to a string");
        }
    }
    text.push(')');
    for options in all_words().iter().filter(|options| options.bounds == Bounds::Guard) {
        let module = compile_text(&text, options).expect("it compiles");
        for (n, &lanes) in all.iter().enumerate() {
            let (a, b) = (random_vector(&mut random) >> 1, random_vector(&mut random) >> 1);
            let (a, b) = (a & !(1 << 63 | 1 << 31 | 1 << 95), b & !(1 << 63 | 1 << 31 | 1 << 95));
            let args = [words(options, a), words(options, b)].concat();
            for name in ["a", "b"] {
                let result = call(&module, &format!("{name}{n}"), &args).expect("it returns");
                assert_eq!(
                    vector(options, &result),
                    shuffled(a << 1, b << 1, lanes),
                    "{lanes:?}\n{options:?}"
                );
            }
        }
    }
}

#[test]
fn swizzles_with_constant_indices_are_shuffles() {
    let indices = [0, 15, 16, 255, 7, 8, 1, 31, 128, 3, 2, 14, 13, 99, 0, 12];
    let list: Vec<String> = indices.iter().map(u8::to_string).collect();
    let text = format!(
        "(module (func (export \"f\") (param v128) (result v128) (i8x16.swizzle (local.get 0) \
         (v128.const i8x16 {}))))",
        list.join(" ")
    );
    let table = 0x0f1e_2d3c_4b5a_6978_8796_a5b4_c3d2_e1f0_u128;
    let bytes = table.to_le_bytes();
    let expected = indices.map(|index: u8| bytes.get(usize::from(index)).copied().unwrap_or(0));
    for options in all_words() {
        let module = compile_text(&text, &options).expect("it compiles");
        let result = call(&module, "f", &words(&options, table)).expect("it returns");
        assert_eq!(vector(&options, &result), u128::from_le_bytes(expected), "{options:?}");
    }
}

/// Each function makes its result from the same operations on the same argument, but carries it another way. The
/// operations want words of different widths.
const CARRIED: &str = r#"(module
    (import "env" "global" (global $imported v128))
    (type $unary (func (param v128) (result v128)))
    (table funcref (elem $step))
    (global $kept (mut v128) (v128.const i32x4 1 2 3 4))
    (global $constant v128 (v128.const i64x2 5 6))
    (func $step (type $unary)
        (i8x16.add (i32x4.add (local.get 0) (v128.const i32x4 1 2 3 4)) (v128.const i64x2 5 6)))
    (func (export "plain") (param v128) (result v128) (local $a v128)
        (local.set $a (i32x4.add (local.get 0) (v128.const i32x4 1 2 3 4)))
        (i8x16.add (local.get $a) (v128.const i64x2 5 6)))
    (func (export "call") (type $unary) (call $step (local.get 0)))
    (func (export "indirect") (type $unary)
        (call_indirect (type $unary) (i32x4.sub (local.get 0) (v128.const i64x2 0 0)) (i32.const 0)))
    (func (export "tail") (type $unary)
        (return_call $step (i32x4.sub (local.get 0) (v128.const i64x2 0 0))))
    (func (export "tail_indirect") (type $unary)
        (return_call_indirect (type $unary) (i64x2.sub (local.get 0) (v128.const i64x2 0 0)) (i32.const 0)))
    (func (export "block") (type $unary)
        (i32x4.add (local.get 0) (v128.const i32x4 1 2 3 4))
        (block (param v128) (result v128)
            (br_if 0 (i32.const 1))
            (drop) (v128.const i64x2 0 0))
        (i8x16.add (v128.const i64x2 5 6)))
    (func (export "branches") (param v128) (result v128)
        (block $out (result v128)
            (block $in (result v128)
                (i32x4.add (local.get 0) (v128.const i32x4 1 2 3 4))
                (br_table $in $out (i32x4.extract_lane 3 (v128.const i64x2 0 0))))
            (br $out))
        (i8x16.add (v128.const i64x2 5 6)))
    (func (export "if") (param v128) (result v128)
        (if (result v128) (v128.any_true (local.get 0))
            (then (i32x4.add (local.get 0) (v128.const i32x4 1 2 3 4)))
            (else (v128.const i32x4 1 2 3 4)))
        (i8x16.add (v128.const i64x2 5 6)))
    (func (export "loop") (param v128) (result v128) (local $n i32)
        (i32x4.sub (local.get 0) (v128.const i32x4 1 2 3 4))
        (loop (param v128) (result v128)
            (i32x4.add (v128.const i32x4 1 2 3 4))
            (br_if 0 (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 2))))
        (i8x16.add (v128.const i64x2 5 6)))
    (func (export "select") (param v128) (result v128)
        (i8x16.add
            (select (result v128)
                (i32x4.add (local.get 0) (v128.const i32x4 1 2 3 4))
                (i8x16.neg (local.get 0))
                (i32.const 1))
            (v128.const i64x2 5 6)))
    (func (export "globals") (param v128) (result v128)
        (global.set $kept (i32x4.add (local.get 0) (global.get $kept)))
        (i8x16.add (global.get $kept) (global.get $constant))
        (global.set $kept (v128.const i32x4 1 2 3 4)))
    (func (export "imported") (param v128) (result v128)
        (i8x16.add (i32x4.add (local.get 0) (global.get $imported)) (v128.const i64x2 5 6)))
    (func $pair (param v128 i32) (result i32 v128 i64)
        (local.get 1)
        (i32x4.add (local.get 0) (v128.const i32x4 1 2 3 4))
        (i64.const 9))
    (func (export "several") (param v128) (result v128)
        (call $pair (local.get 0) (i32.const 3))
        (drop) (i8x16.add (v128.const i64x2 5 6)) (local.set 0) (drop) (local.get 0))
)"#;

#[test]
fn vectors_can_be_wherever_values_are() {
    let mut random = Rng::new(3);
    for options in all_words() {
        let imported = ConstValue::V128(1 | 2 << 32 | 3 << 64 | 4 << 96);
        let options = with_global(options, "env", "global", imported);
        let module = compile_text(CARRIED, &options).expect("it compiles");
        let argument = random_vector(&mut random) | 1;
        let lanes = (0..4u32).map(|n| ((argument >> (32 * n)) as u32).wrapping_add(n + 1));
        let mut bytes: Vec<u8> = lanes.flat_map(u32::to_le_bytes).collect();
        (bytes[0], bytes[8]) = (bytes[0].wrapping_add(5), bytes[8].wrapping_add(6));
        let expected = u128::from_le_bytes(bytes.try_into().expect("sixteen bytes"));
        for name in [
            "plain",
            "call",
            "indirect",
            "tail",
            "tail_indirect",
            "block",
            "branches",
            "if",
            "loop",
            "select",
            "globals",
            "imported",
            "several",
        ] {
            let result = call(&module, name, &words(&options, argument)).expect("it returns");
            assert_eq!(vector(&options, &result), expected, "{name} {options:?}");
        }
    }
}

/// An access that is partly outside traps before it writes.
#[test]
fn accesses_are_checked_as_a_whole() {
    let text = r#"(module (memory 1 1)
        (func (export "store") (param i32) (v128.store (local.get 0) (v128.const i64x2 -1 -1)))
        (func (export "load") (param i32) (result i64) (i64x2.extract_lane 0 (v128.load (local.get 0))))
        (func (export "lane") (param i32)
            (v128.store32_lane offset=4 1 (local.get 0) (v128.const i64x2 -1 -1)))
        (func (export "half") (param i32) (result i64)
            (i64x2.extract_lane 1 (v128.load32x2_s (local.get 0))))
        (func (export "read") (param i32) (result i64) (i64.load (local.get 0))))"#;
    let trap = Err(Stop::Trap(TrapCode::MemoryOutOfBounds));
    for level in [OptLevel::O0, OptLevel::O2, OptLevel::Oz] {
        let options = Options { bounds: Bounds::Strict, ..options(level) };
        let module = compile_text(text, &options).expect("it compiles");
        let mut interpreter = Interpreter::new(&module, ssa::interp::Options::new(&module));
        let mut run = |name: &str, address: u64| call_in(&mut interpreter, &module, name, &[address]);
        for (name, last) in [("store", 65520), ("load", 65520), ("lane", 65528), ("half", 65528)] {
            for address in [last + 1, last + 8, 65535, 65536, 0xffff_fff0, 0xffff_ffff] {
                assert_eq!(run(name, address), trap, "{name} {address}");
            }
        }
        assert_eq!(run("read", 65528), Ok(vec![0]));
        assert!(run("load", 65520).is_ok() && run("half", 65528).is_ok());
        assert_eq!(run("store", 65520), Ok(vec![]));
        assert_eq!(run("read", 65528), Ok(vec![u64::MAX]));
    }
}
