//! Joining the code of all functions to one fragment, and carrying out edits that let functions share code.
//!
//! In one fragment a jump can go to any place of the program. [`share`](crate::share) finds code that occurs several
//! times. One copy stays and gets a label, which is a mark. The others are cut out, and a jump or a call takes their
//! place. A copy that is at no place of a function is a piece: it is placed before the function that it ends with.
//!
//! Labels of the result are those of the functions' entries, in order, then those of marks, then those of the blocks of
//! each function.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Range;

use codegen::{CodeBuffer, Fragment, Label, Place, Reference};
use pvm_isa::{GpVersion, Inst, Opcode, asm};
use ssa::{EntityId, FuncId, IdVec, SourceLoc};

use crate::emit::Fixup;

/// The start of a fragment.
const START: Place = Place { byte: 0, fixups: 0 };
/// Maximum number of jumps that are redirected to save one: each may take two bytes more, as it goes farther.
const MAX_REDIRECTED: u32 = 2;

/// The code of a program as one fragment.
pub struct Joined {
    /// The code.
    pub code: Fragment<Fixup>,
    /// The functions in order.
    pub parts: Vec<Part>,
    /// The part of each function that has code.
    pub positions: IdVec<FuncId, Option<usize>>,
}

/// The code of one function in a [`Joined`] program.
pub struct Part {
    /// The function.
    pub func: FuncId,
    /// The start of its code, with the pieces before its entry.
    pub start: Place,
    /// Its fixups.
    pub fixups: Range<usize>,
    /// Its tables.
    pub tables: Range<usize>,
    /// Source locations, each from its place up to the next.
    pub locs: Vec<(Place, SourceLoc)>,
}

/// The number of a mark.
pub type Mark = usize;

/// Changes of one stretch of code.
#[derive(Clone, Default, Debug)]
pub struct Edits {
    /// Places that other code jumps to, ascending.
    pub marks: Vec<(Place, Mark)>,
    /// Ranges that are replaced, ascending.
    pub cuts: Vec<Cut>,
}

/// Code that is replaced by a jump or call to a mark.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The code.
    pub range: Range<Place>,
    /// The instruction in its place.
    pub instead: Fixup,
    /// Its target.
    pub mark: Mark,
}

/// A copy of code of a function that is at no place of a function.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The part that it is a copy from.
    pub source: usize,
    /// The place there.
    pub range: Range<Place>,
    /// The part before which it is placed.
    pub before: usize,
    /// Changes.
    pub edits: Edits,
    /// Its last instruction.
    pub end: End,
}

/// How a piece ends.
#[derive(Clone, Debug)]
pub enum End {
    /// It continues with a function.
    Function(FuncId),
    /// An instruction.
    Inst(Inst),
    /// A jump to a mark.
    Mark(Mark),
}

impl Piece {
    /// Puts the piece before the function that it ends with.
    pub fn place(&mut self, positions: &IdVec<FuncId, usize>) {
        if let End::Function(func) = self.end {
            self.before = positions[func];
        }
    }
}

/// Everything that [`share`](crate::share) found.
#[derive(Default, Debug)]
pub struct Sharing {
    /// Changes of each part; may be shorter than the parts.
    pub edits: Vec<Edits>,
    /// Pieces by the part before which they are placed.
    pub pieces: Vec<Piece>,
    /// For each mark itself, or the one that is to be used instead.
    pub marks: Vec<Mark>,
}

/// One instruction of a fragment.
pub struct Item {
    /// Its place.
    pub place: Place,
    /// The place after it.
    pub next: Place,
}

impl Item {
    /// The item at a place, if the fragment does not end there.
    pub fn at(fragment: &Fragment<Fixup>, place: Place) -> Option<Self> {
        let fixup = fragment.fixups.get(place.fixups as usize);
        if fixup.is_some_and(|site| site.at == place.byte) {
            return Some(Self { place, next: Place { fixups: place.fixups + 1, ..place } });
        }
        let limit = fixup.map_or(fragment.bytes.len(), |site| site.at as usize);
        let from = place.byte as usize;
        let rest = fragment.starts.get(from + 1..limit)?;
        let len = rest.iter().position(|&starts| starts).map_or(limit - from, |n| n + 1);
        Some(Self { place, next: Place { byte: place.byte + len as u32, ..place } })
    }

    /// The bytes of the instruction; none if it is a fixup.
    pub fn bytes<'a>(&self, fragment: &'a Fragment<Fixup>) -> &'a [u8] {
        &fragment.bytes[self.place.byte as usize..self.next.byte as usize]
    }
}

