//! Programs of several toolchains end as in an engine: WASI commands linked with `--wasi`, and services.

use std::path::Path;

use pvm_engine::{Engine, Exit};
use testkit::programs::{Case, FOLDER, Program, check, compile, programs, run};
use wasm_pvm::wasi::{Failure, Wasi};
use wasm_pvm::{GpVersion, OptLevel, Options, PvmBounds, PvmOptions, ResultConvention};

fn options(level: OptLevel, pvm: PvmOptions) -> Options {
    Options { level, ..Options::new(pvm) }
}

/// Levels and versions. The first case of each program has the first of them, or all with `PROGRAMS=all` in the environment;
/// `PROGRAMS=NAME` takes the programs whose name contains NAME.
const COMBINATIONS: [(OptLevel, GpVersion); 6] = [
    (OptLevel::O2, GpVersion::V08),
    (OptLevel::O0, GpVersion::V072),
    (OptLevel::Oz, GpVersion::V072),
    (OptLevel::O2, GpVersion::V072),
    (OptLevel::O0, GpVersion::V08),
    (OptLevel::Oz, GpVersion::V08),
];
/// Number of the combinations of all levels.
const LEVELS: usize = 3;

/// The folder of a program.
fn folder(program: &Program) -> Option<&Path> {
    Path::new(&program.name).parent()
}

#[test]
fn every_program_ends_as_in_an_engine() {
    let which = std::env::var("PROGRAMS").unwrap_or_default();
    let is_all = which == "all";
    let programs = programs().unwrap();
    let (mut runs, mut variants, mut further) = (0, 0, 0);
    for (index, program) in programs.iter().enumerate() {
        // Further modules of a folder have the same source.
        let is_variant = index > 0 && folder(&programs[index - 1]) == folder(program);
        variants += usize::from(is_variant);
        further += program.cases.len() - 1;
        if !is_all && !program.name.contains(&which) {
            continue;
        }
        for (number, case) in program.cases.iter().enumerate() {
            // Cases differ in data only: one under each combination, the others under one.
            let of_case = match number {
                0 if is_all => &COMBINATIONS[..],
                0 if is_variant => &COMBINATIONS[index % LEVELS..][..1],
                0 => &COMBINATIONS[..LEVELS],
                _ => &COMBINATIONS[number % LEVELS..][..1],
            };
            for &(level, gp) in of_case {
                let options = options(level, PvmOptions { gp, ..PvmOptions::default() });
                check(program, case, &options).unwrap_or_else(|error| {
                    panic!("{} case {number} -{level:?} {gp}: {error:#}", program.name)
                });
                runs += 1;
            }
        }
    }
    if std::env::var_os(FOLDER).is_none() {
        assert_eq!((programs.len(), variants, further), (16, 4, 19));
    }
    assert!(runs > 0);
}

/// A case of a program of the fixtures.
fn with_case<T>(name: &str, number: usize, work: impl FnOnce(&Program, &Case) -> T) -> T {
    let programs = programs().unwrap();
    let program = programs.iter().find(|program| program.name == name).expect("a program of this name");
    work(program, &program.cases[number])
}

#[test]
fn wasi_works_with_bounds_checks() {
    let strict = PvmOptions { bounds: PvmBounds::Strict, ..PvmOptions::default() };
    for name in ["c-numbers/numbers.wasm", "c-files/files.wasm"] {
        with_case(name, 0, |program, case| check(program, case, &options(OptLevel::O2, strict.clone())))
            .unwrap();
    }
}

#[test]
fn a_failure_keeps_the_output_on_request() {
    with_case("c-numbers/numbers.wasm", 2, |program, case| {
        let wasi = Wasi { failure: Failure::Halt, ..case.wasi.clone() };
        let case = Case { wasi, stdin: case.stdin.clone(), stdout: case.stdout.clone(), ..*case };
        let jam = compile(program, &case, &Options::default()).unwrap();
        let outcome = run(&jam, GpVersion::V08, Engine::for_version(GpVersion::V08)[0], &case.stdin).unwrap();
        assert_eq!(outcome.exit, Exit::Halt);
        assert_eq!(outcome.result, case.stdout);
        assert_eq!(outcome.log.last().map(|line| line.2.as_str()), Some("exit code 3"));
    });
}

#[test]
fn hello_costs_little() {
    with_case("c-hello/hello.wasm", 0, |program, case| {
        let options = options(OptLevel::Oz, PvmOptions::default());
        let with = compile(program, case, &options).unwrap().len();
        let nop = wasm_pvm::ImportMap::parse("* = nop", GpVersion::V08).unwrap();
        let pvm = PvmOptions { imports: nop, ..PvmOptions::default() };
        let without =
            wasm_pvm::compile(&program.wasm, &self::options(OptLevel::Oz, pvm)).unwrap().bytes.len();
        assert!(with - without <= 1536, "{with} bytes with WASI, {without} without");
    });
}

