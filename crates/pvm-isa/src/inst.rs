//! Instructions and their text form.
//!
//! [`Inst`] is the common representation of encoder, decoder, printer and gas model: one variant per operand format,
//! each with its opcode and operands. Code about all instructions matches on thirteen formats, never on opcodes.
//!
//! Code offsets are relative to the instruction's own opcode byte. Immediates are 32-bit values that the
//! machine sign-extends to 64 bits; `load_imm_64` alone carries 64.
//!
//! # Assembly text
//!
//! ```text
//! trap                               ecalli 100
//! load_imm_64 r2 = 0x1122334455667788
//! store_imm_u8 [0x20000] = -1        store_imm_ind_u32 [r1 + 8] = 300
//! load_imm r7 = -5                   jump_ind r0 + 4
//! load_u8 r7 = [0x20000]             store_u8 [0x20000] = r7
//! load_ind_u32 r3 = [r7 + 8]         store_ind_u32 [r7 + 8] = r3
//! jump -> +16                        load_imm_jump r0 = 2 -> +1000
//! branch_eq_imm r3, 0 -> +8          branch_lt_u r3, r4 -> -20
//! move_reg r3 = r4                   load_imm_jump_ind r0 = 2 -> r8 + 4
//! add_imm_64 r3 = r4, 8              add_64 r5 = r3, r4
//! ```
//!
//! A displacement of zero is omitted. Targets are offsets from the instruction, or absolute positions (`-> @26`) in
//! [`Inst::display_at`].
//!
//! Invariant: the opcode's format is the variant's; the constructors assert it in debug builds.

use core::fmt;

use crate::reg::{Reg, RegSet};
use crate::table::{Flow, Format, Opcode, Role};

/// One instruction. See the module documentation for the text form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the field names are self-explanatory; `op` is the opcode everywhere")]
pub enum Inst {
    /// `op`
    NoArg { op: Opcode },
    /// `op imm`
    Imm { op: Opcode, imm: i32 },
    /// `op dst = imm`, with a full 64-bit value
    RegImm64 { op: Opcode, dst: Reg, imm: u64 },
    /// `op [addr] = value`
    Imm2 { op: Opcode, addr: i32, value: i32 },
    /// `op -> offset`
    Off { op: Opcode, offset: i32 },
    /// `op reg = imm`, `op reg = [imm]`, `op [imm] = reg` or `op reg + imm`
    RegImm { op: Opcode, reg: Reg, imm: i32 },
    /// `op [base + disp] = value`
    RegImm2 { op: Opcode, base: Reg, disp: i32, value: i32 },
    /// `op reg, imm -> offset`, or `op reg = imm -> offset`
    RegImmOff { op: Opcode, reg: Reg, imm: i32, offset: i32 },
    /// `op dst = src`
    Reg2 { op: Opcode, dst: Reg, src: Reg },
    /// `op a = b, imm`, `op a = [b + imm]` or `op [b + imm] = a`
    Reg2Imm { op: Opcode, a: Reg, b: Reg, imm: i32 },
    /// `op a, b -> offset`
    Reg2Off { op: Opcode, a: Reg, b: Reg, offset: i32 },
    /// `op dst = imm -> base + disp`
    Reg2Imm2 { op: Opcode, dst: Reg, base: Reg, imm: i32, disp: i32 },
    /// `op dst = a, b`
    Reg3 { op: Opcode, dst: Reg, a: Reg, b: Reg },
}

/// Constructors by format. Each panics in debug builds if the opcode has another format.
impl Inst {
    /// An instruction without operands.
    pub fn no_arg(op: Opcode) -> Inst {
        Inst::NoArg { op }.checked()
    }

    /// An instruction with one immediate.
    pub fn imm(op: Opcode, imm: i32) -> Inst {
        Inst::Imm { op, imm }.checked()
    }

    /// An instruction with a register and a 64-bit immediate.
    pub fn reg_imm64(op: Opcode, dst: Reg, imm: u64) -> Inst {
        Inst::RegImm64 { op, dst, imm }.checked()
    }

    /// A store of a constant at a constant address.
    pub fn imm2(op: Opcode, addr: i32, value: i32) -> Inst {
        Inst::Imm2 { op, addr, value }.checked()
    }

    /// A jump.
    pub fn off(op: Opcode, offset: i32) -> Inst {
        Inst::Off { op, offset }.checked()
    }

    /// An instruction with a register and an immediate.
    pub fn reg_imm(op: Opcode, reg: Reg, imm: i32) -> Inst {
        Inst::RegImm { op, reg, imm }.checked()
    }

    /// A store of a constant relative to a register.
    pub fn reg_imm2(op: Opcode, base: Reg, disp: i32, value: i32) -> Inst {
        Inst::RegImm2 { op, base, disp, value }.checked()
    }

