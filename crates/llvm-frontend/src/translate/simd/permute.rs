//! Constants, single lanes, and operators that move lanes.
//!
//! A shuffle with constant indices takes the bytes of each word of the result from words of the operands. Bytes that come
//! from one word and move by the same distance move together, by a shift or rotation and a mask. If it is cheaper, the
//! words are reversed first, which machines do in one instruction.

use std::collections::BTreeMap;

use inkwell::types::BasicTypeEnum;
use inkwell::values::{BasicValueEnum, IntValue};
use wasm_program::module_info::ValueType;
use wasm_program::vectors::{BYTES, Lanes};
use wasmparser::Operator;

use super::super::Translator;
use super::packed::Packed;
use super::words::{Vector, int};

/// Translates an operator of this family; returns false if it belongs to another.
pub fn translate(t: &mut Translator<'_, '_, '_>, op: &Operator<'_>, lanes: Lanes, operation: &str) -> bool {
    match *op {
        Operator::V128Const { value } => t.vector_constant(u128::from_le_bytes(*value.bytes())),
        Operator::I8x16Shuffle { lanes } => t.shuffle(&lanes),
        Operator::I8x16Swizzle | Operator::I8x16RelaxedSwizzle => t.swizzle(),
        _ => match (lane(op), operation) {
            (Some(lane), "replace_lane") => t.replace_lane(lanes, lane),
            (Some(lane), _) => t.extract_lane(lanes, lane, operation == "extract_lane_s"),
            _ => return false,
        },
    }
    true
}

/// The lane that an operator extracts or replaces.
fn lane(op: &Operator<'_>) -> Option<u32> {
    use Operator as Op;
    match *op {
        Op::I8x16ExtractLaneS { lane }
        | Op::I8x16ExtractLaneU { lane }
        | Op::I8x16ReplaceLane { lane }
        | Op::I16x8ExtractLaneS { lane }
        | Op::I16x8ExtractLaneU { lane }
        | Op::I16x8ReplaceLane { lane }
        | Op::I32x4ExtractLane { lane }
        | Op::I32x4ReplaceLane { lane }
        | Op::I64x2ExtractLane { lane }
        | Op::I64x2ReplaceLane { lane }
        | Op::F32x4ExtractLane { lane }
        | Op::F32x4ReplaceLane { lane }
        | Op::F64x2ExtractLane { lane }
        | Op::F64x2ReplaceLane { lane } => Some(lane.into()),
        _ => None,
    }
}

/// Bytes of a word that move by one distance: source word, rotation in bytes, bytes of the result.
struct Move {
    from: usize,
    rotation: u32,
    to: Vec<u32>,
}

/// The instructions that a move takes.
enum Steps {
    /// A shift to the left by so many bytes, if any, and a mask if the flag is set.
    Left(u32, bool),
    /// A shift to the right.
    Right(u32, bool),
    /// A rotation to the left.
    Rotate(u32, bool),
}

impl Move {
    /// The steps in a word of `size` bytes.
    fn steps(&self, size: u32) -> Steps {
        let (rotation, count) = (self.rotation, self.to.len() as u32);
        if count == size || rotation == 0 {
            return Steps::Rotate(rotation, count != size);
        }
        if self.to.iter().all(|&to| to >= rotation) {
            Steps::Left(rotation, count != size - rotation)
        } else if self.to.iter().all(|&to| to < rotation) {
            Steps::Right(size - rotation, count != rotation)
        } else {
            Steps::Rotate(rotation, true)
        }
    }

    /// Instructions in a word of `size` bytes.
    fn cost(&self, size: u32) -> u32 {
        let (distance, is_masked) = match self.steps(size) {
            Steps::Left(distance, mask) | Steps::Right(distance, mask) | Steps::Rotate(distance, mask) => {
                (distance, mask)
            }
        };
        u32::from(distance != 0) + u32::from(is_masked)
    }
}

/// The moves that make a word of `size` bytes; `source` is the byte for each byte of the result.
fn moves(source: &[(usize, u32)], size: u32) -> Vec<Move> {
    let mut moves: BTreeMap<(usize, u32), Vec<u32>> = BTreeMap::new();
    for (to, &(word, byte)) in (0..).zip(source) {
        moves.entry((word, (to + size - byte) % size)).or_default().push(to);
    }
    moves.into_iter().map(|((from, rotation), to)| Move { from, rotation, to }).collect()
}

impl<'ctx> Translator<'_, 'ctx, '_> {
    /// Pushes a constant.
    pub fn vector_constant(&mut self, value: u128) {
        let words = if self.plan.bits == 64 {
            vec![self.wide_word(value as u64), self.wide_word((value >> 64) as u64)]
        } else {
            (0..4).map(|n| self.lane_word((value >> (32 * n)) as u32)).collect()
        };
        self.push_vector(words);
    }

