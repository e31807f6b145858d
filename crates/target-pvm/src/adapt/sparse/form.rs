//! Forms of copied initial data: stores of constants, a loop per run, one loop over a table, or packed runs.

use ssa::Segment;

use super::pack::{MARGIN, Packed, pack};
use super::pieces::{end, join};
use crate::Goal;

/// The combinations that are tried: minimum number of zeros between two pieces, and bytes that one iteration of a copy
/// loop moves (the unit). A copy writes less than a unit of zeros beyond its piece, so a unit is at most the distance.
const TRIED: [(u32, &[u32]); 2] = [(MIN_DISTANCE, &[8, 32]), (256, &[8, 32])];
/// The smallest minimum number of zeros between two pieces that is tried.
pub const MIN_DISTANCE: u32 = 32;
/// Maximum number of stores of constants.
const MAX_STORES: usize = 128;

/// Bytes of the instruction that stores four constant bytes.
const STORE_BYTES: usize = 11;
/// Bytes of a record of the table before its data.
const RECORD_BYTES: usize = 8;
/// Gas for each record of the table outside of the inner loop.
const RECORD_GAS: usize = 25;

/// Minimum number of zeros between two packed runs.
const PACKED_DISTANCE: u32 = 64;
/// Bytes of code that unpacks.
const UNPACK_BYTES: usize = 120;
/// Gas for each token of packed runs outside of its loops.
const TOKEN_GAS: usize = 45;
/// Bytes that a word's store moves.
const WORD: u32 = 8;

/// Bytes of code of a loop, here and below with the bit mask of its instructions.
const fn loop_bytes(unit: u32) -> usize {
    12 + unit as usize * 5 / 4
}

/// Bytes of code of the loops for a table.
const fn table_bytes(unit: u32) -> usize {
    56 + unit as usize * 3 / 2
}

/// Gas of stores: four at a time take 25 cycles.
const fn store_gas(stores: usize) -> usize {
    stores * 25 / 4
}

/// Gas of an iteration: a load and then a store of 25 cycles, up to four of them at a time.
const fn iteration_gas(unit: u32) -> usize {
    49 + unit as usize / 8
}

/// A store of a constant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word {
    /// Wasm address.
    pub offset: u32,
    /// Bytes stored: 1, 4 or 8.
    pub bytes: u32,
    /// The stored value, sign-extended.
    pub value: i32,
}

/// The pieces that become stores of constants, provided there are at most [`MAX_STORES`] stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stores {
    Never,
    /// Pieces whose stores are smaller than a record of a table.
    WhereSmaller,
    Always,
}

/// Code that copies runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Loops {
    /// A loop for each.
    Each,
    /// One loop over a table of address, length and bytes of all of them.
    Table,
    /// Code that unpacks them.
    Unpack(Packed),
}

/// Initial data in the form in which it is stored in a program. It writes the data and zeros around it, all inside of
/// memory and independent of order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Form {
    /// Data that is part of the code.
    pub stores: Vec<Word>,
    /// Data that is copied, in whole units.
    pub runs: Vec<Segment>,
    /// How runs are copied.
    pub loops: Loops,
    /// Bytes of a unit.
    pub unit: u32,
}

impl Form {
    /// The cheapest form for pieces at least [`MIN_DISTANCE`] apart, in memory between the two `bounds`. `None` if
    /// memory is too small for copies in units.
    pub fn cheapest(pieces: &[Segment], bounds: (u32, u64), goal: Goal) -> Option<Self> {
        let mut best: Option<(u64, Self)> = None;
        for (distance, units) in TRIED {
            let pieces = join(pieces, distance);
            for &unit in units {
                for stores in [Stores::Never, Stores::WhereSmaller, Stores::Always] {
                    let form = Self::new(&pieces, bounds, unit, stores);
                    let Some((price, form)) = form.map(|form| form.with_loops(goal)) else { continue };
                    if best.as_ref().is_none_or(|(least, _)| price < *least) {
                        best = Some((price, form));
                    }
                }
            }
        }
        let packed = (goal == Goal::Size).then(|| Self::packed(pieces, bounds.1)).flatten();
        let packed =
            packed.filter(|form| best.as_ref().is_none_or(|(least, _)| form.weighted(goal) < *least));
        packed.or(best.map(|(_, form)| form))
    }

