//! Block order: invariants of every order, and the quality of the final order.

mod layout_machine;

use std::collections::BTreeMap;

use codegen::{Block, Control, Function, PReg, VReg, layout};
use layout_machine::*;
use ssa::EntityId;

#[test]
fn every_block_comes_once_and_dominators_come_first() {
    for seed in 0..3_000 {
        let mut func: Function<Machine, VReg> = random_function(&mut Rng::new(seed), 16);
        layout::order_blocks(&Machine::new(), &mut func);
        assert_eq!(func.order[0], Block::new(0), "{func}");
        let mut listed = func.order.clone();
        listed.sort_unstable();
        assert_eq!(listed, reachable(&func), "{func}");
        for (n, &block) in func.order.iter().enumerate() {
            let without = reachable_without(&func, Some(block));
            let dominated_before = func.order[..n].iter().find(|before| !without.contains(before));
            assert_eq!(dominated_before, None, "dominated by {block} and before it\n{func}");
        }
    }
}

#[test]
fn traps_come_last_before_allocation() {
    for seed in 0..500 {
        let mut func: Function<Machine, VReg> = structured_function(&mut Rng::new(seed), 25);
        layout::order_blocks(&Machine::new(), &mut func);
        let is_trap = |block: &Block| matches!(func.blocks[*block].control, Control::Exit(Inst::Trap));
        let first = func.order.iter().position(is_trap).unwrap_or(func.order.len());
        // A trap may be the last block of an ordinary chain; chains that start with a trap are at the end.
        let late = func.order[first..].iter().filter(|block| !is_trap(block)).count();
        let fallthrough = func
            .order
            .windows(2)
            .filter(|pair| is_trap(&pair[1]) && func.blocks[pair[0]].control.successors().contains(&pair[1]));
        assert!(late == 0 || fallthrough.count() > 0, "{func}");
    }
}

/// Executed jumps per call: after blocks whose only successor is not next, and on the rarer edge of branches where
/// neither successor is next.
fn executed_jumps(
    func: &Function<Machine, PReg>,
    freqs: &BTreeMap<(Block, Block), f32>,
    order: &[Block],
) -> f32 {
    let next: BTreeMap<Block, Block> = order.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let jump_cost = |&block: &Block| {
        let succs = func.blocks[block].control.successors();
        if matches!(func.blocks[block].control, Control::Dispatch { .. })
            || succs.is_empty()
            || next.get(&block).is_some_and(|next| succs.contains(next))
        {
            return 0.0;
        }
        succs.iter().map(|&to| freqs[&(block, to)]).fold(f32::INFINITY, f32::min)
    };
    order.iter().map(jump_cost).sum()
}

/// Edge frequencies of a finished function, from the block frequencies. Exact for structured functions except for
/// loops, whose back edges get the frequency that the entry edges leave over.
fn edge_freqs(func: &Function<Machine, PReg>) -> BTreeMap<(Block, Block), f32> {
    let mut preds: BTreeMap<Block, usize> = BTreeMap::new();
    for &block in &func.order {
        func.blocks[block].control.successors().into_iter().for_each(|to| *preds.entry(to).or_default() += 1);
    }
    let mut freqs = BTreeMap::new();
    for &block in &func.order {
        let freq = func.blocks[block].freq;
        match func.blocks[block].control.successors()[..] {
            [to] => {
                freqs.insert((block, to), freq);
            }
            [a, b] => {
                let of_a = if preds[&a] == 1 { func.blocks[a].freq } else { freq - func.blocks[b].freq };
                freqs.insert((block, a), of_a);
                freqs.insert((block, b), freq - of_a);
            }
            _ => {}
        }
    }
    freqs
}

