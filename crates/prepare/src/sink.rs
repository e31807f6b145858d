//! Sinking of values to the paths that need them, where code should be fast.
//!
//! An unrolled loop computes the values that its exits need before each exit, although all of them but one are never used.
//! A pure instruction moves to a block that dominates its users, if that block is executed much less often than its own.
//! Edges of branches have blocks of their own, so what only an exit needs moves to the edge.
//!
//! Instructions are visited from the last to the first, so users have moved before the values that they use. Termination:
//! each instruction is visited once.

use ssa::{Block, Dominators, Function, IdVec, Inst, InstData, Value};

/// The frequency of a block to which values sink is below this part of that of their own block.
const GAIN: f32 = 0.75;

/// Moves values of a function to paths that are executed less often.
pub fn sink(func: &mut Function) {
    let dominators = Dominators::new(func);
    let order = func.reverse_postorder();
    let mut place: IdVec<Inst, Option<Block>> = IdVec::filled(None, func.insts.len());
    let mut users: IdVec<Value, Vec<Inst>> = IdVec::filled(Vec::new(), func.values.len());
    for &block in &order {
        for &inst in &func.blocks[block].insts {
            place[inst] = Some(block);
            func.insts[inst].for_each_arg(|arg| users[arg].push(inst));
        }
    }
    let mut arrived: IdVec<Block, Vec<Inst>> = IdVec::filled(Vec::new(), func.blocks.len());
    for &block in order.iter().rev() {
        for n in (0..func.blocks[block].insts.len()).rev() {
            let inst = func.blocks[block].insts[n];
            let [result] = func.results[inst][..] else { continue };
            if !can_sink(&func.insts[inst]) {
                continue;
            }
            let at = users[result].iter().filter_map(|&user| place[user]);
            if let Some(to) = colder(func, &dominators, block, at) {
                place[inst] = Some(to);
                arrived[to].push(inst);
            }
        }
    }
    for block in func.blocks.ids() {
        let mut insts: Vec<Inst> = arrived[block].drain(..).rev().collect();
        insts.extend(func.blocks[block].insts.iter().copied().filter(|&inst| place[inst] == Some(block)));
        func.blocks[block].insts = insts;
    }
}

/// Whether an instruction may move to its users. Selection chooses the places of values without operands itself.
fn can_sink(data: &InstData) -> bool {
    let mut has_operands = false;
    data.for_each_arg(|_| has_operands = true);
    data.is_pure() && has_operands
}

/// The coldest block to which a value of `block` can sink, if that pays: one that dominates all of its users.
fn colder(
    func: &Function,
    dominators: &Dominators,
    block: Block,
    mut users: impl Iterator<Item = Block>,
) -> Option<Block> {
    let mut at = users.next()?;
    for user in users {
        while !dominators.dominates(at, user) {
            at = dominators.idom(at)?;
        }
    }
    let freq = |block: Block| func.blocks[block].freq;
    let mut best = block;
    while at != block {
        if freq(at) < freq(best) {
            best = at;
        }
        at = dominators.idom(at)?;
    }
    (freq(best) < GAIN * freq(block)).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_an_exit_leave_the_loop() {
        let text = "\
func $f (i32, i32) -> (i32) {
b0(v0: i32, v1: i32):
  jump b1(v0)
b1(v2: i32):
  v3 = const.i32 4
  v4 = add.i32 v2, v3
  v5 = mul.i32 v4, v4
  v6 = sub.i32 v2, v3
  v7 = icmp.lt_u.i32 v6, v1
  branch v7, b2, b3
b2:
  jump b1(v6)
b3:
  return v5
}
";
        let mut module = ssa::parse_module(text).expect("well-formed");
        let func = module.functions.values_mut().flatten().next().expect("one function");
        ssa::estimate_frequencies(func);
        sink(func);
        let count = |block: Block| func.blocks[block].insts.len();
        let counts: Vec<usize> = func.blocks.ids().map(count).collect();
        assert_eq!(counts, [1, 4, 1, 3]);
        ssa::verify(&module).unwrap_or_else(|error| panic!("{error}\n{module}"));
    }
}
