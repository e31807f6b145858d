//! Effects of instructions: registers and flags read and written, and control flow.

use core::fmt;

use crate::inst::Inst;
use crate::operand::{Flags, RegList, Shift};
use crate::reg::{Bank, Reg, RegSlot, Role};

/// The control flow after an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Flow {
    /// To the next instruction.
    Next,
    /// To a static target.
    Jump,
    /// To a static target or to the next instruction.
    Branch,
    /// To a callee, and later to the next instruction.
    Call,
    /// To an address in a register or in memory: a return, a tail call, a table dispatch.
    Indirect,
    /// To an exception handler.
    Trap,
}

/// A set of registers in units that don't overlap: core registers and single-precision registers. `d1` is the set of
/// `s2` and `s3`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct UnitSet(u64);

impl UnitSet {
    /// The empty set.
    pub const EMPTY: UnitSet = UnitSet(0);

    /// The units of a register.
    pub const fn of(reg: Reg) -> UnitSet {
        match reg.bank() {
            Bank::Core | Bank::Single => UnitSet(1 << reg.number()),
            Bank::Double => UnitSet(3 << (Bank::Single.first() + 2 * reg.index())),
        }
    }

    /// The units of a list of core registers.
    pub const fn of_list(list: RegList) -> UnitSet {
        UnitSet(list.bits() as u64)
    }

    /// Units in either.
    #[must_use]
    pub const fn union(self, other: UnitSet) -> UnitSet {
        UnitSet(self.0 | other.0)
    }

    /// Units in `self` but not in `other`.
    #[must_use]
    pub const fn difference(self, other: UnitSet) -> UnitSet {
        UnitSet(self.0 & !other.0)
    }

    /// Whether the two have a unit in common.
    pub const fn intersects(self, other: UnitSet) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The units as core and single-precision registers, ascending.
    pub fn iter(self) -> impl Iterator<Item = Reg> {
        (0..48).filter(move |n| self.0 >> n & 1 == 1).map(Reg::from_number)
    }
}

impl fmt::Debug for UnitSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Inst {
    /// Registers read by the instruction. The registers that a call reads by its calling convention are not included.
    pub fn reads(&self) -> UnitSet {
        self.slots_where(|slot| slot.role.reads()).union(self.listed(Role::reads)).union(self.implied_sp())
    }

    /// Registers that the instruction may change. `pc` is included only if a load writes it. Of the registers that a
    /// call changes by its calling convention, only `lr` is included.
    pub fn writes(&self) -> UnitSet {
        let set = match *self {
            Inst::Multi { writeback: false, .. } => UnitSet::EMPTY,
            _ => self.slots_where(|slot| slot.role.writes()),
        };
        let link = if self.op().is_call() { UnitSet::of(Reg::LR) } else { UnitSet::EMPTY };
        set.union(self.listed(Role::writes)).union(self.implied_sp()).union(link)
    }

    /// The registers of a list, if the instruction uses them as wanted.
    fn listed(&self, wanted: fn(Role) -> bool) -> UnitSet {
        match *self {
            Inst::Multi { op, list, .. } | Inst::Stack { op, list } if op.list_role().is_some_and(wanted) => {
                UnitSet::of_list(list)
            }
            Inst::FloatStack { op, first, count } if wanted(op.reg_slots()[0].role) => {
                consecutive(first, count)
            }
            _ => UnitSet::EMPTY,
        }
    }

    fn slots_where(&self, wanted: fn(RegSlot) -> bool) -> UnitSet {
        let mut set = UnitSet::EMPTY;
        self.map_regs(&mut |reg, slot| {
            if wanted(slot) {
                set = set.union(UnitSet::of(reg));
            }
        });
        set
    }

    fn implied_sp(&self) -> UnitSet {
        match self {
            Inst::Stack { .. } | Inst::FloatStack { .. } => UnitSet::of(Reg::SP),
            _ => UnitSet::EMPTY,
        }
    }
}

fn consecutive(first: Reg, count: u32) -> UnitSet {
    let regs = (0..count as u8).map(|i| Reg::from_number(first.number() + i));
    regs.fold(UnitSet::EMPTY, |set, reg| set.union(UnitSet::of(reg)))
}

impl<R: Copy> Inst<R> {
    /// Flags read by the instruction itself, without those of the IT block around it.
    pub fn flags_read(&self) -> Flags {
        let own = match *self {
            Inst::BranchCond { cond, .. } | Inst::It { cond, .. } => cond.flags(),
            Inst::AluReg { shift: Shift::Rrx, .. }
            | Inst::MovShifted { shift: Shift::Rrx, .. }
            | Inst::CmpReg { shift: Shift::Rrx, .. } => Flags::C,
            _ => Flags::NONE,
        };
        own.union(self.op().flag_effect().reads)
    }

    /// Flags that the instruction may change.
    pub fn flags_written(&self) -> Flags {
        let effect = self.op().flag_effect();
        if effect.is_optional && self.sets_flags() == Some(false) { Flags::NONE } else { effect.writes }
    }

    /// The control flow after the instruction.
    pub fn flow(&self) -> Flow {
        match *self {
            _ if self.op().is_call() => Flow::Call,
            _ if self.op().is_trap() => Flow::Trap,
            Inst::Branch { .. } => Flow::Jump,
            Inst::BranchCond { .. } | Inst::CmpBranch { .. } => Flow::Branch,
            Inst::BranchReg { .. } | Inst::TableBranch { .. } => Flow::Indirect,
            Inst::Stack { list, .. } | Inst::Multi { list, .. } if list.contains(Reg::PC) => Flow::Indirect,
            _ => Flow::Next,
        }
    }
}
