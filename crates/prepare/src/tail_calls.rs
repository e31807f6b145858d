//! Turning calls whose results are returned unchanged into tail calls.
//!
//! The caller's frame is gone while a tail-called function runs, so a function with stack objects keeps its calls: the
//! callee might have the address of one. A function that saves the return address for another call returns from a call
//! in fewer bytes than restoring the address first takes. So when optimising for size, all its calls before returns
//! change or none. A call that needs more room for stack arguments than its caller was given remains a call: `fits`.

use ssa::{Block, Function, Inst, InstData};

/// Turns the calls before returns into tail calls, if the stack arguments of the call have room: `fits`.
pub fn mark(func: &mut Function, fits: impl Fn(&InstData) -> bool) {
    let fits = |block: Block| fits(&func.insts[call_of(func, block)]);
    let tails: Vec<Block> = func.blocks.ids().filter(|&block| is_tail(func, block) && fits(block)).collect();
    let is_call = |data: &&InstData| matches!(data, InstData::Call { .. } | InstData::CallIndirect { .. });
    let calls =
        func.blocks.values().flat_map(|data| &data.insts).filter(|&&inst| is_call(&&func.insts[inst]));
    let is_larger = func.optimize_for_size && calls.count() > tails.len();
    if !func.frame_slots.is_empty() || is_larger {
        return;
    }
    for block in tails {
        let call = call_of(func, block);
        let insts = &mut func.blocks[block].insts;
        insts.truncate(insts.len() - 2);
        let tail = match func.insts[call].clone() {
            InstData::Call { func, args } => InstData::TailCall { func, args },
            InstData::CallIndirect { sig, callee, args } => InstData::TailCallIndirect { sig, callee, args },
            other => unreachable!("{other:?} is no call"),
        };
        func.source.follow(call);
        func.append(block, tail, &[]);
    }
    func.source.follow_none();
    ssa::passes::compact(func);
}

/// The instruction before a block's terminator.
fn call_of(func: &Function, block: Block) -> Inst {
    let insts = &func.blocks[block].insts;
    insts[insts.len() - 2]
}

/// Whether a block ends with a call and a return of its results, the return perhaps in the next block.
fn is_tail(func: &Function, block: Block) -> bool {
    let &[.., call, last] = &func.blocks[block].insts[..] else { return false };
    let results = &func.results[call];
    let returned = match &func.insts[last] {
        InstData::Return { args } => args == results,
        InstData::Jump { to } => {
            let data = &func.blocks[to.block];
            let passes_on = |last: &ssa::Inst| matches!(&func.insts[*last], InstData::Return { args } if *args == data.params);
            to.args == *results && data.insts.len() == 1 && data.insts.iter().all(passes_on)
        }
        _ => false,
    };
    returned && matches!(func.insts[call], InstData::Call { .. } | InstData::CallIndirect { .. })
}
