//! Tests of the allocator on random and hand-written functions of the toy machine.

mod parallel_moves;
mod shapes;

use random::Rng;

use crate::mir::{Function, Isa, PReg};
use crate::regalloc::linear::LinearFunction;
use crate::regalloc::{allocate, linear_scan};
use crate::toy::{BLOCKS, Shape, Toy, check_allocation, random_function, run_virtual};

/// Allocates the random function of a seed (which runs the checker) and compares executions.
fn check(toy: &Toy, shape: Shape, seed: u64) -> Function<Toy, PReg> {
    let func = random_function(toy, shape, Rng::new(seed));
    let expected = run_virtual(&func, BLOCKS);
    let text = func.to_string();
    let result = allocate(toy, func);
    check_allocation(toy, &result, &expected).unwrap_or_else(|error| panic!("seed {seed}\n{text}\n{error}"));
    result
}

fn machines() -> [Toy; 5] {
    [Toy::new(5, 1, 2), Toy::new(4, 0, 0), Toy::new(8, 3, 4), Toy::new(6, 6, 3), Toy::new(13, 2, 0)]
}

/// Random functions of all sizes up to a few dozen blocks, for each machine in turn.
fn check_many(machines: &[Toy], seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let n = seed as usize;
        let blocks = if n.is_multiple_of(40) { 30 } else { 1 + n / 5 % 6 };
        let shape = Shape { blocks, insts: 2 + n % 9, calls: 5 * (n % 4) };
        check(&machines[n % machines.len()], shape, seed);
    }
}

#[test]
fn random_functions_keep_their_meaning() {
    check_many(&machines(), 0..5_000);
}

/// A late definition occupies the register that an operand at both points needs.
#[test]
fn a_late_definition_gives_way_to_an_operand_for_both_points() {
    check_many(&machines(), 1_035_120..1_035_121);
}

#[test]
#[ignore = "a long run for the night: the same with other seeds"]
fn many_random_functions_keep_their_meaning() {
    check_many(&machines(), seeds(1_000_000));
}

/// Machines with the minimum number of registers, in various proportions of kinds.
#[test]
#[ignore = "a long run for the night"]
fn random_functions_fit_tight_machines() {
    let shapes = [(3, 0, 0), (3, 1, 0), (4, 1, 0), (4, 2, 2), (5, 0, 1), (5, 5, 3), (6, 1, 6), (7, 4, 2)];
    let machines = shapes.map(|(ints, saved, floats)| Toy::new(ints, saved, floats));
    check_many(&machines, seeds(2_000_000));
}

/// `REGALLOC_SEEDS` seeds, by default 400000, from the one given or from `REGALLOC_FIRST`.
fn seeds(first: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let first = number("REGALLOC_FIRST").unwrap_or(first);
    first..first + number("REGALLOC_SEEDS").unwrap_or(400_000)
}

#[test]
fn the_result_is_always_the_same() {
    let toy = Toy::new(6, 2, 2);
    let shape = Shape { blocks: 12, insts: 8, calls: 10 };
    for seed in 0..20 {
        assert_eq!(check(&toy, shape, seed).to_string(), check(&toy, shape, seed).to_string());
    }
}

/// The work grows linearly with the function, even if values live through all of it.
#[test]
fn work_grows_with_the_function() {
    let toy = Toy::new(12, 2, 0);
    let work = |blocks: usize| {
        let func = random_function(&toy, Shape { blocks, insts: 8, calls: 10 }, Rng::new(3));
        let linear = LinearFunction::new(&toy, &func);
        let size = linear.numbers() as usize;
        linear_scan::scan(&linear, toy.registers()).work as f64 / size as f64
    };
    let (small, large) = (work(300), work(4_800));
    assert!(large < 3.0 * small, "{small} and {large} per instruction");
}

#[test]
#[ignore = "measures; run with --release"]
fn speed() {
    let toy = Toy::new(12, 2, 4);
    for blocks in [1_000, 10_000, 100_000] {
        let func = random_function(&toy, Shape { blocks, insts: 20, calls: 10 }, Rng::new(1));
        let insts: usize = func.blocks.values().map(|block| block.insts.len()).sum();
        let start = std::time::Instant::now();
        let result = allocate(&toy, func);
        eprintln!(
            "{blocks} blocks, {insts} insts: {:?}, {} slots",
            start.elapsed(),
            result.spill_slots.len()
        );
    }
}
