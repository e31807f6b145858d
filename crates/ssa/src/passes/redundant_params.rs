//! Removal of block parameters that always have the same value.
//!
//! A parameter is redundant if all its arguments are one other value. Around a cycle, arguments may also be the
//! parameter itself or parameters that are redundant with it. We solve for the largest such set. Every parameter
//! starts undecided and gets the common representative of its arguments, where undecided arguments don't count. If the
//! arguments disagree, it becomes its own representative.
//!
//! At the fixed point, a parameter's representative is defined on every path to the parameter. Walking any path
//! backwards, each argument has the same representative, until an argument is the representative.
//!
//! Termination: a parameter's representative changes when a parameter it was derived from becomes its own
//! representative. After [`MAX_CHANGES`] changes a parameter becomes its own representative for good, which is always
//! correct. That makes the time linear.

use std::collections::VecDeque;

use super::replace::{Replacements, retain_params};
use crate::{Block, Function, IdVec, Value, ValueDef};

/// How often a parameter's representative may change before the parameter is kept.
const MAX_CHANGES: u8 = 6;

/// Removes block parameters that always have the same value. Every block is reachable.
pub fn remove_redundant_params(func: &mut Function) {
    let representative = solve(func);
    let mut keep = IdVec::filled(true, func.values.len());
    let mut replacements = Replacements::new(func);
    for (value, &found) in representative.iter() {
        if let Some(found) = found.filter(|&found| found != value) {
            keep[value] = false;
            replacements.insert(value, found);
        }
    }
    retain_params(func, &keep);
    replacements.apply(func);
}

/// For each value, the representative it always equals; undecided only for parameters that no defined value reaches.
fn solve(func: &Function) -> IdVec<Value, Option<Value>> {
    let incoming = incoming_args(func);
    let users = users_of_args(func, &incoming);
    let mut representative: IdVec<Value, Option<Value>> = func.values.ids().map(Some).collect();
    let mut queue = VecDeque::new();
    for block in func.blocks.ids().filter(|&block| block != func.entry()) {
        for &param in &func.blocks[block].params {
            representative[param] = None;
            queue.push_back(param);
        }
    }
    let mut queued = IdVec::filled(false, func.values.len());
    queue.iter().for_each(|&param| queued[param] = true);
    let mut changes = IdVec::<Value, u8>::filled(0, func.values.len());
    while let Some(param) = queue.pop_front() {
        queued[param] = false;
        let mut found = common_representative(func, &incoming, &representative, param);
        if found == representative[param] || changes[param] > MAX_CHANGES {
            continue;
        }
        changes[param] += 1;
        if changes[param] > MAX_CHANGES {
            found = Some(param);
        }
        representative[param] = found;
        for &user in &users[param] {
            if !std::mem::replace(&mut queued[user], true) {
                queue.push_back(user);
            }
        }
    }
    representative
}

/// The arguments of each edge to each block.
fn incoming_args(func: &Function) -> IdVec<Block, Vec<&[Value]>> {
    let mut incoming = IdVec::filled(Vec::new(), func.blocks.len());
    for block in func.blocks.ids() {
        for to in func.insts[func.terminator(block)].successors() {
            if !to.args.is_empty() {
                incoming[to.block].push(&to.args[..]);
            }
        }
    }
    incoming
}

/// The parameters that a parameter is an argument of.
fn users_of_args(func: &Function, incoming: &IdVec<Block, Vec<&[Value]>>) -> IdVec<Value, Vec<Value>> {
    let mut users = IdVec::filled(Vec::new(), func.values.len());
    for (block, edges) in incoming.iter() {
        for args in edges {
            for (&arg, &param) in args.iter().zip(&func.blocks[block].params) {
                if matches!(func.values[arg].def, ValueDef::Param(..)) && arg != param {
                    users[arg].push(param);
                }
            }
        }
    }
    users
}

/// The common representative of all decided arguments of `param`; `param` itself if they disagree.
fn common_representative(
    func: &Function,
    incoming: &IdVec<Block, Vec<&[Value]>>,
    representative: &IdVec<Value, Option<Value>>,
    param: Value,
) -> Option<Value> {
    let ValueDef::Param(block, n) = func.values[param].def else {
        unreachable!("only parameters are queued")
    };
    let mut common = None;
    for args in &incoming[block] {
        let Some(found) = representative[args[n as usize]].filter(|&found| found != param) else { continue };
        if common.is_some_and(|common| common != found) {
            return Some(param);
        }
        common = Some(found);
    }
    common
}