    /// A branch comparing with an immediate, or `load_imm_jump`.
    pub fn reg_imm_off(op: Opcode, reg: Reg, imm: i32, offset: i32) -> Inst {
        Inst::RegImmOff { op, reg, imm, offset }.checked()
    }

    /// An instruction with a destination and a source.
    pub fn reg2(op: Opcode, dst: Reg, src: Reg) -> Inst {
        Inst::Reg2 { op, dst, src }.checked()
    }

    /// An instruction with two registers and an immediate; `a` is the destination or the stored value.
    pub fn reg2_imm(op: Opcode, a: Reg, b: Reg, imm: i32) -> Inst {
        Inst::Reg2Imm { op, a, b, imm }.checked()
    }

    /// A branch on "a op b".
    pub fn reg2_off(op: Opcode, a: Reg, b: Reg, offset: i32) -> Inst {
        Inst::Reg2Off { op, a, b, offset }.checked()
    }

    /// `load_imm_jump_ind`.
    pub fn reg2_imm2(op: Opcode, dst: Reg, base: Reg, imm: i32, disp: i32) -> Inst {
        Inst::Reg2Imm2 { op, dst, base, imm, disp }.checked()
    }

    /// An instruction with a destination and two sources.
    pub fn reg3(op: Opcode, dst: Reg, a: Reg, b: Reg) -> Inst {
        Inst::Reg3 { op, dst, a, b }.checked()
    }

    fn checked(self) -> Inst {
        debug_assert_eq!(self.op().format(), self.format(), "operands do not fit {}", self.op());
        self
    }
}

impl Inst {
    /// The opcode.
    pub fn op(&self) -> Opcode {
        match *self {
            Inst::NoArg { op }
            | Inst::Imm { op, .. }
            | Inst::RegImm64 { op, .. }
            | Inst::Imm2 { op, .. }
            | Inst::Off { op, .. }
            | Inst::RegImm { op, .. }
            | Inst::RegImm2 { op, .. }
            | Inst::RegImmOff { op, .. }
            | Inst::Reg2 { op, .. }
            | Inst::Reg2Imm { op, .. }
            | Inst::Reg2Off { op, .. }
            | Inst::Reg2Imm2 { op, .. }
            | Inst::Reg3 { op, .. } => op,
        }
    }

    /// The format of the variant.
    pub fn format(&self) -> Format {
        match self {
            Inst::NoArg { .. } => Format::NoArg,
            Inst::Imm { .. } => Format::Imm,
            Inst::RegImm64 { .. } => Format::RegImm64,
            Inst::Imm2 { .. } => Format::Imm2,
            Inst::Off { .. } => Format::Off,
            Inst::RegImm { .. } => Format::RegImm,
            Inst::RegImm2 { .. } => Format::RegImm2,
            Inst::RegImmOff { .. } => Format::RegImmOff,
            Inst::Reg2 { .. } => Format::Reg2,
            Inst::Reg2Imm { .. } => Format::Reg2Imm,
            Inst::Reg2Off { .. } => Format::Reg2Off,
            Inst::Reg2Imm2 { .. } => Format::Reg2Imm2,
            Inst::Reg3 { .. } => Format::Reg3,
        }
    }

    /// The register fields in the order of the encoding: low nibble, high nibble, third byte.
    ///
    /// [`Opcode::roles`] has the role of each.
    pub fn reg_fields(&self) -> [Option<Reg>; 3] {
        match *self {
            Inst::NoArg { .. } | Inst::Imm { .. } | Inst::Imm2 { .. } | Inst::Off { .. } => [None; 3],
            Inst::RegImm64 { dst: r, .. }
            | Inst::RegImm { reg: r, .. }
            | Inst::RegImm2 { base: r, .. }
            | Inst::RegImmOff { reg: r, .. } => [Some(r), None, None],
            Inst::Reg2 { dst: a, src: b, .. }
            | Inst::Reg2Imm { a, b, .. }
            | Inst::Reg2Off { a, b, .. }
            | Inst::Reg2Imm2 { dst: a, base: b, .. } => [Some(a), Some(b), None],
            Inst::Reg3 { dst, a, b, .. } => [Some(a), Some(b), Some(dst)],
        }
    }

    /// Registers that the instruction may read. A host call may read its six argument registers.
    pub fn reads(&self) -> RegSet {
        match self.op() {
            Opcode::Ecalli => RegSet::from_bits(0b1_1111_1000_0000),
            _ => self.gas_reads(),
        }
    }

    /// Registers the instruction may change. A host call may change r7 and r8.
    pub fn writes(&self) -> RegSet {
        match self.op() {
            Opcode::Ecalli => RegSet::EMPTY.with(Reg::A0).with(Reg::A1),
            _ => self.gas_writes(),
        }
    }

