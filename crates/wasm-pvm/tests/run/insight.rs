//! Explanations of traps, maps of code and profiles. `wasmi` judges the kinds of traps, the module itself the places, the
//! engine's gas the sums, and clang's line numbers the lines.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use wasm_pvm::insight::CodeMap;
use wasm_pvm::insight::size::SizeReport;
use wasmi::{Linker, Module, Store, TrapCode, Val};
use wasmparser::{Operator, Parser, Payload};

use super::support::{Folder, text, wasm_of_c};

const TRAPS: &str = r#"(module
  (type $nothing (func))
  (memory 1)
  (table 2 funcref)
  (elem (i32.const 0) func $take)
  (func $take (param i32))
  (func $quotient (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func $walk (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0))
      (then (unreachable))
      (else (i32.xor (i32.const 5) (call $walk (i32.sub (local.get 0) (i32.const 1)))))))
  (func (export "divide") (param i32 i32) (result i32)
    (i32.mul (i32.const 3) (call $quotient (local.get 0) (local.get 1))))
  (func (export "remainder") (param i64 i64) (result i64) (i64.rem_u (local.get 0) (local.get 1)))
  (func (export "descend") (param i32) (result i32) (call $walk (local.get 0)))
  (func (export "load") (param i32) (result i32) (i32.load offset=4 (local.get 0)))
  (func (export "store") (param i32) (i64.store (local.get 0) (i64.const 1)))
  (func (export "indirect") (param i32) (call_indirect (type $nothing) (local.get 0)))
  (func (export "convert") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
  (func $endless (export "endless") (param i64) (result i64)
    (i64.add (call $endless (i64.add (local.get 0) (i64.const 1))) (local.get 0))))"#;

/// Calls that trap: name, arguments, and the operator to blame.
const CALLS: [(&str, &[&str], &str); 12] = [
    ("divide", &["5", "0"], "i32.div_s"),
    ("divide", &["-2147483648", "-1"], "i32.div_s"),
    ("remainder", &["5", "0"], "i64.rem_u"),
    ("descend", &["3"], "if"),
    ("load", &["70000"], "i32.load"),
    ("store", &["65529"], "i64.store"),
    ("indirect", &["0"], "call_indirect"),
    ("indirect", &["1"], "call_indirect"),
    ("indirect", &["7"], "call_indirect"),
    ("convert", &["nan"], "i32.trunc_f64_s"),
    ("convert", &["-1e30"], "i32.trunc_f64_s"),
    ("endless", &["1"], ""),
];

/// The trap of a call according to `wasmi`.
fn trap_code(name: &str, args: &[&str]) -> TrapCode {
    let engine = wasmi::Engine::default();
    let module = Module::new(&engine, wat::parse_str(TRAPS).expect("a module")).expect("valid");
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate_and_start(&mut store, &module).expect("it starts");
    let function = instance.get_func(&store, name).expect("exported");
    let number = |text: &str| text.parse::<i64>().expect("an integer");
    let ty = function.ty(&store);
    let value = |(text, ty): (&&str, &wasmi::ValType)| match ty {
        wasmi::ValType::I32 => Val::I32(number(text) as i32),
        wasmi::ValType::I64 => Val::I64(number(text)),
        _ => Val::F64(wasmi::F64::from_float(text.parse().expect("a float"))),
    };
    let args: Vec<Val> = args.iter().zip(ty.params()).map(value).collect();
    let mut results: Vec<Val> = ty.results().iter().map(|ty| Val::default_for_ty(*ty)).collect();
    let error = function.call(&mut store, &args, &mut results).expect_err("it traps");
    error.as_trap_code().expect("a trap")
}

/// Words that the explanation of a kind of trap contains.
fn words(code: TrapCode) -> &'static [&'static str] {
    match code {
        TrapCode::UnreachableCodeReached => &["unreachable"],
        TrapCode::IntegerDivisionByZero => &["integer division by zero"],
        TrapCode::IntegerOverflow => &["overflow", "conversion of a float"],
        TrapCode::BadConversionToInteger => &["conversion of a float"],
        TrapCode::MemoryOutOfBounds => &["outside of the memory"],
        TrapCode::TableOutOfBounds | TrapCode::IndirectCallToNull | TrapCode::BadSignature => {
            &["an indirect call"]
        }
        TrapCode::StackOverflow => &["the stack overflowed"],
        other => panic!("no call has the trap {other:?}"),
    }
}

