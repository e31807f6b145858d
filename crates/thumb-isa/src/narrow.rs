//! Narrowing: finding an equivalent instruction with a 16-bit form.
//!
//! Often an instruction has no 16-bit form, but an equivalent one has. Outside IT blocks `add r0, r1, r2` has none,
//! but `adds r0, r1, r2` has one, and is equivalent if the flags are dead. `and r0, r1, r0` has none because its
//! destination must be the first source, but `and` is commutative.
//!
//! [`Inst::narrowed`] tries the instructions that write the same value to the same register. Those with a different
//! effect on the flags are allowed only if the caller says that the flags are dead.

use crate::form::Width;
use crate::inst::Inst;
use crate::operand::{Cond, Shift};
use crate::reg::Reg;
use crate::table::Opcode;

impl Inst {
    /// An instruction with the same effect that has a 16-bit form, if there is one.
    ///
    /// `flags_dead` says that the flags are dead after the instruction; `it` is the condition of the IT block around
    /// it.
    #[must_use]
    pub fn narrowed(&self, flags_dead: bool, it: Option<Cond>) -> Option<Inst> {
        let equivalents = [Some(*self), self.commuted(), self.negated(), self.simplified()];
        let with_either_flags = equivalents.into_iter().flatten().flat_map(|inst| [inst, inst.toggled()]);
        with_either_flags
            .filter(|inst| flags_dead || inst.has_flags_of(self))
            .find(|inst| inst.form(Width::Narrow, it).is_some())
    }

    /// Whether the flags afterwards are the same as after `other`, which computes the same value.
    fn has_flags_of(&self, other: &Inst) -> bool {
        self.flags_written() == other.flags_written()
    }

    /// The same instruction with the flag update added or removed.
    fn toggled(&self) -> Inst {
        self.with_flags(self.sets_flags() == Some(false))
    }

    /// The instruction with its sources exchanged, if it is commutative.
    fn commuted(&self) -> Option<Inst> {
        if !self.op().is_commutative() {
            return None;
        }
        match *self {
            Inst::AluReg { op, s, rd, rn, rm, shift: Shift::NONE } => {
                Some(Inst::alu_reg(op, s, rd, rm, rn, Shift::NONE))
            }
            Inst::CmpReg { op, rn, rm, shift: Shift::NONE } => Some(Inst::cmp_reg(op, rm, rn, Shift::NONE)),
            Inst::Reg3S { op, s, rd, rn, rm } => Some(Inst::reg3_s(op, s, rd, rm, rn)),
            _ => None,
        }
    }

    /// Addition of a constant as subtraction of its negation, and the reverse. The flags are the same except for the
    /// constants 0 and -2^31; no 16-bit form holds their negations.
    fn negated(&self) -> Option<Inst> {
        match *self {
            Inst::AluImm { op: Opcode::AddImm, s, rd, rn, imm } => {
                Some(Inst::alu_imm(Opcode::SubImm, s, rd, rn, nonzero(imm)?.wrapping_neg()))
            }
            Inst::AluImm { op: Opcode::SubImm, s, rd, rn, imm } => {
                Some(Inst::alu_imm(Opcode::AddImm, s, rd, rn, nonzero(imm)?.wrapping_neg()))
            }
            _ => None,
        }
    }

    /// A more specific instruction for special operands.
    fn simplified(&self) -> Option<Inst> {
        match *self {
            Inst::AddPlain { op: Opcode::Addw, rd, rn, imm } => {
                Some(Inst::alu_imm(Opcode::AddImm, false, rd, rn, imm))
            }
            Inst::AddPlain { rd, rn, imm, .. } => Some(Inst::alu_imm(Opcode::SubImm, false, rd, rn, imm)),
            Inst::MovHalf { op: Opcode::Movw, rd, imm } => {
                Some(Inst::mov_imm(Opcode::MovImm, false, rd, imm))
            }
            Inst::AluImm { op: Opcode::AndImm, s: false, rd, rn, imm: 0xff } => {
                Some(Inst::extend(Opcode::Uxtb, rd, rn, 0))
            }
            Inst::AluImm { op: Opcode::EorImm, s, rd, rn, imm: u32::MAX } => {
                Some(Inst::mov_shifted(Opcode::MvnReg, s, rd, rn, Shift::NONE))
            }
            Inst::BitField { op, rd, rn, low, width } => simplified_extract(op, rd, rn, low, width),
            _ => None,
        }
    }
}

/// Extraction of the low byte or half-word is an extension; extraction up to the top bit is a shift.
fn simplified_extract(op: Opcode, rd: Reg, rn: Reg, low: u8, width: u8) -> Option<Inst> {
    use Opcode::{AsrImm, LsrImm, Sbfx, Sxtb, Sxth, Ubfx, Uxtb, Uxth};
    let extension = match (op, low, width) {
        (Ubfx, 0, 8) => Some(Uxtb),
        (Ubfx, 0, 16) => Some(Uxth),
        (Sbfx, 0, 8) => Some(Sxtb),
        (Sbfx, 0, 16) => Some(Sxth),
        _ => None,
    };
    let shift = match op {
        Ubfx if low > 0 && low + width == 32 => Some(LsrImm),
        Sbfx if low > 0 && low + width == 32 => Some(AsrImm),
        _ => None,
    };
    let extended = extension.map(|op| Inst::extend(op, rd, rn, 0));
    extended.or_else(|| shift.map(|op| Inst::shift_imm(op, false, rd, rn, u32::from(low))))
}

fn nonzero(value: u32) -> Option<u32> {
    Some(value).filter(|&value| value != 0)
}
