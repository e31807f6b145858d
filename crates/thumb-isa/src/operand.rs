//! Operands that are not registers: conditions, shifts, register lists, IT blocks, system registers.

use core::fmt;

use crate::reg::Reg;

/// A condition on the flags. The discriminant is the encoding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Cond {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Unsigned at least (carry set).
    Hs,
    /// Unsigned less (carry clear).
    Lo,
    /// Negative.
    Mi,
    /// Positive or zero.
    Pl,
    /// Overflow; unordered after a float compare.
    Vs,
    /// No overflow.
    Vc,
    /// Unsigned greater.
    Hi,
    /// Unsigned at most.
    Ls,
    /// Signed at least.
    Ge,
    /// Signed less.
    Lt,
    /// Signed greater.
    Gt,
    /// Signed at most.
    Le,
}

impl Cond {
    /// All conditions by encoding.
    pub const ALL: [Cond; 14] = [
        Cond::Eq,
        Cond::Ne,
        Cond::Hs,
        Cond::Lo,
        Cond::Mi,
        Cond::Pl,
        Cond::Vs,
        Cond::Vc,
        Cond::Hi,
        Cond::Ls,
        Cond::Ge,
        Cond::Lt,
        Cond::Gt,
        Cond::Le,
    ];

    /// The condition that holds exactly when this one doesn't.
    #[must_use]
    pub const fn invert(self) -> Cond {
        Cond::ALL[self as usize ^ 1]
    }

    /// The condition on `b ? a` that holds exactly when this one holds on `a ? b`, for the conditions that compare
    /// two integers; `None` for the tests of a single flag other than Z and C.
    #[must_use]
    pub const fn swap(self) -> Option<Cond> {
        Some(match self {
            Cond::Eq | Cond::Ne => self,
            Cond::Hs => Cond::Ls,
            Cond::Ls => Cond::Hs,
            Cond::Lo => Cond::Hi,
            Cond::Hi => Cond::Lo,
            Cond::Ge => Cond::Le,
            Cond::Le => Cond::Ge,
            Cond::Lt => Cond::Gt,
            Cond::Gt => Cond::Lt,
            Cond::Mi | Cond::Pl | Cond::Vs | Cond::Vc => return None,
        })
    }

    /// The flags it tests.
    pub const fn flags(self) -> Flags {
        match self {
            Cond::Eq | Cond::Ne => Flags::Z,
            Cond::Hs | Cond::Lo => Flags::C,
            Cond::Mi | Cond::Pl => Flags::N,
            Cond::Vs | Cond::Vc => Flags::V,
            Cond::Hi | Cond::Ls => Flags::Z.union(Flags::C),
            Cond::Ge | Cond::Lt => Flags::N.union(Flags::V),
            Cond::Gt | Cond::Le => Flags::N.union(Flags::Z).union(Flags::V),
        }
    }

    /// The suffix in assembly text.
    pub const fn name(self) -> &'static str {
        const NAMES: [&str; 14] =
            ["eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le"];
        NAMES[self as usize]
    }
}

impl fmt::Display for Cond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of the condition flags N, Z, C, V.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(u8);

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);
    /// Negative.
    pub const N: Flags = Flags(8);
    /// Zero.
    pub const Z: Flags = Flags(4);
    /// Carry, or no borrow.
    pub const C: Flags = Flags(2);
    /// Overflow.
    pub const V: Flags = Flags(1);
    /// N and Z.
    pub const NZ: Flags = Flags(12);
    /// All but overflow.
    pub const NZC: Flags = Flags(14);
    /// All flags.
    pub const NZCV: Flags = Flags(15);

    /// Flags in either.
    #[must_use]
    pub const fn union(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Flags in `self` but not in `other`.
    #[must_use]
    pub const fn difference(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// Whether all flags of `other` are here.
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any flag of `other` is here.
    pub const fn intersects(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [(Flags::N, 'n'), (Flags::Z, 'z'), (Flags::C, 'c'), (Flags::V, 'v')];
        let set: String =
            names.iter().filter(|(flag, _)| self.contains(*flag)).map(|(_, name)| name).collect();
        write!(f, "{{{set}}}")
    }
}

/// A shift by a constant, applied to the last register operand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Shift {
    /// Left by 0 to 31; by 0 is no shift.
    Lsl(u8),
    /// Right by 1 to 32, filling with zeros.
    Lsr(u8),
    /// Right by 1 to 32, filling with the sign.
    Asr(u8),
    /// Rotation right by 1 to 31.
    Ror(u8),
    /// Rotation right by one through the carry flag.
    Rrx,
}

