//! Corner cases of operators, executed at every level.

mod support;

use llvm_frontend::{ConstValue, Error, OptLevel, Options};
use ssa::interp::Interpreter;
use support::{all_options, call, call_in, compile_text, options, with_global};

fn check_with(text: &str, adapt: impl Fn(Options) -> Options, cases: &[(&[u64], &[u64])]) {
    for options in all_options() {
        let options = adapt(options);
        let module = compile_text(text, &options).unwrap_or_else(|error| panic!("{error}\n{text}"));
        for (args, expected) in cases {
            assert_eq!(call(&module, "f", args), Ok(expected.to_vec()), "{text}\n{args:?}\n{options:?}");
        }
    }
}

fn check(text: &str, cases: &[(&[u64], &[u64])]) {
    check_with(text, |options| options, cases);
}

#[test]
fn shift_and_rotate_counts_are_masked() {
    let text = |ty: &str, op: &str| {
        format!(
            "(module (func (export \"f\") (param {ty} {ty}) (result {ty}) ({ty}.{op} (local.get 0) (local.get 1))))"
        )
    };
    check(&text("i32", "shl"), &[(&[1, 33], &[2]), (&[1, 32], &[1]), (&[1, 0xffff_ffff], &[0x8000_0000])]);
    check(
        &text("i32", "shr_s"),
        &[(&[0x8000_0000, 63], &[0xffff_ffff]), (&[0x8000_0000, 32], &[0x8000_0000])],
    );
    check(&text("i64", "shr_u"), &[(&[1 << 63, 127], &[1]), (&[5, 64], &[5])]);
    check(&text("i32", "rotl"), &[(&[0x8000_0001, 33], &[3]), (&[7, 0], &[7])]);
    check(&text("i64", "rotr"), &[(&[1, 65], &[1 << 63])]);
}

#[test]
fn counting_bits() {
    let text = |ty: &str, op: &str| {
        format!("(module (func (export \"f\") (param {ty}) (result {ty}) ({ty}.{op} (local.get 0))))")
    };
    check(&text("i32", "clz"), &[(&[0], &[32]), (&[1], &[31])]);
    check(&text("i64", "ctz"), &[(&[0], &[64]), (&[8], &[3])]);
    check(&text("i64", "popcnt"), &[(&[u64::MAX], &[64])]);
    check(&text("i64", "extend32_s"), &[(&[0x8000_0000], &[0xffff_ffff_8000_0000])]);
}

#[test]
fn blocks_with_several_values_and_loop_parameters() {
    // Sums 1..=n and counts, both carried as loop parameters.
    let text = r#"(module (func (export "f") (param i32) (result i32 i64)
        (i32.const 0) (i64.const 0)
        (loop $again (param i32 i64) (result i32 i64)
          (block $swap (param i32 i64) (result i64 i32)
            (local.set 1)
            (local.set 2)
            (i64.add (local.get 1) (i64.const 1))
            (i32.add (local.get 2) (local.get 0)))
          (local.set 2) (local.set 1)
          (local.get 2) (local.get 1)
          (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))
          (br_if $again))
        ) )"#
        .replace(
            "(result i32 i64)\n        (i32.const",
            "(result i32 i64) (local i64 i32)\n        (i32.const",
        );
    check(&text, &[(&[4], &[10, 4]), (&[1], &[1, 1])]);
}

#[test]
fn branch_tables_with_values() {
    let text = r#"(module (func (export "f") (param i32) (result i32)
        (i32.add (i32.const 1000)
          (block $c (result i32)
            (i32.add (i32.const 100)
              (block $b (result i32)
                (i32.add (i32.const 10)
                  (block $a (result i32)
                    (br_table $a $b $a $c $b (i32.const 1) (local.get 0))))))))))"#;
    check(
        text,
        &[
            (&[0], &[1111]),
            (&[1], &[1101]),
            (&[2], &[1111]),
            (&[3], &[1001]),
            (&[4], &[1101]),
            (&[9], &[1101]),
        ],
    );
}

#[test]
fn tail_calls_of_any_signature() {
    let text = r#"(module
        (type $three (func (param i32 i32 i64) (result i32)))
        (table 1 funcref) (elem (i32.const 0) $last)
        (func $last (type $three) (i32.add (local.get 0) (i32.wrap_i64 (local.get 2))))
        (func $down (param i32 i64) (result i32)
          (if (i32.eqz (local.get 0))
            (then (return_call_indirect (type $three) (i32.const 5) (i32.const 6) (local.get 1) (i32.const 0))))
          (return_call $down (i32.sub (local.get 0) (i32.const 1)) (i64.add (local.get 1) (i64.const 2))))
        (func (export "f") (param i32) (result i32) (return_call $down (local.get 0) (i64.const 0))))"#;
    check(text, &[(&[0], &[5]), (&[20_000], &[40_005])]);
}

#[test]
fn wide_arithmetic() {
    let text = |op: &str| {
        format!(
            "(module (func (export \"f\") (param i64 i64 i64 i64) (result i64 i64) (i64.{op} (local.get 0) (local.get 1) (local.get 2) (local.get 3))))"
        )
    };
    check(&text("add128"), &[(&[u64::MAX, 1, 1, 2], &[0, 4])]);
    check(&text("sub128"), &[(&[0, 4, 1, 2], &[u64::MAX, 1])]);
    let text = |op: &str| {
        format!(
            "(module (func (export \"f\") (param i64 i64) (result i64 i64) (i64.{op} (local.get 0) (local.get 1))))"
        )
    };
    check(&text("mul_wide_s"), &[(&[u64::MAX, 3], &[(-3i64) as u64, u64::MAX])]);
    check(&text("mul_wide_u"), &[(&[u64::MAX, 3], &[(-3i64) as u64, 2])]);
}

