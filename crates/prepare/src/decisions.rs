//! Switches on numbers that were chosen from constants by conditions.
//!
//! LLVM turns `if a { 0 } else if b { 1 } else { x }` into selects, and a switch on the number follows. Each condition then
//! is a select, and each constant a comparison of the switch. If nothing else uses the number, a branch on the condition goes
//! to the target of its constant directly, and the switch remains for the other operand of the select only. Where only one
//! case leads to a block, the number is the constant of that case.
//!
//! Termination: each step removes a select from the operand of a switch. It adds a block, so there are at most as many new
//! blocks as selects.

use ssa::{Block, BlockCall, Function, IdVec, Inst, InstData, Type, Value};

/// Replaces switches on selects of constants by branches. Edges may become critical; they are split.
pub fn branch(func: &mut Function) {
    let mut todo: Vec<Block> = func.blocks.ids().filter(|&block| selected(func, block).is_some()).collect();
    if todo.is_empty() {
        return;
    }
    let mut edges = IdVec::filled(0, func.blocks.len());
    func.blocks.ids().flat_map(|block| func.successors(block)).for_each(|to| edges[to] += 1);
    for &block in &todo {
        name_cases(func, &edges, block);
    }
    let uses = func.use_counts();
    while let Some(block) = todo.pop() {
        if let Some(rest) = step(func, &uses, block) {
            todo.push(rest);
        }
    }
    func.source.follow_none();
    ssa::passes::remove_dead(func);
    // No number may be left that leads to a case.
    if func.reverse_postorder().len() < func.blocks.len() {
        ssa::passes::compact(func);
    }
    ssa::passes::split_critical_edges(func);
}

/// Makes the number a constant in the targets that only one case leads to.
fn name_cases(func: &mut Function, edges: &IdVec<Block, u32>, block: Block) {
    let InstData::Switch { value, cases, .. } = func.insts[func.terminator(block)].clone() else { return };
    for (number, to) in cases {
        let is_used = |&inst: &Inst| {
            let mut found = false;
            func.insts[inst].for_each_arg(|arg| found |= arg == value);
            found
        };
        if !func.blocks[to.block].insts.iter().any(is_used) || edges[to.block] != 1 {
            continue;
        }
        let data = InstData::Const { ty: Type::I32, bits: number };
        let constant = func.make_inst(data, &[Type::I32]);
        let by = func.result(constant);
        for n in 0..func.blocks[to.block].insts.len() {
            let inst = func.blocks[to.block].insts[n];
            func.insts[inst].map_args(|arg| if arg == value { by } else { arg });
        }
        func.blocks[to.block].insts.insert(0, constant);
    }
}

/// A switch on a select of which one operand is a constant.
struct Selected {
    value: Value,
    cond: Value,
    /// The target for the constant, and whether it belongs to a condition that holds.
    decided: BlockCall,
    if_holds: bool,
    /// The other operand.
    other: Value,
}

fn selected(func: &Function, block: Block) -> Option<Selected> {
    let InstData::Switch { ty: Type::I32, value, .. } = func.insts[func.terminator(block)] else {
        return None;
    };
    let InstData::Select { cond, if_true, if_false, .. } = func.insts[func.def_inst(value)?] else {
        return None;
    };
    let target = |value: Value| target(func, block, func.as_const(value)?);
    let decided = target(if_true).map(|to| (to, true, if_false));
    let (decided, if_holds, other) = decided.or_else(|| Some((target(if_false)?, false, if_true)))?;
    Some(Selected { value, cond, decided, if_holds, other })
}

/// The target of a block's switch for a number.
fn target(func: &Function, block: Block, number: i64) -> Option<BlockCall> {
    let InstData::Switch { cases, default, .. } = &func.insts[func.terminator(block)] else { return None };
    let case = cases.iter().find(|(of, _)| *of as i32 == number as i32);
    Some(case.map_or(default, |(_, to)| to).clone())
}

/// Turns the switch of a block into a branch, if that is possible; returns the block with the switch on the rest.
fn step(func: &mut Function, uses: &IdVec<Value, u32>, block: Block) -> Option<Block> {
    let Selected { value, cond, decided, if_holds, other } = selected(func, block)?;
    if uses[value] != 1 {
        return None;
    }
    let last = func.terminator(block);
    func.source.follow(last);
    let constant = func.as_const(other).and_then(|number| target(func, block, number));
    let (undecided, rest) = match constant {
        Some(to) => (to, None),
        None => {
            let rest = func.add_block();
            func.blocks[rest].freq = func.blocks[block].freq / 2.0;
            let mut switch = func.insts[last].clone();
            if let InstData::Switch { value, .. } = &mut switch {
                *value = other;
            }
            func.append(rest, switch, &[]);
            (BlockCall { block: rest, args: Vec::new() }, Some(rest))
        }
    };
    let (if_true, if_false) = if if_holds { (decided, undecided) } else { (undecided, decided) };
    func.insts[last] = InstData::Branch { cond, if_true, if_false };
    rest
}

#[cfg(test)]
mod tests {
    use ssa::interp::{Interpreter, Options};

    use super::*;

    const PROGRAM: &str = "\
func $f (i32, i32, i32, i32) -> (i32) {
b0(v0: i32, v1: i32, v2: i32, v15: i32):
  v3 = const.i32 0
  v4 = const.i32 1
  v5 = const.i32 7
  v6 = select.i32 v0, v5, v15
  v7 = select.i32 v1, v6, v4
  v8 = select.i32 v2, v7, v3
  switch.i32 v8, [0: b1(v0), 1: b2, 2: b1(v1)], b3
b1(v9: i32):
  v10 = const.i32 100
  v11 = add.i32 v9, v10
  return v11
b2:
  v12 = const.i32 200
  v14 = add.i32 v12, v8
  return v14
b3:
  v13 = const.i32 300
  return v13
}
";

    #[test]
    fn conditions_lead_to_the_targets_of_their_constants() {
        let before = ssa::parse_module(PROGRAM).expect("well-formed");
        let mut after = before.clone();
        branch(after.functions.values_mut().flatten().next().expect("one function"));
        ssa::verify(&after).unwrap_or_else(|error| panic!("{error}\n{after}"));
        assert!(!after.to_string().contains("select"), "{after}");
        for number in 0..32 {
            let args = [number & 1, number >> 1 & 1, number >> 2 & 1, number >> 3];
            let [expected, found] = [&before, &after].map(|module| run(module, &args));
            assert_eq!(expected, found, "{args:?}");
        }
    }

    fn run(module: &ssa::Module, args: &[u64]) -> Vec<u64> {
        let mut interpreter = Interpreter::new(module, Options::new(module));
        let func = module.functions.ids().next().expect("one function");
        let host: &mut ssa::interp::Host<'_> = &mut |_, _, _| unreachable!("nothing is imported");
        interpreter.call(func, args, host).expect("it returns")
    }

    #[test]
    fn a_number_with_other_users_stays() {
        let text = PROGRAM.replace("  return v13\n", "  return v8\n");
        let mut module = ssa::parse_module(&text).expect("well-formed");
        branch(module.functions.values_mut().flatten().next().expect("one function"));
        assert!(module.to_string().contains("switch.i32 v8"), "{module}");
    }
}
