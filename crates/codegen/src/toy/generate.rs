//! Random toy functions.
//!
//! Control flow is a random tree of blocks plus random edges, including back edges and edges into the middle of loops;
//! critical edges are split. A use picks a definition in its block or in a dominator. Operand lists are random, as far
//! as the machine has enough registers for them.

use random::Rng;
use ssa::{EntityId, IdVec};

use super::{Op, Toy, ToyInst, empty_function};
use crate::mir::Isa;
use crate::mir::{
    Block, BlockData, Control, Function, Operand, PReg, RegClass, RegSet, Reuse, Role, Succ, VReg, VRegData,
};

/// Size parameters of random functions.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Blocks before critical edges are split.
    pub blocks: usize,
    /// Maximum number of instructions of a block.
    pub insts: usize,
    /// Percentage of calls among the instructions.
    pub calls: usize,
}

/// A random function for a machine.
pub fn random_function(toy: &Toy, shape: Shape, mut rng: Rng) -> Function<Toy, VReg> {
    let succs = split_critical(random_edges(shape.blocks, &mut rng));
    let preds = predecessors(&succs);
    let idoms = immediate_dominators(&succs, &preds);
    let mut builder = Builder {
        toy,
        shape,
        func: empty_function(),
        values: vec![Vec::new(); succs.len()],
        params: vec![Vec::new(); succs.len()],
        idoms,
        rng,
    };
    builder.add_params(&succs, &preds);
    let mut bodies: Vec<Option<Vec<ToyInst<VReg>>>> = vec![None; succs.len()];
    for n in dominator_order(&builder.idoms) {
        bodies[n] = Some(builder.body(n));
    }
    for (n, body) in bodies.into_iter().enumerate() {
        let control = builder.control(n, &succs[n]);
        let freq = [1.0, 1.0, 0.05, 8.0, 60.0][if n == 0 { 0 } else { builder.rng.below(5) }];
        let params = builder.params[n].clone();
        let insts = body.unwrap_or_default().into();
        builder.func.blocks.push(BlockData { params, insts, ..BlockData::new(control, freq) });
    }
    builder.finish()
}

/// Successors without repetitions; every block is reachable and none goes to block 0.
fn random_edges(blocks: usize, rng: &mut Rng) -> Vec<Vec<usize>> {
    let mut succs = vec![Vec::new(); blocks];
    for n in 1..blocks {
        let near = n.saturating_sub(6);
        let parent = near + rng.below(n - near);
        succs[parent].push(n);
    }
    for (n, list) in succs.iter_mut().enumerate().filter(|_| blocks > 1) {
        for _ in 0..rng.below(3) {
            let low = n.saturating_sub(8).max(1);
            let high = (n + 8).min(blocks);
            list.push(low + rng.below(high - low));
        }
        list.sort_unstable();
        list.dedup();
    }
    succs
}

fn predecessors(succs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut preds = vec![Vec::new(); succs.len()];
    for (n, list) in succs.iter().enumerate() {
        list.iter().for_each(|&succ| preds[succ].push(n));
    }
    preds
}

fn split_critical(mut succs: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    let preds = predecessors(&succs);
    for n in 0..preds.len() {
        if succs[n].len() < 2 {
            continue;
        }
        for i in 0..succs[n].len() {
            let succ = succs[n][i];
            if preds[succ].len() > 1 {
                succs[n][i] = succs.len();
                succs.push(vec![succ]);
            }
        }
    }
    succs
}

