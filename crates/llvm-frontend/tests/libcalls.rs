//! Compiler helpers are recognised by their code, not by their names.

mod support;

use llvm_frontend::{Bounds, OptLevel, Options};
use ssa::{InstData, Module};
use support::{all_options, call, compile_text, function, options};

/// A copy loop, as compilers emit it without bulk memory.
const COPY_LOOP: &str = r#"
    (local i32)
    (local.set 3 (local.get 0))
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get 2)))
      (i32.store8 (local.get 3) (i32.load8_u (local.get 1)))
      (local.set 3 (i32.add (local.get 3) (i32.const 1)))
      (local.set 1 (i32.add (local.get 1) (i32.const 1)))
      (local.set 2 (i32.sub (local.get 2) (i32.const 1)))
      (br $next)))
    (local.get 0)"#;

fn copying(name: &str, body: &str) -> String {
    format!(
        r#"(module (memory 1) (data (i32.const 16) "hello world")
          (func ${name} (param i32 i32 i32) (result i32) {body})
          (func (export "f") (param i32) (result i64)
            (drop (call ${name} (i32.const 100) (i32.const 16) (local.get 0)))
            (i64.load (i32.const 100))))"#
    )
}

/// Whether `f` or one of its callees uses our copy function.
fn uses_runtime(module: &Module, name: &str) -> bool {
    let runtime = |func| module.decls[func].name == name;
    module.functions.values().flatten().any(|body| {
        body.insts.values().any(|inst| matches!(inst, InstData::Call { func, .. } | InstData::TailCall { func, .. } if runtime(*func)))
    })
}

#[test]
fn memcpy_is_replaced() {
    for options in all_options() {
        let module = compile_text(&copying("memcpy", COPY_LOOP), &options).expect("it compiles");
        assert!(
            uses_runtime(&module, "__wasm_memmove") || uses_runtime(&module, "__wasm_memcpy"),
            "{options:?}"
        );
        assert_eq!(call(&module, "f", &[5]), Ok(vec![u64::from_le_bytes(*b"hello\0\0\0")]), "{options:?}");
    }
}

#[test]
fn another_function_named_memcpy_keeps_its_meaning() {
    // It copies, and then clears the first byte.
    let body = format!("(local.set 0 (local.get 0)) {COPY_LOOP} (i32.store8 (i32.const 100) (i32.const 0))")
        .replacen("(local.set 0 (local.get 0))", "", 1);
    let body = body.trim_start();
    for options in all_options() {
        let module = compile_text(&copying("memcpy", body), &options).expect("it compiles");
        assert_eq!(call(&module, "f", &[5]), Ok(vec![u64::from_le_bytes(*b"\0ello\0\0\0")]), "{options:?}");
    }
}

#[test]
fn a_copy_of_no_bytes_looks_at_no_address() {
    for (to, from) in [(-1i32, 0), (0, -1), (65537, 65537)] {
        for length in ["(local.get 0)", "(i32.const 0)"] {
            let text = format!(
                r#"(module (memory 1) (func $copy (param i32 i32 i32) (result i32) {COPY_LOOP})
                  (func (export "f") (param i32) (result i32)
                    (call $copy (i32.const {to}) (i32.const {from}) {length})))"#
            );
            for options in all_options() {
                let options = Options { bounds: Bounds::Strict, ..options };
                let module = compile_text(&text, &options).expect("it compiles");
                assert_eq!(
                    call(&module, "f", &[0]),
                    Ok(vec![u64::from(to as u32)]),
                    "{to} {from} {length} {options:?}"
                );
            }
        }
    }
}

#[test]
fn a_memcpy_that_does_nothing_keeps_its_meaning() {
    let module =
        compile_text(&copying("memcpy", "(local.get 0)"), &options(OptLevel::O2)).expect("it compiles");
    assert_eq!(call(&module, "f", &[5]), Ok(vec![0]));
    assert!(!uses_runtime(&module, "__wasm_memmove"));
}

/// Functions of a known body; the first is `$f0`.
macro_rules! known {
    ($name:literal) => {
        functions(include_str!(concat!("../../wasm-program/src/libcalls/known/", $name, ".wat")))
    };
}

fn functions(form: &str) -> String {
    let start = form.find("(memory 1)").expect("it has a memory") + "(memory 1)".len();
    let end = form.rfind(')').expect("it is a module");
    form[start..end].replace("$scratch", "$__stack_pointer")
}

fn multiplying_by(functions: &str, callee: &str) -> String {
    format!(
        r#"(module (memory 1) {functions}
          (func (export "f") (param i64 i64) (result i64 i64)
            (call ${callee} (i32.const 64) (local.get 0) (i64.const 0) (local.get 1) (i64.const 0))
            (i64.load (i32.const 64)) (i64.load (i32.const 72))))"#
    )
}

fn multiplying(name: &str, body: &str) -> String {
    multiplying_by(&format!("(func ${name} (param i32 i64 i64 i64 i64) {body})"), name)
}

