//! The positions of code that ran, as one bit per byte of code.

/// Positions that ran.
pub struct Visits {
    words: Vec<u64>,
}

impl Visits {
    /// No position of code with this many bytes.
    pub fn new(code: usize) -> Self {
        Self { words: vec![0; code.div_ceil(64)] }
    }

    /// A position ran. Positions after the code count as traps of the machine and have no bit.
    pub fn visit(&mut self, pc: u32) {
        if let Some(word) = self.words.get_mut(pc as usize / 64) {
            *word |= 1 << (pc % 64);
        }
    }

    /// Removes all positions, in ascending order.
    pub fn take(&mut self) -> Vec<u32> {
        let mut visited = Vec::new();
        for (start, word) in (0u32..).step_by(64).zip(&mut self.words) {
            let mut bits = std::mem::take(word);
            while bits != 0 {
                visited.push(start + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
        visited
    }
}

#[cfg(test)]
mod tests {
    use super::Visits;

    #[test]
    fn positions_are_taken_once() {
        let mut visits = Visits::new(130);
        for pc in [129, 0, 63, 64, 0, 4000] {
            visits.visit(pc);
        }
        assert_eq!(visits.take(), [0, 63, 64, 129]);
        assert_eq!(visits.take(), []);
    }
}
