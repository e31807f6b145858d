//! Combining stores of constants to neighbouring addresses.
//!
//! Two stores of the same width to neighbouring addresses become one store of twice the width if the combined value is
//! still an immediate. No instruction between them may touch memory or change their base. The pass repeats on its
//! results, so eight zero bytes become one store.

use std::collections::VecDeque;

use codegen::{Effects, Function, PReg};
use pvm_isa::Opcode;
use ssa::SourceLoc;

use crate::analysis::effects::{Access, is_barrier};
use crate::isa::{Inst, Mem, Pvm};

/// An instruction with its location.
type Located = (Inst<PReg>, Option<SourceLoc>);

/// Combines constant stores in all blocks.
pub fn combine(func: &mut Function<Pvm, PReg>) {
    for block in func.blocks.values_mut() {
        let mut insts: Vec<Located> = std::mem::take(&mut block.insts).into_located().collect();
        while combine_pass(&mut insts) {}
        insts.into_iter().for_each(|(inst, loc)| block.insts.push(inst, loc));
    }
}

/// Combines stores from left to right, and returns whether any were combined. Each combination leaves one store less.
fn combine_pass(insts: &mut Vec<Located>) -> bool {
    let before = insts.len();
    // Removing a partner from a queue moves only the instructions before it.
    let mut rest = VecDeque::from(std::mem::take(insts));
    insts.reserve(before);
    while let Some(first) = rest.front() {
        match partner(&first.0, &rest) {
            Some((other, combined)) => {
                rest[0].0 = combined;
                rest.remove(other);
            }
            None => insts.extend(rest.pop_front()),
        }
    }
    insts.len() < before
}

/// A later store that can be combined with `store`, the first of the list, and the combined store.
fn partner(store: &Inst<PReg>, insts: &VecDeque<Located>) -> Option<(usize, Inst<PReg>)> {
    /// Number of instructions searched.
    const WINDOW: usize = 16;
    let Inst::StoreImm { mem, .. } = *store else { return None };
    let first = Access::of(store)?;
    for (other, (inst, _)) in insts.iter().enumerate().take(WINDOW).skip(1) {
        if let Some(combined) = combined(store, inst) {
            return Some((other, combined));
        }
        let changes_base = matches!(mem, Mem::Reg(base, _) if Effects::of::<Pvm>(inst).writes.contains(base));
        // A later store is moved up to here, so it must not pass a conflicting access.
        let may_pass = match Access::of(inst) {
            Some(access) => {
                access.is_store && matches!(inst, Inst::StoreImm { .. }) && access.is_disjoint_from(&first)
            }
            None => true,
        };
        if changes_base || !may_pass || is_barrier(inst) {
            return None;
        }
        if Access::of(inst).is_some() && overlaps_neighbourhood(&first, inst) {
            return None;
        }
    }
    None
}

/// Whether a store is at an address where a partner of `first` could be: then the partner must not pass it.
fn overlaps_neighbourhood(first: &Access, inst: &Inst<PReg>) -> bool {
    let Some(access) = Access::of(inst) else { return false };
    let moved = |by: i64| {
        let mem = match first.mem {
            Mem::Abs(at) => Mem::Abs(at.wrapping_add(by as i32)),
            Mem::Reg(base, at) => Mem::Reg(base, at.wrapping_add(by as i32)),
            Mem::Slot(_) => return true,
        };
        !Access { mem, ..*first }.is_disjoint_from(&access)
    };
    moved(first.bytes) || moved(-first.bytes)
}

