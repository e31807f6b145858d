//! Values and contents of placed side modules, by hand.

use super::*;

fn placed(text: &str) -> Placed {
    let wasm = wat::parse_str(text).expect("a module");
    let placed = place(&wasm, &BTreeMap::new()).expect("a place").expect("a side module");
    wasmparser::Validator::new().validate_all(&placed.wasm).expect("valid");
    placed
}

fn value(placed: &Placed, module: &str, field: &str) -> Option<ConstValue> {
    let name = Import { module: module.to_owned(), field: field.to_owned() };
    placed.globals.get(&name).copied()
}

fn text(placed: &Placed) -> String {
    wasmprinter::print_bytes(&placed.wasm).expect("valid")
}

#[test]
fn other_modules_have_no_place() {
    let plain = wat::parse_str("(module (import \"env\" \"__memory_base\" (global i32)))").expect("a module");
    assert_eq!(place(&plain, &BTreeMap::new()), Ok(None));
    assert_eq!(place(b"\0asm\x01\0\0\0\xff", &BTreeMap::new()), Ok(None));
    let damaged = wat::parse_str("(module (@custom \"dylink.0\" \"\\01\\ff\"))").expect("a module");
    assert_eq!(place(&damaged, &BTreeMap::new()), Ok(None));
}

#[test]
fn the_older_section_has_the_same_numbers() {
    let placed = placed(
        r#"(module (@custom "dylink" (before first) "\80\80\08\12\03\02\00")
          (import "env" "memory" (memory 1 2)) (import "env" "__indirect_function_table" (table 0 1 funcref))
          (import "env" "__memory_base" (global i32)) (import "env" "__table_base" (global i32))
          (func (export "__post_instantiate")) (func (export "__wasm_apply_relocs")))"#,
    );
    assert_eq!(value(&placed, "env", "__memory_base"), Some(ConstValue::I32(0x40000)));
    assert_eq!(value(&placed, "env", "__table_base"), Some(ConstValue::I32(4)));
    let text = text(&placed);
    assert!(text.contains("(memory (;0;) 6 6)") && text.contains("(table (;0;) 7 7 funcref)"), "{text}");
    assert!(text.contains("(start 2)") && text.contains("call 1\n    call 0"), "{text}");
    assert!(!text.contains("dylink"), "{text}");
}

#[test]
fn functions_keep_the_entry_that_the_module_gives_them() {
    let placed = placed(
        r#"(module (@dylink.0 (mem-info (table 3 0)) (import-info "env" "weak" binding-weak undefined))
          (import "env" "table" (table 1 funcref)) (import "env" "__indirect_function_table" (table 0 funcref))
          (import "env" "__table_base" (global $base i32))
          (import "GOT.func" "second" (global (mut i32))) (import "GOT.func" "unlisted" (global (mut i32)))
          (import "GOT.func" "outside" (global (mut i32))) (import "GOT.func" "weak" (global (mut i32)))
          (import "GOT.func" "absent" (global (mut i32))) (import "env" "outside" (func $outside))
          (import "env" "weak" (func)) (start $first)
          (func $first) (func $second (export "second")) (func (export "unlisted"))
          (elem (table 1) (global.get $base) func $first $second $first))"#,
    );
    let entry = |symbol: &str| value(&placed, "GOT.func", &format!("GOT.func.{symbol}"));
    assert_eq!(entry("second"), Some(ConstValue::I32(2)));
    assert_eq!(entry("unlisted"), Some(ConstValue::I32(4)));
    assert_eq!(entry("outside"), Some(ConstValue::I32(5)));
    assert_eq!(entry("weak"), Some(ConstValue::I32(0)));
    assert_eq!(entry("absent"), None);
    let text = text(&placed);
    assert!(text.contains("(table 1) (i32.const 4) func 4 $outside"), "{text}");
    assert!(text.contains("(table (;0;) 1 funcref)") && text.contains("(table (;1;) 6 funcref)"), "{text}");
    assert!(text.contains("\"GOT.func\" \"absent\"") && text.contains("(start"), "{text}");
}

#[test]
fn addresses_of_data_count_from_its_base() {
    let placed = placed(
        r#"(module (@dylink.0 (mem-info (memory 70000 4)) (export-info "own" tls))
          (import "env" "memory" (memory i64 1))
          (import "env" "__memory_base" (global $base i64)) (import "GOT.mem" "plain" (global (mut i64)))
          (import "GOT.mem" "sum" (global (mut i64))) (import "GOT.mem" "own" (global (mut i64)))
          (import "GOT.mem" "__heap_base" (global (mut i64))) (import "GOT.mem" "absent" (global (mut i64)))
          (global (export "plain") i64 (i64.const 12)) (global (export "own") i64 (i64.const 4))
          (global (export "sum") i64 (i64.add (global.get $base) (i64.const 20))))"#,
    );
    let address = |symbol: &str| value(&placed, "GOT.mem", &format!("GOT.mem.{symbol}"));
    assert_eq!(value(&placed, "env", "__memory_base"), Some(ConstValue::I64(65536)));
    assert_eq!(address("plain"), Some(ConstValue::I64(65548)));
    assert_eq!(address("sum"), Some(ConstValue::I64(65556)));
    assert_eq!(address("__heap_base"), Some(ConstValue::I64(135_536)));
    assert_eq!([address("own"), address("absent")], [None, None]);
    assert!(text(&placed).contains("(memory (;0;) i64 3)"));
}

#[test]
fn segments_of_entries_may_be_new() {
    let placed = placed(
        r#"(module (@dylink.0)
          (import "env" "__indirect_function_table" (table 0 funcref))
          (import "GOT.func" "f" (global (mut i32))) (import "env" "memory" (memory 0))
          (func (export "f")) (func (export "__wasm_call_ctors")) (data (i32.const 0) ""))"#,
    );
    let text = text(&placed);
    assert!(text.contains("(elem (;0;) (i32.const 1) func 0)") && text.contains("(start 2)"), "{text}");
}
