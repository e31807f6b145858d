//! Instructions and their operand formats.
//!
//! [`Inst`] is the common representation of compiler, encoder, decoder and printer: one variant per operand format,
//! each with its opcode and operands. Code about all instructions matches on formats, never on opcodes. The register
//! type is a parameter, so a compiler can use the same instructions with virtual registers; only `Inst<Reg>` has an
//! encoding.
//!
//! Every format is one row of `for_each_format!`. The variant, its constructor, the visitor of registers and the
//! conversion to and from the fields of [`crate::pattern`] are generated from it.
//!
//! The offset of a branch is relative to the instruction's address plus 4. The offset of `adr` and of literal loads is
//! relative to the same address rounded down to a multiple of 4.
//!
//! Invariant: the opcode's format is the variant's; the constructors assert it in debug builds.

use crate::operand::{Cond, ItMask, RegList, Shift, SysReg};
use crate::pattern::Fields;
use crate::reg::{Reg, RegSlot};
use crate::table::Opcode;

/// Calls a macro with all formats: documentation, variant, constructor, and the fields with their kind and letter
/// (see [`crate::pattern`]).
macro_rules! for_each_format {
    ($each:ident) => {
        $each! {
            /// `op`
            NoArg no_arg {}
            /// `op #imm`
            Imm imm { imm: u32 b'i' }
            /// `op{s} rd, rn, #imm`
            AluImm alu_imm { s: bool b's', rd: R b'd', rn: R b'n', imm: u32 b'i' }
            /// `op{s} rd, rn, rm{, shift}`
            AluReg alu_reg { s: bool b's', rd: R b'd', rn: R b'n', rm: R b'm', shift: Shift b'h' }
            /// `op{s} rd, #imm`
            MovImm mov_imm { s: bool b's', rd: R b'd', imm: u32 b'i' }
            /// `op rd, #imm`
            MovHalf mov_half { rd: R b'd', imm: u32 b'i' }
            /// `op{s} rd, rm`
            MovReg mov_reg { s: bool b's', rd: R b'd', rm: R b'm' }
            /// `op{s} rd, rm{, shift}`
            MovShifted mov_shifted { s: bool b's', rd: R b'd', rm: R b'm', shift: Shift b'h' }
            /// `op rn, #imm`
            CmpImm cmp_imm { rn: R b'n', imm: u32 b'i' }
            /// `op rn, rm{, shift}`
            CmpReg cmp_reg { rn: R b'n', rm: R b'm', shift: Shift b'h' }
            /// `op rd, rn, #imm`
            AddPlain add_plain { rd: R b'd', rn: R b'n', imm: u32 b'i' }
            /// `op{s} rd, rm, #amount`
            ShiftImm shift_imm { s: bool b's', rd: R b'd', rm: R b'm', amount: u32 b'i' }
            /// `op{s} rd, rn, rm`
            Reg3S reg3_s { s: bool b's', rd: R b'd', rn: R b'n', rm: R b'm' }
            /// `op rd`
            Reg1 reg1 { rd: R b'd' }
            /// `op rd, rm`
            Reg2 reg2 { rd: R b'd', rm: R b'm' }
            /// `op rd, rn, rm`
            Reg3 reg3 { rd: R b'd', rn: R b'n', rm: R b'm' }
            /// `op rd, rn, rm, ra`
            Reg4 reg4 { rd: R b'd', rn: R b'n', rm: R b'm', ra: R b'a' }
            /// `op lo, hi, rn, rm`
            MulLong mul_long { lo: R b'd', hi: R b'a', rn: R b'n', rm: R b'm' }
            /// `op rd, rm{, ror #8 * rotation}`
            Extend extend { rd: R b'd', rm: R b'm', rotation: u8 b'r' }
            /// `op rd, rn, rm{, ror #8 * rotation}`
            ExtendAdd extend_add { rd: R b'd', rn: R b'n', rm: R b'm', rotation: u8 b'r' }
            /// `op rd, rn, #low, #width`
            BitField bit_field { rd: R b'd', rn: R b'n', low: u8 b'l', width: u8 b'w' }
            /// `op rd, #low, #width`
            BitClear bit_clear { rd: R b'd', low: u8 b'l', width: u8 b'w' }
            /// `op rd, #bits, rn`
            Saturate saturate { rd: R b'd', bits: u32 b'i', rn: R b'n' }
            /// `op rt, [rn, #offset]`
            Mem mem { rt: R b't', rn: R b'n', offset: i32 b'i' }
            /// `op rt, [rn, #offset]!`
            MemPre mem_pre { rt: R b't', rn: R b'n', offset: i32 b'i' }
            /// `op rt, [rn], #offset`
            MemPost mem_post { rt: R b't', rn: R b'n', offset: i32 b'i' }
            /// `op rt, [rn, rm, lsl #scale]`
            MemReg mem_reg { rt: R b't', rn: R b'n', rm: R b'm', scale: u32 b'i' }
            /// `op rt, [pc, #offset]`
            MemLit mem_lit { rt: R b't', offset: i32 b'i' }
            /// `op rt, rt2, [rn, #offset]`
            Dual dual { rt: R b't', rt2: R b'a', rn: R b'n', offset: i32 b'i' }
            /// `op rt, rt2, [rn, #offset]!`
            DualPre dual_pre { rt: R b't', rt2: R b'a', rn: R b'n', offset: i32 b'i' }
            /// `op rt, rt2, [rn], #offset`
            DualPost dual_post { rt: R b't', rt2: R b'a', rn: R b'n', offset: i32 b'i' }
            /// `op rn{!}, {list}`
            Multi multi { rn: R b'n', writeback: bool b'b', list: RegList b'i' }
            /// `op {list}`
            Stack stack { list: RegList b'i' }
            /// `op {first, …}`, `count` consecutive registers
            FloatStack float_stack { first: R b'd', count: u32 b'i' }
            /// `op #offset`
            Branch branch { offset: i32 b'i' }
            /// `op` with the condition appended, `#offset`
            BranchCond branch_cond { cond: Cond b'c', offset: i32 b'i' }
            /// `op rn, #offset`
            CmpBranch cmp_branch { rn: R b'n', offset: i32 b'i' }
            /// `op rm`
            BranchReg branch_reg { rm: R b'm' }
            /// `op [rn, rm]`
            TableBranch table_branch { rn: R b'n', rm: R b'm' }
            /// `op rd, #offset`
            Adr adr { rd: R b'd', offset: i32 b'i' }
            /// `op` with letters of the mask appended, `cond`
            It it { cond: Cond b'c', mask: ItMask b'k' }
            /// `op rd, sys`
            ReadSys read_sys { rd: R b'd', sys: SysReg b'y' }
            /// `op sys, rn`
            WriteSys write_sys { sys: SysReg b'y', rn: R b'n' }
            /// `op rd, #0`
            FloatCmpZero float_cmp_zero { rd: R b'd' }
            /// `op rd, #imm`, the constant in the form of [`crate::value::float_imm_to_f64`]
            FloatImm float_imm { rd: R b'd', imm: u8 b'i' }
        }
    };
}

