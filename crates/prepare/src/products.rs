//! Joining both halves of the product of two 64-bit numbers.
//!
//! The lower and the upper 64 bits of a product are two SSA operations; 128-bit arithmetic needs both. The machine
//! computes the lower half on the way to the upper one. So this pass moves the two operations next to each other, where
//! selection treats them as one.

use std::collections::{BTreeMap, BTreeSet};

use ssa::{BinaryOp, Function, Inst, InstData, Type, Value};

/// Makes the two halves of a product adjacent, at the place of the earlier one and with the lower half first.
pub fn join(func: &mut Function) {
    for block in func.blocks.ids() {
        let insts = &func.blocks[block].insts;
        if !insts.iter().any(|&inst| factors(func, inst, BinaryOp::MulhU).is_some()) {
            continue;
        }
        let mut partner: BTreeMap<Inst, Inst> = BTreeMap::new();
        let mut open: BTreeMap<([Value; 2], bool), Inst> = BTreeMap::new();
        for &inst in insts {
            for (op, is_upper) in [(BinaryOp::Mul, false), (BinaryOp::MulhU, true)] {
                let Some(of) = factors(func, inst, op) else { continue };
                match open.remove(&(of, !is_upper)) {
                    Some(first) => drop(partner.insert(first, inst)),
                    None => drop(open.insert((of, is_upper), inst)),
                }
            }
        }
        let seconds: BTreeSet<Inst> = partner.values().copied().collect();
        let mut moved = Vec::with_capacity(insts.len());
        for &inst in insts {
            match partner.get(&inst) {
                Some(&second) if factors(func, inst, BinaryOp::Mul).is_some() => moved.extend([inst, second]),
                Some(&second) => moved.extend([second, inst]),
                None if seconds.contains(&inst) => {}
                None => moved.push(inst),
            }
        }
        func.blocks[block].insts = moved;
    }
}

/// For each value that is one half of such a product, the value that is the other half.
pub fn pairs(func: &Function) -> BTreeMap<Value, Value> {
    let mut pairs = BTreeMap::new();
    for block in func.blocks.values() {
        for two in block.insts.windows(2) {
            let lower = factors(func, two[0], BinaryOp::Mul);
            if lower.is_some() && lower == factors(func, two[1], BinaryOp::MulhU) {
                let [lower, upper] = [two[0], two[1]].map(|inst| func.result(inst));
                pairs.extend([(lower, upper), (upper, lower)]);
            }
        }
    }
    pairs
}

/// The factors of an operation on 64-bit numbers, the one with the lower number first.
fn factors(func: &Function, inst: Inst, wanted: BinaryOp) -> Option<[Value; 2]> {
    match func.insts[inst] {
        InstData::Binary { op, ty: Type::I64, args: [a, b] } if op == wanted => Some([a.min(b), a.max(b)]),
        _ => None,
    }
}
