//! Containers, compressed blobs, profiles and limits, from outside of the tool.

mod support;

use std::io::Write;

use support::{Folder, text};

/// Reverses its argument in place.
const REVERSE: &str = r#"(module
  (import "env" "gas" (func $gas (result i64)))
  (memory (export "memory") 1)
  (func (export "other") (param i64) (result i64) (i64.add (local.get 0) (call $gas)))
  (func (export "main") (param $at i32) (param $len i32) (result i64) (local $n i32)
    (block $done (loop $next
      (br_if $done (i32.eq (local.get $n) (local.get $len)))
      (i32.store8 (i32.add (i32.const 1000) (local.get $n))
        (i32.load8_u (i32.add (local.get $at)
          (i32.sub (i32.sub (local.get $len) (local.get $n)) (i32.const 1)))))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br $next)))
    (i64.or (i64.const 1000) (i64.shl (i64.extend_i32_u (local.get $len)) (i64.const 32)))))"#;

fn compressed(kind: u8, contents: &[u8]) -> Vec<u8> {
    let mut blob = vec![0x52, 0xbc, 0x53, 0x76, 0x46, 0xdb, 0x8e, kind];
    blob.write_all(&zstd::stream::encode_all(contents, 3).expect("in memory")).expect("in memory");
    blob
}

/// A folder with the program as `a.wat`.
fn folder(name: &str, wat: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("a.wat", wat);
    folder
}

#[test]
fn programs_are_told_apart_by_content() {
    let folder = folder("containers", REVERSE);
    let forms: [(&str, &[&str]); 4] = [
        ("polkavm", &["--format", "polkavm"]),
        ("polkavm", &["--format", "polkavm", "--gp", "0.7", "-Oz"]),
        ("corevm", &["--format", "corevm"]),
        ("corevm", &["--format", "corevm", "--gp", "0.7"]),
    ];
    for (form, options) in forms {
        folder.succeed(&[&["compile", "a.wat", "-o", "a.jam"], options].concat());
        let plain = std::fs::read(folder.path("a.jam")).unwrap();
        folder.write("packed.spi", compressed(8, &plain));
        for file in ["a.jam", "packed.spi"] {
            let info: serde_json::Value =
                serde_json::from_str(&folder.succeed(&["info", file, "--json"])).unwrap();
            let gp = if options.contains(&"0.7") { "0.7" } else { "0.8" };
            assert_eq!((info["form"].as_str(), info["gp"].as_str()), (Some(form), Some(gp)));
            assert_eq!(info["entries"][1]["signature"], "ii>I");
            assert!(info["sizes"]["symbols"].as_u64().is_some_and(|bytes| bytes > 10));
            assert!(folder.succeed(&["info", file]).contains("import env.gas: ecalli 0"));
            assert!(folder.succeed(&["disasm", file]).contains("\nmain:\n"));
            assert!(folder.succeed(&["gas", file]).contains("  main\n"));
            let ran = folder.succeed(&["run", file, "--entry", "main", "--args", "01020304"]);
            assert!(ran.ends_with("result: 04030201\n"), "{ran}");
            assert!(folder.succeed(&["run", file, "--entry", "other"]).starts_with("status: halt"));
            let called = folder.succeed(&["run", file, "--invoke", "main", "0", "5"]);
            assert!(called.contains(&((5u64 << 32) + 1000).to_string()), "{called}");
        }
    }
    assert!(folder.succeed(&["disasm", "a.jam"]).contains("other:"));
    let raw = folder.fail(&["compile", "a.wat", "--format", "polkavm", "--entries", "raw"], b"", 2);
    assert!(raw.contains("typed functions, without --entries"), "{raw}");
}

