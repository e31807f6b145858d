//! Modules that run as Cortex-M objects on the engine of the tool. `wasmi` judges results; counts of a loop are by hand, and sums
//! are those of the engine.

use serde_json::Value;
use wasmi::{Engine, Linker, Module, Store, Val};

use super::support::{Folder, text, wasm_of_c};

const MODULE: &str = r#"(module
  (import "env" "ask" (func $ask (result i32)))
  (memory 1)
  (data (i32.const 16) "\01\02\03\04")
  (global $count (mut i32) (i32.const 5))
  (func $divide (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "quotient") (param i32 i32) (result i32)
    (i32.add (call $divide (local.get 0) (local.get 1)) (i32.const 1)))
  (func (export "mix") (param i64 f32 f64) (result i64 f64)
    (i64.mul (local.get 0) (i64.const 3))
    (f64.add (f64.promote_f32 (local.get 1)) (local.get 2)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "next") (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1))) (global.get $count))
  (func (export "asked") (result i32) (call $ask))
  (func $deep (export "deep") (param i32) (result i32)
    (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (local.get 0)))
  (func (export "loop") (param i32) (result i32) (local i32)
    (loop $again
      (local.set 1 (i32.xor (i32.mul (local.get 1) (i32.const 17)) (local.get 0)))
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1)))"#;

const MACHINES: [&[&str]; 4] = [
    &["--target", "thumbv6m", "--memory", "symbol", "-Oz"],
    &["--target", "thumbv7m", "--memory", "register", "-O2"],
    &["--target", "thumbv7em", "--cpu", "m7dp", "--memory", "symbol", "-O0"],
    &["--target", "thumbv8.1m.main", "--memory", "symbol", "--trap", "handler=stop"],
];

/// The result of a call according to `wasmi`, printed as the tool prints values.
fn expected(name: &str, args: &[&str]) -> Vec<String> {
    let engine = Engine::default();
    let module = Module::new(&engine, wat::parse_str(MODULE).expect("a module")).expect("valid");
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.func_wrap("env", "ask", || 0i32).expect("a function");
    let instance = linker.instantiate_and_start(&mut store, &module).expect("it starts");
    let function = instance.get_func(&store, name).expect("exported");
    let ty = function.ty(&store);
    let value = |(text, ty): (&&str, &wasmi::ValType)| match ty {
        wasmi::ValType::I32 => Val::I32(text.parse().expect("an integer")),
        wasmi::ValType::I64 => Val::I64(text.parse().expect("an integer")),
        wasmi::ValType::F32 => Val::F32(wasmi::F32::from_float(text.parse().expect("a float"))),
        _ => Val::F64(wasmi::F64::from_float(text.parse().expect("a float"))),
    };
    let args: Vec<Val> = args.iter().zip(ty.params()).map(value).collect();
    let mut results: Vec<Val> = ty.results().iter().map(|ty| Val::default_for_ty(*ty)).collect();
    function.call(&mut store, &args, &mut results).expect("it returns");
    let text = |value: &Val| match value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => value.to_string(),
        Val::F64(value) => value.to_float().to_string(),
        other => panic!("{other:?}"),
    };
    results.iter().map(text).collect()
}

#[test]
fn results_are_those_of_wasm() {
    let folder = Folder::new("cortex-m-results");
    folder.write("a.wat", MODULE);
    let calls: [(&str, &[&str]); 5] = [
        ("quotient", &["-7", "2"]),
        ("mix", &["-5000000000", "1.5", "-0.25"]),
        ("load", &["16"]),
        ("next", &[]),
        ("loop", &["9"]),
    ];
    for machine in MACHINES {
        for (name, args) in calls {
            let command = [&["run", "a.wat"], machine, &["--invoke", name], args].concat();
            let lines: Vec<String> = folder.succeed(&command).lines().map(str::to_owned).collect();
            assert_eq!(lines, expected(name, args), "{command:?}");
        }
    }
    let state =
        ["--invoke", "next", "--invoke", "store", "65532", "258", "--invoke", "next", "--dump", "65530:6"];
    let told = folder.succeed(&[&["run", "a.wat"], MACHINES[1], &state].concat());
    assert_eq!(told, "6\n7\n0000fffa  00 00 02 01 00 00                                 |......|\n");
    let poked = folder
        .succeed(&[&["run", "a.wat"], MACHINES[0], &["--poke", "18=ff", "--invoke", "load", "16"]].concat());
    assert_eq!(poked, "83821057\n");
}