/// Debug names of operators by their byte offset in a module.
fn operators(wasm: &[u8]) -> BTreeMap<u64, String> {
    let bodies = Parser::new(0).parse_all(wasm).filter_map(|payload| match payload.expect("valid") {
        Payload::CodeSectionEntry(body) => Some(body),
        _ => None,
    });
    let operators =
        bodies.flat_map(|body| body.get_operators_reader().expect("valid").into_iter_with_offsets());
    operators
        .map(|operator| {
            let (op, offset): (Operator<'_>, _) = operator.expect("valid");
            (offset, format!("{op:?}").split([' ', '{']).next().unwrap_or_default().to_lowercase())
        })
        .collect()
}

#[test]
fn traps_are_explained() {
    let folder = Folder::new("traps");
    folder.write("a.wat", TRAPS);
    let operators = operators(&wat::parse_str(TRAPS).expect("a module"));
    for options in ["-O0", "-O2 --bounds strict", "-Oz", "-O2 --gp 0.7"] {
        for (name, args, operator) in CALLS {
            let options: Vec<&str> = options.split(' ').collect();
            let invoke = [&["--invoke", name], args].concat();
            let told = folder.run_json("a.wat", &[&options[..], &invoke].concat());
            let context = format!("{options:?} {name} {args:?}: {told}");
            let (code, reason) =
                (trap_code(name, args), told["stopped"]["reason"].as_str().expect("a reason"));
            assert!(words(code).iter().any(|words| reason.contains(words)), "{context}: {code:?}");
            let frame = &told["stopped"]["frames"][0];
            if !operator.is_empty() {
                assert_eq!(frame["operator"], operator, "{context}");
                let known = &operators[&frame["offset"].as_u64().expect("an offset")];
                assert_eq!(*known, operator.replace(['.', '_'], ""), "{context}");
            }
        }
    }
    let (_, told) = folder.fail_with_output(&["run", "a.wat", "--invoke", "load", "65536"], 3);
    assert!(told.contains("reason: a load of 4 bytes outside of the memory, at address 0x10004\n"), "{told}");
    // The address that is checked counts, not the one that the check allows.
    let strict = ["run", "a.wat", "--bounds", "strict", "--invoke", "load", "4294967292"];
    let (_, told) = folder.fail_with_output(&strict, 3);
    assert!(told.contains("or above\n"), "{told}");
}

#[test]
fn traps_have_the_calls_that_led_to_them() {
    let folder = Folder::new("trap-calls");
    folder.write("a.wat", TRAPS);
    for level in ["-O0", "-O1", "-O2", "-Oz"] {
        let names = |args: &[&str]| -> Vec<String> {
            let told = folder.run_json("a.wat", &[&[level], args].concat());
            let frames = told["stopped"]["frames"].as_array().expect("frames").iter();
            frames.map(|frame| frame["function"].as_str().expect("a name").to_owned()).collect()
        };
        // Inlined functions are among them.
        assert_eq!(names(&["--invoke", "divide", "1", "0"]), ["quotient", "divide"], "{level}");
        let walked = names(&["--invoke", "descend", "3"]);
        assert_eq!(walked[..4], ["walk"; 4], "{level}");
        assert_eq!(walked.last().map(String::as_str), Some("descend"), "{level}");
    }
}

#[test]
fn maps_belong_to_programs_and_do_not_change_them() {
    let folder = Folder::new("maps");
    folder.write("a.wat", TRAPS);
    folder.write("b.wat", "(module (func (export \"main\")))");
    for options in ["-O2", "-Oz --gp 0.7", "-O0 --bounds strict", "-O2 --format polkavm"] {
        let options: Vec<&str> = options.split(' ').collect();
        let compile = |output: &str, more: &[&str]| {
            folder.succeed(&[&["compile", "a.wat", "-o", output], &options[..], more].concat());
            std::fs::read(folder.path(output)).expect("written")
        };
        assert_eq!(compile("plain", &[]), compile("mapped", &["--map"]), "{options:?}");
    }
    let raw = ["compile", "a.wat", "--entries", "raw", "--names", "strip", "-o", "program"];
    folder.succeed(&[&raw[..], &["--map"]].concat());
    let call = ["--invoke", "divide", "1", "0"];
    let told = folder.run_json("program", &call);
    assert_eq!(told["stopped"]["frames"][0]["operator"], "i32.div_s", "{told}");
    folder.succeed(&["compile", "b.wat", "-o", "other", "--map"]);
    let told = folder.fail(&[&["run", "program", "--map", "other.map"], &call[..]].concat(), b"", 1);
    assert!(told.contains("other.map: is the map of another program"), "{told}");
    let map = text(&std::fs::read(folder.path("program.map")).expect("written"));
    for damaged in
        [map.replace("\"code\":[[", "\"code\":[[99999999,0],["), "{}".to_owned(), map[1..].to_owned()]
    {
        folder.write("damaged.map", damaged);
        let told = folder.fail(&["run", "program", "--map", "damaged.map"], b"", 1);
        assert!(told.contains("not a map of code"), "{told}");
    }
    // Without a map, names are those of the metadata.
    std::fs::remove_file(folder.path("program.map")).expect("it is there");
    assert_eq!(folder.run_json("program", &call)["stopped"]["frames"][0]["source"], Value::Null);
}

#[test]
fn lines_are_those_of_the_source() {
    let source = "static int half(int a, int b) {\n    return a / b;\n}\n\n\
        __attribute__((export_name(\"entry\"))) int entry(int a, int b) {\n    int sum = a + b;\n    \
        return sum ^ half(a, b);\n}\n";
    let folder = Folder::new("trap-lines");
    let path = folder.write("half.c", source);
    for level in ["-O0", "-O2"] {
        let Some(wasm) = wasm_of_c(&folder, &[&path], &[level, "-g"]) else { return };
        folder.write("half.wasm", wasm);
        let told = folder.run_json("half.wasm", &["--invoke", "entry", "1", "0"]);
        let source = &told["stopped"]["frames"][0]["source"];
        assert_eq!(source["line"], 2, "{level}: {told}");
        assert!(source["file"].as_str().expect("a file").ends_with("half.c"), "{told}");
    }
}

/// PolkaVM's own parser reads the lines. A function that this compiler inlines is a frame of its own.
#[test]
fn containers_of_polkavm_have_lines() {
    let source = "static int half(int a, int b) {\n    return a / b;\n}\n\n\
        __attribute__((export_name(\"entry\"))) int entry(int a, int b) {\n    int sum = a + b;\n    \
        return sum ^ half(a, b);\n}\n";
    let folder = Folder::new("polkavm-lines");
    let path = folder.write("half.c", source);
    let Some(wasm) = wasm_of_c(&folder, &[&path], &["-O0", "-g"]) else { return };
    folder.write("half.wasm", wasm);
    let compile = |names: &str| {
        folder.succeed(&["compile", "half.wasm", "--format", "polkavm", "--names", names, "-o", names]);
        let bytes = std::fs::read(folder.path(names)).expect("written");
        polkavm_common::program::ProgramBlob::parse(bytes.into()).expect("a program")
    };
    let (plain, lines) = (compile("keep"), compile("lines"));
    assert_eq!((plain.code(), plain.bitmask()), (lines.code(), lines.bitmask()));
    let mut stacks = BTreeSet::new();
    for instruction in lines.instructions() {
        let Some(mut program) = lines.get_debug_line_program_at(instruction.offset).expect("well-formed")
        else {
            continue;
        };
        while let Some(region) = program.run().expect("well-formed") {
            if region.instruction_range().contains(&instruction.offset) {
                let place = |frame: polkavm_common::program::FrameInfo<'_>| {
                    let name = frame.function_name_without_namespace().expect("valid").unwrap_or_default();
                    let path = frame.path().expect("valid").unwrap_or_default();
                    assert!(path.is_empty() || path.ends_with("half.c"), "{path}");
                    format!("{name}:{}", frame.line().unwrap_or(0))
                };
                stacks.insert(region.frames().map(place).collect::<Vec<_>>().join(" "));
            }
        }
    }
    assert!(stacks.contains("entry:6") && stacks.contains("entry:7 half:2"), "{stacks:?}");
    let told = folder.fail(&["compile", "half.wasm", "--names", "lines"], b"", 2);
    assert!(told.contains("only PolkaVM's container has a place for lines"), "{told}");
    assert_eq!(
        sum(&size(&folder, "lines", &[]), "kinds"),
        std::fs::metadata(folder.path("lines")).expect("a file").len()
    );
    assert!(folder.succeed(&["info", "lines"]).contains("names:"));
}

