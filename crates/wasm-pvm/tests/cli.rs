//! The command-line tool from outside: files in, files and exit codes out.

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{Folder, text};

/// Adds one to a u32 argument and returns it.
const INCREMENT: &str = r#"(module
  (memory (export "memory") 1)
  (func $increment (export "main") (param i32 i32) (result i64)
    (i32.store (i32.const 16) (i32.add (i32.load (local.get 0)) (i32.const 1)))
    (i64.const 0x400000010)))"#;

#[test]
fn compile_then_run() {
    let folder = Folder::new("compile-run");
    folder.write("increment.wat", INCREMENT);
    assert_eq!(folder.succeed(&["compile", "increment.wat"]), "");
    assert_eq!(folder.files(), ["increment.jam", "increment.wat"]);
    let printed = folder.succeed(&["run", "increment.jam", "--args", "ff000000"]);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!((lines[0], lines[2]), ("status: halt", "result: 00010000"));
    for backend in ["interpreter", "compiler", "auto"] {
        let outcome = folder.run_json("increment.jam", &["--args", "0x07000000", "--backend", backend]);
        assert_eq!(
            (outcome["status"].as_str(), outcome["result"].as_str()),
            (Some("halt"), Some("08000000"))
        );
        assert!(outcome["gas"].as_u64().is_some_and(|gas| gas > 0), "{outcome}");
    }
    let panicked = folder.tool(&["run", "increment.jam"], b"");
    assert_eq!(panicked.status.code(), Some(3), "no argument bytes to read");
    assert!(text(&panicked.stdout).starts_with("status: panic\n"));
    let starved = folder.run_json("increment.jam", &["--args", "07000000", "--gas", "1"]);
    assert_eq!(starved["status"], "out-of-gas");
}

#[test]
fn imported_globals_have_the_given_values() {
    let folder = Folder::new("globals");
    folder.write(
        "globals.wat",
        r#"(module (import "env" "a" (global $a i32)) (import "env" "b" (global $b i64)) (memory 1)
          (func (export "main") (param i32 i32) (result i64)
            (i32.store (i32.const 0) (global.get $a)) (i64.store (i32.const 4) (global.get $b))
            (i64.const 0xc00000000)))"#,
    );
    let compile = ["compile", "globals.wat", "--global", "env.a=-2"];
    folder.succeed(&[&compile[..], &["--global", "env.b=i64:0x0102030405060708"]].concat());
    assert_eq!(folder.run_json("globals.jam", &[])["result"], "feffffff0807060504030201");
    let missing = folder.fail(&[&compile[..], &["-o", "x"]].concat(), b"", 1);
    let told = "the imported global env.b has no value: give --global env.b=i64:VALUE";
    assert!(missing.contains(told), "{missing}");
    let missing = folder.fail(&["compile", "globals.wat", "-o", "x"], b"", 1);
    assert!(missing.contains("globals env.a, env.b have no value: give --global env.a=VALUE"), "{missing}");
    let wrong = [&compile[..], &["--global", "env.b=1", "-o", "x"]].concat();
    let wrong = folder.fail(&wrong, b"", 1);
    assert!(wrong.contains("the imported global env.b is given a value that is not of type i64"), "{wrong}");
    assert_eq!(folder.files(), ["globals.jam", "globals.wat"]);
}

/// Calls an import of nine arguments, if there is an argument byte.
const MANY_ARGUMENTS: &str = r#"(module
  (import "wasi" "open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi" "close" (func $close (param i32)))
  (import "wasi" "never" (func $never (param i32)))
  (memory 1)
  (func $idle (call $never (i32.const 1)))
  (func (export "main") (param i32 i32) (result i64)
    (if (local.get 1) (then
      (call $close (call $open (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5)
        (i64.const 6) (i64.const 7) (i32.const 8) (i32.const 9)))))
    (i64.const 0x400000000)))"#;

