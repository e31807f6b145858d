//! Renumbering: blocks in reverse postorder; instructions and values in the order of their blocks.
//!
//! Passes leave dead ids: blocks without predecessors, instructions in no block, values without a definition. Side
//! tables of later stages are dense, so dead ids cost memory, and the text form round-trips only without them.

use crate::cfg::{Cfg, Graph};
use crate::{Block, BlockData, Function, IdVec, Inst, InstData, TrapCode, Value, ValueData, ValueDef};

/// Removes unreachable blocks and all instructions and values outside blocks, and renumbers the rest.
pub fn compact(func: &mut Function) {
    let order = Cfg::new(func).reverse_postorder(func.entry());
    let mut blocks = IdVec::<Block, Option<Block>>::filled(None, func.blocks.len());
    let mut new = Function {
        frame_slots: std::mem::take(&mut func.frame_slots),
        optimize_for_size: func.optimize_for_size,
        ..Function::new(std::mem::take(&mut func.name), func.sig)
    };
    (new.source.subprogram, new.source.frame) = (func.source.subprogram, func.source.frame);
    new.source.inlined = std::mem::take(&mut func.source.inlined);
    for &old in &order {
        let BlockData { freq, weight, .. } = func.blocks[old];
        blocks[old] = Some(new.blocks.push(BlockData { freq, weight, ..BlockData::default() }));
    }
    let values = define_all(func, &mut new, &order);
    for data in new.insts.values_mut() {
        data.map_args(|value| values[value].expect("definitions dominate uses"));
        for to in data.successors_mut() {
            to.block = blocks[to.block].expect("successors of reachable blocks are reachable");
        }
    }
    *func = new;
}

/// Moves parameters and instructions of the blocks in `order` to `new`, whose blocks are in that order; returns
/// the new id of each value. Operands stay as they are.
fn define_all(func: &mut Function, new: &mut Function, order: &[Block]) -> IdVec<Value, Option<Value>> {
    let mut values = IdVec::filled(None, func.values.len());
    for (block, &old) in new.blocks.ids().zip(order) {
        for &param in &func.blocks[old].params {
            values[param] = Some(new.add_param(block, func.values[param].ty));
        }
        new.blocks[block].insts.reserve_exact(func.blocks[old].insts.len());
        for &old_inst in &func.blocks[old].insts {
            let inst = new.insts.push(take(&mut func.insts[old_inst]));
            new.source.set(inst, func.source.get(old_inst));
            let mut results = std::mem::take(&mut func.results[old_inst]);
            for (result, n) in results.iter_mut().zip(0..) {
                let data = ValueData { def: ValueDef::Result(inst, n), ..func.values[*result] };
                let id: Value = new.values.push(data);
                values[*result] = Some(id);
                *result = id;
            }
            let _: Inst = new.results.push(results);
            new.blocks[block].insts.push(inst);
        }
    }
    values
}

/// Moves an instruction out of a function that is about to be dropped.
fn take(data: &mut InstData) -> InstData {
    std::mem::replace(data, InstData::Trap { code: TrapCode::Unreachable })
}
