//! Compiling for Cortex-M with the command-line tool: options, symbols and errors.

mod support;

use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use serde_json::Value;
use support::{Folder, text};

/// Adds one to a word in memory by way of an import; can trap.
const KERNEL: &str = r#"(module
  (import "env" "notify" (func $notify (param i32)))
  (memory 1)
  (func $start (i32.store (i32.const 64) (i32.const 7)))
  (start $start)
  (func (export "bump") (param i32) (result i32)
    (call $notify (local.get 0))
    (i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (i32.const 1)))
    (i32.div_u (i32.const 100) (i32.load (local.get 0)))))"#;

/// Names of the global symbols of an object: defined ones, undefined ones.
fn globals(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    let file = object::File::parse(bytes).expect("an object file");
    let global = file.symbols().filter(|symbol| symbol.is_global());
    let (undefined, defined): (Vec<_>, Vec<_>) = global.partition(object::ObjectSymbol::is_undefined);
    let names = |symbols: Vec<object::Symbol<'_, '_>>| {
        let mut names: Vec<String> =
            symbols.iter().map(|symbol| symbol.name().expect("a name").to_owned()).collect();
        names.sort();
        names
    };
    (names(defined), names(undefined))
}

fn compile(folder: &Folder, args: &[&str]) -> Vec<u8> {
    folder.succeed(&[&["compile", "kernel.wat", "-o", "kernel.o"], args].concat());
    std::fs::read(folder.path("kernel.o")).expect("written")
}

#[test]
fn the_output_is_an_object_with_its_exports_and_imports() {
    let folder = Folder::new("thumb-object");
    folder.write("kernel.wat", KERNEL);
    folder.succeed(&["compile", "kernel.wat", "--target", "thumbv7m"]);
    assert_eq!(folder.files(), ["kernel.o", "kernel.wat"]);
    let symbols = |args: &[&str]| globals(&compile(&folder, args));
    let (defined, undefined) = symbols(&["--target", "thumbv7m"]);
    assert_eq!(defined, ["__wasm_start", "bump"]);
    assert_eq!(undefined, ["notify"]);
    let (defined, undefined) = symbols(&[
        "--target",
        "thumbv7em",
        "--memory",
        "symbol",
        "--trap",
        "handler=panic",
        "--import-prefix",
        "gale_",
        "--rename",
        "bump=k_bump",
    ]);
    assert_eq!(defined, ["__linear_memory", "__wasm_start", "k_bump"]);
    assert_eq!(undefined, ["gale_notify", "panic"]);
    folder.write("names", "# one\nenv.notify = k_notify\n\nbump=one\n");
    let (defined, undefined) = symbols(&[
        "--target",
        "thumbv8m.main",
        "--rename-file",
        "names",
        "--rename",
        "bump=two",
        "--import-prefix",
        "unused_",
    ]);
    assert_eq!(
        (defined, undefined),
        (vec!["__wasm_start".to_owned(), "two".to_owned()], vec!["k_notify".to_owned()])
    );
}

#[test]
fn linear_memory_has_the_size_that_was_asked_for() {
    let folder = Folder::new("thumb-memory");
    folder.write("kernel.wat", KERNEL);
    let cases: [(&[&str], u64, u64); 5] = [
        (&[], 65536, 16),
        (&["--memory-bytes", "1000"], 1000, 16),
        (&["--memory-bytes", "4K", "--bounds", "mask"], 4104, 16),
        (&["--memory-bytes", "3000", "--bounds", "mpu"], 4096, 4096),
        (&["--memory-bytes", "3000", "--bounds", "none"], 3000, 16),
    ];
    for (args, size, align) in cases {
        let bytes = compile(&folder, &[&["--target", "thumbv7m", "--memory", "symbol"], args].concat());
        let file = object::File::parse(&*bytes).expect("an object file");
        let memory = file.symbol_by_name("__linear_memory").expect("the memory");
        let section = file.section_by_index(memory.section_index().expect("defined")).expect("its section");
        assert_eq!((memory.size(), section.align()), (size, align), "{args:?}");
        assert_eq!(section.name(), Ok(".bss.__linear_memory"));
    }
    let bytes = compile(
        &folder,
        &["--target", "thumbv8m.main", "--memory", "symbol", "--memory-bytes", "3001", "--bounds", "mpu"],
    );
    let file = object::File::parse(&*bytes).expect("an object file");
    assert_eq!(file.symbol_by_name("__linear_memory").map(|symbol| symbol.size()), Some(3008));
}