#[test]
fn imports_are_refused_at_once_or_trap() {
    let folder = Folder::new("imports-left");
    folder.write("many.wat", MANY_ARGUMENTS);
    let compile = ["compile", "many.wat", "-o", "many.jam"];
    let refused = folder.fail(&compile, b"", 1);
    assert!(refused.contains("no action for 2 imports: WASI ("), "{refused}");
    assert!(refused.contains("use --wasi) wasi.open, wasi.close; map them"), "{refused}");
    assert!(refused.contains("--imports trap"), "{refused}");
    let refused = folder.fail(&[&compile[..], &["--imports", "auto"]].concat(), b"", 1);
    let told = [
        "wasi.open (used by main at offset 0x",
        "takes 9 arguments, and a host call at most 6",
        "--imports trap",
        "use an adapter that passes less",
    ];
    assert!(told.iter().all(|part| refused.contains(part)), "{refused}");
    folder.write("rest.map", "close = ecalli 7\n* = trap");
    folder.write("nop.map", "wasi.* = nop");
    for level in ["-O0", "-O2", "-Oz"] {
        for (imports, status) in [("trap", "panic"), ("rest.map", "panic"), ("nop.map", "halt")] {
            folder.succeed(&[&compile[..], &[level, "--imports", imports]].concat());
            assert_eq!(folder.run_json("many.jam", &[])["result"], "00000000", "{level} {imports}");
            let outcome = folder.run_json("many.jam", &["--args", "01"]);
            assert_eq!(outcome["status"], status, "{level} {imports}");
            let logged = outcome["log"].to_string().contains("wasi.open is not available");
            assert_eq!(logged, imports == "trap", "{outcome}");
        }
    }
}

#[test]
fn all_that_is_asked_for_in_vain_is_told_at_once() {
    let folder = Folder::new("in-vain");
    let text = r#"(module (import "env" "f" (func $f)) (import "env" "g" (global i32)) (memory 30000)
        (func (export "main") (call $f) (drop (f32.sqrt (f32.load (i32.const 0))))))"#;
    folder.write("vain.wat", text);
    let refused = folder.fail(&["compile", "--floats", "reject", "vain.wat"], b"", 1);
    let parts =
        ["--global env.g=VALUE", "float operator f32.sqrt", "no action for 1 import: others (", "env.f;"];
    for part in parts.into_iter().chain(["initial memory of 1966080000 bytes exceeds"]) {
        assert!(refused.contains(part), "{refused}");
    }
}

#[test]
fn floats_are_moved_where_they_are_rejected() {
    let folder = Folder::new("float-moves");
    let module = |body: &str| {
        format!(
            r#"(module (memory 1) (data (i32.const 0) "\01\02\03\04\05\06\f4\ff")
              (func (export "main") (param i32 i32) (result i64)
                (f64.store (i32.const 8) (f64.load (i32.const 0))) (f32.store (i32.const 16) (f32.const nan:0x200001))
                (i64.store (i32.const 20) (i64.reinterpret_f64 (f64.const 2.5))) {body}
                (i64.const 0x1400000008)))"#
        )
    };
    folder.write("moves.wat", module(""));
    folder.write("adds.wat", module("(f32.store (i32.const 0) (f32.neg (f32.load (i32.const 4))))"));
    for level in ["-O0", "-O2", "-Os", "-Oz"] {
        folder.succeed(&["compile", "moves.wat", "--floats", "reject", level]);
        let result = "010203040506f4ff0100a07f0000000000000440";
        assert_eq!(folder.run_json("moves.jam", &[])["result"], result, "{level}");
        let thumb = [
            "--target",
            "thumbv7em",
            "--cpu",
            "m4f",
            "--floats",
            "reject",
            "--memory",
            "symbol",
            level,
            "-o",
            "x.o",
        ];
        folder.succeed(&[&["compile", "moves.wat"], &thumb[..]].concat());
        let refused = folder.fail(&[&["compile", "adds.wat"], &thumb[..]].concat(), b"", 1);
        assert!(refused.contains("float operator f32.neg ("), "{refused}");
    }
}

#[test]
fn results_may_be_left_in_exported_globals() {
    let folder = Folder::new("result-globals");
    for (name, params) in [("main", "i32 i32"), ("refine", "i32"), ("accumulate", "")] {
        let text = format!(
            r#"(module (memory 1) (data (i32.const 64) "hello")
              (global $p (mut i32) (i32.const 0)) (global $l (mut i32) (i32.const 0))
              (export "result_ptr" (global $p)) (export "result_len" (global $l))
              (func (export "{name}") (param {params})
                (global.set $p (i32.const 64)) (global.set $l (i32.const 5))))"#
        );
        folder.write("old.wat", text);
        for level in ["-O0", "-O2", "-Oz"] {
            for gp in ["0.7", "0.8"] {
                folder.succeed(&["compile", "old.wat", level, "--gp", gp]);
                assert_eq!(folder.run_json("old.jam", &["--entry", name])["result"], "68656c6c6f");
            }
        }
        folder.succeed(&["compile", "old.wat", "--result", "end"]);
        assert_eq!(folder.run_json("old.jam", &["--entry", name])["result"], "68656c6c6f");
    }
}

