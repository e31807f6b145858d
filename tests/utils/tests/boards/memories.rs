//! Several memories, 64-bit memories and atomic operators on an emulated board.

use testkit::executor::{Call, CallExit, Executable, Executor, Trap};
use testkit::fuzz::{Verdict, compare};
use testkit::thumb::{Setup, Thumb};
use wasm_pvm::{Cpu, Floats, InitialData, MemoryMode, OptLevel, Options, ThumbBounds, ThumbOptions};

/// Setups of both places of the first memory.
fn setups() -> Vec<Setup> {
    let of = |level, memory| Setup { memory, ..Setup::new(Cpu::M3, level, Floats::Reject) };
    let all = [
        of(OptLevel::O0, MemoryMode::Symbol),
        of(OptLevel::O2, MemoryMode::Register),
        of(OptLevel::Oz, MemoryMode::Symbol),
    ];
    all.into_iter().filter(Setup::is_available).collect()
}

fn call(program: &mut dyn Executable, name: &str, args: &[u64]) -> CallExit {
    program.call(Call { name, args, is_endless: false }, &mut |_, _| 0).expect("the board works")
}

#[test]
fn every_memory_has_its_own_data_and_bounds() {
    let text = r#"(module
        (memory (export "a") 1) (memory (export "b") 1 3) (memory (export "c") i64 40 (pagesize 1))
        (data (memory 0) (i32.const 1000) "first") (data (memory 1) (i32.const 70) "second")
        (data (memory 2) (i64.const 37) "end")
        (func (export "a0") (param i32) (result i32) (i32.load8_u 0 (local.get 0)))
        (func (export "b0") (param i32) (result i32) (i32.load8_u 1 (local.get 0)))
        (func (export "c0") (param i64) (result i32) (i32.load8_u 2 (local.get 0)))
        (func (export "set") (param i32 i32) (i32.store8 1 (local.get 0) (local.get 1)))
        (func (export "move") (param i64 i32 i32) (memory.copy 2 1 (local.get 0) (local.get 1) (local.get 2)))
        (func (export "grow") (param i32) (result i32) (memory.grow 1 (local.get 0))))"#;
    let wasm = wat::parse_str(text).expect("the text is well-formed");
    for setup in setups() {
        let executor = Thumb::new(setup).expect("a board");
        let mut program = executor.load(&wasm).expect("it compiles");
        program.start(&mut |_, _| 0).expect("it starts");
        let returned = |word: u8| CallExit::Returned(vec![word.into()]);
        let outside = CallExit::Trapped(Some(Trap::Memory));
        let mut is = |name, args: &[u64], expected: &CallExit| {
            assert_eq!(call(&mut *program, name, args), *expected, "{name} {args:x?}");
        };
        is("a0", &[1000], &returned(b'f'));
        is("b0", &[75], &returned(b'd'));
        is("c0", &[39], &returned(b'd'));
        is("a0", &[70], &returned(0));
        is("c0", &[40], &outside);
        is("c0", &[1 << 32 | 39], &outside);
        is("b0", &[65_536], &outside);
        is("move", &[0, 70, 6], &CallExit::Returned(Vec::new()));
        is("c0", &[1], &returned(b'e'));
        is("move", &[35, 70, 6], &outside);
        is("grow", &[2], &returned(1));
        is("set", &[3 * 65_536 - 1, 9], &CallExit::Returned(Vec::new()));
        is("b0", &[3 * 65_536 - 1], &returned(9));
        is("b0", &[3 * 65_536], &outside);
    }
}

