//! Branch relaxation: choosing the form of every fixup of the whole program.
//!
//! A short branch is cheaper but reaches less far. Choosing a long form moves all following code, which may put other
//! branches out of reach.
//!
//! We start with every fixup in its shortest form and widen those that miss their target, until none does. A fixup is
//! never narrowed again, even if padding made its target reachable. Forms only grow, so the loop terminates. Where
//! lengths don't depend on addresses the result is the smallest possible: every shorter form missed its target in a
//! program that has only grown since.
//!
//! Each round lays out the whole program in one sweep. There are programs in which every round widens just one fixup.
//! So after [`EXACT_ROUNDS`] rounds we require spare reach, and double it in each round. Once it exceeds the reach of
//! every form but the last, each fixup that still changes gets its last form. So the number of rounds has a constant
//! bound, and the work is linear in the number of fixups.
//!
//! Some formats cut code into [`Blocks`] of bytes that no instruction may cross. An instruction that doesn't fit the rest
//! of a block starts the next one, after padding. Each round places the padding anew, so it can become less when forms
//! become longer. Termination doesn't depend on it.
//!
//! Invariant: addresses exist only in a [`Code`]; before relaxation, places are a byte offset and a number of fixups.

use std::iter::Peekable;
use std::ops::Range;

use ssa::FuncId;

use crate::emit::{Fixup, Fragment, Place, Reference};

/// Rounds in which only fixups that miss their target are widened.
const EXACT_ROUNDS: u32 = 24;

/// Address constraints of the fragments.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    /// Address of the first fragment.
    pub start: i64,
    /// Every fragment starts at a multiple of this many bytes.
    pub align: u32,
    /// Blocks, if instructions must not cross them. Then fragments are aligned to bytes.
    pub blocks: Option<Blocks>,
}

/// Code in blocks of equal size that no instruction crosses.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    /// Bytes of a block. They start at the multiples of this.
    pub bytes: u32,
    /// Whether an instruction with these bytes may be the last one of a block.
    pub may_end: fn(&[u8]) -> bool,
    /// Appends padding of this many bytes, which can be the end of a block.
    pub pad: fn(usize, &mut Vec<u8>),
}

impl Blocks {
    /// Bytes from an address to the end of its block.
    fn room(self, at: i64) -> i64 {
        i64::from(self.bytes) - at.rem_euclid(self.bytes.into())
    }

    /// Padding before an instruction of `len` bytes that could be at address `at`.
    fn padding(self, at: i64, len: u32, may_end: bool) -> u32 {
        let room = self.room(at);
        let needed = i64::from(len) + i64::from(!may_end);
        if needed > room { room as u32 } else { 0 }
    }
}

/// Placed code: the address of every fragment and the form of every fixup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Code {
    start: i64,
    end: i64,
    /// Address of each fragment.
    bases: Vec<i64>,
    /// Index in the two tables below of each fragment's first fixup.
    first: Vec<usize>,
    /// The form of each fixup, fragment by fragment.
    forms: Vec<u8>,
    /// Bytes of the fixups before each fixup in its fragment, with one more entry per fragment: their total.
    grown: Vec<u32>,
    /// For each fragment, the places with padding before them, in order.
    paddings: Vec<Vec<Padding>>,
}

/// Padding in a fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Padding {
    /// The place after it.
    before: Place,
    /// Its bytes.
    bytes: u32,
    /// Bytes of all paddings of the fragment up to it.
    total: u32,
}

/// Chooses the form of every fixup of `fragments`, which are placed one after the other. `index_of` is the position of
/// a function's fragment.
pub fn relax<F: Fixup>(
    fragments: &[Fragment<F>],
    placement: Placement,
    index_of: &dyn Fn(FuncId) -> usize,
) -> Code {
    let mut code = Code::shortest(fragments, placement.start);
    let targets = resolve(fragments, index_of);
    let mut round = 0;
    loop {
        code.assign_addresses(fragments, placement);
        if !code.widen(fragments, &targets, spare_reach(round)) {
            return code;
        }
        round += 1;
    }
}

/// Spare reach required in a round, in bytes.
const fn spare_reach(round: u32) -> i64 {
    match round.checked_sub(EXACT_ROUNDS) {
        None => 0,
        Some(extra) if extra < 40 => 4 << extra,
        Some(_) => 4 << 40,
    }
}

/// The target of a fixup: a place in a fragment.
type Target = Option<(usize, Place)>;

fn resolve<F: Fixup>(fragments: &[Fragment<F>], index_of: &dyn Fn(FuncId) -> usize) -> Vec<Target> {
    let of_fragment = |(index, fragment): (usize, &Fragment<F>)| -> Vec<Target> {
        let resolve = |reference: Reference| match reference {
            Reference::Label(label) => Some((index, fragment.labels[label])),
            Reference::Func(func) => Some((index_of(func), Place { byte: 0, fixups: 0 })),
            Reference::None => None,
        };
        fragment.fixups.iter().map(|site| resolve(site.target)).collect()
    };
    fragments.iter().enumerate().flat_map(of_fragment).collect()
}

