//! The operand stack.
//!
//! An operand is a wasm value: one or more parts ([`wasm_program::types::lower_type`]), which lie next to each other. Heights
//! and counts are in operands, as in wasm. The parts of several operands in a row are one slice, so blocks, calls and
//! returns pass parts without looking at operands.

/// A stack of operands with parts of type `T`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operands<T> {
    parts: Vec<T>,
    /// By operand: the index after its last part.
    ends: Vec<usize>,
}

impl<T> Default for Operands<T> {
    fn default() -> Self {
        Self { parts: Vec::new(), ends: Vec::new() }
    }
}

impl<T> Operands<T> {
    /// Number of operands.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The parts of all operands.
    pub fn parts(&self) -> &[T] {
        &self.parts
    }

    /// The parts of all operands.
    pub fn into_parts(self) -> Vec<T> {
        self.parts
    }

    /// Pushes an operand.
    pub fn push(&mut self, parts: impl IntoIterator<Item = T>) {
        self.parts.extend(parts);
        self.ends.push(self.parts.len());
    }

    /// Pops an operand.
    pub fn pop(&mut self) -> Vec<T> {
        let height = self.len().checked_sub(1).expect("validated: the operand stack is not empty");
        self.split_off(height).parts
    }

    /// Pops an operand of one part.
    pub fn pop_one(&mut self) -> T {
        self.ends.pop();
        let part = self.parts.pop().expect("validated: the operand stack is not empty");
        debug_assert_eq!(self.parts.len(), self.start(self.len()), "the operand has one part");
        part
    }

    /// The parts of the topmost operands.
    pub fn top(&self, count: usize) -> &[T] {
        &self.parts[self.start(self.len() - count)..]
    }

    /// The topmost operands, each by its parts.
    pub fn top_values(&self, count: usize) -> impl Iterator<Item = &[T]> {
        (self.len() - count..self.len()).map(|operand| &self.parts[self.start(operand)..self.ends[operand]])
    }

    /// Copies of the topmost operands.
    pub fn top_operands(&self, count: usize) -> Self
    where
        T: Clone,
    {
        let height = self.len() - count;
        let start = self.start(height);
        Self {
            parts: self.parts[start..].to_vec(),
            ends: self.ends[height..].iter().map(|end| end - start).collect(),
        }
    }

    /// Removes and returns all operands above a height.
    pub fn split_off(&mut self, height: usize) -> Self {
        let start = self.start(height);
        let parts = self.parts.split_off(start);
        let ends = self.ends.split_off(height).into_iter().map(|end| end - start).collect();
        Self { parts, ends }
    }

    /// Removes all operands above a height.
    pub fn truncate(&mut self, height: usize) {
        self.parts.truncate(self.start(height));
        self.ends.truncate(height);
    }

    /// Pushes all operands of another stack.
    pub fn extend(&mut self, others: Self) {
        let start = self.parts.len();
        self.parts.extend(others.parts);
        self.ends.extend(others.ends.into_iter().map(|end| start + end));
    }

    /// Operands of the same shape, with other parts.
    pub fn map<U>(&self, convert: impl FnMut(&T) -> U) -> Operands<U> {
        Operands { parts: self.parts.iter().map(convert).collect(), ends: self.ends.clone() }
    }

    /// The index of the first part above a height.
    fn start(&self, height: usize) -> usize {
        height.checked_sub(1).map_or(0, |below| self.ends[below])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(operands: &[&[u32]]) -> Operands<u32> {
        let mut stack = Operands::default();
        operands.iter().for_each(|parts| stack.push(parts.iter().copied()));
        stack
    }

    #[test]
    fn operands_of_several_parts_keep_their_shape() {
        let mut all = stack(&[&[1], &[2, 3], &[4], &[5, 6]]);
        assert_eq!((all.len(), all.top(3)), (4, &[2, 3, 4, 5, 6][..]));
        let moved = all.split_off(1);
        assert_eq!(all, stack(&[&[1]]));
        all.extend(moved.map(|part| part * 10));
        assert_eq!(all, stack(&[&[1], &[20, 30], &[40], &[50, 60]]));
        assert_eq!(all.pop(), [50, 60]);
        assert_eq!(all.pop_one(), 40);
        all.truncate(1);
        assert_eq!(all.parts(), [1]);
        all.truncate(0);
        assert_eq!(all, Operands::default());
    }
}
