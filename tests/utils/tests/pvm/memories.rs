//! Several memories, 64-bit memories and atomic operators: what the specification's suite and the reference engine
//! leave open, in both modes of bounds checks and at all levels.

use pvm_engine::{Engine, Exit, Machine};
use pvm_isa::Container;
use pvm_isa::metadata::ResultConvention;
use testkit::executor::{Call, CallExit, Executable, Executor};
use testkit::fuzz::{Verdict, compare};
use testkit::program::Pvm;
use wasm_pvm::{Details, GpVersion, OptLevel, Options, PvmBounds, PvmOptions, ShadowStack};

/// All combinations of level and bounds; the versions alternate.
fn configurations() -> Vec<Options> {
    let mut all = Vec::new();
    for level in [OptLevel::O0, OptLevel::O1, OptLevel::O2, OptLevel::Os, OptLevel::Oz] {
        for bounds in [PvmBounds::Guard, PvmBounds::Strict] {
            let gp = if all.len() % 3 == 0 { GpVersion::V072 } else { GpVersion::V08 };
            let target = PvmOptions { gp, bounds, ..PvmOptions::default() };
            all.push(Options { level, threads: 1, ..Options::new(target) });
        }
    }
    all
}

/// A loaded module, its start function executed.
fn load(text: &str, options: &Options) -> Box<dyn Executable> {
    let wasm = wat::parse_str(text).expect("the text is well-formed");
    let mut program = Pvm { options: options.clone() }.load(&wasm).expect("it compiles");
    assert_eq!(program.start(&mut |_, _| 0).expect("it starts"), CallExit::Returned(Vec::new()));
    program
}

fn call(program: &mut dyn Executable, name: &str, args: &[u64]) -> CallExit {
    program.call(Call { name, args, is_endless: false }, &mut |_, _| 0).expect("the machine works")
}

/// Calls in order on one instance; `None` is a trap, which ends the instance.
fn check(text: &str, calls: &[(&str, &[u64], Option<u64>)]) {
    for options in configurations() {
        let mut program = load(text, &options);
        for &(name, args, expected) in calls {
            let expected = expected.map_or(CallExit::Trapped(None), |word| CallExit::Returned(vec![word]));
            let context =
                format!("{name} {args:x?} -{:?} {:?}", options.level, options.pvm().map(|p| p.bounds));
            assert_eq!(call(&mut *program, name, args), expected, "{context}");
            if expected == CallExit::Trapped(None) {
                program = load(text, &options);
            }
        }
    }
}

const FAILED: Option<u64> = Some(u64::MAX);

#[test]
fn further_memories_end_exactly_where_they_say() {
    let text = r#"(module
        (memory $a 1) (memory $b 1 (pagesize 1)) (memory $c 3 7 (pagesize 1)) (memory $d i64 2 5)
        (data (memory $c) (i32.const 1) "xy") (data (memory $d) (i64.const 131070) "z")
        (func (export "b") (param i32) (result i32) (i32.load8_u $b (local.get 0)))
        (func (export "b1") (param i32) (result i32) (i32.load8_u $b offset=1 (local.get 0)))
        (func (export "c") (param i32) (result i32) (i32.load16_u $c (local.get 0)))
        (func (export "d") (param i64) (result i32) (i32.load8_u $d (local.get 0)))
        (func (export "d_far") (param i64) (result i32) (i32.load8_u $d offset=0xffffffffffffffff (local.get 0)))
        (func (export "unused") (param i32) (result i32) (drop (i64.load $b (local.get 0))) (i32.const 1))
        (func (export "grow_c") (param i32) (result i32) (memory.grow $c (local.get 0)))
        (func (export "grow_d") (param i64) (result i64) (memory.grow $d (local.get 0)))
        (func (export "size_d") (result i64) (memory.size $d))
        (func (export "fill_c") (param i32 i32) (result i32)
          (memory.fill $c (local.get 0) (i32.const 7) (local.get 1)) (i32.const 1))
        (func (export "copy_dc") (param i64 i32 i32) (result i32)
          (memory.copy $d $c (local.get 0) (local.get 1) (local.get 2)) (i32.const 1)))"#;
    check(
        text,
        &[
            ("b", &[0], Some(0)),
            ("b", &[1], None),
            ("b", &[u64::MAX], None),
            ("b1", &[0], None),
            ("b1", &[u64::MAX], None),
            ("unused", &[0], None),
            ("c", &[1], Some(0x7978)),
            ("c", &[2], None),
            ("grow_c", &[1], Some(3)),
            ("c", &[2], Some(0x79)),
            ("c", &[3], None),
            ("grow_c", &[5], FAILED),
            ("grow_c", &[4], Some(3)),
            ("grow_c", &[0], Some(7)),
            ("fill_c", &[7, 0], Some(1)),
            ("fill_c", &[6, 2], None),
            ("fill_c", &[2, u64::MAX], None),
            ("d", &[131_070], Some(u64::from(b'z'))),
            ("d", &[131_072], None),
            ("d", &[1 << 32], None),
            ("d", &[(1 << 32) + 131_070], None),
            ("d_far", &[1], None),
            ("d_far", &[131_071], None),
            ("grow_d", &[1 << 32], FAILED),
            ("grow_d", &[4], FAILED),
            ("grow_d", &[3], Some(2)),
            ("size_d", &[], Some(5)),
            ("d", &[5 * 65536 - 1], Some(0)),
            ("copy_dc", &[5 * 65536 - 3, 0, 3], Some(1)),
            ("d", &[5 * 65536 - 2], Some(u64::from(b'x'))),
            ("copy_dc", &[5 * 65536 - 2, 0, 3], None),
            ("copy_dc", &[1 << 32, 0, 0], None),
        ],
    );
}

