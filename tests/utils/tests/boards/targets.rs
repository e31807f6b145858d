//! The target of fuzzers on boards, on a few inputs. `scripts/fuzz.sh` goes on.

use testkit::targets::by_name;

/// Every second seed is checked; there are four per kind.
const STRIDE: usize = 2;

#[test]
fn programs_agree() {
    let target = by_name("diff-thumb").expect("a target");
    let seeds = (target.seeds)().expect("seeds");
    assert!(!seeds.is_empty());
    for (n, seed) in seeds.iter().enumerate().step_by(STRIDE) {
        (target.check)(seed).unwrap_or_else(|finding| panic!("input {n}, {seed:02x?}: {finding:#}"));
    }
}
