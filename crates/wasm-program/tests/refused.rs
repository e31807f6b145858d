//! Errors for modules that validation refuses.

use wasm_program::{Error, ModuleInfo};

#[test]
fn refused_proposals_say_where() {
    for (text, name, needed) in [
        (
            "(module (func $lanes (drop (v128.const i64x2 0 0))))",
            Some("lanes"),
            "SIMD (in function lanes at offset 0x",
        ),
        (
            "(module (func) (func (drop (v128.const i64x2 0 0))))",
            Some("func[1]"),
            "SIMD (in function func[1] at",
        ),
        ("(module (tag))", None, "exceptions (at"),
        ("(module (type (struct)))", None, "garbage collection (at"),
        (
            "(module (global $a i32 (i32.const 1)) (global i32 (global.get $a)))",
            None,
            "constant expressions that read globals of the module, not only imported ones (at",
        ),
        (
            "(module (tag) (memory i64 1 1 shared) (func (drop (v128.const i64x2 0 0)) (try_table)))",
            None,
            "SIMD (in function func[0] at offset 0x22",
        ),
    ] {
        let wasm = wat::parse_str(text).expect("the text is well-formed");
        let error = ModuleInfo::parse(&wasm).unwrap_err();
        let Error::Proposal { function, offset, message } = error else { panic!("{error}") };
        assert!(message.contains("the module needs ") && message.contains(needed), "{message}");
        assert!(offset > 8 && offset <= wasm.len(), "{offset}");
        assert_eq!(function.as_deref(), name);
    }
}

#[test]
fn invalid_functions_are_named() {
    let wasm = wat::parse_str(r#"(module (import "a" "b" (func)) (func (export "f") (i32.add)))"#);
    let error = ModuleInfo::parse(&wasm.expect("well-formed")).unwrap_err();
    assert!(error.to_string().starts_with("invalid WebAssembly in function f at offset 0x"), "{error}");
}
