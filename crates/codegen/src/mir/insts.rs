//! The instructions of a block with their source locations.
//!
//! A line table needs the source line of every instruction, after any sequence of passes. But instructions that differ
//! only in their lines must be equal, or code would depend on debug information. And modules without debug information
//! must not pay for locations.
//!
//! So locations are in a list parallel to the instructions. It may be shorter; instructions past its end have no
//! location. The instructions can be read as a slice. All methods that change their number update both lists.

use std::ops::{Deref, DerefMut};

use ssa::SourceLoc;

/// Instructions with locations.
#[derive(Clone, Debug)]
pub struct Insts<I> {
    list: Vec<I>,
    /// No longer than `list`.
    locs: Vec<Option<SourceLoc>>,
}

impl<I> Insts<I> {
    /// No instructions.
    pub const fn new() -> Self {
        Self { list: Vec::new(), locs: Vec::new() }
    }

    /// No instructions, and room for some.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { list: Vec::with_capacity(capacity), locs: Vec::new() }
    }

    /// The location of the n-th instruction.
    pub fn loc(&self, n: usize) -> Option<SourceLoc> {
        self.locs.get(n).copied().flatten()
    }

    /// Whether any instruction may have a location.
    fn is_located(&self) -> bool {
        !self.locs.is_empty()
    }

    /// Appends an instruction.
    pub fn push(&mut self, inst: I, loc: Option<SourceLoc>) {
        if loc.is_some() {
            self.locs.resize(self.list.len(), None);
            self.locs.push(loc);
        }
        self.list.push(inst);
    }

    /// Appends instructions that share one location.
    pub fn extend(&mut self, insts: impl IntoIterator<Item = I>, loc: Option<SourceLoc>) {
        insts.into_iter().for_each(|inst| self.push(inst, loc));
    }

    /// Appends instructions with their locations.
    pub fn append(&mut self, mut other: Self) {
        if other.is_located() {
            self.locs.resize(self.list.len(), None);
            self.locs.append(&mut other.locs);
        }
        self.list.append(&mut other.list);
    }

    /// Inserts instructions before all others, with the location of the first of those.
    pub fn prepend(&mut self, insts: impl IntoIterator<Item = I>) {
        let before = self.list.len();
        self.list.splice(0..0, insts);
        if self.is_located() {
            let loc = self.loc(0);
            let added = self.list.len() - before;
            self.locs.splice(0..0, std::iter::repeat_n(loc, added));
        }
    }

    /// Inserts an instruction before the n-th, with its location.
    pub fn insert(&mut self, n: usize, inst: I) {
        if n < self.locs.len() {
            self.locs.insert(n, self.locs[n]);
        }
        self.list.insert(n, inst);
    }

    /// Removes the n-th instruction.
    pub fn remove(&mut self, n: usize) -> I {
        if n < self.locs.len() {
            self.locs.remove(n);
        }
        self.list.remove(n)
    }

    /// Keeps the first `len` instructions.
    pub fn truncate(&mut self, len: usize) {
        self.locs.truncate(len);
        self.list.truncate(len);
    }

    /// Removes all instructions from the n-th on, and returns them.
    pub fn split_off(&mut self, n: usize) -> Self {
        let locs = if n < self.locs.len() { self.locs.split_off(n) } else { Vec::new() };
        Self { list: self.list.split_off(n), locs }
    }

    /// Removes all instructions for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(&I) -> bool) {
        if !self.is_located() {
            return self.list.retain(keep);
        }
        let kept: Vec<bool> = self.list.iter().map(&mut keep).collect();
        let mut of_list = kept.iter();
        self.list.retain(|_| *of_list.next().expect("one answer per instruction"));
        let mut of_locs = kept.iter();
        self.locs.retain(|_| *of_locs.next().expect("one answer per instruction"));
    }

    /// Reverses the order.
    pub fn reverse(&mut self) {
        if self.is_located() {
            self.locs.resize(self.list.len(), None);
            self.locs.reverse();
        }
        self.list.reverse();
    }

    /// Replaces each instruction by the instructions that `write` appends for it; they get its location.
    pub fn rewrite(&mut self, mut write: impl FnMut(I, &mut Vec<I>)) {
        let old = std::mem::take(self);
        let Self { list, locs } = old;
        self.list.reserve(list.len());
        for (n, inst) in list.into_iter().enumerate() {
            write(inst, &mut self.list);
            if let Some(&loc) = locs.get(n) {
                self.locs.resize(self.list.len(), loc);
            }
        }
    }

    /// The location of the first instruction that has one.
    pub fn first_loc(&self) -> Option<SourceLoc> {
        self.locs.iter().copied().find_map(|loc| loc)
    }

    /// The instructions, each with its location.
    pub fn into_located(self) -> impl Iterator<Item = (I, Option<SourceLoc>)> {
        self.list.into_iter().zip(self.locs.into_iter().chain(std::iter::repeat(None)))
    }

    /// The instructions alone.
    pub fn into_vec(self) -> Vec<I> {
        self.list
    }
}

