//! Errors for modules that validation refuses.

use wasm_program::{Error, ModuleInfo};

#[test]
fn refused_proposals_say_where() {
    for (text, name, needed) in [
        ("(module (func $fence (atomic.fence)))", Some("fence"), "threads (in function fence at offset 0x"),
        ("(module (func) (func (atomic.fence)))", Some("func[1]"), "threads (in function func[1] at"),
        ("(module (memory i64 1))", None, "64-bit memories (at offset 0x"),
        ("(module (memory 1) (memory 1))", None, "several memories (at"),
        ("(module (tag))", None, "exceptions (at"),
        ("(module (memory 1 1 shared))", None, "threads (at"),
        ("(module (type (struct)))", None, "garbage collection (at"),
        (
            "(module (global $a i32 (i32.const 1)) (global i32 (global.get $a)))",
            None,
            "constant expressions that read globals of the module, not only imported ones (at",
        ),
        ("(module (tag) (memory i64 1 1 shared) (func (try_table)))", None, "exceptions (at offset 0x"),
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
