//! Flattened components, run by `wasmi`, and what is refused.

use wasmi::{Caller, Engine, Linker, Module, Store, Val};

use super::flatten;

fn flattened(text: &str) -> Vec<u8> {
    let wasm = flatten(&wat::parse_str(text).expect("well-formed")).expect("flattens");
    wasmparser::validate(&wasm).expect("valid");
    wasm
}

/// Calls an export of a flattened component. The function `get` of the host gives a string of one byte.
fn call(wasm: &[u8], name: &str, args: &[Val]) -> Result<Option<i64>, String> {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let get = |mut caller: Caller<'_, ()>, to: u32| {
        let realloc = caller.get_export("cabi_realloc").and_then(wasmi::Extern::into_func).expect("exported");
        let realloc = realloc.typed::<(i32, i32, i32, i32), i32>(&caller).expect("its type");
        let at = realloc.call(&mut caller, (0, 0, 1, 1)).expect("allocates");
        let memory = caller.get_export("memory").and_then(wasmi::Extern::into_memory).expect("exported");
        memory.write(&mut caller, to as usize, &at.to_le_bytes()).expect("in the memory");
    };
    linker.func_wrap("host:text/names@1.0.0", "get", get).expect("defined once");
    let module = Module::new(&engine, wasm).expect("valid");
    let instance = linker.instantiate_and_start(&mut store, &module).map_err(|error| error.to_string())?;
    let func = instance.get_func(&store, name).expect("exported");
    let mut results = vec![Val::I32(0); func.ty(&store).results().len()];
    func.call(&mut store, args, &mut results).map_err(|error| error.to_string())?;
    Ok(results.first().map(|result| result.i32().map_or_else(|| result.i64().unwrap_or(-1), i64::from)))
}

#[test]
fn instances_are_connected_as_they_are_told() {
    // The same module twice, each with a state of its own; a table is filled after the module that calls through it.
    let wasm = flattened(
        r#"(component
          (core module $Counter
            (memory 1)
            (global $n (mut i32) (i32.const 0))
            (func (export "next") (result i32)
              (global.set $n (i32.add (global.get $n) (i32.const 1)))
              (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (global.get $n)))
              (i32.load (i32.const 0))))
          (core module $Shim
            (table (export "$imports") 1 1 funcref)
            (func (export "0") (result i32) (call_indirect (result i32) (i32.const 0))))
          (core module $Fixup
            (import "" "$imports" (table 1 1 funcref))
            (import "" "0" (func (result i32)))
            (elem (i32.const 0) func 0))
          (core module $Main
            (import "one" "next" (func $one (result i32)))
            (import "other" "0" (func $other (result i32)))
            (func (export "main") (result i32)
              (drop (call $one))
              (i32.add (i32.mul (call $one) (i32.const 100)) (call $other))))
          (core instance $shim (instantiate $Shim))
          (core instance $one (instantiate $Counter))
          (core instance $other (instantiate $Counter))
          (core instance $main (instantiate $Main (with "one" (instance $one)) (with "other" (instance $shim))))
          (core instance (instantiate $Fixup (with "" (instance
            (export "$imports" (table $shim "$imports"))
            (export "0" (func $other "next"))))))
          (func $main (result u32) (canon lift (core func $main "main")))
          (component $Rename
            (import "f" (func $f (result u32)))
            (export "g" (func $f)))
          (instance $renamed (instantiate $Rename (with "f" (func $main))))
          (export "test:main/entry@1.2.3" (instance $renamed)))"#,
    );
    assert_eq!(call(&wasm, "test:main/entry@1.2.3#g", &[]), Ok(Some(301)));
}

#[test]
fn scalars_are_lifted_and_lowered() {
    let function = |ty: &str, flat: &str| {
        flattened(&format!(
            r#"(component
              (core module $M (func (export "f") (param {flat}) (result {flat}) (local.get 0)))
              (core instance $m (instantiate $M))
              (func (export "f") (param "x" {ty}) (result {ty}) (canon lift (core func $m "f"))))"#
        ))
    };
    let cases = [
        ("u8", 0x1ff, 0xff),
        ("s8", 0x80, -128),
        ("u16", -1, 0xffff),
        ("s16", 0x18000, -0x8000),
        ("bool", 7, 1),
        ("u32", -1, -1),
        ("char", 0xd7ff, 0xd7ff),
        ("char", 0xe000, 0xe000),
    ];
    for (ty, given, expected) in cases {
        assert_eq!(call(&function(ty, "i32"), "f", &[Val::I32(given)]), Ok(Some(expected)), "{ty}");
    }
    assert_eq!(call(&function("u64", "i64"), "f", &[Val::I64(-1)]), Ok(Some(-1)));
    for no_char in [0xd800, 0xdfff, 0x11_0000, -1] {
        let error = call(&function("char", "i32"), "f", &[Val::I32(no_char)]).expect_err("no character");
        assert!(error.contains("unreachable"), "{error}");
    }
}

