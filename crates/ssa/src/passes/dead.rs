//! Removal of dead pure instructions and dead block parameters.
//!
//! Values are marked as needed, starting from instructions with effects. Marking reaches the arguments of a parameter
//! only if the parameter is needed. So parameters that only feed each other around a loop are removed, with the
//! instructions that compute them.

use super::replace::retain_params;
use crate::{Function, IdVec, InstData, Value, ValueDef};

/// Removes pure instructions without needed results and block parameters that are not needed. The parameters of the
/// entry block stay.
pub fn remove_dead(func: &mut Function) {
    let mut needed = needed_values(func);
    for &param in &func.blocks[func.entry()].params {
        needed[param] = true;
    }
    for block in func.blocks.values_mut() {
        let (insts, results) = (&func.insts, &func.results);
        block
            .insts
            .retain(|&inst| !insts[inst].is_pure() || results[inst].iter().any(|&value| needed[value]));
    }
    retain_params(func, &needed);
}

fn needed_values(func: &Function) -> IdVec<Value, bool> {
    let mut needed = IdVec::filled(false, func.values.len());
    let mut worklist = Vec::new();
    let mut need = |value: Value, worklist: &mut Vec<Value>| {
        if !std::mem::replace(&mut needed[value], true) {
            worklist.push(value);
        }
    };
    let mut edges = IdVec::filled(Vec::new(), func.blocks.len());
    for &inst in func.blocks.values().flat_map(|block| &block.insts) {
        let data = &func.insts[inst];
        match data {
            InstData::Jump { .. } => {}
            InstData::Branch { cond: value, .. } | InstData::Switch { value, .. } => {
                need(*value, &mut worklist)
            }
            _ if data.is_pure() => {}
            _ => data.for_each_arg(|value| need(value, &mut worklist)),
        }
        for to in data.successors() {
            edges[to.block].push(&to.args[..]);
        }
    }
    while let Some(value) = worklist.pop() {
        match func.values[value].def {
            ValueDef::Param(block, n) => {
                edges[block].iter().for_each(|args| need(args[n as usize], &mut worklist));
            }
            ValueDef::Result(inst, _) if func.insts[inst].is_pure() => {
                func.insts[inst].for_each_arg(|arg| need(arg, &mut worklist));
            }
            ValueDef::Result(..) => {}
        }
    }
    needed
}
