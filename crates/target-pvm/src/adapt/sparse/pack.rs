//! Packed initial data: runs in which a reference to earlier bytes takes the place of bytes that occur again.
//!
//! A packed run consists of tokens. A token is a head of [`HEAD`] bytes, then literal bytes. The head has three numbers:
//! how many literal bytes follow, how many bytes to copy after them from memory written before, and how far before. The
//! widths of the numbers ([`Fields`]) are constants of the program that unpacks, so the best of a few are chosen.
//!
//! The program moves eight bytes at once, at least once for each of the two parts of a token, and so writes up to eight
//! bytes beyond a part. The next part overwrites them, and after the last one of a run eight zeros are written. This
//! needs two things. A reference is at least eight bytes back, so that what it reads has been written. And
//! after a run there are [`MARGIN`] bytes of memory that are zero.
//!
//! The tokens of a run are the smallest for the references found: the price of the rest of the run is computed from its
//! end. References are found by a hash of three bytes, with at most [`DEPTH`] attempts for each byte, so the work is
//! linear in the data.

use ssa::Segment;

use super::pieces::end;

/// Bytes of a token before its literals.
pub const HEAD: u32 = 3;
/// Bytes after a run that must be zero and in memory.
pub const MARGIN: u64 = 16;
/// Least distance of a reference.
const NEAREST: usize = 8;
/// Least length of a reference.
const SHORTEST: usize = 3;
/// Maximum number of places that are compared for a reference.
const DEPTH: usize = 32;
const HASH_BITS: u32 = 15;

/// Widths in bits of the numbers in a head, from the lowest bits on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fields {
    /// The number of literals.
    pub literals: u32,
    /// The number of bytes copied.
    pub copied: u32,
    /// The distance.
    pub distance: u32,
}

/// The widths that are tried. They add up to the bits of a head.
const TRIED: [Fields; 3] = [
    Fields { literals: 4, copied: 5, distance: 15 },
    Fields { literals: 5, copied: 6, distance: 13 },
    Fields { literals: 3, copied: 5, distance: 16 },
];

/// The largest number of some width.
pub const fn most(width: u32) -> usize {
    (1 << width) - 1
}

/// Packed runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packed {
    /// Widths in heads.
    pub fields: Fields,
    /// Each run with its address and length, followed by its tokens.
    pub table: Vec<u8>,
    /// Number of tokens.
    pub tokens: usize,
    /// Number of times that eight bytes are moved.
    pub moves: usize,
}

/// The smallest packed form of runs, which are ascending and at least [`MARGIN`] bytes apart.
pub fn pack(runs: &[Segment]) -> Packed {
    let packed = TRIED.map(|fields| pack_as(runs, fields));
    packed.into_iter().min_by_key(|packed| packed.table.len()).expect("there are widths to try")
}

fn pack_as(runs: &[Segment], fields: Fields) -> Packed {
    let mut history = History::new(runs, fields);
    let mut packed = Packed { fields, table: Vec::new(), tokens: 0, moves: 0 };
    for run in runs {
        packed.table.extend_from_slice(&run.offset.to_le_bytes());
        packed.table.extend_from_slice(&(run.bytes.len() as u32).to_le_bytes());
        let references = history.references(run, fields);
        packed.push_tokens(&run.bytes, &references);
    }
    packed
}

impl Packed {
    /// Appends the tokens of a run. `references` has the longest reference for each of its bytes.
    fn push_tokens(&mut self, bytes: &[u8], references: &[Reference]) {
        let copies = cheapest(references, self.fields);
        let mut at = 0;
        while at < bytes.len() {
            let Token { literals, copied } = copies[at];
            let source = at + literals;
            let distance = if copied > 0 { references[source].distance } else { 0 };
            let Fields { literals: low, copied: middle, .. } = self.fields;
            let head = literals | copied << low | distance << (low + middle);
            self.table.extend_from_slice(&(head as u32).to_le_bytes()[..HEAD as usize]);
            self.table.extend_from_slice(&bytes[at..source]);
            self.tokens += 1;
            self.moves += literals.max(1).div_ceil(8) + copied.max(1).div_ceil(8);
            at = source + copied;
        }
    }
}

/// The longest copy of the bytes at a place, or of none.
#[derive(Clone, Copy, Default)]
struct Reference {
    len: usize,
    distance: usize,
}

#[derive(Clone, Copy, Default)]
struct Token {
    literals: usize,
    copied: usize,
}

/// For each byte of a run, the first token of the smallest form of the rest.
fn cheapest(references: &[Reference], fields: Fields) -> Vec<Token> {
    let len = references.len();
    // The size of the rest from a byte on, if a token begins there, and if the last one ends with literals before it.
    let mut sizes = vec![0u32; len + 1];
    let mut after_literals = vec![(0u32, 0); len + 1];
    let mut tokens = vec![Token::default(); len];
    for at in (0..len).rev() {
        let copied = (1..=references[at].len).map(|copied| (sizes[at + copied], copied)).min();
        after_literals[at] = copied.unwrap_or((u32::MAX, 0));
        let most = most(fields.literals).min(len - at);
        let sized = (0..=most).filter_map(|literals| {
            let (size, copied) = after_literals[at + literals];
            (size < u32::MAX).then_some((size + literals as u32, literals, copied))
        });
        let (size, literals, copied) = sized.min().expect("a literal is possible");
        sizes[at] = size + HEAD;
        tokens[at] = Token { literals, copied };
        if sizes[at] < after_literals[at].0 {
            after_literals[at] = (sizes[at], 0);
        }
    }
    tokens
}