    fn extract_lane(&mut self, lanes: Lanes, lane: u32, is_signed: bool) {
        let bits = lanes.bits();
        let vector = self.pop_vector();
        let value = self.lane(&vector, bits, lane);
        let ir = self.ir();
        let value = match (bits, is_signed) {
            (8 | 16, true) => ir.sext(value, ir.i32),
            (8 | 16, false) => ir.zext(value, ir.i32),
            _ => value,
        };
        let value = match lanes {
            Lanes::F32x4 => self.as_float(value, ValueType::F32),
            Lanes::F64x2 => self.as_float(value, ValueType::F64),
            _ => value.into(),
        };
        self.push(value);
    }

    /// A lane as an integer of its width.
    pub fn lane(&self, vector: &Vector<'ctx>, bits: u32, lane: u32) -> IntValue<'ctx> {
        let ir = self.ir();
        if bits >= 32 {
            return vector.words(ir, bits)[lane as usize];
        }
        let count = vector.bits() / bits;
        let word = vector.words[(lane / count) as usize];
        let at = word.get_type().const_int(u64::from(lane % count * bits), false);
        ir.trunc(ir.lshr(word, at), int(ir, bits))
    }

    fn replace_lane(&mut self, lanes: Lanes, lane: u32) {
        let value = self.pop();
        let value = self.as_bits(value);
        let vector = self.pop_vector();
        let words = self.with_lane(&vector, lanes.bits(), lane, value);
        self.push_vector(words);
    }

    /// The words of a vector with another lane.
    pub fn with_lane(
        &self,
        vector: &Vector<'ctx>,
        bits: u32,
        lane: u32,
        value: IntValue<'ctx>,
    ) -> Vec<IntValue<'ctx>> {
        let ir = self.ir();
        let mut words = if bits > vector.bits() { vector.words(ir, bits) } else { vector.words.clone() };
        let ty = words[0].get_type();
        let count = ty.get_bit_width() / bits;
        let word = &mut words[(lane / count) as usize];
        if count == 1 {
            *word = value;
            return words;
        }
        let packed = Packed { ir, word: ty, lane: bits };
        let at = lane % count * bits;
        let narrow = if value.get_type() == int(ir, bits) { value } else { ir.trunc(value, int(ir, bits)) };
        let placed = packed.left(ir.zext(narrow, ty), at);
        let mask = packed.number(!(packed.largest() << at));
        *word = ir.or(ir.and(*word, mask), placed);
        words
    }