#[test]
fn calls_that_do_not_return_are_explained() {
    let folder = Folder::new("cortex-m-ends");
    folder.write("a.wat", MODULE);
    let fails = |machine: &[&str], call: &[&str]| {
        folder.fail_with_output(&[&["run", "a.wat"], machine, &["--invoke"], call].concat(), 3).1
    };
    for machine in MACHINES {
        let told = fails(machine, &["quotient", "1", "0"]);
        assert!(told.contains("quotient: it trapped\nreason: division by zero\n"), "{machine:?}: {told}");
        let told = fails(machine, &["load", "65533"]);
        assert!(told.contains("memory access or bulk operation out of bounds"), "{machine:?}: {told}");
        let told = fails(machine, &["deep", "0"]);
        assert!(told.contains("its stack overflowed") && told.contains("in deep"), "{machine:?}: {told}");
        let told = fails(machine, &["asked"]);
        assert!(told.contains("it called `ask`, which the object doesn't define"), "{machine:?}: {told}");
        let told = fails(machine, &["loop", "0", "--gas", "10000"]);
        assert!(told.contains("within 10000 instructions"), "{machine:?}: {told}");
    }
    let refused = |args: &[&str]| folder.fail_with_output(&[&["run", "a.wat"], args].concat(), 2).1;
    assert!(refused(&["--target", "thumbv7m"]).contains("--invoke names an export"));
    assert!(refused(&["--target", "thumbv7m", "--entry", "load"]).contains("--entry is an option of pvm"));
    assert!(refused(&["--cpu", "m4f", "--invoke", "next"]).contains("--cpu is an option of Cortex-M"));
}

/// The profile of a call as JSON.
fn profile(folder: &Folder, args: &[&str]) -> Value {
    serde_json::from_str(&folder.succeed(&[&["profile"], args, &["--json"]].concat())).expect("JSON")
}

fn sum(list: &Value, key: &str) -> u64 {
    list.as_array().expect("a list").iter().map(|row| row[key].as_u64().expect("a number")).sum()
}

#[test]
fn profiles_count_every_instruction() {
    let folder = Folder::new("cortex-m-profile");
    folder.write("a.wat", MODULE);
    for machine in MACHINES {
        let total = |n: &str| {
            let args = [&["a.wat"], machine, &["--invoke", "loop", n]].concat();
            let found = profile(&folder, &args);
            let all = found["instructions"].as_u64().expect("a number");
            assert_eq!(sum(&found["functions"], "own"), all, "{found}");
            assert_eq!(sum(&found["blocks"], "instructions"), all, "{found}");
            let run = folder.succeed(&[&["run"], &args[..], &["--json"]].concat());
            let run: Value = serde_json::from_str(&run).expect("JSON");
            let start = found["functions"].as_array().expect("a list").iter();
            let start: u64 = start
                .filter(|row| row["name"] == "__wasm_start")
                .map(|row| row["total"].as_u64().expect("a number"))
                .sum();
            assert_eq!(run["calls"][0]["instructions"].as_u64().expect("a number") + start, all);
            let most = found["blocks"].as_array().expect("a list").iter();
            let most = most
                .filter(|row| row["function"] == "loop")
                .map(|row| row["count"].as_u64().expect("a number"))
                .max();
            (all, most.expect("a block"))
        };
        let (first, second, third) = (total("100"), total("200"), total("300"));
        // The body of the loop is one block, executed as often as the argument says, or a part of that if it is
        // unrolled, and takes the same each time.
        let rolled = if machine.contains(&"-Oz") || machine.contains(&"-O0") { 100 } else { first.1 };
        assert_eq!((first.1, second.1, third.1), (rolled, 2 * rolled, 3 * rolled), "{machine:?}");
        assert_eq!(third.0 - second.0, second.0 - first.0, "{machine:?}");
    }
    for (form, mark) in [
        ("table", "instructions "),
        ("folded", "loop "),
        ("speedscope", "speedscope.app"),
        ("svg", "instructions, "),
    ] {
        let told = folder.succeed(
            &[&["profile", "a.wat"], MACHINES[1], &["--invoke", "loop", "50", "--as", form]].concat(),
        );
        assert!(told.contains(mark), "{form}: {told}");
    }
}

