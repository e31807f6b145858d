//! `layout::finish` and `emit` preserve the semantics of functions and establish their postconditions.

mod layout_machine;

use codegen::{Block, Control, Function, PReg, emit};
use layout_machine::*;
use ssa::EntityId;

const STATES: u64 = 12;

/// Checks one function: blocks and bytes, before and after `finish`, have the same traces.
fn check(func: &Function<Machine, PReg>) -> Function<Machine, PReg> {
    let done = finished(func);
    let fragment = emit(&Machine::new(), &done);
    for seed in 0..STATES {
        let expected = run_blocks(func, seed);
        assert_eq!(run_blocks(&done, seed), expected, "from state {seed}\n{func}\nbecame\n{done}");
        assert_eq!(run_bytes(&fragment, seed), expected, "bytes from state {seed}\n{func}\nbecame\n{done}");
    }
    check_settled(&done);
    done
}

/// Checks the postconditions of `finish`.
fn check_settled(func: &Function<Machine, PReg>) {
    assert_eq!(func.order[0], Block::new(0), "the entry is first\n{func}");
    let mut listed = func.order.clone();
    listed.sort_unstable();
    assert_eq!(listed, reachable(func), "the order lists the reachable blocks, each once\n{func}");
    for (n, &block) in func.order.iter().enumerate() {
        let data = &func.blocks[block];
        let next = func.order.get(n + 1).copied();
        match &data.control {
            Control::Jump(to) => {
                let can_join = predecessors(func, to.block) == 1 && to.block != block;
                assert!(!can_join, "{block} and {} are one line\n{func}", to.block);
                let in_the_way = data.insts.is_empty() && n > 0 && to.block != block;
                assert!(!in_the_way, "{block} is empty\n{func}");
            }
            Control::Branch { taken, other, .. } => {
                assert_ne!(taken.block, other.block, "{block} branches nowhere\n{func}");
                assert_ne!(Some(taken.block), next, "{block} branches to the next block\n{func}");
            }
            _ => {}
        }
    }
}

fn predecessors(func: &Function<Machine, PReg>, block: Block) -> usize {
    let all = func.order.iter().flat_map(|&from| func.blocks[from].control.successors());
    all.filter(|&to| to == block).count()
}

#[test]
fn random_functions_keep_their_traces() {
    for seed in 0..20_000 {
        check(&random_function(&mut Rng::new(seed), 14));
    }
}

#[test]
fn structured_functions_keep_their_traces() {
    for seed in 0..2_000 {
        let mut rng = Rng::new(seed);
        let mut func = structured_function(&mut rng, 20);
        check(&func);
        func.optimize_for_size = true;
        check(&func);
    }
}

#[test]
fn layout_is_deterministic() {
    for seed in 0..200 {
        let func = random_function(&mut Rng::new(seed), 30);
        assert_eq!(finished(&func).to_string(), finished(&func).to_string());
    }
}

/// Number of instructions, including those of controls.
fn size(func: &Function<Machine, PReg>) -> usize {
    emit(&Machine::new(), func).starts.iter().filter(|&&start| start).count()
        + emit(&Machine::new(), func).fixups.len()
}

#[test]
fn empty_diamonds_vanish() {
    let func = function(vec![
        block(1.0, &[1], branch(0, 1, 2)),
        block(0.5, &[], branch(1, 3, 4)),
        block(0.5, &[], jump(5)),
        block(0.2, &[], jump(5)),
        block(0.3, &[], jump(5)),
        block(1.0, &[2], ret(0)),
    ]);
    let done = check(&func);
    assert_eq!(done.order.len(), 1, "{done}");
    assert_eq!(size(&done), 3, "{done}");
}

#[test]
fn equal_arms_become_one() {
    let func = function(vec![
        block(1.0, &[1], branch(0, 1, 2)),
        block(0.5, &[7, 8], jump(3)),
        block(0.5, &[7, 8], jump(3)),
        block(1.0, &[2], ret(0)),
    ]);
    assert_eq!(check(&func).order.len(), 1);
}

#[test]
fn traps_are_shared() {
    let func = function(vec![
        block(1.0, &[1], branch(0, 1, 2)),
        block(0.0, &[], trap()),
        block(1.0, &[2], branch(1, 3, 4)),
        block(0.0, &[], trap()),
        block(1.0, &[3], branch(2, 5, 6)),
        block(0.0, &[], trap()),
        block(1.0, &[4], ret(0)),
    ]);
    let done = check(&func);
    let traps =
        done.order.iter().filter(|&&block| matches!(done.blocks[block].control, Control::Exit(Inst::Trap)));
    assert_eq!(traps.count(), 1, "{done}");
    let last = *done.order.last().expect("there is an entry");
    assert!(matches!(done.blocks[last].control, Control::Exit(Inst::Trap)), "{done}");
    assert_eq!(size(&done), 4 + 3 + 1 + 1, "{done}");
}

/// Four paths with common tails of two lengths.
fn common_ends(optimize_for_size: bool) -> Function<Machine, PReg> {
    let mut func = function(vec![
        block(1.0, &[1], branch(0, 1, 2)),
        block(0.5, &[2], branch(1, 3, 4)),
        block(0.5, &[3], branch(2, 5, 6)),
        block(0.2, &[4, 20, 21, 22, 23, 24, 25], ret(0)),
        block(0.3, &[5, 20, 21, 22, 23, 24, 25], ret(0)),
        block(0.2, &[6, 23, 24, 25], ret(0)),
        block(0.3, &[23, 24, 25], ret(0)),
    ]);
    func.optimize_for_size = optimize_for_size;
    func
}

