//! `call_indirect` distinguishes types that differ in wasm, also where their machine words are equal.

use testkit::executor::CallExit;
use testkit::program::Program;
use wasm_pvm::{Floats, OptLevel, Options};

const MODULE: &str = r#"(module
  (type $reference (func (param externref) (result i32)))
  (type $wide (func (param i64) (result i32)))
  (type $float (func (param f64) (result i32)))
  (table funcref (elem $wide $reference $float))
  (func $wide (type $wide) (i32.const 1))
  (func $reference (type $reference) (i32.const 2))
  (func $float (type $float) (i32.const 3))
  (func (export "wide") (param i32) (result i32)
    (call_indirect (type $wide) (i64.const 7) (local.get 0)))
  (func (export "reference") (param i32) (result i32)
    (call_indirect (type $reference) (ref.null extern) (local.get 0)))
  (func (export "float") (param i32) (result i32)
    (call_indirect (type $float) (f64.const 0) (local.get 0))))"#;

#[test]
fn only_the_declared_type_passes() {
    let wasm = wat::parse_str(MODULE).unwrap();
    for level in [OptLevel::O0, OptLevel::O2, OptLevel::Oz] {
        let options = Options { level, floats: Some(Floats::Trap), ..Options::default() };
        for (caller, own) in [("wide", 0), ("reference", 1), ("float", 2)] {
            for callee in 0..3 {
                let mut program = Program::compile(&wasm, &options).unwrap();
                let exit = program.enter(caller, &[callee], 1, 1 << 20, &mut |_, _| 0).unwrap();
                let expected = if callee == own {
                    CallExit::Returned(vec![callee + 1])
                } else {
                    CallExit::Trapped(None)
                };
                assert_eq!(exit, expected, "-{level:?}: {caller} calls function {callee}");
            }
        }
    }
}
