//! Integer operators whose results have wider or narrower lanes than their operands.

use inkwell::values::IntValue;
use wasm_program::vectors::Lanes;

use super::super::Translator;
use super::words::{Vector, int};

/// The half of a vector that is extended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Half {
    Low,
    High,
}

/// Translates an operator of this family; returns false if it belongs to another.
pub fn translate(t: &mut Translator<'_, '_, '_>, lanes: Lanes, operation: &str) -> bool {
    let from = operation.split('_').find_map(Lanes::of_name).unwrap_or(lanes).bits();
    let half = if operation.contains("_high_") { Half::High } else { Half::Low };
    let is_signed = operation.ends_with("_s");
    match operation {
        "q15mulr_sat_s" | "relaxed_q15mulr_s" => t.fixed_point_product(),
        "dot_i16x8_s" => t.dot(),
        "relaxed_dot_i8x16_i7x16_s" => t.small_dot(),
        "relaxed_dot_i8x16_i7x16_add_s" => {
            let sum = t.pop_lanes(32);
            t.small_dot();
            t.add_pairs(16, true);
            t.push_vector(sum);
            t.zip_lanes(32, |t, a, b| t.ir().add(a, b));
        }
        _ if operation.starts_with("extend_") => t.extend(from, half, is_signed),
        _ if operation.starts_with("extmul_") => t.extended_product(from, half, is_signed),
        _ if operation.starts_with("extadd_") => t.add_pairs(from, is_signed),
        _ if operation.starts_with("narrow_") => t.narrow(from, is_signed),
        _ => return false,
    }
    true
}

