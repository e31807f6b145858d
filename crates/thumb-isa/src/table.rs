//! Opcodes and their properties.
//!
//! [`Opcode`] and its side table are generated from the rows of [`crate::rows`]. Opcodes are dense and in table order,
//! so an opcode is an index into the table.

use core::fmt;

use crate::format::Format;
use crate::operand::{Cond, Flags};
use crate::pattern::{Kind, Pattern};
use crate::reg::{RegSlot, Role};
use crate::rows::for_each_inst;
use crate::value::Coding;

macro_rules! coding {
    () => {
        Coding::Raw
    };
    ($coding:ident) => {
        Coding::$coding
    };
}

macro_rules! constraints {
    () => {
        ""
    };
    ($constraints:literal) => {
        $constraints
    };
}

macro_rules! define_opcodes {
    ($($format:ident { $($variant:ident $mnemonic:literal [$($slot:ident)*] $flags:ident $feature:ident $($property:ident)* {
        $($kind:ident $pattern:literal $(as $coding:ident)? $(where $constraints:literal)?;)*
    })* })*) => {
        /// An instruction's operation with one operand format. Dense: `op as usize` is the row of the table.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u16)]
        pub enum Opcode {
            $($(#[doc = concat!("`", $mnemonic, "`, format [`", stringify!($format), "`](Format::", stringify!($format), ")")]
            $variant,)*)*
        }

        const ALL: &[Opcode] = &[$($(Opcode::$variant,)*)*];

        static ROWS: [Row; ALL.len()] = [$($(Row {
            mnemonic: $mnemonic,
            format: Format::$format,
            slots: &[$(slots::$slot),*],
            flags: flags::$flags,
            feature: Feature::$feature,
            properties: 0 $(| properties::$property)*,
            patterns: &[$(Pattern::new(
                Kind::$kind,
                $pattern,
                coding!($($coding)?),
                constraints!($($constraints)?),
            )),*],
        },)*)*];
    };
}

for_each_inst!(define_opcodes);

/// A feature of a core that an instruction requires.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Feature {
    /// v6-M, and so every core: most 16-bit forms and a few 32-bit instructions.
    V6,
    /// v8-M without the main extension: division, constants of 16 bits, `cbz`, long jumps.
    V8Base,
    /// The main extension: v7-M, v8-M main.
    Base,
    /// The DSP extension: v7E-M, v8-M with the option.
    Dsp,
    /// A floating-point unit, FPv4-SP or better: single-precision arithmetic, moves and accesses of both widths.
    FpSingle,
    /// Double-precision arithmetic.
    FpDouble,
    /// The single-precision additions of FPv5.
    Fp5Single,
    /// The double-precision additions of FPv5.
    Fp5Double,
}

/// A set of features.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Features(u16);

impl Features {
    /// v6-M: Cortex-M0, M0+ and M1.
    pub const V6: Features = Features(0).with(Feature::V6);
    /// v8-M without the main extension: Cortex-M23.
    pub const V8_BASE: Features = Features::V6.with(Feature::V8Base);
    /// v7-M: Cortex-M3.
    pub const BASE: Features = Features::V8_BASE.with(Feature::Base);
    /// v7E-M: Cortex-M4 and Cortex-M7 without a floating-point unit.
    pub const DSP: Features = Features::BASE.with(Feature::Dsp);
    /// FPv4-SP: Cortex-M4 with a floating-point unit.
    pub const FP4_SINGLE: Features = Features::DSP.with(Feature::FpSingle);
    /// FPv5 with single precision: Cortex-M7 and Cortex-M33 with the smaller unit.
    pub const FP5_SINGLE: Features = Features::FP4_SINGLE.with(Feature::Fp5Single);
    /// FPv5 with double precision: Cortex-M7 with the larger unit.
    pub const FP5_DOUBLE: Features = Features::FP5_SINGLE.with(Feature::FpDouble).with(Feature::Fp5Double);

    /// The set and one more.
    #[must_use]
    pub const fn with(self, feature: Feature) -> Features {
        Features(self.0 | 1 << feature as u8)
    }

    /// Whether the feature is in the set.
    pub const fn contains(self, feature: Feature) -> bool {
        self.0 >> feature as u8 & 1 == 1
    }
}

/// The effect of an instruction on the condition flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FlagEffect {
    /// Flags read.
    pub(crate) reads: Flags,
    /// Flags that may change.
    pub(crate) writes: Flags,
    /// Whether they change only if the instruction's `s` operand is set.
    pub(crate) is_optional: bool,
}

