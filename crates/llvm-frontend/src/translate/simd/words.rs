//! The words of vectors.
//!
//! A vector on the operand stack is two words of 64 bits or four of 32, the lowest lanes first; which of them, its number of
//! parts tells. Operators on lanes of 32 bits want the one, those on smaller and larger lanes the other, and each result is
//! left as it was computed. [`super::Plan`] decides for locals and loads. Values that pass a call or a block have the
//! words of the target ([`settled`]).

use inkwell::types::IntType;
use inkwell::values::{BasicValueEnum, IntValue};
use wasm_program::module_info::ValueType;

use super::super::Translator;
use super::super::ir::Ir;
use super::super::operands::Operands;

/// Bits of a vector.
const BITS: u32 = 128;

/// A vector by its words.
#[derive(Clone, Debug)]
pub struct Vector<'ctx> {
    pub words: Vec<IntValue<'ctx>>,
}

impl<'ctx> Vector<'ctx> {
    /// The vector with these parts.
    pub fn of_parts(parts: impl IntoIterator<Item = BasicValueEnum<'ctx>>) -> Self {
        Self { words: parts.into_iter().map(BasicValueEnum::into_int_value).collect() }
    }

    /// Bits of a word.
    pub fn bits(&self) -> u32 {
        BITS / self.words.len() as u32
    }

    /// The same in words of `bits` bits.
    pub fn words(&self, ir: &Ir<'ctx>, bits: u32) -> Vec<IntValue<'ctx>> {
        match (self.bits(), bits) {
            (64, 32) => self.words.iter().flat_map(|&word| split(ir, word)).collect(),
            (32, 64) => self.words.chunks(2).map(|pair| join(ir, pair[0], pair[1])).collect(),
            _ => self.words.clone(),
        }
    }

    /// The lanes of `bits` bits, as integers of that width.
    pub fn lanes(&self, ir: &Ir<'ctx>, bits: u32) -> Vec<IntValue<'ctx>> {
        if bits >= 32 {
            return self.words(ir, bits);
        }
        let lanes = |&word: &IntValue<'ctx>| {
            let ty = word.get_type();
            let shifted = move |at| ir.lshr(word, ty.const_int(u64::from(at), false));
            (0..ty.get_bit_width()).step_by(bits as usize).map(move |at| ir.trunc(shifted(at), int(ir, bits)))
        };
        self.words.iter().flat_map(lanes).collect()
    }
}

/// The integer type of a width.
pub fn int<'ctx>(ir: &Ir<'ctx>, bits: u32) -> IntType<'ctx> {
    match bits {
        8 => ir.i8,
        16 => ir.i16,
        32 => ir.i32,
        _ => ir.i64,
    }
}

fn split<'ctx>(ir: &Ir<'ctx>, word: IntValue<'ctx>) -> [IntValue<'ctx>; 2] {
    [ir.trunc(word, ir.i32), ir.trunc(ir.lshr(word, ir.c64(32)), ir.i32)]
}

fn join<'ctx>(ir: &Ir<'ctx>, low: IntValue<'ctx>, high: IntValue<'ctx>) -> IntValue<'ctx> {
    ir.or(ir.zext(low, ir.i64), ir.shl(ir.zext(high, ir.i64), ir.c64(32)))
}

/// Whether parts are those of a vector: no other value has two of 64 bits or four of 32.
fn is_vector(parts: &[BasicValueEnum<'_>]) -> bool {
    let is_word = |part: &BasicValueEnum<'_>| {
        part.is_int_value() && part.into_int_value().get_type().get_bit_width() * parts.len() as u32 == BITS
    };
    matches!(parts.len(), 2 | 4) && parts.iter().all(is_word)
}

/// Parts of a value, as they pass a call or a block: a vector in words of the target.
pub fn settled<'ctx>(
    ir: &Ir<'ctx>,
    target: usize,
    parts: Vec<BasicValueEnum<'ctx>>,
) -> Vec<BasicValueEnum<'ctx>> {
    if parts.len() == target || !is_vector(&parts) {
        return parts;
    }
    let words = Vector::of_parts(parts).words(ir, BITS / target as u32);
    words.into_iter().map(Into::into).collect()
}

impl<'ctx> Translator<'_, 'ctx, '_> {
    /// Pops a vector.
    pub fn pop_vector(&mut self) -> Vector<'ctx> {
        Vector::of_parts(self.stack.pop())
    }

    /// Pushes a vector.
    pub fn push_vector(&mut self, words: Vec<IntValue<'ctx>>) {
        self.stack.push(words.into_iter().map(Into::into));
    }

    /// Pushes the vector with these lanes of 8 bits or more.
    pub fn push_lanes(&mut self, lanes: &[IntValue<'ctx>]) {
        let bits = BITS / lanes.len() as u32;
        if bits >= 32 {
            return self.push_vector(lanes.to_vec());
        }
        let ir = self.ir();
        let word = int(ir, self.plan.bits);
        let words = lanes.chunks((self.plan.bits / bits) as usize).map(|lanes| {
            let placed = (0..)
                .zip(lanes)
                .map(|(at, &lane)| ir.shl(ir.zext(lane, word), word.const_int(u64::from(bits) * at, false)));
            placed.reduce(|a, b| ir.or(a, b)).expect("a word has lanes")
        });
        let words = words.collect();
        self.push_vector(words);
    }

    /// The width of words for an operation that suits any: that of its operands if they agree.
    pub fn common_bits(&self, vectors: &[&Vector<'ctx>]) -> u32 {
        let bits = vectors[0].bits();
        if vectors.iter().all(|vector| vector.bits() == bits) { bits } else { self.plan.bits }
    }

    /// Parts of a vector where it passes a call or a block.
    pub fn parts_of_vector(&self) -> usize {
        self.env.parts(ValueType::V128).len()
    }

    /// Gives the topmost operands the parts that they pass a call or a block with.
    pub fn settle(&mut self, count: usize) {
        let target = self.parts_of_vector();
        let is_settled = |parts: &[BasicValueEnum<'ctx>]| parts.len() == target || !is_vector(parts);
        if self.stack.top_values(count).all(is_settled) {
            return;
        }
        let height = self.stack.len() - count;
        let operands = self.stack.split_off(height);
        let mut all = Operands::default();
        for parts in operands.top_values(count) {
            all.push(settled(&self.env.ir, target, parts.to_vec()));
        }
        self.stack.extend(all);
    }
}