#[test]
fn tables_with_64_bit_indices_end_exactly_where_they_say() {
    let text = r#"(module
        (type $f (func (result i32)))
        (table $t i64 4 10 funcref) (table $s 3 funcref)
        (elem (table $t) (i64.const 2) func $one $two)
        (elem $passive func $two $two $one)
        (func $one (result i32) (i32.const 1))
        (func $two (result i32) (i32.const 2))
        (func (export "call") (param i64) (result i32) (call_indirect $t (type $f) (local.get 0)))
        (func (export "null") (param i64) (result i32) (ref.is_null (table.get $t (local.get 0))))
        (func (export "set") (param i64) (result i32) (table.set $t (local.get 0) (ref.func $two)) (i32.const 1))
        (func (export "size") (result i64) (table.size $t))
        (func (export "grow") (param i64) (result i64) (table.grow $t (ref.func $one) (local.get 0)))
        (func (export "fill") (param i64 i64) (result i32)
          (table.fill $t (local.get 0) (ref.func $one) (local.get 1)) (i32.const 1))
        (func (export "init") (param i64 i32 i32) (result i32)
          (table.init $t $passive (local.get 0) (local.get 1) (local.get 2)) (i32.const 1))
        (func (export "within") (param i64 i64 i64) (result i32)
          (table.copy $t $t (local.get 0) (local.get 1) (local.get 2)) (i32.const 1))
        (func (export "into") (param i32 i64 i32) (result i32)
          (table.copy $s $t (local.get 0) (local.get 1) (local.get 2)) (i32.const 1)))"#;
    const FAR: u64 = 1 << 32;
    check(
        text,
        &[
            ("call", &[2], Some(1)),
            ("call", &[3], Some(2)),
            ("call", &[1], None),
            ("call", &[4], None),
            ("call", &[FAR + 2], None),
            ("null", &[1], Some(1)),
            ("null", &[FAR], None),
            ("set", &[u64::MAX], None),
            ("set", &[1], Some(1)),
            ("call", &[1], Some(2)),
            ("size", &[], Some(4)),
            ("grow", &[FAR], FAILED),
            ("grow", &[7], FAILED),
            ("grow", &[6], Some(4)),
            ("call", &[9], Some(1)),
            ("fill", &[8, 2], Some(1)),
            ("fill", &[8, 3], None),
            ("fill", &[10, 0], None),
            ("fill", &[4, 0], Some(1)),
            ("fill", &[FAR, 0], None),
            ("fill", &[1, u64::MAX], None),
            ("init", &[1, 0, 3], Some(1)),
            ("call", &[1], Some(2)),
            ("init", &[2, 0, 3], None),
            ("init", &[FAR, 0, 1], None),
            ("within", &[0, 2, 2], Some(1)),
            ("call", &[1], Some(2)),
            ("within", &[0, 3, 2], None),
            ("within", &[0, 0, FAR], None),
            ("into", &[1, 2, 2], Some(1)),
            ("into", &[2, 2, 2], None),
            ("into", &[0, FAR, 0], None),
        ],
    );
}