#[test]
fn other_endings_have_their_place() {
    let folder = Folder::new("endings");
    folder.write(
        "a.wat",
        r#"(module (import "env" "ask" (func $ask (param i32) (result i32)))
          (func $asks (param i32) (result i32) (i32.add (call $ask (local.get 0)) (i32.const 1)))
          (func (export "question") (param i32) (result i32) (i32.mul (call $asks (local.get 0)) (i32.const 3)))
          (func $spin (param i32) (loop (br_if 0 (i32.ne (local.get 0) (i32.const 0)))))
          (func (export "forever") (param i32) (call $spin (local.get 0))))"#,
    );
    let functions = |args: &[&str]| -> Vec<String> {
        let told = folder.run_json("a.wat", args);
        let frames = told["stopped"]["frames"].as_array().expect("frames").iter();
        frames.map(|frame| frame["function"].as_str().expect("a name").to_owned()).collect()
    };
    for level in ["-O0", "-O2"] {
        let asked = functions(&[level, "--imports", "auto", "--invoke", "question", "1"]);
        assert_eq!(asked, ["asks", "question"], "{level}");
        let spun = functions(&[level, "--imports", "auto", "--gas", "1000", "--invoke", "forever", "1"]);
        assert_eq!(spun, ["spin", "forever"], "{level}");
    }
}

