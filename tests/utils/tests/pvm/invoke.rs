//! Typed calls of exports as users make them: through a program file, its metadata and `pvm_engine::Session`.
//!
//! The judge is the specification suite. Its assertions about numbers are executed by such calls, on programs with raw
//! entries, and on programs for hosts, whose entries convert pointers.

use anyhow::Result;
use pvm_engine::{
    Backend, Engine, Exit, GivenAnswer, HostCallId, Machine, RunOptions, Session, Status, Value,
};
use pvm_isa::{GpVersion, Inst, Opcode, ProgramBlob, Reg, SpiProgram};
use testkit::executor::{Call, CallExit, Executable, Executor, Host, Refusal};
use testkit::program::refusal;
use testkit::spec::{files, imported_globals, run_file, run_text};
use wasm_pvm::{EntryMode, Floats, ImportMap, MetadataContents, OptLevel, Options, PvmBounds, PvmOptions};

/// Host-call numbers of imports.
const IMPORTS: std::ops::Range<u32> = 1000..1064;
/// Gas of a call.
const GAS: u64 = 1 << 30;

/// Compiles modules and loads them as program files.
struct Programs(Options);

impl Executor for Programs {
    fn validate(&self, wasm: &[u8]) -> Result<(), Refusal> {
        wasm_pvm::compile(wasm, &self.0).map(|_| ()).map_err(refusal)
    }

    fn load(&self, wasm: &[u8]) -> Result<Box<dyn Executable>, Refusal> {
        let output = wasm_pvm::compile(wasm, &self.0).map_err(refusal)?;
        let answer = |number| GivenAnswer { call: HostCallId::Number(number), r7: 0, r8: None };
        let run = RunOptions { gas: GAS, answers: IMPORTS.map(answer).collect(), ..RunOptions::default() };
        match Session::load(&output.bytes, &run) {
            Ok(session) => Ok(Box::new(Loaded(session))),
            Err(error) => Err(Refusal::Other(error.to_string())),
        }
    }

    fn has_floats(&self) -> bool {
        true
    }
}

struct Loaded(Session);

fn exit(outcome: pvm_engine::Outcome) -> CallExit {
    match outcome.status {
        Status::Halt => CallExit::Returned(outcome.values.iter().flat_map(Value::words).collect()),
        Status::OutOfGas => CallExit::Exhausted,
        Status::Panic | Status::HostCall { .. } => CallExit::Trapped(None),
    }
}

impl Executable for Loaded {
    fn start(&mut self, _: Host<'_>) -> Result<CallExit> {
        let outcome = self.0.instantiate()?;
        Ok(outcome.map_or(CallExit::Returned(Vec::new()), exit))
    }

    fn call(&mut self, call: Call<'_>, _: Host<'_>) -> Result<CallExit> {
        let ty = self.0.function(call.name)?;
        let args: Vec<Value> =
            ty.params.iter().zip(call.args).map(|(&ty, &word)| Value::of_words(ty, &[word])).collect();
        Ok(exit(self.0.invoke(call.name, &args)?))
    }

    fn memory(&mut self, len: u32) -> Result<Vec<u8>> {
        Ok(self.0.read(0, len)?)
    }

    fn memory_exports(&self) -> Vec<String> {
        Vec::new()
    }

    fn global_word(&mut self, name: &str, _: u32) -> Result<Option<u64>> {
        Ok(self.0.global(name).map(|value| value.words()[0]))
    }
}

fn options(level: OptLevel, gp: GpVersion, entries: EntryMode) -> Options {
    let target = PvmOptions {
        gp,
        entries,
        bounds: PvmBounds::Strict,
        imports: ImportMap::default().with_auto(IMPORTS.start),
        metadata: MetadataContents::Exports,
        ..PvmOptions::default()
    };
    let globals = imported_globals();
    Options {
        level,
        floats: Some(Floats::Soft),
        imported_globals: globals,
        threads: 1,
        ..Options::new(target)
    }
}

/// Runs these files of the suite. What is skipped is what the record of the suite says.
fn check(options: &Options, wanted: &[&str]) {
    let record = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/spec-record.txt"));
    let record = record.expect("the record is there");
    let mut checked = 0;
    for file in files().iter().filter(|file| wanted.contains(&file.name())) {
        let tally = run_file(file, &Programs(options.clone()));
        assert!(tally.failed.is_empty(), "{}:\n{}", file.name(), tally.failed.join("\n"));
        let name = format!("{}/{}", file.parent(), file.name());
        let line = tally.line(&name);
        assert!(record.lines().any(|recorded| recorded == line), "{line} is not in the record");
        checked += 1;
    }
    assert!(checked >= wanted.len(), "{checked} files of {wanted:?}");
}

/// Types of all kinds, many parameters and results, state, start functions, growth, references, stack overflow.
const FILES: [&str; 15] = [
    "i32.wast",
    "i64.wast",
    "f32.wast",
    "f64_cmp.wast",
    "conversions.wast",
    "func.wast",
    "block.wast",
    "call.wast",
    "fac.wast",
    "global.wast",
    "start.wast",
    "memory_grow.wast",
    "endianness.wast",
    "ref_is_null.wast",
    "exports.wast",
];

#[test]
fn exports_with_raw_entries_hold_what_the_suite_asserts() {
    check(&options(OptLevel::O2, GpVersion::V08, EntryMode::Raw), &FILES);
    check(&options(OptLevel::Oz, GpVersion::V072, EntryMode::Raw), &FILES);
}

