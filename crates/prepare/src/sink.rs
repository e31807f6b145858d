//! Sinking of values to the paths that need them, where code should be fast.
//!
//! An unrolled loop computes the values that its exits need before each exit, although all of them but one are never used.
//! A pure instruction moves to a block that dominates its users, if that block is executed much less often than its own.
//! Edges of branches have blocks of their own, so what only an exit needs moves to the edge. A simple one that several exits
//! need is copied to each.
//!
//! Instructions are visited from the last to the first, so users have moved before the values that they use. Termination:
//! each instruction is visited once.

use ssa::{Block, Dominators, Function, IdVec, Inst, InstData, Value};

/// The frequency of a block to which values sink is below this part of that of their own block.
const GAIN: f32 = 0.75;

/// The maximum number of steps in the dominator tree for an instruction.
const MAX_STEPS: usize = 64;

/// The maximum number of copies of an instruction.
const MAX_COPIES: usize = 4;

/// Moves values of a function to paths that are executed less often.
pub fn sink(func: &mut Function) {
    let dominators = Dominators::new(func);
    let order = func.reverse_postorder();
    let mut sinking = Sinking::new(func, &order);
    for &block in order.iter().rev() {
        for n in (0..func.blocks[block].insts.len()).rev() {
            let inst = func.blocks[block].insts[n];
            let [result] = func.results[inst][..] else { continue };
            if !can_sink(&func.insts[inst]) {
                continue;
            }
            let users = sinking.blocks_of_users(result);
            if let Some(to) = colder(func, &dominators, block, &users) {
                sinking.put(inst, to);
            } else if pays_to_copy(func, inst, block, &users) {
                sinking.copy(func, inst, &users);
            }
        }
    }
    sinking.finish(func);
}

/// The places of all instructions, while they change.
struct Sinking {
    place: IdVec<Inst, Option<Block>>,
    users: IdVec<Value, Vec<Inst>>,
    /// The instructions that have moved to each block, last first.
    arrived: IdVec<Block, Vec<Inst>>,
}

impl Sinking {
    fn new(func: &Function, order: &[Block]) -> Self {
        let mut place = IdVec::filled(None, func.insts.len());
        let mut users: IdVec<Value, Vec<Inst>> = IdVec::filled(Vec::new(), func.values.len());
        for &block in order {
            for &inst in &func.blocks[block].insts {
                place[inst] = Some(block);
                func.insts[inst].for_each_arg(|arg| users[arg].push(inst));
            }
        }
        Self { place, users, arrived: IdVec::filled(Vec::new(), func.blocks.len()) }
    }

    /// The blocks of a value's users, each once.
    fn blocks_of_users(&self, value: Value) -> Vec<Block> {
        let mut blocks: Vec<Block> = self.users[value].iter().filter_map(|&user| self.place[user]).collect();
        blocks.sort_unstable();
        blocks.dedup();
        blocks
    }

    fn put(&mut self, inst: Inst, to: Block) {
        self.place[inst] = Some(to);
        self.arrived[to].push(inst);
    }

    /// Puts an instruction into the first of these blocks, and copies into the others.
    fn copy(&mut self, func: &mut Function, inst: Inst, blocks: &[Block]) {
        let result = func.result(inst);
        self.put(inst, blocks[0]);
        for &to in &blocks[1..] {
            let copy = func.make_inst(func.insts[inst].clone(), &[func.values[result].ty]);
            let by = func.result(copy);
            self.place.push(None);
            self.users.push(Vec::new());
            func.insts[copy].for_each_arg(|arg| self.users[arg].push(copy));
            for &user in self.users[result].iter().filter(|&&user| self.place[user] == Some(to)) {
                func.insts[user].map_args(|arg| if arg == result { by } else { arg });
            }
            self.put(copy, to);
        }
    }

    fn finish(self, func: &mut Function) {
        for block in func.blocks.ids() {
            let mut insts: Vec<Inst> = self.arrived[block].iter().rev().copied().collect();
            insts.extend(func.blocks[block].insts.iter().filter(|&&inst| self.place[inst] == Some(block)));
            func.blocks[block].insts = insts;
        }
    }
}

/// Whether an instruction may move to its users. Selection chooses the places of values without operands itself.
fn can_sink(data: &InstData) -> bool {
    let mut has_operands = false;
    data.for_each_arg(|_| has_operands = true);
    data.is_pure() && has_operands
}

/// The coldest block to which a value of `block` can sink, if that pays: one that dominates all blocks of users.
fn colder(func: &Function, dominators: &Dominators, block: Block, users: &[Block]) -> Option<Block> {
    let mut at = *users.first()?;
    let mut steps = 0;
    let mut up = |at: Block| {
        steps += 1;
        dominators.idom(at).filter(|_| steps < MAX_STEPS)
    };
    for &user in users {
        while !dominators.dominates(at, user) {
            at = up(at)?;
        }
    }
    let freq = |block: Block| func.blocks[block].freq;
    let mut best = block;
    while at != block {
        if freq(at) < freq(best) {
            best = at;
        }
        at = up(at)?;
    }
    (freq(best) < GAIN * freq(block)).then_some(best)
}

/// Whether copies of an instruction in the blocks of its users are executed less often than it is. Copies of more than a
/// sum of a value and a constant, or the like, would keep too many operands.
fn pays_to_copy(func: &Function, inst: Inst, block: Block, users: &[Block]) -> bool {
    let is_simple = match func.insts[inst] {
        InstData::Binary { args: [_, b], .. } => func.as_const(b).is_some(),
        _ => false,
    };
    let freq: f32 = users.iter().map(|&user| func.blocks[user].freq).sum();
    is_simple
        && (2..=MAX_COPIES).contains(&users.len())
        && !users.contains(&block)
        && freq < GAIN * func.blocks[block].freq
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The instructions of each block afterwards.
    fn counts_after(text: &str) -> Vec<usize> {
        let mut module = ssa::parse_module(text).expect("well-formed");
        let func = module.functions.values_mut().flatten().next().expect("one function");
        ssa::estimate_frequencies(func);
        sink(func);
        let counts = func.blocks.values().map(|block| block.insts.len()).collect();
        ssa::verify(&module).unwrap_or_else(|error| panic!("{error}\n{module}"));
        counts
    }

    #[test]
    fn what_several_exits_need_is_copied() {
        let text = "\
func $f (i32, i32) -> (i32) {
b0(v0: i32, v1: i32):
  jump b1(v0)
b1(v2: i32):
  v3 = const.i32 4
  v4 = add.i32 v2, v3
  v5 = icmp.lt_u.i32 v2, v1
  branch v5, b2, b3
b2:
  v6 = mul.i32 v2, v2
  v7 = icmp.eq.i32 v6, v1
  branch v7, b4, b5
b3:
  return v4
b4:
  return v4
b5:
  jump b1(v6)
}
";
        assert_eq!(counts_after(text), [1, 3, 3, 2, 2, 1]);
    }

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
        assert_eq!(counts_after(text), [1, 4, 1, 3]);
    }
}