/// The sum of the numbers at the ends of lines.
fn sum_of_folded(text: &str) -> u64 {
    let number = |line: &str| line.rsplit_once(' ').expect("a number").1.parse::<u64>().expect("a number");
    text.lines().map(number).sum()
}

#[test]
fn profiles_add_up_to_the_gas() {
    let folder = Folder::new("profile-gas");
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/");
    let sha256 = format!("{root}kernels/wasm/O2/sha256.wasm");
    let nbody = format!("{root}float-kernels/wasm/Os/nbody.wasm");
    for (module, gp) in [(&sha256, "0.8"), (&sha256, "0.7"), (&nbody, "0.8")] {
        let args = ["--gp", gp, "--args", "61626364"];
        let outcome = folder.run_json(module, &args);
        let gas = outcome["gas"].as_u64().expect("gas");
        let profile = |form: &str| folder.succeed(&[&["profile", module, "--as", form], &args[..]].concat());
        let json: Value = serde_json::from_str(&profile("json")).expect("JSON");
        assert_eq!(json["gas"], gas, "{module}");
        let sum = |list: &str, field: &str| -> u64 {
            json[list]
                .as_array()
                .expect("a list")
                .iter()
                .map(|row| row[field].as_u64().expect("a number"))
                .sum()
        };
        assert_eq!((sum("functions", "own"), sum("blocks", "gas")), (gas, gas), "{module}");
        assert!(
            json["functions"]
                .as_array()
                .expect("a list")
                .iter()
                .all(|row| row["total"].as_u64() <= Some(gas))
        );
        assert_eq!(sum_of_folded(&profile("folded")), gas, "{module}");
        let scope: Value = serde_json::from_str(&profile("speedscope")).expect("JSON");
        let weights = scope["profiles"][0]["weights"].as_array().expect("weights");
        assert_eq!(weights.iter().filter_map(Value::as_u64).sum::<u64>(), gas, "{module}");
        let svg = profile("svg");
        let balanced =
            |tag: &str| svg.matches(&format!("<{tag}>")).count() == svg.matches(&format!("</{tag}>")).count();
        assert!(
            svg.ends_with("</svg>\n") && balanced("g") && svg.contains(&format!("all ({gas} gas, 100.00 %)"))
        );
    }
}

