//! Joining neighbouring IT blocks.
//!
//! Two selects by one comparison are IT blocks in a row, once the second comparison is removed. If their conditions are
//! equal or opposite, the first doesn't change flags, and both have four instructions at most, they are one block.

use codegen::{Function, PReg};
use thumb_isa::{Cond, Flags, ItMask};

use crate::isa::Thumb;
use crate::isa::inst::Inst;

/// The instructions of an IT block.
const MOST: usize = 4;

/// Joins the IT blocks of a function.
pub fn join(func: &mut Function<Thumb, PReg>) {
    for n in 0..func.order.len() {
        let insts = &mut func.blocks[func.order[n]].insts;
        let mut at = 1;
        while at < insts.len() {
            match joined(&insts[at - 1], &insts[at]) {
                Some(block) => {
                    insts[at - 1] = block;
                    insts.remove(at);
                }
                None => at += 1,
            }
        }
    }
}

fn joined(first: &Inst<PReg>, second: &Inst<PReg>) -> Option<Inst<PReg>> {
    let (Inst::It { cond, mask, body }, Inst::It { cond: other, mask: second_mask, body: second }) =
        (first, second)
    else {
        return None;
    };
    let keeps_flags = body.iter().all(|inst| inst.flags_written() == Flags::NONE);
    let is_related = *other == *cond || *other == cond.invert();
    if !keeps_flags || !is_related || body.len() + second.len() > MOST {
        return None;
    }
    let conds: Vec<Cond> = mask.conds(*cond).chain(second_mask.conds(*other)).collect();
    let following: Vec<bool> = conds[1..].iter().map(|one| one == cond).collect();
    let body = body.iter().chain(second).copied().collect();
    Some(Inst::It { cond: *cond, mask: ItMask::new(*cond, &following), body })
}
