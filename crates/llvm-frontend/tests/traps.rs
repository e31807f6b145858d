//! Every trap of WebAssembly happens, at every level, also where its value is not used.

mod support;

use llvm_frontend::{Bounds, Options};
use ssa::TrapCode;
use ssa::interp::Stop;
use support::{all_options, call, compile_text};

/// Checks a function `f` against arguments and outcomes under all options.
fn check(text: &str, cases: &[(&[u64], Result<u64, TrapCode>)]) {
    check_under(&all_options(), text, cases);
}

fn strict_options() -> Vec<Options> {
    all_options().into_iter().filter(|options| options.bounds == Bounds::Strict).collect()
}

fn check_under(options: &[Options], text: &str, cases: &[(&[u64], Result<u64, TrapCode>)]) {
    for options in options {
        let module = compile_text(text, options).expect("it compiles");
        for (args, expected) in cases {
            let expected = expected.map(|value| vec![value]).map_err(Stop::Trap);
            assert_eq!(call(&module, "f", args), expected, "{text}\n{args:?}\n{options:?}");
        }
    }
}

/// A function of two parameters whose body is one operator; with and without a use of the value.
fn check_binary(ty: &str, op: &str, cases: &[(&[u64], Result<u64, TrapCode>)]) {
    let params = format!("(param {ty} {ty})");
    let operation = format!("({ty}.{op} (local.get 0) (local.get 1))");
    check(&format!("(module (func (export \"f\") {params} (result {ty}) {operation}))"), cases);
    let dropped: Vec<_> = cases.iter().map(|(args, result)| (*args, result.map(|_| 7))).collect();
    let unused =
        format!("(module (func (export \"f\") {params} (result {ty}) (drop {operation}) ({ty}.const 7)))");
    check(&unused, &dropped);
}

const MIN32: u64 = 0x8000_0000;
const MIN64: u64 = 0x8000_0000_0000_0000;
const MINUS32: u64 = 0xffff_ffff;

#[test]
fn division() {
    let zero = Err(TrapCode::DivideByZero);
    let overflow = Err(TrapCode::IntegerOverflow);
    check_binary(
        "i32",
        "div_s",
        &[(&[7, 0], zero), (&[MIN32, MINUS32], overflow), (&[MINUS32, 1], Ok(MINUS32))],
    );
    check_binary(
        "i32",
        "div_u",
        &[(&[7, 0], zero), (&[MIN32, MINUS32], Ok(0)), (&[MINUS32, 2], Ok(0x7fff_ffff))],
    );
    check_binary("i32", "rem_s", &[(&[7, 0], zero), (&[MIN32, MINUS32], Ok(0)), (&[7, MINUS32], Ok(0))]);
    check_binary("i32", "rem_u", &[(&[7, 0], zero), (&[MIN32, MINUS32], Ok(MIN32)), (&[7, 4], Ok(3))]);
    check_binary(
        "i64",
        "div_s",
        &[(&[7, 0], zero), (&[MIN64, u64::MAX], overflow), (&[u64::MAX, 1], Ok(u64::MAX))],
    );
    check_binary("i64", "div_u", &[(&[7, 0], zero), (&[MIN64, u64::MAX], Ok(0))]);
    check_binary("i64", "rem_s", &[(&[7, 0], zero), (&[MIN64, u64::MAX], Ok(0))]);
    check_binary("i64", "rem_u", &[(&[7, 0], zero), (&[MIN64, u64::MAX], Ok(MIN64))]);
}

#[test]
fn division_by_constants_and_by_itself() {
    let text = |body: &str| format!("(module (func (export \"f\") (param i32) (result i32) {body}))");
    let zero = Err(TrapCode::DivideByZero);
    check(&text("(i32.div_s (local.get 0) (i32.const 0))"), &[(&[1], zero)]);
    check(&text("(i32.rem_u (local.get 0) (i32.const 0))"), &[(&[1], zero)]);
    check(
        &text("(i32.div_s (local.get 0) (i32.const -1))"),
        &[(&[5], Ok(0xffff_fffb)), (&[MIN32], Err(TrapCode::IntegerOverflow))],
    );
    check(&text("(i32.rem_s (local.get 0) (i32.const -1))"), &[(&[5], Ok(0)), (&[MIN32], Ok(0))]);
    check(&text("(i32.div_u (local.get 0) (local.get 0))"), &[(&[5], Ok(1)), (&[0], zero)]);
    check(
        &text("(i32.div_s (i32.const 0x80000000) (i32.const -1))"),
        &[(&[0], Err(TrapCode::IntegerOverflow))],
    );
}

#[test]
fn unreachable_is_no_promise() {
    // If the branch to `unreachable` were a promise, the bounds check would disappear.
    let text = r#"(module (func (export "f") (param i32) (result i32)
        (if (i32.ge_u (local.get 0) (i32.const 10)) (then unreachable))
        (i32.lt_u (local.get 0) (i32.const 10))))"#;
    check(text, &[(&[3], Ok(1)), (&[10], Err(TrapCode::Unreachable))]);
}

#[test]
fn code_after_a_trap_is_not_needed() {
    let text = r#"(module (func (export "f") (param i32) (result i32)
        (block (result i32)
          (block (br_if 0 (local.get 0)) unreachable (i32.add) (drop) (br 0))
          (i32.const 5))))"#;
    check(text, &[(&[1], Ok(5)), (&[0], Err(TrapCode::Unreachable))]);
}

