//! The code of one function before addresses are known.
//!
//! Most bytes are final when they are appended. An instruction that depends on a distance (branch, call) is a
//! [`FixupSite`], which takes no room in [`Fragment::bytes`]. Relaxation chooses its form and so its length, and only
//! then addresses exist. A [`Place`] in a fragment is therefore a byte offset and the number of fixups before it.

use std::fmt;

use ssa::{EntityId, FuncId, IdVec, SourceLoc, entity_id};

use super::unwind::UnwindRow;
use crate::mir::{Block, FrameBase};

entity_id! {
    /// A place in a fragment that fixups and tables can refer to.
    Label = "l";
}

/// An instruction (or datum) whose encoding depends on the distance to its target. It has several forms, numbered from
/// the shortest.
pub trait Fixup: Clone + fmt::Debug + Send + Sync {
    /// Number of forms, at least 1.
    fn forms(&self) -> u8;

    /// Length in bytes of a form at address `from`.
    fn len(&self, form: u8, from: i64) -> u32;

    /// Whether a form at address `from` can refer to address `to`. The last form always can.
    fn reaches(&self, form: u8, from: i64, to: i64) -> bool;

    /// Appends the bytes of a form; exactly [`len`](Self::len) of them.
    fn encode(&self, form: u8, from: i64, to: i64, out: &mut Vec<u8>);

    /// Whether it may be the last instruction of a block of code, see [`crate::Blocks`].
    fn may_end_block(&self) -> bool {
        true
    }
}

/// The target of a fixup.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reference {
    /// A place in the same fragment.
    Label(Label),
    /// The entry of a function.
    Func(FuncId),
    /// No target: the length depends only on the fixup (the linker set its value before relaxation).
    None,
}

/// A fixup with its place in the fragment and its target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FixupSite<F> {
    /// Offset in [`Fragment::bytes`] of the first byte after it.
    pub at: u32,
    /// The fixup.
    pub fixup: F,
    /// Its target.
    pub target: Reference,
}

/// A place in a fragment, valid before addresses are known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// Offset in [`Fragment::bytes`].
    pub byte: u32,
    /// Number of fixups before it.
    pub fixups: u32,
}

/// The code of one function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fragment<F> {
    /// The bytes between fixups.
    pub bytes: Vec<u8>,
    /// For each byte, whether an instruction starts there. (Every fixup is a separate instruction.)
    pub starts: Vec<bool>,
    /// Fixups in order.
    pub fixups: Vec<FixupSite<F>>,
    /// Places of labels.
    pub labels: IdVec<Label, Place>,
    /// Jump tables: labels in table order.
    pub tables: Vec<Vec<Label>>,
    /// Maximum stack use of the function without its callees, in bytes; 0 if the target doesn't report it.
    pub stack_bytes: u32,
    /// Source locations: each applies from its place up to the next entry.
    pub locs: Vec<(Place, SourceLoc)>,
    /// Where the caller is found: each row applies from its place up to the next entry.
    pub unwind: Vec<(Place, UnwindRow)>,
    /// Starts of loop headers, with the most executions each time that the loop is entered.
    pub bounds: Vec<(Place, u32)>,
    /// The end of the prologue at the function's entry.
    pub body: Place,
    /// Where the variables of the source are.
    pub variables_at: Option<FrameBase>,
}

impl<F> Fragment<F> {
    /// The place directly after a fixup: the return address of a call.
    pub fn after_fixup(&self, index: usize) -> Place {
        Place { byte: self.fixups[index].at, fixups: index as u32 + 1 }
    }
}

/// A fragment under construction.
#[derive(Debug)]
pub struct CodeBuffer<F> {
    bytes: Vec<u8>,
    starts: Vec<bool>,
    fixups: Vec<FixupSite<F>>,
    labels: IdVec<Label, Option<Place>>,
    tables: Vec<Vec<Label>>,
    locs: Vec<(Place, SourceLoc)>,
    unwind: Vec<(Place, UnwindRow)>,
    bounds: Vec<(Place, u32)>,
    body: Place,
}