#[test]
fn globals_and_constant_expressions() {
    let text = r#"(module
        (import "env" "base" (global $base i32))
        (global $derived i32 (i32.mul (i32.add (global.get $base) (i32.const 2)) (i32.const 3)))
        (global $counter (mut i64) (i64.const 5))
        (memory 1) (data (offset (i32.sub (global.get $base) (i32.const 1))) "\2a")
        (func (export "f") (param i32) (result i32 i64 i32)
          (global.set $counter (i64.add (global.get $counter) (i64.extend_i32_u (local.get 0))))
          (global.get $derived) (global.get $counter) (i32.load8_u (i32.const 6))))"#;
    check_with(text, |o| with_global(o, "env", "base", ConstValue::I32(7)), &[(&[10], &[27, 15, 42])]);
    assert_eq!(
        compile_text(text, &options(OptLevel::O0)).unwrap_err(),
        Error::MissingGlobals(vec![("env.base".into(), "i32")])
    );
    let wrong = with_global(options(OptLevel::O0), "env", "base", ConstValue::I64(7));
    assert_eq!(
        compile_text(text, &wrong).unwrap_err(),
        Error::GlobalType { module: "env".into(), field: "base".into(), ty: "i32" }
    );
}

#[test]
fn memory_grows_within_its_limits() {
    let text = r#"(module (memory 1 3)
        (func (export "f") (param i32) (result i32 i32) (memory.grow (local.get 0)) (memory.size)))"#;
    check(
        text,
        &[(&[0], &[1, 1]), (&[2], &[1, 3]), (&[3], &[0xffff_ffff, 1]), (&[0xffff_ffff], &[0xffff_ffff, 1])],
    );
    let fixed = r#"(module (memory 2 2)
        (func (export "f") (param i32) (result i32 i32) (memory.grow (local.get 0)) (memory.size)))"#;
    check(fixed, &[(&[0], &[2, 2]), (&[1], &[0xffff_ffff, 2])]);
}

#[test]
fn pages_of_one_byte() {
    let text = r#"(module (memory 100 (pagesize 1))
        (func (export "f") (param i32) (result i32) (i32.store8 (i32.const 99) (local.get 0))
          (i32.add (memory.size) (i32.load8_u (i32.const 99)))))"#;
    check(text, &[(&[5], &[105])]);
}

#[test]
fn references() {
    let text = r#"(module
        (table $t 2 externref)
        (func (export "f") (param externref i32) (result i32 externref)
          (table.set $t (local.get 1) (local.get 0))
          (ref.is_null (table.get $t (i32.const 0)))
          (table.get $t (i32.const 1))))"#;
    check(text, &[(&[77, 0], &[0, 0]), (&[77, 1], &[1, 77])]);
}

#[test]
fn state_survives_between_calls() {
    let text = r#"(module (memory 1) (global $g (mut i32) (i32.const 1))
        (func (export "f") (result i32)
          (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (global.get $g)))
          (global.set $g (i32.shl (global.get $g) (i32.const 1)))
          (i32.load (i32.const 8))))"#;
    for options in all_options() {
        let module = compile_text(text, &options).expect("it compiles");
        let mut instance = Interpreter::new(&module, ssa::interp::Options::new(&module));
        for expected in [1, 3, 7, 15] {
            assert_eq!(call_in(&mut instance, &module, "f", &[]), Ok(vec![expected]), "{options:?}");
        }
    }
}

#[test]
fn segments_out_of_bounds_name_themselves() {
    let data = "(module (memory 1) (data (i32.const 0) \"a\") (data (i32.const 65535) \"ab\"))";
    assert_eq!(
        compile_text(data, &options(OptLevel::O0)).unwrap_err(),
        Error::SegmentOutOfBounds {
            kind: "data",
            index: 1,
            offset: 65535,
            length: 2,
            size: 65536,
            is_imported_memory: false
        }
    );
    let element = "(module (table 2 funcref) (func $f) (elem (i32.const 1) $f $f))";
    assert_eq!(
        compile_text(element, &options(OptLevel::O0)).unwrap_err(),
        Error::SegmentOutOfBounds {
            kind: "element",
            index: 0,
            offset: 1,
            length: 2,
            size: 2,
            is_imported_memory: false
        }
    );
}

#[test]
fn later_segments_win() {
    let text = r#"(module (memory 1) (data (i32.const 0) "aaaa") (data (i32.const 1) "bb") (data (i32.const 2) "c")
        (func (export "f") (result i32) (i32.load (i32.const 0))))"#;
    check(text, &[(&[], &[u64::from(u32::from_le_bytes(*b"abca"))])]);
}

#[test]
fn unused_functions_leave_nothing() {
    let text = r#"(module (import "env" "unused" (func $unused)) (memory 1)
        (func $dead (call $unused) (memory.fill (i32.const 0) (i32.const 0) (i32.const 100)))
        (func $small (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
        (func (export "f") (param i32) (result i32) (call $small (local.get 0))))"#;
    let module = compile_text(text, &options(OptLevel::O2)).expect("it compiles");
    assert_eq!(module.decls.len(), 1, "only the export is left: {:?}", module.decls);
}