impl<'ctx> Translator<'_, 'ctx, '_> {
    /// An integer in a type of twice its width or more.
    fn extended(&self, value: IntValue<'ctx>, bits: u32, is_signed: bool) -> IntValue<'ctx> {
        let ir = self.ir();
        if is_signed { ir.sext(value, int(ir, bits)) } else { ir.zext(value, int(ir, bits)) }
    }

    /// Replaces a vector by half of its lanes, with twice the width.
    pub fn extend(&mut self, bits: u32, half: Half, is_signed: bool) {
        let vector = self.pop_vector();
        if bits == 8 {
            let words = self.extended_bytes(&vector, half, is_signed);
            return self.push_vector(words);
        }
        let lanes = vector.lanes(self.ir(), bits);
        let (low, high) = lanes.split_at(lanes.len() / 2);
        let lanes = if half == Half::Low { low } else { high };
        let lanes: Vec<_> = lanes.iter().map(|&lane| self.extended(lane, bits * 2, is_signed)).collect();
        self.push_lanes(&lanes);
    }

    fn extended_bytes(&self, vector: &Vector<'ctx>, half: Half, is_signed: bool) -> Vec<IntValue<'ctx>> {
        let packed = self.packed(8);
        let words = vector.words(self.ir(), self.plan.bits);
        let (low, high) = words.split_at(words.len() / 2);
        let middle = self.plan.bits / 2;
        let mask = packed.number((1 << middle) - 1);
        let halves = |&word: &IntValue<'ctx>| [self.ir().and(word, mask), packed.right(word, middle)];
        let halves = if half == Half::Low { low } else { high }.iter().flat_map(halves);
        halves.map(|half| packed.extend_half(half, is_signed)).collect()
    }

    fn extended_product(&mut self, bits: u32, half: Half, is_signed: bool) {
        let b = self.stack.pop();
        self.extend(bits, half, is_signed);
        self.stack.push(b);
        self.extend(bits, half, is_signed);
        if bits == 8 {
            self.zip_words(16, |p, a, b| p.mul(a, b));
        } else {
            self.zip_lanes(bits * 2, |t, a, b| t.ir().mul(a, b));
        }
    }

    /// Sums of neighbours.
    fn add_pairs(&mut self, bits: u32, is_signed: bool) {
        if bits == 8 {
            return self.map_words(8, |p, word| {
                let (even, odd) = (p.extend_even(word, is_signed), p.extend_odd(word, is_signed));
                if is_signed { p.twice().add(even, odd) } else { p.ir.add(even, odd) }
            });
        }
        let lanes = self.pop_lanes(bits);
        let sums: Vec<_> = lanes
            .chunks(2)
            .map(|pair| {
                let [a, b] = [pair[0], pair[1]].map(|lane| self.extended(lane, bits * 2, is_signed));
                self.ir().add(a, b)
            })
            .collect();
        self.push_lanes(&sums);
    }

    /// Limits the signed lanes of two vectors to half their width.
    fn narrow(&mut self, bits: u32, is_signed: bool) {
        let (b, a) = (self.pop_vector(), self.pop_vector());
        if bits == 16 {
            let packed = self.packed(16);
            let words: Vec<_> = [a, b].iter().flat_map(|one| one.words(self.ir(), self.plan.bits)).collect();
            let narrow: Vec<_> = words.iter().map(|&word| packed.narrow(word, is_signed)).collect();
            let middle = self.plan.bits / 2;
            let join = |pair: &[IntValue<'ctx>]| self.ir().or(pair[0], packed.left(pair[1], middle));
            let words = narrow.chunks(2).map(join).collect();
            return self.push_vector(words);
        }
        let range = if is_signed { (i16::MIN.into(), i16::MAX.into()) } else { (0, u16::MAX.into()) };
        let lanes: Vec<_> = [a, b].iter().flat_map(|one| one.lanes(self.ir(), 32)).collect();
        let limited: Vec<_> = lanes.into_iter().map(|lane| self.limited(lane, range.0, range.1)).collect();
        let ir = self.ir();
        let join = |pair: &[IntValue<'ctx>]| {
            let low = ir.and(pair[0], ir.c32(u16::MAX.into()));
            ir.or(low, ir.shl(pair[1], ir.c32(16)))
        };
        let words = limited.chunks(2).map(join).collect();
        self.push_vector(words);
    }

    /// `(a * b + 2^14) >> 15`, limited to 16 bits.
    fn fixed_point_product(&mut self) {
        self.zip_lanes(16, |t, a, b| {
            let product = t.ir().mul(t.extended(a, 32, true), t.extended(b, 32, true));
            let rounded = t.ir().add(product, t.ir().c32(1 << 14));
            let shifted = t.ir().ashr(rounded, t.ir().c32(15));
            // Only the product of two least numbers is too large.
            let limited = t.intrinsic("llvm.smin", &[shifted, t.ir().c32(i16::MAX as u32)]);
            t.ir().trunc(limited, t.ir().i16)
        });
    }

    /// Sums of the products of neighbours, both of 16 bits.
    fn dot(&mut self) {
        let (b, a) = (self.pop_lanes(16), self.pop_lanes(16));
        let sums = self.sums_of_products(&a, &b, 32);
        self.push_lanes(&sums);
    }

    /// Sums of the products of neighbours, both of 8 bits and signed, modulo 2^16.
    fn small_dot(&mut self) {
        let (b, a) = (self.pop_lanes(8), self.pop_lanes(8));
        let sums = self.sums_of_products(&a, &b, 32);
        let ir = self.ir();
        let sums: Vec<_> = sums.into_iter().map(|sum| ir.trunc(sum, ir.i16)).collect();
        self.push_lanes(&sums);
    }

    fn sums_of_products(&self, a: &[IntValue<'ctx>], b: &[IntValue<'ctx>], bits: u32) -> Vec<IntValue<'ctx>> {
        let product = |(&a, &b)| self.ir().mul(self.extended(a, bits, true), self.extended(b, bits, true));
        let products: Vec<_> = a.iter().zip(b).map(product).collect();
        products.chunks(2).map(|pair| self.ir().add(pair[0], pair[1])).collect()
    }
}