macro_rules! to_number {
    (R $value:ident) => {
        i64::from($value.index())
    };
    (bool $value:ident) => {
        i64::from($value)
    };
    (u32 $value:ident) => {
        i64::from($value)
    };
    (i32 $value:ident) => {
        i64::from($value)
    };
    (u8 $value:ident) => {
        i64::from($value)
    };
    (Shift $value:ident) => {
        i64::from($value.to_bits())
    };
    (Cond $value:ident) => {
        $value as i64
    };
    (RegList $value:ident) => {
        i64::from($value.bits())
    };
    (ItMask $value:ident) => {
        i64::from($value.bits())
    };
    (SysReg $value:ident) => {
        $value as i64
    };
}

macro_rules! from_number {
    (R $number:ident, $slots:ident) => {
        $slots.next()?.class.bank().get($number)?
    };
    (bool $number:ident, $slots:ident) => {
        $number != 0
    };
    (u32 $number:ident, $slots:ident) => {
        u32::try_from($number).ok()?
    };
    (i32 $number:ident, $slots:ident) => {
        i32::try_from($number).ok()?
    };
    (u8 $number:ident, $slots:ident) => {
        u8::try_from($number).ok()?
    };
    (Shift $number:ident, $slots:ident) => {
        Shift::from_bits(u8::try_from($number).ok()?)
    };
    (Cond $number:ident, $slots:ident) => {
        *Cond::ALL.get(usize::try_from($number).ok()?)?
    };
    (RegList $number:ident, $slots:ident) => {
        RegList::from_bits(u16::try_from($number).ok()?)
    };
    (ItMask $number:ident, $slots:ident) => {
        ItMask::from_bits(u8::try_from($number).ok()?)?
    };
    (SysReg $number:ident, $slots:ident) => {
        SysReg::ALL.into_iter().find(|&sys| sys as i64 == $number)?
    };
}

macro_rules! map_register {
    (R $value:ident, $slots:ident, $f:ident) => {
        $f($value, *$slots.next().expect("the row describes every register field"))
    };
    ($kind:ident $value:ident, $slots:ident, $f:ident) => {
        $value
    };
}