#[test]
fn compressed_blobs_are_code_or_refused() {
    let folder = folder("blobs", REVERSE);
    let wasm = wat::parse_str(REVERSE).unwrap();
    for kind in [5, 7] {
        folder.write("b", compressed(kind, &wasm));
        folder.succeed(&["compile", "b", "-o", "b.polkavm", "--format", "polkavm"]);
        assert!(
            folder.succeed(&["run", "b", "--entry", "main", "--args", "0102"]).contains("result: 0201\n")
        );
        for command in ["info", "disasm", "gas"] {
            let told = folder.fail(&[command, "b"], b"", 1);
            assert!(told.contains("is WebAssembly; compile it first"), "{told}");
        }
    }
    let program = std::fs::read(folder.path("b.polkavm")).unwrap();
    let cases = [
        (compressed(8, &program), "a compiled program in PolkaVM's container"),
        (program.clone(), "a compiled program in PolkaVM's container"),
        (compressed(6, &wasm), "a compressed proof of validity"),
        (compressed(9, &wasm), "the unknown kind 9"),
        (compressed(7, &wasm)[..40].to_vec(), "the compressed blob is damaged"),
    ];
    for (bytes, expected) in cases {
        folder.write("c", bytes);
        let told = folder.fail(&["compile", "c", "-o", "never"], b"", 1);
        assert!(told.contains(expected), "{told}");
    }
    assert!(!folder.files().contains(&"never".to_owned()));
}

#[test]
fn damaged_programs_are_errors() {
    let folder = folder("damaged", REVERSE);
    folder.succeed(&["compile", "a.wat", "--format", "corevm"]);
    let whole = std::fs::read(folder.path("a.corevm")).unwrap();
    let start = whole.windows(4).position(|bytes| bytes == b"PVM\0").unwrap();
    for len in (0..whole.len()).step_by(17) {
        for from in [0, start] {
            folder.write("cut", &whole[from.min(len)..len]);
            let told = folder.fail(&["info", "cut"], b"", 1);
            assert!(told.contains("not a PVM program: at byte"), "{told}");
        }
    }
    for (at, expected) in [(4, "the instruction set is neither"), (5, "the length is not that of the file")] {
        let mut bytes = whole[start..].to_vec();
        bytes[at] ^= 0x55;
        folder.write("bad", bytes);
        let told = folder.fail(&["run", "bad"], b"", 1);
        assert!(told.contains(expected), "{told}");
    }
}

/// `size` bytes of data, and a function that reads them.
fn with_data(export: &str, size: usize) -> String {
    let (data, pages) = ("x".repeat(size), size / 65536 + 3);
    format!(
        r#"(module (memory {pages}) (data (i32.const 0) "{data}")
          (func (export "{export}") (param i32 i32) (result i64) (i64.load (local.get 0))))"#
    )
}

#[test]
fn services_and_authorizers_have_limits() {
    let folder = Folder::new("limits-jam");
    let cases = [
        ("refine", 3_990_000, 4_010_000, "bytes of a service (W_C) with metadata: 40", "limit is 4000000"),
        ("is_authorized", 63_000, 64_500, "bytes of an authorizer (W_A) with metadata: 64", "limit is 64000"),
    ];
    for (export, fits, exceeds, what, limit) in cases {
        folder.write("a.wat", with_data(export, fits));
        folder.succeed(&["compile", "a.wat", "--profile", "jam", "-o", "fits"]);
        folder.write("a.wat", with_data(export, exceeds));
        let told = folder.fail(&["compile", "a.wat", "--profile", "jam"], b"", 1);
        assert!(told.contains(what) && told.contains(limit), "{told}");
        assert!(told.contains(&format!("(read-write data {exceeds}, ")), "{told}");
        assert!(told.contains(&format!("largest functions: {export} ")), "{told}");
        folder.succeed(&["compile", "a.wat", "-o", "without"]);
    }
    assert_eq!(folder.files(), ["a.wat", "fits", "without"]);
    folder.write("a.wat", with_data("other", 10));
    let told = folder.fail(&["compile", "a.wat", "--profile", "jam"], b"", 1);
    assert!(told.contains("exports no entry of a service or authorizer"), "{told}");
}

/// A contract whose `call` is `body`.
fn contract(body: &str, pages: u32) -> String {
    format!(
        r#"(module (import "env" "value" (func $value (result i64))) (import "env" "put" (func $put (param i32 i64)))
          (memory {pages}) (global $__stack_pointer (mut i32) (i32.const 196608))
          (data (i32.const 196608) "x")
          (func (export "deploy"))
          (func $call (export "call") (local $x i64) {body}))"#
    )
}