#[test]
fn atomic_operators_trap_for_their_own_reasons() {
    let text = r#"(module (memory 1 1 shared) (memory 1)
        (func (export "add") (param i32 i32) (result i32) (i32.atomic.rmw.add (local.get 0) (local.get 1)))
        (func (export "wait") (param i32 i64) (result i32)
          (memory.atomic.wait32 (local.get 0) (i32.const 0) (local.get 1)))
        (func (export "lone") (result i32) (memory.atomic.wait32 1 (i32.const 0) (i32.const 0) (i64.const 0))))"#;
    let wasm = wat::parse_str(text).expect("the text is well-formed");
    for setup in setups() {
        let executor = Thumb::new(setup).expect("a board");
        let mut program = executor.load(&wasm).expect("it compiles");
        program.start(&mut |_, _| 0).expect("it starts");
        assert_eq!(call(&mut *program, "add", &[8, 5]), CallExit::Returned(vec![0]));
        assert_eq!(call(&mut *program, "add", &[8, 5]), CallExit::Returned(vec![5]));
        assert_eq!(call(&mut *program, "add", &[9, 5]), CallExit::Trapped(Some(Trap::Unaligned)));
        assert_eq!(call(&mut *program, "add", &[65_536, 5]), CallExit::Trapped(Some(Trap::Memory)));
        assert_eq!(call(&mut *program, "wait", &[8, u64::MAX]), CallExit::Returned(vec![1]));
        assert_eq!(call(&mut *program, "wait", &[0, 10]), CallExit::Returned(vec![2]));
        assert_eq!(call(&mut *program, "wait", &[0, u64::MAX]), CallExit::Trapped(Some(Trap::Wait)));
        assert_eq!(call(&mut *program, "lone", &[]), CallExit::Trapped(Some(Trap::Wait)));
    }
}

/// A byte loop on another memory is no `memcpy`.
#[test]
fn helpers_of_other_memories_are_not_taken_for_those_of_the_first() {
    let text = r#"(module (memory (export "a") 1) (memory (export "b") 1)
        (data (memory 0) (i32.const 100) "first") (data (memory 1) (i32.const 100) "SECOND")
        (func $memcpy (export "run") (param i32 i32 i32) (result i32) (local i32)
          (local.set 3 (local.get 0))
          (block (br_if 0 (i32.eqz (local.get 2)))
            (loop
              (i32.store8 1 (local.get 3) (i32.load8_u 0 (local.get 1)))
              (local.set 3 (i32.add (local.get 3) (i32.const 1)))
              (local.set 1 (i32.add (local.get 1) (i32.const 1)))
              (br_if 0 (local.tee 2 (i32.sub (local.get 2) (i32.const 1))))))
          (local.get 0))
        (func (export "known") (result i32) (call $memcpy (i32.const 102) (i32.const 101) (i32.const 3))))"#;
    let wasm = wat::parse_str(text).expect("the text is well-formed");
    for setup in setups() {
        let executor = Thumb::new(setup).expect("a board");
        for seed in 0..4 {
            match compare(&wasm, seed, &executor) {
                Ok(Verdict::Agreed(_) | Verdict::Nothing) => {}
                Err(error) => panic!("seed {seed}: {error:#}"),
            }
        }
    }
}

#[test]
fn native_memory_is_one_with_32_bits() {
    for (memory, what) in
        [("(memory 1) (memory 1)", "several memories"), ("(memory i64 1)", "64-bit addresses")]
    {
        let wasm = wat::parse_str(format!("(module {memory} (func (export \"f\")))")).expect("well-formed");
        let options = Options::new(ThumbOptions::default());
        let error = wasm_pvm::compile(&wasm, &options).expect_err("it must be refused").to_string();
        assert!(error.contains(what) && error.contains("`--memory symbol`"), "{error}");
    }
}

/// The bytes of flash that initial data takes do not depend on the size of its memory.
#[test]
fn initial_data_of_other_memories_is_copied() {
    let text = r#"(module (memory 1) (memory (export "b") 4) (data (memory 1) (i32.const 200000) "some data")
        (func (export "f") (result i32) (i32.load 1 (i32.const 200000))))"#;
    let wasm = wat::parse_str(text).expect("the text is well-formed");
    for (initial_data, most) in [(InitialData::Copy, 4000), (InitialData::None, 4000)] {
        let thumb = ThumbOptions {
            memory: MemoryMode::Symbol,
            bounds: Some(ThumbBounds::Check),
            initial_data: Some(initial_data),
            ..ThumbOptions::new(Cpu::M3)
        };
        let bytes = wasm_pvm::compile(&wasm, &Options::new(thumb)).expect("it compiles").bytes.len();
        assert!(bytes < most, "{bytes}");
    }
}
