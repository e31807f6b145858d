//! Bounds of loops whose parameters are constants when they are entered.

use std::collections::BTreeMap;

use crate::interp::evaluate;
use crate::{Cond, InstData, Type, Value};

use super::{Body, Test};

/// Instructions of a test and its parameters, at most.
const MOST_INSTRUCTIONS: usize = 24;

/// The most executions of the header, if the test is known in every round.
pub fn bound(body: &Body, test: &Test, work: &mut u32) -> Option<u32> {
    let mut slice = Slice { body, limit: None, insts: Vec::new(), places: BTreeMap::new() };
    if let Some(limit) = limit(body, test) {
        // Nothing else may depend on the limit.
        slice.add(limit.other, 0)?;
        slice.limit = Some(limit);
    }
    slice.add(test.cond, 0)?;
    let parameters = slice.parameters();
    let mut most = 0;
    for entry in &body.entries {
        let starts = parameters.iter().map(|parameter| {
            let start = body.facts.func.as_const(entry[parameter.index])?;
            Some(truncated(body, entry[parameter.index], start as u64))
        });
        let starts: Vec<u64> = starts.collect::<Option<_>>()?;
        most = most.max(slice.run(&parameters, starts, test, work)?);
    }
    Some(most)
}

/// A value from outside that the test compares with, and the constant that stands for it: the loop goes on for at least as
/// many rounds with the constant as with any value that it may have.
#[derive(Clone, Copy)]
struct Limit {
    value: Value,
    stands_for: u64,
    /// The other side of the comparison.
    other: Value,
    /// Whether the test leaves only where both sides are equal. Then the other side must count 0, 1, 2 and so on.
    is_exact: bool,
}

/// The limit of a comparison.
fn limit(body: &Body, test: &Test) -> Option<Limit> {
    let Some(&InstData::Icmp { cond, ty, args: [left, right] }) = body.def(test.cond) else { return None };
    let leaves = if test.leaves { cond } else { cond.inverse() };
    let is_limit = |value| body.facts.func.as_const(value).is_none() && body.is_outside(value);
    let (leaves, other, value) = match (is_limit(left), is_limit(right)) {
        (false, true) => (leaves, left, right),
        (true, false) => (leaves.swapped(), right, left),
        _ => return None,
    };
    let known = body.facts.known[value];
    let is_known = known.unsigned < ty.bits();
    let highest = (1u64 << known.unsigned.min(63)) - 1;
    let (stands_for, is_exact) = match leaves {
        // `other >= value` leaves at the latest where `other` is at least the highest value.
        Cond::GeU | Cond::GtU | Cond::GeS | Cond::GtS if is_known => (highest, false),
        Cond::LeU | Cond::LtU => (0, false),
        Cond::LeS | Cond::LtS if is_known => (0, false),
        Cond::Eq if is_known => (highest, true),
        _ => return None,
    };
    Some(Limit { value, stands_for, other, is_exact })
}

/// A parameter of the header that the test depends on, as a place in the slice, and the place of its next value.
struct Parameter {
    index: usize,
    place: usize,
    next: usize,
}

/// The values that a test depends on, each with a place. Operands come first.
struct Slice<'a> {
    body: &'a Body<'a>,
    limit: Option<Limit>,
    insts: Vec<Value>,
    places: BTreeMap<Value, usize>,
}

impl Slice<'_> {
    /// Adds a value with all it depends on. `None` if it isn't known in every round.
    fn add(&mut self, value: Value, depth: usize) -> Option<()> {
        if self.places.contains_key(&value) {
            return Some(());
        }
        if depth.max(self.insts.len()) >= MOST_INSTRUCTIONS {
            return None;
        }
        let is_limit = self.limit.is_some_and(|limit| limit.value == value);
        let next = self.body.parameter(value).filter(|_| !is_limit);
        if let Some(index) = next {
            self.place(value);
            return self.add(self.body.next(index)?, depth + 1);
        }
        if !is_limit {
            let data = self.body.def(value)?;
            if !matches!(data, InstData::Const { .. }) && self.body.is_outside(value) {
                return None;
            }
            is_pure(data).then_some(())?;
            let mut operands = Vec::new();
            data.for_each_arg(|operand| operands.push(operand));
            operands.into_iter().try_for_each(|operand| self.add(operand, depth + 1))?;
        }
        self.place(value);
        Some(())
    }

    fn place(&mut self, value: Value) {
        // A cycle goes through a parameter, which has its place before its next value.
        self.places.entry(value).or_insert_with(|| {
            self.insts.push(value);
            self.insts.len() - 1
        });
    }

    fn parameters(&self) -> Vec<Parameter> {
        let parameter = |(place, &value): (usize, &Value)| {
            let index = self.body.parameter(value)?;
            let next = self.places[&self.body.next(index)?];
            Some(Parameter { index, place, next })
        };
        self.insts.iter().enumerate().filter_map(parameter).collect()
    }

    /// Executes rounds until the test leaves.
    fn run(&self, parameters: &[Parameter], starts: Vec<u64>, test: &Test, work: &mut u32) -> Option<u32> {
        let mut bits = vec![0; self.insts.len()];
        for (parameter, start) in parameters.iter().zip(starts) {
            bits[parameter.place] = start;
        }
        for round in 0.. {
            *work = work.checked_sub(self.insts.len() as u32)?;
            self.round(&mut bits)?;
            let exact = self.limit.filter(|limit| limit.is_exact);
            if exact.is_some_and(|limit| bits[self.places[&limit.other]] != u64::from(round)) {
                return None;
            }
            if (bits[self.places[&test.cond]] != 0) == test.leaves {
                return Some(round + 1);
            }
            let next: Vec<u64> = parameters.iter().map(|parameter| bits[parameter.next]).collect();
            if parameters.iter().zip(&next).all(|(parameter, &next)| bits[parameter.place] == next) {
                return None;
            }
            for (parameter, next) in parameters.iter().zip(next) {
                bits[parameter.place] = next;
            }
        }
        None
    }

    /// Executes one round: all but the parameters.
    fn round(&self, bits: &mut [u64]) -> Option<()> {
        for (place, &value) in self.insts.iter().enumerate() {
            if let Some(limit) = self.limit.filter(|limit| limit.value == value) {
                bits[place] = limit.stands_for;
            } else if self.body.parameter(value).is_none() {
                let mut operand = |value: Value| {
                    Some((self.body.facts.func.values[value].ty, bits[*self.places.get(&value)?]))
                };
                bits[place] = evaluate(self.body.def(value)?, &mut operand)?;
            }
        }
        Some(())
    }
}

const fn is_pure(data: &InstData) -> bool {
    matches!(
        data,
        InstData::Const { .. }
            | InstData::Unary { .. }
            | InstData::Binary { .. }
            | InstData::Icmp { .. }
            | InstData::Select { .. }
    )
}

/// The bits of a constant at the width of a value.
fn truncated(body: &Body, value: Value, bits: u64) -> u64 {
    match body.facts.func.values[value].ty {
        Type::I32 | Type::F32 => bits & u64::from(u32::MAX),
        Type::I64 | Type::F64 => bits,
    }
}