/// Zeros take no place in the file, however many there are and whatever their alignment.
#[test]
fn a_large_memory_makes_no_large_object() {
    let folder = Folder::new("thumb-large-memory");
    folder.write("kernel.wat", LARGE);
    let args = |bytes: &str, bounds: &str, target: &str| -> Vec<String> {
        let args = ["--target", target, "--memory", "symbol", "--memory-bytes", bytes, "--bounds", bounds];
        args.map(str::to_owned).to_vec()
    };
    for (bytes, bounds, size, align) in [
        ("2048M", "none", 1 << 31, 16),
        ("2048M", "mpu", 1 << 31, 1 << 31),
        ("4294967295", "check", u32::MAX, 16),
    ] {
        let args = args(bytes, bounds, "thumbv7m");
        let object = compile(&folder, &args.iter().map(String::as_str).collect::<Vec<_>>());
        let file = object::File::parse(&*object).expect("an object file");
        let memory = file.section_by_name(".bss.__linear_memory").expect("the memory");
        assert_eq!((memory.size(), memory.align()), (size.into(), align), "{bytes} {bounds}");
        assert!(object.len() < 10_000, "{}", object.len());
    }
    for target in ["thumbv7m", "thumbv8m.main"] {
        let args = args("4294967295", "mpu", target);
        let args =
            [&["compile", "kernel.wat"][..], &args.iter().map(String::as_str).collect::<Vec<_>>()].concat();
        let refused = folder.fail(&args, b"", 1);
        assert!(refused.contains("unsupported at offset 0x0: a memory whose region has 4 GiB"), "{refused}");
    }
}

/// Also one that isn't the first.
#[test]
fn a_further_memory_too_large_for_a_region_is_refused() {
    let folder = Folder::new("thumb-large-memories");
    folder.write(
        "two.wat",
        r#"(module (memory 1) (memory $b 32769)
          (func (export "load") (param i32) (result i32) (i32.load $b (local.get 0))))"#,
    );
    let args = ["compile", "two.wat", "--target", "thumbv7m", "--memory", "symbol", "--bounds"];
    let refused = folder.fail(&[&args[..], &["mpu"]].concat(), b"", 1);
    let message = "a region for the memory `__linear_memory_1` would have 4 GiB";
    assert!(refused.contains(message), "{refused}");
    folder.succeed(&[&args[..], &["check"]].concat());
}

const LARGE: &str = r#"(module (memory 32768)
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))"#;

#[test]
fn every_core_has_its_target() {
    let folder = Folder::new("thumb-cores");
    folder.write("kernel.wat", KERNEL);
    let cores = [
        ("thumbv6m", "cortex-m0", "Cortex-M0"),
        ("thumbv6m", "m0+", "Cortex-M0+"),
        ("thumbv6m", "m1", "Cortex-M1"),
        ("thumbv8m.base", "cortex-m23", "Cortex-M23"),
        ("thumbv7m", "cortex-m3", "Cortex-M3"),
        ("thumbv7em", "cortex-m4", "Cortex-M4"),
        ("thumbv7em", "m4f", "Cortex-M4"),
        ("thumbv7em", "cortex-m7", "Cortex-M7"),
        ("thumbv7em", "cortex-m7dp", "Cortex-M7"),
        ("thumbv8m.main", "cortex-m33", "Cortex-M33"),
        ("thumbv8m.main", "cortex-m33f", "Cortex-M33"),
        ("thumbv8.1m.main", "m52", "Cortex-M52"),
        ("thumbv8.1m.main", "cortex-m55", "Cortex-M55"),
        ("thumbv8.1m.main", "m55dp", "Cortex-M55"),
        ("thumbv8.1m.main", "cortex-m85", "Cortex-M85"),
    ];
    for (target, cpu, name) in cores {
        let bytes = compile(&folder, &["--target", target, "--cpu", cpu]);
        let file = object::File::parse(&*bytes).expect("an object file");
        let attributes = file.section_by_name(".ARM.attributes").expect("attributes");
        assert!(text(attributes.data().expect("bytes")).contains(name), "{target} {cpu}");
    }
}

