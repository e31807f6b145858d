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
//! Invariant: addresses exist only in a [`Code`]; before relaxation, places are a byte offset and a number of fixups.

use ssa::FuncId;

use crate::emit::{Fixup, Fragment, Place, Reference};

/// Rounds in which only fixups that miss their target are widened.
const EXACT_ROUNDS: u32 = 24;

/// Address constraints of the fragments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placement {
    /// Address of the first fragment.
    pub start: i64,
    /// Every fragment starts at a multiple of this many bytes.
    pub align: u32,
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
        }
    }

    /// Lays out everything in the current forms.
    fn assign_addresses<F: Fixup>(&mut self, fragments: &[Fragment<F>], placement: Placement) {
        let mut at = placement.start;
        for (index, fragment) in fragments.iter().enumerate() {
            let base = align_up(at, placement.align);
            let first = self.first[index];
            let mut grown = 0;
            for (n, site) in fragment.fixups.iter().enumerate() {
                self.grown[first + index + n] = grown;
                let from = base + i64::from(site.at) + i64::from(grown);
                grown += site.fixup.len(self.forms[first + n], from);
            }
            self.grown[first + index + fragment.fixups.len()] = grown;
            self.bases[index] = base;
            at = base + fragment.bytes.len() as i64 + i64::from(grown);
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

    /// Address of a place.
    pub fn address(&self, fragment: usize, place: Place) -> i64 {
        let grown = self.grown[self.first[fragment] + fragment + place.fixups as usize];
        self.bases[fragment] + i64::from(place.byte) + i64::from(grown)
    }

    /// The form of a fixup.
    pub fn form(&self, fragment: usize, fixup: usize) -> u8 {
        self.forms[self.first[fragment] + fixup]
    }

    /// Bytes of the whole code.
    pub const fn size(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// The bytes, and for each byte whether an instruction starts there. Padding before fragments is zeros, in which
    /// no instruction starts. Takes the same arguments as [`relax`]. Panics if a fixup violates its contract on length
    /// and reach.
    pub fn flatten<F: Fixup>(
        &self,
        fragments: &[Fragment<F>],
        index_of: &dyn Fn(FuncId) -> usize,
    ) -> (Vec<u8>, Vec<bool>) {
        let targets = resolve(fragments, index_of);
        let mut bytes = Vec::with_capacity(self.size());
        let mut starts = Vec::with_capacity(self.size());
        for (index, fragment) in fragments.iter().enumerate() {
            let base = (self.bases[index] - self.start) as usize;
            bytes.resize(base, 0);
            starts.resize(base, false);
            self.flatten_fragment(index, fragment, &targets, &mut bytes, &mut starts);
        }
        assert_eq!(bytes.len(), self.size(), "the code has the promised size");
        (bytes, starts)
    }

    fn flatten_fragment<F: Fixup>(
        &self,
        index: usize,
        fragment: &Fragment<F>,
        targets: &[Target],
        bytes: &mut Vec<u8>,
        starts: &mut Vec<bool>,
    ) {
        let mut copied = 0;
        for (n, site) in fragment.fixups.iter().enumerate() {
            let at = site.at as usize;
            bytes.extend_from_slice(&fragment.bytes[copied..at]);
            starts.extend_from_slice(&fragment.starts[copied..at]);
            copied = at;
            let from = self.fixup_address(index, n, site.at);
            let to =
                targets[self.first[index] + n].map_or(from, |(target, place)| self.address(target, place));
            let form = self.form(index, n);
            assert!(
                site.fixup.reaches(form, from, to),
                "{:?} in form {form} reaches from {from} to {to}",
                site.fixup
            );
            let before = bytes.len();
            assert_eq!(before as i64 + self.start, from, "addresses are those that were promised");
            site.fixup.encode(form, from, to, bytes);
            let len = site.fixup.len(form, from);
            assert_eq!(bytes.len() - before, len as usize, "{:?} has its promised length", site.fixup);
            starts.resize(bytes.len(), false);
            if len > 0 {
                starts[before] = true;
            }
        }
        bytes.extend_from_slice(&fragment.bytes[copied..]);
        starts.extend_from_slice(&fragment.starts[copied..]);
    }
}

fn align_up(at: i64, align: u32) -> i64 {
    let align = i64::from(align);
    (at + align - 1).div_euclid(align) * align
}