#[test]
fn profiles_count_calls() {
    let folder = Folder::new("profile-calls");
    let source = r#"(module
      (func $leaf (export "leaf") (param i32) (result i32) (i32.rotl (local.get 0) (i32.const 3)))
      (func $walk (export "walk") (param i32) (result i32)
        (if (result i32) (local.get 0)
          (then (i32.add (call $walk (i32.sub (local.get 0) (i32.const 1))) (call $leaf (local.get 0))))
          (else (i32.const 1)))))"#;
    folder.write("a.wat", source);
    let args = ["profile", "a.wat", "-O0", "--invoke", "walk", "9", "--json"];
    let profile: Value = serde_json::from_str(&folder.succeed(&args)).expect("JSON");
    let rows = profile["functions"].as_array().expect("a list");
    let calls = |name: &str| rows.iter().find(|row| row["name"] == name).expect("it ran")["calls"].as_u64();
    assert_eq!((calls("walk"), calls("leaf")), (Some(10), Some(9)), "{profile}");
    let folded = folder.succeed(&["profile", "a.wat", "-O0", "--invoke", "walk", "2", "--as", "folded"]);
    assert!(
        folded
            .lines()
            .any(|line| line.starts_with("(entries);walk;walk;leaf ") || line.starts_with("walk;walk;leaf ")),
        "{folded}"
    );
}

/// The report of `size` as JSON.
fn size(folder: &Folder, file: &str, more: &[&str]) -> Value {
    let told = folder.succeed(&[&["size", file, "--json"], more].concat());
    serde_json::from_str(&told).expect("JSON")
}

/// The sum of a field over a list.
fn sum(value: &Value, list: &str) -> u64 {
    value[list].as_array().expect("a list").iter().map(|row| row["bytes"].as_u64().expect("bytes")).sum()
}