/// Immediate dominators; the entry's is the entry itself.
fn immediate_dominators(succs: &[Vec<usize>], preds: &[Vec<usize>]) -> Vec<usize> {
    let mut order = Vec::new();
    let mut seen = vec![false; succs.len()];
    let mut stack = vec![(0, 0)];
    seen[0] = true;
    while let Some((n, next)) = stack.pop() {
        match succs[n].get(next) {
            Some(&succ) => {
                stack.push((n, next + 1));
                if !std::mem::replace(&mut seen[succ], true) {
                    stack.push((succ, 0));
                }
            }
            None => order.push(n),
        }
    }
    let mut rank = vec![usize::MAX; succs.len()];
    order.iter().enumerate().for_each(|(i, &n)| rank[n] = i);
    let mut idoms = vec![usize::MAX; succs.len()];
    idoms[0] = 0;
    let mut changed = true;
    while std::mem::take(&mut changed) {
        for &n in order.iter().rev().skip(1) {
            let known = preds[n].iter().copied().filter(|&pred| idoms[pred] != usize::MAX);
            let meet = known.reduce(|mut a, mut b| {
                while a != b {
                    if rank[a] < rank[b] {
                        a = idoms[a];
                    } else {
                        b = idoms[b];
                    }
                }
                a
            });
            let idom = meet.expect("a predecessor comes first");
            changed |= std::mem::replace(&mut idoms[n], idom) != idom;
        }
    }
    idoms
}

/// Blocks such that dominators come first.
fn dominator_order(idoms: &[usize]) -> Vec<usize> {
    let mut children = vec![Vec::new(); idoms.len()];
    for n in 1..idoms.len() {
        children[idoms[n]].push(n);
    }
    let mut order = vec![0];
    let mut next = 0;
    while next < order.len() {
        order.extend_from_slice(&children[order[next]]);
        next += 1;
    }
    order
}

struct Builder<'a> {
    toy: &'a Toy,
    shape: Shape,
    func: Function<Toy, VReg>,
    /// Definitions of each block.
    values: Vec<Vec<VReg>>,
    params: Vec<Vec<VReg>>,
    idoms: Vec<usize>,
    rng: Rng,
}

