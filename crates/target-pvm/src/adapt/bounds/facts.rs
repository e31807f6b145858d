//! What is known about addresses while a function is walked.

use std::collections::{BTreeMap, BTreeSet};

use ssa::{Block, CheckedAccess, Dominators, Inst, Value};

use super::linear::{Root, Sum};

/// Facts about one root that are looked at, the latest first.
const MAX_FACTS: usize = 24;

/// Knowledge about an address. It holds from where it is recorded to the end of its block, and in all blocks that the
/// block dominates.
#[derive(Clone, Copy, Debug)]
pub struct Fact {
    /// The distance of the address from its root.
    pub offset: u32,
    /// A value that is the address if that is in memory, and else one that makes an access fault.
    pub value: Value,
    /// The block it is recorded in.
    pub block: Block,
    /// The number of bytes at the address that are in memory; 0 if the address may be in the arguments.
    pub extent: u32,
    /// The end of the bytes, from the address, that are in memory or in the arguments.
    pub readable: u32,
    /// The first of these bytes.
    pub first: u32,
    /// The access that faults if the bytes are not in memory, unless it is executed before the fact is recorded.
    pub proof: Option<Inst>,
}

/// Facts by the roots of their addresses.
#[derive(Default)]
pub struct Facts {
    by_root: BTreeMap<Root, Vec<Fact>>,
    /// The proofs that are still to be executed.
    ahead: BTreeSet<Inst>,
}

impl Facts {
    pub fn record(&mut self, root: Root, fact: Fact) {
        self.by_root.entry(root).or_default().push(fact);
        self.ahead.extend(fact.proof);
    }

    /// Says that an access has been executed.
    pub fn executed(&mut self, inst: Inst) {
        self.ahead.remove(&inst);
    }

    /// The facts about addresses not far below an address, with the distances from it, that hold in a block.
    fn below<'a>(
        &'a self,
        address: Sum,
        block: Block,
        dominators: &'a Dominators,
    ) -> impl Iterator<Item = (u32, &'a Fact)> {
        let facts = self.by_root.get(&address.root).into_iter().flatten().rev().take(MAX_FACTS);
        facts.filter_map(move |fact| {
            let distance = address.offset.wrapping_sub(fact.offset);
            let holds = distance < CheckedAccess::OFFSETS && dominators.dominates(fact.block, block);
            holds.then_some((distance, fact))
        })
    }

    /// Whether an access at an address is known to be in memory, or in the arguments if these may be read.
    pub fn is_known(
        &self,
        address: Sum,
        access: CheckedAccess,
        or_arguments: bool,
        block: Block,
        dominators: &Dominators,
    ) -> bool {
        self.below(address, block, dominators).any(|(distance, fact)| {
            let is_readable =
                distance + access.offset >= fact.first && distance + access.span() <= fact.readable;
            distance + access.span() <= fact.extent || or_arguments && is_readable
        })
    }

    /// Whether an address differs by less than `distance` from one that is in memory.
    pub fn is_near_memory(&self, address: Sum, distance: u32, block: Block, dominators: &Dominators) -> bool {
        self.by_root.get(&address.root).into_iter().flatten().rev().take(MAX_FACTS).any(|fact| {
            let by = address.offset.wrapping_sub(fact.offset) as i32;
            fact.extent > 0 && by.unsigned_abs() < distance && dominators.dominates(fact.block, block)
        })
    }

    /// The proven facts about addresses in memory with this root, in a block.
    pub fn around<'a>(
        &'a self,
        root: Root,
        block: Block,
        dominators: &'a Dominators,
    ) -> impl Iterator<Item = &'a Fact> {
        let facts = self.by_root.get(&root).into_iter().flatten().rev().take(MAX_FACTS);
        let is_proven = |fact: &Fact| fact.proof.is_none_or(|inst| !self.ahead.contains(&inst));
        facts
            .filter(move |fact| fact.extent > 0 && is_proven(fact) && dominators.dominates(fact.block, block))
    }

    /// The latest fact about an address not above this one; about one in memory if that is asked for.
    pub fn nearest(
        &self,
        address: Sum,
        is_in_memory: bool,
        block: Block,
        dominators: &Dominators,
    ) -> Option<(u32, Fact)> {
        let mut facts = self.below(address, block, dominators);
        let found = facts.find(|(_, fact)| !is_in_memory || fact.extent > 0);
        found.map(|(distance, fact)| (distance, *fact))
    }

    /// The latest fact about an address in memory that is not above this one.
    pub fn in_memory(&self, address: Sum, block: Block, dominators: &Dominators) -> Option<Fact> {
        self.below(address, block, dominators).find(|(_, fact)| fact.extent > 0).map(|(_, fact)| *fact)
    }
}
