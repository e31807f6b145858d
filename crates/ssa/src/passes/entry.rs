//! Giving the entry block no predecessors.
//!
//! The parameters of the entry are those of the function, so a loop that goes back to the entry gets a new header.

use crate::{BlockCall, BlockData, Function, InstData, Value, ValueDef};

/// If edges lead to the entry block, moves its contents to a new block that the entry jumps to.
pub fn isolate_entry(func: &mut Function) {
    let entry = func.entry();
    let is_target = |block| func.successors(block).contains(&entry);
    if !func.blocks.ids().any(is_target) {
        return;
    }
    let body = func.add_block();
    for block in func.blocks.ids().filter(|&block| block != body) {
        let last = func.terminator(block);
        for to in func.insts[last].successors_mut() {
            if to.block == entry {
                to.block = body;
            }
        }
    }
    let freq = func.blocks[entry].freq;
    func.blocks[body] = std::mem::replace(&mut func.blocks[entry], BlockData { freq, ..Default::default() });
    let params = func.blocks[body].params.clone();
    let mut args: Vec<Value> = Vec::with_capacity(params.len());
    for (value, n) in params.into_iter().zip(0..) {
        func.values[value].def = ValueDef::Param(body, n);
        args.push(func.add_param(entry, func.values[value].ty));
    }
    func.append(entry, InstData::Jump { to: BlockCall { block: body, args } }, &[]);
}
