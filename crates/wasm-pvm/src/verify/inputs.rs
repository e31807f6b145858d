//! Inputs of calls: arguments, bytes of memory and values of globals, all from one seed.
//!
//! Most errors of compilers show at the borders of ranges, so half of the numbers are such. Many parameters are addresses or
//! lengths, and functions that get others only trap. So the inputs of a call share a few spots in memory: what is written
//! there is what pointers point to, and some of it is pointers again. The C stack gets no bytes and no pointers: whatever a
//! program finds there it has to write first.

use std::ops::Range;

use crate::run::{FunctionType, Value, ValueType};

/// Spots in memory per call.
const SPOTS: u64 = 4;
/// The most bytes that are written at a spot.
const SPOT_BYTES: u64 = 96;
/// Bytes after the last data in which spots are likely.
const NEAR: u64 = 1 << 14;

/// Pseudo-random numbers (`SplitMix64`).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Numbers of a seed and a stream of it.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed ^ 0x9e37_79b9_7f4a_7c15);
        random.0 = random.next() ^ stream.wrapping_mul(0xd134_2543_de82_ef95);
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }
}

/// What inputs depend on, beside the seed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scene {
    /// The size of the first memory.
    pub bytes: u64,
    /// The range of its initial data.
    pub data: Range<u64>,
    /// The C stack, if it is not in linear memory.
    pub stack: Range<u64>,
}

/// The input of a call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Input {
    /// Arguments.
    pub args: Vec<Value>,
    /// Bytes that are written to memory, in order.
    pub fills: Vec<(u64, Vec<u8>)>,
    /// Values of globals, by export.
    pub globals: Vec<(String, Value)>,
}

impl Input {
    /// The next input of a function with this type; some of these globals get a value.
    pub fn next(
        random: &mut Random,
        ty: &FunctionType,
        globals: &[(String, ValueType)],
        scene: &Scene,
    ) -> Self {
        let spots: Vec<u64> = (0..SPOTS).filter_map(|_| scene.spot(random)).collect();
        let mut fills = Vec::new();
        for &spot in &spots {
            if random.below(4) > 0 {
                fills.push((spot, bytes(random, &spots, scene.room(spot))));
            }
        }
        let args = ty.params.iter().map(|&ty| value(random, ty, &spots)).collect();
        let mut set = Vec::new();
        for (name, ty) in globals {
            if random.below(2) == 0 {
                set.push((name.clone(), value(random, *ty, &spots)));
            }
        }
        Self { args, fills, globals: set }
    }
}

impl Scene {
    /// An address outside of the stack, mostly in or near data.
    fn spot(&self, random: &mut Random) -> Option<u64> {
        let near = self.data.start.min(self.bytes)..(self.data.end + NEAR).min(self.bytes);
        let range = if random.below(4) > 0 && !near.is_empty() { near } else { 0..self.bytes };
        let address = range.start + random.below(range.end - range.start);
        let align = random.pick(&[1, 4, 8, 8, 16]);
        let address = address / align * align;
        (address < self.bytes && !self.stack.contains(&address)).then_some(address)
    }

    /// Bytes from an address to the end of memory or the stack.
    fn room(&self, address: u64) -> u64 {
        let end = if address < self.stack.start { self.stack.start } else { self.bytes };
        end.saturating_sub(address).min(SPOT_BYTES)
    }
}

/// Bytes for a spot: noise, text, small numbers, or addresses of spots.
fn bytes(random: &mut Random, spots: &[u64], room: u64) -> Vec<u8> {
    let len = (1 + random.below(SPOT_BYTES)).min(room) as usize;
    let kind = random.below(4);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        match kind {
            0 => bytes.extend(random.next().to_le_bytes()),
            1 => bytes.push(random.pick(b"0123456789abcxyz -+.,\"\n\0")),
            _ => bytes.extend((integer(random, spots) as u32).to_le_bytes()),
        }
    }
    bytes.truncate(len);
    bytes
}

