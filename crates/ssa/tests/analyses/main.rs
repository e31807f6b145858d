//! Dominators and loops of random graphs (reducible and irreducible) against their definitions; frequencies of known
//! graphs.

mod bounds;

use ssa::cfg::{Cfg, Graph};
use ssa::loops::LoopForest;
use ssa::testing::Rng;
use ssa::{Block, BlockCall, Dominators, EntityId, Function, InstData, SigId, TrapCode, Type, parse_module};

/// A function of empty blocks with random edges; the first blocks tend to have more of them.
fn random_graph(rng: &mut Rng) -> Function {
    let mut func = Function::new("f", SigId::new(0));
    let len = 1 + rng.below(14);
    let blocks: Vec<Block> = (0..len).map(|_| func.add_block()).collect();
    for &block in &blocks {
        let mut any = || BlockCall { block: blocks[rng.below(len)], args: Vec::new() };
        let (first, second) = (any(), any());
        let data = match rng.below(6) {
            0 => InstData::Trap { code: TrapCode::Unreachable },
            1 | 2 => InstData::Jump { to: first },
            _ => {
                let cond = func.append_value(block, InstData::Const { ty: Type::I32, bits: 1 }, Type::I32);
                InstData::Branch { cond, if_true: first, if_false: second }
            }
        };
        func.append(block, data, &[]);
    }
    func
}

/// Blocks reachable from `from` along at least `steps` edges, never through (or starting at) `without`.
fn reachable(cfg: &Cfg, from: &[Block], without: impl Fn(Block) -> bool) -> Vec<bool> {
    let mut seen = vec![false; cfg.len()];
    let mut worklist: Vec<Block> = from.iter().copied().filter(|&block| !without(block)).collect();
    while let Some(block) = worklist.pop() {
        if !std::mem::replace(&mut seen[block.index()], true) {
            worklist.extend(cfg.successors(block).iter().filter(|&&succ| !without(succ)));
        }
    }
    seen
}

#[test]
fn dominators_are_the_blocks_on_all_paths() {
    for seed in 0..3000 {
        let func = random_graph(&mut Rng::new(seed));
        let cfg = Cfg::new(&func);
        let dominators = Dominators::new(&func);
        let all = reachable(&cfg, &[func.entry()], |_| false);
        for a in func.blocks.ids() {
            assert_eq!(dominators.is_reachable(a), all[a.index()], "seed {seed}: {a}");
            let around = reachable(&cfg, &[func.entry()], |block| block == a);
            for b in func.blocks.ids().filter(|b| all[a.index()] && all[b.index()]) {
                assert_eq!(dominators.dominates(a, b), !around[b.index()], "seed {seed}: {a} over {b}");
                let closest = dominators.idom(b) == Some(a);
                if closest {
                    assert!(a != b && dominators.dominates(a, b), "seed {seed}: {a} over {b}");
                }
            }
        }
        let without_idom =
            func.blocks.ids().filter(|&b| all[b.index()] && dominators.idom(b).is_none()).count();
        assert_eq!(without_idom, 1, "seed {seed}");
    }
}

#[test]
fn every_cycle_is_in_a_loop_and_every_loop_is_a_cycle() {
    let mut irreducible = 0;
    for seed in 0..3000 {
        let func = random_graph(&mut Rng::new(seed));
        let cfg = Cfg::new(&func);
        let dominators = Dominators::new(&func);
        let forest = LoopForest::new(&cfg, func.entry());
        let all = reachable(&cfg, &[func.entry()], |_| false);
        for (id, data) in forest.loops.iter() {
            let outside = |block: Block| !forest.contains(id, block);
            let members: Vec<Block> = func.blocks.ids().filter(|&block| forest.contains(id, block)).collect();
            for &member in &members {
                let onward = reachable(&cfg, cfg.successors(member), outside);
                assert!(onward[data.header.index()], "seed {seed}: {member} can't reach the header in {id}");
                assert!(
                    reachable(&cfg, &[data.header], outside)[member.index()],
                    "seed {seed}: {member} in {id}"
                );
            }
            let enters = |&&block: &&Block| {
                let preds = cfg.predecessors(block).iter();
                block != data.header && preds.into_iter().any(|&pred| all[pred.index()] && outside(pred))
            };
            assert_eq!(data.irreducible, members.iter().find(enters).is_some(), "seed {seed}: {id}");
            irreducible += u32::from(data.irreducible);
            if !data.irreducible {
                assert!(members.iter().all(|&block| dominators.dominates(data.header, block)), "seed {seed}");
            }
            assert_eq!(data.depth, data.parent.map_or(1, |parent| forest.loops[parent].depth + 1));
            assert!(data.parent.is_none_or(|parent| parent < id && forest.contains(parent, data.header)));
        }
        check_acyclic_without_headers(&func, &cfg, &forest, seed);
    }
    assert!(irreducible > 100, "only {irreducible} irreducible loops were tested");
}

