//! Scheduling the instructions of a block for the pipeline that GP 0.8 prices.
//!
//! The decoder takes four slots per cycle in program order. So instructions with the longest latency should be decoded
//! first: loads, multiplications, and everything a branch waits for. Registers are assigned, so the dependences include
//! writes after reads. Memory accesses keep their order unless they surely touch different bytes; loads may always pass
//! loads. Calls, host calls and block ends stay in place.
//!
//! The windows between those are list-scheduled by critical path. A new order is kept only if the simulator prices the
//! whole block cheaper with it.

use codegen::{Effects, Function, Insts, PReg};

use crate::analysis::effects::{Access, ends_block, is_barrier};
use crate::analysis::price;
use crate::isa::{Inst, Mem, Pvm};

/// Maximum number of instructions in a window.
const WINDOW: usize = 96;

/// Reorders the instructions of every block.
pub fn schedule(func: &mut Function<Pvm, PReg>) {
    for n in 0..func.order.len() {
        let block = func.order[n];
        let data = &mut func.blocks[block];
        let control = data.control.inst().cloned();
        let insts = std::mem::take(&mut data.insts);
        let mut done = Insts::with_capacity(insts.len());
        for segment in insts.chunk_by(|inst, _| !ends_block(inst)) {
            let is_last = segment.last().is_none_or(|inst| !ends_block(inst));
            let end = if is_last { control.as_ref() } else { None };
            let start = done.len();
            for n in schedule_segment(segment, end) {
                done.push(segment[n].clone(), insts.loc(start + n));
            }
        }
        func.blocks[block].insts = done;
    }
}

/// The cheaper order of a machine block, as indices; `end` is its last instruction if that is the block's control.
fn schedule_segment(insts: &[Inst<PReg>], end: Option<&Inst<PReg>>) -> Vec<usize> {
    let unchanged = || (0..insts.len()).collect();
    if insts.len() < 3 {
        return unchanged();
    }
    let mut order: Vec<usize> = Vec::with_capacity(insts.len());
    let mut rest = insts;
    while !rest.is_empty() {
        let most = rest.len().min(WINDOW);
        let (window, after) = rest.split_at(rest[..most].iter().position(is_barrier).unwrap_or(most));
        let start = order.len();
        let of_window = by_critical_path(window, if after.is_empty() { end } else { after.first() });
        order.extend(of_window.into_iter().map(|n| start + n));
        // The barrier itself.
        let fixed = usize::from(after.first().is_some_and(is_barrier));
        order.extend(order.len()..order.len() + fixed);
        rest = &after[fixed..];
    }
    let ordered: Vec<Inst<PReg>> = order.iter().map(|&n| insts[n].clone()).collect();
    if price(&ordered, end) < price(insts, end) { order } else { unchanged() }
}

fn price(insts: &[Inst<PReg>], end: Option<&Inst<PReg>>) -> u32 {
    price::price(insts.iter().chain(end).filter_map(Inst::machine))
}

/// The order of a window by the longest remaining latency, as far as dependences allow. `end` comes after it.
fn by_critical_path(window: &[Inst<PReg>], end: Option<&Inst<PReg>>) -> Vec<usize> {
    let mut graph = Graph::new(window.len() + 1);
    graph.add_register_edges(window.iter().chain(end));
    graph.add_memory_edges(window);
    let latency =
        |inst: &Inst<PReg>| inst.machine().map_or(0, |machine| u32::from(machine.op().cost().cycles));
    let latencies: Vec<u32> = window.iter().chain(end).map(latency).collect();
    let heights = graph.heights(&latencies);

    let mut waiting: Vec<usize> =
        graph.successors.iter().flatten().fold(vec![0; window.len() + 1], |mut n, edge| {
            n[edge.to] += 1;
            n
        });
    let mut ready: Vec<usize> = (0..window.len()).filter(|&n| waiting[n] == 0).collect();
    let mut order = Vec::with_capacity(window.len());
    while let Some(best) = (0..ready.len()).max_by_key(|&n| (heights[ready[n]], std::cmp::Reverse(ready[n])))
    {
        let next = ready.swap_remove(best);
        order.push(next);
        for edge in &graph.successors[next] {
            waiting[edge.to] -= 1;
            if waiting[edge.to] == 0 && edge.to < window.len() {
                ready.push(edge.to);
            }
        }
    }
    assert_eq!(order.len(), window.len(), "dependences follow program order, so they have no cycle");
    order
}

/// A dependence on an earlier instruction.
#[derive(Clone, Copy)]
struct Edge {
    to: usize,
    /// Whether `to` waits for the result; otherwise only the order matters.
    is_data: bool,
}

/// Dependences among the instructions of a window and the one after it.
struct Graph {
    successors: Vec<Vec<Edge>>,
}

impl Graph {
    fn new(len: usize) -> Self {
        Self { successors: vec![Vec::new(); len] }
    }

    fn add(&mut self, from: usize, to: usize, is_data: bool) {
        if from != to {
            self.successors[from].push(Edge { to, is_data });
        }
    }

    fn add_register_edges<'a>(&mut self, insts: impl Iterator<Item = &'a Inst<PReg>>) {
        let mut writer: [Option<usize>; 64] = [None; 64];
        let mut readers: [Vec<usize>; 64] = std::array::from_fn(|_| Vec::new());
        for (n, inst) in insts.enumerate() {
            let effects = Effects::of::<Pvm>(inst);
            for reg in effects.reads.iter().map(PReg::index) {
                writer[reg].into_iter().for_each(|from| self.add(from, n, true));
                readers[reg].push(n);
            }
            for reg in effects.writes.iter().map(PReg::index) {
                writer[reg].into_iter().for_each(|from| self.add(from, n, false));
                std::mem::take(&mut readers[reg]).into_iter().for_each(|from| self.add(from, n, false));
                writer[reg] = Some(n);
            }
        }
    }

    /// Registers in two addresses are compared by name. If such a register changes between the accesses, they are
    /// ordered through that change or can't be compared, so such pairs keep their order, too.
    fn add_memory_edges(&mut self, window: &[Inst<PReg>]) {
        let mut version = [0u32; 64];
        let mut accesses: Vec<(usize, Access, u32)> = Vec::new();
        for (n, inst) in window.iter().enumerate() {
            if let Some(access) = Access::of(inst) {
                let base = match access.mem {
                    Mem::Reg(base, _) => version[base.index()],
                    _ => 0,
                };
                for &(from, earlier, its_base) in &accesses {
                    let is_ordered = (access.is_store || earlier.is_store)
                        && !(base == its_base && access.is_disjoint_from(&earlier));
                    if is_ordered {
                        self.add(from, n, false);
                    }
                }
                accesses.push((n, access, base));
            }
            Effects::of::<Pvm>(inst).writes.iter().for_each(|reg| version[reg.index()] += 1);
        }
    }

    /// For each instruction, the cycles from its start to the end of the longest chain of results after it.
    fn heights(&self, latencies: &[u32]) -> Vec<u32> {
        let mut heights = vec![0; self.successors.len()];
        for n in (0..latencies.len()).rev() {
            let rest = self.successors[n].iter().map(|edge| match edge.is_data {
                true => heights[edge.to] + latencies[n],
                false => heights[edge.to],
            });
            heights[n] = rest.max().unwrap_or(0).max(latencies[n]);
        }
        heights
    }
}