impl Builder<'_> {
    fn new_vreg(&mut self, class: RegClass, rematerializable: bool) -> VReg {
        self.func.vregs.push(VRegData { class, rematerializable })
    }

    fn class(&mut self) -> RegClass {
        match !self.toy.registers().order[1].is_empty() && self.rng.chance(20) {
            true => RegClass::Float,
            false => RegClass::Int,
        }
    }

    fn add_params(&mut self, succs: &[Vec<usize>], preds: &[Vec<usize>]) {
        for (n, preds) in preds.iter().enumerate().skip(1) {
            let dispatched = preds.iter().any(|&pred| succs[pred].len() > 2);
            let most = if preds.len() > 1 { 5 } else { 2 };
            for _ in 0..if dispatched { 0 } else { self.rng.below(most) } {
                let class = self.class();
                let param = self.new_vreg(class, false);
                self.params[n].push(param);
                self.values[n].push(param);
            }
        }
    }

    /// A value that is defined at the current end of block `n`.
    fn pick(&mut self, n: usize, class: RegClass) -> VReg {
        loop {
            let mut from = n;
            while from != 0 && (self.values[from].is_empty() || self.rng.chance(40)) {
                from = self.idoms[from];
            }
            let values = &self.values[from];
            let recent = values.len().min(if self.rng.chance(70) { 6 } else { usize::MAX });
            let start = values.len() - recent;
            for _ in 0..4 {
                let value = values[start + self.rng.below(recent)];
                if self.func.vregs[value].class == class {
                    return value;
                }
            }
            if let Some(&value) = self.values[0].iter().find(|&&value| self.func.vregs[value].class == class)
            {
                return value;
            }
        }
    }

    fn body(&mut self, n: usize) -> Vec<ToyInst<VReg>> {
        let mut insts = Vec::new();
        if n == 0 {
            insts.push(self.entry());
        }
        for _ in 0..self.rng.below(self.shape.insts + 1) {
            let inst = self.inst(n);
            let defs = inst.operands.iter().filter(|(_, operand)| operand.role.is_def()).map(|&(reg, _)| reg);
            self.values[n].extend(defs);
            insts.push(inst);
        }
        insts
    }

    /// Defines one value in each of some registers.
    fn entry(&mut self) -> ToyInst<VReg> {
        let orders = self.toy.registers().order.clone();
        let mut operands = Vec::new();
        for (class, order) in [RegClass::Int, RegClass::Float].into_iter().zip(orders) {
            for &reg in order.iter().take(4) {
                let vreg = self.new_vreg(class, false);
                operands.push((vreg, Operand::fixed_def(class, reg)));
                self.values[0].push(vreg);
            }
        }
        ToyInst::new(Op::Compute, operands, 7)
    }

    fn inst(&mut self, n: usize) -> ToyInst<VReg> {
        let constant = self.rng.bits() % 1000;
        match self.rng.below(100) {
            kind if kind < self.shape.calls => self.call(n),
            kind if kind >= 90 => {
                let class = self.class();
                let dst = self.new_vreg(class, true);
                ToyInst::new(Op::Compute, vec![(dst, Operand::def(class))], constant)
            }
            kind if kind >= 84 => {
                let class = self.class();
                let src = self.pick(n, class);
                let dst = self.new_vreg(class, false);
                ToyInst::new(Op::Copy, vec![(dst, Operand::def(class)), (src, Operand::used(class))], 0)
            }
            _ => loop {
                let inst = self.general(n, constant);
                if is_feasible(self.toy, &inst) {
                    break inst;
                }
            },
        }
    }

    /// A call: arguments and results in fixed registers, caller-saved registers clobbered, sometimes an unconstrained
    /// operand.
    fn call(&mut self, n: usize) -> ToyInst<VReg> {
        let order = self.toy.registers().order[0].clone();
        let mut operands = Vec::new();
        for &reg in order.iter().take(self.rng.below(order.len().min(4))) {
            let arg = self.pick(n, RegClass::Int);
            operands.push((arg, Operand::fixed_use(RegClass::Int, reg)));
        }
        if self.rng.chance(30) {
            let callee = self.pick(n, RegClass::Int);
            operands.push((callee, Operand::used(RegClass::Int)));
        }
        for &reg in order.iter().take(self.rng.below(3)) {
            let result = self.new_vreg(RegClass::Int, false);
            operands.push((result, Operand::fixed_def(RegClass::Int, reg)));
        }
        let constant = self.rng.bits() % 1000;
        ToyInst { op: Op::Effect, operands, constant, clobbers: self.toy.caller_saved() }
    }

    fn general(&mut self, n: usize, constant: u64) -> ToyInst<VReg> {
        let mut operands: Vec<(VReg, Operand)> = Vec::new();
        for _ in 0..self.rng.below(4) {
            let class = self.class();
            let same = operands.first().filter(|_| self.rng.chance(15)).copied();
            let (vreg, class) = match same {
                Some((vreg, operand)) => (vreg, operand.class),
                None => (self.pick(n, class), class),
            };
            let role = if self.rng.chance(12) { Role::LateUse } else { Role::Use };
            operands.push((
                vreg,
                Operand { fixed: self.maybe_fixed(class), ..Operand::used(class).with_role(role) },
            ));
        }
        let uses = operands.len();
        for _ in 0..self.rng.below(3) {
            let operand = self.definition(&operands[..uses]);
            let vreg = self.new_vreg(operand.class, false);
            operands.push((vreg, operand));
        }
        let op = if self.rng.chance(20) { Op::Effect } else { Op::Compute };
        let clobbers = match self.rng.chance(10) {
            true => [PReg::new(self.rng.below(3) as u8)].into_iter().collect(),
            false => RegSet::EMPTY,
        };
        ToyInst { op, operands, constant, clobbers }
    }

    fn definition(&mut self, uses: &[(VReg, Operand)]) -> Operand {
        let class = self.class();
        let role = if self.rng.chance(12) { Role::EarlyDef } else { Role::Def };
        if !uses.is_empty() && self.rng.chance(40) {
            let index = self.rng.below(uses.len());
            let tied = uses[index].1;
            if tied.role == Role::Use {
                let reuse = match self.rng.chance(60) {
                    true => Reuse::Must(index as u8),
                    false => Reuse::Prefer(index as u8),
                };
                return Operand::def(tied.class).with_role(role).with_reuse(reuse);
            }
        }
        Operand { fixed: self.maybe_fixed(class), ..Operand::def(class).with_role(role) }
    }

    fn maybe_fixed(&mut self, class: RegClass) -> Option<PReg> {
        if !self.rng.chance(12) {
            return None;
        }
        let order = &self.toy.registers().order[class as usize];
        Some(order[self.rng.below(order.len())])
    }

    fn control(&mut self, n: usize, succs: &[usize]) -> Control<Toy, VReg> {
        let constant = self.rng.bits() % 1000;
        let condition = self.pick(n, RegClass::Int);
        let inst = |op| ToyInst::new(op, vec![(condition, Operand::used(RegClass::Int))], constant);
        match *succs {
            [] => {
                let first = self.toy.registers().order[0][0];
                let operands = vec![(condition, Operand::fixed_use(RegClass::Int, first))];
                Control::Exit(ToyInst::new(Op::Effect, operands, constant))
            }
            [to] => Control::Jump(self.succ(n, to)),
            [taken, other] => Control::Branch {
                inst: inst(Op::Compute),
                taken: self.succ(n, taken),
                other: self.succ(n, other),
            },
            _ => {
                let mut targets: Vec<Block> = succs.iter().map(|&to| Block::new(to)).collect();
                targets.push(targets[0]);
                Control::Dispatch { inst: inst(Op::Compute), targets }
            }
        }
    }

    fn succ(&mut self, n: usize, to: usize) -> Succ<VReg> {
        let params = self.params[to].clone();
        let args = params.iter().map(|&param| self.pick(n, self.func.vregs[param].class)).collect();
        Succ { block: Block::new(to), args }
    }

    fn finish(mut self) -> Function<Toy, VReg> {
        let count = self.func.blocks.len();
        self.func.order = self.func.blocks.ids().collect();
        if self.rng.chance(30) {
            for i in 1..count {
                let other = i + self.rng.below(count - i);
                self.func.order.swap(i, other);
            }
        }
        let blocks: IdVec<Block, BlockData<Toy, VReg>> = std::mem::take(&mut self.func.blocks);
        self.func.blocks = blocks;
        self.func
    }
}

