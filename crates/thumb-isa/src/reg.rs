//! Registers, and the description of register fields.
//!
//! Core registers and both views of the floating-point registers share one numbering, 0 to 63, so instructions have
//! one register type: `r0`–`r15` are 0–15, `s0`–`s31` are 16–47, `d0`–`d15` are 48–63. `d`*n* overlaps `s`*2n* and
//! `s`*2n+1*.

use core::fmt;

/// A register.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reg(u8);

impl Reg {
    /// The stack pointer.
    pub const SP: Reg = Reg(13);
    /// The link register.
    pub const LR: Reg = Reg(14);
    /// The program counter.
    pub const PC: Reg = Reg(15);

    /// Core register `n`, below 16.
    pub const fn r(n: u8) -> Reg {
        assert!(n < 16);
        Reg(n)
    }

    /// Single-precision register `n`, below 32.
    pub const fn s(n: u8) -> Reg {
        assert!(n < 32);
        Reg(16 + n)
    }

    /// Double-precision register `n`, below 16.
    pub const fn d(n: u8) -> Reg {
        assert!(n < 16);
        Reg(48 + n)
    }

    /// The register with this number in the common numbering, below 64.
    pub const fn from_number(number: u8) -> Reg {
        assert!(number < 64);
        Reg(number)
    }

    /// The number in the common numbering.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The number within its bank, as instruction fields hold it.
    pub const fn index(self) -> u8 {
        self.0 - self.bank().first()
    }

    /// The bank it belongs to.
    pub const fn bank(self) -> Bank {
        match self.0 {
            0..16 => Bank::Core,
            16..48 => Bank::Single,
            _ => Bank::Double,
        }
    }

    /// Whether it is one of `r0`–`r7`, which 3-bit fields can name.
    pub const fn is_low(self) -> bool {
        self.0 < 8
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.bank(), self.index()) {
            (Bank::Core, 13) => f.write_str("sp"),
            (Bank::Core, 14) => f.write_str("lr"),
            (Bank::Core, 15) => f.write_str("pc"),
            (Bank::Core, n) => write!(f, "r{n}"),
            (Bank::Single, n) => write!(f, "s{n}"),
            (Bank::Double, n) => write!(f, "d{n}"),
        }
    }
}

impl fmt::Debug for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A register bank, in which instruction fields number registers from 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Bank {
    /// `r0`–`r15`.
    Core,
    /// `s0`–`s31`.
    Single,
    /// `d0`–`d15`.
    Double,
}

impl Bank {
    /// Common number of the first register.
    pub const fn first(self) -> u8 {
        match self {
            Bank::Core => 0,
            Bank::Single => 16,
            Bank::Double => 48,
        }
    }

    /// The register at `index` of the bank, if there is one.
    pub const fn get(self, index: i64) -> Option<Reg> {
        let len = if matches!(self, Bank::Single) { 32 } else { 16 };
        if index >= 0 && index < len { Some(Reg(self.first() + index as u8)) } else { None }
    }
}

/// The registers that a field may hold. Fields of 16-bit forms have further limits, see [`crate::pattern`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RegClass {
    /// Any core register but `sp` and `pc`.
    General,
    /// Any core register but `pc`.
    OrSp,
    /// Any core register but `sp`.
    OrPc,
    /// A single-precision register.
    Single,
    /// A double-precision register.
    Double,
}

impl RegClass {
    /// The bank of its registers.
    pub const fn bank(self) -> Bank {
        match self {
            RegClass::General | RegClass::OrSp | RegClass::OrPc => Bank::Core,
            RegClass::Single => Bank::Single,
            RegClass::Double => Bank::Double,
        }
    }

    /// Whether the class has this register.
    pub fn contains(self, reg: Reg) -> bool {
        match self {
            RegClass::General => reg.number() < 15 && reg != Reg::SP,
            RegClass::OrSp => reg.number() < 15,
            RegClass::OrPc => reg.number() < 16 && reg != Reg::SP,
            RegClass::Single | RegClass::Double => reg.bank() == self.bank(),
        }
    }
}

/// How an instruction uses a register field.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// The register is read.
    Read,
    /// The register is written without being read.
    Write,
    /// The register is read and written. The base of `ldm` and `stm` counts as written even if it isn't written back.
    Update,
}

impl Role {
    /// Whether the register is read.
    pub const fn reads(self) -> bool {
        matches!(self, Role::Read | Role::Update)
    }

    /// Whether the register is written.
    pub const fn writes(self) -> bool {
        matches!(self, Role::Write | Role::Update)
    }
}

/// The description of one register field of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RegSlot {
    /// How the register is used.
    pub role: Role,
    /// The registers it may be.
    pub class: RegClass,
}
