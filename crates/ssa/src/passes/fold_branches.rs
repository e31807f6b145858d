//! Replacing branches that always go to one block by jumps.

use crate::{BlockCall, Function, InstData};

/// Replaces branches and switches on constants, or with one destination, by jumps. Drops switch cases that equal the
/// default.
pub fn fold_branches(func: &mut Function) {
    for block in func.blocks.ids() {
        let last = func.terminator(block);
        if let InstData::Switch { cases, default, .. } = &mut func.insts[last] {
            cases.retain(|(_, to)| to != default);
        }
        if let Some(to) = only_target(func, &func.insts[last]) {
            func.insts[last] = InstData::Jump { to };
        }
    }
}

/// The target of a branch or switch, if it is known.
fn only_target(func: &Function, terminator: &InstData) -> Option<BlockCall> {
    match terminator {
        InstData::Branch { if_true, if_false, .. } if if_true == if_false => Some(if_true.clone()),
        InstData::Branch { cond, if_true, if_false } => match func.as_const(*cond)? {
            0 => Some(if_false.clone()),
            _ => Some(if_true.clone()),
        },
        InstData::Switch { cases, default, .. } if cases.is_empty() => Some(default.clone()),
        InstData::Switch { value, cases, default, .. } => {
            let value = func.as_const(*value)?;
            Some(cases.iter().find(|(case, _)| *case == value).map_or(default, |(_, to)| to).clone())
        }
        _ => None,
    }
}