#[test]
fn an_imported_memory_can_be_given_a_size() {
    let folder = Folder::new("memory-bytes");
    folder.write(
        "small.wat",
        r#"(module (import "env" "memory" (memory 0 3)) (data (i32.const 70000) "hello")
          (func (export "main") (param i32 i32) (result i64)
            (i32.store8 (i32.const 70000) (memory.size)) (i64.const 0x500011170)))"#,
    );
    let refused = folder.fail(&["compile", "small.wat"], b"", 1);
    assert!(refused.contains("out of bounds") && refused.contains("--memory-bytes"), "{refused}");
    for bounds in ["guard", "strict"] {
        folder.succeed(&["compile", "small.wat", "--memory-bytes", "70005", "--bounds", bounds]);
        assert_eq!(folder.run_json("small.jam", &[])["result"], "02656c6c6f");
    }
    let refused = folder.fail(&["compile", "small.wat", "--memory-bytes", "1M"], b"", 1);
    assert!(refused.contains("a memory of more than its maximum of 196608 bytes"), "{refused}");
}

#[test]
fn an_imported_memory_without_bytes_is_told() {
    let folder = Folder::new("empty-memory");
    let module = |body: &str| {
        format!(
            r#"(module (import "env" "memory" (memory 0))
              (func (export "main") (param i32 i32) (result i64) {body} (i64.load (i32.const 64))))"#
        )
    };
    folder.write("fixed.wat", module(""));
    folder.write("grows.wat", module("(drop (memory.grow (i32.const 1)))"));
    let log = |args: &[&str]| text(&folder.tool(&[&["compile"], args].concat(), b"").stderr);
    let fixed = log(&["fixed.wat"]);
    assert!(fixed.contains("every access traps; --memory-bytes sets its size"), "{fixed}");
    assert!(log(&["grows.wat"]).contains("every access traps until the program grows it"));
    assert_eq!(log(&["fixed.wat", "--memory-bytes", "64K"]), "");
    let thumb = ["fixed.wat", "--target", "thumbv7m"];
    assert!(log(&[&thumb[..], &["--memory", "symbol"]].concat()).contains("every access traps"));
    assert_eq!(log(&thumb), "", "native memory has no size");
}

/// Lines may match imports of adapters, too.
#[test]
fn lines_of_import_maps_without_an_import_are_told() {
    let folder = Folder::new("unused-lines");
    folder.write("many.wat", MANY_ARGUMENTS);
    folder.write(
        "adapter.wat",
        r#"(module (import "host" "end" (func $end)) (func (export "close") (param i32) (call $end)))"#,
    );
    folder.write(
        "used.map",
        "wasi.open = trap
never = nop
end = trap
wasi.* = nop
* = trap
",
    );
    folder.write(
        "unused.map",
        "opne = trap
env.open = trap
host.never = nop
env.* = nop
",
    );
    let maps = |names: &[&str]| {
        let adapter = ["compile", "many.wat", "--adapter", "adapter.wat"];
        let maps: Vec<&str> = names.iter().flat_map(|name| ["--imports", name]).collect();
        text(&folder.tool(&[&adapter[..], &maps].concat(), b"").stderr)
    };
    assert_eq!(maps(&["used.map"]), "");
    let log = maps(&["used.map", "unused.map"]);
    assert_eq!(log.lines().count(), 4, "{log}");
    for name in ["opne", "env.open", "host.never", "env.*"] {
        assert!(log.contains(&format!("a line for `{name}`, which matches no import")), "{log}");
    }
}

#[test]
fn the_raw_form_says_what_it_loses() {
    let folder = Folder::new("raw");
    folder.write(
        "data.wat",
        r#"(module (memory 1) (data (i32.const 0) "abc")
        (func (export "main") (param i32 i32) (result i64) (i64.load (i32.const 0))))"#,
    );
    let compiled = folder.tool(&["compile", "data.wat", "--format", "raw"], b"");
    assert!(compiled.status.success());
    assert!(
        text(&compiled.stderr).contains("no place for initial memory bytes=3"),
        "{}",
        text(&compiled.stderr)
    );
}

