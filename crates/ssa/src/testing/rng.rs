//! A small deterministic random number generator (SplitMix64): tests need no dependency, and a seed gives the same
//! sequence everywhere.

/// A random number generator.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The generator for a seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub const fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// True once in `n`.
    pub const fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of `items`, which are not empty.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// An integer that is likely to be an edge case of something.
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

    /// A float, as the bits of a double, that is likely to be an edge case of something.
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
