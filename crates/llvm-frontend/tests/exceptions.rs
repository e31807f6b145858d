//! Exceptions and typed references where the specification suite doesn't look: imports, entries, globals, slots.

mod support;

use llvm_frontend::{Floats, OptLevel, Options};
use ssa::TrapCode;
use ssa::interp::Stop;
use support::{all_options, call, compile_text, options};

/// Checks a function `f` of one parameter.
fn check(text: &str, cases: &[(u64, Result<u64, TrapCode>)]) {
    for options in all_options() {
        let options = Options { floats: Floats::Trap, ..options };
        let module = compile_text(text, &options).unwrap_or_else(|error| panic!("{error}\n{text}"));
        for &(arg, expected) in cases {
            let expected = expected.map(|value| vec![value]).map_err(Stop::Trap);
            assert_eq!(call(&module, "f", &[arg]), expected, "{text}\n{arg}\n{options:?}");
        }
    }
}

const ODD: &str = "(func $odd (param i32) (result i32)
    (if (i32.and (local.get 0) (i32.const 1)) (then (throw $t (local.get 0)))) (i32.mul (local.get 0) (i32.const 3)))";

#[test]
fn an_exception_that_nothing_catches_traps_at_the_entry() {
    let text = format!("(module (tag $t (param i32)) {ODD} (export \"f\" (func $odd)))");
    check(&text, &[(4, Ok(12)), (5, Err(TrapCode::Exception))]);
    let text = "(module (tag $t) (func $s (throw $t)) (start $s))";
    let module = compile_text(text, &options(OptLevel::O2)).unwrap();
    let start = module.start.unwrap();
    let mut interpreter = ssa::interp::Interpreter::new(&module, ssa::interp::Options::new(&module));
    let ended = interpreter.call(start, &[], &mut |_, _, _| Ok(vec![]));
    assert_eq!(ended, Err(Stop::Trap(TrapCode::Exception)));
}

#[test]
fn imports_in_tables_and_in_tail_position_throw_nothing() {
    let text = format!(
        "(module (import \"env\" \"zero\" (func $zero (param i32) (result i32))) (tag $t (param i32))
          (type $unary (func (param i32) (result i32))) {ODD} (table funcref (elem $zero $odd))
          (func $tail (param i32) (result i32)
            (if (i32.eq (local.get 0) (i32.const 7)) (then (throw $t (i32.const 9))))
            (return_call $zero (local.get 0)))
          (func $either (param i32) (result i32)
            (call_indirect (type $unary) (local.get 0) (i32.rem_u (local.get 0) (i32.const 2))))
          (func (export \"f\") (param i32) (result i32)
            (block $caught (result i32)
              (return (try_table (result i32) (catch $t $caught)
                (i32.add (i32.const 100) (i32.add (call $tail (local.get 0)) (call $either (local.get 0)))))))
            (i32.const 1000) (i32.add)))"
    );
    check(&text, &[(2, Ok(100)), (3, Ok(1003)), (7, Ok(1009))]);
}

#[test]
fn values_of_several_tags_share_slots() {
    let text = "(module (tag $a (param i32 f64)) (tag $b (param i64 i32)) (tag $c (param f32))
      (func $throws (param $n i32)
        (if (i32.eqz (local.get $n)) (then (throw $a (i32.const -1) (f64.const 2.5))))
        (if (i32.eq (local.get $n) (i32.const 1)) (then (throw $b (i64.const 0x123456789a) (i32.const -2))))
        (throw $c (f32.const -0)))
      (func (export \"f\") (param i32) (result i64)
        (local $f f64) (local $i i32) (local $l i64)
        (block $c (result f32) (block $b (result i64 i32) (block $a (result i32 f64)
          (try_table (catch $a $a) (catch $b $b) (catch $c $c) (call $throws (local.get 0)))
          (return (i64.const 0)))
          (local.set $f) (return (i64.xor (i64.extend_i32_s) (i64.reinterpret_f64 (local.get $f)))))
          (local.set $i) (return (i64.add (i64.extend_i32_s (local.get $i)))))
        (return (i64.extend_i32_u (i32.reinterpret_f32)))))";
    let first = !2.5f64.to_bits();
    check(text, &[(0, Ok(first)), (1, Ok(0x12_3456_7898)), (2, Ok(0x8000_0000))]);
}

#[test]
fn references_to_exceptions_live_in_globals() {
    let text = "(module (tag $t (param i32 i64)) (global $kept (mut exnref) (ref.null exn))
      (global $none exnref (ref.null exn))
      (func $keep (param i32)
        (block $caught (result i32 i64 exnref)
          (return (try_table (catch_ref $t $caught) (throw $t (local.get 0) (i64.const 40)))))
        (global.set $kept) (drop) (drop))
      (func (export \"f\") (param i32) (result i32)
        (if (i32.eqz (ref.is_null (global.get $kept))) (then (return (i32.const -1))))
        (if (i32.eqz (local.get 0)) (then (throw_ref (global.get $none))))
        (call $keep (local.get 0))
        (block $caught (result i32 i64)
          (try_table (catch $t $caught) (throw_ref (global.get $kept)))
          (unreachable))
        (i32.wrap_i64) (i32.add)))";
    check(text, &[(0, Err(TrapCode::NullReference)), (2, Ok(42))]);
}

