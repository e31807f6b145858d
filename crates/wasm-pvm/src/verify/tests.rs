//! A compiler with a known fault is found out, and one without is not.

use super::*;
use crate::options::{PvmBounds, PvmOptions};

/// Options that don't start threads.
fn options(bounds: PvmBounds) -> Options {
    let target = PvmOptions { bounds, ..PvmOptions::default() };
    Options { threads: 1, ..Options::new(target) }
}

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("well-formed")
}

/// A module in which `$scale` is not exported, and `OPERATOR` is one on two numbers.
fn module(operator: &str) -> Vec<u8> {
    let text = r#"(module
        (memory (export "memory") 1)
        (global $calls (mut i64) (i64.const 3))
        (data (i32.const 2000) "twelve bytes")
        (func $scale (param i32 i32) (result i32)
            (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
            (if (i32.lt_u (local.get 1) (i32.const 65000))
                (then (i32.store8 (local.get 1) (i32.xor (i32.load8_u (local.get 1)) (i32.const 1)))))
            (OPERATOR (local.get 0) (i32.const 3)))
        (func (export "scaled") (param i32) (result i32) (call $scale (local.get 0) (i32.const 5)))
        (func (export "quotient") (param i64 i64) (result i64) (i64.div_s (local.get 0) (local.get 1)))
        (func (export "float") (param f64 f64) (result f64) (f64.min (local.get 0) (local.get 1))))"#;
    wasm(&text.replace("OPERATOR", operator))
}

#[test]
fn a_correct_program_has_no_difference() {
    let settings = Settings { inputs: 12, ..Settings::default() };
    for bounds in [PvmBounds::Guard, PvmBounds::Strict] {
        let found = verify(&module("i32.mul"), &options(bounds), &settings).expect("it is checked");
        assert_eq!(found.differences().count(), 0, "{found:?}");
        assert_eq!(found.functions.len(), 4);
        for function in &found.functions {
            let checked = function.outcome.as_ref().expect("it can be called");
            assert_eq!(checked.calls.values().sum::<u32>(), 12);
            assert!(checked.calls[&Class::Returned] > 4 && checked.reached > 0, "{checked:?}");
            assert!(checked.reached <= checked.blocks);
        }
        assert_eq!(verify(&module("i32.mul"), &options(bounds), &settings), Ok(found), "it repeats itself");
    }
}

/// The compiler gets another module than the reference engine: in its multiplication is a fault. The function that has it
/// is found, also where it isn't exported, and the reduced module is a valid one that still multiplies.
#[test]
fn a_fault_is_found_and_reduced() {
    let faulty = |wasm: &[u8], options: &Options| {
        let text = wasmprinter::print_bytes(wasm).expect("valid");
        let text = text.replace("i32.mul", "i32.add");
        target::compiled(&wat::parse_str(text).expect("well-formed"), options)
    };
    let settings = Settings { inputs: 6, ..Settings::default() };
    let found = verify_with(&module("i32.mul"), &options(PvmBounds::Guard), &settings, &faulty);
    let found = found.expect("it is checked");
    let names: Vec<(u32, bool)> =
        found.differences().map(|(function, _)| (function.index, function.is_exported)).collect();
    assert_eq!(names, [(1, true), (0, false)]);
    let (_, difference) = found.differences().next().expect("a difference");
    assert!(difference.expected.starts_with("it returned i32 "), "{difference:?}");
    assert_ne!(difference.expected, difference.actual);
    let text = wasmprinter::print_bytes(found.reduced.expect("it is reduced")).expect("valid");
    assert!(text.contains("i32.mul") && text.contains("\"scaled\""), "{text}");
    for gone in ["twelve", "i64.div_s", "f64.min", "i32.store8", "\"quotient\""] {
        assert!(!text.contains(gone), "{gone} is in {text}");
    }
}

/// What a program may do differently is counted, and not reported.
#[test]
fn open_behaviour_has_classes() {
    let text = r#"(module
        (import "env" "host" (func $host (param i32)))
        (memory 1)
        (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
        (func (export "import") (param i32) (i32.store (i32.const 8) (local.get 0)) (call $host (local.get 0)))
        (func (export "endless") (loop (br 0)))
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
        (func (export "reference") (param externref funcref) (result externref) (local.get 0)))"#;
    let target = PvmOptions { imports: crate::ImportMap::default().with_auto(1000), ..PvmOptions::default() };
    let options = Options { threads: 1, ..Options::new(target) };
    let settings = Settings { inputs: 16, fuel: 1000, ..Settings::default() };
    let found = verify(&wasm(text), &options, &settings).expect("it is checked");
    assert_eq!(found.differences().count(), 0, "{found:?}");
    let calls = |n: usize, class: Class| {
        let checked = found.functions[n].outcome.as_ref().expect("it can be called");
        checked.calls.get(&class).copied().unwrap_or(0)
    };
    assert!(calls(0, Class::Returned) > 0 && calls(0, Class::Bounds) + calls(0, Class::Trapped) > 0);
    assert_eq!((calls(1, Class::Import), calls(2, Class::Endless)), (16, 16));
    assert!(calls(3, Class::Returned) > 0 && calls(3, Class::Endless) > 0);
    assert_eq!(calls(4, Class::Returned), 16);
}

#[test]
fn an_error_says_why_nothing_is_checked() {
    let settings = Settings { inputs: 1, ..Settings::default() };
    let options = options(PvmBounds::Guard);
    let error = |text: &str, settings: &Settings| {
        verify(&wasm(text), &options, settings).expect_err(text).to_string()
    };
    let start = "(module (func $s unreachable) (start $s) (func (export \"f\")))";
    assert!(error(start, &settings).contains("the start function does not return"));
    let named = Settings { function: Some("g".to_owned()), ..settings.clone() };
    assert!(error("(module (func (export \"f\")))", &named).contains("no function `g`"));
    let against = Settings { against: Some(b"noise".to_vec()), ..settings };
    assert!(error("(module (func (export \"f\")))", &against).contains("not a PVM program"));
}
