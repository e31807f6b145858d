//! Imports from outside: missing ones, names and numbers of host calls, globals, and side modules.

mod support;

use serde_json::Value;
use support::{Folder, text};

/// Imports of several interfaces, all of them used.
const INTERFACES: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wbg" "__wbindgen_throw" (func $throw (param i32 i32)))
  (import "env" "emscripten_resize_heap" (func $resize (param i32) (result i32)))
  (import "gojs" "runtime.wasmExit" (func $exit (param i32)))
  (import "env" "seed" (func $seed (result f64)))
  (import "host" "pay" (func $pay (param i64 i64 i64 i64 i64 i64 i64 i64)))
  (import "host" "unused" (func $unused (param i64)))
  (memory 1)
  (func (export "main") (param i32 i32) (result i64)
    (if (local.get 1) (then
      (drop (call $fd_write (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
      (call $throw (i32.const 0) (i32.const 0))
      (drop (call $resize (i32.const 0)))
      (call $exit (i32.const 0))
      (drop (call $seed))
      (call $pay (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)
        (i64.const 0))))
    (i64.const 0x400000000)))"#;

#[test]
fn missing_imports_are_explained_with_a_map_that_works() {
    let folder = Folder::new("imports-explained");
    folder.write("many.wat", INTERFACES);
    let output = folder.tool(&["compile", "many.wat"], b"");
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    let parts = [
        "no action for 6 imports: WASI (",
        "use --wasi",
        "help: wasm-bindgen (1): ",
        "help: Emscripten (1): ",
        "help: Go (1): ",
        "help: AssemblyScript (1): ",
        "help: others (1): ",
        "host.pay",
        "8 parameters, 0 results, used by main",
    ];
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    assert!(!message.contains("unused"), "{message}");
    let (_, map) = message.split_once("with --imports FILE:\n").expect("a map");
    folder.write("start.map", map);
    folder.succeed(&["compile", "many.wat", "--imports", "start.map", "-o", "many.jam"]);
    assert_eq!(folder.run_json("many.jam", &[])["status"], "halt");
    assert_eq!(folder.run_json("many.jam", &["--args", "00"])["status"], "panic");
    let thumb = ["--target", "thumbv7m", "--memory", "symbol", "--floats", "soft", "-o", "many.o", "--json"];
    for (imports, symbols) in [("start.map", 0), ("trap", 0), ("rest.map", 5)] {
        folder.write("rest.map", "host.* = nop");
        let printed = folder.succeed(&[&["compile", "many.wat", "--imports", imports][..], &thumb].concat());
        let report: Value = serde_json::from_str(&printed).expect("JSON");
        assert_eq!(report["imports"].as_array().map(Vec::len), Some(symbols), "{imports}: {report}");
    }
}

#[test]
fn host_calls_of_an_import_map_are_refused_on_cortex_m() {
    let folder = Folder::new("imports-thumb");
    folder.write("many.wat", INTERFACES);
    let compile = ["compile", "many.wat", "--target", "thumbv7m", "--floats", "soft", "--imports"];
    for (map, name) in [("pay = ecalli 7", "`pay`"), ("pay = read", "`pay`")] {
        folder.write("host.map", map);
        let refused = folder.fail(&[&compile[..], &["host.map"]].concat(), b"", 2);
        assert!(refused.contains(name) && refused.contains("only the PVM has"), "{refused}");
    }
    let refused = folder.fail(&[&compile[..], &["auto"]].concat(), b"", 2);
    assert!(refused.contains("`auto` is a host call"), "{refused}");
}

#[test]
fn globals_of_imports_that_trap_are_zero() {
    let folder = Folder::new("imports-zero");
    folder.write(
        "globals.wat",
        r#"(module (import "env" "a" (global $a i32)) (import "GOT.mem" "b" (global $b (mut i64)))
          (import "env" "c" (global $c f64)) (import "env" "d" (global $d externref))
          (import "env" "e" (global $e v128)) (import "env" "memory" (memory 1))
          (import "env" "table" (table 2 funcref))
          (func (export "main") (param i32 i32) (result i64)
            (i32.store (i32.const 0) (i32.add (global.get $a) (i32.sub
              (ref.is_null (global.get $d)) (v128.any_true (global.get $e)))))
            (i64.store (i32.const 4) (global.get $b)) (f64.store (i32.const 12) (global.get $c))
            (i32.store (i32.const 20) (table.size)) (i64.const 0x1800000000)))"#,
    );
    let zero = "010000000000000000000000000000000000000002000000";
    for (options, result) in [
        (&["--imports", "trap"][..], zero.to_owned()),
        (&["--imports", "trap", "--global", "env.a=6"], format!("07{}", &zero[2..])),
        (&["--imports", "trap", "--global", "GOT.mem.b=i64:5"], format!("{}05{}", &zero[..8], &zero[10..])),
    ] {
        folder.succeed(&[&["compile", "globals.wat"], options].concat());
        assert_eq!(folder.run_json("globals.jam", &[])["result"], result, "{options:?}");
    }
    let refused = folder.fail(&["compile", "globals.wat", "-o", "x"], b"", 1);
    let told = "--global GOT.mem.b=i64:VALUE --global env.c=f64:VALUE";
    assert!(refused.contains(told) && refused.contains("--imports trap"), "{refused}");
}

/// Host calls by name: addresses are those of wasm.
const NAMED: &str = r#"(module
  (import "jam" "log" (func $log (param i64 i32 i32 i32 i32) (result i64)))
  (import "jam" "read" (func $read (param i32 i32 i32 i32 i32 i32) (result i64)))
  (import "jam" "gas" (func $gas (result i64)))
  (memory 1) (data (i32.const 8) "hello") (data (i32.const 16) "here")
  (func (export "main") (param i32 i32) (result i64)
    (drop (call $log (i64.const 2) (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 5)))
    (drop (call $log (i64.const 2) (i32.const 16) (i32.const 4) (i32.const 8) (i32.const 5)))
    (if (i64.eqz (call $gas)) (then
      (drop (call $read (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6)))))
    (i64.const 0)))"#;

