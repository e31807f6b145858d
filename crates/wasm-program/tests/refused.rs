//! Errors for modules that validation refuses.

use wasm_program::{Error, ModuleInfo};

#[test]
fn refused_proposals_say_where() {
    for (text, name, needed) in [
        (
            "(module (type $s (struct)) (func $new (drop (struct.new $s))))",
            Some("new"),
            "garbage collection; without it: a compiler to linear memory; those of Kotlin",
        ),
        ("(module (type $f (sub (func))) (type (sub $f (func))))", None, "garbage collection"),
        (
            "(module (type $s (array i8)) (global (ref $s) (array.new_fixed $s 0)))",
            None,
            "garbage collection",
        ),
        ("(module (type $f (func)) (type (cont $f)))", None, "stack switching (at"),
        (
            "(module (type $s (struct)) (type $f (func)) (type (cont $f)) (func $new (drop (struct.new $s))))",
            None,
            "garbage collection (in function new at",
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
fn parts_of_garbage_collection_are_accepted() {
    for text in [
        "(module (rec (type (func)) (type (struct))))",
        "(module (global $a i32 (i32.const 1)) (global i32 (global.get $a)))",
        "(module (func (param anyref) (result i32) (ref.is_null (local.get 0))))",
    ] {
        ModuleInfo::parse(&wat::parse_str(text).expect("well-formed")).unwrap();
    }
}

#[test]
fn invalid_functions_are_named() {
    let wasm = wat::parse_str(r#"(module (import "a" "b" (func)) (func (export "f") (i32.add)))"#);
    let error = ModuleInfo::parse(&wasm.expect("well-formed")).unwrap_err();
    assert!(error.to_string().starts_with("invalid WebAssembly in function f at offset 0x"), "{error}");
}

#[test]
fn all_functions_that_need_a_proposal_are_listed() {
    let discard = "(memory.discard (i32.const 0) (i32.const 65536))";
    let new = "(drop (struct.new $s))";
    for (declaration, operator) in [("(memory 1)", discard), ("(type $s (struct))", new)] {
        let wasm = wat::parse_str(format!(
            "(module {declaration} (func $a {operator} {operator}) (func $b) (func $c {operator}) (func $d {operator}))"
        ));
        let Err(Error::Proposal { function, message, .. }) = ModuleInfo::parse(&wasm.expect("well-formed"))
        else {
            panic!("the proposal of {operator} is not accepted")
        };
        assert_eq!(function.as_deref(), Some("a"));
        let (_, others) = message.split_once("; also in function ").unwrap_or_else(|| panic!("{message}"));
        let names: Vec<&str> =
            others.split(", ").map(|place| place.split(' ').next().unwrap_or_default()).collect();
        assert_eq!(names, ["c", "d"]);
    }
}