impl Shift {
    /// No shift.
    pub const NONE: Shift = Shift::Lsl(0);

    /// Whether the amount is in the range of the encoding.
    pub const fn is_valid(self) -> bool {
        match self {
            Shift::Lsl(n) => n < 32,
            Shift::Lsr(n) | Shift::Asr(n) => 1 <= n && n <= 32,
            Shift::Ror(n) => 1 <= n && n < 32,
            Shift::Rrx => true,
        }
    }

    /// The encoding: five bits of amount, then two bits of kind.
    pub const fn to_bits(self) -> u8 {
        match self {
            Shift::Lsl(n) => n << 2,
            Shift::Lsr(n) => (n & 31) << 2 | 1,
            Shift::Asr(n) => (n & 31) << 2 | 2,
            Shift::Ror(n) => n << 2 | 3,
            Shift::Rrx => 3,
        }
    }

    /// The inverse of [`to_bits`](Self::to_bits); the eighth bit is ignored.
    pub const fn from_bits(bits: u8) -> Shift {
        let amount = bits >> 2 & 31;
        let right = if amount == 0 { 32 } else { amount };
        match bits & 3 {
            0 => Shift::Lsl(amount),
            1 => Shift::Lsr(right),
            2 => Shift::Asr(right),
            _ if amount == 0 => Shift::Rrx,
            _ => Shift::Ror(amount),
        }
    }
}

/// The suffix of an operand: a comma and the shift; empty for no shift.
impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Shift::NONE => Ok(()),
            Shift::Lsl(n) => write!(f, ", lsl #{n}"),
            Shift::Lsr(n) => write!(f, ", lsr #{n}"),
            Shift::Asr(n) => write!(f, ", asr #{n}"),
            Shift::Ror(n) => write!(f, ", ror #{n}"),
            Shift::Rrx => f.write_str(", rrx"),
        }
    }
}

/// A set of core registers; bit *n* is `r`*n*.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct RegList(u16);

impl RegList {
    /// No register.
    pub const EMPTY: RegList = RegList(0);

    /// The registers whose bits are set.
    pub const fn from_bits(bits: u16) -> RegList {
        RegList(bits)
    }

    /// A bit per register.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The same with `reg`. Panics if it is no core register.
    #[must_use]
    pub const fn with(self, reg: Reg) -> RegList {
        assert!(reg.number() < 16);
        RegList(self.0 | 1 << reg.number())
    }

    /// The same without `reg`.
    #[must_use]
    pub const fn without(self, reg: Reg) -> RegList {
        if reg.number() < 16 { RegList(self.0 & !(1 << reg.number())) } else { self }
    }

    /// Whether `reg` is in the list.
    pub const fn contains(self, reg: Reg) -> bool {
        reg.number() < 16 && self.0 >> reg.number() & 1 == 1
    }

    /// The number of registers.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The registers in ascending order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Reg> {
        (0..16).map(Reg::r).filter(move |&reg| self.contains(reg))
    }
}

impl FromIterator<Reg> for RegList {
    fn from_iter<I: IntoIterator<Item = Reg>>(iter: I) -> Self {
        iter.into_iter().fold(RegList::EMPTY, RegList::with)
    }
}

impl fmt::Display for RegList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_list(f, self.iter())
    }
}

/// `{a, b, c}`.
pub(crate) fn write_list(
    f: &mut fmt::Formatter<'_>,
    items: impl Iterator<Item = impl fmt::Display>,
) -> fmt::Result {
    f.write_str("{")?;
    for (i, item) in items.enumerate() {
        write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
    }
    f.write_str("}")
}

