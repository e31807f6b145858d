//! Differential testing: random modules, compiled and in the reference engine.
//!
//! `wasm-smith` makes a module from random bytes, limited to the supported features and guaranteed to terminate. The
//! reference engine gets it rewritten by [`crate::spelled`], so that no result is left open. Its exports are called with
//! random arguments, on both sides in the same order on one instance. Results, traps, calls of imports with their
//! arguments, the memory and the globals must agree after every call. Everything derives from
//! one seed, so the seed reproduces a failure.

use anyhow::{Context, Result, bail, ensure};
use arbitrary::Unstructured;
use random::Rng;
use wasm_smith::{Config, Module};

use crate::executor::{Call, CallExit, Executable, Executor, Refusal};
use crate::oracle::{self, Export, Oracle, Reference, import_result};
use crate::spelled::{Open, spell_out};

/// Calls made on each module.
const CALLS: usize = 8;
/// Fuel of the reference engine per call.
const FUEL: u64 = 200_000;

/// The outcome of a seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Both sides agreed on this many calls, at least one.
    Agreed(usize),
    /// Nothing to compare: the module traps at its start or exports no function of integers.
    Nothing,
}

/// The operators of a module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contents {
    /// Integers only.
    Integers,
    /// Floats as well.
    Floats,
    /// Floats and vectors, with relaxed operators.
    Vectors,
}

/// A valid, terminating module from a seed.
pub fn module(seed: u64) -> Result<Vec<u8>> {
    module_of(seed, |config| config)
}

/// The same with floats inside.
pub fn module_with_floats(seed: u64) -> Result<Vec<u8>> {
    module_of(seed, |config| Config { allow_floats: true, ..config })
}

/// The same with vectors as well, and with relaxed operators on them.
pub fn module_with_vectors(seed: u64) -> Result<Vec<u8>> {
    module_of(seed, |config| Config {
        allow_floats: true,
        simd_enabled: true,
        relaxed_simd_enabled: true,
        ..config
    })
}

/// The same with all that the reference engine lacks: exceptions, and shared memories with atomic operators.
pub fn module_with_proposals(seed: u64) -> Result<Vec<u8>> {
    module_of(seed, |config| Config {
        allow_floats: true,
        simd_enabled: true,
        relaxed_simd_enabled: true,
        exceptions_enabled: true,
        threads_enabled: true,
        ..config
    })
}

fn module_of(seed: u64, change: fn(Config) -> Config) -> Result<Vec<u8>> {
    let mut random = Rng::new(seed);
    let len = 512 << random.below(4);
    let bytes = random.bytes(len);
    make(change(config(&mut random)), &bytes)
}

/// A module from bytes, with limits by `random`.
///
/// # Errors
/// If the bytes are too few.
pub fn module_of_bytes(mut random: Rng, bytes: &[u8], contents: Contents) -> Result<Vec<u8>> {
    let config = config(&mut random);
    let config = Config {
        allow_floats: contents != Contents::Integers,
        simd_enabled: contents == Contents::Vectors,
        relaxed_simd_enabled: contents == Contents::Vectors,
        ..config
    };
    make(config, bytes)
}

fn make(config: Config, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut input = Unstructured::new(bytes);
    let mut module = Module::new(config, &mut input).context("wasm-smith")?;
    let fuel = 1000;
    module.ensure_termination(fuel).context("wasm-smith: termination")?;
    Ok(module.to_bytes())
}

fn config(random: &mut Rng) -> Config {
    let imports = r#"(module
        (import "env" "a" (func (param i32)))
        (import "env" "b" (func (param i64 i32) (result i64)))
        (import "env" "c" (func (result i32))))"#;
    Config {
        available_imports: Some(wat::parse_str(imports).expect("a constant")),
        allow_floats: false,
        export_everything: true,
        exceptions_enabled: false,
        gc_enabled: false,
        threads_enabled: false,
        simd_enabled: false,
        relaxed_simd_enabled: false,
        compact_imports_enabled: false,
        memory64_enabled: random.one_in(3),
        max_memories: random.pick(&[1, 1, 2, 4]),
        max_memory32_bytes: 1 << 18,
        max_memory64_bytes: 1 << 18,
        memory_max_size_required: true,
        max_tables: 2,
        max_table_elements: 100,
        table_max_size_required: true,
        min_funcs: 1 + random.below(6),
        max_funcs: 12,
        max_instructions: 50 << random.below(4),
        bulk_memory_enabled: true,
        reference_types_enabled: true,
        tail_call_enabled: random.one_in(2),
        wide_arithmetic_enabled: true,
        custom_page_sizes_enabled: random.one_in(8),
        multi_value_enabled: true,
        ..Config::default()
    }
}

