//! Random numbers for the tests and generators of all crates.
//!
//! One generator, SplitMix64, without dependencies. A seed gives the same sequence on every machine, so the seed in the
//! message of a failed test reproduces the failure.

/// A random number generator.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The generator for a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub const fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// Whether an event happens that has a probability of 1 in `n`.
    pub const fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Whether an event happens that has a probability of `percent` %.
    pub const fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `items`, which are not empty.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.bits() as u8).collect()
    }

    /// An integer that is likely to be an edge case: small, near a power of two, or of random magnitude.
    pub fn interesting(&mut self) -> i64 {
        let shift = self.below(64);
        match self.below(6) {
            0 => self.below(17) as i64 - 8,
            1 => 1i64 << shift,
            2 => (1i64 << shift).wrapping_sub(1),
            3 => (1i64 << shift).wrapping_neg(),
            4 => (self.bits() as i64) >> shift,
            _ => self.bits() as i64,
        }
    }

    /// A float that is likely to be an edge case.
    pub fn interesting_float(&mut self) -> f64 {
        const EDGES: [f64; 12] = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.5,
            -1.5,
            2.5,
            2147483648.0,
            -9223372036854775808.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ];
        match self.below(3) {
            0 => self.pick(&EDGES),
            1 => self.interesting() as f64,
            _ => (self.below(2001) as f64 - 1000.0) / 8.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn a_seed_gives_the_published_sequence() {
        // The first outputs of SplitMix64 for the seed 1234567.
        let mut rng = Rng::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([rng.bits(), rng.bits(), rng.bits()], expected);
    }
}