impl Code {
    /// Every fixup in its shortest form, addresses unknown.
    fn shortest<F: Fixup>(fragments: &[Fragment<F>], start: i64) -> Self {
        let mut first = Vec::with_capacity(fragments.len());
        let mut fixups = 0;
        for fragment in fragments {
            first.push(fixups);
            fixups += fragment.fixups.len();
        }
        Self {
            start,
            end: start,
            bases: vec![start; fragments.len()],
            first,
            forms: vec![0; fixups],
            grown: vec![0; fixups + fragments.len()],
            paddings: vec![Vec::new(); fragments.len()],
        }
    }

    /// Lays out everything in the current forms.
    fn assign_addresses<F: Fixup>(&mut self, fragments: &[Fragment<F>], placement: Placement) {
        let mut at = placement.start;
        for (index, fragment) in fragments.iter().enumerate() {
            let base = align_up(at, placement.align);
            self.bases[index] = base;
            let mut cursor = Cursor { at: base, paddings: std::mem::take(&mut self.paddings[index]) };
            cursor.paddings.clear();
            let first = self.first[index];
            let (mut grown, mut copied) = (0, 0);
            for (n, site) in fragment.fixups.iter().enumerate() {
                cursor.pass_bytes(fragment, copied..site.at as usize, n, placement.blocks);
                copied = site.at as usize;
                self.grown[first + index + n] = grown;
                let len = site.fixup.len(self.forms[first + n], cursor.at);
                if let Some(blocks) = placement.blocks {
                    let before = Place { byte: site.at, fixups: n as u32 };
                    cursor.pad(before, blocks.padding(cursor.at, len, site.fixup.may_end_block()));
                }
                grown += len;
                cursor.at += i64::from(len);
            }
            let fixups = fragment.fixups.len();
            cursor.pass_bytes(fragment, copied..fragment.bytes.len(), fixups, placement.blocks);
            self.grown[first + index + fixups] = grown;
            at = cursor.at;
            self.paddings[index] = cursor.paddings;
        }
        self.end = at;
    }

    /// Gives every fixup that misses its target the next form that reaches it; returns whether there were any.
    fn widen<F: Fixup>(&mut self, fragments: &[Fragment<F>], targets: &[Target], spare: i64) -> bool {
        let mut widened = false;
        for (index, fragment) in fragments.iter().enumerate() {
            for (n, site) in fragment.fixups.iter().enumerate() {
                let from = self.fixup_address(index, n, site.at);
                let far = match targets[self.first[index] + n].map(|(to, place)| self.address(to, place)) {
                    Some(to) if to < from => to - spare,
                    Some(to) => to + spare,
                    None => from,
                };
                let form = &mut self.forms[self.first[index] + n];
                while *form + 1 < site.fixup.forms() && !site.fixup.reaches(*form, from, far) {
                    *form += 1;
                    widened = true;
                }
            }
        }
        widened
    }

    fn fixup_address(&self, fragment: usize, index: usize, at: u32) -> i64 {
        self.address(fragment, Place { byte: at, fixups: index as u32 })
    }

    /// Address of a fragment.
    pub fn base(&self, fragment: usize) -> i64 {
        self.bases[fragment]
    }

    /// Address of a place, after its padding.
    pub fn address(&self, fragment: usize, place: Place) -> i64 {
        let grown = self.grown[self.first[fragment] + fragment + place.fixups as usize];
        let paddings = &self.paddings[fragment];
        let before = paddings.partition_point(|padding| padding.before <= place);
        let padded = before.checked_sub(1).map_or(0, |last| paddings[last].total);
        self.bases[fragment] + i64::from(place.byte) + i64::from(grown) + i64::from(padded)
    }

    /// The form of a fixup.
    pub fn form(&self, fragment: usize, fixup: usize) -> u8 {
        self.forms[self.first[fragment] + fixup]
    }

