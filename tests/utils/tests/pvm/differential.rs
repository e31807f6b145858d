//! A bounded run of the differential tester; `cargo xtask fuzz` is the open-ended one.

use random::Rng;
use testkit::adapters::agreed;
use testkit::atomics;
use testkit::edges;
use testkit::fuzz::{Verdict, compare, module, module_with_floats, module_with_vectors};
use testkit::helpers;
use testkit::judge;
use testkit::nests;
use testkit::program::Pvm;
use testkit::proposals;
use testkit::tails;
use wasm_pvm::{GpVersion, OptLevel, Options, PvmBounds, PvmOptions};

/// Modules per level.
const SEEDS: u64 = 150;
/// Modules with initial data.
const DATA_SEEDS: u64 = 80;
/// Modules with functions that are nearly helpers.
const HELPER_SEEDS: u64 = 120;
/// Modules of accesses at the edges of memory, at all levels in turn.
const EDGE_SEEDS: u64 = 120;
/// Modules of tail calls, at all levels in turn.
const TAIL_SEEDS: u64 = 64;
const NEST_SEEDS: u64 = 120;
/// Modules with exceptions, threads and all else.
const PROPOSAL_SEEDS: u64 = 100;
/// Modules of atomic operators.
const ATOMIC_SEEDS: u64 = 100;

fn strict(gp: GpVersion) -> Options {
    let target = PvmOptions { gp, bounds: PvmBounds::Strict, ..PvmOptions::default() };
    Options { threads: 1, ..Options::new(target) }
}

#[test]
fn random_modules_agree_with_the_reference_engine() {
    let (mut agreed, mut calls) = (0, 0);
    for (n, level) in (0..).zip([OptLevel::O0, OptLevel::O2, OptLevel::Oz]) {
        for seed in n * SEEDS..(n + 1) * SEEDS {
            let gp = if seed % 3 == 2 { GpVersion::Next } else { GpVersion::V08 };
            let options = Options { level, ..strict(gp) };
            let bytes = module(seed).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
            match compare(&bytes, seed, &Pvm { options }) {
                Ok(Verdict::Agreed(n)) => (agreed, calls) = (agreed + 1, calls + n),
                Ok(Verdict::Nothing) => {}
                Err(error) => panic!("seed {seed} -{level:?} {gp}: {error:#}"),
            }
        }
    }
    println!("{agreed} modules agreed on {calls} calls");
    assert!(agreed > SEEDS, "most random modules must be comparable, {agreed} were");
}

/// NaNs are canonical in our code; the reference engine's are made so.
#[test]
fn random_modules_with_floats_agree_with_the_reference_engine() {
    agree(module_with_floats);
}

#[test]
fn random_modules_with_vectors_agree_with_the_reference_engine() {
    agree(module_with_vectors);
}

/// `cargo xtask fuzz --what proposals` goes on.
#[test]
fn random_modules_with_all_proposals_agree_with_the_second_judge() {
    judge::check_seeds(proposals::check_pvm, 0..PROPOSAL_SEEDS);
}

/// `cargo xtask fuzz --what atomics` goes on.
#[test]
fn atomic_operators_agree_with_the_second_judge() {
    judge::check_seeds(atomics::check_pvm, 0..ATOMIC_SEEDS);
}

/// At three levels and for both versions in turn.
fn agree(module: fn(u64) -> anyhow::Result<Vec<u8>>) {
    let mut agreed = 0;
    for seed in 0..SEEDS {
        let level = [OptLevel::O0, OptLevel::O1, OptLevel::O2, OptLevel::Oz][seed as usize % 4];
        let gp = if seed.is_multiple_of(2) { GpVersion::V08 } else { GpVersion::V072 };
        let bytes = module(seed).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
        match compare(&bytes, seed, &Pvm { options: Options { level, ..strict(gp) } }) {
            Ok(Verdict::Agreed(_)) => agreed += 1,
            Ok(Verdict::Nothing) => {}
            Err(error) => panic!("seed {seed} -{level:?}: {error:#}"),
        }
    }
    assert!(agreed > SEEDS / 3, "most random modules must be comparable, {agreed} were");
}

/// `cargo xtask fuzz --what edges` goes on.
#[test]
fn accesses_at_the_edges_of_memory_agree_with_the_reference_engine() {
    (0..EDGE_SEEDS).for_each(|seed| edges::check(seed).unwrap_or_else(|error| panic!("{error:#}")));
}

/// `cargo xtask fuzz --what tails` goes on.
#[test]
fn tail_calls_agree_with_the_reference_engine() {
    (0..TAIL_SEEDS).for_each(|seed| tails::check_pvm(seed).unwrap_or_else(|error| panic!("{error:#}")));
}

/// `cargo xtask fuzz --what nests` goes on.
#[test]
fn nests_of_exceptions_do_what_the_interpreter_says() {
    let mut endings = [0; 3];
    for seed in 0..NEST_SEEDS {
        let counts = nests::check_pvm(seed).unwrap_or_else(|error| panic!("{error:#}"));
        endings.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    assert!(endings.iter().all(|&count| count as u64 > NEST_SEEDS / 4), "calls end in all ways: {endings:?}");
}

#[test]
fn random_modules_agree_on_gp_072() {
    let mut agreed = 0;
    for seed in 1000..1000 + SEEDS / 2 {
        let options = strict(GpVersion::V072);
        let bytes = module(seed).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
        match compare(&bytes, seed, &Pvm { options }) {
            Ok(Verdict::Agreed(_)) => agreed += 1,
            Ok(Verdict::Nothing) => {}
            Err(error) => panic!("seed {seed}: {error:#}"),
        }
    }
    assert!(agreed > 0);
}

#[test]
fn initial_memory_is_what_segments_say() {
    for seed in 0..DATA_SEEDS {
        testkit::data::check(seed).unwrap_or_else(|error| panic!("{error:#}"));
    }
}

/// `cargo xtask fuzz --what adapters` is the open-ended run.
#[test]
fn linked_modules_agree_with_modules_instantiated_one_by_one() {
    let calls: usize =
        (0..SEEDS / 2).map(|seed| agreed(seed).unwrap_or_else(|error| panic!("{error:#}"))).sum();
    assert!(calls > 3 * SEEDS as usize, "{calls} calls were compared");
}

/// Programs with a C stack, with and without violations.
#[test]
fn stacks_agree_with_the_reference_engine() {
    for seed in 0..24 {
        testkit::stacks::check(seed).unwrap_or_else(|error| panic!("{error:#}"));
    }
}

/// The same with the machine's stack in linear memory.
#[test]
fn stacks_in_memory_agree_with_the_reference_engine() {
    let is_in_memory =
        |seed| testkit::stacks::check_in_memory(seed).unwrap_or_else(|error| panic!("{error:#}"));
    let count = (0..40).filter(|&seed| is_in_memory(seed)).count();
    assert!(count >= 3, "{count} programs have their stack in linear memory");
}

#[test]
fn near_helpers_keep_their_meaning() {
    let mut valid = 0;
    for seed in 0..HELPER_SEEDS {
        valid += u64::from(helpers::case(Rng::new(seed)).is_ok_and(|case| case.is_some()));
        helpers::check(seed).unwrap_or_else(|error| panic!("{error:#}"));
    }
    assert!(valid > HELPER_SEEDS / 2, "most seeds must be modules, {valid} were");
}
