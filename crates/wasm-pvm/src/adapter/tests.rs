//! Linking of imports, exports, memories and constant expressions, and its errors.

use super::*;
use module::Space;
use resolve::full_name;

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("well-formed")
}

/// The text of the validated result of linking.
fn linked(main: &str, adapters: &[&str]) -> Vec<u8> {
    let adapters: Vec<Vec<u8>> = adapters.iter().map(|text| wasm(text)).collect();
    let linked = link(&wasm(main), &adapters).expect("links");
    wasmparser::Validator::new_with_features(
        wasmparser::WasmFeatures::WASM2 | wasmparser::WasmFeatures::EXTENDED_CONST,
    )
    .validate_all(&linked)
    .expect("valid");
    linked
}

fn error(main: &str, adapters: &[&str]) -> String {
    let adapters: Vec<Vec<u8>> = adapters.iter().map(|text| wasm(text)).collect();
    link(&wasm(main), &adapters).expect_err("doesn't link").to_string()
}

/// Imports and exports of a result.
fn interface(wasm: &[u8]) -> (Vec<String>, Vec<String>) {
    let module = LinkedModule::parse("the result", wasm).expect("well-formed");
    let imports = module.imports.iter().flatten().map(full_name).collect();
    (imports, module.exports.iter().map(|export| export.name.to_owned()).collect())
}

#[test]
fn exports_replace_imports() {
    let merged = linked(
        r#"(module (import "env" "keep" (func)) (import "env" "log" (func $log (param i32) (result i32)))
            (memory (export "memory") 1) (table 2 funcref) (elem (i32.const 0) $log $main)
            (func $main (export "main") (result i32) (call $log (i32.const 7)))
            (global (mut i32) (i32.const 3)))"#,
        &[
            r#"(module (type (func (param i64))) (import "env" "host_call_0" (func $host (param i64) (result i64)))
            (import "env" "keep" (func $keep))
            (import "env" "main" (func $main (result i32)))
            (global $count (mut i32) (i32.const 0))
            (data "passive")
            (func (export "log") (param i32) (result i32)
              (call $keep) (global.set $count (i32.const 1)) (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1))
              (drop (call $main)) (i32.load (i32.wrap_i64 (call $host (i64.const 100))))))"#,
        ],
    );
    assert_eq!(
        interface(&merged),
        (vec!["env.keep".into(), "env.host_call_0".into()], vec!["memory".into(), "main".into()],)
    );
}

#[test]
fn an_adapter_may_bring_the_memory() {
    let main = r#"(module (import "env" "f" (func $f)) (func (export "main") (call $f)))"#;
    let adapter = r#"(module (memory 1) (data (i32.const 8) "x")
        (func $f (export "f") (i32.store (i32.const 0) (i32.const 1))) (start $f))"#;
    assert_eq!(interface(&linked(main, &[adapter])), (vec![], vec!["main".into()]));
}

#[test]
fn constants_are_values_of_other_modules() {
    // The globals of the two modules are defined by each other.
    let merged = linked(
        r#"(module (import "env" "a" (global $a i32)) (import "env" "host" (global $h i32))
            (import "env" "c" (global $c i32)) (import "env" "f" (global $f funcref))
            (global (export "b") i32 (i32.add (global.get $a) (i32.const 8)))
            (memory 1) (data (global.get $c) "x") (table 2 funcref)
            (elem (offset (i32.sub (global.get $c) (i32.const 16))) funcref (item (global.get $f)))
            (global (export "d") i32 (i32.mul (global.get $h) (global.get $c))))"#,
        &[r#"(module (import "env" "b" (global $b i32)) (global (export "a") i32 (i32.const 4))
            (func $g) (global (export "f") funcref (ref.func $g))
            (global (export "c") i32 (i32.add (global.get $b) (i32.const 4))))"#],
    );
    let module = LinkedModule::parse("the result", &merged).expect("well-formed");
    let wasmparser::DataKind::Active { offset_expr, .. } = &module.data[0].kind else { panic!("active") };
    let operator = offset_expr.get_operators_reader().read().expect("well-formed");
    assert_eq!(operator, wasmparser::Operator::I32Const { value: 16 });
    assert_eq!(interface(&merged), (vec!["env.host".into()], vec!["b".into(), "d".into()]));
}

#[test]
fn references_need_no_export() {
    let main = r#"(module (import "env" "f" (func $f (result funcref)))
        (func (export "main") (result funcref) (call $f)))"#;
    let adapter = r#"(module (func (export "g")) (func (export "f") (result funcref) (ref.func 0)))"#;
    linked(main, &[adapter]);
}

