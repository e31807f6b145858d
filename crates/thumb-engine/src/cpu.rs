//! The registers and flags of a core.

use thumb_isa::{Cond, ItState, Reg};

/// The condition flags and the flag of saturation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are the flags of the architecture")]
pub struct Status {
    /// Negative.
    pub n: bool,
    /// Zero.
    pub z: bool,
    /// Carry, or no borrow.
    pub c: bool,
    /// Overflow.
    pub v: bool,
    /// Saturation.
    pub q: bool,
}

impl Status {
    /// Whether a condition holds.
    #[inline]
    pub const fn holds(self, cond: Cond) -> bool {
        match cond {
            Cond::Eq => self.z,
            Cond::Ne => !self.z,
            Cond::Hs => self.c,
            Cond::Lo => !self.c,
            Cond::Mi => self.n,
            Cond::Pl => !self.n,
            Cond::Vs => self.v,
            Cond::Vc => !self.v,
            Cond::Hi => self.c && !self.z,
            Cond::Ls => !self.c || self.z,
            Cond::Ge => self.n == self.v,
            Cond::Lt => self.n != self.v,
            Cond::Gt => !self.z && self.n == self.v,
            Cond::Le => self.z || self.n != self.v,
        }
    }

    /// The flags as in APSR.
    pub const fn bits(self) -> u32 {
        (self.n as u32) << 31
            | (self.z as u32) << 30
            | (self.c as u32) << 29
            | (self.v as u32) << 28
            | (self.q as u32) << 27
    }

    /// The flags of APSR.
    pub fn from_bits(bits: u32) -> Self {
        let bit = |at: u32| bits >> at & 1 == 1;
        Self { n: bit(31), z: bit(30), c: bit(29), v: bit(28), q: bit(27) }
    }
}

/// The registers and flags of a core.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cpu {
    core: [u32; 16],
    /// s0 to s31; d0 to d15 are pairs of them.
    pub floats: [u32; 32],
    /// The flags.
    pub status: Status,
    /// The float status: flags of comparisons, and the control bits. The bits of cumulative exceptions stay zero.
    pub fpscr: u32,
    /// The masks of exceptions, which have no effect here: PRIMASK, BASEPRI, FAULTMASK.
    pub(crate) masks: [u32; 3],
    /// The position in an IT block.
    pub(crate) it: ItState,
}

impl Cpu {
    /// A core register. `pc` is the address of the current instruction.
    #[inline]
    pub const fn get(&self, reg: Reg) -> u32 {
        self.core[(reg.number() & 15) as usize]
    }

    /// Changes a core register. The low two bits of the stack pointer are always zero.
    #[inline]
    pub const fn set(&mut self, reg: Reg, value: u32) {
        self.core[(reg.number() & 15) as usize] = if reg.number() == 13 { value & !3 } else { value };
    }

    /// Core register `n`, below 16.
    #[inline]
    pub const fn r(&self, n: usize) -> u32 {
        self.core[n]
    }

    /// Changes core register `n`, which is below 16 and not the stack pointer.
    #[inline]
    pub const fn set_r(&mut self, n: usize, value: u32) {
        self.core[n] = value;
    }

    /// The address of the current instruction.
    #[inline]
    pub const fn pc(&self) -> u32 {
        self.core[15]
    }

    #[inline]
    pub(crate) const fn set_pc(&mut self, address: u32) {
        self.core[15] = address;
    }

    /// A single-precision register's bits.
    #[inline]
    pub(crate) const fn single(&self, reg: Reg) -> u32 {
        self.floats[(reg.index() & 31) as usize]
    }

    #[inline]
    pub(crate) const fn set_single(&mut self, reg: Reg, bits: u32) {
        self.floats[(reg.index() & 31) as usize] = bits;
    }

    /// A double-precision register's bits.
    #[inline]
    pub(crate) const fn double(&self, reg: Reg) -> u64 {
        let at = 2 * (reg.index() & 15) as usize;
        self.floats[at] as u64 | (self.floats[at + 1] as u64) << 32
    }

    #[inline]
    pub(crate) const fn set_double(&mut self, reg: Reg, bits: u64) {
        let at = 2 * (reg.index() & 15) as usize;
        self.floats[at] = bits as u32;
        self.floats[at + 1] = (bits >> 32) as u32;
    }
}