struct Row {
    mnemonic: &'static str,
    format: Format,
    slots: &'static [RegSlot],
    flags: FlagEffect,
    feature: Feature,
    /// A bit for each of [`properties`].
    properties: u8,
    patterns: &'static [Pattern],
}

impl Opcode {
    /// All opcodes in table order.
    pub const ALL: &'static [Opcode] = ALL;

    /// The table's mnemonic, with type suffixes.
    pub fn mnemonic(self) -> &'static str {
        self.row().mnemonic
    }

    /// The operand format.
    pub fn format(self) -> Format {
        self.row().format
    }

    /// Descriptions of the register fields, in the order of the format.
    pub fn reg_slots(self) -> &'static [RegSlot] {
        self.row().slots
    }

    /// The feature that a core must have for all forms; see also [`Form::feature`](crate::Form::feature).
    pub fn feature(self) -> Feature {
        self.row().feature
    }

    /// Whether the instruction may be in an IT block; the condition is then part of its text.
    ///
    /// Traps are excluded: it is implementation defined whether an undefined instruction traps if its condition fails.
    pub fn allowed_in_it(self) -> bool {
        let has_own_condition = matches!(self.format(), Format::It | Format::BranchCond | Format::CmpBranch);
        !has_own_condition && !self.is_trap() && !self.is_unconditional_float()
    }

    /// Whether the sources can be exchanged.
    pub fn is_commutative(self) -> bool {
        self.has(properties::commutes)
    }

    /// Whether it is a call.
    pub fn is_call(self) -> bool {
        self.has(properties::call)
    }

    /// Whether it always causes an exception.
    pub fn is_trap(self) -> bool {
        self.has(properties::trap)
    }

    /// The use of the list of core registers; `None` if the format has no list.
    pub fn list_role(self) -> Option<Role> {
        match (self.has(properties::reads_list), self.has(properties::writes_list)) {
            (true, _) => Some(Role::Read),
            (_, true) => Some(Role::Write),
            _ => None,
        }
    }

    /// Flags that the instruction may change.
    pub fn flags_written(self) -> Flags {
        self.row().flags.writes
    }

    /// The opcode of the same operation in another format: with the same mnemonic and the same use of its first
    /// register. For example, `ldr rt, [rn, #offset]` has `ldr rt, [rn, rm]`.
    pub fn in_format(self, format: Format) -> Option<Opcode> {
        let first = self.reg_slots().first();
        let in_format = ALL.iter().copied().filter(|op| op.format() == format);
        let mut same =
            in_format.filter(|op| op.mnemonic() == self.mnemonic() && op.reg_slots().first() == first);
        same.next()
    }

    /// The floating-point instructions whose encoding begins with 0xfe.
    fn is_unconditional_float(self) -> bool {
        matches!(self.feature(), Feature::Fp5Single | Feature::Fp5Double)
            && self.row().patterns.iter().all(|pattern| pattern.fixed >> 24 == 0xfe)
    }

    pub(crate) fn flag_effect(self) -> FlagEffect {
        self.row().flags
    }

    pub(crate) fn patterns(self) -> &'static [Pattern] {
        self.row().patterns
    }

    fn has(self, property: u8) -> bool {
        self.row().properties & property != 0
    }

    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.mnemonic())
    }
}

/// The words of the roles column.
#[expect(non_upper_case_globals, reason = "the names are the words of the table")]
mod slots {
    use crate::reg::RegClass::{Double, General, OrPc, OrSp, Single};
    use crate::reg::RegSlot;
    use crate::reg::Role::{Read, Update, Write};

    pub(super) const R: RegSlot = RegSlot { role: Read, class: General };
    pub(super) const W: RegSlot = RegSlot { role: Write, class: General };
    pub(super) const U: RegSlot = RegSlot { role: Update, class: General };
    pub(super) const Rp: RegSlot = RegSlot { role: Read, class: OrSp };
    pub(super) const Wp: RegSlot = RegSlot { role: Write, class: OrSp };
    pub(super) const Up: RegSlot = RegSlot { role: Update, class: OrSp };
    pub(super) const Rc: RegSlot = RegSlot { role: Read, class: OrPc };
    pub(super) const Rs: RegSlot = RegSlot { role: Read, class: Single };
    pub(super) const Ws: RegSlot = RegSlot { role: Write, class: Single };
    pub(super) const Us: RegSlot = RegSlot { role: Update, class: Single };
    pub(super) const Rd: RegSlot = RegSlot { role: Read, class: Double };
    pub(super) const Wd: RegSlot = RegSlot { role: Write, class: Double };
    pub(super) const Ud: RegSlot = RegSlot { role: Update, class: Double };
}