    /// The form with the cheaper kind of loops over bytes as they are, after its price.
    fn with_loops(mut self, goal: Goal) -> (u64, Self) {
        let [each, table] = [Loops::Each, Loops::Table].map(|loops| {
            self.loops = loops;
            self.weighted(goal)
        });
        if each <= table {
            self.loops = Loops::Each;
        }
        (each.min(table), self)
    }

    /// The form with packed runs; `None` if memory ends right after the last one.
    fn packed(pieces: &[Segment], high: u64) -> Option<Self> {
        let runs = join(pieces, PACKED_DISTANCE);
        let fits = runs.last().is_some_and(|last| end(last) + MARGIN <= high);
        let loops = fits.then(|| Loops::Unpack(pack(&runs)))?;
        Some(Self { stores: Vec::new(), runs, loops, unit: WORD })
    }

    /// Bytes of the program and gas of a start, in sixty-fourths of a byte.
    pub fn weighted(&self, goal: Goal) -> u64 {
        let (bytes, gas) = self.price();
        bytes as u64 * 64 + gas as u64 * gas_weight(goal)
    }

    /// The form with one loop per run; `None` if a run does not fit into memory.
    fn new(pieces: &[Segment], bounds: (u32, u64), unit: u32, stores: Stores) -> Option<Self> {
        let mut form = Self { stores: Vec::new(), runs: Vec::new(), loops: Loops::Each, unit };
        for piece in pieces {
            let most = match stores {
                Stores::Never => 0,
                Stores::WhereSmaller => {
                    (RECORD_BYTES + piece.bytes.len().next_multiple_of(unit as usize)) / STORE_BYTES
                }
                Stores::Always => MAX_STORES,
            };
            let most = most.min(MAX_STORES - form.stores.len());
            let words: Vec<Word> = Words { piece, high: bounds.1, at: 0 }.take(most + 1).collect();
            if words.len() <= most {
                form.stores.extend(words);
            } else {
                form.runs.push(piece.clone());
            }
        }
        let fits = form.runs.iter_mut().all(|run| to_units(run, bounds, unit));
        fits.then_some(form)
    }

    /// The form's size in bytes, and its gas at a start.
    pub fn price(&self) -> (usize, usize) {
        let runs = self.runs.len();
        let copied: usize = self.runs.iter().map(|run| run.bytes.len()).sum();
        let (code, around) = match &self.loops {
            Loops::Each => (runs * loop_bytes(self.unit), 2),
            Loops::Table => (table_bytes(self.unit) + runs * RECORD_BYTES, RECORD_GAS),
            Loops::Unpack(Packed { table, tokens, moves, .. }) => {
                let gas = runs * RECORD_GAS + tokens * TOKEN_GAS + moves * iteration_gas(WORD);
                return (UNPACK_BYTES + table.len(), gas);
            }
        };
        let bytes = self.stores.len() * STORE_BYTES + code + copied;
        let gas = store_gas(self.stores.len())
            + runs * around
            + copied / self.unit as usize * iteration_gas(self.unit);
        (bytes, gas)
    }
}

/// The value of one gas at the start, in sixty-fourths of a byte.
pub const fn gas_weight(goal: Goal) -> u64 {
    match goal {
        Goal::Speed => 32,
        Goal::Balance => 16,
        Goal::Size => 1,
    }
}

/// Extends a run with zeros to whole units, inside of memory: after its data, but before it for the run at the end of
/// memory.
fn to_units(run: &mut Segment, (low, high): (u32, u64), unit: u32) -> bool {
    run.bytes.resize(run.bytes.len().next_multiple_of(unit as usize), 0);
    let beyond = end(run).saturating_sub(high) as u32;
    if run.offset - low < beyond {
        return false;
    }
    run.offset -= beyond;
    run.bytes.rotate_right(beyond as usize);
    true
}

/// The stores that write a piece, without its zeros.
struct Words<'a> {
    piece: &'a Segment,
    /// The end of memory.
    high: u64,
    at: usize,
}

