//! Merging the equal ends of sites.
//!
//! Among sites with equal exits we sort by the instructions read backwards, so that sites with long common ends are
//! adjacent. Adjacent sites are merged by descending length of their common end, and a merged pair is represented by the
//! one that holds the end. So a later merge with a shorter end can use it, too. This finds the longest common end of
//! every set of sites, at the cost of a sort.
//!
//! Two sites that leave their functions share the end of one of them, and the other jumps to it. A call jumps there
//! instead of to the callee, which costs nothing. Two calls need a copy of their common end, a piece, that ends with a
//! jump to the callee.
//!
//! The instructions of an exit may contain calls, which are sites as well. Of two sites with an instruction in common the
//! one that is merged first counts.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use codegen::Place;
use pvm_isa::{Reg, asm};

use super::sites::{Exit, Site, Sites};
use super::tokens::{BYTE, JUMP, Token};
use crate::emit::Fixup;
use crate::join::{Cut, Edits, End, Mark, Piece, Sharing};

/// Largest number of sites that are counted for the worth of a piece.
const COUNTED: usize = 16;

/// The code that holds the common end of merged sites.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Holder {
    /// The site, which nothing has replaced so far.
    Site(usize),
    /// A piece.
    Piece(usize),
}

/// Merges the sites of each exit.
pub fn merge(sites: &mut Sites<'_>, parts: usize) -> Sharing {
    let mut groups: BTreeMap<Exit, Vec<usize>> = BTreeMap::new();
    for (n, site) in sites.list.iter().enumerate() {
        groups.entry(site.exit).or_default().push(n);
    }
    let sharing = Sharing { edits: vec![Edits::default(); parts], ..Sharing::default() };
    let mut merger = Merger { sites, sharing, sources: Vec::new(), used: vec![BTreeMap::new(); parts] };
    for group in groups.into_values().filter(|group| group.len() > 1) {
        merger.group(&group);
    }
    merger.finish()
}

struct Merger<'a, 'b> {
    sites: &'a mut Sites<'b>,
    sharing: Sharing,
    /// The site that each piece is a copy of.
    sources: Vec<usize>,
    /// For each part, the ends and starts of code that is cut or kept.
    used: Vec<BTreeMap<Place, Place>>,
}

