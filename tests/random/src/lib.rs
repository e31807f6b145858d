//! Random numbers for the tests and generators of all crates.
//!
//! One generator, SplitMix64, without dependencies. A seed gives the same sequence on every machine, so the seed in the
//! message of a failed test reproduces the failure.
//!
//! A generator may have a *tape*: bytes that it draws before any others, as few per number as the bound needs. A fuzzer
//! that changes a byte of the tape changes one decision of a generator of programs, so coverage can steer it. After its
//! end the sequence goes on from a hash of the tape.

/// A random number generator.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
    tape: Vec<u8>,
    /// Position of the next byte of the tape.
    next: usize,
}

impl Rng {
    /// The generator for a seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed, tape: Vec::new(), next: 0 }
    }

    /// The generator with a tape.
    pub fn from_bytes(tape: &[u8]) -> Self {
        // FNV-1a; the generator mixes it further.
        let hash = tape.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { state: hash, tape: tape.to_vec(), next: 0 }
    }

    /// Random bits, at least the low `bytes` (at most 8) bytes of a word. A tape gives no more than that.
    fn draw(&mut self, bytes: usize) -> u64 {
        let left = &self.tape[self.next..];
        if left.is_empty() {
            return self.mixed();
        }
        let drawn = &left[..bytes.min(left.len())];
        self.next += drawn.len();
        drawn.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
    }

    const fn mixed(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.draw(8)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let most = bound as u64 - 1;
        let bytes = (u64::BITS - most.leading_zeros()).div_ceil(8);
        (self.draw(bytes as usize) % bound as u64) as usize
    }

    /// Whether an event happens that has a probability of 1 in `n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Whether an event happens that has a probability of `percent` %.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `items`, which are not empty.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.draw(1) as u8).collect()
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

    #[test]
    fn a_tape_decides_with_as_few_bytes_as_bounds_need() {
        let tape = [3, 0x2c, 0x01, 9, 200, 1, 2, 3, 4, 5, 6, 7, 8, 77];
        let mut rng = Rng::from_bytes(&tape);
        assert_eq!([rng.below(256), rng.below(1), rng.below(257), rng.below(10)], [3, 0, 300 % 257, 9]);
        assert!(rng.chance(1), "200 % 100 is below 1");
        assert_eq!(rng.bits(), 0x0807_0605_0403_0201);
        // The last bits are those that are left; then the sequence of the hash begins.
        assert_eq!(rng.bits(), 77);
        let rest = [rng.bits(), rng.bits()];
        let mut other = Rng::from_bytes(&[&tape[..13], &[78]].concat());
        other.bytes(14);
        assert_ne!([other.bits(), other.bits()], rest, "what follows depends on all of the tape");
    }

    #[test]
    fn an_empty_tape_is_a_seed() {
        let mut rng = Rng::from_bytes(&[]);
        let first: Vec<usize> = (0..100).map(|_| rng.below(7)).collect();
        assert!((0..7).all(|n| first.contains(&n)));
    }
}