    /// Registers read according to the gas model: a host call reads none.
    pub fn gas_reads(&self) -> RegSet {
        self.fields_where(Role::reads)
    }

    /// Registers written according to the gas model: a host call writes none.
    pub fn gas_writes(&self) -> RegSet {
        self.fields_where(Role::writes)
    }

    fn fields_where(&self, wanted: fn(Role) -> bool) -> RegSet {
        let fields = self.reg_fields().into_iter().zip(self.op().roles());
        fields.filter_map(|(reg, role)| reg.filter(|_| role.is_some_and(wanted))).collect()
    }

    /// The static code offset, relative to this instruction, if the format has one.
    pub fn offset(&self) -> Option<i32> {
        match *self {
            Inst::Off { offset, .. } | Inst::RegImmOff { offset, .. } | Inst::Reg2Off { offset, .. } => {
                Some(offset)
            }
            _ => None,
        }
    }

    /// The same instruction with another code offset; unchanged if the format has none.
    #[must_use]
    pub fn with_offset(mut self, new: i32) -> Inst {
        if let Inst::Off { offset, .. } | Inst::RegImmOff { offset, .. } | Inst::Reg2Off { offset, .. } =
            &mut self
        {
            *offset = new;
        }
        self
    }

    /// The target position of a static jump or branch at `pc`; may be outside the code.
    pub fn target(&self, pc: u32) -> Option<i64> {
        self.offset().map(|offset| i64::from(pc) + i64::from(offset))
    }

    /// The instruction as text, with targets as absolute positions for an instruction at `pc`.
    pub fn display_at(&self, pc: u32) -> impl fmt::Display {
        Text { inst: *self, pc: Some(pc) }
    }
}

impl fmt::Display for Inst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Text { inst: *self, pc: None }, f)
    }
}

struct Text {
    inst: Inst,
    pc: Option<u32>,
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = self.inst.op();
        f.write_str(op.mnemonic())?;
        match self.inst {
            Inst::NoArg { .. } => {}
            Inst::Imm { imm, .. } => write!(f, " {imm}")?,
            Inst::RegImm64 { dst, imm, .. } => write!(f, " {dst} = {imm:#x}")?,
            Inst::Imm2 { addr, value, .. } => write!(f, " [{addr:#x}] = {value}")?,
            Inst::Off { .. } => {}
            Inst::RegImm { reg, imm, .. } if op.is_load() => write!(f, " {reg} = [{imm:#x}]")?,
            Inst::RegImm { reg, imm, .. } if op.is_store() => write!(f, " [{imm:#x}] = {reg}")?,
            Inst::RegImm { reg, imm, .. } if op.flow() == Flow::Indirect => write!(f, " {}", Sum(reg, imm))?,
            Inst::RegImm { reg, imm, .. } => write!(f, " {reg} = {imm}")?,
            Inst::RegImm2 { base, disp, value, .. } => write!(f, " [{}] = {value}", Sum(base, disp))?,
            Inst::RegImmOff { reg, imm, .. } if op.flow() == Flow::Branch => write!(f, " {reg}, {imm}")?,
            Inst::RegImmOff { reg, imm, .. } => write!(f, " {reg} = {imm}")?,
            Inst::Reg2 { dst, src, .. } => write!(f, " {dst} = {src}")?,
            Inst::Reg2Imm { a, b, imm, .. } if op.is_load() => write!(f, " {a} = [{}]", Sum(b, imm))?,
            Inst::Reg2Imm { a, b, imm, .. } if op.is_store() => write!(f, " [{}] = {a}", Sum(b, imm))?,
            Inst::Reg2Imm { a, b, imm, .. } => write!(f, " {a} = {b}, {imm}")?,
            Inst::Reg2Off { a, b, .. } => write!(f, " {a}, {b}")?,
            Inst::Reg2Imm2 { dst, base, imm, disp, .. } => {
                write!(f, " {dst} = {imm} -> {}", Sum(base, disp))?
            }
            Inst::Reg3 { dst, a, b, .. } => write!(f, " {dst} = {a}, {b}")?,
        }
        match (self.inst.offset(), self.pc) {
            (Some(_), Some(pc)) => {
                write!(f, " -> @{}", self.inst.target(pc).expect("an offset gives a target"))
            }
            (Some(offset), None) => write!(f, " -> {offset:+}"),
            (None, _) => Ok(()),
        }
    }
}

/// `reg + disp`; a displacement of zero is omitted.
struct Sum(Reg, i32);

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sum(reg, disp) = *self;
        match disp {
            0 => write!(f, "{reg}"),
            1.. => write!(f, "{reg} + {disp}"),
            _ => write!(f, "{reg} - {}", disp.unsigned_abs()),
        }
    }
}
