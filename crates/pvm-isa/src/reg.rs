//! Registers and sets of registers.
//!
//! The machine has thirteen 64-bit registers, which the instruction set treats alike. The names follow the calling
//! convention of the native toolchain; the protocol for entry and exit fixes four registers. A set of registers is one
//! 16-bit word, so liveness and hazards are bit operations.

use core::fmt;

/// One of the thirteen registers r0..r12.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reg(u8);

impl Reg {
    /// The number of registers.
    pub const COUNT: usize = 13;
    /// r0: return address; at entry the address that halts the program.
    pub const RA: Reg = Reg(0);
    /// r1: stack pointer; at entry the end of the stack.
    pub const SP: Reg = Reg(1);
    /// r2: temporary.
    pub const T0: Reg = Reg(2);
    /// r3: temporary.
    pub const T1: Reg = Reg(3);
    /// r4: temporary.
    pub const T2: Reg = Reg(4);
    /// r5: saved register.
    pub const S0: Reg = Reg(5);
    /// r6: saved register.
    pub const S1: Reg = Reg(6);
    /// r7: first argument and result; at entry the argument pointer, at exit the result pointer.
    pub const A0: Reg = Reg(7);
    /// r8: second argument and result; at entry the argument length, at exit the result length.
    pub const A1: Reg = Reg(8);
    /// r9: third argument.
    pub const A2: Reg = Reg(9);
    /// r10: fourth argument.
    pub const A3: Reg = Reg(10);
    /// r11: fifth argument.
    pub const A4: Reg = Reg(11);
    /// r12: sixth argument.
    pub const A5: Reg = Reg(12);

    /// The register with this index, if there is one.
    pub const fn new(index: u8) -> Option<Reg> {
        if (index as usize) < Reg::COUNT { Some(Reg(index)) } else { None }
    }

    /// The register encoded by an operand byte or nibble: `min(12, field)`.
    pub const fn from_field(field: u8) -> Reg {
        if field > 12 { Reg(12) } else { Reg(field) }
    }

    /// All registers in order.
    pub fn all() -> impl Iterator<Item = Reg> {
        (0..Reg::COUNT as u8).map(Reg)
    }

    /// The register's number, 0..=12.
    pub const fn index(self) -> u8 {
        self.0
    }

    /// The name in the calling convention: `ra`, `sp`, `t0`..`t2`, `s0`, `s1`, `a0`..`a5`.
    pub fn abi_name(self) -> &'static str {
        ["ra", "sp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5"][usize::from(self.0)]
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl fmt::Debug for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A set of registers; bit i is register i.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RegSet(u16);

impl RegSet {
    /// The empty set.
    pub const EMPTY: RegSet = RegSet(0);
    /// All thirteen registers.
    pub const ALL: RegSet = RegSet((1 << Reg::COUNT) - 1);

    /// The set with the given bits; bits above the last register are dropped.
    pub const fn from_bits(bits: u16) -> RegSet {
        RegSet(bits & RegSet::ALL.0)
    }

    /// Bit i is set iff register i is a member.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether the register is a member.
    pub const fn contains(self, reg: Reg) -> bool {
        self.0 >> reg.0 & 1 != 0
    }

    /// The set with the register added.
    #[must_use]
    pub const fn with(self, reg: Reg) -> RegSet {
        RegSet(self.0 | 1 << reg.0)
    }

    /// Adds the register.
    pub fn insert(&mut self, reg: Reg) {
        *self = self.with(reg);
    }

    /// Removes the register.
    pub fn remove(&mut self, reg: Reg) {
        self.0 &= !(1 << reg.0);
    }

    /// Members of either set.
    #[must_use]
    pub const fn union(self, other: RegSet) -> RegSet {
        RegSet(self.0 | other.0)
    }

    /// Members of both sets.
    #[must_use]
    pub const fn intersection(self, other: RegSet) -> RegSet {
        RegSet(self.0 & other.0)
    }

    /// Members of this set that are not in the other.
    #[must_use]
    pub const fn difference(self, other: RegSet) -> RegSet {
        RegSet(self.0 & !other.0)
    }

    /// Whether the set has no members.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The number of members.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The members in ascending order.
    pub fn iter(self) -> impl Iterator<Item = Reg> {
        Reg::all().filter(move |&reg| self.contains(reg))
    }
}

impl FromIterator<Reg> for RegSet {
    fn from_iter<I: IntoIterator<Item = Reg>>(regs: I) -> RegSet {
        regs.into_iter().fold(RegSet::EMPTY, RegSet::with)
    }
}

impl fmt::Debug for RegSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
