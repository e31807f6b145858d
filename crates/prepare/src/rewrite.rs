//! Changing instructions in place, with new ones before them.

use ssa::{Function, Inst};

/// Changes each instruction that `find` has something about: `replace` rewrites it and appends the instructions that come
/// before it, which get its place in the source. What is then unused is removed.
pub fn in_place<T>(
    func: &mut Function,
    find: impl Fn(&Function, Inst) -> Option<T>,
    replace: impl Fn(&mut Function, Inst, &T, &mut Vec<Inst>),
) {
    for block in func.blocks.ids() {
        let mut insts = Vec::with_capacity(func.blocks[block].insts.len());
        for inst in std::mem::take(&mut func.blocks[block].insts) {
            if let Some(found) = find(func, inst) {
                func.source.follow(inst);
                replace(func, inst, &found, &mut insts);
            }
            insts.push(inst);
        }
        func.blocks[block].insts = insts;
    }
    func.source.follow_none();
    ssa::passes::remove_dead(func);
}