    /// Bytes of the whole code.
    pub const fn size(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// The bytes, and for each byte whether an instruction starts there. Padding before fragments is zeros. No
    /// instruction counts as started in padding. Takes the same arguments as [`relax`]. Panics if a fixup violates its
    /// contract on length and reach.
    pub fn flatten<F: Fixup>(
        &self,
        fragments: &[Fragment<F>],
        placement: Placement,
        index_of: &dyn Fn(FuncId) -> usize,
    ) -> (Vec<u8>, Vec<bool>) {
        let targets = resolve(fragments, index_of);
        let (bytes, starts) = (Vec::with_capacity(self.size()), Vec::with_capacity(self.size()));
        let mut flat = Flat { bytes, starts, blocks: placement.blocks };
        for (index, fragment) in fragments.iter().enumerate() {
            flat.bytes.resize((self.bases[index] - self.start) as usize, 0);
            flat.end_instruction();
            self.flatten_fragment(index, fragment, &targets, &mut flat);
        }
        assert_eq!(flat.bytes.len(), self.size(), "the code has the promised size");
        (flat.bytes, flat.starts)
    }

    fn flatten_fragment<F: Fixup>(
        &self,
        index: usize,
        fragment: &Fragment<F>,
        targets: &[Target],
        flat: &mut Flat,
    ) {
        let mut paddings = self.paddings[index].iter().peekable();
        let mut copied = 0;
        for (n, site) in fragment.fixups.iter().enumerate() {
            flat.copy(fragment, copied..site.at as usize, n, &mut paddings);
            copied = site.at as usize;
            let from = self.fixup_address(index, n, site.at);
            let to =
                targets[self.first[index] + n].map_or(from, |(target, place)| self.address(target, place));
            let form = self.form(index, n);
            assert!(
                site.fixup.reaches(form, from, to),
                "{:?} in form {form} reaches from {from} to {to}",
                site.fixup
            );
            let before = flat.bytes.len();
            assert_eq!(before as i64 + self.start, from, "addresses are those that were promised");
            site.fixup.encode(form, from, to, &mut flat.bytes);
            let len = site.fixup.len(form, from);
            assert_eq!(flat.bytes.len() - before, len as usize, "{:?} has its promised length", site.fixup);
            flat.end_instruction();
            if len > 0 {
                flat.starts[before] = true;
            }
        }
        flat.copy(fragment, copied..fragment.bytes.len(), fragment.fixups.len(), &mut paddings);
    }
}

/// An address in a fragment that is laid out.
struct Cursor {
    at: i64,
    paddings: Vec<Padding>,
}

impl Cursor {
    /// Adds padding, if it has bytes.
    fn pad(&mut self, before: Place, bytes: u32) {
        if bytes > 0 {
            let total = bytes + self.paddings.last().map_or(0, |last| last.total);
            self.paddings.push(Padding { before, bytes, total });
            self.at += i64::from(bytes);
        }
    }

    /// Passes the bytes `range`, which are after so many fixups.
    fn pass_bytes<F>(
        &mut self,
        fragment: &Fragment<F>,
        mut range: Range<usize>,
        fixups: usize,
        blocks: Option<Blocks>,
    ) {
        while let Some(blocks) = blocks {
            let room = blocks.room(self.at) as usize;
            if range.len() < room {
                break;
            }
            let end = range.start + room;
            let starts_at = |at: usize| at == range.end || fragment.starts[at];
            let start_before = |at: usize| (range.start..at).rev().find(|&at| fragment.starts[at]);
            let mut cut = (range.start..=end).rev().find(|&at| starts_at(at)).unwrap_or(range.start);
            if cut == end
                && let Some(last) = start_before(end)
                && !(blocks.may_end)(&fragment.bytes[last..end])
            {
                cut = last;
            }
            self.at += (cut - range.start) as i64;
            self.pad(Place { byte: cut as u32, fixups: fixups as u32 }, (end - cut) as u32);
            range.start = cut;
        }
        self.at += range.len() as i64;
    }
}

/// Bytes under construction, and for each whether an instruction starts there.
struct Flat {
    bytes: Vec<u8>,
    starts: Vec<bool>,
    blocks: Option<Blocks>,
}

impl Flat {
    /// No instruction starts in the bytes since the last call.
    fn end_instruction(&mut self) {
        self.starts.resize(self.bytes.len(), false);
    }

    /// Copies the bytes `range`, which are after so many fixups, with their padding.
    fn copy<F>(
        &mut self,
        fragment: &Fragment<F>,
        range: Range<usize>,
        fixups: usize,
        paddings: &mut Peekable<std::slice::Iter<'_, Padding>>,
    ) {
        let mut copied = range.start;
        let mut copy_to = |flat: &mut Self, end: usize| {
            flat.bytes.extend_from_slice(&fragment.bytes[copied..end]);
            flat.starts.extend_from_slice(&fragment.starts[copied..end]);
            copied = end;
        };
        while let Some(padding) = paddings.next_if(|padding| padding.before.fixups as usize == fixups) {
            copy_to(self, padding.before.byte as usize);
            let blocks = self.blocks.expect("padding is between blocks");
            (blocks.pad)(padding.bytes as usize, &mut self.bytes);
            self.end_instruction();
        }
        copy_to(self, range.end);
    }
}

fn align_up(at: i64, align: u32) -> i64 {
    let align = i64::from(align);
    (at + align - 1).div_euclid(align) * align
}
