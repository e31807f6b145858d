//! The deepest stack that the compiler proves for PVM programs: generated programs run on exactly that stack as in
//! `wasmi`, and don't on a page less.

use std::fmt::Write as _;
use std::fs;

use pvm_isa::{Container, spi};
use random::Rng;
use wasm_pvm::insight::code_stack;
use wasm_pvm::run::{RunOptions, Session, Status, Value, ValueType};
use wasm_pvm::{EntryMode, GpVersion, OptLevel, Options, PvmOptions, ShadowStack, Stacks};
use wasmi::{Engine, Instance, Linker, Module, Store};

use crate::support::Folder;

const LEVELS: [OptLevel; 4] = [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz];
const VERSIONS: [GpVersion; 2] = [GpVersion::V072, GpVersion::V08];
/// Functions of a generated module. Each is called by earlier ones, and has as many further parameters as its number.
const FUNCTIONS: usize = 9;

/// A call of function `to` with the first argument in local 0, perhaps through the table.
fn call(rng: &mut Rng, to: usize, is_tail: bool, has_table: bool) -> String {
    let more: String = (0..to).map(|n| format!("(i64.const {}) ", rng.below(1000) + n)).collect();
    let tail = if is_tail { "return_" } else { "" };
    match rng.below(3) {
        // The optimiser does not know the index.
        0 if has_table => format!(
            "({tail}call_indirect (type $t{to}) (local.get 0) {more}(i32.load (i32.const {})))",
            65536 + 4 * to
        ),
        _ => format!("({tail}call $f{to} (local.get 0) {more})"),
    }
}

/// A module whose functions call later ones, all in every run, and write all of their frames on the C stack.
fn module(rng: &mut Rng, has_table: bool) -> String {
    let mut text = "(module (memory 3) (global $__stack_pointer (mut i32) (i32.const 65536))\n".to_owned();
    for n in 0..FUNCTIONS {
        let _ = writeln!(text, "(type $t{n} (func (param i32{}) (result i32)))", " i64".repeat(n));
    }
    let _ = writeln!(text, "(table {FUNCTIONS} funcref) (elem (i32.const 0) {})", names());
    let indices: String = (0..FUNCTIONS).map(|n| format!("\\{n:02x}\\00\\00\\00")).collect();
    let _ = writeln!(text, "(data (i32.const 65536) \"{indices}\")");
    text += "(func $fill (param $p i32) (param $n i32) (param $v i32)
      (loop $l
        (i32.store (local.get $p) (local.get $v))
        (local.set $p (i32.add (local.get $p) (i32.const 4)))
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 4))))))\n";
    for n in 0..FUNCTIONS {
        function(rng, n, has_table, &mut text);
    }
    text + "(export \"f\" (func $f0)))"
}

fn names() -> String {
    (0..FUNCTIONS).map(|n| format!("$f{n} ")).collect()
}

fn function(rng: &mut Rng, n: usize, has_table: bool, text: &mut String) {
    let frame = if rng.below(4) == 0 { 0 } else { 16 * (1 + rng.below(300)) };
    let local = n + 1;
    let _ = writeln!(text, "(func $f{n} (type $t{n}) (local i32)");
    for param in 1..=n {
        let _ = writeln!(
            text,
            "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 31)) (i32.wrap_i64 (local.get {param}))))"
        );
    }
    if frame > 0 {
        let _ = writeln!(
            text,
            "(global.set $__stack_pointer (local.tee {local} (i32.sub (global.get $__stack_pointer) (i32.const {frame}))))
             (call $fill (local.get {local}) (i32.const {frame}) (local.get 0))"
        );
    }
    let later = FUNCTIONS - n - 1;
    for _ in 0..if later > 0 { 2 } else { 0 } {
        let to = n + 1 + rng.below(later.min(3));
        let _ = writeln!(text, "(local.set 0 {})", call(rng, to, false, has_table));
    }
    if frame > 0 {
        let _ = writeln!(
            text,
            "(local.set 0 (i32.add (local.get 0) (i32.load offset={} (local.get {local}))))
             (global.set $__stack_pointer (i32.add (local.get {local}) (i32.const {frame})))",
            4 * rng.below(frame / 4)
        );
    }
    let end = match later > 0 && rng.below(3) == 0 {
        true => call(rng, n + 1, true, has_table),
        false => "(local.get 0)".to_owned(),
    };
    let _ = writeln!(text, "{end})");
}

fn expected(module: &str, argument: i32) -> i32 {
    let wasm = wat::parse_str(module).unwrap();
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let module = Module::new(&engine, &wasm).unwrap();
    let instance: Instance = Linker::new(&engine).instantiate_and_start(&mut store, &module).unwrap();
    instance.get_typed_func::<i32, i32>(&store, "f").unwrap().call(&mut store, argument).unwrap()
}

