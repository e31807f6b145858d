//! Choosing the form of dispatch tables.
//!
//! `tbb` and `tbh` jump forward by twice an entry of the table that follows them. Entries are bytes or half-words if
//! all targets are surely in reach, given the longest possible forms of all code. A target before the dispatch gets a
//! jump to it after the code. If half-words don't reach either, the table consists of jumps.

use codegen::{Block, BlockData, Control, Function, PReg, Succ};
use ssa::{EntityId as _, IdVec};

use crate::isa::Thumb;
use crate::isa::inst::{Inst, Table};

/// Size of code in bytes in which a short jump reaches everything, with a margin for pools.
const SHORT_JUMP: u32 = 1500;

/// Chooses the table of every dispatch.
pub fn choose(target: &Thumb, func: &mut Function<Thumb, PReg>) {
    let dispatches: Vec<Block> =
        func.order.iter().copied().filter(|&block| is_dispatch(func, block)).collect();
    if dispatches.is_empty() {
        return;
    }
    if !target.cpu.has_main() {
        // Jumps of tables are chosen alike; literals between the parts of the code count, too.
        let is_long = most_bytes(func) > SHORT_JUMP;
        for block in dispatches {
            if let Control::Dispatch { inst: Inst::Dispatch { table, .. }, .. } =
                &mut func.blocks[block].control
            {
                *table = Table::Added { is_long };
            }
        }
        return;
    }
    for &block in &dispatches {
        land_forward(func, block);
    }
    let starts = most_starts(func);
    for block in dispatches {
        let Control::Dispatch { inst: Inst::Dispatch { table, .. }, targets } =
            &mut func.blocks[block].control
        else {
            continue;
        };
        let entries = targets.len() as u32;
        let next = func.order.iter().position(|&other| other == block).map(|at| func.order[at + 1]);
        let from = next.map_or(0, |next| starts[next]);
        let farthest = targets.iter().map(|&to| starts[to].saturating_sub(from)).max().unwrap_or(0);
        *table = if farthest + entries < 500 {
            Table::Bytes
        } else if farthest + 2 * entries < 130_000 {
            Table::Halves
        } else {
            Table::Jumps
        };
    }
}

fn is_dispatch(func: &Function<Thumb, PReg>, block: Block) -> bool {
    matches!(func.blocks[block].control, Control::Dispatch { .. })
}

/// Gives targets at or before a dispatch a jump after the code.
fn land_forward(func: &mut Function<Thumb, PReg>, block: Block) {
    let mut position: IdVec<Block, usize> = IdVec::filled(usize::MAX, func.blocks.len());
    func.order.iter().enumerate().for_each(|(at, &block)| position[block] = at);
    let Control::Dispatch { targets, .. } = &func.blocks[block].control else { return };
    let mut targets = targets.clone();
    let mut behind: Vec<Block> =
        targets.iter().copied().filter(|&to| position[to] <= position[block]).collect();
    behind.sort_by_key(|to| to.index());
    behind.dedup();
    for to in behind {
        let control = Control::Jump(Succ { block: to, args: Vec::new() });
        let landing = func.blocks.push(BlockData::new(control, 0.0));
        func.order.push(landing);
        targets.iter_mut().filter(|target| **target == to).for_each(|target| *target = landing);
    }
    if let Control::Dispatch { targets: old, .. } = &mut func.blocks[block].control {
        *old = targets;
    }
}

/// Maximum offset of each block from the function's start.
fn most_starts(func: &Function<Thumb, PReg>) -> IdVec<Block, u32> {
    let mut starts = IdVec::filled(0, func.blocks.len());
    let mut at = 0;
    for &block in &func.order {
        starts[block] = at;
        at += most_block_bytes(func, block);
    }
    starts
}

/// Maximum size of a function in bytes.
pub fn most_bytes(func: &Function<Thumb, PReg>) -> u32 {
    func.order.iter().map(|&block| most_block_bytes(func, block)).sum()
}

fn most_block_bytes(func: &Function<Thumb, PReg>, block: Block) -> u32 {
    let data = &func.blocks[block];
    let control = match &data.control {
        Control::Dispatch { targets, .. } => 16 + 4 * targets.len() as u32,
        // At most a comparison, a branch over a long jump, and another long jump.
        _ => 12,
    };
    data.insts.iter().map(most_inst_bytes).sum::<u32>() + control
}

/// Maximum size of an instruction in bytes, whether it is expanded or not.
fn most_inst_bytes(inst: &Inst<PReg>) -> u32 {
    match inst {
        Inst::Plain(_) | Inst::Update { .. } | Inst::UpdatePair { .. } => 4,
        Inst::AddressHalf { .. }
        | Inst::LoadLiteral { .. }
        | Inst::ZeroBranch { .. }
        | Inst::FlagBranch(_) => 4,
        Inst::It { body, .. } => 2 + 4 * body.len() as u32,
        Inst::Call(call) => 4 + 4 * call.singles.len() as u32,
        Inst::Params { singles, .. } => 4 * singles.len() as u32,
        Inst::Const { .. } | Inst::StoreSlot { .. } | Inst::LoadSlot { .. } => 8,
        Inst::Pair { .. } | Inst::PairNeg { .. } | Inst::PairHalve { .. } => 12,
        // Two comparisons in an IT block, and one move for each outcome in another.
        Inst::Select { .. } => 20,
        // Two comparisons with an IT block, and for each outcome three moves with their IT blocks.
        _ => 40,
    }
}