/// A module in the text format whose functions are those of preview 1, run as a command.
fn run_text(text: &str, wasi: Wasi, pvm: PvmOptions, args: &[u8]) -> testkit::programs::Outcome {
    let gp = pvm.gp;
    let options = Options { wasi: Some(wasi), ..Options::new(pvm) };
    let jam = wasm_pvm::compile(text.as_bytes(), &options).unwrap().bytes;
    run(&jam, gp, Engine::for_version(gp)[0], args).unwrap()
}

/// Standard input goes to standard output, in pieces of 1000 bytes and far beyond the adapter's first page.
const COPY: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory 1)
    (data (i32.const 0) "\10\00\00\00\e8\03\00\00")
    (func $deep (param i32)
      (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1)))) (else (call $exit (i32.const 0)))))
    (func (export "_start") (local $code i32)
      (loop $next
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 12)))
        (i32.store (i32.const 4) (i32.load (i32.const 12)))
        (local.set $code (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
        (if (local.get $code) (then (call $exit (local.get $code))))
        (br_if $next (i32.load (i32.const 12))))
      (call $deep (i32.const 50))
      (unreachable)))"#;

#[test]
fn output_grows_and_an_exit_from_within_calls_halts() {
    let args: Vec<u8> = (0..400_000u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    for result in [ResultConvention::Length] {
        for gp in [GpVersion::V072, GpVersion::V08] {
            let outcome =
                run_text(COPY, Wasi::default(), PvmOptions { gp, result, ..PvmOptions::default() }, &args);
            assert_eq!((outcome.exit, outcome.result == args), (Exit::Halt, true));
        }
    }
    // Without room, the program is told.
    let pvm = PvmOptions { memory_reserve: 0, ..PvmOptions::default() };
    let outcome = run_text(COPY, Wasi::default(), pvm, &args);
    assert_eq!((outcome.exit, outcome.log[0].2.as_str()), (Exit::Panic, "exit code 51"));
}

/// Clocks advance, random numbers are those of SplitMix64, and lines of standard error are logged one by one.
#[test]
fn clocks_random_numbers_and_lines_are_deterministic() {
    let text = r#"(module
      (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
      (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "\20\00\00\00\2c\00\00\00\40\00\00\00\12\00\00\00")
      (data (i32.const 32) "one\ntwo\n\nthr")
      (data (i32.const 64) "ee\nno line feed.")
      (func (export "_start")
        (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 1000)))
        (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 1008)))
        ;; A second from now.
        (i32.store (i32.const 2016) (i32.const 1))
        (i64.store (i32.const 2024) (i64.const 1000000000))
        (i64.store (i32.const 2000) (i64.const 77))
        (drop (call $poll (i32.const 2000) (i32.const 3000) (i32.const 1) (i32.const 1032)))
        (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 1016)))
        (drop (call $random (i32.const 1040) (i32.const 17)))
        (i32.store (i32.const 4) (i32.const 12))
        (i32.store (i32.const 12) (i32.const 16))
        (drop (call $write (i32.const 2) (i32.const 0) (i32.const 2) (i32.const 1024)))
        (i32.store (i32.const 0) (i32.const 1000))
        (i32.store (i32.const 4) (i32.const 57))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 500)))))"#;
    let outcome = run_text(text, Wasi::default(), PvmOptions::default(), &[]);
    assert_eq!(outcome.exit, Exit::Halt);
    let word = |at: usize| u64::from_le_bytes(outcome.result[at..at + 8].try_into().unwrap());
    assert_eq!([word(0), word(8), word(16)], [0, 1_000_000, 1_002_000_000]);
    assert_eq!([word(24), word(32)], [28, 1]);
    // The first numbers of the reference implementation from seed 0.
    assert_eq!([word(40), word(48)], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    assert_eq!(outcome.result[56], 0x4f);
    let lines: Vec<_> = outcome.log.iter().map(|line| (line.0, line.1.as_str(), line.2.as_str())).collect();
    let expected = ["one", "two", "", "three", "no line feed."].map(|line| (2, "", line));
    assert_eq!(lines, expected);
}

/// The exports of a reactor are entries as without WASI; `_initialize` runs before them, and its streams are logged.
#[test]
fn reactors_are_initialised() {
    let text = r#"(module
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "\20\00\00\00\05\00\00\00")
      (data (i32.const 32) "begun")
      (func (export "_initialize")
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 24)))
        (i32.store8 (i32.const 32) (i32.const 66)))
      (func (export "refine") (param i32 i32) (result i64) (i64.const 0x500000020)))"#;
    let outcome = run_text(text, Wasi::default(), PvmOptions::default(), &[]);
    assert_eq!((outcome.exit, outcome.result.as_slice()), (Exit::Halt, b"Begun".as_slice()));
    assert_eq!(outcome.log, [(2, String::new(), "begun".to_owned())]);
}