/// A program and the proven stacks. Every exported function is an entry.
fn compiled(module: &str, level: OptLevel, gp: GpVersion, shadow_stack: ShadowStack) -> (Vec<u8>, Stacks) {
    let pvm = PvmOptions { gp, entries: EntryMode::Raw, ..PvmOptions::default() };
    let options = Options { level, shadow_stack, threads: 1, ..Options::new(pvm) };
    let output = wasm_pvm::compile(module.as_bytes(), &options).unwrap();
    let stacks = output.report.pvm().unwrap().stacks.clone();
    (output.bytes, stacks)
}

/// The program with another size of the stack; `None` if that would be no page.
fn with_stack(program: &[u8], change: impl FnOnce(u32) -> u32) -> Option<Vec<u8>> {
    let Container::Jam { metadata, mut program } = Container::parse(program).unwrap() else {
        panic!("a JAM program")
    };
    program.stack_size = change(program.stack_size);
    (program.stack_size > 0).then(|| Container::Jam { metadata, program }.to_bytes().unwrap())
}

fn stack_of(program: &[u8]) -> u32 {
    let Container::Jam { program, .. } = Container::parse(program).unwrap() else { panic!("a JAM program") };
    program.stack_size
}

fn run(program: &[u8], argument: i32) -> (Status, Vec<Value>) {
    let mut session = Session::load(program, &RunOptions::default()).unwrap();
    let outcome = session.invoke("f", &[ValueType::I32.parse(&argument.to_string()).unwrap()]).unwrap();
    (outcome.status, outcome.values)
}

#[test]
fn programs_run_on_the_stack_that_is_proven_and_not_on_less() {
    let (mut exact, mut largest) = (0, 0);
    for seed in 0..24 {
        let mut rng = Rng::new(seed);
        let module = module(&mut rng, true);
        let argument = rng.below(1000) as i32;
        let expected = expected(&module, argument);
        let (level, gp) = (LEVELS[seed as usize % 4], VERSIONS[seed as usize / 4 % 2]);
        let (program, stacks) = compiled(&module, level, gp, ShadowStack::Native);
        let bound = stacks.bound.unwrap_or_else(|| panic!("seed {seed} {level:?}: {stacks:?}\n{module}"));
        let size = stack_of(&program);
        assert_eq!(size, bound.next_multiple_of(spi::PAGE_SIZE), "seed {seed} {level:?}");
        let (status, values) = run(&program, argument);
        assert_eq!(status, Status::Halt, "seed {seed} {level:?} {gp}\n{module}");
        assert_eq!(values[0].to_string(), expected.to_string(), "seed {seed} {level:?} {gp}");
        // The optimiser removes stores to frames, and a frame may have padding at its end.
        if let Some(less) = with_stack(&program, |size| size - spi::PAGE_SIZE)
            && bound % spi::PAGE_SIZE > 512
        {
            let status = run(&less, argument).0;
            // On the interpreter, which runs programs for GP 0.7, some programs return on a page less.
            let is_certain = level == OptLevel::O0 && gp == GpVersion::V08;
            assert!(status == Status::Panic || !is_certain, "seed {seed} {gp}: {bound}\n{module}");
            exact += u32::from(status == Status::Panic);
        }
        largest = largest.max(size);
    }
    assert!(exact >= 8 && largest > 4 * spi::PAGE_SIZE, "{exact} {largest}");
}

/// The proof from the code alone, which knows nothing of the compiler's, finds no more, and as little suffices.
#[test]
fn the_code_alone_proves_the_stack() {
    let mut as_deep = 0;
    for seed in 100..116 {
        let mut rng = Rng::new(seed);
        let module = module(&mut rng, false);
        let argument = rng.below(1000) as i32;
        let expected = expected(&module, argument);
        let (level, gp) = (LEVELS[seed as usize % 4], VERSIONS[seed as usize / 4 % 2]);
        let (program, stacks) = compiled(&module, level, gp, ShadowStack::Native);
        let of_code = code_stack::stacks(&Container::parse(&program).unwrap(), gp);
        let [(name, Ok(stack))] = &of_code[..] else {
            panic!("seed {seed} {level:?}: {of_code:?}\n{module}")
        };
        let (bound, depth) = (stacks.bound.unwrap(), &stack.depth);
        assert!(name == "f" && depth.cycles.is_empty() && depth.bytes <= bound, "{seed}: {depth:?} {bound}");
        assert!(depth.bytes * 4 >= bound * 3, "{seed} {level:?}: {} {bound}", depth.bytes);
        as_deep += u32::from(depth.bytes == bound);
        let program = with_stack(&program, |_| depth.bytes.next_multiple_of(spi::PAGE_SIZE)).unwrap();
        let (status, values) = run(&program, argument);
        assert_eq!(status, Status::Halt, "seed {seed} {level:?} {gp}\n{module}");
        assert_eq!(values[0].to_string(), expected.to_string(), "seed {seed} {level:?} {gp}");
    }
    // Shared and inlined code, and frames without a caller's part, need less than the compiler counts.
    assert!(as_deep >= 6, "{as_deep}");
}