#[test]
fn multi3_becomes_a_multiplication() {
    let (a, b) = (0xdead_beef_1234_5678_u64, 0xfedc_ba98_7654_3210_u64);
    let product = u128::from(a) * u128::from(b);
    let multi3 = known!("multi3-kernels-O2");
    for options in all_options() {
        let module = compile_text(&multiplying_by(&multi3, "f0"), &options).expect("it compiles");
        assert_eq!(
            call(&module, "f", &[a, b]),
            Ok(vec![product as u64, (product >> 64) as u64]),
            "{options:?}"
        );
    }
    let module = compile_text(&multiplying_by(&multi3, "f0"), &options(OptLevel::O2)).expect("it compiles");
    let body = module.functions[function(&module, "f")].as_ref().expect("it has a body");
    let high = |inst: &InstData| matches!(inst, InstData::Binary { op: ssa::BinaryOp::MulhU, .. });
    assert!(body.insts.values().any(high), "the high half is one instruction");
}

#[test]
fn another_function_named_multi3_keeps_its_meaning() {
    // Adds instead of multiplying.
    let body = r#"(i64.store (local.get 0) (i64.add (local.get 1) (local.get 3)))
        (i64.store offset=8 (local.get 0) (i64.const 9))"#;
    for options in all_options() {
        let module = compile_text(&multiplying("__multi3", body), &options).expect("it compiles");
        assert_eq!(call(&module, "f", &[3, 4]), Ok(vec![7, 9]), "{options:?}");
    }
}

#[test]
fn helpers_in_tables_and_exports_still_work() {
    let text = format!(
        r#"(module (memory 1) (data (i32.const 16) "hello world")
          (type $copy (func (param i32 i32 i32) (result i32)))
          (table 1 funcref) (elem (i32.const 0) $memcpy)
          (func $memcpy (export "memcpy") (type $copy) {COPY_LOOP})
          (func (export "f") (result i64)
            (drop (call_indirect (type $copy) (i32.const 100) (i32.const 16) (i32.const 8) (i32.const 0)))
            (i64.load (i32.const 100))))"#
    );
    for options in all_options() {
        let module = compile_text(&text, &options).expect("it compiles");
        assert_eq!(call(&module, "f", &[]), Ok(vec![u64::from_le_bytes(*b"hello wo")]), "{options:?}");
        assert_eq!(call(&module, "memcpy", &[200, 16, 3]), Ok(vec![200]), "{options:?}");
    }
}

fn dividing(functions: &str) -> String {
    format!(
        r#"(module (memory 1) {functions}
          (func (export "f") (param i64 i64 i64 i64) (result i64 i64)
            (call $f0 (i32.const 64) (local.get 0) (local.get 1) (local.get 2) (local.get 3))
            (i64.load (i32.const 64)) (i64.load (i32.const 72))))"#
    )
}

#[test]
fn divisions_by_128_bits() {
    let udivti3 = known!("udivti3-kernels-O2");
    let text = dividing(&udivti3);
    let numbers = [
        1u128,
        3,
        10,
        u64::MAX.into(),
        1 << 64,
        u128::MAX,
        u128::MAX / 7,
        0x1234_5678_9abc_def0_1122_3344_5566_7788,
    ];
    for level in [OptLevel::O0, OptLevel::O2] {
        let module = compile_text(&text, &options(level)).expect("it compiles");
        assert!(uses_runtime(&module, "__wasm_udivti3"));
        for a in numbers {
            for b in numbers {
                let halves = [a as u64, (a >> 64) as u64, b as u64, (b >> 64) as u64];
                let quotient = a / b;
                assert_eq!(
                    call(&module, "f", &halves),
                    Ok(vec![quotient as u64, (quotient >> 64) as u64]),
                    "{a} / {b}"
                );
            }
        }
    }
}

#[test]
fn a_copy_upwards_repeats_what_overlaps() {
    // The same without names and with another name.
    let named = copying("memcpy", COPY_LOOP)
        .replace("(i32.const 100) (i32.const 16)", "(i32.const 17) (i32.const 16)");
    let named = named.replace("i64.load (i32.const 100)", "i64.load (i32.const 16)");
    let nameless = named.replace("(func $memcpy", "(func").replace("call $memcpy", "call 0");
    for text in [named.clone(), named.replace("$memcpy", "$copy"), nameless] {
        for options in all_options() {
            let module = compile_text(&text, &options).expect("it compiles");
            let copies = ["__wasm_memcpy", "__wasm_memmove"].map(|name| uses_runtime(&module, name));
            assert!(copies.contains(&true), "{options:?}");
            assert_eq!(call(&module, "f", &[7]), Ok(vec![u64::from_le_bytes(*b"hhhhhhhh")]), "{options:?}");
        }
    }
}

/// Bodies that differ from a helper for some arguments.
const NEARLY: [&str; 5] = [
    "(if (i32.gt_u (local.get 2) (i32.const 1000)) (then (local.set 2 (i32.const 1000))))",
    "(if (i32.eqz (local.get 0)) (then (return (local.get 0))))",
    "(if (i32.eq (local.get 2) (i32.const 300)) (then (local.set 2 (i32.const 299))))",
    "(if (i32.eq (local.get 0) (local.get 1)) (then (return (local.get 0))))",
    "(local.set 2 (i32.add (local.get 2) (i32.load (i32.const 1024))))",
];

#[test]
fn nearly_a_helper_is_none() {
    for change in NEARLY {
        let body = COPY_LOOP.replacen("(local i32)", &format!("(local i32) {change}"), 1);
        let module = compile_text(&copying("memcpy", &body), &options(OptLevel::O0)).expect("it compiles");
        assert!(
            !uses_runtime(&module, "__wasm_memcpy") && !uses_runtime(&module, "__wasm_memmove"),
            "{change}"
        );
    }
}
