//! Live intervals and their pieces.
//!
//! A virtual register's interval is split into pieces, each of which is in one register or in memory. Memory is the
//! value's spill slot; a value that can be rematerialised is stored nowhere. The pieces of a register are disjoint,
//! ascending, and cover its interval. Ranges and uses are never copied. A piece is a window into those of its register,
//! clipped to its bounds, so a split takes a binary search.

use ssa::{IdVec, entity_id};

use super::linear::{LinearFunction, Point};
use super::liveness::{Lifetimes, Range, Use};
use crate::mir::{PReg, VReg};

entity_id! {
    /// A piece of a live interval.
    Piece = "p";
}

/// The location of a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Location {
    /// Not decided.
    Open,
    /// In a register.
    Reg(PReg),
    /// In the spill slot, or rematerialised where it is needed.
    Memory,
}

/// The reason for the split at the start of a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// No split: the interval begins here.
    Whole,
    /// The previous piece had to leave its register.
    Leave,
    /// A use needs a register here.
    Reload,
    /// A later use needs a register, and this is a colder place to reload.
    HoistedReload,
    /// The previous piece would have been too long.
    Continuation,
}

/// A piece.
#[derive(Clone, Copy, Debug)]
pub struct PieceData {
    /// The register whose interval it belongs to.
    pub vreg: VReg,
    /// First point; the register is live there.
    pub from: Point,
    /// End (exclusive).
    pub to: Point,
    /// Its location.
    pub location: Location,
    /// The reason for its start at `from`.
    pub origin: Origin,
    first_range: u32,
    end_range: u32,
    first_use: u32,
    end_use: u32,
}

/// All pieces.
#[derive(Debug)]
pub struct Intervals {
    /// Ranges and uses.
    pub life: Lifetimes,
    pieces: IdVec<Piece, PieceData>,
    /// The first piece of each register that is live anywhere.
    first: IdVec<VReg, Option<Piece>>,
    /// Index in `families` of registers with more than one piece.
    family: IdVec<VReg, Option<u32>>,
    families: Vec<Vec<Piece>>,
}

impl Intervals {
    /// One piece for each register that is live anywhere.
    pub fn new(linear: &LinearFunction) -> Self {
        let life = Lifetimes::new(linear);
        let mut pieces = IdVec::new();
        let mut first = IdVec::new();
        for vreg in linear.defs.ids() {
            let (ranges, uses) = (life.range_span(vreg), life.use_span(vreg));
            first.push((!ranges.is_empty()).then(|| {
                pieces.push(PieceData {
                    vreg,
                    from: life.ranges[ranges.start].from,
                    to: life.ranges[ranges.end - 1].to,
                    location: Location::Open,
                    origin: Origin::Whole,
                    first_range: ranges.start as u32,
                    end_range: ranges.end as u32,
                    first_use: uses.start as u32,
                    end_use: uses.end as u32,
                })
            }));
        }
        let family = IdVec::filled(None, first.len());
        Self { life, pieces, first, family, families: Vec::new() }
    }

    /// A piece.
    pub fn get(&self, piece: Piece) -> &PieceData {
        &self.pieces[piece]
    }

    /// Mutable access to a piece.
    pub fn get_mut(&mut self, piece: Piece) -> &mut PieceData {
        &mut self.pieces[piece]
    }

    /// All pieces, in order of creation.
    pub fn ids(&self) -> impl Iterator<Item = Piece> + use<> {
        self.pieces.ids()
    }

