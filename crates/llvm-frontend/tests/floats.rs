//! Floats that are refused, floats that trap.

mod support;

use llvm_frontend::{Error, Floats, OptLevel, ShadowStack};
use ssa::TrapCode;
use ssa::interp::Stop;
use support::{call, compile_text, options, with};

const TEXT: &str = r#"(module $m (memory 1)
    (func $quiet (export "moves") (param f32 f64) (result f64)
      (local f64)
      (f32.store (i32.const 0) (local.get 0))
      (local.set 2 (select (local.get 1) (f64.const 1.5) (i32.load (i32.const 0))))
      (local.get 2))
    (func $loud (export "mixed") (param i32) (result i32)
      (if (result i32) (local.get 0)
        (then (drop (f64.add (f64.const 1) (f64.const 2))) (i32.const 1))
        (else (i32.const 2))))
    (func (export "unused") (drop (f32.sqrt (f32.const 1))))
    (func (export "after") (param i32) (result i32)
      (block (br_if 0 (local.get 0)) (drop (f32.lt (f32.const 1) (f32.const 2))))
      (i32.mul (local.get 0) (i32.const 3))))"#;

#[test]
fn all_floats_are_named() {
    let error = compile_text(TEXT, &options(OptLevel::O2)).unwrap_err();
    let Error::Unsupported { function: Some(function), offset, what } = &error else { panic!("{error}") };
    assert_eq!(function, "loud");
    let places = [
        "float operator f64.add, and f32.sqrt in function unused at offset 0x",
        ", f32.lt in function after at",
    ];
    assert!(what.starts_with(places[0]) && what.contains(places[1]), "{what}");
    let wasm = wat::parse_str(TEXT).unwrap();
    assert_eq!(wasm[*offset], 0xa0, "the offset is that of the operator's byte");
}

#[test]
fn operators_have_their_text_names() {
    for (body, name) in [
        ("(f32.demote_f64 (f64.const 1)) drop", "f32.demote_f64"),
        ("(f32.convert_i32_s (i32.const 1)) drop", "f32.convert_i32_s"),
        ("(f64.promote_f32 (f32.reinterpret_i32 (i32.const 0))) drop", "f64.promote_f32"),
    ] {
        let text = format!("(module (func (export \"f\") {body}))");
        let error = compile_text(&text, &options(OptLevel::O0)).unwrap_err();
        assert!(error.to_string().contains(&format!("float operator {name} (")), "{error}");
    }
}

#[test]
fn floats_that_nothing_reaches_are_not_refused() {
    let sqrt = "(drop (f32.sqrt (f32.const 1)))";
    let table = "(table 1 funcref) (elem (i32.const 0) $f)";
    let call = "(call_indirect (i32.const 0))";
    for (text, is_reached) in [
        (format!("(func {sqrt})"), false),
        (format!("(func $f {sqrt}) (func (export \"g\") (call $f))"), true),
        (format!("(func $f {sqrt}) {table} (func (export \"g\"))"), false),
        (format!("(func $f {sqrt}) {table} (func (export \"g\") {call})"), true),
        (format!("(func $f {sqrt}) (elem declare func $f) (func (export \"g\") (drop (ref.func $f)))"), true),
        (
            format!(
                "(func $f {sqrt}) (global $r funcref (ref.func $f)) (func (export \"g\") (drop (global.get $r)))"
            ),
            true,
        ),
        (format!("(func $f {sqrt}) (start $f)"), true),
        (format!("(func (export \"g\") (return) {sqrt})"), false),
        (format!("(func (export \"g\") (block (br 0)) {sqrt})"), true),
        (format!("(func (export \"g\") (block (loop (br 0))) {sqrt})"), false),
        (format!("(func (export \"g\") (param i32) (if (local.get 0) (then (unreachable))) {sqrt})"), true),
        (
            format!(
                "(func (export \"g\") (param i32) (if (local.get 0) (then (unreachable)) (else (return))) {sqrt})"
            ),
            false,
        ),
        (
            format!("(func (export \"g\") (param i32) (block (br_table 0 1 (local.get 0)) {sqrt}) {sqrt})"),
            true,
        ),
    ] {
        let result = compile_text(&format!("(module {text})"), &options(OptLevel::O0));
        assert_eq!(result.is_err(), is_reached, "{text}");
    }
}

