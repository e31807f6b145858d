//! The targets of fuzzers, each on a few inputs: seeds, damaged seeds and random bytes. `scripts/fuzz.sh` goes on.

use random::Rng;
use testkit::targets::by_name;

/// Runs a target on some of its seeds, as they are and damaged, and on as many random inputs.
fn check(name: &str, inputs: usize) {
    let target = by_name(name).expect("a target");
    let seeds = (target.seeds)().expect("seeds");
    let mut random = Rng::new(7);
    for n in 0..inputs {
        // Neighbours are often of the same kind.
        let seed = &seeds[n * 37 % seeds.len()];
        let input = match n % 3 {
            0 => seed.clone(),
            1 => damaged(seed, &mut random),
            _ => {
                let len = 20 + random.below(400);
                random.bytes(len)
            }
        };
        if let Err(finding) = (target.check)(&input) {
            panic!("{name}, input {n}, {input:02x?}: {finding:#}");
        }
    }
}

fn damaged(seed: &[u8], random: &mut Rng) -> Vec<u8> {
    let mut input = seed.to_vec();
    for _ in 0..1 + random.below(4) {
        pvm_isa::testing::damage(&mut input, random);
    }
    input
}

#[test]
fn any_bytes_compile_or_are_refused() {
    check("compile", 60);
}

#[test]
fn programs_agree() {
    check("diff-pvm", 36);
}

#[test]
fn allocations_keep_the_meaning() {
    check("regalloc", 60);
}

#[test]
fn code_and_files_are_read() {
    check("isa", 300);
}

#[test]
fn pipelines_keep_the_meaning() {
    check("llvm", 24);
}

#[test]
fn floats_are_those_of_the_host() {
    check("float", 3000);
}
