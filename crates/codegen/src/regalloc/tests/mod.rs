//! Tests of the allocator on random and special functions of the toy machine.

mod parallel_moves;
mod shapes;

use crate::regalloc::allocate;
use crate::target::Target;
use crate::toy::{Shape, Toy, random_function, run_physical, run_virtual};

/// Allocates a random function (which runs the checker) and compares executions.
fn check(toy: &Toy, shape: Shape, seed: u64) {
    let func = random_function(toy, shape, seed);
    let expected = run_virtual(&func, 60);
    let text = func.to_string();
    let result = allocate(toy, func);
    let actual = run_physical(&result, 60);
    assert!(expected == actual, "seed {seed}\n{text}\n{result}\n{expected:?}\n{actual:?}");
    let all = toy.registers().order.iter().flatten().copied().collect();
    assert!(result.written.difference(all).is_empty());
}

#[test]
fn random_functions_keep_their_meaning() {
    let machines = [Toy::new(5, 1, 2), Toy::new(4, 0, 0), Toy::new(8, 3, 4), Toy::new(6, 6, 3)];
    for seed in 0..10_000 {
        let toy = &machines[seed as usize % machines.len()];
        let blocks = 1 + (seed as usize / 4) % 14;
        let shape = Shape { blocks, insts: 2 + seed as usize % 11, calls: 5 + 5 * (seed as usize % 3) };
        check(toy, shape, seed);
    }
}

#[test]
#[ignore = "takes minutes; run with --release --ignored"]
fn speed() {
    let toy = Toy::new(12, 2, 4);
    for blocks in [1_000, 10_000, 100_000] {
        let func = random_function(&toy, Shape { blocks, insts: 20, calls: 10 }, 1);
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
