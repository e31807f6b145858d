//! The self-check from outside. `wasmi` judges in the tool itself; here it is given programs that it has to refuse.

use serde_json::Value;

use super::support::{Folder, text};

/// Kernels from C, small enough for many calls.
const KERNELS: [&str; 4] = ["crc32", "gcd", "quicksort", "u128_muldiv"];

/// A module with an export whose result depends on a function of its own.
fn module(operator: &str) -> String {
    format!(
        r#"(module
            (memory (export "memory") 1)
            (global (export "calls") (mut i32) (i32.const 0))
            (func $mixed (param i32 i32) (result i32)
                (global.set 0 (i32.add (global.get 0) (i32.const 1)))
                ({operator} (local.get 0) (local.get 1)))
            (func (export "mix") (param i32 i32) (result i32)
                (i32.store (i32.const 64) (local.get 1))
                (call $mixed (local.get 0) (local.get 1)))
            (func (export "other") (param i64) (result i64) (i64.rotl (local.get 0) (i64.const 7))))"#
    )
}

/// A program that was compiled from another module is found out, and the difference is described and can be repeated.
#[test]
fn a_program_of_another_module_differs() {
    let folder = Folder::new("verify");
    folder.write("right.wat", module("i32.xor"));
    folder.write("wrong.wat", module("i32.or"));
    for name in ["right", "wrong"] {
        let (input, output) = (format!("{name}.wat"), format!("{name}.jam"));
        folder.succeed(&["compile", &input, "-o", &output, "--entries", "raw", "--metadata", "exports"]);
    }
    let own = folder.succeed(&["verify", "right.wat", "--against", "right.jam", "--inputs", "12"]);
    assert!(
        own.contains("2 functions in 24 calls (returned 24)") && own.ends_with(" 0 different\n"),
        "{own}"
    );
    let wrong = ["verify", "right.wat", "--against", "wrong.jam", "--inputs", "12", "--seed", "5"];
    let (report, message) = folder.fail_with_output(&wrong, 1);
    assert!(report.contains("DIFFERENT") && report.ends_with(" 1 different\n"), "{report}");
    let lines: Vec<&str> = message.lines().map(str::trim).collect();
    let has = |start: &str| lines.iter().any(|line| line.starts_with(start));
    for start in [
        "mix (function 1), call ",
        "arguments: i32 ",
        "reference: it returned i32 ",
        "program:   it returned ",
    ] {
        assert!(has(start), "{start} in {message}");
    }
    assert!(lines.last().is_some_and(|line| line.contains("1 function differs")), "{message}");
    let again = lines.iter().find_map(|line| line.strip_prefix("again: ")).expect("how to repeat it");
    let repeated: Vec<&str> = wrong[..4].iter().copied().chain(again.split(' ')).collect();
    let (_, second) = folder.fail_with_output(&repeated, 1);
    assert_eq!(second, message);
    let reduced = folder.succeed(&["compile", "right.reduced.wasm", "--emit-function", "0"]);
    assert!(reduced.contains("i32.xor"), "{reduced}");
    assert!(!folder.succeed(&["compile", "right.reduced.wasm", "--emit", "ssa"]).contains("other"));
}

#[test]
fn a_checked_compilation_writes_the_same_file() {
    let folder = Folder::new("checked");
    folder.write("module.wat", module("i32.sub"));
    folder.succeed(&["compile", "module.wat", "-o", "plain.jam"]);
    folder.succeed(&["compile", "module.wat", "-o", "checked.jam", "--verify"]);
    let read = |name: &str| std::fs::read(folder.path(name)).expect("written");
    assert_eq!(read("plain.jam"), read("checked.jam"));
    folder.write("traps.wat", "(module (func $s unreachable) (start $s) (func (export \"f\")))");
    let message = folder.fail(&["compile", "traps.wat", "-o", "traps.jam", "--verify"], b"", 1);
    assert!(message.contains("the start function does not return"), "{message}");
    assert!(!folder.path("traps.jam").exists());
}

#[test]
fn kernels_agree_with_the_reference() {
    let folder = Folder::new("kernels");
    for name in KERNELS {
        let path = format!("{}/../../tests/fixtures/kernels/wasm/O2/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
        let args = ["verify", &path, "--inputs", "3", "--fuel", "60000", "--imports", "trap", "--json"];
        let report = folder.tool(&args, b"");
        assert!(report.status.success(), "{name}: {}", text(&report.stderr));
        let json: Value = serde_json::from_slice(&report.stdout).expect("JSON");
        assert_eq!((&json["schema"], &json["differences"]), (&1.into(), &0.into()), "{name}: {json}");
        let functions = json["functions"].as_array().expect("functions");
        let reached = functions.iter().filter(|function| function["reached"].as_u64() > Some(0));
        assert!(reached.count() > 0, "{name}: {json}");
        assert_eq!(report.stdout, folder.tool(&args, b"").stdout, "{name}");
    }
}