#[test]
fn memory_grows_by_the_reserve() {
    let text = r#"(module (memory 1) (memory $b 1) (memory $c 2)
        (func (export "b") (param i32) (result i32) (memory.grow $b (local.get 0)))
        (func (export "c") (param i32) (result i32) (memory.grow $c (local.get 0)))
        (func (export "a") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    check(text, &[("b", &[17], FAILED), ("b", &[16], Some(1)), ("c", &[16], Some(2)), ("a", &[40], Some(1))]);
    let target = PvmOptions { memory_reserve: 3 << 16, ..PvmOptions::default() };
    let mut program = load(text, &Options::new(target));
    assert_eq!(call(&mut *program, "b", &[4]), CallExit::Returned(vec![u64::MAX]));
    assert_eq!(call(&mut *program, "b", &[3]), CallExit::Returned(vec![1]));
}

/// A byte loop on another memory is no `memcpy` of the first, and neither is one whose callee accesses another.
#[test]
fn helpers_of_other_memories_are_not_taken_for_those_of_the_first() {
    let copy = |from: &str, to: &str| {
        format!(
            "(func $memcpy (param i32 i32 i32) (result i32) (local i32)
               (local.set 3 (local.get 0))
               (block (br_if 0 (i32.eqz (local.get 2)))
                 (loop
                   (i32.store8 {to} (local.get 3) (i32.load8_u {from} (local.get 1)))
                   (local.set 3 (i32.add (local.get 3) (i32.const 1)))
                   (local.set 1 (i32.add (local.get 1) (i32.const 1)))
                   (br_if 0 (local.tee 2 (i32.sub (local.get 2) (i32.const 1))))))
               (local.get 0))"
        )
    };
    for (from, to) in [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")] {
        let text = format!(
            r#"(module (memory (export "a") 1) (memory (export "b") 1)
              (data (memory 0) (i32.const 100) "first, with some length")
              (data (memory 1) (i32.const 100) "SECOND, WITH SOME LENGTH")
              {}
              (func (export "run") (param i32 i32 i32) (result i32)
                (call $memcpy (local.get 0) (local.get 1) (local.get 2))))"#,
            copy(from, to)
        );
        judge(&text, from == "0" && to == "0");
    }
}

/// Compares with the reference engine; with guards only if all accesses are in bounds.
fn judge(text: &str, guards: bool) {
    let wasm = wat::parse_str(text).expect("the text is well-formed");
    for options in configurations() {
        if guards && options.pvm().expect("for the PVM").bounds == PvmBounds::Guard {
            continue;
        }
        for seed in 0..6 {
            match compare(&wasm, seed, &Pvm { options: options.clone() }) {
                Ok(Verdict::Agreed(_) | Verdict::Nothing) => {}
                Err(error) => panic!("{text}\nseed {seed} -{:?}: {error:#}", options.level),
            }
        }
    }
}

/// An address of the C stack that is used in another memory keeps the stack in memory.
#[test]
fn stack_addresses_in_another_memory_keep_the_stack_in_memory() {
    let text = |memory: &str| {
        format!(
            r#"(module (memory 17) (memory 17)
              (global $__stack_pointer (mut i32) (i32.const 1048576))
              (func $frame (export "run") (param i32) (result i32) (local i32)
                (global.set $__stack_pointer
                  (local.tee 1 (i32.sub (global.get $__stack_pointer) (i32.const 16))))
                (i32.store {memory} offset=8 (local.get 1) (local.get 0))
                (i32.store offset=4 (local.get 1) (i32.const 5))
                (local.set 0 (i32.add (i32.load {memory} offset=8 (local.get 1)) (i32.load offset=4 (local.get 1))))
                (global.set $__stack_pointer (i32.add (local.get 1) (i32.const 16)))
                (local.get 0)))"#
        )
    };
    let native = Options { shadow_stack: ShadowStack::Native, ..Options::new(PvmOptions::default()) };
    let compiles = |memory: &str| {
        let wasm = wat::parse_str(text(memory)).expect("the text is well-formed");
        wasm_pvm::compile(&wasm, &native).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(compiles("0"), Ok(()));
    let refused = compiles("1").expect_err("it must be refused");
    assert!(refused.contains("an address of the stack is used in another memory"), "{refused}");
    check(&text("1"), &[("run", &[7], Some(12))]);
}

