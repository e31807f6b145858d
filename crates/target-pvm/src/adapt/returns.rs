//! Functions that never return: every way through them ends in a trap, in a loop, or in a tail call of such a function.
//!
//! Each function is visited once, and each tail call once more.

use ssa::{FuncId, IdVec, InstData, Module};

/// By function: whether it has a body and none of its calls returns.
pub fn never_returning(module: &Module) -> IdVec<FuncId, bool> {
    let mut never = IdVec::filled(true, module.decls.len());
    let mut tail_callers = IdVec::filled(Vec::new(), module.decls.len());
    let mut pending = Vec::new();
    for (id, body) in module.functions.iter() {
        let returns = body.as_ref().is_none_or(|body| {
            let exits = body.blocks.ids().map(|block| &body.insts[body.terminator(block)]);
            exits.fold(false, |returns, exit| match exit {
                InstData::TailCall { func, .. } => {
                    tail_callers[*func].push(id);
                    returns
                }
                InstData::Return { .. } | InstData::TailCallIndirect { .. } => true,
                _ => returns,
            })
        });
        pending.extend(returns.then_some(id));
    }
    while let Some(id) = pending.pop() {
        if std::mem::replace(&mut never[id], false) {
            pending.extend(&tail_callers[id]);
        }
    }
    never
}
