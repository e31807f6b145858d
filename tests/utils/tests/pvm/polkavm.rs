//! Programs in PolkaVM's own container give on the engines of the `polkavm` crates what they give elsewhere: parsed by
//! the crates, entered by name, with host functions by symbol.

use polkavm::program::EstimateInterpreterMemoryUsageArgs as Usage;
use polkavm::{CallError, Caller, Linker, ProgramBlob};
use pvm_engine::{Backend, Engine as Ours, Exit, Machine};
use pvm_isa::PolkaVmProgram;
use testkit::kernels::{Kernel, all};
use testkit::polkavm::{Program, engines};
use wasm_pvm::{Error, Format, GpVersion, LimitError, OptLevel, Options, Profile, PvmBounds, PvmOptions};

/// Sizes of pages that hosts use.
const PAGE_SIZES: [u32; 2] = [0x1000, 0x1_0000];

fn compile(wasm: &[u8], level: OptLevel, pvm: PvmOptions) -> (Vec<u8>, u32) {
    let pvm = PvmOptions { format: Format::PolkaVm, ..pvm };
    let output = wasm_pvm::compile(wasm, &Options { level, ..Options::new(pvm) }).expect("compiles");
    let base = output.report.pvm().expect("a program").linear_base;
    (output.bytes, base)
}

#[test]
fn every_kernel_is_right_in_polkavms_container() {
    let (engines, linker) = (engines().unwrap(), Linker::new());
    let mut runs = 0;
    for kernel in all().unwrap() {
        for level in [OptLevel::O2, OptLevel::Oz] {
            for gp in GpVersion::ALL {
                let (file, base) = compile(&kernel.wasm, level, PvmOptions { gp, ..PvmOptions::default() });
                for ((backend, engine), page_size) in
                    engines.iter().zip(PAGE_SIZES.iter().cycle().skip(runs % 2))
                {
                    let name = format!("{} {} -{level:?} {gp} {backend}", kernel.variant, kernel.name);
                    let mut program = Program::new(engine, &file, *page_size, &linker)
                        .unwrap_or_else(|error| panic!("{name}: {error}"));
                    let output = program.call_with_bytes(&mut (), "main", &kernel.args, base);
                    assert!(output.is_ok_and(|bytes| bytes == kernel.expected), "{name}: wrong output");
                    runs += 1;
                }
                if gp == GpVersion::V072 {
                    runs_on_the_older_engine(&kernel, &file, base);
                }
            }
        }
    }
    assert_eq!(runs, 42 * 2 * 3 * 2);
}

/// Version 0.30 of the crate, of the time of GP 0.7.
fn runs_on_the_older_engine(kernel: &Kernel, file: &[u8], base: u32) {
    let program = PolkaVmProgram::parse(file).unwrap();
    let export = program.exports.iter().find(|export| export.symbol == "main").expect("exported");
    let mut machine = Machine::of_polkavm(&program, GpVersion::V072, Ours::Polkavm030).unwrap();
    machine.enter_export(export.pc, &kernel.args, base).unwrap();
    machine.set_gas(1 << 40);
    assert_eq!(machine.run(), Ok(Exit::Halt), "{}", kernel.name);
    assert!(machine.packed_result(base) == kernel.expected, "{}: wrong output", kernel.name);
}

