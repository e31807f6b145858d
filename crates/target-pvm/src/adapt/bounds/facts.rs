//! What is known about addresses while a function is walked.

use std::collections::BTreeMap;

use ssa::{Block, CheckedAccess, Dominators, Value};

use super::linear::Sum;

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
    /// The number of bytes at the address that are in memory or in the arguments.
    pub readable: u32,
}

/// Facts by the roots of their addresses.
#[derive(Default)]
pub struct Facts {
    by_root: BTreeMap<Value, Vec<Fact>>,
}

impl Facts {
    pub fn record(&mut self, root: Value, fact: Fact) {
        self.by_root.entry(root).or_default().push(fact);
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

    /// Whether so many bytes at an address are known to be in memory, or in the arguments if these may be read.
    pub fn are_known(
        &self,
        address: Sum,
        bytes: u32,
        or_arguments: bool,
        block: Block,
        dominators: &Dominators,
    ) -> bool {
        self.below(address, block, dominators).any(|(distance, fact)| {
            let known = if or_arguments { fact.readable } else { fact.extent };
            distance + bytes <= known
        })
    }

    /// The latest fact about an address not above this one.
    pub fn nearest(&self, address: Sum, block: Block, dominators: &Dominators) -> Option<(u32, Fact)> {
        self.below(address, block, dominators).next().map(|(distance, fact)| (distance, *fact))
    }

    /// The latest fact about an address in memory that is not above this one.
    pub fn in_memory(&self, address: Sum, block: Block, dominators: &Dominators) -> Option<Fact> {
        self.below(address, block, dominators).find(|(_, fact)| fact.extent > 0).map(|(_, fact)| *fact)
    }
}