#[test]
fn indirect_calls() {
    let text = r#"(module
        (type $unary (func (param i32) (result i32)))
        (type $binary (func (param i32 i32) (result i32)))
        (type $same_as_unary (func (param i32) (result i32)))
        (table 4 funcref)
        (elem (i32.const 0) $inc $add)
        (func $inc (type $same_as_unary) (i32.add (local.get 0) (i32.const 1)))
        (func $add (type $binary) (i32.add (local.get 0) (local.get 1)))
        (func (export "f") (param i32) (result i32)
          (call_indirect (type $unary) (i32.const 41) (local.get 0))))"#;
    check(
        text,
        &[
            (&[0], Ok(42)),
            (&[1], Err(TrapCode::BadSignature)),
            (&[2], Err(TrapCode::BadSignature)),
            (&[4], Err(TrapCode::TableOutOfBounds)),
            (&[MINUS32], Err(TrapCode::TableOutOfBounds)),
        ],
    );
}

#[test]
fn bulk_memory_checks_before_it_writes() {
    let text = |body: &str| {
        format!(
            r#"(module (memory 1 1) (data $d "abcd")
              (func (export "f") (param i32 i32 i32) (result i32)
                {body} (i32.load8_u (i32.const 65535))))"#
        )
    };
    let out = Err(TrapCode::MemoryOutOfBounds);
    check_under(
        &strict_options(),
        &text("(memory.fill (local.get 0) (local.get 1) (local.get 2))"),
        &[
            (&[65530, 1, 6], Ok(1)),
            (&[65530, 1, 7], out),
            (&[65536, 1, 0], Ok(0)),
            (&[65537, 1, 0], out),
            (&[1, 1, MINUS32], out),
        ],
    );
    check_under(
        &strict_options(),
        &text("(memory.copy (local.get 0) (local.get 1) (local.get 2))"),
        &[(&[65530, 0, 6], Ok(0)), (&[65530, 0, 7], out), (&[0, 65530, 7], out), (&[0, 0, MINUS32], out)],
    );
    check_under(
        &strict_options(),
        &text("(memory.init $d (local.get 0) (local.get 1) (local.get 2))"),
        &[(&[65534, 1, 2], Ok(u64::from(b'c'))), (&[65534, 1, 3], out), (&[0, 2, 3], out), (&[0, 5, 0], out)],
    );
}

#[test]
fn dropped_segments_are_empty() {
    let text = r#"(module (memory 1) (data $d "abcd")
        (func (export "f") (param i32) (result i32)
          (if (local.get 0) (then (data.drop $d)))
          (memory.init $d (i32.const 0) (i32.const 0) (i32.const 2))
          (i32.load8_u (i32.const 1))))"#;
    check_under(
        &strict_options(),
        text,
        &[(&[0], Ok(u64::from(b'b'))), (&[1], Err(TrapCode::MemoryOutOfBounds))],
    );
}

#[test]
fn tables() {
    let text = |body: &str| {
        format!(
            r#"(module (table $t 4 20 funcref) (table $other 3 funcref) (elem $e func $one $one $one)
              (func $one (result i32) (i32.const 1))
              (func (export "f") (param i32 i32 i32) (result i32) {body}))"#
        )
    };
    let out = Err(TrapCode::TableOutOfBounds);
    check(
        &text(
            "(table.init $t $e (local.get 0) (local.get 1) (local.get 2)) (ref.is_null (table.get $t (i32.const 3)))",
        ),
        &[(&[1, 0, 3], Ok(0)), (&[2, 0, 3], out), (&[0, 1, 3], out), (&[4, 3, 0], Ok(1)), (&[5, 0, 0], out)],
    );
    check(
        &text(
            "(table.fill $t (local.get 0) (ref.func $one) (local.get 1)) (ref.is_null (table.get $t (local.get 2)))",
        ),
        &[(&[1, 3, 3], Ok(0)), (&[1, 2, 3], Ok(1)), (&[1, 4, 0], out), (&[0, 0, 4], out)],
    );
    check(
        &text("(table.copy $t $other (local.get 0) (local.get 1) (local.get 2)) (table.size $t)"),
        &[(&[0, 0, 3], Ok(4)), (&[2, 0, 3], out), (&[0, 1, 3], out)],
    );
    check(
        &text(
            "(table.grow $t (ref.func $one) (local.get 0)) (drop) (ref.is_null (table.get $t (local.get 1)))",
        ),
        &[
            (&[2, 5, 0], Ok(0)),
            (&[2, 3, 0], Ok(1)),
            (&[2, 6, 0], out),
            (&[16, 19, 0], Ok(0)),
            (&[17, 4, 0], out),
        ],
    );
    check(
        &text("(table.grow $t (ref.null func) (local.get 0))"),
        &[(&[16, 0, 0], Ok(4)), (&[17, 0, 0], Ok(MINUS32)), (&[MINUS32, 0, 0], Ok(MINUS32))],
    );
}

#[test]
fn strict_bounds_catch_every_access() {
    let text = |op: &str| {
        format!(
            "(module (memory 1) (func (export \"f\") (param i32) (result i32) (drop ({op} (local.get 0))) (i32.const 1)))"
        )
    };
    let out = Err(TrapCode::MemoryOutOfBounds);
    for options in strict_options() {
        for (op, cases) in [
            ("i32.load", vec![(65532, Ok(1)), (65533, out), (MINUS32, out)]),
            ("i64.load8_u offset=65535", vec![(0, Ok(1)), (1, out), (MINUS32, out)]),
            ("i64.load offset=65536", vec![(0, out), (MINUS32 - 65535, out)]),
            ("i32.load16_s offset=0xffffffff", vec![(0, out), (1, out), (5, out)]),
        ] {
            let module = compile_text(&text(op), &options).expect("it compiles");
            for (address, expected) in cases {
                let expected = expected.map(|value: u64| vec![value]).map_err(Stop::Trap);
                assert_eq!(call(&module, "f", &[address]), expected, "{op} at {address:#x}");
            }
        }
    }
}