/// Joins the code of all functions.
pub fn join(gp: GpVersion, fragments: &IdVec<FuncId, Option<Fragment<Fixup>>>, sharing: &Sharing) -> Joined {
    let mut positions = IdVec::filled(None, fragments.len());
    let order: Vec<FuncId> = fragments.ids().filter(|&id| fragments[id].is_some()).collect();
    order.iter().enumerate().for_each(|(n, &id)| positions[id] = Some(n));
    let fragments: Vec<&Fragment<Fixup>> = fragments.values().flatten().collect();
    let first_block = order.len() + sharing.marks.len();
    let labels = first_block + fragments.iter().map(|fragment| fragment.labels.len()).sum::<usize>();
    let buf = CodeBuffer::new(labels);
    let marks = &sharing.marks;
    let mut joiner = Joiner {
        gp,
        buf,
        last: None,
        positions,
        functions: order.len(),
        marks,
        first_block,
        redirected: BTreeMap::new(),
    };
    let (mut parts, mut tables) = (Vec::with_capacity(order.len()), Vec::new());
    let none = Edits::default();
    let mut pieces = sharing.pieces.iter().peekable();
    for (n, (&func, fragment)) in order.iter().zip(&fragments).enumerate() {
        let start = joiner.buf.here();
        while let Some(piece) = pieces.next_if(|piece| piece.before == n) {
            let is_next = pieces.peek().is_none_or(|next| next.before != n);
            joiner.piece(fragments[piece.source], piece, is_next);
        }
        let first_table = tables.len();
        tables.extend(fragment.tables.iter().map(|table| table.iter().map(|&to| joiner.label(to)).collect()));
        let locs = joiner.function(n, fragment, sharing.edits.get(n).unwrap_or(&none));
        let fixups = start.fixups as usize..joiner.buf.here().fixups as usize;
        parts.push(Part { func, start, fixups, tables: first_table..tables.len(), locs });
        joiner.first_block += fragment.labels.len();
    }
    let (redirected, positions) = (joiner.redirected, joiner.positions);
    let mut code = Fragment { tables, ..joiner.buf.finish() };
    for (&label, &mark) in &redirected {
        let last = std::iter::successors(Some(mark), |mark| redirected.get(mark).copied()).last();
        code.labels[label] = code.labels[last.expect("there is the first")];
    }
    Joined { code, parts, positions }
}

/// The label of a part's entry.
pub fn entry_label(part: usize) -> Label {
    Label::new(part)
}

/// The number of jumps and branches to each label; those of tables don't count, as they always have the same size.
fn count_jumps(fragment: &Fragment<Fixup>) -> IdVec<Label, u32> {
    let mut jumps = IdVec::filled(0, fragment.labels.len());
    for site in &fragment.fixups {
        if let Reference::Label(label) = site.target {
            jumps[label] += 1;
        }
    }
    jumps
}

/// The marks that were not bound so far.
type Marks<'a> = Peekable<std::slice::Iter<'a, (Place, Mark)>>;

struct Joiner<'a> {
    gp: GpVersion,
    buf: CodeBuffer<Fixup>,
    /// The opcode of the last instruction.
    last: Option<Opcode>,
    positions: IdVec<FuncId, Option<usize>>,
    /// Number of functions.
    functions: usize,
    /// See [`Sharing::marks`].
    marks: &'a [Mark],
    /// The label of the current function's first block.
    first_block: usize,
    /// Labels of blocks that only would jump to a mark, with the label of the mark.
    redirected: BTreeMap<Label, Label>,
}