const EXPORTS: &str = r#"(module
  (import "env" "add" (func $add (param i32 i64) (result i64)))
  (import "other" "note" (func $note (param i32)))
  (import "other" "never" (func $never))
  (import "other" "add" (func $same (param i32 i64) (result i64)))
  (memory (export "memory") 1 3)
  (global $starts (mut i32) (i32.const 40))
  (func $start (global.set $starts (i32.add (global.get $starts) (i32.const 1))))
  (start $start)
  (func $unused (call $never))
  (func $less (export "less") (param i32 i32) (result i32) (i32.lt_s (local.get 0) (local.get 1)))
  (func (export "starts") (result i32)
    (drop (call $less (i32.const 1) (i32.const 2))) (global.get $starts))
  (func (export "below") (param i32 i32) (result i32) (i32.lt_u (local.get 0) (local.get 1)))
  (func (export "six") (param i32 i64 i32 i64 i32 i64) (result i64)
    (i64.add (i64.add (i64.extend_i32_s (local.get 0)) (i64.shl (local.get 1) (i64.const 8)))
      (i64.add (i64.shl (i64.extend_i32_u (local.get 2)) (i64.const 16))
        (i64.xor (local.get 3) (i64.mul (i64.extend_i32_s (local.get 4)) (local.get 5))))))
  (func (export "seven") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (local.get 6))
  (func (export "two") (param i64) (result i64 i32) (local.get 0) (i32.const -1))
  (func (export "half") (param f64) (result f64) (f64.mul (local.get 0) (f64.const 0.5)))
  (func (export "host") (param i32) (result i64)
    (call $note (local.get 0))
    (i64.add (call $add (local.get 0) (i64.const -5)) (call $same (i32.const 1) (i64.const 1))))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "size") (result i32) (memory.size))
  (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))"#;

fn host() -> Linker<Vec<u32>, String> {
    let mut linker = Linker::new();
    let add = |_: Caller<Vec<u32>>, a: u32, b: i64| i64::from(a).wrapping_add(b);
    linker.define_typed("add", add).unwrap();
    let note = |caller: Caller<Vec<u32>>, value: u32| caller.user_data.push(value);
    linker.define_typed("note", note).unwrap();
    linker
}

/// Calls an export with words in the registers of arguments; the two registers of results, or `None` after a trap.
fn call(program: &mut Program<Vec<u32>>, name: &str, args: &[u64], notes: &mut Vec<u32>) -> Option<[u64; 2]> {
    let pc = program.export(name).unwrap();
    program.instance.prepare_call_untyped(pc, args);
    match program.instance.continue_execution(notes) {
        Ok(()) => Some([polkavm::Reg::A0, polkavm::Reg::A1].map(|reg| program.instance.reg(reg))),
        Err(CallError::Trap) => None,
        Err(error) => panic!("{name}: {error:?}"),
    }
}

fn check_exports(program: &mut Program<Vec<u32>>, is_strict: bool) {
    let mut notes = Vec::new();
    let mut word = |name: &str, args: &[u64]| call(program, name, args, &mut notes).map(|[first, _]| first);
    let low = |word: Option<u64>| word.map(|word| word as u32);
    // An i32 may come zero-extended, sign-extended or with anything above it.
    let minus = [0xffff_ffff, u64::MAX, 0x1234_5678_ffff_ffff];
    for (one, is_less) in minus.iter().flat_map(|&one| [([one, 1], 1), ([1, one], 0)]) {
        assert_eq!(low(word("less", &one)), Some(is_less));
        assert_eq!(low(word("below", &one)), Some(1 - is_less));
    }
    let six = [0xffff_fffe, 3, 5, 7, u64::MAX, 11];
    let expected = (-2i64 + (3 << 8) + (5 << 16) + (7 ^ -11)) as u64;
    assert_eq!(word("six", &six), Some(expected));
    assert_eq!(low(word("starts", &[])), Some(41));
    assert_eq!(word("half", &[3f64.to_bits()]), Some(1.5f64.to_bits()));
    assert_eq!(word("host", &[0xffff_fff0]), Some(0xffff_fff0 - 5 + 2));
    assert_eq!(low(word("size", &[])), Some(1));
    assert_eq!(low(word("load", &[65532])), Some(0));
    assert_eq!(low(word("grow", &[1])), Some(1));
    assert_eq!(low(word("grow", &[2])), Some(u32::MAX));
    assert!(word("store", &[131_068, 77]).is_some());
    assert_eq!(low(word("load", &[131_068])), Some(77));
    if is_strict {
        assert_eq!(word("load", &[131_069]), None);
    }
    // Without comparisons memory ends where a page of the host does.
    assert_eq!(word("load", &[if is_strict { 3 << 16 } else { 4 << 16 }]), None);
    assert_eq!(low(word("grow", &[1])), Some(2));
    assert_eq!(low(word("load", &[196_604])), Some(0));
    assert_eq!(call(program, "two", &[9], &mut Vec::new()).map(|[a, b]| (a, b as u32)), Some((9, u32::MAX)));
    assert_eq!(notes, [0xffff_fff0]);
    assert!(program.export("seven").is_err(), "no host has place for its arguments");
    let imports: Vec<String> =
        program.module.imports().iter().flatten().map(|name| name.to_string()).collect();
    assert_eq!(imports, ["'add'", "'note'"]);
}