/// Data of the first memory comes after the zeros of the others, however it gets there.
#[test]
fn data_of_the_first_memory_is_after_other_memories() {
    let text = r#"(module (memory (export "a") 2) (memory (export "b") 20) (memory (export "c") 1)
        (data (memory 0) (i32.const 5) "first") (data (memory 0) (i32.const 70000) "end")
        (data (memory 2) (i32.const 9) "third")
        (func (export "get") (param i32) (result i32)
          (i32.add (i32.load8_u 0 (local.get 0)) (i32.load8_u 2 (local.get 0))))
        (func (export "touch") (param i32) (result i32) (i32.store8 1 (local.get 0) (i32.const 1)) (i32.const 1)))"#;
    judge(text, true);
    for options in configurations() {
        let wasm = wat::parse_str(text).expect("the text is well-formed");
        let bytes = wasm_pvm::compile(&wasm, &options).expect("it compiles").bytes.len();
        assert!(bytes < 4000, "{bytes} bytes: the zeros of a memory are stored");
    }
}

#[test]
fn waits_end_by_timeout_or_trap() {
    let module = |memory: &str| {
        format!(
            r#"(module (memory {memory})
              (func (export "wait32") (param i32 i32 i64) (result i32)
                (memory.atomic.wait32 (local.get 0) (local.get 1) (local.get 2)))
              (func (export "wait64") (param i32 i64 i64) (result i32)
                (memory.atomic.wait64 (local.get 0) (local.get 1) (local.get 2)))
              (func (export "notify") (param i32) (result i32)
                (memory.atomic.notify offset=4 (local.get 0) (i32.const 1)))
              (func (export "fence") (result i32) (atomic.fence) (i32.const 3)))"#
        )
    };
    const ENDLESS: u64 = u64::MAX;
    let last = 65_536;
    let common: &[(&str, &[u64], Option<u64>)] = &[
        ("fence", &[], Some(3)),
        ("notify", &[0], Some(0)),
        ("notify", &[last - 8], Some(0)),
        ("notify", &[1], None),
        ("notify", &[last - 4], None),
        ("notify", &[last], None),
    ];
    check(&module("1 1"), common);
    check(&module("1 1"), &[("wait32", &[0, 1, 0], None), ("wait64", &[0, 0, 0], None)]);
    check(&module("1 1 shared"), common);
    check(
        &module("1 1 shared"),
        &[
            ("wait32", &[0, 1, ENDLESS], Some(1)),
            ("wait32", &[0, 0, 0], Some(2)),
            ("wait32", &[0, 0, 1_000_000], Some(2)),
            ("wait32", &[0, 0, ENDLESS], None),
            ("wait32", &[2, 1, 0], None),
            ("wait32", &[last, 1, 0], None),
            ("wait64", &[8, 1 << 40, ENDLESS], Some(1)),
            ("wait64", &[8, 0, i64::MAX as u64], Some(2)),
            ("wait64", &[8, 0, i64::MIN as u64], None),
            ("wait64", &[4, 0, 0], None),
        ],
    );
}

/// Narrow comparisons look at as many bits as they load.
#[test]
fn narrow_compare_exchange_ignores_upper_bits() {
    let text = r#"(module (memory 1)
        (func (export "byte") (param i32 i32) (result i64)
          (i64.store (i32.const 0) (i64.const 0x1111111111111111))
          (drop (i32.atomic.rmw8.cmpxchg_u offset=1 (i32.const 0) (local.get 0) (local.get 1)))
          (i64.load (i32.const 0)))
        (func (export "word") (param i64 i64) (result i64)
          (i64.store (i32.const 0) (i64.const 0x1111111111111111))
          (drop (i64.atomic.rmw32.cmpxchg_u (i32.const 4) (local.get 0) (local.get 1)))
          (i64.load (i32.const 0))))"#;
    check(
        text,
        &[
            ("byte", &[0x2211, 0x3344], Some(0x1111_1111_1111_4411)),
            ("byte", &[0x1122, 0x3344], Some(0x1111_1111_1111_1111)),
            ("word", &[0x77_1111_1111, 0x88_0000_0005], Some(0x5_1111_1111)),
            ("word", &[0x77_1111_1112, 0x88_0000_0005], Some(0x1111_1111_1111_1111)),
        ],
    );
}