impl Joiner<'_> {
    fn label(&self, label: Label) -> Label {
        Label::new(self.first_block + label.index())
    }

    fn entry(&self, func: FuncId) -> Reference {
        Reference::Label(entry_label(self.positions[func].expect("a function that is called has code")))
    }

    /// The label of a mark.
    fn mark(&self, mut mark: Mark) -> Label {
        while self.marks[mark] != mark {
            mark = self.marks[mark];
        }
        Label::new(self.functions + mark)
    }

    fn plain(&mut self, bytes: &[u8]) {
        self.buf.instruction(|out| out.extend_from_slice(bytes));
        self.last = Opcode::of_bytes(self.gp, bytes);
    }

    fn inst(&mut self, inst: &Inst) {
        let mut bytes = Vec::new();
        inst.encode(self.gp, &mut bytes);
        self.plain(&bytes);
    }

    fn fixup(&mut self, fixup: Fixup, target: Reference) {
        self.last = Some(fixup.inst().op());
        self.buf.fixup(fixup, target);
    }

    /// Makes the current place the start of a basic block.
    fn start_block(&mut self) {
        if self.last.is_some_and(|last| !last.is_terminator()) {
            self.inst(&asm::fallthrough());
        }
    }

    /// Binds the mark at a place, if there is one.
    fn bind_mark(&mut self, marks: &mut Marks<'_>, place: Place) -> Option<Label> {
        let &(_, mark) = marks.next_if(|(at, _)| *at == place)?;
        self.start_block();
        let label = self.mark(mark);
        self.buf.bind(label);
        Some(label)
    }

    /// Whether nothing falls through to the current place.
    fn is_after_exit(&self) -> bool {
        self.last.is_none_or(|last| matches!(last, Opcode::Jump | Opcode::JumpInd | Opcode::Trap))
    }

    fn copy(&mut self, fragment: &Fragment<Fixup>, item: &Item) {
        let bytes = item.bytes(fragment);
        if !bytes.is_empty() {
            return self.plain(bytes);
        }
        let site = &fragment.fixups[item.place.fixups as usize];
        let target = match site.target {
            Reference::Label(label) => Reference::Label(self.label(label)),
            Reference::Func(func) => self.entry(func),
            Reference::None => Reference::None,
        };
        self.fixup(site.fixup.clone(), target);
    }

    /// Appends a piece; the function that it is placed before is next if `is_next`.
    fn piece(&mut self, fragment: &Fragment<Fixup>, piece: &Piece, is_next: bool) {
        let (mut at, mut marks) = (piece.range.start, piece.edits.marks.iter().peekable());
        while at < piece.range.end {
            self.bind_mark(&mut marks, at);
            let item = Item::at(fragment, at).expect("a piece is within its source");
            self.copy(fragment, &item);
            at = item.next;
        }
        self.bind_mark(&mut marks, at);
        let (to, is_next) = match piece.end {
            End::Inst(inst) => return self.inst(&inst),
            End::Function(_) => (entry_label(piece.before), is_next),
            End::Mark(mark) => (self.mark(mark), false),
        };
        match is_next {
            true => self.start_block(),
            false => self.fixup(Fixup::jump(self.gp, asm::jump(0)), Reference::Label(to)),
        }
    }

    /// Appends a function; returns its source locations.
    fn function(
        &mut self,
        part: usize,
        fragment: &Fragment<Fixup>,
        edits: &Edits,
    ) -> Vec<(Place, SourceLoc)> {
        let mut labels: Vec<(Place, Label)> =
            fragment.labels.iter().map(|(id, &place)| (place, id)).collect();
        labels.sort();
        let mut labels = labels.into_iter().peekable();
        let mut locs = fragment.locs.iter().peekable();
        let mut found = Vec::with_capacity(fragment.locs.len());
        let (mut marks, mut cuts) = (edits.marks.iter().peekable(), edits.cuts.iter().peekable());
        let jumps = if edits.cuts.is_empty() { IdVec::new() } else { count_jumps(fragment) };
        let mut at = START;
        self.buf.bind(entry_label(part));
        loop {
            let mark = self.bind_mark(&mut marks, at);
            let mut here = Vec::new();
            while let Some((_, label)) = labels.next_if(|(place, _)| *place <= at) {
                here.push(label);
                let label = self.label(label);
                self.buf.bind(label);
            }
            let cut = cuts.next_if(|cut| cut.range.start == at);
            if let Some(cut) = cut
                && !cut.instead.is_call()
                && self.is_after_exit()
                && here.iter().map(|&label| jumps[label]).sum::<u32>() <= MAX_REDIRECTED
            {
                let entry = (at == START).then(|| entry_label(part));
                let here = here.into_iter().map(|label| self.label(label)).chain(entry).chain(mark);
                let to = self.mark(cut.mark);
                self.redirected.extend(here.map(|label| (label, to)).collect::<Vec<_>>());
                at = cut.range.end;
                continue;
            }
            let Some(item) = Item::at(fragment, at) else { break };
            let next = cut.map_or(item.next, |cut| cut.range.end);
            let here = self.buf.here();
            while let Some(&(_, loc)) = locs.next_if(|(place, _)| *place < next) {
                found.push((here, loc));
            }
            match cut {
                None => self.copy(fragment, &item),
                Some(cut) => self.fixup(cut.instead.clone(), Reference::Label(self.mark(cut.mark))),
            }
            at = next;
        }
        found
    }
}
