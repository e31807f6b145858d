//! Assembly text, in the syntax of LLVM's assembler and disassembler.
//!
//! The `Display` of [`Inst`] works for any register type and shows every operand. [`Inst::asm`]
//! gives the text of one encoding. It has `.w` where a short form must be excluded, and the condition of the IT block
//! is appended to the mnemonic. A two-address form shows its shared register once.
//!
//! An assembler chooses the shortest form that has the text. That is the form the text was printed from, with one
//! exception. LLVM has no suffix that excludes the 16-bit form of `mul` in an IT block. So a 32-bit `mul` gets the
//! 16-bit form there, if its operands (perhaps commuted) have one.
//!
//! Offsets from the program counter are written as numbers (`b #8`, `ldr r0, [pc, #4]`), or as the label that
//! [`Asm::with_label`] gives.

use core::fmt;

use crate::form::Form;
use crate::inst::Inst;
use crate::operand::{Cond, SysReg, write_list};
use crate::reg::Reg;
use crate::table::Opcode;
use crate::value::float_imm_to_f64;

impl<R: Copy + fmt::Display> fmt::Display for Inst<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Text { inst: self, is_two_address: false, has_suffix: false, it: None, label: None }.fmt(f)
    }
}

impl Inst {
    /// The text of the instruction in one of its forms, under the condition of the IT block around it.
    pub const fn asm(&self, form: Form, it: Option<Cond>) -> Asm<'static> {
        Asm { inst: *self, form, it, label: None }
    }
}

/// Displays an instruction as assembly, see [`Inst::asm`].
#[derive(Clone, Copy, Debug)]
pub struct Asm<'a> {
    inst: Inst,
    form: Form,
    it: Option<Cond>,
    label: Option<&'a str>,
}

impl Asm<'_> {
    /// The same with a label in place of the offset from the program counter.
    #[must_use]
    pub const fn with_label(self, label: &str) -> Asm<'_> {
        Asm { inst: self.inst, form: self.form, it: self.it, label: Some(label) }
    }
}

impl fmt::Display for Asm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = self.form.pattern();
        let text = Text {
            inst: &self.inst,
            is_two_address: pattern.is_two_address(),
            has_suffix: pattern.has_suffix,
            it: self.it,
            label: self.label,
        };
        match self.inst {
            Inst::FloatStack { first, count, .. } => {
                text.mnemonic(f)?;
                f.write_str(" ")?;
                write_list(f, (0..count as u8).map(|i| Reg::from_number(first.number() + i)))
            }
            _ => text.fmt(f),
        }
    }
}

struct Text<'a, R> {
    inst: &'a Inst<R>,
    is_two_address: bool,
    has_suffix: bool,
    it: Option<Cond>,
    label: Option<&'a str>,
}

impl<R: Copy + fmt::Display> Text<'_, R> {
    /// Name, `s`, condition, `.w`, types, in this order.
    fn mnemonic(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mnemonic = self.inst.op().mnemonic();
        let (name, types) = mnemonic.split_at(mnemonic.find(['.', ' ']).unwrap_or(mnemonic.len()));
        f.write_str(name)?;
        if self.inst.sets_flags() == Some(true) {
            f.write_str("s")?;
        }
        match *self.inst {
            Inst::BranchCond { cond, .. } => write!(f, "{cond}")?,
            Inst::It { cond, mask, .. } => f.write_str(&mask.letters(cond).collect::<String>())?,
            _ => {}
        }
        if let Some(cond) = self.it {
            write!(f, "{cond}")?;
        }
        if self.has_suffix {
            f.write_str(".w")?;
        }
        f.write_str(types)
    }

    /// Destination and first source; a two-address form shows them once.
    fn pair(&self, rd: R, rn: R) -> String {
        if self.is_two_address { rd.to_string() } else { format!("{rd}, {rn}") }
    }

    fn target(&self, offset: i32) -> String {
        self.label.map_or_else(|| format!("#{offset}"), str::to_owned)
    }

    fn literal(&self, offset: i32) -> String {
        match (self.label, self.inst.op(), offset) {
            (Some(label), ..) => label.to_owned(),
            (None, Opcode::VldrLitF32 | Opcode::VldrLitF64, 0) => "[pc]".to_owned(),
            (None, ..) => format!("[pc, #{offset}]"),
        }
    }
}