#[test]
fn standard_streams() {
    let folder = Folder::new("streams");
    let compiled = folder.tool(&["compile", "-", "-o", "-", "--format", "spi"], INCREMENT.as_bytes());
    assert!(compiled.status.success());
    folder.write("args", [1, 0, 0, 0]);
    let ran = folder.tool(&["run", "-", "--args", "@args"], &compiled.stdout);
    assert!(text(&ran.stdout).contains("result: 02000000"), "{}", text(&ran.stderr));
}

#[test]
fn every_level_version_and_form() {
    let folder = Folder::new("levels");
    folder.write("increment.wat", INCREMENT);
    for level in ["-O0", "-O2", "-Os", "-Oz"] {
        for gp in ["0.7", "0.8"] {
            for (format, file) in [("jam", "p.jam"), ("spi", "p.spi")] {
                folder.succeed(&[
                    "compile",
                    "increment.wat",
                    "-o",
                    file,
                    level,
                    "--gp",
                    gp,
                    "--format",
                    format,
                ]);
                let outcome = folder.run_json(file, &["--args", "01000000", "--gp", gp]);
                assert_eq!(outcome["result"], "02000000", "{level} {gp} {format}");
            }
        }
    }
}

#[test]
fn stages_have_a_text() {
    let folder = Folder::new("stages");
    folder.write("increment.wat", INCREMENT);
    let stages = [
        ("llvm-ir", "define"),
        ("ssa", "memory @__linear_memory"),
        ("prepared", "func $increment (i64, i64) -> (i64, i64)"),
        ("mir", "%"),
        ("asm", "return (r0"),
    ];
    for (stage, part) in stages {
        let printed = folder.succeed(&["compile", "increment.wat", "--emit", stage]);
        assert!(printed.contains(part), "{stage}: {printed}");
    }
    assert_eq!(folder.files(), ["increment.wat"]);
    folder.succeed(&["compile", "increment.wat", "--emit", "asm", "-o", "listing"]);
    assert_eq!(folder.files(), ["increment.wat", "listing"]);
}

/// The names of the passes are those that the error for an unknown name lists.
#[test]
fn functions_can_be_printed_after_each_pass() {
    let folder = Folder::new("passes");
    folder.write("increment.wat", INCREMENT);
    for target in ["pvm", "thumbv7m"] {
        let emit = |pass| ["compile", "increment.wat", "--target", target, "--emit-after", pass];
        let unknown = folder.fail(&emit("nothing"), b"", 2);
        let (_, names) = unknown.split_once("those of this target are ").expect("a list");
        let names: Vec<&str> = names.split(", ").collect();
        assert!(names.starts_with(&["select", "order", "allocate"]) && names.len() > 8, "{unknown}");
        let texts: Vec<String> = names.iter().map(|pass| folder.succeed(&emit(pass))).collect();
        assert!(texts.iter().all(|text| text.contains("increment")), "{texts:?}");
        assert!(texts[0].contains('%') && !texts[2].contains('%'), "registers are allocated");
        let mir = folder.succeed(&["compile", "increment.wat", "--target", target, "--emit", "mir"]);
        assert_eq!(mir, texts[1]);
    }
    assert_eq!(folder.files(), ["increment.wat"]);
}

#[test]
fn programs_can_be_inspected() {
    let folder = Folder::new("inspect");
    folder.write("increment.wat", INCREMENT);
    let report: Value =
        serde_json::from_str(&folder.succeed(&["compile", "increment.wat", "-o", "p.jam", "--json"]))
            .expect("JSON");
    let info: Value = serde_json::from_str(&folder.succeed(&["info", "p.jam", "--json"])).expect("JSON");
    assert_eq!(report["sizes"], info["sizes"]);
    assert_eq!(info["sizes"]["total"], fs::metadata(folder.path("p.jam")).expect("written").len());
    assert_eq!((info["name"].as_str(), info["gp"].as_str()), (Some("increment"), Some("0.8")));
    assert_eq!(info["entries"][0]["signature"], "ii>I");
    let printed = folder.succeed(&["info", "p.jam"]);
    assert!(printed.contains("entry main at 0: ii>I"), "{printed}");
    let listing = folder.succeed(&["disasm", "p.jam"]);
    for part in ["increment:", "; gas ", "jump_ind r0", "@0:"] {
        assert!(listing.contains(part), "no {part} in {listing}");
    }
    let gas: Value = serde_json::from_str(&folder.succeed(&["gas", "p.jam", "--json"])).expect("JSON");
    let blocks = gas["functions"].as_array().expect("functions").iter();
    let blocks: u64 = blocks
        .flat_map(|f| f["blocks"].as_array().expect("blocks"))
        .map(|b| b["gas"].as_u64().unwrap())
        .sum();
    assert_eq!(gas["total"].as_u64(), Some(blocks));
    assert_eq!(
        listing.matches("; gas ").count(),
        folder.succeed(&["gas", "p.jam", "--blocks"]).matches('@').count()
    );
}