/// Within each loop, cycles that avoid the header are in inner loops.
fn check_acyclic_without_headers(func: &Function, cfg: &Cfg, forest: &LoopForest, seed: u64) {
    let all = reachable(cfg, &[func.entry()], |_| false);
    for block in func.blocks.ids().filter(|&block| all[block.index()]) {
        let around = forest.innermost(block);
        let header = around.map(|l| forest.loops[l].header);
        let excluded = |b: Block| Some(b) == header || around.is_some_and(|l| !forest.contains(l, b));
        let cycle = reachable(cfg, cfg.successors(block), excluded)[block.index()];
        assert!(
            !cycle || Some(block) == header,
            "seed {seed}: {block} is on a cycle that is in no inner loop"
        );
    }
}

/// Frequencies of the blocks of a function without types: `text` is its body.
fn frequencies(body: &str) -> Vec<f32> {
    let text = format!("func $f (i32) -> () {{\nb0(v0: i32):\n{body}\n}}\n");
    let mut module = parse_module(&text).expect("it parses");
    let func = module.functions.values_mut().flatten().next().expect("it has a body");
    ssa::estimate_frequencies(func);
    func.blocks.values().map(|block| block.freq).collect()
}

fn assert_close(found: &[f32], expected: &[f32]) {
    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-3 * b.abs();
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(close),
        "{found:?} isn't {expected:?}"
    );
}

#[test]
fn a_diamond_splits_evenly_and_joins() {
    let found = frequencies("  branch v0, b1, b2\nb1:\n  jump b3\nb2:\n  jump b3\nb3:\n  return");
    assert_close(&found, &[1.0, 0.5, 0.5, 1.0]);
}

#[test]
fn a_way_into_a_trap_is_cold() {
    let found = frequencies("  branch v0, b1, b2\nb1:\n  jump b3\nb2:\n  return\nb3:\n  trap unreachable");
    assert_close(&found, &[1.0, 1.0 / 4097.0, 4096.0 / 4097.0, 1.0 / 4097.0]);
}

#[test]
fn equality_is_unlikely() {
    let found = frequencies("  v1 = icmp.eq.i32 v0, v0\n  branch v1, b1, b2\nb1:\n  return\nb2:\n  return");
    assert_close(&found, &[1.0, 0.375, 0.625]);
}

#[test]
fn loops_multiply() {
    let nested = "  jump b1
b1:
  jump b2
b2:
  branch v0, b2, b3
b3:
  branch v0, b1, b4
b4:
  return";
    assert_close(&frequencies(nested), &[1.0, 32.0, 1024.0, 32.0, 1.0]);
}

#[test]
fn endless_and_irreducible_loops_are_bounded() {
    assert_close(&frequencies("  jump b1\nb1:\n  jump b1"), &[1.0, 32.0]);
    let two_entrances = "  branch v0, b1, b2
b1:
  branch v0, b2, b3
b2:
  branch v0, b1, b3
b3:
  return";
    let found = frequencies(two_entrances);
    assert!((found[0], found[3]) == (1.0, 1.0), "{found:?}");
    assert!(found[1] > 2.0 && found[2] > 2.0, "{found:?}");
}

#[test]
fn deep_nests_stay_finite() {
    let mut body = String::new();
    for n in 1..=40 {
        body += &format!("  jump b{n}\nb{n}:\n");
    }
    body += "  jump b41\nb41:\n";
    for n in (1..=40).rev() {
        body += &format!("  branch v0, b{n}, b{next}\nb{next}:\n", next = 82 - n);
    }
    let found = frequencies(&(body + "  return"));
    assert!(found.iter().all(|&freq| freq > 0.0 && freq <= 1_048_576.0), "{found:?}");
    assert_eq!(found[40], 1_048_576.0);
}