#[test]
fn exports_are_typed_functions_and_host_calls_have_symbols() {
    let (engines, linker) = (engines().unwrap(), host());
    let wasm = wat::parse_str(EXPORTS).unwrap();
    for level in [OptLevel::O0, OptLevel::O2, OptLevel::Os, OptLevel::Oz] {
        for gp in [GpVersion::V072, GpVersion::V08] {
            for bounds in [PvmBounds::Guard, PvmBounds::Strict] {
                let (file, _) = compile(&wasm, level, PvmOptions { gp, bounds, ..PvmOptions::default() });
                for ((_, engine), page_size) in
                    engines.iter().flat_map(|engine| PAGE_SIZES.map(|size| (engine, size)))
                {
                    let mut program = Program::new(engine, &file, page_size, &linker).unwrap();
                    check_exports(&mut program, bounds == PvmBounds::Strict);
                }
            }
        }
    }
}

/// Compiled code of the engine never comes back from such an entry, whatever the gas.
#[test]
fn programs_with_an_export_inside_of_an_instruction_are_refused() {
    let wasm = wat::parse_str(r#"(module (func (export "f") (result i32) (i32.const 70000)))"#).unwrap();
    for gp in [GpVersion::V072, GpVersion::V08] {
        let (file, _) = compile(&wasm, OptLevel::O2, PvmOptions { gp, ..PvmOptions::default() });
        let mut program = PolkaVmProgram::parse(&file).unwrap();
        program.exports[0].pc += 1;
        for backend in [Backend::Interpreter, Backend::Compiler] {
            let refused =
                Machine::of_polkavm(&program, gp, Ours::Polkavm037(backend)).map(|_| ()).unwrap_err();
            let message = "no basic block starts at 1, the position of the export `f`";
            assert!(refused.to_string().contains(message), "{refused}");
        }
    }
}

const CONTRACT: &str = r#"(module
  (import "env" "call_data_copy" (func $copy (param i32 i32 i64)))
  (memory 4 200)
  (global $__stack_pointer (mut i32) (i32.const 196608))
  (data (i32.const 196608) "\01\02")
  (func (export "deploy"))
  (func $f (export "call") (local $p i32)
    (local.set $p (i32.sub (global.get $__stack_pointer) (i32.const 64)))
    (global.set $__stack_pointer (local.get $p))
    (call $copy (local.get $p) (i32.const 32) (i64.const 0))
    (i32.store8 (i32.add (memory.grow (i32.const 1)) (i32.const 196608)) (i32.load8_u (local.get $p)))
    (global.set $__stack_pointer (i32.add (local.get $p) (i32.const 64)))))"#;

