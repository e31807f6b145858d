//! Every float routine against the floating-point unit of this machine.
//!
//! `FLOAT_SETS` and `FLOAT_SEED` choose the number of operands per routine, and others.

use random::Rng;
use runtime::testing::{self, BINARY, Cases};

/// The cases of a test, the same in every run with the same `FLOAT_SEED`.
fn cases(test: u64) -> Cases {
    let seed: u64 = variable("FLOAT_SEED", 0);
    Cases::new(Rng::new(seed.wrapping_mul(16) + test))
}

/// Sets of operands per routine and format.
fn sets() -> usize {
    variable("FLOAT_SETS", 200_000)
}

fn variable<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn check(test: u64, check: fn(&mut Cases)) {
    let mut cases = cases(test);
    (0..sets()).for_each(|_| check(&mut cases));
}

#[test]
fn arithmetic_is_that_of_the_host() {
    let mut cases = cases(1);
    for operation in BINARY {
        let quick: usize = (0..sets()).map(|_| testing::binary(operation, &mut cases)).sum();
        assert!(quick > sets() / 2, "{}: only {quick} results were quick", operation.0);
    }
}

#[test]
fn square_roots_are_those_of_the_host() {
    check(2, testing::square_roots);
}

#[test]
fn comparisons_are_those_of_the_host() {
    check(3, testing::comparisons);
}

#[test]
fn roundings_are_those_of_the_host() {
    check(4, testing::roundings);
}

#[test]
fn conversions_from_integers_are_those_of_the_host() {
    check(5, testing::from_integers);
}

#[test]
fn conversions_to_integers_are_those_of_the_host() {
    check(6, testing::to_integers);
}

#[test]
fn conversions_between_formats_are_those_of_the_host() {
    check(7, testing::between_formats);
}