#[test]
fn contracts_have_limits() {
    let folder = Folder::new("limits-revive");
    let compile = ["compile", "a.wat", "--profile", "revive"];
    let store = "(i64.store (i32.const 196616) (call $value))";
    folder.write("a.wat", contract(store, 4));
    folder.succeed(&compile);
    let info = folder.succeed(&["info", "a.polkavm"]);
    assert!(
        info.contains("instruction set:   ReviveV1") && info.contains("0x00000000 + wasm address"),
        "{info}"
    );
    std::fs::remove_file(folder.path("a.polkavm")).unwrap();

    folder.write("a.wat", contract(store, 30));
    let told = folder.fail(&compile, b"", 1);
    assert!(told.contains("bytes of memory of a contract: ") && told.contains("limit is 1572864"), "{told}");
    assert!(told.contains("variables and linear memory 1"), "{told}");

    let long = "(local.set $x (i64.xor (i64.rotl (local.get $x) (i64.const 7)) (call $value)))".repeat(400);
    folder.write("a.wat", contract(&format!("{long} (call $put (i32.const 0) (local.get $x))"), 4));
    // Long blocks are cut.
    folder.succeed(&compile);
    let gas: serde_json::Value =
        serde_json::from_str(&folder.succeed(&["gas", "a.polkavm", "--json"])).unwrap();
    let blocks: Vec<u64> = gas["functions"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|function| function["blocks"].as_array().unwrap())
        .map(|block| block["gas"].as_u64().unwrap())
        .collect();
    assert!(
        blocks.iter().sum::<u64>() > 1100 && blocks.iter().all(|&instructions| instructions <= 1000),
        "{blocks:?}"
    );
    std::fs::remove_file(folder.path("a.polkavm")).unwrap();

    folder.write("a.wat", contract(store, 4).replace("\"deploy\"", "\"deployed\""));
    let told = folder.fail(&compile, b"", 1);
    assert!(told.contains("a contract exports `deploy` and `call`, and this module no `deploy`"), "{told}");
    folder.write("a.wat", contract(store, 4).replace("196608", "65536"));
    let told = folder.fail(&compile, b"", 1);
    assert!(
        told.contains("wasm addresses can't be the machine's") && told.contains("--stack-first"),
        "{told}"
    );
    assert_eq!(folder.files(), ["a.wat"]);
}

#[test]
fn profiles_say_what_is_missing() {
    let folder =
        folder("profiles", "(module (func (export \"main\") (param i32 i32) (result i64) (i64.const 0)))");
    let fails = |profile: &str| folder.fail(&["compile", "a.wat", "--profile", profile], b"", 1);
    assert!(fails("corevm").contains("CoreVM calls `main` without arguments, and it has the signature ii>I"));
    folder.write("a.wat", "(module (func (export \"f\")))");
    assert!(fails("corevm").contains("exports `main` or `_pvm_start`"));
    assert!(
        fails("substrate").contains("a runtime exports functions (i32, i32) -> i64, and this module none")
    );
    folder.write("a.wat", "(module (func (export \"main\") (result i64) (i64.const 0)))");
    folder.succeed(&["compile", "a.wat", "--profile", "corevm"]);
    assert!(folder.succeed(&["info", "a.corevm"]).contains("instruction set:   JamV1"));
    let usage = |options: &[&str]| folder.fail(&[&["compile", "a.wat"], options].concat(), b"", 2);
    assert!(usage(&["--profile", "revive", "--gp", "0.8"]).contains("the instruction set of GP 0.7.2"));
    assert!(usage(&["--profile", "revive", "--format", "jam"]).contains("contradict each other"));
    assert!(usage(&["--profile", "substrate", "--bounds", "strict"]).contains("--bounds strict"));
    assert!(usage(&["--growth-bytes", "1M"]).contains("PolkaVM's container"));
}

