//! Services with exact bounds, whose machine stack is in linear memory in the place of the C stack.

use pvm_engine::{Engine, Exit, Machine};
use pvm_isa::SpiProgram;
use pvm_isa::metadata::ResultConvention;
use wasm_pvm::{Format, GpVersion, OptLevel, Options, PvmBounds, PvmOptions};

const TOP: u32 = 1 << 20;
const BYTES: u32 = TOP + (2 << 16);

/// The first argument is a depth of recursion, the second an address that is loaded from after it. The result is the sum
/// of the depths, which objects of the stack have kept, plus the loaded word.
const MODULE: &str = r#"(module (memory 18)
    (global $__stack_pointer (mut i32) (i32.const 0x100000))
    (global $calls (mut i32) (i32.const 7))
    (data (i32.const 0x100000) "\05\00\00\00")
    (func $set (param $at i32) (param $n i32) (i32.store (local.get $at) (local.get $n)))
    (func $down (param $n i32) (result i32) (local $f i32) (local $sum i32)
      (global.set $__stack_pointer (local.tee $f (i32.sub (global.get $__stack_pointer) (i32.const 32))))
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (call $set (i32.add (local.get $f) (i32.const 12)) (local.get $n))
      (if (local.get $n)
        (then (local.set $sum (call $down (i32.sub (local.get $n) (i32.const 1))))))
      (local.set $sum (i32.add (local.get $sum) (i32.load offset=12 (local.get $f))))
      (global.set $__stack_pointer (i32.add (local.get $f) (i32.const 32)))
      (local.get $sum))
    (func (export "main") (param $p i32) (param $n i32) (result i64) (local $x i32)
      (local.set $x (call $down (i32.load (local.get $p))))
      (local.set $x (i32.add (local.get $x) (i32.load (i32.load offset=4 (local.get $p)))))
      (i32.store (i32.const 0x100010) (local.get $x))
      (i32.store (i32.const 0x100014) (global.get $calls))
      (i64.const 0x800100010)))"#;

fn machine(level: OptLevel, gp: GpVersion) -> Machine {
    let target = PvmOptions { gp, bounds: PvmBounds::Strict, format: Format::Spi, ..PvmOptions::default() };
    let options = Options { level, threads: 1, ..Options::new(target) };
    let output = wasm_pvm::compile(MODULE.as_bytes(), &options).expect("it compiles");
    assert_eq!(output.report.pvm().map(|report| report.linear_first), Some(TOP), "the stack is in memory");
    let program = SpiProgram::parse(&output.bytes).expect("it is a standard program");
    Machine::new(&program, gp, Engine::for_version(gp)[0]).expect("it loads")
}

/// Sum and calls so far; `None` if it traps.
fn outcome(machine: &mut Machine, depth: u32, address: u32) -> Option<[u32; 2]> {
    let args: Vec<u8> = [depth, address].iter().flat_map(|word| word.to_le_bytes()).collect();
    machine.enter_with_args(0, &args).expect("arguments fit");
    machine.set_gas(1 << 36);
    match machine.run().expect("it runs") {
        Exit::Halt => {
            let result = machine.result(ResultConvention::Length);
            let word = |at: usize| u32::from_le_bytes(result[at..at + 4].try_into().expect("four bytes"));
            Some([word(0), word(4)])
        }
        Exit::Panic => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn recursion_ends_where_the_stack_ends() {
    for (level, gp) in
        [(OptLevel::O0, GpVersion::V072), (OptLevel::O2, GpVersion::V08), (OptLevel::Oz, GpVersion::V08)]
    {
        let mut program = machine(level, gp);
        // Entries begin at the top again, and variables keep their values.
        assert_eq!(outcome(&mut program, 1000, TOP), Some([500_500 + 5, 7 + 1001]), "-{level:?}");
        assert_eq!(outcome(&mut program, 3000, TOP), Some([4_501_500 + 5, 7 + 4002]), "-{level:?}");
        assert_eq!(outcome(&mut program, 1 << 24, TOP), None, "-{level:?}");
    }
}

#[test]
fn accesses_are_in_bounds_to_the_byte() {
    for (level, gp) in
        [(OptLevel::O0, GpVersion::V072), (OptLevel::Os, GpVersion::V08), (OptLevel::Oz, GpVersion::V08)]
    {
        let mut program = machine(level, gp);
        for (address, is_inside) in [
            (TOP, true),
            (TOP - 4, true),
            (TOP - 4096, true),
            (BYTES - 4, true),
            (BYTES - 3, false),
            (BYTES, false),
            (1 << 31, false),
            // Where a standard program has its stack.
            (0xfefd_fffc, false),
            (0xfefe_0000_u32.wrapping_sub(0x4_0000 + 16), false),
            (0xfeff_0000, false),
            (u32::MAX - 3, false),
            (u32::MAX, false),
        ] {
            let is_done = outcome(&mut program, 3, address).is_some();
            assert_eq!(is_done, is_inside, "{address:#x} -{level:?}");
        }
    }
}
