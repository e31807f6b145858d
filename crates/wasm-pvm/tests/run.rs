//! `wasm-pvm run` from outside: modules are compiled and called with typed values. Results are judged by `wasmi`; what
//! `wasmi` has not (host calls, addresses, messages) by hand.

#[path = "run/browser.rs"]
mod browser;
#[path = "run/codes.rs"]
mod codes;
#[path = "run/cortex_m.rs"]
mod cortex_m;
#[path = "run/excerpts.rs"]
mod excerpts;
#[path = "run/explore.rs"]
mod explore;
#[path = "run/insight.rs"]
mod insight;
#[path = "run/isa_package.rs"]
mod isa_package;
#[path = "run/json.rs"]
mod json;
#[path = "run/memory.rs"]
mod memory;
#[path = "run/pipes.rs"]
mod pipes;
#[path = "run/progress.rs"]
mod progress;
#[path = "run/stack.rs"]
mod stack;
mod support;
#[path = "run/tutorials.rs"]
mod tutorials;
#[path = "run/verify.rs"]
mod verify;

use std::fmt::Write;

use pvm_isa::Container;
use pvm_isa::metadata::{DataExportKind, Metadata};
use support::{Folder, text};
use wasm_pvm::run::{Backend, Engine, Machine};
use wasmi::{Linker, Module, Store, Val};

const LEVELS: [&str; 4] = ["-O0", "-O2", "-Os", "-Oz"];
const VERSIONS: [&str; 3] = ["0.7", "0.8", "next"];

/// Values of each type as they are given on the command line, and as the reference engine gets them.
const I32: [(&str, i32); 6] = [
    ("0", 0),
    ("1", 1),
    ("-1", -1),
    ("2147483647", i32::MAX),
    ("-0x80000000", i32::MIN),
    ("0xdeadbeef", 0xdead_beef_u32 as i32),
];
const I64: [(&str, i64); 6] = [
    ("0", 0),
    ("-3", -3),
    ("9223372036854775807", i64::MAX),
    ("-9223372036854775808", i64::MIN),
    ("0xfedcba9876543210", 0xfedc_ba98_7654_3210_u64 as i64),
    ("18446744073709551615", -1),
];
const F32: [(&str, u32); 9] = [
    ("0", 0),
    ("-0", 0x8000_0000),
    ("1.5", 0x3fc0_0000),
    ("-2.25", 0xc010_0000),
    ("inf", 0x7f80_0000),
    ("-inf", 0xff80_0000),
    ("nan", 0x7fc0_0000),
    ("1e-45", 1),
    ("3.4028235e38", 0x7f7f_ffff),
];
const F64: [(&str, u64); 9] = [
    ("0", 0),
    ("-0.0", 0x8000_0000_0000_0000),
    ("0.1", 0x3fb9_9999_9999_999a),
    ("-1e300", 0xfe37_e43c_8800_759c),
    ("inf", 0x7ff0_0000_0000_0000),
    ("-inf", 0xfff0_0000_0000_0000),
    ("nan", 0x7ff8_0000_0000_0000),
    ("5e-324", 1),
    ("-2147483648.5", 0xc1e0_0000_0010_0000),
];

/// The value with this number, as text and for the reference engine.
fn argument(ty: &str, number: usize) -> (&'static str, Val) {
    match ty {
        "i32" => (I32[number % I32.len()].0, Val::I32(I32[number % I32.len()].1)),
        "i64" => (I64[number % I64.len()].0, Val::I64(I64[number % I64.len()].1)),
        "f32" => (F32[number % F32.len()].0, Val::F32(wasmi::F32::from_bits(F32[number % F32.len()].1))),
        _ => (F64[number % F64.len()].0, Val::F64(wasmi::F64::from_bits(F64[number % F64.len()].1))),
    }
}

/// The text of a result, as `wasmtime` prints it.
fn printed(value: &Val) -> String {
    match value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => value.to_string(),
        Val::F32(value) => f32::from_bits(value.to_bits()).to_string(),
        Val::F64(value) => f64::from_bits(value.to_bits()).to_string(),
        other => panic!("{other:?} is no number"),
    }
}

