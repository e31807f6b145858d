//! Registers, register sets, and the description of instruction operands.
//!
//! A machine instruction's register fields hold [`VReg`](crate::VReg)s before allocation and [`PReg`]s afterwards: the
//! type of registers is a parameter. Each field is described by an [`Operand`]: its role, class and constraints.
//! Liveness, allocation, the checker and the rewrite all use this one description.

use std::fmt;

/// A register in an instruction: virtual or physical.
pub trait Register:
    Copy + Eq + Ord + std::hash::Hash + fmt::Debug + fmt::Display + Send + Sync + 'static
{
}

/// A physical register of the target, numbered 0..64 over all classes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PReg(u8);

impl PReg {
    /// Register number `n`, below 64.
    pub const fn new(n: u8) -> Self {
        assert!(n < 64);
        Self(n)
    }

    /// The number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The number, as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for PReg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl fmt::Debug for PReg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Register for PReg {}

/// A set of physical registers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RegSet(u64);

impl RegSet {
    /// No register.
    pub const EMPTY: Self = Self(0);

    /// The registers listed.
    pub const fn of(regs: &[PReg]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < regs.len() {
            bits |= 1 << regs[i].0;
            i += 1;
        }
        Self(bits)
    }

    /// Whether `reg` is in the set.
    pub const fn contains(self, reg: PReg) -> bool {
        self.0 >> reg.0 & 1 == 1
    }

    /// Adds `reg`.
    pub const fn insert(&mut self, reg: PReg) {
        self.0 |= 1 << reg.0;
    }

    /// Removes `reg`.
    pub const fn remove(&mut self, reg: PReg) {
        self.0 &= !(1 << reg.0);
    }

    /// Registers in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Registers in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Registers in `self` but not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Number of registers.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The registers in ascending order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = PReg> {
        (0..64).filter(move |n| self.0 >> n & 1 == 1).map(PReg)
    }
}

impl FromIterator<PReg> for RegSet {
    fn from_iter<I: IntoIterator<Item = PReg>>(iter: I) -> Self {
        let mut set = Self::EMPTY;
        iter.into_iter().for_each(|reg| set.insert(reg));
        set
    }
}

impl fmt::Debug for RegSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A register class: registers of one class can replace each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RegClass {
    /// Integers and addresses.
    Int,
    /// Floats, on targets with separate float registers.
    Float,
}

/// The time at which an instruction reads or writes an operand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Read before anything is written: may share its register with a [`Def`](Self::Def).
    Use,
    /// Read until the end: shares its register with no definition of the instruction.
    LateUse,
    /// Written after all [`Use`](Self::Use)s are read.
    Def,
    /// Written before all uses are read: shares its register with no use of the instruction.
    EarlyDef,
}

impl Role {
    /// Whether the operand is written.
    pub const fn is_def(self) -> bool {
        matches!(self, Self::Def | Self::EarlyDef)
    }
}

/// Whether a definition is tied to another operand of the instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reuse {
    /// Independent.
    No,
    /// Cheaper in the register of the operand at this position (in `map_operands` order).
    Prefer(u8),
    /// Must be in the register of the use at this position: a two-address form.
    Must(u8),
}

/// The description of one register field of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Operand {
    /// When it is read or written.
    pub role: Role,
    /// Its register class.
    pub class: RegClass,
    /// The register it must be in, if the instruction demands one.
    pub fixed: Option<PReg>,
    /// For definitions: the tie to a use.
    pub reuse: Reuse,
}

impl Operand {
    /// A plain use.
    pub const fn used(class: RegClass) -> Self {
        Self { role: Role::Use, class, fixed: None, reuse: Reuse::No }
    }

    /// A plain definition.
    pub const fn def(class: RegClass) -> Self {
        Self { role: Role::Def, class, fixed: None, reuse: Reuse::No }
    }

    /// A use in a fixed register.
    pub const fn fixed_use(class: RegClass, reg: PReg) -> Self {
        Self { fixed: Some(reg), ..Self::used(class) }
    }

    /// A definition in a fixed register.
    pub const fn fixed_def(class: RegClass, reg: PReg) -> Self {
        Self { fixed: Some(reg), ..Self::def(class) }
    }

    /// The same with another tie.
    #[must_use]
    pub const fn with_reuse(self, reuse: Reuse) -> Self {
        Self { reuse, ..self }
    }

    /// The same with another role.
    #[must_use]
    pub const fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }
}

/// The target's registers.
#[derive(Clone, Debug)]
pub struct RegisterInfo {
    /// Allocatable registers per class ([`RegClass`] as index), cheapest first. Registers that calls clobber come
    /// before those a function must save.
    pub order: [Vec<PReg>; 2],
    /// Registers a function must leave as it found them (in the standard convention).
    pub callee_saved: RegSet,
    /// Bytes of a spill slot per class.
    pub spill_bytes: [u32; 2],
    /// A register of class [`RegClass::Int`] that is never allocated and never live between instructions. It breaks
    /// cycles of parallel moves.
    pub scratch: Option<PReg>,
}

impl RegisterInfo {
    /// The allocatable registers of `class`, cheapest first.
    pub fn allocatable(&self, class: RegClass) -> &[PReg] {
        &self.order[class as usize]
    }
}

/// Displays registers with the fixed registers they must be in, as `(%1=r7, %2=r8)`; physical registers are shown
/// once.
pub struct Fixed<'a, R>(pub &'a [(R, PReg)]);

impl<R: Register> fmt::Display for Fixed<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let item = |(reg, at): &(R, PReg)| match (reg.to_string(), at.to_string()) {
            (reg, at) if reg == at => reg,
            (reg, at) => format!("{reg}={at}"),
        };
        write!(f, "({})", self.0.iter().map(item).collect::<Vec<_>>().join(", "))
    }
}