#[test]
fn exports_with_entries_for_hosts_hold_what_the_suite_asserts() {
    let files = ["i32.wast", "i64.wast", "f32.wast", "conversions.wast", "func.wast", "fac.wast"];
    check(&options(OptLevel::O0, GpVersion::V08, EntryMode::Auto), &files);
    check(&options(OptLevel::O2, GpVersion::V072, EntryMode::Auto), &files);
}

/// The scripts with many signatures that boards run, too.
#[test]
fn exports_of_scripts_hold_what_they_assert() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/thumb");
    let mut passed = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("readable").path();
        let text = std::fs::read_to_string(&path).expect("a script");
        let name = path.display().to_string();
        for (level, gp) in [(OptLevel::O2, GpVersion::V08), (OptLevel::Os, GpVersion::V072)] {
            let tally = run_text(&name, &text, &Programs(options(level, gp, EntryMode::Raw)));
            assert!(tally.failed.is_empty() && tally.skipped.is_empty(), "{}", tally.failed.join("\n"));
            passed += tally.passed;
        }
    }
    assert!(passed > 200, "{passed}");
}

/// A machine after a run.
#[derive(PartialEq, Eq, Debug)]
struct After {
    exit: Exit,
    registers: Vec<u64>,
    gas: i64,
    /// The byte before the address in r7: the last one of the heap.
    last: Option<Vec<u8>>,
}

/// Both engines for GP 0.7.2 after the same run.
fn on_both_engines(program: &SpiProgram, pc: u32, args: &[u8]) -> [After; 2] {
    [Engine::Polkavm030, Engine::Polkavm037(Backend::Auto)].map(|engine| {
        let mut machine = Machine::new(program, GpVersion::V072, engine).expect("it loads");
        machine.enter_with_args(pc, args).expect("arguments fit");
        machine.set_gas(1 << 24);
        let exit = machine.resume().expect("it runs");
        let registers = (0..13).map(|number| machine.reg(number)).collect();
        let last = machine.reg(7).checked_sub(1).and_then(|last| u32::try_from(last).ok());
        let last = last.and_then(|last| machine.read(last, 1));
        After { exit, registers, gas: machine.gas(), last }
    })
}

/// `sbrk` by emulation is that of an engine that has it.
#[test]
fn growth_is_that_of_an_engine_for_the_version() {
    let sizes = [0, 1, 4095, 4096, 5000, 1 << 20, 0xff00_0000, u64::from(u32::MAX), 1 << 32, u64::MAX];
    for first in sizes {
        for second in sizes {
            let mut blob = ProgramBlob::default();
            let gp = GpVersion::V072;
            for (size, dst, src) in
                [(first, Reg::A1, Reg::A2), (second, Reg::A0, Reg::A0), (0, Reg::A3, Reg::S0)]
            {
                blob.push(gp, &Inst::reg_imm64(Opcode::LoadImm64, src, size));
                blob.push(gp, &Inst::reg2(Opcode::Sbrk, dst, src));
            }
            // A host call whose number is that of an emulated `sbrk` stays one.
            blob.push(gp, &Inst::imm(Opcode::Ecalli, 0x77));
            blob.push(gp, &Inst::no_arg(Opcode::Trap));
            let program = SpiProgram { blob, heap_pages: 1, stack_size: 4096, ..SpiProgram::default() };
            let outcomes = on_both_engines(&program, 0, &[]);
            assert_eq!(outcomes[0].exit, Exit::HostCall(0x77));
            assert_eq!(outcomes[0], outcomes[1], "{first:#x} {second:#x}");
        }
    }
}

/// Compiled programs that grow, and fail to.
#[test]
fn programs_grow_as_on_an_engine_for_the_version() {
    let text = r#"(module (memory 1 40) (func (export "main") (param $p i32) (param $n i32) (result i64)
      (i32.store (i32.const 0) (memory.grow (i32.load8_u (local.get $p))))
      (i32.store (i32.const 4) (memory.grow (i32.load8_u offset=1 (local.get $p))))
      (i32.store (i32.const 8) (memory.size))
      (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)) (i32.const -1))
      (i64.const 0xc00000000)))"#;
    for level in [OptLevel::O0, OptLevel::O2, OptLevel::Oz] {
        let target =
            PvmOptions { gp: GpVersion::V072, format: wasm_pvm::Format::Spi, ..PvmOptions::default() };
        let options = Options { level, threads: 1, ..Options::new(target) };
        let output = wasm_pvm::compile(text.as_bytes(), &options).expect("it compiles");
        let program = SpiProgram::parse(&output.bytes).expect("a standard program");
        for args in [[0, 0], [1, 2], [39, 1], [40, 3], [255, 39]] {
            let outcomes = on_both_engines(&program, 0, &args);
            assert_eq!(outcomes[0], outcomes[1], "{level:?} {args:?}");
            let run = RunOptions { args: args.into(), gp: Some(GpVersion::V072), ..RunOptions::default() };
            let outcome = wasm_pvm::run::run(&output.bytes, &run).expect("it runs");
            let grown = |pages: u32, more: u8| match pages + u32::from(more) {
                sum if sum <= 40 => (pages, sum),
                _ => (u32::MAX, pages),
            };
            let (first, pages) = grown(1, args[0]);
            let (second, pages) = grown(pages, args[1]);
            assert_eq!(outcome.result, [first, second, pages].map(u32::to_le_bytes).concat(), "{args:?}");
        }
    }
}