const SOURCE: &str = "
static int inner(int n) {
  int sum = 0;
  for (int i = 0; i < n; i++) {
    sum += (sum ^ i) * (sum ^ i);
  }
  return sum;
}
__attribute__((export_name(\"outer\"))) int outer(int n) {
  return inner(n) + inner(n + 1);
}
";

#[test]
fn profiles_have_lines_and_calls() {
    let folder = Folder::new("cortex-m-lines");
    let path = folder.write("profile.c", SOURCE);
    let Some(wasm) = wasm_of_c(&folder, &[&path], &["-g", "-O1"]) else { return };
    folder.write("a.wasm", wasm);
    let args = ["a.wasm", "--target", "thumbv7m", "-O2", "--invoke", "outer", "200"];
    let found = profile(&folder, &args);
    let lines: Vec<u64> = found["lines"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| row["line"].as_u64().expect("a line"))
        .collect();
    // The loop is the most expensive.
    assert!([4, 5].contains(&lines[0]), "{found}");
    assert!(found["lines"][0]["file"].as_str().is_some_and(|file| file.ends_with("profile.c")), "{found}");
    let named = |name: &str| {
        found["functions"].as_array().expect("a list").iter().find(|row| row["name"] == name).cloned()
    };
    assert!(named("inner").is_some_and(|row| row["calls"].is_null()), "{found}");
    assert!(named("outer").is_some_and(|row| row["total"] == found["instructions"]), "{found}");
    let folded = folder.succeed(&[&["profile"], &args[..], &["--as", "folded"]].concat());
    assert!(folded.lines().any(|line| line.starts_with("outer;inner ")), "{folded}");
}

/// The self-check finds no difference, and finds the one of an object that was made of another module.
#[test]
fn objects_are_verified() {
    let folder = Folder::new("cortex-m-verify");
    folder.write("a.wat", MODULE);
    folder.write("b.wat", MODULE.replace("(i64.const 3)", "(i64.const 5)"));
    for machine in MACHINES {
        let options = [machine, &["--inputs", "8"]].concat();
        folder.succeed(&[&["verify", "a.wat"], &options[..]].concat());
        folder.succeed(&[&["compile", "b.wat", "-o", "b.o"], machine].concat());
        let against = [&["verify", "a.wat", "--against", "b.o"], &options[..]].concat();
        let (told, errors) = folder.fail_with_output(&against, 1);
        assert!(told.contains("mix") || errors.contains("mix"), "{machine:?}: {told}{errors}");
    }
    let native = ["verify", "a.wat", "--target", "thumbv7m"];
    assert!(folder.fail_with_output(&native, 1).1.contains("--memory symbol"));
}

/// Cores for version 6 of the architecture have no jump that reaches every function.
#[test]
fn an_exported_import_is_called() {
    let folder = Folder::new("cortex-m-exported-import");
    folder.write(
        "a.wat",
        "(module (import \"env\" \"far\" (func $far (param i32))) (export \"near\" (func $far)))",
    );
    for machine in MACHINES {
        let words = [&["run", "a.wat", "--invoke", "near", "7"], machine].concat();
        let output = folder.tool(&words, b"");
        let error = text(&output.stderr);
        assert!(error.contains("near: it called `far`"), "{machine:?}: {error}");
        assert_eq!(output.status.code(), Some(3), "{machine:?}");
    }
}

/// A command that calls `__wasm_start` itself doesn't tell the user to; `compile` does.
#[test]
fn only_compile_warns_of_a_function_that_must_be_called_first() {
    let folder = Folder::new("first-call");
    folder.write(
        "start.wat",
        r#"(module (global $g (mut i32) (i32.const 0))
      (func $s (global.set $g (i32.const 7))) (start $s) (func (export "f") (result i32) (global.get $g)))"#,
    );
    let target = ["--target", "thumbv7m", "--memory", "symbol"];
    let output = folder.tool(&[&["run", "start.wat", "--invoke", "f"], &target[..]].concat(), b"");
    assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).as_str()), ("7\n", ""));
    let output = folder.tool(&[&["compile", "start.wat"], &target[..]].concat(), b"");
    assert!(text(&output.stderr).contains("warning[W0111]"), "{}", text(&output.stderr));
}
