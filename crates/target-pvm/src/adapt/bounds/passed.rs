//! Addresses that are passed on: to functions, and to blocks where paths meet.
//!
//! A parameter of a function is in memory if the argument is in every call. Then no access near it needs a clamp. That is
//! known where all calls are direct and callers have been walked before. So functions are walked in the order of
//! calls. A function that is entered otherwise, or that calls itself, also through others, knows nothing of its parameters.
//!
//! The same is true of parameters of blocks, unless they are headers of loops.

use ssa::cfg::Graph;
use ssa::{Block, ExportItem, FuncId, Function, IdVec, Inst, InstData, Module, Reachable, Type, Value};

use super::clamps::Clamper;
use super::facts::Fact;
use super::linear::Root;

/// What is known about the arguments of calls.
pub struct Arguments {
    /// The functions, callers before those that they call as far as that is possible.
    pub order: Vec<FuncId>,
    /// Whether each function can be called at all.
    is_reachable: IdVec<FuncId, bool>,
    /// The number of calls of each function that have not been seen.
    unseen: IdVec<FuncId, u32>,
    /// Bytes at each argument that are in memory in all calls that have been seen.
    extents: IdVec<FuncId, Option<Vec<u32>>>,
}

impl Arguments {
    /// Of a module in which nothing has been walked. `entered` are the functions that hosts enter.
    pub fn of<'a>(module: &Module, entered: impl Iterator<Item = &'a FuncId>) -> Self {
        let exported = module.exports.iter().filter_map(|export| match export.item {
            ExportItem::Func(func) => Some(func),
            ExportItem::Data(_) => None,
        });
        let roots = exported.chain(module.start).chain(entered.copied());
        let data = module.data.ids();
        let reachable = Reachable::new(module, roots, data);
        let mut unseen = IdVec::filled(0, module.decls.len());
        for (_, func) in module.functions.iter().filter(|(id, _)| reachable.funcs[*id]) {
            func.iter().flat_map(calls).for_each(|callee| unseen[callee] += 1);
        }
        for func in module.decls.ids() {
            // A call that is never seen.
            unseen[func] += u32::from(reachable.referenced[func]);
        }
        let extents = IdVec::filled(None, module.decls.len());
        Self { order: order(module), is_reachable: reachable.funcs, unseen, extents }
    }

    /// Bytes at each parameter of a function that are in memory.
    pub fn known(&self, func: FuncId) -> &[u32] {
        self.extents[func].as_deref().filter(|_| self.unseen[func] == 0).unwrap_or_default()
    }

    /// A call by `caller` with so many bytes at each argument in memory.
    fn see(&mut self, caller: FuncId, func: FuncId, arguments: impl Iterator<Item = u32>) {
        if !self.is_reachable[caller] {
            return;
        }
        self.unseen[func] = self.unseen[func].saturating_sub(1);
        match &mut self.extents[func] {
            Some(extents) => extents.iter_mut().zip(arguments).for_each(|(all, one)| *all = one.min(*all)),
            unknown => *unknown = Some(arguments.collect()),
        }
    }
}

/// The functions that a function calls directly, once for every call.
fn calls(func: &Function) -> impl Iterator<Item = FuncId> {
    let insts = func.blocks.values().flat_map(|block| &block.insts).map(|&inst| &func.insts[inst]);
    insts.filter_map(|inst| match inst {
        InstData::Call { func, .. } | InstData::TailCall { func, .. } => Some(*func),
        _ => None,
    })
}

/// All functions, in reverse postorder of direct calls.
fn order(module: &Module) -> Vec<FuncId> {
    let mut done = IdVec::filled(false, module.decls.len());
    let mut order = Vec::new();
    for root in module.functions.ids() {
        let mut pending = vec![(root, false)];
        while let Some((func, is_left)) = pending.pop() {
            if is_left {
                order.push(func);
            } else if !std::mem::replace(&mut done[func], true) {
                pending.push((func, true));
                let callees = module.functions.get(func).into_iter().flatten().flat_map(calls);
                pending.extend(callees.map(|callee| (callee, false)));
            }
        }
    }
    order.reverse();
    order
}

impl Clamper<'_> {
    /// Takes the arguments of a call into account.
    pub(super) fn note_call(&mut self, inst: Inst, block: Block) {
        let (InstData::Call { func, args } | InstData::TailCall { func, args }) = &self.func.insts[inst]
        else {
            return;
        };
        let (func, args) = (*func, args.clone());
        let extents: Vec<u32> = args.iter().map(|&arg| self.extent(arg, block)).collect();
        self.arguments.see(self.id, func, extents.into_iter());
    }

    /// Records what is known about the parameters of a block.
    pub(super) fn note_params(&mut self, block: Block, known: &[u32]) {
        let params = self.func.blocks[block].params.clone();
        let is_entry = block == self.func.entry();
        for (n, &value) in params.iter().enumerate() {
            let extent = match is_entry {
                true => known.get(n).copied().unwrap_or(0),
                false => self.extent_in_predecessors(block, n),
            };
            if extent > 0 {
                let fact = Fact { offset: 0, value, block, extent, readable: extent, first: 0, proof: None };
                self.facts.record(Root::Value(value), fact);
            }
        }
    }

    /// Bytes at a parameter of a block that are in memory in all predecessors.
    fn extent_in_predecessors(&self, block: Block, n: usize) -> u32 {
        let mut least = None;
        for &pred in Graph::predecessors(self.ranges.cfg(), block) {
            if !self.walked[pred] {
                return 0;
            }
            for to in self.func.insts[self.ranges.terminator(pred)].successors() {
                if to.block == block {
                    let extent = self.extent(to.args[n], pred);
                    least = Some(least.map_or(extent, |least: u32| least.min(extent)));
                }
            }
        }
        least.unwrap_or(0)
    }

    /// Bytes at an address that are known to be in memory at this point of a block's walk.
    fn extent(&self, address: Value, block: Block) -> u32 {
        if self.func.values[address].ty != Type::I32 {
            return 0;
        }
        let mut most = 0;
        self.look_around(self.sums.get(address), block, |low, high, extent| {
            let rest = i64::from(extent) - high;
            if low >= 0 && rest > most {
                most = rest;
            }
        });
        u32::try_from(most).unwrap_or(0)
    }
}