/// Compiles a module and compares it with the reference engine. An error is a disagreement.
pub fn compare(bytes: &[u8], seed: u64, executor: &dyn Executor) -> Result<Verdict> {
    match Reference::new(&spell_out(bytes, Open::All)?, FUEL)? {
        Some(reference) => compare_with(reference, bytes, seed, executor),
        None => Ok(Verdict::Nothing),
    }
}

/// Compiles a module and compares it with an instance in an engine. An error is a disagreement.
///
/// # Errors
/// Likewise, and if the engine fails.
pub fn compare_with(
    mut reference: impl Oracle,
    bytes: &[u8],
    seed: u64,
    executor: &dyn Executor,
) -> Result<Verdict> {
    executor.clear();
    if reference.integer_exports().is_empty() {
        return Ok(Verdict::Nothing);
    }
    match executor.load(bytes) {
        Ok(mut program) => compare_loaded(&mut reference, &mut *program, seed),
        Err(Refusal::NoRoom) => Ok(Verdict::Nothing),
        Err(refusal) => bail!("compile: {refusal}"),
    }
}

/// Compares a fresh instance with one in an engine. An error is a disagreement.
///
/// # Errors
/// Likewise, and if the engine fails.
pub fn compare_loaded(
    reference: &mut impl Oracle,
    program: &mut dyn Executable,
    seed: u64,
) -> Result<Verdict> {
    let exports = reference.integer_exports();
    let mut random = Rng::new(!seed);
    let mut agreed = 0;
    let mut made = Vec::new();
    let started = program.start(&mut |import, args| {
        made.push((import, args.to_vec()));
        import_result(import, args)
    })?;
    ensure!(started == CallExit::Returned(Vec::new()), "the start function: {started:?}");
    ensure!(made == reference.take_import_calls(), "the start function called imports {made:x?}");
    compare_state(program, reference).context("at the start")?;
    for _ in 0..CALLS {
        let export = &exports[random.below(exports.len())];
        let args: Vec<u64> =
            export.params.iter().map(|&wide| argument(random.interesting() as u64, wide)).collect();
        let expected = reference.call(export, &args, FUEL)?;
        let calls = reference.take_import_calls();
        match step(program, export, &args, &expected, &calls)
            .with_context(|| format!("{} {args:x?}, expected {expected:x?}", export.name))?
        {
            Step::Agreed => agreed += 1,
            Step::Trapped => return Ok(Verdict::Agreed(agreed + 1)),
            Step::Unknown => break,
        }
        compare_state(program, reference).with_context(|| format!("after {} {args:x?}", export.name))?;
    }
    Ok(if agreed > 0 { Verdict::Agreed(agreed) } else { Verdict::Nothing })
}

enum Step {
    /// Both returned the same.
    Agreed,
    /// Both trapped for the same reason: the instance is dead on the PVM, and its last writes before the trap need not
    /// be in memory on any target.
    Trapped,
    /// The reference ran out of fuel or stack.
    Unknown,
}

fn argument(word: u64, wide: bool) -> u64 {
    if wide { word } else { i64::from(word as i32) as u64 }
}

fn step(
    program: &mut dyn Executable,
    export: &Export,
    args: &[u64],
    expected: &oracle::Outcome,
    calls: &[oracle::ImportCall],
) -> Result<Step> {
    if *expected == oracle::Outcome::Exhausted {
        return Ok(Step::Unknown);
    }
    let mut made = Vec::new();
    let call = Call { name: &export.name, args, is_endless: false };
    let exit = program.call(call, &mut |import, args| {
        made.push((import, args.to_vec()));
        import_result(import, args)
    })?;
    match (exit, expected) {
        (CallExit::Returned(words), oracle::Outcome::Returned(expected)) => {
            ensure!(words == *expected, "returned {words:x?}");
            ensure!(made == calls, "called imports {made:x?} instead of {calls:x?}");
            Ok(Step::Agreed)
        }
        (CallExit::Trapped(trap), oracle::Outcome::Trapped(expected))
            if trap.is_none_or(|trap| trap.is_as_good_as(*expected)) =>
        {
            ensure!(made == calls, "called imports {made:x?} instead of {calls:x?}");
            Ok(Step::Trapped)
        }
        (exit, _) => bail!("{exit:x?}"),
    }
}

fn compare_state(program: &mut dyn Executable, reference: &impl Oracle) -> Result<()> {
    for name in program.memory_exports() {
        let Some(expected) = reference.memory_bytes(&name) else { continue };
        let actual = program.exported_memory(&name, expected.len() as u32)?;
        if let Some(at) = actual.iter().zip(&expected).position(|(a, b)| a != b) {
            bail!("memory {name} differs at {at:#x}: {:#x} instead of {:#x}", actual[at], expected[at]);
        }
    }
    for (name, bytes, expected) in reference.integer_globals() {
        let Some(actual) = program.global_word(&name, bytes)? else { continue };
        ensure!(actual == expected, "global {name} is {actual:#x} instead of {expected:#x}");
    }
    Ok(())
}