impl Iterator for Words<'_> {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        let bytes = &self.piece.bytes;
        let at = self.at + bytes[self.at..].iter().position(|&byte| byte != 0)?;
        let byte = |n: usize| bytes.get(at + n).copied().unwrap_or(0);
        let room = self.high - u64::from(self.piece.offset) - at as u64;
        let low = i32::from_le_bytes([0, 1, 2, 3].map(byte));
        let high = i32::from_le_bytes([4, 5, 6, 7].map(byte));
        let (bytes_stored, value) = match (low, high) {
            _ if room < 4 => (1, i32::from(byte(0) as i8)),
            (..0, -1) if room >= 8 => (8, low),
            _ => (4, low),
        };
        self.at = (at + bytes_stored as usize).min(bytes.len());
        Some(Word { offset: self.piece.offset + at as u32, bytes: bytes_stored, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(offset: u32, len: usize) -> Segment {
        Segment { offset, bytes: (0..len).map(|n| 1 + (n % 250) as u8).collect() }
    }

    fn cheapest(pieces: &[Segment], bounds: (u32, u64), goal: Goal) -> Form {
        Form::cheapest(pieces, bounds, goal).expect("fits")
    }

    #[test]
    fn few_bytes_are_stored_and_many_pieces_share_a_loop() {
        let tiny: Vec<Segment> = (0..60).map(|n| piece((1 << 20) + n * 40, 4)).collect();
        let form = cheapest(&tiny, (0, 2 << 20), Goal::Speed);
        assert_eq!((form.stores.len(), form.runs.len()), (60, 0));
        let form = cheapest(&[piece(1 << 20, 1000)], (0, 2 << 20), Goal::Speed);
        assert_eq!((form.runs.len(), form.loops, form.unit), (1, Loops::Each, 32));
        for distance in [60, 400] {
            let many: Vec<Segment> = (0..500).map(|n| piece((1 << 20) + n * (20 + distance), 20)).collect();
            let form = cheapest(&many, (0, 2 << 20), Goal::Balance);
            assert_eq!((form.runs.len(), form.loops), (500, Loops::Table));
        }
    }

    /// Memory after the stores and copies of a form, in either order. Writes outside of the bounds panic.
    fn image(form: &Form, (low, high): (u32, u64), is_reversed: bool) -> Vec<u8> {
        let word =
            |word: &Word| (word.offset, i64::from(word.value).to_le_bytes()[..word.bytes as usize].to_vec());
        let runs = form.runs.iter().map(|run| (run.offset, run.bytes.clone()));
        let mut writes: Vec<_> = form.stores.iter().map(word).chain(runs).collect();
        if is_reversed {
            writes.reverse();
        }
        let mut image = vec![0; (high - u64::from(low)) as usize];
        for (at, bytes) in writes {
            let at = (at - low) as usize;
            image[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        image
    }

    #[test]
    fn copies_stay_inside_and_leave_neighbours_alone() {
        for (size, gap, stores) in
            [(100, 32, Stores::Never), (61, 33, Stores::WhereSmaller), (40, 256, Stores::Always)]
        {
            let bounds = (7, 7 + 2 * u64::from(size) + u64::from(gap));
            let pieces = [piece(7, size as usize), piece(7 + size + gap, size as usize)];
            let mut expected = vec![0; (bounds.1 - 7) as usize];
            for piece in &pieces {
                let at = (piece.offset - 7) as usize;
                expected[at..at + piece.bytes.len()].copy_from_slice(&piece.bytes);
            }
            for unit in [8, 32] {
                let form = Form::new(&pieces, bounds, unit, stores).expect("fits");
                assert!(form.runs.iter().all(|run| run.bytes.len().is_multiple_of(unit as usize)));
                assert_eq!(image(&form, bounds, false), expected);
                assert_eq!(image(&form, bounds, true), expected);
            }
        }
    }

    #[test]
    fn memory_smaller_than_a_unit_gets_stores_or_nothing() {
        let form = cheapest(&[piece(3, 2)], (0, 5), Goal::Speed);
        assert_eq!(form.stores, [(3, 1), (4, 2)].map(|(offset, value)| Word { offset, bytes: 1, value }));
        assert_eq!(form.runs, []);
        assert_eq!(Form::new(&[piece(3, 2)], (0, 5), 8, Stores::Never), None);
    }

    #[test]
    fn words_are_the_widest_that_fit() {
        let bytes = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 9, 0, 0, 0, 0, 0x80].to_vec();
        let words = Words { piece: &Segment { offset: 100, bytes }, high: 117, at: 0 };
        let found: Vec<_> = words.map(|word| (word.offset, word.bytes, word.value)).collect();
        assert_eq!(found, [(100, 8, -2), (110, 4, 9), (115, 1, -128)]);
    }
}