/// What `wasm-ld` makes of a module with threads: passive segments, and a start function that initialises memory once.
#[test]
fn threaded_modules_initialise_their_memory_once() {
    let text = r#"(module
        (memory (export "memory") 2 4 shared)
        (func $init
          (block $done (block $wait (block $run
            (br_table $run $wait $done (i32.atomic.rmw.cmpxchg (i32.const 1040) (i32.const 0) (i32.const 1))))
            (memory.init $text (i32.const 1024) (i32.const 0) (i32.const 5))
            (memory.fill (i32.const 1030) (i32.const 0) (i32.const 8))
            (i32.atomic.store (i32.const 1040) (i32.const 2))
            (drop (memory.atomic.notify (i32.const 1040) (i32.const -1)))
            (br $done))
            (drop (memory.atomic.wait32 (i32.const 1040) (i32.const 1) (i64.const -1))))
          (data.drop $text))
        (start $init)
        (data $text "hello")
        (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "again") (result i32) (call $init) (i32.load (i32.const 1040)))
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    check(
        text,
        &[
            ("at", &[1024], Some(u64::from(b'h'))),
            ("at", &[1028], Some(u64::from(b'o'))),
            ("again", &[], Some(2)),
            ("at", &[1040], Some(2)),
            ("grow", &[2], Some(2)),
            ("grow", &[1], FAILED),
        ],
    );
}

/// Entries get their arguments as `i32`, also where memory has 64-bit addresses.
#[test]
fn arguments_are_read_through_64_bit_addresses() {
    let text = r#"(module (memory i64 1)
        (func (export "within") (param i32 i32) (result i64)
          (local $p i64)
          (local.set $p (i64.extend_i32_u (local.get 0)))
          (memory.copy (i64.const 16) (local.get $p) (i64.extend_i32_u (local.get 1)))
          (i64.store8 (i64.const 15) (i64.load8_u (local.get $p)))
          (i64.or (i64.shl (i64.extend_i32_u (i32.add (local.get 1) (i32.const 1))) (i64.const 32)) (i64.const 15)))
        (func (export "beyond") (param i32 i32) (result i64)
          (drop (i64.load8_u (i64.or (i64.extend_i32_u (local.get 0)) (i64.const 0x100000000))))
          (i64.const 0)))"#;
    let wasm = wat::parse_str(text).expect("the text is well-formed");
    for options in configurations() {
        let gp = options.pvm().expect("for the PVM").gp;
        let output = wasm_pvm::compile(&wasm, &options).expect("it compiles");
        let Details::Pvm(report) = &output.report.details else { panic!("for the PVM") };
        let Container::Jam { program, .. } = Container::parse_jam(&output.bytes).expect("a program") else {
            panic!("a standard program")
        };
        let run = |entry: &str| {
            let mut machine = Machine::new(&program, gp, Engine::for_version(gp)[0]).expect("it loads");
            let at = report.entries.iter().position(|known| known.name == entry).expect("an entry");
            machine.enter_with_args(5 * at as u32, b"abc").expect("it is entered");
            machine.set_gas(1 << 20);
            let exit = machine.run().expect("the machine works");
            (exit, machine.result(ResultConvention::Length))
        };
        assert_eq!(run("within"), (Exit::Halt, b"aabc".to_vec()));
        assert_eq!(run("beyond").0, Exit::Panic);
    }
}

#[test]
fn memories_that_do_not_fit_are_errors() {
    let compile = |text: &str| {
        let wasm = wat::parse_str(text).expect("the text is well-formed");
        let options = Options::new(PvmOptions::default());
        wasm_pvm::compile(&wasm, &options).map(|_| ()).map_err(|error| error.to_string())
    };
    let access = |memory: &str, address: &str| {
        format!("(module {memory} (func (export \"f\") (result i32) (i32.load {address})))")
    };
    for (text, message) in [
        (access("(memory i64 65536)", "(i64.const 0)"), "a memory of 4 GiB"),
        (access("(memory i64 0x1000000000000)", "(i64.const 0)"), "GiB"),
        (access("(memory 1) (memory i64 1000000)", "1 (i64.const 0)"), "a memory (number 1) of 61 GiB"),
        (access("(memory 1) (memory 30000)", "1 (i32.const 0)"), "exceeds the container's limit"),
        ("(module (table i64 0x100000000 funcref) (func (export \"f\")))".to_owned(), "a table of"),
        (
            "(module (memory 1) (memory i64 1) (data (memory 1) (i64.const 0xfffffffffffffffe) \"abc\"))"
                .to_owned(),
            "out of bounds",
        ),
    ] {
        let refused = compile(&text).expect_err("it must be refused");
        assert!(refused.contains(message), "{refused}");
    }
    assert_eq!(compile(&access("(memory i64 1 0x1000000000000)", "(i64.const 0)")), Ok(()));
}

