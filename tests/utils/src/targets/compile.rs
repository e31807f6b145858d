//! Any input, with any options: a program, or an error that tells what is wrong; nothing else, and within bounded time.
//!
//! The input is the bytes as they are, or a real module that `wasm-mutate` changes such that it stays valid, or one with
//! damaged bytes.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use random::Rng;
use wasm_mutate::WasmMutate;
use wasm_pvm::{Options, Stage};

use super::{inspect, options, seeds, split};

/// Mutations of a module, at most.
const MUTATIONS: usize = 4;
/// Changes of `wasm-mutate` to one operator, at most.
const FUEL: u64 = 200;
/// Time of a compilation: much more than it needs on a slow and busy machine.
const LIMIT: Duration = Duration::from_secs(60);

pub fn check(bytes: &[u8]) -> Result<()> {
    let (mut choices, rest) = split(bytes);
    let kind = choices.below(4);
    let options = options::any(&mut choices);
    let input = match kind {
        0 => Cow::Borrowed(rest),
        1 | 2 => Cow::Owned(mutated(&mut Rng::from_bytes(rest))?),
        _ => Cow::Owned(damaged(&mut Rng::from_bytes(rest))?),
    };
    let start = Instant::now();
    let output = wasm_pvm::compile(&input, &options);
    let duration = start.elapsed();
    let context = || format!("{} bytes, {options:?}", input.len());
    ensure!(duration < LIMIT, "{duration:?} for {}", context());
    match output {
        Ok(output) => accepted(&input, &options, &output.bytes, &mut choices).with_context(context),
        Err(error) => clear(&error.to_string()).with_context(context),
    }
}

/// Refusals have a text, and are no fault of the compiler.
fn clear(error: &str) -> Result<()> {
    ensure!(!error.trim().is_empty(), "an error without a text");
    ensure!(!error.contains("please report"), "{error}");
    Ok(())
}

/// The output can be read, does not depend on threads, and every stage of it has a text.
fn accepted(input: &[u8], options: &Options, bytes: &[u8], choices: &mut Rng) -> Result<()> {
    if options.pvm().is_some() {
        inspect::program(bytes)?;
    } else {
        inspect::object(bytes);
    }
    if choices.one_in(4) {
        let again = wasm_pvm::compile(input, &Options { threads: 2, ..options.clone() })?;
        ensure!(again.bytes == bytes, "other bytes with two threads");
    }
    if choices.one_in(4) {
        let passes = wasm_pvm::pass_names(options);
        let stages = [Stage::LlvmIr, Stage::Ssa, Stage::Prepared, Stage::Mir, Stage::Asm];
        let after = Stage::After(passes[choices.below(passes.len())]);
        let stage = choices.pick(&[&stages[..], &[after]].concat());
        wasm_pvm::emit(input, options, stage).with_context(|| format!("the text of {stage:?}"))?;
    }
    Ok(())
}

/// The modules that are mutated.
fn modules() -> Result<&'static [Vec<u8>]> {
    static MODULES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    if MODULES.get().is_none() {
        let _ = MODULES.set(seeds::modules()?);
    }
    Ok(MODULES.get().expect("it was set"))
}

/// A real module, changed but valid.
fn mutated(random: &mut Rng) -> Result<Vec<u8>> {
    let modules = modules()?;
    let mut wasm = modules[random.below(modules.len())].clone();
    for _ in 0..=random.below(MUTATIONS) {
        let seed = random.bits();
        let mut mutate = WasmMutate::default();
        let next = match mutate.seed(seed).fuel(FUEL).preserve_semantics(false).run(&wasm) {
            Ok(mut mutants) => mutants.next().and_then(Result::ok),
            // It changes no module with operators that it doesn't know.
            Err(_) => None,
        };
        match next {
            Some(mutant) => wasm = mutant,
            None => break,
        }
    }
    Ok(wasm)
}

/// A real module with damaged bytes.
fn damaged(random: &mut Rng) -> Result<Vec<u8>> {
    let modules = modules()?;
    let mut wasm = modules[random.below(modules.len())].clone();
    if wasm.is_empty() {
        bail!("an empty module");
    }
    for _ in 0..=random.below(MUTATIONS) {
        pvm_isa::testing::damage(&mut wasm, random);
    }
    Ok(wasm)
}