/// Operators that don't trap: the type of operands, names of operators, number of operands, type of results.
const OPERATORS: [(&str, &str, usize, &str); 18] = [
    ("i32", "add sub mul and or xor shl shr_s shr_u rotl rotr", 2, "i32"),
    ("i32", "eq ne lt_s lt_u ge_s ge_u", 2, "i32"),
    ("i32", "clz ctz popcnt eqz extend8_s", 1, "i32"),
    ("i64", "add sub mul and or xor shl shr_s shr_u rotl rotr", 2, "i64"),
    ("i64", "eq ne lt_s lt_u ge_s ge_u", 2, "i32"),
    ("i64", "clz ctz popcnt extend32_s", 1, "i64"),
    ("f32", "add sub mul div min max copysign", 2, "f32"),
    ("f32", "eq ne lt ge", 2, "i32"),
    ("f32", "neg abs sqrt ceil floor trunc nearest", 1, "f32"),
    ("f64", "add sub mul div min max copysign", 2, "f64"),
    ("f64", "eq ne lt ge", 2, "i32"),
    ("f64", "neg abs sqrt ceil floor trunc nearest", 1, "f64"),
    ("f64", "i32.trunc_sat_f64_s i32.trunc_sat_f64_u", 1, "i32"),
    ("f32", "i64.trunc_sat_f32_s i64.trunc_sat_f32_u", 1, "i64"),
    ("i64", "f64.convert_i64_s f64.convert_i64_u f64.reinterpret_i64", 1, "f64"),
    ("i32", "f32.convert_i32_s f32.convert_i32_u f32.reinterpret_i32", 1, "f32"),
    ("f64", "f32.demote_f64", 1, "f32"),
    ("f64", "i64.reinterpret_f64", 1, "i64"),
];