#[test]
fn adapters_of_adapters_in_either_order() {
    let main = r#"(module (import "env" "f" (func $f)) (func (export "main") (call $f)))"#;
    let upper = r#"(module (import "env" "g" (func $g)) (func (export "f") (call $g)))"#;
    let base = r#"(module (func (export "g")))"#;
    for adapters in [[upper, base], [base, upper]] {
        assert_eq!(interface(&linked(main, &adapters)), (vec![], vec!["main".into()]));
    }
    // A module that exports the name it imports wraps the next function of that name.
    let wrapper = r#"(module (import "env" "f" (func $f)) (func (export "f") (call $f)))"#;
    assert_eq!(interface(&linked(main, &[wrapper])).0, vec!["env.f".to_owned()]);
    assert_eq!(interface(&linked(main, &[wrapper, upper, base])).0, Vec::<String>::new());
    let passes_on = r#"(module (import "env" "f" (func $f)) (export "f" (func $f)))"#;
    assert_eq!(interface(&linked(passes_on, &[wrapper])), (vec!["env.f".to_owned()], vec!["f".to_owned()]));
}

#[test]
fn tags_are_shared() {
    let main = r#"(module (import "env" "failed" (tag $failed (param i32))) (import "env" "try" (func $try))
        (tag $own) (func (export "main") (result i32)
          (block $caught (result i32) (try_table (catch $failed $caught) (call $try)) (throw $own))))"#;
    let adapter = r#"(module (tag $other (param i64)) (tag $failed (export "failed") (param i32))
        (func (export "try") (throw $failed (i32.const 7))))"#;
    let adapters = [wasm(adapter)];
    let merged = link(&wasm(main), &adapters).expect("links");
    wasmparser::validate(&merged).expect("valid");
    assert_eq!(interface(&merged), (vec![], vec!["main".into()]));
    assert_eq!(
        error(main, &[r#"(module (tag (export "failed") (param i64)))"#]),
        "the main module imports env.failed as tag (i32) -> (), but adapter 1 has tag (i64) -> ()"
    );
    let both =
        link(&wasm(main), &[wasm(r#"(module (import "env" "failed" (tag (param i32))))"#)]).expect("links");
    assert_eq!(interface(&both).0, ["env.try", "env.failed"]);
}

/// A type's index means something else in each module, and groups of types are compared as a whole.
#[test]
fn types_are_compared_by_their_meaning() {
    let is_linked = |main: &str, adapter: &str| {
        let merged = link(&wasm(main), &[wasm(adapter)]).expect("links");
        wasmparser::validate(&merged).expect("valid");
    };
    let main = r#"(module (type $f (func (param i32)))
        (import "env" "apply" (func (param (ref $f)))) (import "env" "table" (table 1 (ref null $f))))"#;
    let adapter = r#"(module (type (func (param i64))) (type $f (func (param i32)))
        (func (export "apply") (param (ref $f))) (table (export "table") 1 (ref null $f)))"#;
    is_linked(main, adapter);
    let other = r#"(module (type $f (func (param i64))) (func (export "apply") (param (ref $f))))"#;
    assert!(error(main, &[other]).starts_with("the main module imports env.apply as"));
    let group = |results: &str| {
        format!(
            r#"(rec (type $a (func (param (ref null $b)))) (type $b (func (param (ref null $a)) (result {results}))))"#
        )
    };
    let main = format!(r#"(module {} (import "env" "g" (global (ref null $b))))"#, group("i32"));
    let global = |results: &str| {
        let group = group(results);
        format!(r#"(module (type (func)) {group} (global (export "g") (ref null $b) (ref.null $b)))"#)
    };
    is_linked(&main, &global("i32"));
    assert!(error(&main, &[&global("i64")]).starts_with("the main module imports env.g as"));
}

#[test]
fn imports_of_one_name_are_one_import() {
    let merged = linked(
        r#"(module (import "env" "g" (global (mut i32))) (import "env" "t" (table 1 funcref)))"#,
        &[r#"(module (import "env" "g" (global (mut i32))) (import "env" "t" (table 3 funcref)))"#],
    );
    assert_eq!(interface(&merged).0, ["env.t", "env.g"]);
    let module = LinkedModule::parse("the result", &merged).expect("well-formed");
    let ty = module.entry_type(Space::Table, 0).expect("a table");
    assert_eq!(types::describe(&ty), "table of 3 funcref");
    // The built-in meaning of host calls does not depend on types.
    let text = r#"(module (import "env" "abort" (func (param i32))))"#;
    assert_eq!(interface(&linked(r#"(module (import "env" "abort" (func)))"#, &[text])).0.len(), 2);
}

#[test]
fn mismatches_are_errors() {
    let func = r#"(module (import "env" "f" (func (param i32))))"#;
    assert_eq!(
        error(func, &[r#"(module (func (export "f") (param i64)))"#]),
        "the main module imports env.f as (i32) -> (), but adapter 1 has (i64) -> ()"
    );
    assert_eq!(
        error(func, &[r#"(module (global (export "f") i32 (i32.const 0)))"#]),
        "the main module imports env.f as function, but adapter 1 has global"
    );
    let clash = error(func, &[r#"(module (import "env" "f" (func (result i64))))"#]);
    assert!(clash.starts_with(
        "the main module imports env.f as (i32) -> (), but adapter 1 imports it as () -> (i64)"
    ));
    let mutable = error(
        r#"(module (import "env" "g" (global i32)))"#,
        &[r#"(module (global (export "g") (mut i32) (i32.const 0)))"#],
    );
    assert!(mutable.contains("as global i32, but adapter 1 has global (mut i32)"), "{mutable}");
    let pages = error(r#"(module (memory 1))"#, &[r#"(module (import "env" "memory" (memory 2)))"#]);
    assert!(pages.contains("as memory of 2 pages, but the main module has memory of 1 pages"), "{pages}");
    assert!(matches!(
        link(&wasm(func), &[b"\0asm\x01\0\0\0\x01"]),
        Err(AdapterError::Malformed { module, .. }) if module == "adapter 1"
    ));
}

#[test]
fn two_memories_are_an_error() {
    let main = r#"(module (import "env" "f" (func)) (memory 1))"#;
    let writes = r#"(module (memory 1) (func (export "f") (i32.store (i32.const 0) (i32.const 1))))"#;
    assert!(error(main, &[writes]).starts_with("the main module and adapter 1 have a memory each"));
    assert!(error(main, &[r#"(module (memory 1) (data (i32.const 0) "x"))"#]).contains("a memory each"));
    for placeholder in [
        "(module (memory 1))",
        r#"(module (memory 0) (func (export "f") (memory.fill (i32.const 0) (i32.const 0) (i32.const 1))))"#,
    ] {
        linked(main, &[placeholder]);
    }
}

#[test]
fn circles_are_errors() {
    let main = r#"(module (import "env" "a" (func $a)) (export "b" (func $a)))"#;
    let adapter = r#"(module (import "env" "b" (func $b)) (export "a" (func $b)))"#;
    assert_eq!(error(main, &[adapter]), "the import env.a is its own definition");
    let main = r#"(module (import "env" "a" (global i32)) (global (export "b") i32 (global.get 0)))"#;
    let adapter = r#"(module (import "env" "b" (global i32)) (global (export "a") i32 (global.get 0)))"#;
    assert!(error(main, &[adapter]).contains("is its own definition"));
}

#[test]
fn starts_run_in_the_order_of_instantiation() {
    // The adapter's start function runs before the main module's data is written.
    let main = r#"(module (import "env" "memory" (memory 1)) (data (i32.const 0) "m") (func $s) (start $s))"#;
    let adapter = r#"(module (memory (export "memory") 1) (data (i32.const 0) "a")
        (func $s (drop (i32.load (i32.const 0)))) (start $s))"#;
    let merged = linked(main, &[adapter]);
    let module = LinkedModule::parse("the result", &merged).expect("well-formed");
    let is_active = |n: usize| matches!(module.data[n].kind, wasmparser::DataKind::Active { .. });
    assert_eq!((is_active(0), is_active(1), module.starts), (true, false, vec![2]));
    // Without one, segments are in that order, as they may overlap.
    let merged = linked(main, &[r#"(module (memory (export "memory") 1) (data (i32.const 0) "a"))"#]);
    let module = LinkedModule::parse("the result", &merged).expect("well-formed");
    assert_eq!([module.data[0].data, module.data[1].data], [b"a", b"m"]);
    // If the start function only changes globals, segments stay active.
    let adapter = r#"(module (memory (export "memory") 1) (global (mut i32) (i32.const 0))
        (func $s (global.set 0 (i32.const 1))) (start $s))"#;
    let merged = linked(main, &[adapter]);
    let module = LinkedModule::parse("the result", &merged).expect("well-formed");
    assert!(matches!(module.data[0].kind, wasmparser::DataKind::Active { .. }));
}

#[test]
fn an_adapter_comes_after_the_one_whose_function_main_exports_again() {
    let main = r#"(module (import "env" "f" (func $f)) (memory (export "memory") 1) (export "f" (func $f)))"#;
    let user =
        r#"(module (import "env" "f" (func)) (import "env" "memory" (memory 1)) (data (i32.const 0) "u"))"#;
    let definer =
        r#"(module (import "env" "memory" (memory 1)) (func (export "f")) (data (i32.const 0) "d"))"#;
    let merged = linked(main, &[user, definer]);
    let module = LinkedModule::parse("the result", &merged).expect("well-formed");
    assert_eq!([module.data[0].data, module.data[1].data], [b"d", b"u"]);
}