/// Numbers of the host calls in a program's listing.
fn numbers(folder: &Folder, program: &str) -> Vec<u32> {
    let listing = folder.succeed(&["disasm", program, "--no-bytes"]);
    let number = |line: &str| line.split_once("ecalli ")?.1.split_whitespace().next()?.parse().ok();
    let mut numbers: Vec<u32> = listing.lines().filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn host_calls_have_names_in_both_versions() {
    let folder = Folder::new("imports-jam");
    folder.write("named.wat", NAMED);
    for level in ["-O0", "-O2", "-Oz"] {
        for (gp, read) in [("0.7", 3), ("0.8", 4)] {
            folder.succeed(&["compile", "named.wat", "--gp", gp, level, "--host-calls", "0.7"]);
            assert_eq!(numbers(&folder, "named.jam"), [0, read, 100, 100], "{gp} {level}");
            let outcome = folder.run_json("named.jam", &[]);
            for (line, target) in [(0, ""), (1, "here")] {
                let expected = serde_json::json!({ "level": 2, "message": "hello", "target": target });
                assert_eq!(outcome["log"][line], expected, "{outcome}");
            }
        }
    }
    folder.write(
        "short.wat",
        NAMED
            .replace("(param i64 i32 i32 i32 i32)", "(param i64 i32)")
            .replace(
                "(i64.const 2) (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 5)",
                "(i64.const 2) (i32.const 0)",
            )
            .replace(
                "(i64.const 2) (i32.const 16) (i32.const 4) (i32.const 8) (i32.const 5)",
                "(i64.const 2) (i32.const 0)",
            ),
    );
    let refused = folder.fail(&["compile", "short.wat"], b"", 1);
    let told =
        "the host call is log(level, target?, target_length, message*, message_length) with up to one result";
    assert!(refused.contains(told), "{refused}");
    folder.write(
        "grow.wat",
        r#"(module (import "jam" "grow_heap" (func $grow (param i64) (result i64)))
          (func (export "main") (drop (call $grow (i64.const 1)))))"#,
    );
    folder.succeed(&["compile", "grow.wat"]);
    let refused = folder.fail(&["compile", "grow.wat", "--gp", "0.7", "-o", "x"], b"", 1);
    assert!(refused.contains("GP 0.7 has no host call grow_heap"), "{refused}");
}

