//! The target of fuzzers on boards, on a few inputs. `scripts/fuzz.sh` goes on.

use testkit::targets::by_name;

/// Seeds that are checked; there are four per kind.
const INPUTS: usize = 28;

#[test]
fn programs_agree() {
    let target = by_name("diff-thumb").expect("a target");
    let seeds = (target.seeds)().expect("seeds");
    assert!(seeds.len() >= INPUTS);
    for (n, seed) in seeds.iter().take(INPUTS).enumerate() {
        (target.check)(seed).unwrap_or_else(|finding| panic!("input {n}, {seed:02x?}: {finding:#}"));
    }
}