#[test]
fn the_report_says_what_is_in_the_object() {
    let folder = Folder::new("thumb-report");
    folder.write("kernel.wat", KERNEL);
    let json = folder.succeed(&["compile", "kernel.wat", "--target", "thumbv7m", "-o", "kernel.o", "--json"]);
    let report: Value = serde_json::from_str(&json).expect("JSON");
    let bytes = std::fs::read(folder.path("kernel.o")).expect("written");
    let file = object::File::parse(&*bytes).expect("an object file");
    let text_bytes: u64 = file
        .sections()
        .filter(|section| section.name().is_ok_and(|name| name.starts_with(".text")))
        .map(|section| section.size())
        .sum();
    assert_eq!(report["sizes"]["text"].as_u64(), Some(text_bytes));
    assert_eq!(report["sizes"]["total"].as_u64(), Some(bytes.len() as u64));
    assert_eq!(report["imports"], serde_json::json!(["notify"]));
    let functions = report["functions"].as_array().expect("a list");
    assert!(functions.iter().any(|function| function["symbol"] == "bump"), "{report}");
}

#[test]
fn stages_have_a_text() {
    let folder = Folder::new("thumb-stages");
    folder.write("kernel.wat", KERNEL);
    for (stage, part) in
        [("llvm-ir", "define"), ("ssa", "func $"), ("prepared", "func $"), ("mir", "%"), ("asm", "udf #2")]
    {
        let printed = folder.succeed(&["compile", "kernel.wat", "--target", "thumbv7m", "--emit", stage]);
        assert!(printed.contains(part), "{stage}: {printed}");
    }
}

#[test]
fn conflicting_options_are_usage_errors() {
    let folder = Folder::new("thumb-usage");
    folder.write("kernel.wat", KERNEL);
    let cases: [(&[&str], &str); 23] = [
        (&["--cpu", "m4"], "--cpu"),
        (&["--memory", "native"], "--memory"),
        (&["--rename", "a=b"], "--rename"),
        (&["--bounds", "check"], "guard or strict"),
        (&["--target", "riscv64"], "expected pvm"),
        (&["--target", "thumbv7m", "--cpu", "cortex-m0"], "cortex-m0"),
        (&["--target", "thumbv8m.main", "--cpu", "cortex-m23"], "cortex-m23"),
        (&["--target", "thumbv7m", "--cpu", "cortex-a8"], "unknown core"),
        (&["--target", "thumbv7m", "--cpu", "m4"], "core of thumbv7em"),
        (&["--target", "thumbv7m", "--gp", "0.8"], "--gp"),
        (&["--target", "thumbv7m", "--format", "jam"], "--format"),
        (&["--target", "thumbv7m", "--imports", "auto"], "--imports"),
        (&["--target", "thumbv7m", "--bounds", "guard"], "none, mask, check or mpu"),
        (&["--target", "thumbv7m", "--bounds", "check"], "native"),
        (&["--target", "thumbv7m", "--initial-data", "copy"], "initial data is an option of memory `symbol`"),
        (&["--target", "thumbv7m", "--memory", "symbol", "--shadow-stack-size", "4K"], "shadow stack"),
        (&["--target", "thumbv7m", "--floats", "hard"], "no floating-point unit"),
        (&["--target", "thumbv7m", "--floats", "trap", "--float-helpers", "own"], "floats `soft`"),
        (
            &["--target", "thumbv7em", "--cpu", "m4f", "--floats", "soft", "--float-helpers", "own"],
            "without a floating-point unit",
        ),
        (&["--float-helpers", "own"], "--float-helpers"),
        (&["--target", "thumbv7m", "--trap", "handler="], "handler=SYMBOL"),
        (&["--target", "thumbv7m", "--rename", "bump"], "WASM=SYMBOL"),
        (&["--target", "thumbv7m", "--memory-bytes", "lots"], "number of bytes"),
    ];
    for (args, part) in cases {
        let message = folder.fail(&[&["compile", "kernel.wat"], args].concat(), b"", 2);
        assert!(message.contains(part), "{args:?}: {message}");
    }
    assert_eq!(folder.files(), ["kernel.wat"]);
}

