//! Jumps that far branches share.
//!
//! A conditional branch has 2 bytes if its target is within 256 bytes, else 4. Where many branches leave for one far
//! block, as all the errors of a parser do, each pays. So where size counts they branch to a jump nearby, which stands
//! behind a block that control doesn't leave by its end and so costs its own bytes only.
//!
//! Distances are estimated, with a margin for what is added in between. If one turns out too long after all, relaxation
//! chooses the long form, so nothing depends on the estimate but size. For each target the branches are gone through
//! once.

use std::collections::BTreeMap;

use codegen::{Block, BlockData, Control, Function, PReg, Succ};
use ssa::IdVec;

use crate::inst::{Callee, Inst, to_machine};
use crate::target::Thumb;

/// How far a short conditional branch reaches, how far a short jump does, and how far from a branch its island is put.
const BRANCH_REACH: i64 = 250;
const JUMP_REACH: i64 = 2000;
const NEAR: i64 = 200;

/// Rounds of estimating which forms branches have.
const ROUNDS: usize = 3;

/// Gives branches to far blocks islands.
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

/// Where things are, roughly.
struct Map {
    /// Where blocks start.
    starts: IdVec<Block, i64>,
    /// Where their conditional branches are.
    branches: IdVec<Block, i64>,
    /// Places behind blocks that control doesn't leave by the end, with the block's position in the order.
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

    /// Adds up sizes; all branches are short in the first round, and as far as distances say later.
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

    /// Branches out of reach by their targets, in the order of their addresses.
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

/// Where the conditional branch of a block goes.
fn branch_target(taken: Block, other: Block, next: Option<Block>) -> Block {
    if next == Some(taken) { other } else { taken }
}

/// Bytes of a final instruction.
fn inst_bytes(inst: &Inst<PReg>) -> i64 {
    let machine = |machine: &crate::inst::Machine<PReg>, it| {
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