/// The words of the flags column.
#[expect(non_upper_case_globals, reason = "the names are the words of the table")]
mod flags {
    use super::{Cond, FlagEffect, Flags};

    const fn on_request(reads: Flags, writes: Flags) -> FlagEffect {
        FlagEffect { reads, writes, is_optional: true }
    }

    const fn always(reads: Flags, writes: Flags) -> FlagEffect {
        FlagEffect { reads, writes, is_optional: false }
    }

    pub(super) const none: FlagEffect = always(Flags::NONE, Flags::NONE);
    pub(super) const s_arith: FlagEffect = on_request(Flags::NONE, Flags::NZCV);
    pub(super) const s_logic: FlagEffect = on_request(Flags::NONE, Flags::NZC);
    pub(super) const s_mul: FlagEffect = on_request(Flags::NONE, Flags::NZ);
    pub(super) const s_carry: FlagEffect = on_request(Flags::C, Flags::NZCV);
    pub(super) const s_rrx: FlagEffect = on_request(Flags::C, Flags::NZC);
    pub(super) const arith: FlagEffect = always(Flags::NONE, Flags::NZCV);
    pub(super) const logic: FlagEffect = always(Flags::NONE, Flags::NZC);
    pub(super) const all: FlagEffect = always(Flags::NONE, Flags::NZCV);
    pub(super) const reads_all: FlagEffect = always(Flags::NZCV, Flags::NONE);
    pub(super) const sel_eq: FlagEffect = always(Cond::Eq.flags(), Flags::NONE);
    pub(super) const sel_vs: FlagEffect = always(Cond::Vs.flags(), Flags::NONE);
    pub(super) const sel_ge: FlagEffect = always(Cond::Ge.flags(), Flags::NONE);
    pub(super) const sel_gt: FlagEffect = always(Cond::Gt.flags(), Flags::NONE);
}

/// The words of the properties column.
#[expect(non_upper_case_globals, reason = "the names are the words of the table")]
mod properties {
    pub(super) const commutes: u8 = 1;
    pub(super) const reads_list: u8 = 2;
    pub(super) const writes_list: u8 = 4;
    pub(super) const call: u8 = 8;
    pub(super) const trap: u8 = 16;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_a_role() {
        for op in ALL {
            let has_list = matches!(op.format(), Format::Multi | Format::Stack);
            assert_eq!(op.list_role().is_some(), has_list, "{op:?}");
        }
    }

    #[test]
    fn accesses_are_known_in_all_formats() {
        assert_eq!(Opcode::Ldrsh.in_format(Format::MemReg), Some(Opcode::LdrshReg));
        assert_eq!(Opcode::Strb.in_format(Format::MemPost), Some(Opcode::StrbPost));
        assert_eq!(Opcode::Str.in_format(Format::MemPre), Some(Opcode::StrPre));
        assert_eq!(Opcode::VldrF64.in_format(Format::MemLit), Some(Opcode::VldrLitF64));
        assert_eq!(Opcode::VldrF32.in_format(Format::MemReg), None);
        for op in ALL {
            assert_eq!(op.in_format(op.format()), Some(*op), "two rows have the same text and operands");
        }
    }

    #[test]
    fn forms_tell_every_field() {
        for op in ALL {
            for pattern in op.patterns() {
                for &letter in op.format().letters() {
                    assert!(
                        pattern.covers(letter),
                        "{op:?}: `{}` is nowhere in {pattern:?}",
                        char::from(letter)
                    );
                }
            }
        }
    }

    #[test]
    fn features_differ_by_core() {
        let sets = [
            Features::V6,
            Features::V8_BASE,
            Features::BASE,
            Features::DSP,
            Features::FP4_SINGLE,
            Features::FP5_SINGLE,
            Features::FP5_DOUBLE,
        ];
        let counts = sets.map(|set| ALL.iter().filter(|op| set.contains(op.feature())).count());
        assert!(counts.is_sorted_by(|a, b| a < b), "{counts:?}");
        assert_eq!(counts.last(), Some(&ALL.len()));
    }
}
