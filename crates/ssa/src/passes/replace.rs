//! Replacing values by others, and removing block parameters.

use crate::{Block, Function, IdVec, Value, ValueDef};

/// A set of pending replacements. They may chain, but not in a cycle.
pub(super) struct Replacements {
    by: IdVec<Value, Value>,
    any: bool,
}

impl Replacements {
    pub(super) fn new(func: &Function) -> Self {
        Self { by: func.values.ids().collect(), any: false }
    }

    /// Replaces `value` by `by`.
    pub(super) fn insert(&mut self, value: Value, by: Value) {
        self.by[value] = by;
        self.any = true;
    }

    /// The end of the chain of `value`, which is shortened on the way.
    fn resolve(&mut self, mut value: Value) -> Value {
        while self.by[value] != value {
            let next = self.by[self.by[value]];
            self.by[value] = next;
            value = next;
        }
        value
    }

    /// Rewrites every operand of every instruction.
    pub(super) fn apply(mut self, func: &mut Function) {
        if self.any {
            func.insts.values_mut().for_each(|data| data.map_args(|value| self.resolve(value)));
        }
    }
}

/// Removes the parameters for which `keep` is false, with their arguments on all edges.
pub(super) fn retain_params(func: &mut Function, keep: &IdVec<Value, bool>) {
    let kept = |params: &[Value]| params.iter().map(|&v| keep[v]).collect::<Vec<bool>>();
    let masks: IdVec<Block, Vec<bool>> = func.blocks.values().map(|block| kept(&block.params)).collect();
    for block in func.blocks.ids() {
        if masks[block].iter().all(|&keep| keep) {
            continue;
        }
        func.blocks[block].params.retain(|&value| keep[value]);
        for (&value, n) in func.blocks[block].params.iter().zip(0..) {
            func.values[value].def = ValueDef::Param(block, n);
        }
    }
    for block in func.blocks.ids() {
        let Some(&last) = func.blocks[block].insts.last() else { continue };
        for to in func.insts[last].successors_mut() {
            let mut mask = masks[to.block].iter();
            to.args.retain(|_| *mask.next().expect("one argument per parameter"));
        }
    }
}