#[test]
fn sizes_add_up_to_the_file() {
    let folder = Folder::new("sizes");
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/");
    let module = format!("{root}kernels/wasm/O2/sha256.wasm");
    let forms = [
        ("--format jam", "jam"),
        ("--format spi --map", "spi"),
        ("--format raw", "raw"),
        ("--format polkavm", "polkavm"),
        ("--format corevm", "corevm"),
        ("--target thumbv7m --memory symbol", "object"),
    ];
    let info = bytes_of_bodies(&std::fs::read(&module).expect("a fixture"));
    let wasm = size(&folder, &module, &["--top", "3"]);
    assert_eq!(sum(&wasm, "items"), std::fs::metadata(&module).expect("a file").len());
    let code: u64 = wasm["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter(|item| item["kind"] == "code")
        .filter_map(|item| item["bytes"].as_u64())
        .sum();
    assert_eq!(code, info, "bodies and their lengths");
    for (options, form) in forms {
        let options: Vec<&str> = options.split(' ').collect();
        folder.succeed(&[&["compile", &module, "-o", "program"], &options[..]].concat());
        let report = size(&folder, "program", &["--tree"]);
        let bytes = std::fs::metadata(folder.path("program")).expect("a file").len();
        assert_eq!((&report["form"], report["bytes"].as_u64()), (&Value::from(form), Some(bytes)));
        assert_eq!((sum(&report, "items"), sum(&report, "kinds")), (bytes, bytes), "{form}");
        let kind = |name: &str| {
            let kinds = report["kinds"].as_array().expect("kinds");
            kinds
                .iter()
                .find(|kind| kind["name"] == name)
                .map_or(0, |kind| kind["bytes"].as_u64().expect("bytes"))
        };
        // Of what only the container has, little is left.
        assert!(form == "object" || kind("headers") < 100, "{form}: {report}");
        let tree = report["tree"].as_array().expect("a tree");
        let below: u64 = tree.iter().map(|root| root["total"].as_u64().expect("bytes")).sum();
        assert!(below <= kind("code") && below * 10 >= kind("code") * 9, "{form}: {report}");
        let info =
            if form == "object" { Value::Null } else { folder_json(&folder, &["info", "program", "--json"]) };
        assert!(info.is_null() || info["sizes"]["code"] == kind("code"), "{form}: {info}");
    }
}

/// Bytes of all function bodies of a module with their lengths.
fn bytes_of_bodies(wasm: &[u8]) -> u64 {
    let bodies = Parser::new(0).parse_all(wasm).filter_map(|payload| match payload.expect("valid") {
        Payload::CodeSectionEntry(body) => Some(body.range().end - body.range().start),
        _ => None,
    });
    bodies.map(|bytes| bytes + if bytes < 128 { 1 } else { 2 }).sum()
}

fn folder_json(folder: &Folder, args: &[&str]) -> Value {
    serde_json::from_str(&folder.succeed(args)).expect("JSON")
}

#[test]
fn the_tree_has_functions_below_their_only_callers() {
    let folder = Folder::new("size-tree");
    folder.write("a.wat", r#"(module (table 1 funcref) (elem (i32.const 0) $e)
      (func $a (export "a") call $b call $c) (func $b call $d) (func $c call $d) (func $d) (func $e call $f) (func $f)
      (func $unused))"#);
    let wasm = wat::parse_file(folder.path("a.wat")).expect("a module");
    folder.write("a.wasm", wasm);
    let report = size(&folder, "a.wasm", &["--tree"]);
    fn names(tree: &Value) -> String {
        let list = tree.as_array().expect("a list").iter();
        let one =
            |node: &Value| format!("{}[{}]", node["name"].as_str().expect("a name"), names(&node["below"]));
        list.map(one).collect::<Vec<_>>().join(" ")
    }
    // The common callee of two functions is below the caller of both.
    assert_eq!(names(&report["tree"]), "a[b[] c[] d[]] (indirect calls)[e[f[]]]");
    let (_, told) = folder.fail_with_output(&["size", "a.wasm", "--max-size", "10"], 1);
    assert!(told.contains("more than the limit of 10\n"), "{told}");
    folder.write("b.wasm", wat::parse_str("(module (func $a (export \"a\") nop nop))").expect("a module"));
    let changes = size(&folder, "b.wasm", &["--diff", "a.wasm"]);
    let changes = changes["changes"].as_array().expect("changes");
    let change = changes.iter().find(|change| change["name"] == "f").expect("it is gone");
    assert!(change["new"] == 0 && change["old"].as_u64() > Some(0), "{changes:?}");
}

#[test]
fn budgets_are_kept_or_exceeded() {
    let folder = Folder::new("budgets");
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/");
    let module = format!("{root}kernels/wasm/O2/sha256.wasm");
    let gas = folder.run_json(&module, &["--args", "616263"])["gas"].as_u64().expect("gas");
    folder.succeed(&["compile", &module, "-o", "program"]);
    let bytes = std::fs::metadata(folder.path("program")).expect("a file").len();
    let budget = |gas: u64, bytes: u64| {
        format!(
            "max-bytes = {bytes}\nmax-block-instructions = 100000\n[[entry]]\nname = \"main\"\nargs = \"616263\"\nmax-gas = {gas}\nmax-stack = 65536\n"
        )
    };
    folder.write("kept.toml", budget(gas, bytes));
    let kept = folder.succeed(&["budget", "program", "kept.toml"]);
    assert!(kept.contains(&format!("{gas:>10}{gas:>10}  gas of entry main with 616263\n")), "{kept}");
    for (gas, bytes, exceeded) in
        [(gas - 1, bytes, "gas of entry main"), (gas, bytes - 1, "bytes of the file")]
    {
        folder.write("tight.toml", budget(gas, bytes));
        let (told, error) = folder.fail_with_output(&["budget", "program", "tight.toml"], 1);
        let lines: Vec<&str> = told.lines().filter(|line| line.ends_with("  exceeded")).collect();
        assert!(matches!(lines[..], [line] if line.contains(exceeded)), "{told}");
        assert!(error.contains("1 of 4 limits are exceeded"), "{error}");
    }
    folder.write("a.wat", TRAPS);
    folder.write("calls.toml", "[[call]]\nname = \"divide\"\nvalues = [6, 2]\nmax-gas = 1000\n");
    folder.succeed(&["budget", "a.wat", "calls.toml"]);
    folder.write("trap.toml", "[[call]]\nname = \"divide\"\nvalues = [6, 0]\nmax-gas = 1000\n");
    let told = folder.fail(&["budget", "a.wat", "trap.toml"], b"", 1);
    assert!(told.contains("divide(6, 0): it trapped"), "{told}");
}

#[test]
fn completions_and_pages_have_all_commands() {
    let folder = Folder::new("manual");
    let commands = [
        "compile",
        "run",
        "profile",
        "explore",
        "disasm",
        "info",
        "gas",
        "size",
        "budget",
        "verify",
        "explain",
        "explain-trap",
        "completions",
        "man",
    ];
    for shell in ["bash", "zsh", "fish"] {
        let script = folder.succeed(&["completions", shell]);
        assert!(commands.iter().all(|command| script.contains(command)), "{shell}");
        folder.write(shell, script);
    }
    let bash = std::process::Command::new("bash").arg("-n").arg(folder.path("bash")).status();
    assert!(bash.is_ok_and(|status| status.success()), "bash can't parse its script");
    folder.succeed(&["man", "pages"]);
    let mut pages: Vec<String> = commands.iter().map(|command| format!("wasm-pvm-{command}.1")).collect();
    pages.push("wasm-pvm.1".to_owned());
    for page in pages {
        let page = text(&std::fs::read(folder.path("pages").join(page)).expect("written"));
        assert!(page.contains(".TH ") && page.contains(".SH SYNOPSIS"), "{page}");
    }
}

#[test]
fn colours_are_used_only_where_they_are_wanted() {
    let folder = Folder::new("colours");
    // A warning: the map has a line without an import.
    folder.write("a.wat", "(module (func (export \"main\")))");
    folder.write("a.map", "env.none = trap");
    let warned = |more: &[&str]| {
        let args = [&["compile", "a.wat", "-o", "a.jam", "--imports", "a.map"], more].concat();
        let told = text(&folder.tool(&args, b"").stderr);
        assert!(told.contains("env.none"), "{told}");
        told.contains('\u{1b}')
    };
    assert!(!warned(&[]) && !warned(&["--color", "never"]) && warned(&["--color", "always"]));
}

/// Files that are not well-formed are refused or measured, and maps that are not are refused or used.
#[test]
fn damaged_files_are_no_bugs() {
    let folder = Folder::new("damaged");
    folder.write("a.wat", TRAPS);
    let mut state = 1u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    for options in ["--map", "--format polkavm --names keep", "--target thumbv7m --memory symbol"] {
        let options: Vec<&str> = options.split(' ').collect();
        folder.succeed(&[&["compile", "a.wat", "-o", "a"], &options[..]].concat());
        let file = std::fs::read(folder.path("a")).expect("written");
        let whole = SizeReport::read(&file, None, None).expect("a file");
        assert_eq!(whole.items.iter().map(|item| item.bytes).sum::<u64>(), file.len() as u64);
        let mut read = 0;
        for _ in 0..400 {
            let mut damaged = file.clone();
            for _ in 0..=below(3) {
                let at = below(damaged.len());
                damaged[at] = below(256) as u8;
            }
            damaged.truncate(damaged.len() - if below(4) == 0 { below(20) } else { 0 });
            if let Ok(report) = SizeReport::read(&damaged, None, None) {
                read += 1;
                assert_eq!(report.items.iter().map(|item| item.bytes).sum::<u64>(), damaged.len() as u64);
                assert!(report.retained().len() <= report.functions.len() + 1);
            }
        }
        assert!(read > 0, "{options:?}: all were refused");
    }
    let map = text(&std::fs::read(folder.path("a.map")).expect("written"));
    let mut used = 0;
    for _ in 0..400 {
        let mut damaged = map.clone().into_bytes();
        let at = below(damaged.len());
        damaged[at] = b"0123456789-,[]"[below(14)];
        let Ok(map) = CodeMap::parse(&String::from_utf8(damaged).expect("digits are ASCII")) else {
            continue;
        };
        used += 1;
        assert!((0..600).all(|pc| !map.frames(pc).is_empty()));
    }
    assert!(used > 0, "all were refused");
}
