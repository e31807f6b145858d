//! Operators on bits: the width of lanes doesn't matter, and neither does that of words.

use inkwell::values::IntValue;

use super::super::Translator;
use super::super::ir::Ir;
use super::words::{Vector, int};

/// Translates an operator of this family; returns false if it belongs to another.
pub fn translate(t: &mut Translator<'_, '_, '_>, operation: &str) -> bool {
    match operation {
        "not" => {
            let a = t.pop_vector();
            let words =
                a.words.iter().map(|&word| t.ir().xor(word, word.get_type().const_all_ones())).collect();
            t.push_vector(words);
        }
        "and" => t.bitwise(Ir::and),
        "or" => t.bitwise(Ir::or),
        "xor" => t.bitwise(Ir::xor),
        "andnot" => {
            t.bitwise(|ir, a, b| ir.and(a, ir.xor(b, b.get_type().const_all_ones())));
        }
        // A lane is selected by all of its bits.
        "bitselect" | "relaxed_laneselect" => t.bitselect(),
        "any_true" => {
            let any = t.any_word();
            let any = t.ir().is_nonzero(any);
            t.push_bool(any);
        }
        _ => return false,
    }
    true
}

impl<'ctx> Translator<'_, 'ctx, '_> {
    fn bitwise(&mut self, operation: impl Fn(&Ir<'ctx>, IntValue<'ctx>, IntValue<'ctx>) -> IntValue<'ctx>) {
        let (b, a) = (self.pop_vector(), self.pop_vector());
        let bits = self.common_bits(&[&a, &b]);
        let ir = self.ir();
        let pairs = a.words(ir, bits).into_iter().zip(b.words(ir, bits));
        let words = pairs.map(|(a, b)| operation(ir, a, b)).collect();
        self.push_vector(words);
    }

    /// The bits of `a` where the mask is set, else those of `b`.
    fn bitselect(&mut self) {
        let (mask, b, a) = (self.pop_vector(), self.pop_vector(), self.pop_vector());
        let bits = self.common_bits(&[&a, &b, &mask]);
        let ir = self.ir();
        let [mask, b, a] = [mask, b, a].map(|vector| vector.words(ir, bits));
        let select = |n: usize| ir.xor(b[n], ir.and(ir.xor(a[n], b[n]), mask[n]));
        let words = (0..a.len()).map(select).collect();
        self.push_vector(words);
    }

    /// Pops a vector; the disjunction of its words.
    fn any_word(&mut self) -> IntValue<'ctx> {
        let Vector { words } = self.pop_vector();
        words.into_iter().reduce(|a, b| self.ir().or(a, b)).expect("a vector has words")
    }

    /// Pushes the vector that has a scalar in each lane.
    pub fn splat(&mut self, bits: u32, value: IntValue<'ctx>) {
        if bits >= 32 {
            return self.push_lanes(&vec![value; (128 / bits) as usize]);
        }
        let packed = self.packed(bits);
        let lane = self.ir().trunc(value, int(self.ir(), bits));
        let word = self.ir().mul(self.ir().zext(lane, packed.word), packed.splat(1));
        let count = 128 / self.plan.bits as usize;
        self.push_vector(vec![word; count]);
    }
}