#[test]
fn bad_inputs_are_one_line_errors_and_leave_no_file() {
    let folder = Folder::new("thumb-bad-inputs");
    let float =
        "(module (func $area (export \"f\") (param f32) (result f32) (f32.mul (local.get 0) (local.get 0))))";
    let double =
        "(module (func $area (export \"f\") (param f64) (result f64) (f64.mul (local.get 0) (local.get 0))))";
    let cases: [(&str, &str, &[&str], &str); 9] = [
        ("float", float, &["--target", "thumbv7m", "--floats", "reject"], "area"),
        ("double", double, &["--target", "thumbv7em", "--cpu", "m4f"], "area"),
        (
            "segment",
            "(module (memory 1) (data (i32.const 65536) \"x\"))",
            &["--target", "thumbv7m"],
            "segment",
        ),
        (
            "small",
            "(module (memory 1) (data (i32.const 4096) \"x\"))",
            &["--target", "thumbv7m", "--memory", "symbol", "--memory-bytes", "4K"],
            "segment",
        ),
        (
            "mask",
            "(module (memory 1) (func (export \"f\") (result i32) (i32.load (i32.const 0))))",
            &["--target", "thumbv7m", "--memory", "symbol", "--memory-bytes", "5000", "--bounds", "mask"],
            "5000",
        ),
        ("symbol", "(module (func (export \"two words\")))", &["--target", "thumbv7m"], "two words"),
        (
            "import",
            "(module (import \"env\" \"\" (func $f)) (func (export \"g\") (call $f)))",
            &["--target", "thumbv7m"],
            "no symbol",
        ),
        (
            "twice",
            "(module (func (export \"f\")) (func (export \"g\") (unreachable)))",
            &["--target", "thumbv7m", "--rename", "g=f"],
            "`f`",
        ),
        (
            "misspelt",
            "(module (func (export \"bump\")))",
            &["--target", "thumbv7m", "--rename", "bmup=f"],
            "no import or export `bmup`",
        ),
    ];
    for (name, source, args, part) in cases {
        folder.write(name, source);
        let message = folder.fail(&[&["compile", name, "-o", "out.o"], args].concat(), b"", 1);
        assert!(message.contains(part), "{name}: {message}");
    }
    folder.write("names", "good = fine\nbad\n");
    folder.write("kernel.wat", KERNEL);
    let message =
        folder.fail(&["compile", "kernel.wat", "--target", "thumbv7m", "--rename-file", "names"], b"", 1);
    assert!(message.contains("line 2"), "{message}");
    assert!(!folder.files().iter().any(|name| name.ends_with(".o")), "{:?}", folder.files());
}

/// Names of exports are checked with all other demands, before anything is compiled.
#[test]
fn all_names_of_exports_are_checked_at_once() {
    let folder = Folder::new("thumb-all-names");
    let demands = "(import \"env\" \"g\" (global i32)) (func (export \"a b\") (result i32) (global.get 0)) (func (export \"c d\"))";
    folder.write("names.wat", format!("(module {demands})"));
    let message = folder.fail(&["compile", "names.wat", "--target", "thumbv7m", "-o", "names.o"], b"", 1);
    for part in ["env.g", "'a b=SYMBOL'", "'c d=SYMBOL'"] {
        assert!(message.contains(part), "{message}");
    }
}