#[test]
fn common_ends_are_shared_for_size_and_where_rare() {
    let small = check(&common_ends(true));
    // Each path has its own step and a jump, except those that fall through; each common tail exists once.
    let steps = 3 + 3 + 3 + 3;
    assert!(size(&small) <= steps + 3 + 1 + 4 + 1, "{small}");
    let fast = check(&common_ends(false));
    assert_eq!(size(&fast), 3 + 7 + 7 + 4 + 3 + 3 + 4, "{fast}");
    let mut rare = common_ends(false);
    rare.blocks.values_mut().skip(1).for_each(|block| block.freq *= 0.01);
    assert_eq!(size(&check(&rare)), size(&small));
}

#[test]
fn small_exits_are_copied_for_speed() {
    let func = function(vec![
        block(1.0, &[1], branch(0, 1, 2)),
        block(0.5, &[2], jump(3)),
        block(0.5, &[3], jump(3)),
        block(1.0, &[], ret(0)),
    ]);
    let done = check(&func);
    assert_eq!(emit(&Machine::new(), &done).fixups.len(), 1, "no jump is left\n{done}");
    let mut small = func;
    small.optimize_for_size = true;
    let done = check(&small);
    assert_eq!(emit(&Machine::new(), &done).fixups.len(), 1, "a return is no larger than a jump\n{done}");
}

#[test]
fn loops_end_with_their_branch() {
    let func = function(vec![
        block(1.0, &[1], jump(1)),
        block(11.0, &[2], branch(0, 2, 3)),
        block(10.0, &[3], jump(1)),
        block(1.0, &[4, 5, 6, 7, 8, 9], ret(0)),
    ]);
    let done = check(&func);
    let order: Vec<usize> = done.order.iter().map(|block| block.index()).collect();
    assert_eq!(order, [0, 2, 1, 3], "{done}");
}

#[test]
fn a_loop_of_nothing_stays() {
    let func = function(vec![
        block(1.0, &[1], branch(0, 1, 3)),
        block(1.0, &[], jump(2)),
        block(1.0, &[], jump(1)),
        block(1.0, &[], jump(1)),
    ]);
    let done = check(&func);
    assert_eq!(done.order.len(), 2, "{done}");
}

#[test]
fn code_of_any_order_is_right() {
    let mut rng = Rng::new(5);
    for _ in 0..5_000 {
        let mut func: Function<Machine, PReg> = random_function(&mut rng, 12);
        for n in 2..func.order.len() {
            func.order.swap(n, 1 + rng.below(n));
        }
        let fragment = emit(&Machine::new(), &func);
        for seed in 0..STATES {
            assert_eq!(run_bytes(&fragment, seed), run_blocks(&func, seed), "from state {seed}\n{func}");
        }
    }
}

/// Many blocks with common tails of many lengths.
fn many_ends(rng: &mut Rng) -> Function<Machine, PReg> {
    let ways = 2 + rng.below(14);
    let targets = (1..=ways).map(Block::new).collect();
    let mut blocks = vec![block(1.0, &[9], Control::Dispatch { inst: Inst::Dispatch, targets })];
    for _ in 0..ways {
        let steps: Vec<u8> = (0..rng.below(9)).map(|_| rng.below(2) as u8).collect();
        let control = match rng.below(4) {
            0 => ret(1),
            1 => branch(0, 1, ways),
            _ => jump(ways + 1),
        };
        blocks.push(block(1.0, &steps, control));
    }
    blocks.push(block(1.0, &[7], ret(2)));
    let mut func = function(blocks);
    func.optimize_for_size = true;
    func.order = reachable(&func);
    func
}

#[test]
fn shared_ends_keep_traces() {
    let (mut before, mut after) = (0, 0);
    for seed in 0..5_000 {
        let func = many_ends(&mut Rng::new(seed));
        before += size(&func);
        after += size(&check(&func));
    }
    assert!(after * 10 < before * 9, "{after} instructions of {before} are left");
}

#[test]
fn common_tails_of_all_predecessors_are_sunk() {
    let func = function(vec![
        block(1.0, &[1], branch(0, 1, 2)),
        block(0.5, &[2, 5], jump(3)),
        block(0.5, &[3, 4, 5], jump(3)),
        block(1.0, &[6, 7, 8, 9, 10], ret(0)),
    ]);
    let done = check(&func);
    assert_eq!(done.blocks[Block::new(3)].insts[0], Inst::Step(5), "{done}");
}

#[test]
fn the_jump_after_a_branch_is_on_the_rarer_edge() {
    // Three branches and two targets: one branch has neither next.
    let func = function(vec![
        block(1.0, &[1], branch(0, 1, 2)),
        block(0.3, &[2], branch(1, 4, 5)),
        block(0.7, &[3], branch(2, 3, 6)),
        block(0.5, &[4], branch(3, 4, 5)),
        block(0.1, &[10, 11, 12, 13, 14, 15], ret(0)),
        block(0.7, &[20, 21, 22, 23, 24, 25], ret(0)),
        block(0.2, &[5], branch(4, 4, 5)),
    ]);
    let done = check(&func);
    let mut jumps = 0;
    for (n, &block) in done.order.iter().enumerate() {
        if let Control::Branch { taken, other, .. } = &done.blocks[block].control
            && done.order.get(n + 1) != Some(&other.block)
        {
            jumps += 1;
            assert_eq!((taken.block.index(), other.block.index()), (5, 4), "{done}");
        }
    }
    assert!(jumps > 0, "{done}");
}
