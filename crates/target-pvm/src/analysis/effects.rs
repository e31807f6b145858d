//! Effects of instructions beyond registers ([`codegen::Effects`]): purity, memory accesses, barriers to reordering.

use codegen::PReg;
use pvm_isa::Opcode;

use crate::isa::{Callee, Inst, Mem};

/// Whether an instruction does nothing but define registers; `sbrk` grows the heap.
pub const fn is_pure(inst: &Inst<PReg>) -> bool {
    match inst {
        Inst::Unary { op, .. } => !matches!(op, Opcode::Sbrk),
        Inst::Const { .. }
        | Inst::FuncRef { .. }
        | Inst::BinaryImm { .. }
        | Inst::Binary { .. }
        | Inst::Cmov { .. }
        | Inst::CmovImm { .. } => true,
        _ => false,
    }
}

/// Whether nothing may move across an instruction.
pub const fn is_barrier(inst: &Inst<PReg>) -> bool {
    match inst {
        Inst::Call(_) | Inst::Params { .. } | Inst::Plain { .. } => true,
        Inst::Unary { op, .. } => matches!(op, Opcode::Sbrk),
        _ => false,
    }
}

/// Whether an instruction ends a basic block in the middle of the straight line: a call does, a host call doesn't.
pub fn ends_block(inst: &Inst<PReg>) -> bool {
    match inst {
        Inst::Call(call) => !matches!(call.callee, Callee::Host(_)),
        Inst::Plain { op } => op.is_terminator(),
        _ => false,
    }
}

/// A memory access: where, how many bytes, and whether it writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// The address.
    pub mem: Mem<PReg>,
    /// How many bytes.
    pub bytes: i64,
    /// Whether it writes.
    pub is_store: bool,
}

impl Access {
    /// The memory access of an instruction, if it is one.
    pub fn of(inst: &Inst<PReg>) -> Option<Self> {
        let mem = *inst.mem()?;
        let (op, is_store) = match *inst {
            Inst::Load { op, .. } => (op, false),
            Inst::Store { op, .. } | Inst::StoreImm { op, .. } => (op, true),
            _ => return None,
        };
        Some(Self { mem, bytes: op.access_bytes().expect("it accesses memory").into(), is_store })
    }

    /// Whether two accesses of which at least one writes surely touch different bytes, provided that registers in
    /// their addresses do not change between them.
    pub fn is_disjoint_from(&self, other: &Self) -> bool {
        let distance = match (self.mem, other.mem) {
            (Mem::Abs(a), Mem::Abs(b)) => i64::from(b) - i64::from(a),
            (Mem::Reg(base, a), Mem::Reg(other, b)) if base == other => i64::from(b) - i64::from(a),
            _ => return false,
        };
        // Addresses wrap, so far apart on one side is near on the other.
        let is_near = distance.unsigned_abs() < 1 << 31;
        is_near && (distance >= self.bytes || -distance >= other.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_overlap_or_not() {
        let r = PReg::new;
        let at = |mem, bytes| Access { mem, bytes, is_store: true };
        let cases = [
            (at(Mem::Abs(0), 8), at(Mem::Abs(8), 1), true),
            (at(Mem::Abs(0), 8), at(Mem::Abs(7), 1), false),
            (at(Mem::Reg(r(2), -4), 4), at(Mem::Reg(r(2), 0), 4), true),
            (at(Mem::Reg(r(2), -3), 4), at(Mem::Reg(r(2), 0), 4), false),
            (at(Mem::Reg(r(2), 0), 4), at(Mem::Reg(r(3), 100), 4), false),
            (at(Mem::Reg(r(2), 0), 4), at(Mem::Abs(100), 4), false),
            (at(Mem::Reg(r(2), i32::MIN), 4), at(Mem::Reg(r(2), i32::MAX), 4), false),
        ];
        for (a, b, disjoint) in cases {
            assert_eq!((a.is_disjoint_from(&b), b.is_disjoint_from(&a)), (disjoint, disjoint), "{a:?} {b:?}");
        }
    }
}