impl<F: Fixup> CodeBuffer<F> {
    /// An empty buffer for a function of `blocks` blocks; label `n` is block `n`.
    pub fn new(blocks: usize) -> Self {
        Self {
            bytes: Vec::new(),
            starts: Vec::new(),
            fixups: Vec::new(),
            labels: IdVec::filled(None, blocks),
            tables: Vec::new(),
            locs: Vec::new(),
            unwind: Vec::new(),
            bounds: Vec::new(),
            body: Place { byte: 0, fixups: 0 },
        }
    }

    /// Sets the source location of the following code, if it is known.
    pub fn locate(&mut self, loc: Option<SourceLoc>) {
        let Some(loc) = loc else { return };
        if self.locs.last().is_none_or(|&(_, last)| last != loc) {
            self.locs.push((self.here(), loc));
        }
    }

    /// Sets the row of the following code.
    pub fn unwind(&mut self, row: UnwindRow) {
        if self.unwind.last().is_none_or(|(_, last)| *last != row) {
            self.unwind.push((self.here(), row));
        }
    }

    /// The header of a loop begins here.
    pub fn bound(&mut self, most: u32) {
        self.bounds.push((self.here(), most));
    }

    /// Ends the prologue here.
    pub fn end_prologue(&mut self) {
        self.body = self.here();
    }

    /// The label of a block.
    pub fn block_label(block: Block) -> Label {
        Label::new(block.index())
    }

    /// A new label.
    pub fn new_label(&mut self) -> Label {
        self.labels.push(None)
    }

    /// Binds a label to the current place. Panics if it is already bound.
    pub fn bind(&mut self, label: Label) {
        let here = self.here();
        assert!(self.labels[label].replace(here).is_none(), "{label} is bound twice");
    }

    /// The current place.
    pub fn here(&self) -> Place {
        Place { byte: self.bytes.len() as u32, fixups: self.fixups.len() as u32 }
    }

    /// Appends the bytes that `write` appends, as one instruction.
    pub fn instruction(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let at = self.bytes.len();
        write(&mut self.bytes);
        assert!(self.bytes.len() > at, "an instruction has bytes");
        self.starts.resize(self.bytes.len(), false);
        self.starts[at] = true;
    }

    /// Appends an instruction that depends on a distance.
    pub fn fixup(&mut self, fixup: F, target: Reference) {
        self.fixups.push(FixupSite { at: self.bytes.len() as u32, fixup, target });
    }

    /// The fixup directly before the current place, if there is one.
    pub fn last_fixup(&self) -> Option<&F> {
        self.fixups.last().filter(|site| site.at as usize == self.bytes.len()).map(|site| &site.fixup)
    }

    /// Minimum and maximum length in bytes of the code so far.
    pub fn size_bounds(&self) -> (usize, usize) {
        let fixups = |form: fn(&F) -> u8| -> usize {
            self.fixups.iter().map(|site| site.fixup.len(form(&site.fixup), 0) as usize).sum()
        };
        (self.bytes.len() + fixups(|_| 0), self.bytes.len() + fixups(|fixup| fixup.forms() - 1))
    }

    /// Adds a jump table, unless there is an equal one, and returns its index in [`Fragment::tables`].
    pub fn table(&mut self, targets: impl IntoIterator<Item = Label>) -> u32 {
        let targets: Vec<Label> = targets.into_iter().collect();
        let known = self.tables.iter().position(|table| *table == targets);
        let index = known.unwrap_or_else(|| {
            self.tables.push(targets);
            self.tables.len() - 1
        });
        index as u32
    }

    /// The finished fragment. Labels that were never bound point at its end and must not be referred to.
    pub fn finish(self) -> Fragment<F> {
        let end = self.here();
        let used = self.fixups.iter().filter_map(|site| match site.target {
            Reference::Label(label) => Some(label),
            _ => None,
        });
        for label in used.chain(self.tables.iter().flatten().copied()) {
            assert!(self.labels[label].is_some(), "{label} is used and not bound");
        }
        Fragment {
            bytes: self.bytes,
            starts: self.starts,
            fixups: self.fixups,
            labels: self.labels.values().map(|place| place.unwrap_or(end)).collect(),
            tables: self.tables,
            stack_bytes: 0,
            locs: self.locs,
            unwind: self.unwind,
            bounds: self.bounds,
            body: self.body,
            variables_at: None,
        }
    }
}