/// The bytes of all runs one after the other, and the places of those that may be referred to.
struct History {
    bytes: Vec<u8>,
    /// The address of each byte.
    addresses: Vec<u32>,
    /// End of each byte's run.
    ends: Vec<usize>,
    /// The number of bytes whose references are known.
    done: usize,
    /// The last place with a hash, and the place before each with the same hash.
    last: Vec<usize>,
    before: Vec<usize>,
    most_copied: usize,
}

const NOWHERE: usize = usize::MAX;

impl History {
    fn new(runs: &[Segment], fields: Fields) -> Self {
        let bytes: Vec<u8> = runs.iter().flat_map(|run| run.bytes.iter().copied()).collect();
        let addresses = runs.iter().flat_map(|run| run.offset..end(run) as u32).collect();
        let mut ends = Vec::with_capacity(bytes.len());
        runs.iter().for_each(|run| ends.resize(ends.len() + run.bytes.len(), ends.len() + run.bytes.len()));
        let (last, before) = (vec![NOWHERE; 1 << HASH_BITS], vec![NOWHERE; bytes.len()]);
        Self { bytes, addresses, ends, done: 0, last, before, most_copied: most(fields.copied) }
    }

    /// The longest reference for each byte of the next run.
    fn references(&mut self, run: &Segment, fields: Fields) -> Vec<Reference> {
        let start = self.done;
        self.done += run.bytes.len();
        (start..self.done)
            .map(|at| {
                if let Some(near) = at.checked_sub(NEAREST) {
                    self.enter(near);
                }
                self.longest(at, most(fields.distance) as u32)
            })
            .collect()
    }

    fn hash(&self, at: usize) -> Option<usize> {
        let [a, b, c] = *self.bytes.get(at..at + SHORTEST)?.first_chunk()?;
        Some((u32::from_le_bytes([a, b, c, 0]).wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize)
    }

    fn enter(&mut self, at: usize) {
        if let Some(hash) = self.hash(at) {
            self.before[at] = std::mem::replace(&mut self.last[hash], at);
        }
    }

    fn longest(&self, at: usize, window: u32) -> Reference {
        let mut best = Reference { len: SHORTEST - 1, distance: 0 };
        let Some(hash) = self.hash(at) else { return Reference::default() };
        let mut place = self.last[hash];
        for _ in 0..DEPTH {
            if place == NOWHERE || self.addresses[at] - self.addresses[place] > window {
                break;
            }
            let most = self.most_copied.min(self.ends[at] - at).min(self.ends[place] - place);
            let pairs = self.bytes[at..at + most].iter().zip(&self.bytes[place..]);
            let len = pairs.take_while(|(a, b)| a == b).count();
            if len > best.len {
                best = Reference { len, distance: (self.addresses[at] - self.addresses[place]) as usize };
            }
            if len == self.most_copied {
                break;
            }
            place = self.before[place];
        }
        if best.distance == 0 { Reference::default() } else { best }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the program that unpacks does, in the same steps.
    fn unpack(packed: &Packed, memory: &mut [u8]) {
        let table = [&packed.table[..], &[0xee; 8]].concat();
        let word = |at: usize| u32::from_le_bytes(*table[at..].first_chunk().expect("inside")) as usize;
        let Fields { literals, copied, distance } = packed.fields;
        let mut from = 0;
        while from < packed.table.len() {
            let (mut to, len) = (word(from), word(from + 4));
            let last = to + len;
            from += 8;
            while to < last {
                let head = word(from);
                from += HEAD as usize;
                let step =
                    |memory: &mut [u8], to: usize, bytes: [u8; 8]| memory[to..to + 8].copy_from_slice(&bytes);
                let count = head & most(literals);
                for at in (0..count.max(1)).step_by(8) {
                    step(memory, to + at, *table[from + at..].first_chunk().expect("inside"));
                }
                (from, to) = (from + count, to + count);
                let count = head >> literals & most(copied);
                let back = head >> (literals + copied) & most(distance);
                for at in (0..count.max(1)).step_by(8) {
                    let bytes = *memory[to - back + at..].first_chunk().expect("inside");
                    step(memory, to + at, bytes);
                }
                to += count;
            }
            memory[to..to + 8].fill(0);
        }
    }

    #[test]
    fn unpacked_bytes_are_those_that_were_packed() {
        let mut random = random::Rng::new(7);
        for round in 0..200 {
            let (mut runs, mut at) = (Vec::new(), random.below(100) as u32);
            for _ in 0..=random.below(4) {
                let letters = 1 + random.below(6);
                let len = 1 + random.below(if round < 150 { 60 } else { 4000 });
                let mut bytes: Vec<u8> = (0..len).map(|_| random.below(letters) as u8).collect();
                bytes[0] = 9;
                runs.push(Segment { offset: at, bytes });
                at += len as u32
                    + MARGIN as u32
                    + random.below(if round % 9 == 0 { 70_000 } else { 50 }) as u32;
            }
            let mut expected = vec![0; at as usize];
            for run in &runs {
                expected[run.offset as usize..end(run) as usize].copy_from_slice(&run.bytes);
            }
            for fields in TRIED {
                assert_eq!(fields.literals + fields.copied + fields.distance, 8 * HEAD);
                let mut memory = vec![0; at as usize];
                unpack(&pack_as(&runs, fields), &mut memory);
                assert!(memory == expected, "round {round}, {fields:?}");
            }
        }
    }

    #[test]
    fn repetition_takes_few_bytes() {
        let text = b"The quick brown fox jumps over the lazy dog. ".repeat(40);
        let packed = pack(&[Segment { offset: 1024, bytes: text }]);
        assert!(packed.table.len() < 45 + 8 + 8 + 40 * 6, "{}", packed.table.len());
    }
}