/// A module of one export per operator, and of some with more parameters and results; with the parameters of each.
fn typed_module() -> (String, Vec<(String, Vec<&'static str>)>) {
    let mut module = "(module (memory (export \"memory\") 1 3)\n".to_owned();
    let mut exports = Vec::new();
    for (ty, names, operands, result) in OPERATORS {
        for name in names.split(' ') {
            let operator = if name.contains('.') { name.to_owned() } else { format!("{ty}.{name}") };
            let params = vec![ty; operands];
            let values: String = (0..operands).map(|n| format!("(local.get {n})")).collect();
            let list = params.join(" ");
            writeln!(
                module,
                "(func (export \"{operator}\") (param {list}) (result {result}) ({operator} {values}))"
            )
            .expect("strings take all");
            exports.push((operator, params));
        }
    }
    let kinds = ["i32", "i64", "f32", "f64"];
    for count in [7, 9, 13] {
        let params: Vec<&str> = kinds.into_iter().cycle().take(count).collect();
        let list = params.join(" ");
        let values: String = (0..count).map(|n| format!("(local.get {n})")).collect();
        writeln!(module, "(func (export \"same{count}\") (param {list}) (result {list}) {values})")
            .expect("strings take all");
        exports.push((format!("same{count}"), params));
    }
    module += "(global $n (mut i64) (i64.const 7))
        (func (export \"count\") (result i64) (global.set $n (i64.add (global.get $n) (i64.const 3))) (global.get $n))
        (func (export \"grow\") (param i32) (result i32 i32) (memory.grow (local.get 0)) (memory.size))
        (func (export \"keep\") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
        (func (export \"pack\") (param i32 i32) (result i64)
          (i64.or (i64.extend_i32_u (local.get 0)) (i64.shl (i64.extend_i32_u (local.get 1)) (i64.const 32))))
        (func (export \"floats\") (param f32 f32) (result f64) (f64.promote_f32 (f32.add (local.get 0) (local.get 1)))))";
    for (name, params) in [("count", vec![]), ("pack", vec!["i32"; 2]), ("floats", vec!["f32"; 2])] {
        exports.push((name.to_owned(), params));
    }
    (module, exports)
}

/// All calls of the typed module: the words of the command line, and the lines that `wasmi` gives.
fn calls(module: &str, exports: &[(String, Vec<&'static str>)]) -> (Vec<String>, Vec<String>) {
    let engine = wasmi::Engine::default();
    let mut store = Store::new(&engine, ());
    let module = Module::new(&engine, wat::parse_str(module).expect("well-formed")).expect("valid");
    let linker = Linker::<()>::new(&engine);
    let instance = linker.instantiate_and_start(&mut store, &module).expect("it starts");
    let (mut words, mut lines) = (Vec::new(), Vec::new());
    for (name, params) in exports {
        let func = instance.get_func(&store, name).expect("exported");
        let results = func.ty(&store).results().len();
        for round in 0..9 {
            let args: Vec<_> =
                params.iter().enumerate().map(|(n, ty)| argument(ty, round * (2 * n + 1) + n)).collect();
            words.extend(["--invoke".to_owned(), name.clone()]);
            words.extend(args.iter().map(|(text, _)| (*text).to_owned()));
            let args: Vec<Val> = args.into_iter().map(|(_, value)| value).collect();
            let mut values = vec![Val::I32(0); results];
            func.call(&mut store, &args, &mut values).expect("it returns");
            lines.extend(values.iter().map(printed));
        }
    }
    (words, lines)
}

fn refs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[test]
fn exports_give_what_an_engine_gives() {
    let (module, exports) = typed_module();
    let (words, expected) = calls(&module, &exports);
    assert!(expected.len() > 700, "{}", expected.len());
    let folder = Folder::new("typed");
    folder.write("typed.wat", &module);
    folder.write("typed.wasm", wat::parse_str(&module).expect("well-formed"));
    for level in LEVELS {
        for gp in VERSIONS {
            let printed =
                folder.succeed(&[&["run", "typed.wasm", level, "--gp", gp][..], &refs(&words)].concat());
            assert_eq!(printed.lines().collect::<Vec<_>>(), expected, "{level} {gp}");
        }
    }
    // A program that was compiled for hosts, where entries convert pointers, gives the same.
    for result in ["len", "end"] {
        folder.succeed(&["compile", "typed.wat", "--result", result, "-o", "typed.jam"]);
        let printed = folder.succeed(&[&["run", "typed.jam"][..], &refs(&words)].concat());
        assert_eq!(printed.lines().collect::<Vec<_>>(), expected, "{result}");
    }
}

#[test]
fn calls_share_one_instance() {
    let folder = Folder::new("instance");
    folder.write("typed.wat", typed_module().0);
    let calls = ["run", "typed.wat", "--invoke", "count", "--invoke", "grow", "1", "--invoke", "count"];
    let more = ["--invoke", "grow", "2", "--invoke", "keep", "0x1fffc", "-2", "--dump", "0x1fff8:8"];
    let expected = "10\n1\n2\n13\n-1\n2\n\
        0001fff8  00 00 00 00 fe ff ff ff                           |........|\n";
    for level in LEVELS {
        for gp in VERSIONS {
            for bounds in ["guard", "strict"] {
                let options = ["--gp", gp, level, "--bounds", bounds];
                let printed = folder.succeed(&[&calls[..], &more, &options].concat());
                assert_eq!(printed, expected, "{level} {gp} {bounds}");
            }
        }
    }
}

/// The result of the entry is its bytes or its values, by its type.
#[test]
fn entries_show_integer_results() {
    let folder = Folder::new("entries");
    folder.write("typed.wat", typed_module().0);
    for gp in VERSIONS {
        folder.succeed(&["compile", "typed.wat", "--gp", gp]);
        let printed = folder.succeed(&["run", "typed.jam", "--entry", "count"]);
        assert_eq!(printed.lines().last(), Some("returned: i64 10"));
        let outcome = folder.run_json("typed.jam", &["--entry", "count"]);
        let expected = serde_json::json!([{ "type": "i64", "value": "10", "bits": "0xa" }]);
        assert_eq!((&outcome["values"], &outcome["result"]), (&expected, &"".into()));
        let printed = folder.succeed(&["run", "typed.jam", "--entry", "pack", "--args", "0102"]);
        assert_eq!(printed.lines().last(), Some("result: 0102"));
    }
}

/// The module is compiled as `compile` does unless exports are invoked.
#[test]
fn modules_run_like_their_programs() {
    let folder = Folder::new("modules");
    let text = r#"(module (memory 1) (func (export "main") (param i32 i32) (result i64)
      (i32.store8 (i32.const 4) (i32.add (i32.load8_u (local.get 0)) (i32.const 1))) (i64.const 0x100000004)))"#;
    folder.write("main.wat", text);
    for options in [&["-O0", "--gp", "0.7"][..], &["-Oz", "--bounds", "strict"], &["--result", "end"]] {
        folder.succeed(&[&["compile", "main.wat"], options].concat());
        let program = folder.succeed(&["run", "main.jam", "--args", "29"]);
        assert!(program.ends_with("result: 2a\n"), "{program}");
        assert_eq!(folder.succeed(&[&["run", "main.wat", "--args", "29"], options].concat()), program);
    }
    let piped = folder.tool(&["run", "-", "--args", "01"], text.as_bytes());
    assert!(text_of(&piped).ends_with("result: 02\n"));
    folder.succeed(&["compile", "main.wat"]);
    let refused = folder.fail(&["run", "main.jam", "-O2"], b"", 2);
    assert!(
        refused.contains("-O is an option of compiling, and main.jam is a compiled program"),
        "{refused}"
    );
}

fn text_of(output: &std::process::Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

const START: &str = r#"(module (memory (export "memory") 1) (data (i32.const 16) "hello, world!")
  (global $starts (export "starts") (mut i32) (i32.const 0))
  (start $begin) (func $begin (global.set $starts (i32.add (global.get $starts) (i32.const 1)))
    (i32.store8 (i32.const 16) (i32.const 74)))
  (func (export "starts?") (result i32) (global.get $starts))
  (func (export "byte") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "fail") unreachable))"#;

/// The start function runs before memory is written.
#[test]
fn memory_is_written_between_calls_and_shown_after() {
    let folder = Folder::new("memory");
    folder.write("start.wat", START);
    let options = ["--poke", "20=2d2d", "--poke", "0xffff=7f", "--dump", "0x10:13", "--dump", "65535:1"];
    let calls = "--invoke starts? --invoke byte 65535 --poke 65535=05 --invoke byte 65535 --invoke starts?";
    let calls: Vec<&str> = calls.split(' ').collect();
    let expected = "1\n127\n5\n1\n\
        00000010  4a 65 6c 6c 2d 2d 20 77  6f 72 6c 64 21           |Jell-- world!|\n\
        0000ffff  05                                                |.|\n";
    for level in LEVELS {
        for gp in VERSIONS {
            let run = ["run", "start.wat", level, "--gp", gp];
            assert_eq!(folder.succeed(&[&run[..], &options, &calls].concat()), expected, "{level} {gp}");
        }
    }
    let outside =
        folder.fail_with_output(&["run", "start.wat", "--invoke", "starts?", "--dump", "0xfff0:17"], 1);
    assert_eq!(outside.0, "1\n");
    assert!(
        outside
            .1
            .contains("--dump: 17 bytes at 0xfff0 are not in linear memory, which is from 0x0 to 0x10000")
    );
    let outside = folder.fail(&["run", "start.wat", "--invoke", "starts?", "--poke", "65535=0102"], b"", 1);
    assert!(outside.contains("--poke: 2 bytes at 0xffff are not in linear memory"), "{outside}");
    // Memory is shown after a trap, too.
    let failed = folder.fail_with_output(&["run", "start.wat", "--invoke", "fail", "--dump", "16:1"], 3);
    assert!(
        failed.0.starts_with("00000010  4a ") && failed.1.starts_with("error[E0401]: fail: it trapped\n"),
        "{failed:?}"
    );
}

/// Addresses below the data are those of the C stack, which is the machine's.
#[test]
fn a_fused_stack_is_no_memory() {
    let folder = Folder::new("fused");
    let module = r#"(module (memory (export "memory") 2) (data (i32.const 65536) "data")
      (global $__stack_pointer (mut i32) (i32.const 65536))
      (func $use (param i32) (result i32) (local $f i32)
        (global.set $__stack_pointer (local.tee $f (i32.sub (global.get $__stack_pointer) (i32.const 16))))
        (i32.store (local.get $f) (local.get 0)) (call $touch (local.get $f))
        (i32.load (local.get $f)) (global.set $__stack_pointer (i32.add (local.get $f) (i32.const 16))))
      (func $touch (param i32) (i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (i32.load (i32.const 65536)))))
      (func (export "use") (param i32) (result i32) (call $use (local.get 0))))"#;
    folder.write("fused.wat", module);
    let run = ["run", "fused.wat", "--invoke", "use", "-0x61746164"];
    for (stack, first) in [("native", "0x10000"), ("strict", "0x0")] {
        let inside = [&run[..], &["--shadow-stack", stack, "--dump", "65536:4"]].concat();
        assert_eq!(folder.succeed(&inside).lines().next(), Some("0"), "{stack}");
        let outside = [&run[..], &["--shadow-stack", stack, "--dump", "0x1fffe:4"]].concat();
        let told = folder.fail_with_output(&outside, 1).1;
        assert!(told.contains(&format!("which is from {first} to 0x20000")), "{told}");
        let below = folder.tool(&[&run[..], &["--shadow-stack", stack, "--dump", "65532:4"]].concat(), b"");
        assert_eq!(below.status.success(), stack == "strict", "{}", text(&below.stderr));
    }
}

const HOST: &str = r#"(module
  (import "env" "get" (func $get (param i32) (result i32)))
  (import "env" "put" (func $put (param i64)))
  (func (export "ask") (param i32) (result i32) (i32.add (call $get (local.get 0)) (i32.const 1)))
  (func (export "tell") (param i64) (call $put (local.get 0))))"#;

#[test]
fn host_calls_are_answered() {
    let folder = Folder::new("host-calls");
    folder.write("host.wat", HOST);
    folder.write("imports.map", "get = ecalli 77\nput = ecalli 5\n");
    for gp in VERSIONS {
        for (answer, result) in [("77=41", "42"), ("get=-1", "0"), ("env.get=0x10", "17"), ("0x4d=7,9", "8")]
        {
            let imports = ["run", "host.wat", "--gp", gp, "--imports", "imports.map", "--host-call", answer];
            let printed = folder.succeed(&[&imports[..], &["--invoke", "ask", "3"]].concat());
            assert_eq!(printed.trim(), result, "{gp} {answer}");
        }
    }
    // Without a map, imports with an answer are host calls.
    let names = ["run", "host.wat", "--host-call", "get=1", "--host-call", "env.put=0"];
    assert_eq!(
        folder.succeed(&[&names[..], &["--invoke", "tell", "1", "--invoke", "ask", "0"]].concat()),
        "2\n"
    );
    // So are they before what is said about all others, and in a container with symbols.
    let others = ["run", "host.wat", "--imports", "trap", "--host-call", "get=1", "--invoke", "ask", "0"];
    assert_eq!(folder.succeed(&others), "2\n");
    let other = folder.fail_with_output(&[&others[..], &["--invoke", "tell", "0"]].concat(), 3);
    assert_eq!(other.0, "2\n");
    assert!(
        other.1.starts_with("[0] env.put is not available\nerror[E0401]: tell: it trapped\nreason: "),
        "{other:?}"
    );
    let symbols = [&names[..], &["--format", "polkavm", "--invoke", "ask", "0"]].concat();
    assert_eq!(folder.succeed(&symbols), "2\n");
    folder.succeed(&["compile", "host.wat", "--imports", "imports.map"]);
    let run = ["run", "host.jam", "--invoke", "ask", "1"];
    let unknown = folder.fail_with_output(&run, 3);
    let told = "error[E0403]: ask: it made the unknown host call 77 (get); --host-call answers it\n";
    assert_eq!(unknown.1, format!("{told}reason: the host has no answer to this call\n  in ask\n"));
    let misnamed = folder.fail(&[&run[..], &["--host-call", "gte=1"]].concat(), b"", 1);
    assert!(misnamed.contains("no host call is named `gte`; there are env.get, env.put"), "{misnamed}");
}

/// Two words can be answered.
#[test]
fn answers_set_both_registers() {
    let folder = Folder::new("two-words");
    let module = r#"(module
      (import "env" "host_call_1b" (func $call (param i64 i64) (result i64)))
      (import "env" "host_call_r8" (func $r8 (result i64)))
      (func (export "both") (result i64 i64) (call $call (i64.const 9) (i64.const 1)) (call $r8)))"#;
    folder.write("two.wat", module);
    let run = ["run", "two.wat", "--invoke", "both", "--host-call", "9=-5,0xffffffffffffffff"];
    assert_eq!(folder.succeed(&run), "-5\n-1\n");
}

#[test]
fn wrong_calls_are_told() {
    let folder = Folder::new("wrong-calls");
    folder.write("typed.wat", typed_module().0);
    folder.succeed(&["compile", "typed.wat"]);
    let cases: [(&[&str], i32, &str); 9] = [
        (&["i32.ad", "1", "2"], 1, "the program has no export `i32.ad` to invoke; it has i32.add, "),
        (&["i32.add", "1"], 2, "the function (i32, i32) -> (i32) takes 2 arguments, not 1"),
        (&["count", "1"], 2, "the function () -> (i64) takes 0 arguments, not 1"),
        (&["i32.add", "1", "4294967296"], 2, "`4294967296` is no value for parameter 2 of type i32"),
        (&["i64.add", "1.5", "1"], 2, "`1.5` is no value for parameter 1 of type i64"),
        (&["f32.neg", "0x1"], 2, "`0x1` is no value for parameter 1 of type f32"),
        (&["f64.add", "1", "infinite"], 2, "`infinite` is no value for parameter 2 of type f64"),
        (&["i32.add", "1", ""], 2, "`` is no value for parameter 2 of type i32"),
        (&[], 2, "--invoke"),
    ];
    for (words, code, told) in cases {
        for file in ["typed.wat", "typed.jam"] {
            // The first call would succeed, but nothing runs.
            let message =
                folder.fail(&[&["run", file, "--invoke", "count", "--invoke"], words].concat(), b"", code);
            assert!(message.contains(told), "{words:?}: {message}");
        }
    }
    folder.write(
        "service.wat",
        r#"(module (func (export "main") (param i32 i32) (result i64) (i64.const 0))
        (func (export "other") (result i32) (i32.const 5)))"#,
    );
    folder.succeed(&["compile", "service.wat"]);
    let message = folder.fail(&["run", "service.jam", "--invoke", "other"], b"", 1);
    assert!(
        message.contains("it has main; `--entries raw` makes every exported function an entry"),
        "{message}"
    );
    assert_eq!(folder.succeed(&["run", "service.wat", "--invoke", "other"]), "5\n");
    folder.succeed(&["compile", "service.wat", "--format", "spi"]);
    let message = folder.fail(&["run", "service.spi", "--invoke", "main", "0", "0"], b"", 1);
    assert!(message.contains("it has no description of its exports"), "{message}");
}

#[test]
fn calls_are_told_as_json() {
    let folder = Folder::new("json");
    folder.write("typed.wat", typed_module().0);
    let calls = ["--invoke", "f64.neg", "nan", "--invoke", "same7", "1", "2", "3", "4", "-5", "6", "7"];
    let outcome = folder.run_json("typed.wat", &[&calls[..], &["--dump", "4:2"]].concat());
    let first = &outcome["calls"][0];
    assert_eq!((&first["name"], &first["status"]), (&"f64.neg".into(), &"halt".into()));
    let expected = serde_json::json!([{ "type": "f64", "value": "NaN", "bits": "0xfff8000000000000" }]);
    assert_eq!(first["values"], expected);
    assert!(first["gas"].as_u64().is_some_and(|gas| gas > 0));
    let values = outcome["calls"][1]["values"].as_array().expect("values");
    let types: Vec<&str> = values.iter().filter_map(|value| value["type"].as_str()).collect();
    assert_eq!(types, ["i32", "i64", "f32", "f64", "i32", "i64", "f32"]);
    assert_eq!(outcome["memory"], serde_json::json!([{ "address": 4, "bytes": "0000" }]));
}

/// The addresses are those of the machine's memory.
#[test]
fn exported_data_has_addresses() {
    let folder = Folder::new("data-exports");
    let module = r#"(module (memory (export "memory") 3) (data (i32.const 8) "x")
      (table (export "table") 4 funcref) (elem (i32.const 1) func 0)
      (global (export "seven") i64 (i64.const 7)) (global (export "half") (mut f32) (f32.const 0.5))
      (func (export "f") (result i32) (i32.const 1)))"#;
    folder.write("data.wat", module);
    for gp in VERSIONS {
        folder.succeed(&["compile", "data.wat", "--metadata", "exports", "--gp", gp]);
        let bytes = std::fs::read(folder.path("data.jam")).expect("written");
        let container = Container::parse(&bytes).expect("a program");
        let extension = Metadata::parse(container.metadata()).extension.expect("ours");
        let Container::Jam { program, .. } = &container else { panic!("no service") };
        let engine = Engine::Polkavm037(Backend::Interpreter);
        let mut machine = Machine::new(program, extension.gp, engine).expect("it loads");
        let exports = extension.data.expect("requested");
        let mut read = |name: &str, offset: u32, len| {
            let export = exports.iter().find(|export| export.name == name).expect("exported");
            (export.kind, machine.read(export.address.wrapping_add(offset), len).expect("readable"))
        };
        assert_eq!(read("memory", 8, 2), (DataExportKind::Memory { bytes: 3 << 16 }, b"x\0".to_vec()));
        let global = |ty, mutable| DataExportKind::Global { ty, mutable };
        assert_eq!(read("seven", 0, 8), (global('I', false), 7u64.to_le_bytes().to_vec()));
        assert_eq!(read("half", 0, 4), (global('f', true), 0.5f32.to_le_bytes().to_vec()));
        let (kind, elements) = read("table", 0, 32);
        assert_eq!(kind, DataExportKind::Table { functions: true, elements: 4 });
        let used: Vec<bool> = elements.chunks(8).map(|element| element != [0; 8]).collect();
        assert_eq!(used, [false, true, false, false]);
        let info = folder.succeed(&["info", "data.jam"]);
        for line in ["memory memory: 0x", "table table at 0x", "global seven at 0x"] {
            assert!(info.contains(line), "{info}");
        }
        assert!(info.contains(": mutable f32\n") && info.contains("4 elements of 8 bytes"), "{info}");
        assert_eq!(folder.succeed(&["run", "data.jam", "--invoke", "f"]), "1\n");
    }
    folder.succeed(&["compile", "data.wat"]);
    assert!(!folder.succeed(&["info", "data.jam"]).contains("global seven"));
}

/// Data that is copied at the start costs gas, and data that is stored in place costs bytes.
#[test]
fn data_is_copied_at_the_start_unless_that_is_forbidden() {
    let folder = Folder::new("start-copy");
    let data = "some words again and ".repeat(200);
    folder.write(
        "copy.wat",
        format!(
            r#"(module (memory 4) (data (i32.const 200000) "{data}")
              (func (export "byte") (param i32) (result i32) (i32.load8_u (local.get 0))))"#
        ),
    );
    let mut costs = Vec::new();
    for copy in ["auto", "never"] {
        folder.succeed(&["compile", "copy.wat", "-Oz", "--start-copy", copy]);
        let outcome = folder.run_json("copy.jam", &["--invoke", "byte", "204199"]);
        let call = &outcome["calls"][0];
        assert_eq!(call["values"][0]["value"], data.as_bytes()[4199].to_string(), "{outcome}");
        let bytes = std::fs::metadata(folder.path("copy.jam")).expect("it is there").len();
        costs.push((call["gas"].as_u64().expect("a number"), bytes));
    }
    let [(copied_gas, copied_bytes), (stored_gas, stored_bytes)] = costs[..] else { panic!("two programs") };
    assert!(stored_gas + 4200 < copied_gas && copied_bytes + 3000 < stored_bytes, "{costs:?}");
}

/// A start function that traps is told.
#[test]
fn a_start_function_may_trap() {
    let folder = Folder::new("start-trap");
    folder.write("trap.wat", r#"(module (start $f) (func $f unreachable) (func (export "g")))"#);
    let told = folder.fail_with_output(&["run", "trap.wat", "--invoke", "g"], 3);
    let expected = "error[E0401]: the start function: it trapped\nreason: unreachable code was reached\n  in f (wasm 0x22: unreachable)\n";
    assert!(told.0.is_empty() && told.1.starts_with(expected), "{told:?}");
}

#[test]
fn profiles_are_written_and_used() {
    let folder = Folder::new("profiles");
    folder.write(
        "a.wat",
        r#"(module (memory 1)
        (func (export "main") (param i32 i32) (result i64)
          (i32.store (i32.const 64) (call $odd (i32.load8_u (local.get 0))))
          (i64.or (i64.const 64) (i64.shl (i64.const 4) (i64.const 32))))
        (func $odd (export "odd") (param i32) (result i32)
          (if (result i32) (i32.and (local.get 0) (i32.const 1))
            (then (i32.mul (local.get 0) (i32.const 3))) (else (i32.const 7)))))"#,
    );
    folder.succeed(&[
        "run",
        "a.wat",
        "--invoke",
        "odd",
        "5",
        "--invoke",
        "odd",
        "6",
        "--profile-out",
        "typed",
    ]);
    folder.succeed(&["run", "a.wat", "--args", "05", "--profile-out", "entered"]);
    let counts = |name: &str| {
        let text = text(&std::fs::read(folder.path(name)).unwrap());
        let lines = text.lines().filter(|line| line.starts_with("function") || line.starts_with("branch"));
        lines.map(|line| line.rsplit_once(": ").unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(counts("typed"), ["0", "2", "1 1"]);
    assert_eq!(counts("entered"), ["1", "1", "0 1"]);
    // Files are added, and training is the same as a file.
    folder.succeed(&["compile", "a.wat", "--profile", "entered", "--profile", "entered", "-o", "twice"]);
    folder.succeed(&["compile", "a.wat", "--train", "main=05", "--train", "main=05", "-o", "trained"]);
    let bytes = |name: &str| std::fs::read(folder.path(name)).unwrap();
    assert_eq!(bytes("twice"), bytes("trained"));
    folder.succeed(&[
        "compile",
        "a.wat",
        "--target",
        "thumbv7m",
        "--memory",
        "symbol",
        "--profile",
        "typed",
        "-o",
        "o",
    ]);
    let told = folder.succeed(&["run", "trained", "--args", "06"]);
    assert!(told.contains("result: 07000000"), "{told}");
}

#[test]
fn profiles_of_other_modules_are_refused() {
    let folder = Folder::new("profiles-refused");
    folder.write("a.wat", "(module (func (export \"main\") (br_if 0 (i32.const 1))))");
    folder.succeed(&["run", "a.wat", "--profile-out", "profile"]);
    folder.succeed(&["compile", "a.wat", "-o", "program"]);
    folder.write("b.wat", "(module (func (export \"main\")))");
    let told = folder.fail(&["compile", "b.wat", "--profile", "profile", "-o", "no"], b"", 1);
    assert!(told.contains("the profile is of another module"), "{told}");
    let told = folder.fail(&["compile", "b.wat", "--profile", "a.wat"], b"", 1);
    assert!(told.contains("a.wat: the profile: line 1: expected"), "{told}");
    let told = folder.fail(&["compile", "b.wat", "--profile", "jamm"], b"", 1);
    assert!(told.contains("or a kind of host: jam, revive, corevm, substrate"), "{told}");
    let told = folder.fail(&["compile", "a.wat", "--train", "min=05"], b"", 1);
    assert!(told.contains("--train min=05"), "{told}");
    let told = folder.fail(&["run", "program", "--profile-out", "no"], b"", 2);
    assert!(told.contains("--profile-out is for modules"), "{told}");
}