/// Host calls by number, from the module and from an import map.
const NUMBERED: &str = r#"(module
  (import "env" "host_call_2" (func $two (param i64 i64 i64) (result i64)))
  (import "env" "host_call_6b" (func $six (param i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (import "env" "mapped" (func $mapped (param i32) (result i32)))
  (func (export "main")
    (drop (call $two (i64.const 0) (i64.const 1) (i64.const 2)))
    (drop (call $two (i64.const 4) (i64.const 1) (i64.const 2)))
    (drop (call $six (i64.const 1) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6)))
    (drop (call $two (i64.const 100) (i64.const 1) (i64.const 2)))
    (drop (call $mapped (i32.const 7)))))"#;

#[test]
fn numbers_of_host_calls_are_translated_by_meaning() {
    let folder = Folder::new("imports-numbers");
    folder.write("numbered.wat", NUMBERED);
    folder.write("map", "mapped = ecalli 26");
    let compile = ["compile", "numbered.wat", "--imports", "map"];
    for level in ["-O0", "-O2", "-Oz"] {
        for (gp, host_calls, expected) in [
            ("0.8", Some("0.7"), [0, 2, 5, 27, 100]),
            ("0.8", Some("0.8"), [0, 1, 4, 26, 100]),
            ("0.8", None, [0, 1, 4, 26, 100]),
            ("0.7", Some("0.7"), [0, 1, 4, 26, 100]),
            ("0.7", None, [0, 1, 4, 26, 100]),
        ] {
            let stated: Vec<&str> = host_calls.into_iter().flat_map(|gp| ["--host-calls", gp]).collect();
            let output = folder.tool(&[&compile[..], &["--gp", gp, level], &stated].concat(), b"");
            let warning = text(&output.stderr);
            assert!(output.status.success(), "{warning}");
            assert_eq!(numbers(&folder, "numbered.jam"), expected, "{gp} {host_calls:?} {level}");
            let is_told = warning.contains("(1, 4, 26)")
                && warning.contains("1 is fetch in GP 0.7 and grow_heap in GP 0.8");
            assert_eq!(is_told, host_calls.is_none(), "{gp} {host_calls:?}: {warning}");
        }
    }
    let backwards = [&compile[..], &["--gp", "0.7", "--host-calls", "0.8", "-o", "x"]].concat();
    let refused = folder.fail(&backwards, b"", 1);
    assert!(refused.contains("host call 1 of GP 0.8 is grow_heap, which GP 0.7 does not have"), "{refused}");
    // Names need no version.
    folder.write("map", "mapped = read\n* = trap");
    folder.write(
        "plain.wat",
        NUMBERED.replace("i64.const 4)", "i64.const 0)").replace("i64.const 1)", "i64.const 0)"),
    );
    assert_eq!(text(&folder.tool(&["compile", "plain.wat", "--imports", "map"], b"").stderr), "");
}

/// A side module by hand: its data is an address of itself and one of a function, both relocated at the start.
const SIDE: &str = r#"(module
  (@dylink.0 (mem-info (memory 100 5) (table 1 0)))
  (import "env" "memory" (memory 0))
  (import "env" "__indirect_function_table" (table 0 funcref))
  (import "env" "__memory_base" (global $memory_base i32))
  (import "env" "__table_base" (global $table_base i32))
  (import "GOT.mem" "answer" (global $answer (mut i32)))
  (import "GOT.func" "give" (global $give (mut i32)))
  (import "GOT.func" "other" (global $other (mut i32)))
  (import "env" "__stack_pointer" (global $stack_pointer (mut i32)))
  (import "env" "other" (func $other (param i32) (result i32)))
  (type $function (func (param i32) (result i32)))
  (global (export "answer") i32 (i32.const 8))
  (elem (global.get $table_base) $local)
  (data (global.get $memory_base) "\00\00\00\00\00\00\00\00\2a\00\00\00")
  (func (export "give") (type $function) (i32.mul (local.get 0) (i32.load (i32.load (global.get $memory_base)))))
  (func $local (type $function) (i32.const 3))
  (func (export "__wasm_call_ctors") (i32.store (i32.load (global.get $memory_base)) (i32.const 43)))
  (func (export "__wasm_apply_data_relocs")
    (i32.store (global.get $memory_base) (global.get $answer))
    (i32.store offset=4 (global.get $memory_base) (global.get $give)))
  (func (export "main") (param i32 i32) (result i64)
    (global.set $stack_pointer (i32.sub (global.get $stack_pointer) (i32.const 16)))
    (i32.store (global.get $stack_pointer) (call_indirect (type $function) (i32.const 2)
      (i32.load offset=4 (global.get $memory_base))))
    (i32.store offset=4 (global.get $stack_pointer) (global.get $memory_base))
    (i32.store offset=8 (global.get $stack_pointer) (call_indirect (type $function) (i32.const 0) (global.get $table_base)))
    (if (local.get 1) (then (drop (call_indirect (type $function) (i32.const 0) (global.get $other)))))
    (i64.or (i64.extend_i32_u (global.get $stack_pointer)) (i64.const 0xc00000000))))"#;

#[test]
fn side_modules_are_placed() {
    let folder = Folder::new("side-module");
    folder.write("side.wat", SIDE);
    for level in ["-O0", "-O2", "-Oz"] {
        for bounds in ["guard", "strict"] {
            folder.succeed(&["compile", "side.wat", level, "--bounds", bounds, "--imports", "trap"]);
            let outcome = folder.run_json("side.jam", &[]);
            assert_eq!(outcome["result"], "560000000000010003000000", "{level} {bounds}");
            let outcome = folder.run_json("side.jam", &["--args", "00"]);
            assert!(outcome["log"].to_string().contains("env.other is not available"), "{outcome}");
        }
        folder.succeed(&[
            "compile",
            "side.wat",
            level,
            "-i",
            "trap",
            "--global",
            "env.__memory_base=0x20000",
        ]);
        assert_eq!(folder.run_json("side.jam", &[])["result"], "560000000000020003000000", "{level}");
    }
    let refused = folder.fail(&["compile", "side.wat", "-o", "x"], b"", 1);
    assert!(
        refused.contains("no action for 1 import: others (") && refused.contains("env.other"),
        "{refused}"
    );
    folder.write("other.wat", r#"(module (func (export "other") (param i32) (result i32) (i32.const 5)))"#);
    folder.succeed(&["compile", "side.wat", "--adapter", "other.wat"]);
    assert_eq!(folder.run_json("side.jam", &["--args", "00"])["status"], "halt");
    folder.write("far.wat", SIDE.replace("(memory 100 5)", "(memory 100 40)"));
    let refused = folder.fail(&["compile", "far.wat", "-o", "x"], b"", 1);
    assert!(refused.contains("an alignment of 2^40"), "{refused}");
}
