//! Addresses as sums of other values and a constant.

use std::collections::BTreeMap;

use prepare::sums::{Form, forms};
use ssa::{Block, Function, IdVec, Value};

/// What addresses that differ by a constant have in common.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Root {
    /// A value.
    Value(Value),
    /// A sum of multiples of values, by its number.
    Terms(u32),
}

/// The address `root + offset` modulo 2^32.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sum {
    pub root: Root,
    pub offset: u32,
}

impl Sum {
    /// `self - other`, if it is a constant.
    pub fn minus(self, other: Self) -> Option<u32> {
        (self.root == other.root).then_some(self.offset.wrapping_sub(other.offset))
    }
}

/// The sums of a function's values.
pub struct Sums {
    of: IdVec<Value, Sum>,
    /// The terms of roots by their numbers.
    terms: Vec<Vec<(Value, u32)>>,
    /// The addresses that clamped values stand for.
    clamped: BTreeMap<Value, Sum>,
}

impl Sums {
    /// The sums of the values that a function has now.
    pub fn of(func: &Function, order: &[Block]) -> Self {
        let mut numbers = BTreeMap::new();
        let mut sum = |form: &Form| {
            let root = match form.terms[..] {
                [(value, 1)] => Root::Value(value),
                _ => {
                    let next = numbers.len() as u32;
                    Root::Terms(*numbers.entry(form.terms.clone()).or_insert(next))
                }
            };
            Sum { root, offset: form.constant }
        };
        let of = forms(func, order).values().map(&mut sum).collect();
        let mut terms = vec![Vec::new(); numbers.len()];
        numbers.into_iter().for_each(|(form, number)| terms[number as usize] = form);
        Self { of, terms, clamped: BTreeMap::new() }
    }

    /// The values with factors whose sum a root is.
    pub fn terms(&self, root: Root) -> Vec<(Value, u32)> {
        match root {
            Root::Value(value) => vec![(value, 1)],
            Root::Terms(number) => self.terms[number as usize].clone(),
        }
    }

    /// A value as a sum. One that is newer than this is a sum of its own, unless it is clamped.
    pub fn get(&self, value: Value) -> Sum {
        let itself = Sum { root: Root::Value(value), offset: 0 };
        let known = self.of.get(value).or_else(|| self.clamped.get(&value));
        known.copied().unwrap_or(itself)
    }

    /// Says that a new value is an address that may have been clamped.
    pub fn clamp(&mut self, value: Value, address: Sum) {
        self.clamped.insert(value, address);
    }

    /// Whether a value is an address that may have been clamped.
    pub fn is_clamped(&self, value: Value) -> bool {
        self.clamped.contains_key(&value)
    }
}