macro_rules! define_formats {
    ($($(#[$doc:meta])* $format:ident $constructor:ident
        { $($field:ident : $kind:ident $letter:literal),* })*) => {
        /// The operand format of an instruction.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Format {
            $($(#[$doc])* $format,)*
        }

        impl Format {
            /// The letters of the fields.
            #[cfg(test)]
            pub(crate) const fn letters(self) -> &'static [u8] {
                match self {
                    $(Format::$format => &[$($letter),*],)*
                }
            }
        }

        /// One instruction over registers of type `R`. See the module documentation.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[expect(missing_docs, reason = "field names are those of the assembly text; `op` is the opcode everywhere")]
        pub enum Inst<R = Reg> {
            $($(#[$doc])* $format { op: Opcode, $($field: $kind),* },)*
        }

        /// Constructors by format. Each panics in debug builds if the opcode has another format.
        impl<R: Copy> Inst<R> {
            $($(#[$doc])* #[inline]
            pub fn $constructor(op: Opcode $(, $field: $kind)*) -> Self {
                debug_assert_eq!(op.format(), Format::$format, "operands do not fit {op:?}");
                Inst::$format { op $(, $field)* }
            })*

            /// The opcode.
            pub const fn op(&self) -> Opcode {
                match *self {
                    $(Inst::$format { op, .. } => op,)*
                }
            }

            /// The format of the variant.
            pub const fn format(&self) -> Format {
                match self {
                    $(Inst::$format { .. } => Format::$format,)*
                }
            }

            /// Calls `f` for every register field in order, with its description, and rebuilds the instruction with
            /// the registers that `f` returns. Register lists and the implied `sp` of stack instructions are not
            /// visited.
            pub fn map_regs<S>(&self, f: &mut dyn FnMut(R, RegSlot) -> S) -> Inst<S> {
                #[allow(unused_mut, unused_variables, reason = "formats without registers have no slots")]
                let mut slots = self.op().reg_slots().iter();
                match *self {
                    $(Inst::$format { op $(, $field)* } => {
                        $(let $field = map_register!($kind $field, slots, f);)*
                        Inst::$format { op $(, $field)* }
                    })*
                }
            }
        }

        impl Inst {
            pub(crate) fn fields(&self) -> Fields {
                let mut fields = Fields::default();
                match *self {
                    $(Inst::$format { op: _ $(, $field)* } => {
                        $(fields.set($letter, to_number!($kind $field));)*
                    })*
                }
                fields
            }

            /// The instruction with these fields; `None` if one is absent or out of range.
            pub(crate) fn from_fields(op: Opcode, fields: &Fields) -> Option<Inst> {
                let mut slots = op.reg_slots().iter();
                Some(match op.format() {
                    $(Format::$format => {
                        $(let number = fields.get($letter)?; let $field = from_number!($kind number, slots);)*
                        Inst::$format { op $(, $field)* }
                    })*
                })
            }
        }
    };
}

for_each_format!(define_formats);

impl<R: Copy> Inst<R> {
    /// Whether the instruction sets flags; `None` if its format has no such option.
    pub const fn sets_flags(&self) -> Option<bool> {
        match *self {
            Inst::AluImm { s, .. }
            | Inst::AluReg { s, .. }
            | Inst::MovImm { s, .. }
            | Inst::MovReg { s, .. }
            | Inst::MovShifted { s, .. }
            | Inst::ShiftImm { s, .. }
            | Inst::Reg3S { s, .. } => Some(s),
            _ => None,
        }
    }

    /// The same instruction with or without setting flags; unchanged if the format has no such option.
    #[must_use]
    pub const fn with_flags(mut self, set: bool) -> Self {
        if let Inst::AluImm { s, .. }
        | Inst::AluReg { s, .. }
        | Inst::MovImm { s, .. }
        | Inst::MovReg { s, .. }
        | Inst::MovShifted { s, .. }
        | Inst::ShiftImm { s, .. }
        | Inst::Reg3S { s, .. } = &mut self
        {
            *s = set;
        }
        self
    }

    /// The offset from the program counter, if the format has one.
    pub const fn offset(&self) -> Option<i32> {
        match *self {
            Inst::Branch { offset, .. }
            | Inst::BranchCond { offset, .. }
            | Inst::CmpBranch { offset, .. }
            | Inst::MemLit { offset, .. }
            | Inst::Adr { offset, .. } => Some(offset),
            _ => None,
        }
    }

    /// The same instruction with another offset from the program counter; unchanged if the format has none.
    #[must_use]
    pub const fn with_offset(mut self, new: i32) -> Self {
        if let Inst::Branch { offset, .. }
        | Inst::BranchCond { offset, .. }
        | Inst::CmpBranch { offset, .. }
        | Inst::MemLit { offset, .. }
        | Inst::Adr { offset, .. } = &mut self
        {
            *offset = new;
        }
        self
    }
}