impl<I> Default for Insts<I> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I> From<Vec<I>> for Insts<I> {
    /// Instructions without locations.
    fn from(list: Vec<I>) -> Self {
        Self { list, locs: Vec::new() }
    }
}

/// Two lists are equal if the instructions are; locations don't count.
impl<I: PartialEq> PartialEq for Insts<I> {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl<I> Deref for Insts<I> {
    type Target = [I];

    fn deref(&self) -> &[I] {
        &self.list
    }
}

impl<I> DerefMut for Insts<I> {
    fn deref_mut(&mut self) -> &mut [I] {
        &mut self.list
    }
}

impl<'a, I> IntoIterator for &'a Insts<I> {
    type Item = &'a I;
    type IntoIter = std::slice::Iter<'a, I>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

impl<'a, I> IntoIterator for &'a mut Insts<I> {
    type Item = &'a mut I;
    type IntoIter = std::slice::IterMut<'a, I>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use ssa::EntityId as _;

    use super::*;

    fn at(n: usize) -> Option<SourceLoc> {
        Some(SourceLoc::new(n))
    }

    /// Instructions 1, 2, 3, ... of which the even ones have their number as location.
    fn numbered(len: usize) -> Insts<usize> {
        let mut insts = Insts::new();
        (1..=len).for_each(|n| insts.push(n, at(n).filter(|_| n % 2 == 0)));
        insts
    }

    /// The locations of all instructions.
    fn locs(insts: &Insts<usize>) -> Vec<Option<SourceLoc>> {
        (0..insts.len()).map(|n| insts.loc(n)).collect()
    }

    #[test]
    fn locations_stay_with_their_instructions() {
        let mut insts = numbered(6);
        insts.retain(|n| *n != 3);
        insts.remove(0);
        let end = insts.split_off(2);
        assert_eq!((&insts[..], &end[..]), (&[2, 4][..], &[5, 6][..]));
        assert_eq!((locs(&insts), locs(&end)), (vec![at(2), at(4)], vec![None, at(6)]));
        insts.append(end);
        insts.reverse();
        insts.append(numbered(1));
        assert_eq!(&insts[..], [6, 5, 4, 2, 1]);
        assert_eq!(locs(&insts), [at(6), None, at(4), at(2), None]);
    }

    #[test]
    fn added_instructions_get_the_location_of_their_neighbour() {
        let mut insts = numbered(4).split_off(1);
        insts.prepend([0, 0]);
        insts.insert(4, 7);
        insts.rewrite(|n, out| out.extend([n; 2]));
        assert_eq!(&insts[..], [0, 0, 0, 0, 2, 2, 3, 3, 7, 7, 4, 4]);
        assert_eq!(locs(&insts)[..6], [at(2); 6]);
        assert_eq!(locs(&insts)[6..], [None, None, at(4), at(4), at(4), at(4)]);
    }

    #[test]
    fn without_locations_nothing_is_kept_of_them() {
        let mut insts = Insts::from(vec![1, 2]);
        insts.push(3, None);
        insts.prepend([0]);
        insts.rewrite(|n, out| out.push(n));
        insts.reverse();
        assert!(insts.locs.is_empty());
    }
}
