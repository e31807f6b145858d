//! Biased pointers: adding the base of linear memory once instead of in every access.
//!
//! This is for machines whose instructions have displacements of variable length ([`Displacements`]). Every access to
//! linear memory has the base in its displacement, which typically takes three bytes. In code that should be
//! small, a pointer with many accesses gets a biased copy: the pointer plus the base, computed right after the pointer's
//! definition. Accesses through the copy have displacements of one byte or none. The addition takes about five bytes,
//! so a few accesses pay for it. If the pointer has other uses as well, pointer and copy both occupy a register, and
//! the gain must be larger.
//!
//! The accesses of a pointer are those at the pointer plus any constant. The bias includes a constant that brings as
//! many of them as possible, counted from the lowest, within reach of a one-byte displacement.

use ssa::{BinaryOp, Block, DataId, Function, IdVec, Inst, InstData, Type, Value, ValueDef};

/// Sizes of displacements in a machine's instructions, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Displacements {
    /// The length of a constant in an instruction.
    pub len: fn(i32) -> usize,
    /// An addition of a constant, without the constant.
    pub addition: i32,
    /// The fewest accesses that an addition is worth.
    pub min_accesses: usize,
    /// The least gain of an addition.
    pub min_gain: i32,
    /// The same if the pointer has other uses.
    pub min_gain_if_shared: i32,
}

/// Biases the pointers of a function where this makes its code smaller. `base` is the address of byte 0 of `memory`.
pub fn bias_pointers(func: &mut Function, memory: DataId, base: u32, displacements: Displacements) {
    if (displacements.len)(base as i32) < 2 {
        return;
    }
    let roots = roots(func);
    let uses = Uses::collect(func, &roots, memory);
    let mut blocks: IdVec<Inst, Option<Block>> = IdVec::filled(None, func.insts.len());
    for (block, data) in func.blocks.iter() {
        data.insts.iter().for_each(|&inst| blocks[inst] = Some(block));
    }
    for value in func.values.ids() {
        let accesses = &uses.accesses[value];
        if accesses.len() < displacements.min_accesses || uses.is_constant(func, value) {
            continue;
        }
        let bias = Bias::choose(accesses, base as i32, displacements);
        let needed =
            if uses.others[value] { displacements.min_gain_if_shared } else { displacements.min_gain };
        if bias.gain >= needed {
            let place = match func.values[value].def {
                ValueDef::Param(block, _) => (block, 0),
                ValueDef::Result(def, _) => {
                    let block = blocks[def].expect("a used value is defined in a block");
                    let at = func.blocks[block].insts.iter().position(|&inst| inst == def);
                    (block, at.expect("the block contains it") + 1)
                }
            };
            bias.apply(func, value, place, memory);
        }
    }
}

/// For each value, the pointer it is computed from by adding constants, and the sum of the constants.
fn roots(func: &Function) -> IdVec<Value, (Value, i32)> {
    let mut roots: IdVec<Value, (Value, i32)> = func.values.ids().map(|value| (value, 0)).collect();
    for &inst in func.reverse_postorder().iter().flat_map(|&block| &func.blocks[block].insts) {
        if let InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args: [a, b] } = func.insts[inst]
            && let Some(constant) = func.as_const(b)
        {
            let (root, offset) = roots[a];
            roots[func.result(inst)] = (root, offset.wrapping_add(constant as i32));
        }
    }
    roots
}

/// An access through a pointer: the instruction and the distance from the pointer.
type Access = (Inst, i32);

struct Uses {
    accesses: IdVec<Value, Vec<Access>>,
    /// Whether the value has uses other than accesses and sums with constants.
    others: IdVec<Value, bool>,
}

impl Uses {
    fn collect(func: &Function, roots: &IdVec<Value, (Value, i32)>, memory: DataId) -> Self {
        let mut uses = Self {
            accesses: IdVec::filled(Vec::new(), func.values.len()),
            others: IdVec::filled(false, func.values.len()),
        };
        for &inst in func.blocks.values().flat_map(|block| &block.insts) {
            let data = &func.insts[inst];
            let index = match data {
                InstData::Load { addr, .. } | InstData::Store { addr, .. } if addr.base == Some(memory) => {
                    addr.index
                }
                _ => None,
            };
            if let (Some(index), InstData::Load { addr, .. } | InstData::Store { addr, .. }) = (index, data) {
                let (root, offset) = roots[index];
                uses.accesses[root].push((inst, offset.wrapping_add(addr.offset)));
            }
            let is_sum = func.results[inst].first().is_some_and(|&result| roots[result].0 != result);
            let mut is_index = index.is_some();
            data.for_each_arg(|arg| {
                // The index comes first.
                uses.others[arg] |= !std::mem::replace(&mut is_index, false) && !is_sum;
            });
        }
        uses
    }

    /// Whether a value is a constant or an address that selection folds anyway.
    fn is_constant(&self, func: &Function, value: Value) -> bool {
        let def = func.def_inst(value).map(|inst| &func.insts[inst]);
        matches!(def, Some(InstData::Const { .. } | InstData::DataAddr { .. } | InstData::FrameAddr { .. }))
    }
}

struct Bias {
    /// Distance of the biased pointer from the pointer, in addition to the base.
    offset: i32,
    /// Bytes saved.
    gain: i32,
    /// The accesses through the biased pointer.
    reached: Vec<Access>,
}

impl Bias {
    /// The best bias for a non-empty list of accesses.
    fn choose(accesses: &[Access], base: i32, displacements: Displacements) -> Self {
        let len = |displacement: i32| (displacements.len)(displacement) as i32;
        let is_short = |displacement: i32| len(displacement) <= 1;
        let lowest = accesses.iter().map(|&(_, offset)| offset).min().expect("there are accesses");
        let offset = if is_short(lowest) { 0 } else { lowest };
        let is_reached = |access: &Access| is_short(access.1.wrapping_sub(offset));
        let reached: Vec<Access> = accesses.iter().copied().filter(is_reached).collect();
        let saved = |&(_, at): &Access| len(base.wrapping_add(at)) - len(at.wrapping_sub(offset));
        let addition = displacements.addition + len(base.wrapping_add(offset));
        Self { offset, gain: reached.iter().map(saved).sum::<i32>() - addition, reached }
    }

    /// Adds the biased pointer after the pointer's definition, and makes the accesses use it.
    fn apply(&self, func: &mut Function, pointer: Value, (block, at): (Block, usize), memory: DataId) {
        let bias = func.make_inst(InstData::DataAddr { data: memory, offset: self.offset }, &[Type::I32]);
        let args = [pointer, func.result(bias)];
        let sum = func.make_inst(InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args }, &[Type::I32]);
        let biased = func.result(sum);
        func.blocks[block].insts.splice(at..at, [bias, sum]);
        for &(inst, at) in &self.reached {
            let (InstData::Load { addr, .. } | InstData::Store { addr, .. }) = &mut func.insts[inst] else {
                panic!("{inst} is no access");
            };
            addr.base = None;
            addr.index = Some(biased);
            addr.offset = at.wrapping_sub(self.offset);
        }
    }
}
