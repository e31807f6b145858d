//! The function of each unit of code.

use std::ops::Range;

/// No function.
const NONE: u32 = u32::MAX;

/// The functions of a program, by units of its code: bytes or half-words, counted from the start of the code.
pub struct Functions {
    /// The index of the function in `starts`, of each unit.
    of: Vec<u32>,
    starts: Vec<u32>,
}

impl Functions {
    /// Code of so many units, without functions.
    pub fn new(units: usize) -> Self {
        Self { of: vec![NONE; units], starts: Vec::new() }
    }

    /// Adds a function with the address of its start. A range that isn't inside of the code, or begins in another function,
    /// doesn't count.
    pub fn add(&mut self, range: Range<usize>, start: u32) {
        if let Some(units) = self.of.get_mut(range).filter(|units| units.first() == Some(&NONE)) {
            units.fill(self.starts.len() as u32);
            self.starts.push(start);
        }
    }

    /// The start of the function at a unit.
    pub fn at(&self, unit: usize) -> Option<u32> {
        let index = self.of.get(unit).copied().filter(|&index| index != NONE)?;
        Some(self.starts[index as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_function_of_a_unit_counts() {
        let mut functions = Functions::new(10);
        functions.add(2..6, 102);
        functions.add(2..6, 999);
        functions.add(4..8, 999);
        functions.add(8..11, 999);
        functions.add(6..8, 106);
        let all: Vec<_> = (0..11).map(|unit| functions.at(unit)).collect();
        let (a, b) = (Some(102), Some(106));
        assert_eq!(all, [None, None, a, a, a, a, b, b, None, None, None]);
    }
}