/// Whether the machine has enough registers for an instruction's operands in any surrounding code.
fn is_feasible(toy: &Toy, inst: &ToyInst<VReg>) -> bool {
    [RegClass::Int, RegClass::Float].into_iter().all(|class| class_is_feasible(toy, inst, class))
}

fn class_is_feasible(toy: &Toy, inst: &ToyInst<VReg>, class: RegClass) -> bool {
    let all: RegSet = toy.registers().order[class as usize].iter().copied().collect();
    let (mut early_fixed, mut late_fixed) = (RegSet::EMPTY, inst.clobbers.intersection(all));
    // Registers that no definition can have: those of late reads and of other definitions.
    let mut kept = RegSet::EMPTY;
    let mut tied = RegSet::EMPTY;
    let (mut early, mut late, mut both) = (0, 0, 0);
    for (i, (_, operand)) in
        inst.operands.iter().enumerate().filter(|(_, (_, operand))| operand.class == class)
    {
        let (at_early, at_late) = match operand.role {
            Role::Use => (true, false),
            Role::Def => (matches!(operand.reuse, Reuse::Must(_)), true),
            Role::LateUse | Role::EarlyDef => (true, true),
        };
        if let Reuse::Must(index) = operand.reuse {
            let index = PReg::new(index);
            if tied.contains(index) || inst.operands[index.index()].1.fixed.is_some() {
                return false;
            }
            tied.insert(index);
        }
        match operand.fixed {
            Some(reg) => {
                let taken = (at_early && early_fixed.contains(reg)) || (at_late && late_fixed.contains(reg));
                if taken && (operand.role != Role::Def || kept.contains(reg)) {
                    return false;
                }
                if at_early {
                    early_fixed.insert(reg);
                }
                if at_late {
                    late_fixed.insert(reg);
                }
                if at_late {
                    kept.insert(reg);
                }
            }
            None if at_early && at_late => both += 1,
            None if at_late => late += 1,
            None => early += usize::from(!is_tied(inst, i)),
        }
    }
    early_fixed.len() + early + both <= all.len()
        && late_fixed.len() + late + both <= all.len()
        && early_fixed.union(late_fixed).len() + both <= all.len()
}

fn is_tied(inst: &ToyInst<VReg>, index: usize) -> bool {
    inst.operands.iter().any(|(_, operand)| operand.reuse == Reuse::Must(index as u8))
}
