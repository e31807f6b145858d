//! Branch islands: jumps that far branches share.
//!
//! A conditional branch has 2 bytes if its target is within 256 bytes, else 4. Many branches may go to one far block,
//! for example to the error exit of a parser, and each has 4 bytes. So when optimising for size they branch to a nearby
//! jump, the island. It is placed after a block that does not fall through, so it costs its own bytes only.
//!
//! Distances are estimated, with a margin for inserted code. If one is too long after all, relaxation chooses the long
//! form, so the estimate affects size only. Termination: the branches to each target are visited once.

use std::collections::BTreeMap;

use codegen::{Block, BlockData, Control, Function, PReg, Succ};
use ssa::IdVec;

use crate::isa::Thumb;
use crate::isa::inst::{Callee, Inst, to_machine};

/// Reach of a short conditional branch in bytes.
const BRANCH_REACH: i64 = 250;
/// Reach of a short jump in bytes.
const JUMP_REACH: i64 = 2000;
/// Maximum distance of an island from a branch in bytes.
const NEAR: i64 = 200;

/// Number of rounds of estimating the forms of branches.
const ROUNDS: usize = 3;

/// Makes far branches use islands.
pub fn place(func: &mut Function<Thumb, PReg>) {
    if !func.optimize_for_size {
        return;
    }
    let map = Map::new(func);
    let mut islands: Vec<(usize, Block)> = Vec::new();
    for (target, branches) in map.far_branches(func) {
        let mut rest = &branches[..];
        while let Some(&(first, _)) = rest.first() {
            let last = map.gaps.partition_point(|gap| gap.0 <= first + NEAR);
            let gap = map.gaps[..last].last().filter(|gap| gap.0 >= first - NEAR);
            let reached = |gap: i64| rest.iter().take_while(|(at, _)| *at <= gap + NEAR).count();
            let (count, gap) = gap.map_or((0, (0, 0)), |&gap| (reached(gap.0), gap));
            let is_near = (map.starts[target] - gap.0).abs() < JUMP_REACH;
            if 2 * count > if is_near { 2 } else { 4 } {
                let island = add_jump(func, target);
                rest[..count].iter().for_each(|&(_, block)| redirect(func, block, target, island));
                islands.push((gap.1, island));
                rest = &rest[count..];
            } else {
                rest = &rest[1..];
            }
        }
    }
    islands.sort_by_key(|&(at, _)| at);
    for (at, island) in islands.into_iter().rev() {
        func.order.insert(at + 1, island);
    }
}

fn add_jump(func: &mut Function<Thumb, PReg>, target: Block) -> Block {
    func.blocks.push(BlockData::new(Control::Jump(Succ { block: target, args: Vec::new() }), 0.0))
}

fn redirect(func: &mut Function<Thumb, PReg>, block: Block, from: Block, to: Block) {
    if let Control::Branch { taken, other, .. } = &mut func.blocks[block].control {
        let way = if taken.block == from { taken } else { other };
        way.block = to;
    }
}

/// Estimated addresses.
struct Map {
    /// Addresses of blocks.
    starts: IdVec<Block, i64>,
    /// Addresses of their conditional branches.
    branches: IdVec<Block, i64>,
    /// Addresses of the ends of blocks that don't fall through, with the block's position in the order.
    gaps: Vec<(i64, usize)>,
}

impl Map {
    fn new(func: &Function<Thumb, PReg>) -> Self {
        let zeros = IdVec::filled(0, func.blocks.len());
        let mut map = Self { starts: zeros.clone(), branches: zeros, gaps: Vec::new() };
        for round in 0..ROUNDS {
            map.measure(func, round == 0);
        }
        map
    }

    /// Sums up sizes. If `all_short`, branches are assumed to be short; else distances of the previous round decide.
    fn measure(&mut self, func: &Function<Thumb, PReg>, all_short: bool) {
        let before = (self.starts.clone(), self.branches.clone());
        self.gaps.clear();
        let mut at = 0;
        for (n, &block) in func.order.iter().enumerate() {
            let next = func.order.get(n + 1).copied();
            let data = &func.blocks[block];
            self.starts[block] = at;
            at += data.insts.iter().map(inst_bytes).sum::<i64>();
            self.branches[block] = at;
            let distance = |to: Block| (before.0[to] - before.1[block] - 4).abs();
            let jump = |to: Block| if all_short || distance(to) < JUMP_REACH { 2 } else { 4 };
            at += match &data.control {
                Control::Jump(to) if Some(to.block) == next => 0,
                Control::Jump(to) => jump(to.block),
                Control::Branch { inst, taken, other } => {
                    let to = branch_target(taken.block, other.block, next);
                    let is_near = all_short || distance(to) < BRANCH_REACH;
                    let compare = if matches!(inst, Inst::ZeroBranch { .. }) && !is_near { 2 } else { 0 };
                    let both = next != Some(taken.block) && next != Some(other.block);
                    compare + if is_near { 2 } else { 4 } + if both { jump(other.block) } else { 0 }
                }
                Control::Dispatch { targets, .. } => 4 + 2 * targets.len() as i64,
                Control::Exit(inst) => inst_bytes(inst),
            };
            let leaves = match &data.control {
                Control::Jump(to) => Some(to.block) != next,
                Control::Exit(_) => true,
                _ => false,
            };
            if leaves {
                self.gaps.push((at, n));
            }
        }
    }

    /// Branches that are too far from their targets, by target, in the order of their addresses.
    fn far_branches(&self, func: &Function<Thumb, PReg>) -> BTreeMap<Block, Vec<(i64, Block)>> {
        let mut far: BTreeMap<Block, Vec<(i64, Block)>> = BTreeMap::new();
        for (n, &block) in func.order.iter().enumerate() {
            if let Control::Branch { taken, other, .. } = &func.blocks[block].control {
                let to = branch_target(taken.block, other.block, func.order.get(n + 1).copied());
                let at = self.branches[block];
                if (self.starts[to] - at - 4).abs() >= BRANCH_REACH {
                    far.entry(to).or_default().push((at, block));
                }
            }
        }
        far
    }
}

/// The target of a block's conditional branch.
fn branch_target(taken: Block, other: Block, next: Option<Block>) -> Block {
    if next == Some(taken) { other } else { taken }
}

/// Bytes of a final instruction.
fn inst_bytes(inst: &Inst<PReg>) -> i64 {
    let machine = |machine: &crate::isa::inst::Machine<PReg>, it| {
        let form = to_machine(machine).shortest_form(it);
        form.map_or(4, |form| i64::from(form.width().bytes()))
    };
    match inst {
        Inst::Plain(inst) => machine(inst, None),
        Inst::It { cond, mask, body } => {
            let parts = body.iter().zip(mask.conds(*cond)).map(|(inst, cond)| machine(inst, Some(cond)));
            2 + parts.sum::<i64>()
        }
        Inst::LoadLiteral { dst, .. } if dst.number() < 8 => 2,
        Inst::Call(call) | Inst::TailCall(call) if matches!(call.callee, Callee::Code(_)) => 2,
        Inst::Return { pop, .. } if pop.iter().all(|reg| reg.is_low() || reg == thumb_isa::Reg::PC) => 2,
        _ => 4,
    }
}