/// Invalid and clashing symbols: the message names the option that resolves them, and with that the module compiles.
#[test]
fn names_that_are_no_symbols_are_refused_with_what_helps() {
    let folder = Folder::new("thumb-names");
    let start = "(func $s (unreachable)) (start $s)";
    let imports = "(import \"a\" \"f\" (func $f)) (import \"b\" \"f\" (func $g (param TYPE)))
        (func (export \"m\") (call $f) (call $g (TYPE.const 1)))";
    let two_types = imports.replace("TYPE", "i32");
    let two_modules = imports.replace("(param TYPE)", "").replace("(TYPE.const 1)", "");
    let cases: [(&str, &[&str], &[&str]); 12] = [
        (&two_types, &["b.f"], &[]),
        (&two_modules, &["b.f"], &[]),
        ("(import \"env\" \"_\" (func $f)) (func (export \"_\") (call $f))", &["env._"], &[]),
        ("(func (export \"f\")) (func (export \"g\"))", &["g"], &["--rename", "g=f"]),
        ("(import \"a b\" \"c d\" (func $f)) (func (export \"g\") (call $f))", &["a b.c d"], &[]),
        ("(func (export \"\"))", &[""], &[]),
        ("(func (export \"f: func() -> ()\"))", &["f: func() -> ()"], &[]),
        ("(func $s (export \"__wasm_start\")) (start $s)", &[], &[]),
        ("(func (export \"__wasm_start\")) START", &["__wasm_start"], &[]),
        (
            "(import \"e\" \"__wasm_start\" (func $f)) (func (export \"g\") (call $f)) START",
            &["e.__wasm_start"],
            &[],
        ),
        (
            "(memory (export \"__linear_memory\") 1) (func (export \"f\") (i32.store (i32.const 0) (i32.const 1)))",
            &[],
            &["--memory", "symbol"],
        ),
        (
            "(func (export \"__aeabi_fadd\") (param f32) (result f32) (f32.add (local.get 0) (local.get 0)))",
            &["__aeabi_fadd"],
            &[],
        ),
    ];
    for (text, renamed, options) in cases {
        folder.write("names.wat", format!("(module {})", text.replace("START", start)));
        let command = [&["compile", "names.wat", "--target", "thumbv7m", "-o", "names.o"], options].concat();
        let mut renames = Vec::new();
        for (n, name) in renamed.iter().enumerate() {
            let message = folder.fail(&command, b"", 1);
            let quote = if name.contains(' ') { "'" } else { "" };
            let option = format!("`--rename {quote}{name}=SYMBOL{quote}`");
            assert!(message.contains(&option), "{text}: {message}");
            renames.extend(["--rename".to_owned(), format!("{name}=renamed{n}")]);
        }
        let renames: Vec<&str> = renames.iter().map(String::as_str).collect();
        folder.succeed(&[&command[..], &renames].concat());
    }
    folder.write("names.wat", format!("(module {two_modules})"));
    folder.succeed(&["compile", "names.wat", "--target", "thumbv7m", "--rename", "b.f=f", "-o", "names.o"]);
    let both = ["--rename", "b.f=same", "--rename", "a.f=same"];
    folder.write("names.wat", format!("(module {two_types})"));
    folder.fail(
        &[&["compile", "names.wat", "--target", "thumbv7m", "-o", "names.o"], &both[..]].concat(),
        b"",
        1,
    );
    folder.write("names.wat", format!("(module {})", two_types.replace("\"b\"", "\"a\"")));
    let message = folder.fail(&["compile", "names.wat", "--target", "thumbv7m", "-o", "names.o"], b"", 1);
    assert!(message.contains("`a.f` is declared with two types"), "{message}");
}

/// Float operators become calls of the run-time ABI where the core lacks them, and a module that only moves floats is the
/// object that it is with `--floats reject`.
#[test]
fn cores_without_a_unit_call_the_run_time_abi_for_floats() {
    let folder = Folder::new("thumb-floats");
    let unused = r#"(func $unused (result f32) (f32.sqrt (f32.const 2)))"#;
    let moves = r#"(func (export "moves") (param f64 i32) (result f32) (f32.reinterpret_i32 (local.get 1)))"#;
    let adds = r#"(func (export "adds") (param f64) (result f64) (f64.add (local.get 0) (f64.const 2)))"#;
    let target = ["--target", "thumbv7m"];
    let with = |floats: &'static str| [&target[..], &["--floats", floats]].concat();
    folder.write("kernel.wat", format!("(module {unused} {moves})"));
    assert_eq!(compile(&folder, &target), compile(&folder, &with("reject")));
    assert_ne!(compile(&folder, &target), compile(&folder, &with("soft")));
    folder.write("kernel.wat", format!("(module {unused} {moves} {adds})"));
    let bytes = compile(&folder, &target);
    assert_eq!(bytes, compile(&folder, &with("soft")));
    let file = object::File::parse(&*bytes).expect("an object file");
    assert!(file.symbol_by_name("__aeabi_dadd").is_some_and(|symbol| symbol.is_undefined()));
    folder.succeed(
        &[&["compile", "kernel.wat", "--float-helpers", "own", "-o", "own.o"], &target[..]].concat(),
    );
}

/// An exported import has the standard convention, also where the program uses another internally.
#[test]
fn exported_imports_jump_to_the_import() {
    let folder = Folder::new("thumb-reexport");
    let text = r#"(module (import "env" "init" (func $init)) (import "env" "two" (func $two (param i32 f64) (result i32 f64)))
      (export "hook" (func $init)) (export "other" (func $init)) (export "both" (func $two)) (start $init)
      (func (export "f") (result i32 f64) (call $two (i32.const 1) (f64.const 2))))"#;
    folder.write("kernel.wat", text);
    for args in [
        &["--target", "thumbv7m", "--floats", "soft"][..],
        &["--target", "thumbv7em", "--cpu", "m4f", "--floats", "soft"],
        &["--target", "thumbv7em", "--cpu", "m7dp"],
    ] {
        let bytes = compile(&folder, args);
        let file = object::File::parse(&*bytes).expect("an object file");
        for (export, import) in
            [("hook", "init"), ("other", "init"), ("__wasm_start", "init"), ("both", "two")]
        {
            let symbol = file.symbol_by_name(export).unwrap_or_else(|| panic!("{export} is defined"));
            let section = file.section_by_index(symbol.section_index().expect("defined")).expect("a section");
            assert_eq!(section.data(), Ok(&[0xff, 0xf7, 0xfe, 0xbf][..]), "b.w with the addend -4");
            let targets = section.relocations().map(|(offset, relocation)| {
                let object::RelocationTarget::Symbol(symbol) = relocation.target() else {
                    panic!("a symbol")
                };
                let name = file.symbol_by_index(symbol).expect("it exists").name().expect("a name");
                (offset, name.to_owned())
            });
            assert_eq!(targets.collect::<Vec<_>>(), [(0, import.to_owned())], "{export}");
        }
    }
}

/// Reads a table, counts in a variable and hands out the address of another.
const STATICS: &str = r#"(module
  (import "env" "lock" (func $lock (param i32)))
  (memory 2)
  (global $__stack_pointer (mut i32) (i32.const 65536))
  (data $.rodata (i32.const 65536) "\01\02\03\04\05\06\07\08")
  (data $.data (i32.const 65552) "\09\00\00\00")
  (func (export "look") (param i32) (result i32)
    (i32.load8_u offset=65536 (i32.and (local.get 0) (i32.const 7))))
  (func (export "count") (result i32)
    (i32.store (i32.const 65552) (i32.add (i32.load (i32.const 65552)) (i32.const 1)))
    (call $lock (i32.const 65556))
    (i32.load (i32.const 65552)))
  (func (export "fixed") (param i32) (result i32)
    (i32.mul (local.get 0) (i32.const 65555)))
  (func (export "device") (result i32) (i32.load (i32.const 0x40001000))))"#;