fn value(random: &mut Random, ty: ValueType, spots: &[u64]) -> Value {
    let bits = match ty {
        ValueType::I32 => u128::from(integer(random, spots) as u32),
        ValueType::I64 => u128::from(integer(random, spots)),
        ValueType::F32 => u128::from(single(random)),
        ValueType::F64 => u128::from(double(random)),
        ValueType::V128 => u128::from(integer(random, spots)) | u128::from(random.next()) << 64,
        ValueType::FuncRef | ValueType::ExternRef => 0,
    };
    Value { ty, bits }
}

fn integer(random: &mut Random, spots: &[u64]) -> u64 {
    let small = random.below(65);
    match random.below(8) {
        0 | 1 => small,
        2 | 3 if !spots.is_empty() => random.pick(spots),
        4 => (small as i64).wrapping_neg() as u64,
        5 => {
            let power = 1u64 << random.below(64);
            power.wrapping_add(random.pick(&[0, 1, u64::MAX]))
        }
        6 => random.pick(&[
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
            0xffff_ffff_8000_0000,
            0x7fff_ffff_ffff_ffff,
            0x8000_0000_0000_0000,
            u64::MAX,
            0xff,
            0x100,
            0xffff,
            0x1_0000_0000,
            0x0123_4567_89ab_cdef,
        ]),
        _ => random.next(),
    }
}

fn single(random: &mut Random) -> u32 {
    let number = random.next();
    match random.below(4) {
        0 => random.pick(&[
            0,
            0x8000_0000,
            0x3f80_0000,
            0xbfc0_0000,
            0x7f80_0000,
            0xff80_0000,
            0x7fc0_0000,
            0x7f80_0001,
            0x4f00_0000,
            0xcf00_0000,
            0x5f00_0000,
            0x0000_0001,
            0x0080_0000,
            0x7f7f_ffff,
        ]),
        1 => (number as i32 as f32 / 64.0).to_bits(),
        2 => ((number % 2001) as f32 - 1000.0).to_bits(),
        _ => number as u32,
    }
}

fn double(random: &mut Random) -> u64 {
    let number = random.next();
    match random.below(4) {
        0 => random.pick(&[
            0,
            1 << 63,
            0x3ff0_0000_0000_0000,
            0xbff8_0000_0000_0000,
            0x7ff0_0000_0000_0000,
            0xfff0_0000_0000_0000,
            0x7ff8_0000_0000_0000,
            0x7ff0_0000_0000_0001,
            0x41df_ffff_ffc0_0000,
            0xc1e0_0000_0000_0000,
            0x43e0_0000_0000_0000,
            0x43f0_0000_0000_0000,
            0x0000_0000_0000_0001,
            0x0010_0000_0000_0000,
            0x7fef_ffff_ffff_ffff,
        ]),
        1 => (number as i64 as f64 / 4096.0).to_bits(),
        2 => ((number % 2001) as f64 - 1000.0).to_bits(),
        _ => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every spot is in memory and outside of the stack, and the same seed gives the same inputs.
    #[test]
    fn inputs_stay_in_memory_and_repeat() {
        let ty = FunctionType { params: vec![ValueType::I32, ValueType::F64], results: Vec::new() };
        let globals = [("g".to_owned(), ValueType::I64)];
        let scene = Scene { bytes: 65536, data: 2000..3000, stack: 0..1024 };
        let inputs = |seed| {
            let mut random = Random::new(seed, 7);
            (0..200).map(|_| Input::next(&mut random, &ty, &globals, &scene)).collect::<Vec<_>>()
        };
        let made = inputs(1);
        assert_eq!(made, inputs(1));
        assert_ne!(made, inputs(2));
        let fills: Vec<_> = made.iter().flat_map(|input| &input.fills).collect();
        assert!(fills.len() > 200);
        for (address, bytes) in fills {
            assert!(*address >= 1024 && address + bytes.len() as u64 <= 65536, "{address:#x}");
        }
        assert!(made.iter().any(|input| !input.globals.is_empty()));
        let none = Input::next(&mut Random::new(1, 0), &ty, &[], &Scene::default());
        assert_eq!((none.fills.len(), none.args.len()), (0, 2));
    }
}
