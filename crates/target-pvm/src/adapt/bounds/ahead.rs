//! What is certain to be executed after an instruction, with nothing happening before that can be seen from outside.

use ssa::{Block, CheckedAccess, FuncId, Function, IdVec, Inst, InstData};

/// Instructions that are looked at.
const MAX_SCAN: usize = 160;

/// The blocks that do nothing but trap. All traps end the program in the same way.
pub fn failing_blocks(func: &Function) -> IdVec<Block, bool> {
    let mut fails = IdVec::filled(false, func.blocks.len());
    for block in func.reverse_postorder().into_iter().rev() {
        let insts = &func.blocks[block].insts;
        let (last, rest) = insts.split_last().expect("blocks end in terminators");
        fails[block] = rest.iter().all(|&inst| func.insts[inst].is_pure())
            && match &func.insts[*last] {
                InstData::Trap { .. } => true,
                InstData::Jump { to } => fails[to.block],
                _ => false,
            };
    }
    fails
}

/// The access that a call is the check of, and its address.
pub fn as_check(func: &Function, inst: Inst, check: FuncId) -> Option<(ssa::Value, CheckedAccess)> {
    match &func.insts[inst] {
        InstData::Call { func: callee, args } if *callee == check => {
            let bits = func.as_const(args[1]).expect("the access of a check is a constant");
            Some((args[0], CheckedAccess::from_bits(bits as u32)))
        }
        _ => None,
    }
}

/// Where instructions that follow are looked for.
pub struct Ahead<'a> {
    pub fails: &'a IdVec<Block, bool>,
    pub check: FuncId,
    /// The blocks that have been walked: the search ends there.
    pub walked: &'a IdVec<Block, bool>,
}

impl Ahead<'_> {
    /// The first result of `f` for the instructions `rest` at the end of a block and those that are certain to follow.
    pub fn find<T>(
        &self,
        func: &Function,
        mut block: Block,
        rest: &[Inst],
        mut f: impl FnMut(Inst, Block) -> Option<T>,
    ) -> Option<T> {
        let mut insts = rest;
        let mut steps = 0;
        loop {
            for &inst in insts {
                if let Some(found) = f(inst, block) {
                    return Some(found);
                }
                let data = &func.insts[inst];
                let is_silent = data.is_pure()
                    || matches!(data, InstData::Load { .. } | InstData::Store { .. })
                    || data.is_terminator()
                    || as_check(func, inst, self.check).is_some();
                steps += 1;
                if !is_silent || steps > MAX_SCAN {
                    return None;
                }
            }
            block = match &func.insts[*insts.last()?] {
                InstData::Jump { to } => to.block,
                InstData::Branch { if_true, if_false, .. } => {
                    match (self.fails[if_true.block], self.fails[if_false.block]) {
                        (true, false) => if_false.block,
                        (false, true) => if_true.block,
                        _ => return None,
                    }
                }
                _ => return None,
            };
            if self.walked[block] {
                return None;
            }
            insts = &func.blocks[block].insts;
        }
    }
}