/// One store with the effect of two, if there is one.
fn combined(a: &Inst<PReg>, b: &Inst<PReg>) -> Option<Inst<PReg>> {
    let (&Inst::StoreImm { op, value: x, mem: at_a }, &Inst::StoreImm { op: op_b, value: y, mem: at_b }) =
        (a, b)
    else {
        return None;
    };
    let bits = 8 * i64::from(op.access_bytes().filter(|_| op == op_b)?);
    let ((base, offset_a), (other_base, offset_b)) = (offset(at_a)?, offset(at_b)?);
    let distance = i64::from(offset_b) - i64::from(offset_a);
    let (low, high, mem) = match base == other_base {
        true if distance == bits / 8 => (x, y, at_a),
        true if distance == -bits / 8 => (y, x, at_b),
        _ => return None,
    };
    let op = twice_as_wide(op)?;
    let mask = (1i64 << bits) - 1;
    let both = (i64::from(low) & mask) | (i64::from(high) & mask) << bits;
    let unused = 64 - 2 * bits;
    let value = i32::try_from(both << unused >> unused).ok()?;
    Some(Inst::StoreImm { op, value, mem })
}

/// The store of twice as many bytes.
fn twice_as_wide(store: Opcode) -> Option<Opcode> {
    let bytes = 2 * store.access_bytes()?;
    let is_wide = |op: &Opcode| op.format() == store.format() && op.access_bytes() == Some(bytes);
    Opcode::ALL.iter().copied().find(is_wide)
}

/// Base and displacement.
fn offset(mem: Mem<PReg>) -> Option<(Option<PReg>, i32)> {
    match mem {
        Mem::Abs(at) => Some((None, at)),
        Mem::Reg(base, at) => Some((Some(base), at)),
        Mem::Slot(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTHS: [Opcode; 4] =
        [Opcode::StoreImmIndU8, Opcode::StoreImmIndU16, Opcode::StoreImmIndU32, Opcode::StoreImmIndU64];

    fn store(width: usize, at: i32, value: i32) -> Inst<PReg> {
        Inst::StoreImm { op: WIDTHS[width], value, mem: Mem::Reg(PReg::new(7), at) }
    }

    fn combine_all(insts: &[Inst<PReg>]) -> Vec<Inst<PReg>> {
        let mut insts: Vec<Located> = insts.iter().map(|inst| (inst.clone(), None)).collect();
        while combine_pass(&mut insts) {}
        insts.into_iter().map(|(inst, _)| inst).collect()
    }

    #[test]
    fn neighbours_become_one() {
        let bytes: Vec<_> = (0..8).map(|n| store(0, n, 0)).collect();
        assert_eq!(combine_all(&bytes), [store(3, 0, 0)]);
        assert_eq!(combine_all(&[store(2, 4, -1), store(2, 0, -5)]), [store(3, 0, -5)]);
        assert_eq!(combine_all(&[store(0, 1, 0x12), store(0, 0, -1)]), [store(1, 0, 0x12ff)]);
        let wide = [store(2, 0, 1), store(2, 4, 1)];
        assert_eq!(combine_all(&wide), wide, "the value is no immediate");
        let apart = [store(1, 0, 1), store(1, 4, 1)];
        assert_eq!(combine_all(&apart), apart);
    }

    #[test]
    fn order_is_kept() {
        let r = PReg::new;
        let load = Inst::Load { op: Opcode::LoadIndU8, dst: r(2), mem: Mem::Reg(r(8), 0) };
        let other = Inst::Const { dst: r(7), value: 1 };
        for between in [load, other, store(0, 1, 7), store(1, 0, 7)] {
            let insts = [store(0, 0, 1), between.clone(), store(0, 1, 2)];
            let result = combine_all(&insts);
            assert!(result.contains(&between) || result.len() == 2, "{result:?}");
            assert!(
                !result.contains(&store(1, 0, 0x201)) || matches!(between, Inst::StoreImm { .. }),
                "{result:?}"
            );
        }
        let harmless = Inst::Const { dst: r(2), value: 1 };
        let result = combine_all(&[store(0, 0, 1), harmless.clone(), store(0, 1, 2)]);
        assert_eq!(result, [store(1, 0, 0x201), harmless]);
    }
}