/// Small modules with data where toolchains put it, and with variables of their own.
fn small_modules() -> Vec<(u32, String)> {
    let data: String = (1..=100).map(|byte| format!("\\{byte:02x}")).collect();
    let stack = r#"(global $__stack_pointer (mut i32) (i32.const 1048576))
        (func $frame (param i32) (result i32) (local i32)
          (global.set $__stack_pointer (local.tee 1 (i32.sub (global.get $__stack_pointer) (i32.const 16))))
          (i32.store offset=8 (local.get 1) (local.get 0))
          (local.set 0 (call $sum (i32.add (local.get 1) (i32.const 8)) (i32.const 4)))
          (global.set $__stack_pointer (i32.add (local.get 1) (i32.const 16)))
          (local.get 0))"#;
    let plain = "(func $frame (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))";
    let cases = [
        (1, 1024, 3, plain),
        (1, 1024, 60, plain),
        (17, 1024, 3, stack),
        (17, 1048576, 3, stack),
        (17, 1048580, 40, stack),
    ];
    let module = |(pages, at, globals, frame): (u32, u32, u32, &str)| {
        // What is below the stack pointer may differ, so it isn't shown.
        let shown = if frame == stack { "" } else { "(export \"memory\")" };
        let of_all = |item: &dyn Fn(u32) -> String| (0..globals).map(item).collect::<String>();
        let declared =
            of_all(&|n| format!("(global $g{n} (mut i64) (i64.const {}))", i64::from(n % 3) * 0x1_0000_0005));
        let summed = of_all(&|n| format!("(local.set 2 (i64.add (local.get 2) (global.get $g{n})))"));
        let changed = of_all(&|n| format!("(global.set $g{n} (i64.add (global.get $g{n}) (i64.const {n})))"));
        let text = format!(
            r#"(module (memory {shown} {pages}) {declared} {frame}
              (global $kind (mut i32) (i32.const 77))
              (table 2 funcref) (elem (i32.const 1) $frame) (type $t (func (param i32) (result i32)))
              (data (i32.const {at}) "{data}")
              (func $sum (param i32 i32) (result i32) (local i32)
                (block (loop
                  (br_if 1 (i32.eqz (local.get 1)))
                  (local.set 2 (i32.add (i32.mul (local.get 2) (i32.const 31)) (i32.load8_u (local.get 0))))
                  (local.set 0 (i32.add (local.get 0) (i32.const 1)))
                  (local.set 1 (i32.sub (local.get 1) (i32.const 1)))
                  (br 0)))
                (local.get 2))
              (func (export "data") (result i32) (call $sum (i32.const {at}) (i32.const 120)))
              (func (export "main") (param i32 i32) (result i64) (local i64)
                (local.set 2 (i64.extend_i32_u (call_indirect (type $t) (call $sum (i32.const {at}) (i32.const 101)) (i32.const 1))))
                (local.set 2 (i64.add (local.get 2) (i64.extend_i32_u (memory.grow (i32.const 1)))))
                (global.set $kind (i32.add (global.get $kind) (memory.size)))
                {summed} {changed}
                (i64.store (i32.const {at}) (i64.add (local.get 2) (i64.extend_i32_s (global.get $kind))))
                (i64.const {})))"#,
            8u64 << 32 | u64::from(at)
        );
        (globals, text)
    };
    cases.map(module).into()
}

/// Neither the zeros below data nor a page for a few variables are stored. Many variables may store their own values.
#[test]
fn small_programs_store_few_zeros() {
    for (globals, text) in small_modules() {
        let wasm = wat::parse_str(&text).expect("the text is well-formed");
        for (seed, options) in (0..).zip(configurations()) {
            compare(&wasm, seed, &Pvm { options: options.clone() })
                .unwrap_or_else(|error| panic!("{text}\n-{:?}: {error:#}", options.level));
            let output = wasm_pvm::compile(&wasm, &options).expect("it compiles");
            let Container::Jam { program, .. } = Container::parse_jam(&output.bytes).expect("a program")
            else {
                panic!("a standard program")
            };
            let stored = program.ro_data.iter().chain(&program.rw_data);
            let zeros = stored.filter(|byte| **byte == 0).count();
            assert!(
                zeros < if globals > 16 { 64 + 8 * globals as usize } else { 64 },
                "{zeros} zeros {:?} {:?}\n{text}",
                options.level,
                options.pvm().map(|pvm| pvm.bounds)
            );
        }
    }
}