/// The mask field of `it`: the length of the block, and for each instruction whether it runs on the condition or on
/// its inverse.
///
/// From bit 3 down, each bit above the lowest set bit is the low bit of the condition of one more instruction. The
/// lowest set bit ends the block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ItMask(u8);

impl ItMask {
    /// The mask for a block whose further instructions run on `first` (`true`) or its inverse (`false`). Panics if
    /// there are more than three.
    pub fn new(first: Cond, following: &[bool]) -> ItMask {
        assert!(following.len() <= 3, "an IT block has at most four instructions");
        let low = first as u8 & 1;
        let bits = following.iter().fold(0, |bits, &same| bits << 1 | if same { low } else { low ^ 1 });
        ItMask((bits << 1 | 1) << (3 - following.len()))
    }

    /// The field's bits.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The mask with these bits; `None` for 0 and for more than four bits.
    pub const fn from_bits(bits: u8) -> Option<ItMask> {
        if bits == 0 || bits > 15 { None } else { Some(ItMask(bits)) }
    }

    /// The number of instructions of the block, 1 to 4.
    pub const fn len(self) -> usize {
        4 - self.0.trailing_zeros() as usize
    }

    /// Always false: a block has at least one instruction.
    pub const fn is_empty(self) -> bool {
        false
    }

    /// The conditions of the block's instructions.
    pub fn conds(self, first: Cond) -> impl Iterator<Item = Cond> {
        let low_bits = (1..self.len()).map(move |i| self.0 >> (4 - i) & 1);
        let rest = low_bits.map(move |low| Cond::ALL[(first as u8 & !1 | low) as usize]);
        core::iter::once(first).chain(rest)
    }

    /// The letters after `it`: `t` for the first condition, `e` for its inverse.
    pub fn letters(self, first: Cond) -> impl Iterator<Item = char> {
        self.conds(first).skip(1).map(move |cond| if cond == first { 't' } else { 'e' })
    }
}

/// The position in an IT block, while walking through instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ItState {
    conds: [Option<Cond>; 4],
}

impl ItState {
    /// The state directly after `it` with these operands.
    pub fn begin(first: Cond, mask: ItMask) -> ItState {
        let mut state = ItState::default();
        for (slot, cond) in state.conds.iter_mut().zip(mask.conds(first)) {
            *slot = Some(cond);
        }
        state
    }

    /// The condition of the next instruction; `None` outside a block.
    pub const fn cond(&self) -> Option<Cond> {
        self.conds[0]
    }

    /// Whether the next instruction is the last of a block.
    pub const fn is_last(&self) -> bool {
        self.conds[0].is_some() && self.conds[1].is_none()
    }

    /// Advances by one instruction.
    pub const fn advance(&mut self) {
        let [_, a, b, c] = self.conds;
        self.conds = [a, b, c, None];
    }
}

/// A special register, the operand of `mrs` and `msr`. The discriminant is the encoding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the architecture's")]
pub enum SysReg {
    Apsr = 0,
    Ipsr = 5,
    Msp = 8,
    Psp = 9,
    Primask = 16,
    Basepri = 17,
    BasepriMax = 18,
    Faultmask = 19,
    Control = 20,
}

impl SysReg {
    /// All special registers.
    pub const ALL: [SysReg; 9] = [
        SysReg::Apsr,
        SysReg::Ipsr,
        SysReg::Msp,
        SysReg::Psp,
        SysReg::Primask,
        SysReg::Basepri,
        SysReg::BasepriMax,
        SysReg::Faultmask,
        SysReg::Control,
    ];

    /// The name in assembly text.
    pub const fn name(self) -> &'static str {
        match self {
            SysReg::Apsr => "apsr",
            SysReg::Ipsr => "ipsr",
            SysReg::Msp => "msp",
            SysReg::Psp => "psp",
            SysReg::Primask => "primask",
            SysReg::Basepri => "basepri",
            SysReg::BasepriMax => "basepri_max",
            SysReg::Faultmask => "faultmask",
            SysReg::Control => "control",
        }
    }
}

impl fmt::Display for SysReg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