/// A chain of calls, two functions that call each other, one that calls itself through a table, and a tail call.
const SHAPES: &str = r#"(module
  (type $self (func (param i64) (result i64)))
  (table 1 funcref) (elem (i32.const 0) $again)
  (memory 1)
  (func $deep (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 7))
      (else (i32.load (call $deeper (i32.sub (local.get 0) (i32.const 1)))))))
  (func $deeper (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))
  (func $again (param i64) (result i64)
    (i64.add (call_indirect (type $self) (local.get 0) (i32.load (i32.const 0))) (i64.const 1)))
  (func $plain (param i32) (result i32) (i32.add (call $leaf (local.get 0)) (i32.const 1)))
  (func $leaf (param i32) (result i32) (i32.load (local.get 0)))
  (func $spin (param i32) (result i32)
    (if (result i32) (local.get 0) (then (return_call $spin (i32.load (local.get 0)))) (else (local.get 0))))
  (export "mutual" (func $deep)) (export "table" (func $again)) (export "plain" (func $plain))
  (export "spin" (func $spin)))"#;

#[test]
fn info_says_how_deep_the_stack_is_or_why_it_has_no_bound() {
    let folder = Folder::new("stack");
    folder.write("shapes.wat", SHAPES);
    let args = ["compile", "shapes.wat", "-O0", "--entries", "raw", "--map", "-o", "shapes.jam"];
    folder.succeed(&args);
    let info = folder.succeed(&["info", "shapes.jam"]);
    let line = |name: &str| {
        let start = format!("deepest stack of {name}: ");
        let line = info.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("{name} in {info}")).to_owned()
    };
    assert!(line("mutual").starts_with("unbounded, because deep calls deeper calls deep; "), "{info}");
    assert!(line("table").starts_with("unbounded, because again calls again; "), "{info}");
    assert!(line("table").ends_with("; calls through a table in again"), "{info}");
    assert!(line("plain").starts_with("at most ") && line("plain").contains("(plain "), "{info}");
    assert!(line("spin").starts_with("at most "), "a tail call keeps no frame: {info}");
    let json: serde_json::Value =
        serde_json::from_str(&folder.succeed(&["info", "shapes.jam", "--json"])).unwrap();
    let row = |name: &str| {
        let rows = json["stacks"].as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name} in {json}")).clone()
    };
    assert_eq!(row("mutual")["cycles"], serde_json::json!([["deep", "deeper", "deep"]]));
    assert_eq!(
        (row("mutual")["bound"].clone(), row("plain")["bound"].clone()),
        ("at least".into(), "at most".into())
    );
    // Without the map the code says the same; only types tell the targets of an indirect call apart.
    fs::remove_file(folder.path("shapes.jam.map")).unwrap();
    let info = folder.succeed(&["info", "shapes.jam"]);
    for (name, start, end) in [
        ("mutual", "unbounded, because deep calls deeper calls deep", "; from the code alone"),
        (
            "table",
            "unbounded, because again calls again",
            ", which for the code may go to any function in it; from the code alone",
        ),
        ("plain", "at most ", "; from the code alone"),
        ("spin", "at most ", "; from the code alone"),
    ] {
        let start = format!("deepest stack of {name}: {start}");
        let is_right = |line: &str| line.starts_with(&start) && line.ends_with(end);
        assert!(info.lines().any(is_right), "{name} in {info}");
    }
    let json = folder.succeed(&["info", "shapes.jam", "--json"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["stacks_from"], "code");
    // With recursion the size of the stack stays what it was.
    assert_eq!(stack_of(&fs::read(folder.path("shapes.jam")).unwrap()), 1 << 20);
}

#[test]
fn a_given_size_of_the_stack_stays() {
    let folder = Folder::new("stack-size");
    folder.write("leaf.wat", r#"(module (func (export "f") (param i32) (result i32) (local.get 0)))"#);
    let size = |args: &[&str]| {
        let output = ["compile", "leaf.wat", "--entries", "raw", "-o", "leaf.jam"];
        folder.succeed(&[&output[..], args].concat());
        stack_of(&fs::read(folder.path("leaf.jam")).unwrap())
    };
    assert_eq!((size(&[]), size(&["--stack-size", "64K"])), (spi::PAGE_SIZE, 1 << 16));
}
