//! Counters are judged by an engine that runs the module with them.

use wasmi::{Engine, Linker, Module, Store, Val};

use super::*;

const BRANCHES: &str = r#"(module
  (memory (export "memory") 1)
  (func $twice (param i32) (result i32) (i32.shl (local.get 0) (i32.const 1)))
  (func (export "run") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (if (i32.and (local.get $n) (i32.const 3))
        (then (local.set $sum (i32.add (local.get $sum) (i32.const 1))))
        (else (local.set $sum (call $twice (local.get $sum)))))
      (block $default (block $one (block $zero
        (br_table $zero $one $default (i32.and (local.get $n) (i32.const 7))))
        (local.set $sum (i32.add (local.get $sum) (i32.const 5))))
        (local.set $sum (i32.sub (local.get $sum) (i32.const 2))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)
    (br 0)
    (br_if 0 (i32.const 1)) drop (unreachable)))"#;

/// Runs an export on an engine; the result, and the contents of the memory of counters if there is one.
fn run(wasm: &[u8], argument: i32, counters: u32) -> (i32, Vec<u8>) {
    let engine = Engine::default();
    let module = Module::new(&engine, wasm).expect("valid");
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate_and_start(&mut store, &module).expect("instantiates");
    let mut results = [Val::I32(0)];
    let run = instance.get_func(&store, "run").expect("exported");
    run.call(&mut store, &[Val::I32(argument)], &mut results).expect("no trap");
    let counts = instance.get_memory(&store, MEMORY);
    let counts = counts.map_or_else(Vec::new, |memory| memory.data(&store)[..counters as usize].to_vec());
    (results[0].i32().expect("an i32"), counts)
}

#[test]
fn an_engine_counts_what_the_code_does() {
    let wasm = wat::parse_str(BRANCHES).expect("well-formed");
    let (counting, counters) = instrument(&wasm).expect("well-formed");
    let (plain, none) = run(&wasm, 100, 0);
    let (result, memory) = run(&counting, 100, counters.bytes());
    assert_eq!((result, none.len()), (plain, 0));
    let counts = counters.read(&memory).counts;
    assert_eq!(counts.functions, BTreeMap::from([(0, 25), (1, 1)]));
    let ways: Vec<&[u64]> = counts.branches.values().map(Vec::as_slice).collect();
    // 100 rounds; of the numbers 1 to 100, 25 are divisible by 4, 12 by 8, and 13 have the remainder 1.
    assert_eq!(ways, [&[25, 75][..], &[12, 13, 75], &[1, 99], &[0, 0]]);
}

#[test]
fn modules_without_memory_and_exports_get_both() {
    for text in ["(module)", "(module (func (br_if 0 (i32.const 1))))", "(module (start 0) (func))"] {
        let wasm = wat::parse_str(text).expect("well-formed");
        let (counting, counters) = instrument(&wasm).expect("well-formed");
        wasmparser::Validator::new().validate_all(&counting).expect(text);
        assert_eq!(counters.bytes() == 0, text == "(module)");
    }
}

#[test]
fn files_are_read_back_and_summed() {
    let wasm = wat::parse_str(BRANCHES).expect("well-formed");
    let (counting, counters) = instrument(&wasm).expect("well-formed");
    let mut profile = counters.read(&run(&counting, 9, counters.bytes()).1);
    assert_eq!(profile.to_string().parse(), Ok(profile.clone()));
    let other = counters.read(&run(&counting, 91, counters.bytes()).1);
    profile.add(&other).expect("of the same module");
    let counts = profile.counts_of(&wasm).expect("of this module");
    assert_eq!(counts.branches.values().next(), Some(&vec![2 + 22, 7 + 69]));
    assert!(matches!(profile.counts_of(&counting), Err(ProfileError::OtherModule(..))));
}

#[test]
fn broken_files_are_refused_with_their_line() {
    let whole = "wasm-pvm profile 1\nmodule 5 bytes 00ff\nfunction 3: 17\nbranch 0x413: 12 5\n";
    assert!(whole.parse::<Profile>().is_ok());
    let broken = [
        ("profile 1", "profile 2", 1),
        ("5 bytes", "five bytes", 2),
        ("3: 17", "3: 17 1", 3),
        ("3: 17", "3: -1", 3),
        ("0x413", "413", 4),
        ("12 5", "12  5", 4),
        ("12 5\n", "12 5\nbranch 0x413: 1 1\n", 5),
    ];
    for (old, new, at) in broken {
        let error = whole.replace(old, new).parse::<Profile>().expect_err(new);
        assert!(matches!(error, ProfileError::Syntax { line, .. } if line == at), "{new}: {error}");
    }
}