fn sizes(json: &str) -> [u64; 3] {
    let report: Value = serde_json::from_str(json).expect("JSON");
    ["rodata", "data", "bss"].map(|kind| report["sizes"][kind].as_u64().expect("a size"))
}

#[test]
fn static_data_of_native_memory_becomes_sections() {
    let folder = Folder::new("thumb-statics");
    folder.write("kernel.wat", STATICS);
    let native = ["compile", "kernel.wat", "--target", "thumbv7m", "-o", "kernel.o", "--json"];
    for level in ["-O0", "-O2", "-Oz"] {
        let bytes = [&native[..], &[level, "--memory-bytes", "65560"]].concat();
        assert_eq!(sizes(&folder.succeed(&bytes)), [8, 8, 0], "{level}");
        let log = folder.tool(&[&native[..], &[level, "-v"]].concat(), b"");
        let log = text(&log.stderr);
        assert!(log.contains("nothing says where the static data that begins at"), "{log}");
        assert!(log.contains("number function=\"fixed\""), "{log}");
    }
    let ssa = folder.succeed(&["compile", "kernel.wat", "--target", "thumbv7m", "--emit", "ssa"]);
    assert!(ssa.contains("1073745920"), "the device's address stays a number: {ssa}");
}

#[test]
fn a_stack_can_stay_in_memory() {
    let folder = Folder::new("thumb-stack");
    folder.write(
        "kernel.wat",
        r#"(module
      (import "env" "fill" (func $fill (param i32)))
      (memory 1)
      (global $__stack_pointer (mut i32) (i32.const 65536))
      (func (export "f") (result i32) (local $frame i32)
        (global.set $__stack_pointer
          (local.tee $frame (i32.sub (global.get $__stack_pointer) (i32.const 16))))
        (call $fill (local.get $frame))
        (i32.load (local.get $frame))
        (global.set $__stack_pointer (i32.add (local.get $frame) (i32.const 16)))))"#,
    );
    let native = ["compile", "kernel.wat", "--target", "thumbv7m", "-o", "kernel.o", "--json"];
    assert_eq!(sizes(&folder.succeed(&native)), [0, 0, 0]);
    let strict = [&native[..], &["--shadow-stack", "strict"]].concat();
    assert_eq!(sizes(&folder.succeed(&strict)), [0, 4, 65536]);
    let small = [&strict[..], &["--shadow-stack-size", "1000"]].concat();
    assert_eq!(sizes(&folder.succeed(&small)), [0, 4, 1008]);
}