impl<R: Copy + fmt::Display> fmt::Display for Text<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mnemonic(f)?;
        match *self.inst {
            Inst::NoArg { .. } => Ok(()),
            Inst::Imm { imm, .. } => write!(f, " #{imm}"),
            Inst::AluImm { rd, rn, imm, .. } => write!(f, " {}, #{imm}", self.pair(rd, rn)),
            Inst::AluReg { rd, rn, rm, shift, .. } => write!(f, " {}, {rm}{shift}", self.pair(rd, rn)),
            Inst::MovImm { rd, imm, .. } | Inst::MovHalf { rd, imm, .. } => write!(f, " {rd}, #{imm}"),
            Inst::MovReg { rd, rm, .. } | Inst::Reg2 { rd, rm, .. } => write!(f, " {rd}, {rm}"),
            Inst::MovShifted { rd, rm, shift, .. } => write!(f, " {rd}, {rm}{shift}"),
            Inst::CmpImm { rn, imm, .. } => write!(f, " {rn}, #{imm}"),
            Inst::CmpReg { rn, rm, shift, .. } => write!(f, " {rn}, {rm}{shift}"),
            Inst::AddPlain { rd, rn, imm, .. } => write!(f, " {rd}, {rn}, #{imm}"),
            Inst::ShiftImm { rd, rm, amount, .. } => write!(f, " {rd}, {rm}, #{amount}"),
            Inst::Reg3S { rd, rn, rm, .. } => write!(f, " {}, {rm}", self.pair(rd, rn)),
            Inst::Reg1 { op: Opcode::Vmsr, rd } => write!(f, " fpscr, {rd}"),
            Inst::Reg1 { rd, .. } => write!(f, " {rd}, fpscr"),
            Inst::Reg3 { rd, rn, rm, .. } => write!(f, " {rd}, {rn}, {rm}"),
            Inst::Reg4 { rd, rn, rm, ra, .. } => write!(f, " {rd}, {rn}, {rm}, {ra}"),
            Inst::MulLong { lo, hi, rn, rm, .. } => write!(f, " {lo}, {hi}, {rn}, {rm}"),
            Inst::Extend { rd, rm, rotation, .. } => write!(f, " {rd}, {rm}{}", Rotation(rotation)),
            Inst::ExtendAdd { rd, rn, rm, rotation, .. } => {
                write!(f, " {rd}, {rn}, {rm}{}", Rotation(rotation))
            }
            Inst::BitField { rd, rn, low, width, .. } => write!(f, " {rd}, {rn}, #{low}, #{width}"),
            Inst::BitClear { rd, low, width, .. } => write!(f, " {rd}, #{low}, #{width}"),
            Inst::Saturate { rd, bits, rn, .. } => write!(f, " {rd}, #{bits}, {rn}"),
            Inst::Mem { rt, rn, offset: 0, .. } => write!(f, " {rt}, [{rn}]"),
            Inst::Mem { rt, rn, offset, .. } => write!(f, " {rt}, [{rn}, #{offset}]"),
            Inst::MemPre { rt, rn, offset, .. } => write!(f, " {rt}, [{rn}, #{offset}]!"),
            Inst::MemPost { rt, rn, offset, .. } => write!(f, " {rt}, [{rn}], #{offset}"),
            Inst::MemReg { rt, rn, rm, scale, .. } => write!(f, " {rt}, [{rn}, {rm}{}]", Scale(scale)),
            Inst::MemLit { rt, offset, .. } => write!(f, " {rt}, {}", self.literal(offset)),
            Inst::Dual { rt, rt2, rn, offset: 0, .. } => write!(f, " {rt}, {rt2}, [{rn}]"),
            Inst::Dual { rt, rt2, rn, offset, .. } => write!(f, " {rt}, {rt2}, [{rn}, #{offset}]"),
            Inst::DualPre { rt, rt2, rn, offset, .. } => write!(f, " {rt}, {rt2}, [{rn}, #{offset}]!"),
            Inst::DualPost { rt, rt2, rn, offset, .. } => write!(f, " {rt}, {rt2}, [{rn}], #{offset}"),
            Inst::Multi { rn, writeback, list, .. } => {
                write!(f, " {rn}{}, {list}", if writeback { "!" } else { "" })
            }
            Inst::Stack { list, .. } => write!(f, " {list}"),
            Inst::FloatStack { first, count, .. } => write!(f, " {{{first} and {} more}}", count - 1),
            Inst::Branch { offset, .. } | Inst::BranchCond { offset, .. } => {
                write!(f, " {}", self.target(offset))
            }
            Inst::CmpBranch { rn, offset, .. } => write!(f, " {rn}, {}", self.target(offset)),
            Inst::BranchReg { rm, .. } => write!(f, " {rm}"),
            Inst::TableBranch { op, rn, rm } => {
                write!(f, " [{rn}, {rm}{}]", Scale(u32::from(op == Opcode::Tbh)))
            }
            Inst::Adr { rd, offset, .. } => write!(f, " {rd}, {}", self.target(offset)),
            Inst::It { cond, .. } => write!(f, " {cond}"),
            Inst::ReadSys { rd, sys, .. } => write!(f, " {rd}, {sys}"),
            Inst::WriteSys { sys: SysReg::Apsr, rn, .. } => write!(f, " apsr_nzcvq, {rn}"),
            Inst::WriteSys { sys, rn, .. } => write!(f, " {sys}, {rn}"),
            Inst::FloatCmpZero { rd, .. } => write!(f, " {rd}, #0"),
            Inst::FloatImm { rd, imm, .. } => write!(f, " {rd}, #{}", Scientific(float_imm_to_f64(imm))),
        }
    }
}

/// `, ror #n` for a rotation by bytes; empty for no rotation.
struct Rotation(u8);

impl fmt::Display for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, ", ror #{}", 8 * u32::from(self.0)) }
    }
}

/// `, lsl #n`; empty for no shift.
struct Scale(u32);

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, ", lsl #{}", self.0) }
    }
}

/// Six decimals and an exponent with sign and two digits.
struct Scientific(f64);

impl fmt::Display for Scientific {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.6e}", self.0);
        let (digits, exponent) = text.split_once('e').expect("scientific notation has an exponent");
        let exponent: i32 = exponent.parse().expect("the exponent is a number");
        write!(f, "{digits}e{exponent:+03}")
    }
}
