//! Validity of operand combinations.
//!
//! The bit patterns of the table can express combinations that the architecture calls UNPREDICTABLE: `pc` as an
//! operand of most instructions, a base register that is both loaded and written back, an empty register list. They
//! are never encoded and never decoded. The rules are those of v7-M; v8-M allows slightly more.

use crate::inst::Inst;
use crate::operand::{RegList, Shift};
use crate::reg::{Reg, Role};
use crate::table::Opcode;

impl Inst {
    /// Whether the architecture defines this combination of operands. Doesn't check whether immediates are encodable.
    pub fn is_valid(&self) -> bool {
        self.classes_fit() && self.operands_agree()
    }

    fn classes_fit(&self) -> bool {
        let mut fit = true;
        self.map_regs(&mut |reg, slot| fit &= slot.class.contains(reg));
        fit
    }

    fn operands_agree(&self) -> bool {
        match *self {
            Inst::AluImm { rd, rn, .. } | Inst::AddPlain { rd, rn, .. } => rd != Reg::SP || rn == Reg::SP,
            Inst::AluReg { rd, rn, shift, .. } => {
                let small_shift = matches!(shift, Shift::Lsl(0..=3));
                shift.is_valid() && (rd != Reg::SP || rn == Reg::SP && small_shift)
            }
            Inst::MovReg { s, rd, rm, .. } => {
                let stack_pointers = usize::from(rd == Reg::SP) + usize::from(rm == Reg::SP);
                stack_pointers <= usize::from(!s)
            }
            Inst::MovShifted { shift, .. } | Inst::CmpReg { shift, .. } => shift.is_valid(),
            Inst::MulLong { lo, hi, .. } => lo != hi,
            Inst::Reg3 { op: Opcode::VmovFromDouble, rd, rn, .. } => rd != rn,
            Inst::Extend { rotation, .. } | Inst::ExtendAdd { rotation, .. } => rotation < 4,
            Inst::BitField { low, width, .. } | Inst::BitClear { low, width, .. } => {
                width >= 1 && u32::from(low) + u32::from(width) <= 32
            }
            Inst::MemPre { rt, rn, .. } | Inst::MemPost { rt, rn, .. } => rt != rn,
            Inst::Dual { op, rt, rt2, .. } => is_store(op) || rt != rt2,
            Inst::DualPre { op, rt, rt2, rn, .. } | Inst::DualPost { op, rt, rt2, rn, .. } => {
                rn != rt && rn != rt2 && (is_store(op) || rt != rt2)
            }
            Inst::Multi { op, rn, writeback, list } => multi_is_valid(op, rn, writeback, list),
            Inst::Stack { op, list } => list_is_valid(op, list),
            Inst::FloatStack { first, count, .. } => {
                let bank = first.bank();
                (1..=16).contains(&count)
                    && bank.get(i64::from(first.index()) + i64::from(count) - 1).is_some()
            }
            _ => true,
        }
    }
}

/// Whether a load or store is a store.
fn is_store(op: Opcode) -> bool {
    op.list_role().unwrap_or_else(|| op.reg_slots()[0].role) == Role::Read
}

/// The rules for `ldm` and `stm`. Writeback to `sp` is excluded: such an instruction is a `push` or `pop`, or moves
/// the stack pointer in the wrong direction.
fn multi_is_valid(op: Opcode, rn: Reg, writeback: bool, list: RegList) -> bool {
    list_is_valid(op, list) && !(writeback && (list.contains(rn) || rn == Reg::SP))
}

/// Whether a list is not empty, has no `sp`, has not both `lr` and `pc`, and has no `pc` that is stored.
fn list_is_valid(op: Opcode, list: RegList) -> bool {
    let has_both = list.contains(Reg::LR) && list.contains(Reg::PC);
    let stores_pc = is_store(op) && list.contains(Reg::PC);
    !list.is_empty() && !list.contains(Reg::SP) && !has_both && !stores_pc
}