#[test]
fn what_could_be_an_address_or_a_number_is_refused() {
    let folder = Folder::new("thumb-unclear");
    let stack = "(memory 2) (global $__stack_pointer (mut i32) (i32.const 65536))";
    let cases = [
        (
            "both",
            r#"(func $mix (export "f") (result i32) (local i32)
              (local.set 0 (i32.const 65540))
              (i32.mul (i32.load (local.get 0)) (i32.shr_u (local.get 0) (i32.const 1))))"#,
            "function mix at offset",
        ),
        (
            "elsewhere",
            r#"(import "env" "g" (func $g (param i32)))
              (func $pass (export "f") (param i32) (result i32)
                (call $g (i32.const 65536)) (i32.mul (local.get 0) (i32.const 65536)))"#,
            "function pass at offset",
        ),
        (
            "sum",
            r#"(func $sum (export "f") (result i32) (i32.load offset=65540 (i32.add (i32.const 65544) (i32.const 4))))"#,
            "function sum at offset",
        ),
        (
            "data",
            r#"(data (i32.const 65536) "\04\00\01\00\00\00\00\00")
              (func (export "f") (result i32) (i32.load (i32.const 65536)))"#,
            "the data word 65540 at 65536",
        ),
        (
            "global",
            r#"(global $heap (mut i32) (i32.const 65600))
              (func (export "f") (result i32)
                (global.set $heap (i32.add (global.get $heap) (i32.const 8))) (i32.load (i32.const 65536)))"#,
            "global 1",
        ),
    ];
    for (name, body, part) in cases {
        let imports_first = body.trim_start().starts_with("(import");
        let (import, rest) = body.split_once(")))").filter(|_| imports_first).unwrap_or(("", body));
        let import = if imports_first { format!("{import})))") } else { String::new() };
        folder.write(name, format!("(module {import} {stack} {rest})"));
        let message = folder.fail(&["compile", name, "--target", "thumbv7m", "-o", "out.o"], b"", 1);
        assert!(message.contains(part), "{name}: {message}");
        folder.succeed(&["compile", name, "--target", "thumbv7m", "--memory", "symbol", "-o", "fine"]);
    }
    let low = r#"(module (memory 1) (data (i32.const 16) "abcdefgh")
      (func $at (export "at") (param i32) (result i32) (i32.load8_u offset=16 (local.get 0))))"#;
    folder.write("low", low);
    let message = folder.fail(&["compile", "low", "--target", "thumbv7m", "-o", "out.o"], b"", 1);
    assert!(message.contains("function at") && message.contains("`-zstack-size=65536`"), "{message}");
    let high =
        low.replace("=16 ", "=65552 ").replace("const 16", "const 65552").replace("memory 1", "memory 2");
    folder.write("high", high);
    folder.succeed(&["compile", "high", "--target", "thumbv7m", "-o", "high"]);
    assert!(!folder.files().iter().any(|name| name.ends_with(".o")));
}
