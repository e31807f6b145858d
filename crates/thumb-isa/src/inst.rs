//! Instructions: an opcode with its operands.
//!
//! [`Inst`] is the common representation of compiler, encoder, decoder and printer. It has one variant per operand
//! format, generated from the rows of [`crate::format`]. Code about all instructions matches on formats, never on
//! opcodes. The register type is a parameter, so a compiler can use the same instructions with virtual registers; only
//! `Inst<Reg>` has an encoding.
//!
//! The offset of a branch is relative to the instruction's address plus 4. The offset of `adr` and of literal loads is
//! relative to the same address rounded down to a multiple of 4.
//!
//! Invariant: the opcode's format is the variant's; the constructors assert it in debug builds.

use crate::format::{Format, for_each_format};
use crate::operand::{Cond, ItMask, RegList, Shift, SysReg};
use crate::pattern::Fields;
use crate::reg::{Reg, RegSlot};
use crate::table::Opcode;

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

macro_rules! define_inst {
    ($($(#[$doc:meta])* $format:ident $constructor:ident
        { $($field:ident : $kind:ident $letter:literal),* })*) => {
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

for_each_format!(define_inst);

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