#[test]
fn what_follows_a_call_is_called() {
    let wasm = flattened(
        r#"(component
          (core module $M
            (global $calls (mut i32) (i32.const 0))
            (func (export "f") (result i32) (global.get $calls))
            (func (export "after") (param i32)
              (global.set $calls (i32.add (local.get 0) (i32.const 1)))))
          (core instance $m (instantiate $M))
          (func (export "f") (result s32)
            (canon lift (core func $m "f") (post-return (core func $m "after")))))"#,
    );
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let module = Module::new(&engine, &wasm).expect("valid");
    let instance = Linker::new(&engine).instantiate_and_start(&mut store, &module).expect("no imports");
    let f = instance.get_typed_func::<(), i32>(&store, "f").expect("exported");
    let results: Vec<i32> = (0..3).map(|_| f.call(&mut store, ()).expect("returns")).collect();
    assert_eq!(results, [0, 1, 2]);
}

#[test]
fn every_caller_allocates_in_its_own_way() {
    let wasm = flattened(
        r#"(component
          (import "host:text/names@1.0.0" (instance $names (export "get" (func (result string)))))
          (core module $Memory
            (memory (export "memory") 1)
            (func (export "low") (param i32 i32 i32 i32) (result i32) (i32.const 1000))
            (func (export "high") (param i32 i32 i32 i32) (result i32) (i32.const 2000)))
          (core instance $m (instantiate $Memory))
          (alias core export $m "memory" (core memory $memory))
          (core func $low (canon lower (func $names "get") (memory (core memory $memory)) (realloc (core func $m "low"))))
          (core func $high (canon lower (func $names "get") (memory (core memory $memory)) (realloc (core func $m "high"))))
          (core module $Main
            (import "names" "low" (func $low (param i32)))
            (import "names" "high" (func $high (param i32)))
            (import "m" "memory" (memory 1))
            (func (export "f") (result i32)
              (call $low (i32.const 0))
              (call $high (i32.const 8))
              (call $low (i32.const 16))
              (i32.add (i32.load (i32.const 0)) (i32.sub (i32.load (i32.const 8)) (i32.load (i32.const 16))))))
          (core instance $main (instantiate $Main
            (with "names" (instance (export "low" (func $low)) (export "high" (func $high))))
            (with "m" (instance $m))))
          (func (export "f") (result u32) (canon lift (core func $main "f"))))"#,
    );
    assert_eq!(call(&wasm, "f", &[]), Ok(Some(2000)));
}

#[test]
fn what_cannot_be_flattened_is_named() {
    let refused = |text: &str| {
        let wasm = wat::parse_str(text).expect("well-formed");
        flatten(&wasm).expect_err("refused").to_string()
    };
    let cases = [
        ("(component)", "exports no function that can be called"),
        (
            r#"(component (core module $M (memory (export "m") 1) (func (export "f") (result i32) (i32.const 0)))
              (core instance $m (instantiate $M))
              (func (export "f") (result string) (canon lift (core func $m "f") (memory (core memory $m "m")))))"#,
            "can be called (f have other types)",
        ),
        (
            r#"(component (import "a" (func $f (param "x" string))) (core module $M (memory (export "m") 1))
              (core instance $m (instantiate $M))
              (core func (canon lower (func $f) string-encoding=utf16 (memory (core memory $m "m")))))"#,
            "uses UTF-16 strings (offset 0x",
        ),
        (
            r#"(component (type $r (resource (rep i32))) (core func (canon resource.new $r)))"#,
            "uses resources of its own",
        ),
        (r#"(component (core func (canon backpressure.inc)))"#, "uses asynchronous functions or threads"),
        (r#"(component (import "m" (core module)))"#, "imports m, which is no interface of functions"),
        (
            r#"(component (core module $M (func (export "f"))) (core instance $m (instantiate $M))
              (func $f (canon lift (core func $m "f"))) (core func (canon lower (func $f))))"#,
            "uses calls between its parts",
        ),
        (
            r#"(component (import "a" (func $f (param "x" string)))
              (core module $M (memory (export "m") 1) (func (export "f")))
              (core instance $m (instantiate $M)) (core instance $n (instantiate $M))
              (core func (canon lower (func $f) (memory (core memory $m "m"))))
              (core func (canon lower (func $f) (memory (core memory $n "m"))))
              (func (export "f") (canon lift (core func $m "f"))))"#,
            "several memories",
        ),
    ];
    for (text, told) in cases {
        let error = refused(text);
        assert!(error.contains(told), "{error}");
    }
    let error = flatten(b"\0asm\x0d\0\x01\0\x07").expect_err("cut off").to_string();
    assert!(error.contains("invalid at offset"), "{error}");
}
