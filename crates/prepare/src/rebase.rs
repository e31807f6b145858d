//! Sharing a base between accesses to neighbouring addresses of linear memory.
//!
//! Where linear memory is at a symbol, `memory + index + offset` needs the symbol's address plus the offset in a
//! register, a different one for each offset. A structure or a row of a table has many offsets from one index. There
//! the sum of symbol and index in a register is better, with the offsets in the instructions: [`OffsetRange`].
//!
//! Accesses are grouped by index and by ranges of offsets that fit instructions. A group gets its sum right after the
//! index, if it has at least two accesses and they are executed more often than the index is computed. Termination:
//! the pass is one walk over the function.

use std::collections::BTreeMap;

use ssa::{BinaryOp, Block, DataId, Function, Inst, InstData, MemType, Type, Value, ValueDef};

/// The offsets that an instruction has room for: `-below` to `above - 1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OffsetRange {
    /// The largest distance below zero, less than `above`.
    pub below: i32,
    /// A power of two.
    pub above: i32,
}

/// Minimum ratio of executions of the accesses to those of the index.
const LEAST_USE: f32 = 1.5;

/// An access with its offset from the index of its group.
struct Access {
    inst: Inst,
    offset: i32,
    freq: f32,
}

/// Replaces addresses by sums of linear memory's address and an index. `range` gives the offsets of accesses by type.
pub fn group(func: &mut Function, memory: DataId, range: &dyn Fn(MemType) -> OffsetRange) {
    let mut groups: BTreeMap<(Value, i32, i32), Vec<Access>> = BTreeMap::new();
    for data in func.blocks.values() {
        for &inst in &data.insts {
            let (InstData::Load { mem, addr, .. } | InstData::Store { mem, addr, .. }) = &func.insts[inst]
            else {
                continue;
            };
            let (Some(base), Some(index)) = (addr.base, addr.index) else { continue };
            if base != memory {
                continue;
            }
            if let Some((index, offset)) = root(func, index, addr.offset) {
                let range = range(*mem);
                let start = offset.wrapping_add(range.below) & -range.above;
                groups.entry((index, start, range.above)).or_default().push(Access {
                    inst,
                    offset: offset.wrapping_sub(start),
                    freq: data.freq,
                });
            }
        }
    }
    let mut block_of: BTreeMap<Inst, Block> = BTreeMap::new();
    for (block, data) in func.blocks.iter() {
        block_of.extend(data.insts.iter().map(|&inst| (inst, block)));
    }
    let mut sums: BTreeMap<(Block, Option<Inst>), Vec<Inst>> = BTreeMap::new();
    for ((index, start, _), accesses) in groups {
        let (block, after) = match func.values[index].def {
            ValueDef::Param(block, _) => (block, None),
            ValueDef::Result(inst, _) => (block_of[&inst], Some(inst)),
        };
        let freq: f32 = accesses.iter().map(|access| access.freq).sum();
        if accesses.len() < 2 || freq < LEAST_USE * func.blocks[block].freq {
            continue;
        }
        let address = func.make_inst(InstData::DataAddr { data: memory, offset: start }, &[Type::I32]);
        let args = [func.result(address), index];
        let sum = func.make_inst(InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args }, &[Type::I32]);
        sums.entry((block, after)).or_default().extend([address, sum]);
        let sum = func.result(sum);
        for access in accesses {
            if let InstData::Load { addr, .. } | InstData::Store { addr, .. } = &mut func.insts[access.inst] {
                (addr.base, addr.index, addr.offset) = (None, Some(sum), access.offset);
            }
        }
    }
    insert(func, &sums);
}

/// The index without constants that are added to it, and the offset with them; `None` for places in the frame.
fn root(func: &Function, mut index: Value, mut offset: i32) -> Option<(Value, i32)> {
    while let Some(def) = func.def_inst(index) {
        match func.insts[def] {
            InstData::Binary { op: BinaryOp::Add, args: [rest, constant], .. } => {
                let Some(bits) = func.as_const(constant) else { break };
                (index, offset) = (rest, offset.wrapping_add(bits as i32));
            }
            InstData::FrameAddr { .. } | InstData::Const { .. } => return None,
            _ => break,
        }
    }
    Some((index, offset))
}

/// Inserts instructions after others, or at the start of blocks.
fn insert(func: &mut Function, new: &BTreeMap<(Block, Option<Inst>), Vec<Inst>>) {
    for block in func.blocks.ids() {
        let old = std::mem::take(&mut func.blocks[block].insts);
        let mut insts = new.get(&(block, None)).cloned().unwrap_or_default();
        for inst in old {
            insts.push(inst);
            insts.extend(new.get(&(block, Some(inst))).into_iter().flatten());
        }
        func.blocks[block].insts = insts;
    }
}
