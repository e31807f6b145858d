//! Occupancy of physical registers: by instructions and by placed pieces.
//!
//! The scan asks for the first point at which a piece would conflict with another user of a register. The reservations
//! of instructions are known in advance and sorted. The ranges of placed pieces are in an ordered map per register.
//! The scan only moves forward, so ranges that end before its position are dropped and the maps stay small. When all
//! pieces are placed, [`Settled`] has one sorted list of ranges per register.

use std::collections::BTreeMap;

use super::intervals::{Intervals, Location, Piece};
use super::linear::{Point, Reservation};
use super::liveness::Range;
use crate::mir::{PReg, VReg};

/// The occupancy of one physical register.
#[derive(Debug, Default)]
pub struct Occupancy {
    reservations: Vec<Reservation>,
    passed: usize,
    /// Ranges of placed pieces by first point.
    placed: BTreeMap<Point, (Point, Piece)>,
}

impl Occupancy {
    /// A register without placed pieces.
    pub const fn new(reservations: Vec<Reservation>) -> Self {
        Self { reservations, passed: 0, placed: BTreeMap::new() }
    }

    /// Drops reservations and ranges that end before `point`.
    fn advance(&mut self, point: Point) {
        while self.reservations.get(self.passed).is_some_and(|reservation| reservation.to <= point) {
            self.passed += 1;
        }
        while self.placed.first_key_value().is_some_and(|(_, entry)| entry.0 <= point) {
            self.placed.pop_first();
        }
    }

    /// The first point of the piece at which an instruction reserves the register for something else.
    pub fn first_reserved(&self, intervals: &Intervals, piece: Piece) -> Option<Point> {
        let vreg = intervals.get(piece).vreg;
        let mut rest = &self.reservations[self.passed..];
        for range in intervals.ranges(piece) {
            rest = &rest[skip_before(rest, range.from)..];
            let reserved = reserved_in(rest, range, vreg);
            if rest.is_empty() || reserved.is_some() {
                return reserved;
            }
        }
        None
    }

    /// The first point of the piece at which another piece occupies the register.
    pub fn first_placed(&self, intervals: &Intervals, piece: Piece) -> Option<Point> {
        let (&last, &(end, _)) = self.placed.last_key_value()?;
        for range in intervals.ranges(piece) {
            if range.from >= end && range.from >= last {
                return None;
            }
            if let Some((from, _)) = self.meeting(range).next() {
                return Some(from.max(range.from));
            }
        }
        None
    }

    /// The pieces that occupy the register in the range, ascending, with the first conflicting point.
    pub fn meeting(&self, range: Range) -> impl Iterator<Item = (Point, Piece)> + '_ {
        let before =
            self.placed.range(..=range.from).next_back().filter(move |(_, entry)| entry.0 > range.from);
        let after = self.placed.range(range.from.next()..).take_while(move |(from, _)| **from < range.to);
        before.into_iter().chain(after).map(move |(&from, &(_, piece))| (from.max(range.from), piece))
    }

    /// Adds a placed piece.
    pub fn insert(&mut self, intervals: &Intervals, piece: Piece) {
        for range in intervals.ranges(piece) {
            let met = self.placed.insert(range.from, (range.to, piece));
            debug_assert!(met.is_none(), "two pieces begin in one register at one point");
        }
    }

    /// Removes the part of a piece from `point` on; the piece itself is not split yet.
    pub fn remove_from(&mut self, intervals: &Intervals, piece: Piece, point: Point) {
        for range in intervals.ranges(piece).filter(|range| range.to > point) {
            let entry = self.placed.remove(&range.from);
            debug_assert!(entry.is_none_or(|entry| entry == (range.to, piece)));
            if range.from < point && entry.is_some() {
                self.placed.insert(range.from, (point, piece));
            }
        }
    }
}

/// The number of reservations that end at or before `point`; usually none or few.
fn skip_before(reservations: &[Reservation], point: Point) -> usize {
    let near = reservations.iter().take(4).take_while(|reservation| reservation.to <= point).count();
    if near < 4 {
        return near;
    }
    4 + reservations[4..].partition_point(|reservation| reservation.to <= point)
}

fn reserved_in(reservations: &[Reservation], range: Range, vreg: VReg) -> Option<Point> {
    reservations
        .iter()
        .take_while(|reservation| reservation.from < range.to)
        .find(|reservation| reservation.to > range.from && reservation.holds != Some(vreg))
        .map(|reservation| reservation.from.max(range.from))
}

/// One occupancy per physical register.
#[derive(Debug)]
pub struct Registers(Vec<Occupancy>);

impl Registers {
    /// Registers with their reservations.
    pub fn new(reservations: &[Vec<Reservation>]) -> Self {
        Self(reservations.iter().map(|list| Occupancy::new(list.clone())).collect())
    }

    /// Drops reservations and ranges that end before `point`.
    pub fn advance(&mut self, point: Point) {
        self.0.iter_mut().for_each(|occupancy| occupancy.advance(point));
    }
}

/// The final occupancy of each physical register: sorted ranges that don't touch.
#[derive(Debug)]
pub struct Settled(Vec<Vec<Range>>);

impl Settled {
    /// The occupancy when all pieces are placed.
    pub fn new(reservations: &[Vec<Reservation>], intervals: &Intervals) -> Self {
        let as_range = |reservation: &Reservation| Range { from: reservation.from, to: reservation.to };
        let mut taken: Vec<Vec<Range>> =
            reservations.iter().map(|list| list.iter().map(as_range).collect()).collect();
        for piece in intervals.ids() {
            if let Location::Reg(reg) = intervals.get(piece).location {
                taken[reg.index()].extend(intervals.ranges(piece));
            }
        }
        for list in &mut taken {
            list.sort_unstable_by_key(|range| (range.from, range.to));
            list.dedup_by(|next, last| {
                let meets = next.from <= last.to;
                if meets {
                    last.to = last.to.max(next.to);
                }
                meets
            });
        }
        Self(taken)
    }

    /// Whether the register is free at all of the points.
    pub fn is_free_at(&self, reg: PReg, points: [Point; 2]) -> bool {
        let list = &self.0[reg.index()];
        points.iter().all(|&point| {
            let after = list.partition_point(|range| range.from <= point);
            after == 0 || list[after - 1].to <= point
        })
    }
}

impl std::ops::Index<PReg> for Registers {
    type Output = Occupancy;
    fn index(&self, reg: PReg) -> &Occupancy {
        &self.0[reg.index()]
    }
}

impl std::ops::IndexMut<PReg> for Registers {
    fn index_mut(&mut self, reg: PReg) -> &mut Occupancy {
        &mut self.0[reg.index()]
    }
}