/// The memory that we say a contract has is the estimate of the crate, on which the pallet's limit is.
#[test]
fn the_memory_of_contracts_is_what_the_crate_estimates() {
    let contract = |pages: u32| {
        let pvm = PvmOptions {
            gp: GpVersion::V072,
            format: Format::PolkaVm,
            profile: Some(Profile::Revive),
            growth_bytes: Some(pages << 16),
            ..PvmOptions::default()
        };
        wasm_pvm::compile(&wat::parse_str(CONTRACT).unwrap(), &Options::new(pvm))
    };
    let estimate = |file: &[u8]| {
        let blob = ProgramBlob::parse(file.to_vec().into()).unwrap();
        let usage = Usage::BoundedCache {
            max_cache_size_bytes: 1 << 20,
            max_block_size: 1000,
            instruction_count: 100,
            basic_block_count: 10,
            page_size: 4096,
        };
        blob.estimate_interpreter_memory_usage(usage).unwrap().baseline_ram_consumption as usize
    };
    let (mut last, mut refused) = (0, None);
    for pages in 0..40 {
        match contract(pages) {
            Ok(output) => last = estimate(&output.bytes),
            Err(Error::Limit(LimitError::Exceeded { what, measured, limit, .. })) => {
                assert_eq!((&what[..], limit), ("bytes of memory of a contract", (1 << 20) + (512 << 10)));
                refused = Some((measured, limit));
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    let (measured, limit) = refused.expect("40 pages are too many");
    assert!(last <= limit, "{last}");
    assert!(measured.abs_diff(last + 65536) <= 2, "{measured} and {last}");
}

/// Writes a line from static data and one from the C stack to the console of CoreVM.
const CONSOLE: &str = r#"(module
  (import "corevm" "corevm_yield_console_data_ext" (func $write (param i64 i64 i64)))
  (memory 18)
  (global $__stack_pointer (mut i32) (i32.const 1048576))
  (data (i32.const 1048576) "hello\0a")
  (func $print (param $digit i32) (local $sp i32)
    (local.set $sp (i32.sub (global.get $__stack_pointer) (i32.const 16)))
    (global.set $__stack_pointer (local.get $sp))
    (i32.store8 (local.get $sp) (i32.add (local.get $digit) (i32.const 48)))
    (call $write (i64.const 1) (i64.extend_i32_u (local.get $sp)) (i64.const 1))
    (global.set $__stack_pointer (i32.add (local.get $sp) (i32.const 16))))
  (func (export "main") (result i64)
    (call $write (i64.const 1) (i64.const 1048576) (i64.const 6))
    (call $print (i32.const 7))
    (i64.const 0)))"#;

/// The service takes the length of the metadata, the metadata and PolkaVM's container, enters `main` and gives addresses
/// their meaning in the machine.
#[test]
fn programs_for_corevm_write_from_machine_addresses() {
    let wasm = wat::parse_str(CONSOLE).unwrap();
    let mut linker: Linker<Vec<u8>, String> = Linker::new();
    let write = |caller: Caller<Vec<u8>>, stream: u64, address: u64, len: u64| {
        assert_eq!(stream, 1);
        let bytes = caller.instance.read_memory(u32::try_from(address).unwrap(), len as u32).unwrap();
        caller.user_data.extend(bytes);
    };
    linker.define_typed("corevm_yield_console_data_ext", write).unwrap();
    for level in [OptLevel::O0, OptLevel::O2, OptLevel::Oz] {
        let pvm =
            PvmOptions { profile: Some(Profile::CoreVm), format: Format::CoreVm, ..PvmOptions::default() };
        let file = wasm_pvm::compile(&wasm, &Options { level, ..Options::new(pvm) }).unwrap().bytes;
        let len = usize::from(file[0]);
        assert!(len < 128, "one byte of length");
        assert_eq!(file[1], 0, "the kind of metadata that the SDK has");
        for (_, engine) in engines().unwrap() {
            let mut program = Program::new(&engine, &file[1 + len..], 0x1000, &linker).unwrap();
            let mut output = Vec::new();
            let main = program.export("main").unwrap();
            let result = program.instance.call_typed_and_get_result::<u64, ()>(&mut output, main, ());
            assert_eq!((result.unwrap(), output), (0, b"hello\n7".to_vec()));
        }
    }
}