#[test]
fn host_calls_by_number_are_refused_where_they_have_symbols() {
    let folder = folder(
        "numbers",
        r#"(module (import "env" "host_call_1" (func $h (param i64 i64) (result i64)))
          (import "env" "read" (func $r (result i64)))
          (func (export "f") (result i64) (i64.add (call $h (i64.const 5) (i64.const 1)) (call $r))))"#,
    );
    let told = folder.fail(&["compile", "a.wat", "--format", "polkavm"], b"", 1);
    assert!(told.contains("host call by number: env.host_call_1; "), "{told}");
    folder.write("map", "host_call_1 = nop\nread = ecalli 7");
    let told = folder.fail(&["compile", "a.wat", "--format", "polkavm", "-i", "map"], b"", 1);
    assert!(told.contains("host call by number: env.read; "), "{told}");
    folder.write("map", "host_call_1 = nop");
    folder.succeed(&["compile", "a.wat", "--format", "polkavm", "-i", "map"]);
    assert!(folder.succeed(&["info", "a.polkavm"]).contains("import env.read: ecalli 0\n"));
}

#[test]
fn metadata_is_as_long_as_tools_read() {
    let export = |n: usize| {
        format!("(func (export \"a_rather_long_name_of_an_export_{n}\") (result i32) (i32.const {n}))")
    };
    let module = |count: usize| format!("(module {})", (0..count).map(export).collect::<String>());
    let folder = folder("metadata", &module(150));
    let metadata = |options: &[&str]| {
        let output = folder.tool(&[&["compile", "a.wat"], options].concat(), b"");
        assert!(output.status.success(), "{}", text(&output.stderr));
        let info: serde_json::Value =
            serde_json::from_str(&folder.succeed(&["info", "a.jam", "--json"])).unwrap();
        let exports = info["entries"].as_array().unwrap().len();
        (info["sizes"]["metadata"].as_u64().unwrap(), exports, text(&output.stderr))
    };
    let (bytes, exports, told) = metadata(&["-v"]);
    assert!(bytes <= 8190 && exports == 150 && told.contains("has no names of functions"), "{bytes} {told}");
    let (bytes, _, told) = metadata(&["--names", "keep"]);
    assert!(bytes > 8192 && told.contains("warning[W0108]: the metadata has "), "{bytes} {told}");
    folder.write("a.wat", module(300));
    let (bytes, exports, told) = metadata(&[]);
    assert!(bytes < 100 && exports == 0, "{bytes}");
    assert!(told.contains("warning[W0108]: the metadata has no list of the 300 exports"), "{told}");
}

/// Adds one to a u32 argument and returns it.
const INCREMENT: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "main") (param i32 i32) (result i64)
    (i32.store (i32.const 16) (i32.add (i32.load (local.get 0)) (i32.const 1)))
    (i64.const 0x400000010)))"#;

#[test]
fn programs_in_the_next_format_are_read_as_such() {
    let folder = Folder::new("next");
    folder.write("increment.wat", INCREMENT);
    for (format, file) in [("jam", "p.jam"), ("polkavm", "p.polkavm"), ("corevm", "p.corevm")] {
        folder.succeed(&["compile", "increment.wat", "-o", file, "--gp", "next", "--format", format]);
        assert!(folder.succeed(&["info", file]).contains("gp: next"), "{format}");
        let listing = folder.succeed(&["disasm", file]);
        assert!(listing.contains("fallthrough") || listing.contains("jump_ind"), "{listing}");
        assert!(!listing.contains("invalid"), "{listing}");
        assert!(!folder.succeed(&["size", file]).contains("mask"), "{format}");
        folder.succeed(&["gas", file]);
        let refused = folder.fail(&["disasm", file, "--gp", "0.8"], b"", 1);
        assert!(refused.contains("another format"), "{refused}");
        let refused = folder.fail(&["run", file, "--gp", "0.8"], b"", 1);
        assert!(refused.contains("another format"), "{refused}");
    }
    assert_eq!(folder.run_json("p.jam", &["--args", "01000000"])["result"], "02000000");
    folder.succeed(&["explore", "increment.wat", "--gp", "next", "-o", "page.html"]);
    folder.succeed(&["compile", "increment.wat", "-o", "old.jam"]);
    let refused = folder.fail(&["info", "old.jam", "--gp", "next"], b"", 1);
    assert!(refused.contains("another format"), "{refused}");
    for format in ["spi", "raw"] {
        let refused = folder.fail(&["compile", "increment.wat", "--gp", "next", "--format", format], b"", 2);
        assert!(refused.contains("--gp next"), "{refused}");
    }
}