#[test]
fn float_functions_are_listed_with_costs_and_callers() {
    let folder = Folder::new("floats");
    folder.write(
        "area.wat",
        r#"(module (memory (export "memory") 1)
      (func $square (param f64) (result f64) (f64.mul (local.get 0) (local.get 0)))
      (func (export "main") (param i32 i32) (result i64)
        (f64.store (i32.const 8) (call $square (f64.load (i32.const 0))))
        (i64.const 0x800000008)))"#,
    );
    let list = || -> Vec<Value> {
        let info = folder.succeed(&["info", "area.jam", "--json"]);
        let info: Value = serde_json::from_str(&info).expect("JSON");
        info["float_functions"].as_array().expect("a list").clone()
    };
    folder.succeed(&["compile", "area.wat", "-O0"]);
    let functions = list();
    let names: Vec<&str> = functions.iter().map(|f| f["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["__wasm_f64_mul", "__wasm_f64_mul_general"]);
    let callers = |n: usize| functions[n]["callers"].as_array().expect("a list").clone();
    assert_eq!((callers(0), callers(1)), (vec!["square".into()], vec!["__wasm_f64_mul".into()]));
    let costs: Value = serde_json::from_str(&folder.succeed(&["gas", "area.jam", "--json"])).expect("JSON");
    let of_quick = costs["functions"].as_array().expect("functions").iter();
    let blocks = of_quick.filter(|f| f["name"] == "__wasm_f64_mul").flat_map(|f| f["blocks"].as_array());
    let most: u64 = blocks.flatten().map(|block| block["gas"].as_u64().expect("gas")).sum();
    let usual = functions[0]["gas"].as_u64().expect("gas");
    assert!(usual > 20 && usual < most, "{usual} of {most}");
    assert!(folder.succeed(&["info", "area.jam"]).contains("gas, called by square\n"));
    // Without names nothing is known.
    folder.succeed(&["compile", "area.wat", "-Oz"]);
    assert_eq!(list(), Vec::<Value>::new());
}

/// The peer's example: an adapter that turns a string into a JIP-1 log call.
#[test]
fn adapters_and_import_maps() {
    let folder = Folder::new("adapter");
    folder.write(
        "main.wat",
        r#"(module
      (import "env" "console.log" (func $log (param i32)))
      (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
      (import "env" "debug" (func $debug (param i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 1020) "\05\00\00\00hello")
      (func (export "main") (param i32 i32) (result i64)
        (if (local.get 1) (then (call $abort (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
        (call $log (i32.const 1024))
        (i64.extend_i32_u (call $debug (i32.const 1)))))"#,
    );
    folder.write(
        "adapter.wat",
        r#"(module
      (import "env" "host_call_5" (func $host_call_5 (param i64 i64 i64 i64 i64 i64) (result i64)))
      (import "env" "pvm_ptr" (func $pvm_ptr (param i64) (result i64)))
      (func (export "console.log") (param i32)
        (drop (call $host_call_5 (i64.const 100) (i64.const 3) (i64.const 0) (i64.const 0)
          (call $pvm_ptr (i64.extend_i32_u (local.get 0)))
          (i64.extend_i32_u (i32.load offset=0 (i32.sub (local.get 0) (i32.const 4))))))))"#,
    );
    folder.write("imports.txt", "# comment\nabort = trap\ndebug = nop\n");
    let all =
        ["compile", "main.wat", "-o", "main.jam", "--adapter", "adapter.wat", "--imports", "imports.txt"];
    folder.succeed(&all);
    let outcome = folder.run_json("main.jam", &[]);
    assert_eq!(outcome["status"], "halt", "{outcome}");
    assert_eq!(
        (outcome["log"][0]["message"].as_str(), outcome["log"][0]["level"].as_u64()),
        (Some("hello"), Some(3))
    );
    assert_eq!(folder.run_json("main.jam", &["--args", "00"])["status"], "panic");

    let message = folder.fail(&["compile", "main.wat", "-o", "none.jam"], b"", 1);
    assert!(message.contains("env.console.log;") && message.contains("env.debug;"), "{message}");
    folder.succeed(&[
        "compile",
        "main.wat",
        "-o",
        "auto.jam",
        "--imports",
        "imports.txt",
        "--imports",
        "auto:50",
    ]);
    let outcome = folder.run_json("auto.jam", &[]);
    assert_eq!(
        (outcome["status"].as_str(), outcome["host_call"]["number"].as_u64()),
        (Some("host-call"), Some(50))
    );
    assert_eq!(outcome["host_call"]["name"], "console.log");
}

#[test]
fn substrate_functions_are_answered() {
    let folder = Folder::new("substrate");
    folder.write("runtime.wat", r#"(module
      (import "env" "memory" (memory 2))
      (import "env" "ext_allocator_malloc_version_1" (func $malloc (param i32) (result i32)))
      (import "env" "ext_allocator_free_version_1" (func $free (param i32)))
      (import "env" "ext_logging_log_version_1" (func $log (param i32 i64 i64)))
      (data (i32.const 64) "target") (data (i32.const 80) "message")
      (func (export "unused_first"))
      (func (export "Test_double") (param $ptr i32) (param $len i32) (result i64) (local $a i32) (local $b i32)
        (local.set $a (call $malloc (i32.const 100)))
        (call $free (local.get $a))
        (local.set $b (call $malloc (i32.const 120)))
        (if (i32.ne (local.get $a) (local.get $b)) (then unreachable))
        (if (i32.eqz (call $malloc (i32.const 3000000))) (then unreachable))
        (call $log (i32.const 2) (i64.const 0x600000040) (i64.const 0x700000050))
        (i32.store (local.get $b) (i32.mul (i32.load (local.get $ptr)) (i32.const 2)))
        (i64.or (i64.extend_i32_u (local.get $b)) (i64.const 0x400000000))))"#);
    folder.succeed(&["compile", "runtime.wat", "-o", "r.jam", "--imports", "auto"]);
    let args = ["--host", "substrate", "--entry", "Test_double", "--args", "15000000"];
    let outcome = folder.run_json("r.jam", &args);
    assert_eq!(
        (outcome["status"].as_str(), outcome["result"].as_str()),
        (Some("halt"), Some("2a000000")),
        "{outcome}"
    );
    assert_eq!(
        (outcome["log"][0]["target"].as_str(), outcome["log"][0]["message"].as_str()),
        (Some("target"), Some("message"))
    );
    let message = folder.fail(&["run", "r.jam", "--entry", "nothing"], b"", 1);
    assert!(message.contains("unused_first, Test_double"), "{message}");
}

#[test]
fn bad_inputs_are_one_line_errors_and_leave_no_file() {
    let folder = Folder::new("bad-inputs");
    let truncated = &b"\0asm\x01\0\0\0\x01\x05"[..];
    let cases: [(&str, &[u8], &str); 7] = [
        ("empty", b"", "empty"),
        ("random", b"\xde\xad\xbe\xef\0\x01", "neither"),
        ("truncated", truncated, "offset"),
        ("text", b"(module (func (nonsense)))", "line 1, column"),
        ("float", b"(module (func $area (export \"main\") (param f64) (result f64) (f64.mul (local.get 0) (local.get 0))))", "area"),
        ("segment", b"(module (memory 1) (data (i32.const 65536) \"x\") (func (export \"main\")))", "segment"),
        ("memory", b"(module (memory (export \"m\") 65536) (func (export \"main\")))", "memory"),
    ];
    for (name, bytes, part) in cases {
        folder.write(name, bytes);
        let message = folder.fail(&["compile", "--floats", "reject", name, "-o", "out.jam"], b"", 1);
        assert!(message.contains(part), "{name}: {message}");
    }
    folder.fail(&["compile", "missing.wasm", "-o", "out.jam"], b"", 1);
    folder.write("maps.txt", "abort = nonsense\n");
    folder.write("good.wat", INCREMENT);
    folder.fail(&["compile", "good.wat", "-o", "out.jam", "--imports", "maps.txt"], b"", 1);
    folder.fail(&["run", "maps.txt"], b"", 1);
    folder.fail(&["disasm", "good.wat"], b"", 1);
    assert!(
        !folder.files().iter().any(|name| name.contains("out") || name.ends_with(".tmp")),
        "{:?}",
        folder.files()
    );
}

#[test]
fn wrong_command_lines_have_their_own_code() {
    let folder = Folder::new("usage");
    folder.write("good.wat", INCREMENT);
    let cases: [&[&str]; 12] = [
        &[],
        &["compile"],
        &["fly", "good.wat"],
        &["compile", "good.wat", "-O9"],
        &["compile", "good.wat", "--gp", "0.9"],
        &["compile", "good.wat", "--stack-size", "big"],
        &["compile", "good.wat", "--emit", "asm", "--json"],
        &["compile", "good.wat", "--emit", "asm", "--emit-after", "order"],
        &["compile", "good.wat", "--emit", "header"],
        &["compile", "good.wat", "--bounds", "mask"],
        &["compile", "good.wat", "--unknown"],
        &["run", "good.jam", "--entry", "main", "--pc", "5"],
    ];
    for args in cases {
        folder.fail(args, b"", 2);
    }
    assert!(folder.succeed(&["--help"]).contains("compile"));
    assert!(folder.succeed(&["--version"]).starts_with("wasm-pvm "));
    assert_eq!(folder.files(), ["good.wat"]);
}

#[test]
fn outputs_are_replaced_whole_or_not_at_all() {
    let folder = Folder::new("atomic");
    folder.write("good.wat", INCREMENT);
    folder.write("bad.wat", "(module (func (export \"main\") (drop (i32.const))))");
    folder.write("out.jam", "before");
    folder.fail(&["compile", "bad.wat", "-o", "out.jam"], b"", 1);
    assert_eq!(fs::read(folder.path("out.jam")).expect("still there"), b"before");
    folder.succeed(&["compile", "good.wat", "-o", "out.jam"]);
    assert!(fs::metadata(folder.path("out.jam")).expect("there").len() > 20);
    let permissions = |name: &str| fs::metadata(folder.path(name)).expect("there").permissions();
    assert_eq!(permissions("out.jam"), permissions("bad.wat"), "as for other new files");
    fs::create_dir(folder.path("folder")).expect("a folder");
    folder.fail(&["compile", "good.wat", "-o", "folder"], b"", 1);
    folder.fail(&["compile", "good.wat", "-o", "no/such/folder.jam"], b"", 1);
    folder.succeed(&["compile", "good.wat", "-o", "/dev/null"]);
    assert!(!Path::new("/dev/null").is_file(), "a device stays a device");
    std::os::unix::fs::symlink("out.jam", folder.path("link")).expect("a link");
    folder.write("out.jam", "before");
    folder.succeed(&["compile", "good.wat", "-o", "link"]);
    assert!(folder.path("link").is_symlink(), "a link stays a link");
    assert!(fs::metadata(folder.path("out.jam")).expect("there").len() > 20, "its file is replaced");
    fs::remove_file(folder.path("link")).expect("there");
    assert_eq!(folder.files(), ["bad.wat", "folder", "good.wat", "out.jam"]);
}

/// A panic on any thread names the stage and the function.
#[cfg(debug_assertions)]
#[test]
fn bugs_are_reported_with_their_place() {
    let folder = Folder::new("bugs");
    folder.write("good.wat", INCREMENT);
    let places = [
        ("read:", "in stage `read`"),
        ("translate:increment", "in stage `translate` of function `increment`"),
        ("read:increment", "in stage `read` of function `increment`"),
        ("allocate:increment", "in stage `allocate` of function `increment`"),
        ("write:", "in stage `write`"),
    ];
    for (place, told) in places {
        for threads in ["1", "4"] {
            let args = ["compile", "good.wat", "-o", "a b.jam", "--threads", threads, "--panic-in", place];
            let output = folder.tool(&args, b"");
            let report = text(&output.stderr);
            assert_eq!(output.status.code(), Some(70), "{report}");
            let lines: Vec<&str> = report.lines().collect();
            assert!(
                lines[0].starts_with("error: this is a bug in wasm-pvm: provoked by a test ("),
                "{report}"
            );
            assert_eq!(lines[1].trim(), told, "{report}");
            let has_function = told.contains("of function");
            assert_eq!(lines[2].contains("--emit-function 'increment'"), has_function, "{report}");
            assert!(lines[3].contains("compile good.wat -o 'a b.jam' --threads"), "{report}");
        }
    }
    let function = folder.succeed(&["compile", "good.wat", "--emit-function", "increment"]);
    assert!(function.contains("(func $increment (;"), "{function}");
    assert_eq!(folder.files(), ["good.wat"]);
}

#[test]
fn threads_do_not_change_the_output() {
    let folder = Folder::new("threads");
    folder.write("good.wat", INCREMENT);
    folder.succeed(&["compile", "good.wat", "-o", "one.jam", "--threads", "1"]);
    folder.succeed(&["compile", "good.wat", "-o", "two.jam", "--threads", "2"]);
    let read = |name: &str| fs::read(folder.path(name)).expect("written");
    assert_eq!(read("one.jam"), read("two.jam"));
}

/// A segment after much empty memory neither fills the file nor gets lost.
#[test]
fn distant_data_is_not_stored_as_zeros() {
    let folder = Folder::new("distant");
    folder.write("far.wat", r#"(module (memory 300)
      (data (i32.const 8) "near") (data (i32.const 19000001) "far away, more than one unit of the copy loop")
      (global $starts (mut i32) (i32.const 0))
      (start $begin) (func $begin (global.set $starts (i32.add (global.get $starts) (i32.const 1))))
      (func (export "main") (param i32 i32) (result i64)
        (i32.store8 (i32.const 19000001) (i32.add (i32.load8_u (i32.const 19000001)) (i32.sub (global.get $starts) (i32.const 33))))
        (i64.or (i64.const 19000001) (i64.const 0x2d00000000))))"#);
    folder.succeed(&["compile", "far.wat", "-o", "far.jam"]);
    assert!(fs::metadata(folder.path("far.jam")).expect("written").len() < 6000);
    let outcome = folder.run_json("far.jam", &[]);
    let expected: String =
        b"Far away, more than one unit of the copy loop".iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        (outcome["status"].as_str(), outcome["result"].as_str()),
        (Some("halt"), Some(expected.as_str()))
    );
}

/// The byte after the end of memory is not accessible, in both bounds modes, before and after it has grown.
#[test]
fn memory_ends_where_it_ends() {
    let folder = Folder::new("bounds");
    folder.write("bounds.wat", r#"(module (memory 1 3) (global $count (mut i32) (i32.const 0))
      (func (export "inside") (result i32) (i32.load (i32.const 65532)))
      (func (export "across") (result i32) (i32.load (i32.const 65533)))
      (func (export "behind") (result i32) (i32.load (i32.const 65536)))
      (func (export "write_behind") (i32.store8 (i32.const 65536) (i32.const 1)))
      (func (export "grown") (result i32)
        (global.set $count (memory.grow (i32.const 1)))
        (if (i32.ne (global.get $count) (i32.const 1)) (then unreachable))
        (if (i32.ne (memory.size) (i32.const 2)) (then unreachable))
        (i32.store (i32.const 131068) (i32.const 7))
        (i32.load (i32.const 131068)))
      (func (export "grown_behind") (result i32) (drop (memory.grow (i32.const 1))) (i32.load (i32.const 131070)))
      (func (export "too_much") (if (i32.ne (memory.grow (i32.const 3)) (i32.const -1)) (then unreachable))))"#);
    for bounds in ["guard", "strict"] {
        for level in ["-O0", "-O2", "-Oz"] {
            folder.succeed(&["compile", "bounds.wat", "-o", "b.jam", "--bounds", bounds, level]);
            let status = |entry: &str| folder.run_json("b.jam", &["--entry", entry])["status"].clone();
            for (entry, wanted) in [
                ("inside", "halt"),
                ("across", "panic"),
                ("behind", "panic"),
                ("write_behind", "panic"),
                ("grown", "halt"),
                ("grown_behind", "panic"),
                ("too_much", "halt"),
            ] {
                // A load whose value is returned can't be dropped; all accesses here count.
                assert_eq!(status(entry), wanted, "{entry} {bounds} {level}");
            }
        }
    }
}