    /// A scalar as its bits.
    pub fn as_bits(&self, value: BasicValueEnum<'ctx>) -> IntValue<'ctx> {
        match value {
            BasicValueEnum::FloatValue(float) => {
                let ir = self.ir();
                let ty = if float.get_type() == ir.f32 { ir.i32 } else { ir.i64 };
                let bits = ir.builder.build_bit_cast(float, ty, "").expect("widths match");
                bits.into_int_value()
            }
            value => value.into_int_value(),
        }
    }

    /// Bits as a float in the representation of the options.
    pub fn as_float(&self, bits: IntValue<'ctx>, ty: ValueType) -> BasicValueEnum<'ctx> {
        match self.env.one_part(ty) {
            BasicTypeEnum::FloatType(float) => {
                self.ir().builder.build_bit_cast(bits, float, "").expect("widths match")
            }
            _ => bits.into(),
        }
    }

    fn shuffle(&mut self, lanes: &[u8; 16]) {
        let (b, a) = (self.pop_vector(), self.pop_vector());
        let bits = if self.plan.bits == 32 { 32 } else { self.common_bits(&[&a, &b]) };
        let size = bits / 8;
        let sources: Vec<_> = [&a, &b].into_iter().flat_map(|vector| vector.words(self.ir(), bits)).collect();
        let byte = |&lane: &u8| (u32::from(lane) / size, u32::from(lane) % size);
        let words = lanes.chunks(size as usize).map(|lanes| {
            let bytes: Vec<_> = lanes.iter().map(byte).map(|(word, byte)| (word as usize, byte)).collect();
            self.shuffled_word(&sources, &bytes, size)
        });
        let words = words.collect();
        self.push_vector(words);
    }

    /// The word with these bytes of other words.
    fn shuffled_word(
        &mut self,
        sources: &[IntValue<'ctx>],
        bytes: &[(usize, u32)],
        size: u32,
    ) -> IntValue<'ctx> {
        let reversed: Vec<_> = bytes.iter().map(|&(word, byte)| (word, size - 1 - byte)).collect();
        let (straight, backward) = (moves(bytes, size), moves(&reversed, size));
        let cost = |moves: &[Move]| moves.iter().map(|one| one.cost(size) + 1).sum::<u32>();
        let mut used: Vec<usize> = bytes.iter().map(|(word, _)| *word).collect();
        used.sort_unstable();
        used.dedup();
        if cost(&backward) + (used.len() as u32) < cost(&straight) {
            let mut reversed = sources.to_vec();
            for word in used {
                reversed[word] = self.intrinsic("llvm.bswap", &[sources[word]]);
            }
            self.moved(&reversed, &backward, size)
        } else {
            self.moved(sources, &straight, size)
        }
    }

    fn moved(&mut self, sources: &[IntValue<'ctx>], moves: &[Move], size: u32) -> IntValue<'ctx> {
        let mut word: Option<IntValue<'ctx>> = None;
        for one in moves {
            let moved = self.move_bytes(sources[one.from], one, size);
            word = Some(word.map_or(moved, |word| self.ir().or(word, moved)));
        }
        word.expect("a word has bytes")
    }

    fn move_bytes(&mut self, source: IntValue<'ctx>, one: &Move, size: u32) -> IntValue<'ctx> {
        let number = |bytes: u32| source.get_type().const_int(u64::from(bytes * 8), false);
        let (moved, is_masked) = match one.steps(size) {
            Steps::Left(bytes, mask) => (self.ir().shl(source, number(bytes)), mask),
            Steps::Right(bytes, mask) => (self.ir().lshr(source, number(bytes)), mask),
            Steps::Rotate(0, mask) => (source, mask),
            Steps::Rotate(bytes, mask) => {
                (self.intrinsic("llvm.fshl", &[source, source, number(bytes)]), mask)
            }
        };
        if !is_masked {
            return moved;
        }
        let mask = one.to.iter().fold(0, |mask, to| mask | 0xff << (to * 8));
        self.ir().and(moved, source.get_type().const_int(mask, false))
    }

    /// The bytes of a vector at the indices in another, 0 for an index above 15.
    fn swizzle(&mut self) {
        let (indices, table) = (self.pop_vector(), self.pop_vector());
        let bits = self.plan.bits;
        let ir = self.ir();
        let (indices, table) = (indices.words(ir, bits), table.words(ir, bits));
        if let Some(lanes) = constant_bytes(&indices) {
            let zero = Vector { words: vec![int(ir, bits).const_zero(); table.len()] };
            self.push_vector(table);
            self.push_vector(zero.words);
            return self.shuffle(&lanes.map(|lane| lane.min(BYTES as u8)));
        }
        let words = indices.into_iter().map(|word| self.looked_up(&table, word)).collect();
        self.push_vector(words);
    }

    /// The bytes of a table at the indices in a word.
    fn looked_up(&self, table: &[IntValue<'ctx>], indices: IntValue<'ctx>) -> IntValue<'ctx> {
        let packed = self.packed(8);
        let ir = self.ir();
        let size = self.plan.bits / 8;
        let byte = |n: u32| {
            // Eight times the index; the bits above it don't matter.
            let index = if n == 0 { packed.left(indices, 3) } else { packed.right(indices, n * 8 - 3) };
            let at = ir.and(index, packed.number(u64::from(self.plan.bits) - 8));
            let mut found: Vec<_> = table.iter().map(|&word| ir.lshr(word, at)).collect();
            let mut bit = u64::from(self.plan.bits);
            while found.len() > 1 {
                let is_second = ir.is_nonzero(ir.and(index, packed.number(bit)));
                let choose = |pair: &[IntValue<'ctx>]| {
                    ir.select(is_second, pair[1].into(), pair[0].into()).into_int_value()
                };
                found = found.chunks(2).map(choose).collect();
                bit *= 2;
            }
            packed.left(ir.and(found[0], packed.number(0xff)), n * 8)
        };
        let bytes = (0..size).map(byte).reduce(|a, b| ir.or(a, b)).expect("a word has bytes");
        let outside = packed.nonzero(ir.and(indices, packed.splat(0xf0)));
        ir.and(bytes, packed.not(packed.spread(outside)))
    }
}

/// The bytes of a vector, if it is a constant.
fn constant_bytes(words: &[IntValue<'_>]) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let size = bytes.len() / words.len();
    for (word, bytes) in words.iter().zip(bytes.chunks_mut(size)) {
        bytes.copy_from_slice(&word.get_zero_extended_constant()?.to_le_bytes()[..size]);
    }
    Some(bytes)
}