impl Merger<'_, '_> {
    /// The instructions of a site, read backwards.
    fn backwards(&self, site: usize) -> impl Iterator<Item = Token> + '_ {
        self.sites.line[self.sites.list[site].line.clone()].iter().rev().map(|&(_, token)| token)
    }

    fn common(&self, a: usize, b: usize) -> usize {
        self.backwards(a).zip(self.backwards(b)).take_while(|(a, b)| a == b).count()
    }

    fn group(&mut self, group: &[usize]) {
        let mut sorted = group.to_vec();
        sorted.sort_by(|&a, &b| self.backwards(a).cmp(self.backwards(b)).then(a.cmp(&b)));
        let common: Vec<usize> = sorted.windows(2).map(|pair| self.common(pair[0], pair[1])).collect();
        let mut joins: Vec<usize> = (0..common.len()).filter(|&left| common[left] > 0).collect();
        joins.sort_by_key(|&left| (Reverse(common[left]), left));
        // A merged range has its holder at both of its ends.
        let mut holders: Vec<Holder> = sorted.into_iter().map(Holder::Site).collect();
        let mut other_end: Vec<usize> = (0..holders.len()).collect();
        for left in joins {
            let len = common[left];
            let alike = |list: &mut dyn Iterator<Item = &usize>| list.take_while(|&&n| n >= len).count();
            let before = alike(&mut common[..left].iter().rev().take(COUNTED));
            let after = alike(&mut common[left..].iter().take(COUNTED));
            let pair = [holders[left], holders[left + 1]];
            if let Some(holder) = self.merge_pair(pair, len, 1 + before + after) {
                let (first, last) = (other_end[left], other_end[left + 1]);
                (other_end[first], other_end[last]) = (last, first);
                (holders[first], holders[last]) = (holder, holder);
            }
        }
    }

    /// Lets two holders share their last `len` instructions, which `alike` sites have in common, if that is smaller.
    /// Returns the new holder.
    fn merge_pair(&mut self, pair: [Holder; 2], len: usize, alike: usize) -> Option<Holder> {
        if pair.iter().any(|&holder| self.is_used(holder, len)) {
            return None;
        }
        let size = self.size(self.source(pair[0]), len);
        let is_call = pair.map(|holder| self.is_call(holder));
        let (kept, other) = match is_call {
            [true, true] => {
                if (alike as i32 - 1) * size <= JUMP {
                    return None;
                }
                let piece = self.new_piece(self.source(pair[0]), len);
                self.cut(pair[0], len, piece);
                (piece, pair[1])
            }
            [false, true] => (pair[0], pair[1]),
            [true, false] => (pair[1], pair[0]),
            // The one that is cut at its start can't hold longer ends, the other one may.
            [false, false] if self.len(pair[1]) > len => (pair[1], pair[0]),
            [false, false] => (pair[0], pair[1]),
        };
        let exit = match (self.is_call(other), self.sites.list[self.source(other)].exit) {
            (true, _) => JUMP,
            (false, Exit::Func(_)) => JUMP,
            (false, Exit::Inst(token)) => self.sites.tokens.facts(token).size,
        };
        if is_call != [true, true] && size + exit <= JUMP + BYTE {
            return None;
        }
        self.cut(other, len, kept);
        Some(kept)
    }

    /// The site that has the instructions of a holder.
    fn source(&self, holder: Holder) -> usize {
        match holder {
            Holder::Site(site) => site,
            Holder::Piece(piece) => self.sources[piece],
        }
    }

    /// Whether some of the last `len` instructions of a holder belong to another site that was merged.
    fn is_used(&self, holder: Holder, len: usize) -> bool {
        let Holder::Site(site) = holder else { return false };
        let (start, end) = (self.place(site, len), self.sites.list[site].end);
        let later = self.used[self.sites.list[site].part].range((Excluded(start), Unbounded));
        later.take_while(|(_, other)| **other < end).any(|(other, _)| *other != end)
    }

    fn use_site(&mut self, site: usize, len: usize) {
        let start = self.place(site, len);
        let Site { part, end, .. } = self.sites.list[site];
        let used = self.used[part].entry(end).or_insert(start);
        *used = start.min(*used);
    }

    fn is_call(&self, holder: Holder) -> bool {
        matches!(holder, Holder::Site(site) if self.sites.list[site].is_call)
    }

    /// The number of instructions of a holder.
    fn len(&self, holder: Holder) -> usize {
        match holder {
            Holder::Site(site) => self.sites.list[site].line.len(),
            Holder::Piece(piece) => {
                let (site, range) =
                    (&self.sites.list[self.sources[piece]], &self.sharing.pieces[piece].range);
                let line = &self.sites.line[site.line.clone()];
                line.iter().rev().take_while(|(place, _)| *place >= range.start).count()
            }
        }
    }

    /// The size of the last instructions of a site, in eighths of a byte.
    fn size(&self, site: usize, len: usize) -> i32 {
        self.backwards(site).take(len).map(|token| self.sites.tokens.facts(token).size).sum()
    }

    /// The place of the last `len` instructions of a site.
    fn place(&self, site: usize, len: usize) -> Place {
        let site: &Site = &self.sites.list[site];
        let line = &self.sites.line[site.line.clone()];
        line[line.len() - len].0
    }

    fn new_piece(&mut self, site: usize, len: usize) -> Holder {
        let Site { part, exit, end, .. } = self.sites.list[site];
        let start = self.place(site, len);
        let end_of_line = Place { fixups: end.fixups - 1, ..end };
        let end = match exit {
            Exit::Func(func) => End::Function(func),
            Exit::Inst(token) => {
                End::Inst(self.sites.instruction(token).expect("a call has an address in a register"))
            }
        };
        let (range, edits) = (start..end_of_line, Edits::default());
        self.sharing.pieces.push(Piece { source: part, range, before: part, edits, end });
        self.sources.push(site);
        Holder::Piece(self.sources.len() - 1)
    }

    /// Replaces the last `len` instructions and the exit of `other` by a jump to those of `kept`, or a call.
    fn cut(&mut self, other: Holder, len: usize, kept: Holder) {
        let mark = self.mark(kept, len);
        let start = self.place(self.source(other), len);
        match other {
            Holder::Piece(piece) => {
                let piece = &mut self.sharing.pieces[piece];
                piece.range.end = start;
                piece.end = End::Mark(mark);
                if piece.range.is_empty() {
                    // What led to the piece leads to the mark.
                    let marks = std::mem::take(&mut piece.edits.marks);
                    marks.into_iter().for_each(|(_, own)| self.sharing.marks[own] = mark);
                }
            }
            Holder::Site(site) => {
                self.use_site(site, len);
                let Site { part, end, is_call, .. } = self.sites.list[site];
                let gp = self.sites.tokens.gp();
                let instead = match is_call {
                    true => Fixup::call(gp, asm::load_imm_jump(Reg::RA, 0, 0)),
                    false => Fixup::jump(gp, asm::jump(0)),
                };
                self.sharing.edits[part].cuts.push(Cut { range: start..end, instead, mark });
            }
        }
    }

    /// The mark before the last `len` instructions of a holder.
    fn mark(&mut self, holder: Holder, len: usize) -> Mark {
        let site = self.source(holder);
        let place = self.place(site, len);
        if let Holder::Site(site) = holder {
            self.use_site(site, len);
        }
        let edits = match holder {
            Holder::Site(site) => &mut self.sharing.edits[self.sites.list[site].part],
            Holder::Piece(piece) => &mut self.sharing.pieces[piece].edits,
        };
        if let Some(&(_, mark)) = edits.marks.iter().find(|(at, _)| *at == place) {
            return mark;
        }
        let mark = self.sharing.marks.len();
        edits.marks.push((place, mark));
        self.sharing.marks.push(mark);
        mark
    }

    /// The result, with pieces and cuts in order.
    fn finish(mut self) -> Sharing {
        for edits in &mut self.sharing.edits {
            edits.cuts.sort_by_key(|cut| cut.range.start);
            edits.marks.sort();
        }
        self.sharing.pieces.retain(|piece| !piece.range.is_empty());
        self.sharing.pieces.iter_mut().for_each(|piece| piece.edits.marks.sort());
        self.sharing
    }
}