/// A greedy order from the entry: after each block its most frequent unplaced successor, else the first unplaced
/// block.
fn greedy_order(func: &Function<Machine, PReg>, freqs: &BTreeMap<(Block, Block), f32>) -> Vec<Block> {
    let mut left = reachable(func);
    let mut order = vec![left.remove(0)];
    while !left.is_empty() {
        let last = order[order.len() - 1];
        let succs = func.blocks[last].control.successors().into_iter().filter(|to| left.contains(to));
        let best = succs.max_by(|&a, &b| freqs[&(last, a)].total_cmp(&freqs[&(last, b)]).then(b.cmp(&a)));
        let block = best.unwrap_or(left[0]);
        left.retain(|&other| other != block);
        order.push(block);
    }
    order
}

/// The minimum number of executed jumps of all orders.
fn least_jumps(func: &Function<Machine, PReg>, freqs: &BTreeMap<(Block, Block), f32>) -> f32 {
    fn permute(order: &mut Vec<Block>, left: &mut Vec<Block>, judge: &mut dyn FnMut(&[Block])) {
        if left.is_empty() {
            judge(order);
        }
        for n in 0..left.len() {
            let block = left.remove(n);
            order.push(block);
            permute(order, left, judge);
            order.pop();
            left.insert(n, block);
        }
    }
    let mut left = reachable(func);
    let mut order = vec![left.remove(0)];
    let mut least = f32::INFINITY;
    permute(&mut order, &mut left, &mut |order| least = least.min(executed_jumps(func, freqs, order)));
    least
}

/// A small structured function after `finish`, without small exits to duplicate.
fn finished_structured(seed: u64, statements: usize) -> Function<Machine, PReg> {
    let func = structured_function(&mut Rng::new(seed), statements);
    finished(&func)
}

#[test]
fn final_order_is_close_to_the_best() {
    let (mut found, mut best, mut count) = (0.0, 0.0, 0);
    for seed in 0..9_000 {
        let func = finished_structured(seed, 5);
        if (4..=7).contains(&func.order.len()) {
            let freqs = edge_freqs(&func);
            found += executed_jumps(&func, &freqs, &func.order);
            best += least_jumps(&func, &freqs);
            count += 1;
        }
    }
    println!("{count} functions: {found} executed jumps, {best} in the best orders");
    assert!(count > 300);
    assert!(found <= 1.01 * best, "{found} executed jumps, {best} would do");
}

#[test]
fn final_order_beats_a_greedy_one() {
    let (mut found, mut greedy) = (0.0, 0.0);
    for seed in 0..500 {
        let func = finished_structured(seed, 40);
        let freqs = edge_freqs(&func);
        found += executed_jumps(&func, &freqs, &func.order);
        greedy += executed_jumps(&func, &freqs, &greedy_order(&func, &freqs));
    }
    println!("{found} executed jumps, {greedy} in the greedy orders");
    assert!(found < 0.9 * greedy, "{found} executed jumps, {greedy} in the greedy orders");
}

/// A ladder: each block leads to the next two.
fn ladder(blocks: usize) -> Function<Machine, PReg> {
    let last = blocks - 1;
    let data = (0..blocks).map(|n| {
        let control = match n {
            _ if n == last => ret(1),
            _ if n % 3 == 0 => branch(0, n + 1, (n + 2).min(last)),
            _ => jump(n + 1),
        };
        block(1.0, &[n as u8, (n >> 8) as u8, (n >> 16) as u8], control)
    });
    function(data.collect())
}

#[test]
fn large_functions_are_laid_out_at_once() {
    for optimize_for_size in [false, true] {
        let mut func = ladder(100_000);
        func.optimize_for_size = optimize_for_size;
        let func = finished(&func);
        assert!(func.order.len() > 60_000, "{}", func.order.len());
    }
}

#[test]
fn long_chains_of_empty_blocks_vanish_at_once() {
    let blocks = 100_000;
    let data = (0..blocks).map(|n| match n {
        0 => block(1.0, &[1], branch(0, 1, blocks / 2)),
        _ if n + 1 == blocks => block(1.0, &[2], ret(1)),
        _ => block(1.0, &[], if n % 7 == 0 { branch(1, n + 1, blocks - 1) } else { jump(n + 1) }),
    });
    let func: Function<Machine, PReg> = function(data.collect());
    assert_eq!(finished(&func).order.len(), 1);
}