    /// The ranges of a piece.
    pub fn ranges(&self, piece: Piece) -> impl Iterator<Item = Range> + '_ {
        let data = self.pieces[piece];
        self.life.ranges[data.first_range as usize..data.end_range as usize]
            .iter()
            .map(move |range| Range { from: range.from.max(data.from), to: range.to.min(data.to) })
    }

    /// The start of the range with this index in the piece, if the piece has that many.
    pub fn nth_range(&self, piece: Piece, index: usize) -> Option<Point> {
        let data = &self.pieces[piece];
        let index = data.first_range as usize + index;
        (index < data.end_range as usize).then(|| self.life.ranges[index].from)
    }

    /// The uses of a piece.
    pub fn uses(&self, piece: Piece) -> &[Use] {
        let data = &self.pieces[piece];
        &self.life.uses[data.first_use as usize..data.end_use as usize]
    }

    /// The uses of a piece from a point on.
    pub fn uses_from(&self, piece: Piece, point: Point) -> &[Use] {
        let uses = self.uses(piece);
        &uses[uses.partition_point(|a_use| a_use.at < point)..]
    }

    /// Pieces of a register, ascending.
    pub fn pieces_of(&self, vreg: VReg) -> &[Piece] {
        match self.family[vreg] {
            Some(family) => &self.families[family as usize],
            None => self.first[vreg].as_slice(),
        }
    }

    /// Whether the register has more than one piece.
    pub fn is_split(&self, vreg: VReg) -> bool {
        self.family[vreg].is_some()
    }

    /// The piece of a register at a point where it is live.
    pub fn piece_at(&self, vreg: VReg, point: Point) -> Option<Piece> {
        let pieces = self.pieces_of(vreg);
        let after = pieces.partition_point(|&piece| self.pieces[piece].from <= point);
        pieces[..after].last().copied()
    }

    /// The location of a register at a point where it is live.
    pub fn location_at(&self, vreg: VReg, point: Point) -> Option<Location> {
        self.piece_at(vreg, point).map(|piece| self.pieces[piece].location)
    }

    /// The previous and the next piece in the register's interval.
    pub fn neighbours(&self, piece: Piece) -> (Option<Piece>, Option<Piece>) {
        let data = &self.pieces[piece];
        let pieces = self.pieces_of(data.vreg);
        let index = pieces.partition_point(|&other| self.pieces[other].from < data.from);
        (index.checked_sub(1).map(|before| pieces[before]), pieces.get(index + 1).copied())
    }

    /// Splits a piece at a point strictly inside its bounds. Returns the new piece, which begins there or, if the
    /// point is in a hole, where the register is live next.
    pub fn split(&mut self, piece: Piece, at: Point, origin: Origin) -> Piece {
        let old = self.pieces[piece];
        assert!(
            old.from < at && at < old.to,
            "{piece} of {} is split outside its bounds, at {at:?}",
            old.vreg
        );
        let ranges = &self.life.ranges[old.first_range as usize..old.end_range as usize];
        let tail_range = old.first_range + ranges.partition_point(|range| range.to <= at) as u32;
        let head_end = old.first_range + ranges.partition_point(|range| range.from < at) as u32;
        let tail_use = old.first_use + self.uses(piece).partition_point(|a_use| a_use.at < at) as u32;
        let from = self.life.ranges[tail_range as usize].from.max(at);
        let head_to = self.life.ranges[head_end as usize - 1].to.min(at);
        let tail = self.pieces.push(PieceData {
            from,
            location: Location::Open,
            origin,
            first_range: tail_range,
            first_use: tail_use,
            ..old
        });
        let head = &mut self.pieces[piece];
        head.to = head_to;
        head.end_range = head_end;
        head.end_use = tail_use;
        self.adopt(old.vreg, piece, tail);
        tail
    }

    /// Inserts `tail` after `piece` in the register's list.
    fn adopt(&mut self, vreg: VReg, piece: Piece, tail: Piece) {
        let family = *self.family[vreg].get_or_insert_with(|| {
            self.families.push(vec![piece]);
            self.families.len() as u32 - 1
        });
        let pieces = &mut self.families[family as usize];
        let index = pieces.iter().rposition(|&other| other == piece).expect("a piece is in its family");
        pieces.insert(index + 1, tail);
    }
}