/// References to exceptions and vectors both have several parts, which must not be taken for each other.
#[test]
fn exceptions_and_vectors_are_told_apart() {
    for values in ["i32", "i32 i32", "i32 i32 i32", "i32 i32 i32 i32", "i64", "i64 i64", "v128", "i32 v128"] {
        let constant = |ty: &str| match ty {
            "v128" => "(i64x2.splat (i64.extend_i32_s (local.get 0)))".to_owned(),
            "i64" => "(i64.extend_i32_s (local.get 0))".to_owned(),
            _ => "(local.get 0)".to_owned(),
        };
        let types: Vec<&str> = values.split(' ').collect();
        let thrown: String = types.iter().map(|ty| constant(ty)).collect();
        let last = match *types.last().expect("there is one") {
            "v128" => "(i32x4.extract_lane 2)",
            "i64" => "(i32.wrap_i64)",
            _ => "",
        };
        let drops = "(local.set $last) ".to_owned() + &"(drop) ".repeat(types.len() - 1);
        let text = format!(
            "(module (tag $t (param {values}))
              (func $pass (param exnref) (result exnref) (block (result exnref) (local.get 0)))
              (func $throws (param i32) (throw $t {thrown}))
              (func (export \"f\") (param i32) (result i32) (local $last {}) (local $kept exnref)
                (block $ref (result {values} exnref)
                  (try_table (catch_ref $t $ref) (call $throws (local.get 0))) (unreachable))
                (local.set $kept) {drops}
                (local.set $last ({}))
                (block $caught (result {values})
                  (try_table (catch $t $caught) (throw_ref (call $pass (local.get $kept)))) (unreachable))
                {drops} (local.get $last) {last}))",
            types.last().expect("there is one"),
            match *types.last().expect("there is one") {
                "v128" => "v128.const i64x2 0 0",
                "i64" => "i64.const 0",
                _ => "i32.const 0",
            },
        );
        check(&text, &[(77, Ok(77))]);
    }
}

#[test]
fn calls_of_null_trap() {
    let text = "(module (type $unary (func (param i32) (result i32))) (rec (type $a (func)) (type $b (func)))
      (func $double (type $unary) (i32.shl (local.get 0) (i32.const 1)))
      (func $of_a (type $a)) (global $first i32 (i32.const 2)) (global $second i32 (i32.add (global.get $first) (i32.const 1)))
      (table $filled 3 (ref $unary) (ref.func $double)) (table $typed 1 (ref null $unary)) (table $any funcref (elem $of_a))
      (func (export \"f\") (param i32) (result i32)
        (if (i32.eq (local.get 0) (i32.const 9)) (then (call_indirect $any (type $b) (i32.const 0))))
        (if (i32.eq (local.get 0) (i32.const 8)) (then (call_indirect $any (type $a) (i32.const 0))))
        (if (i32.eqz (local.get 0)) (then (return_call_ref $unary (i32.const 5) (table.get $typed (i32.const 0)))))
        (call_ref $unary (i32.add (local.get 0) (global.get $second)) (table.get $filled (i32.const 2)))))";
    check(
        text,
        &[(4, Ok(14)), (0, Err(TrapCode::NullReference)), (8, Ok(22)), (9, Err(TrapCode::BadSignature))],
    );
}

#[test]
fn functions_that_throw_nothing_keep_their_results() {
    let text = "(module (tag $t) (func $f (export \"f\") (param i32) (result i32)
      (block $caught (try_table (catch_all $caught) (throw $t))) (local.get 0)))";
    let module = compile_text(text, &options(OptLevel::O0)).unwrap();
    assert_eq!(
        module.signatures.values().map(|sig| sig.results.len()).max(),
        Some(4),
        "those of the runtime alone"
    );
    assert!(module.functions.values().flatten().count() == 1);
}

#[test]
fn what_has_no_form_is_refused() {
    for (text, part) in [
        (
            "(module (import \"env\" \"log\" (func $log (param exnref))) (func (export \"f\") (call $log (ref.null exn))))",
            "unsupported in function f at offset 0x31: a reference to an exception that the import env.log takes",
        ),
        ("(module (type $f (func)) (func $g) (table 2000000 (ref $f) (ref.func $g)))", "filled with 2000000"),
    ] {
        let error = compile_text(text, &options(OptLevel::O2)).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn tables_with_functions_that_throw_are_not_exported() {
    let mut shared = options(OptLevel::O2);
    shared.target.shares_tables = true;
    for (body, is_exported) in [(ODD, false), ("(func $odd (param i32) (result i32) (local.get 0))", true)] {
        let text =
            format!("(module (tag $t (param i32)) {body} (table (export \"calls\") funcref (elem $odd)))");
        let module = compile_text(&text, &shared).expect("it compiles");
        assert_eq!(module.exports.iter().any(|export| export.name == "calls"), is_exported, "{text}");
    }
}