#[test]
fn floats_are_moved_by_their_bits() {
    let text = r#"(module (memory 1) (table 1 funcref) (elem (i32.const 0) $swap)
        (global $single (mut f32) (f32.const nan:0x200001)) (global $double (mut f64) (f64.const -0))
        (func $swap (param f32 f64) (result f64 f32) (local.get 1) (local.get 0))
        (func (export "f") (param f32 f64 i32) (result f64 f32 i64 i32)
          (f64.store (i32.const 3) (local.get 1)) (f32.store (i32.const 16) (local.get 0))
          (f32.load (i32.const 16)) (f64.load (i32.const 3))
          (call_indirect (param f32 f64) (result f64 f32) (i32.const 0))
          (i64.reinterpret_f64 (select (local.get 1) (f64.const nan:0x4000000000001) (local.get 2)))
          (i32.reinterpret_f32 (if (result f32) (local.get 2)
            (then (f32.reinterpret_i32 (i32.const 0x7f800001)))
            (else (global.set $single (local.get 0)) (global.get $single)))))
        (func (export "g") (result f32 f64) (global.get $single) (global.get $double)))"#;
    let (single, double) = (0x7fa0_0001_u64, 0x7ff4_0000_0000_0001);
    for level in [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz] {
        let module = compile_text(text, &options(level)).expect("nothing computes");
        let f = |which| call(&module, "f", &[single, double, which]);
        assert_eq!(f(1), Ok(vec![double, single, double, 0x7f80_0001]));
        assert_eq!(f(0), Ok(vec![double, single, 0x7ff4_0000_0000_0001, single]));
        assert_eq!(call(&module, "g", &[]), Ok(vec![0x7fa0_0001, 1 << 63]));
    }
}

#[test]
fn float_types_without_float_operators_are_accepted() {
    let text = r#"(module (func (export "f") (param f32 f64) (result f32) (local f64)
        (local.set 2 (local.get 1)) (local.get 0)))"#;
    let module =
        compile_text(text, &options(OptLevel::O2)).expect("moves of parameters are no float operators");
    assert_eq!(call(&module, "f", &[0x7fa0_0000, 1]), Ok(vec![0x7fa0_0000]));
}

#[test]
fn floats_trap_and_the_rest_is_right() {
    for level in [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz] {
        let module = compile_text(TEXT, &with(Floats::Trap, ShadowStack::Auto, level)).expect("it compiles");
        let float = Err(Stop::Trap(TrapCode::Float));
        let nan = 0x7ff4_0000_0000_0001;
        assert_eq!(call(&module, "moves", &[1, nan]), Ok(vec![nan]));
        assert_eq!(call(&module, "moves", &[0, nan]), Ok(vec![1.5f64.to_bits()]));
        assert_eq!(call(&module, "mixed", &[1]), float);
        assert_eq!(call(&module, "mixed", &[0]), Ok(vec![2]));
        assert_eq!(call(&module, "unused", &[]), float);
        assert_eq!(call(&module, "after", &[4]), Ok(vec![12]));
        assert_eq!(call(&module, "after", &[0]), float);
    }
}

#[test]
fn native_floats_follow_wasm() {
    let f = |x: f32| u64::from(x.to_bits());
    let cases: [(&str, &[u64], Result<u64, TrapCode>); 12] = [
        ("(f32.min (local.get 0) (local.get 1))", &[f(-0.0), f(0.0)], Ok(f(-0.0))),
        ("(f32.max (local.get 0) (local.get 1))", &[f(-0.0), f(0.0)], Ok(f(0.0))),
        ("(f32.nearest (local.get 0))", &[f(2.5), 0], Ok(f(2.0))),
        ("(f32.reinterpret_i32 (i32.trunc_f32_s (local.get 0)))", &[f(-3.9), 0], Ok(0xffff_fffd)),
        ("(f32.reinterpret_i32 (i32.trunc_f32_s (local.get 0)))", &[f(-2147483648.0), 0], Ok(0x8000_0000)),
        (
            "(f32.reinterpret_i32 (i32.trunc_f32_s (local.get 0)))",
            &[f(2147483648.0), 0],
            Err(TrapCode::IntegerOverflow),
        ),
        (
            "(f32.reinterpret_i32 (i32.trunc_f32_s (local.get 0)))",
            &[f(f32::NAN), 0],
            Err(TrapCode::BadConversion),
        ),
        ("(f32.reinterpret_i32 (i32.trunc_f32_u (local.get 0)))", &[f(-0.5), 0], Ok(0)),
        (
            "(f32.reinterpret_i32 (i32.trunc_f32_u (local.get 0)))",
            &[f(-1.0), 0],
            Err(TrapCode::IntegerOverflow),
        ),
        ("(f32.reinterpret_i32 (i32.trunc_sat_f32_u (local.get 0)))", &[f(-5.0), 0], Ok(0)),
        ("(f32.reinterpret_i32 (i32.trunc_sat_f32_s (local.get 0)))", &[f(1e30), 0], Ok(0x7fff_ffff)),
        (
            "(f32.demote_f64 (f64.mul (f64.promote_f32 (local.get 0)) (f64.const 2)))",
            &[f(1.25), 0],
            Ok(f(2.5)),
        ),
    ];
    for level in [OptLevel::O0, OptLevel::O2] {
        for (body, args, expected) in cases {
            let text = format!("(module (func (export \"f\") (param f32 f32) (result f32) {body}))");
            let module =
                compile_text(&text, &with(Floats::Native, ShadowStack::Auto, level)).expect("it compiles");
            let expected = expected.map(|value| vec![value]).map_err(Stop::Trap);
            assert_eq!(call(&module, "f", args), expected, "{body} {args:x?}");
        }
    }
}
