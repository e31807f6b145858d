//! Tests: conditions with the comparison that sets the flags for them.
//!
//! The flags are not a register that can be allocated, and the allocator may insert instructions anywhere. So before
//! allocation a comparison is never a separate instruction. Branches and selects contain the whole [`Test`], which is
//! expanded when all registers are assigned.

use std::fmt;

use codegen::{Operand, RegClass, Register};
use thumb_isa::{Cond, Flags, Opcode, Shift};

/// A register or a constant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Src<R> {
    /// A register.
    Reg(R),
    /// A constant.
    Imm(u32),
}

impl<R: Copy> Src<R> {
    /// The same with its register mapped.
    pub fn map<S>(self, f: impl FnOnce(R) -> S) -> Src<S> {
        match self {
            Self::Reg(reg) => Src::Reg(f(reg)),
            Self::Imm(imm) => Src::Imm(imm),
        }
    }

    /// The constant, if it is one.
    pub const fn imm(self) -> Option<u32> {
        match self {
            Self::Reg(_) => None,
            Self::Imm(imm) => Some(imm),
        }
    }
}

impl<R: fmt::Display> fmt::Display for Src<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reg(reg) => reg.fmt(f),
            Self::Imm(imm) => write!(f, "#{}", *imm as i32),
        }
    }
}

/// A comparison of one word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Word<R> {
    /// `op a, b{, shift}`.
    Reg { op: Opcode, a: R, b: R, shift: Shift },
    /// `op a, #imm`.
    Imm { op: Opcode, a: R, imm: u32 },
}

impl<R> Word<R> {
    /// Whether it subtracts, or adds the negation, and so sets all flags.
    pub fn subtracts(&self) -> bool {
        let (Self::Reg { op, .. } | Self::Imm { op, .. }) = self;
        op.flags_written() == Flags::NZCV
    }
}

impl<R: Register> Word<R> {
    fn map<S>(self, f: &mut dyn FnMut(R, Operand) -> S) -> Word<S> {
        match self {
            Self::Reg { op, a, b, shift } => Word::Reg { op, a: f(a, USE), b: f(b, USE), shift },
            Self::Imm { op, a, imm } => Word::Imm { op, a: f(a, USE), imm },
        }
    }

    const fn register_count(&self) -> u8 {
        match self {
            Self::Reg { .. } => 2,
            Self::Imm { .. } => 1,
        }
    }
}

impl<R: fmt::Display> fmt::Display for Word<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reg { op, a, b, shift } => write!(f, "{op} {a}, {b}{shift}"),
            Self::Imm { op, a, imm } => write!(f, "{op} {a}, #{}", *imm as i32),
        }
    }
}

/// The instructions that set the flags.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Compare<R> {
    /// One word, with `cmp`, `cmn`, `tst` or `teq`.
    Word(Word<R>),
    /// Two comparisons; the second is executed only if the flags of the first satisfy `run`.
    Chain { first: Word<R>, run: Cond, second: Word<R> },
    /// Two words against two words, low first, for equality or for `lo`, `hs`, `lt` and `ge`. A low constant fits `cmp`
    /// or `cmn`. A high one fits `cmp` for equality, otherwise `sbc` or its complement `adc`.
    Pair { a: [R; 2], b: [Src<R>; 2] },
    /// Two words against zero, for equality.
    PairZero { a: [R; 2] },
    /// `vcmp` of two floats, of double precision if `double`.
    Float { double: bool, a: R, b: R },
    /// `vcmp` of a float with zero.
    FloatZero { double: bool, a: R },
}

/// A comparison, and the condition on its flags.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Test<R> {
    /// The condition.
    pub cond: Cond,
    /// The comparison.
    pub compare: Compare<R>,
}

const USE: Operand = Operand::used(RegClass::Int);
const FLOAT: Operand = Operand::used(RegClass::Float);

impl<R> Compare<R> {
    /// `op a, b`.
    pub const fn regs(op: Opcode, a: R, b: R, shift: Shift) -> Self {
        Self::Word(Word::Reg { op, a, b, shift })
    }

    /// `op a, #imm`.
    pub const fn imm(op: Opcode, a: R, imm: u32) -> Self {
        Self::Word(Word::Imm { op, a, imm })
    }
}

impl<R: Register> Compare<R> {
    /// Maps the registers in order, all of them plain uses.
    pub fn map<S>(self, f: &mut dyn FnMut(R, Operand) -> S) -> Compare<S> {
        match self {
            Self::Word(word) => Compare::Word(word.map(f)),
            Self::Chain { first, run, second } => {
                let first = first.map(f);
                Compare::Chain { first, run, second: second.map(f) }
            }
            Self::Pair { a: [al, ah], b: [bl, bh] } => {
                let a = [f(al, USE), f(ah, USE)];
                Compare::Pair { a, b: [bl.map(|reg| f(reg, USE)), bh.map(|reg| f(reg, USE))] }
            }
            Self::PairZero { a: [low, high] } => Compare::PairZero { a: [f(low, USE), f(high, USE)] },
            Self::Float { double, a, b } => Compare::Float { double, a: f(a, FLOAT), b: f(b, FLOAT) },
            Self::FloatZero { double, a } => Compare::FloatZero { double, a: f(a, FLOAT) },
        }
    }

    /// Number of registers it reads.
    pub fn register_count(&self) -> u8 {
        let is_reg = |src: &Src<R>| u8::from(matches!(src, Src::Reg(_)));
        match self {
            Self::Word(word) => word.register_count(),
            Self::Chain { first, second, .. } => first.register_count() + second.register_count(),
            Self::PairZero { .. } | Self::Float { .. } => 2,
            Self::FloatZero { .. } => 1,
            Self::Pair { b, .. } => 2 + b.iter().map(is_reg).sum::<u8>(),
        }
    }
}

impl<R: Register> Test<R> {
    /// Maps the registers in order.
    pub fn map<S>(self, f: &mut dyn FnMut(R, Operand) -> S) -> Test<S> {
        Test { cond: self.cond, compare: self.compare.map(f) }
    }

    /// The opposite test.
    pub const fn invert(self) -> Self {
        Self { cond: self.cond.invert(), compare: self.compare }
    }
}

impl<R: Register> fmt::Display for Test<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.cond)?;
        match self.compare {
            Compare::Word(word) => word.fmt(f)?,
            Compare::Chain { first, run, second } => write!(f, "{first} {run}: {second}")?,
            Compare::Pair { a, b } => write!(f, "cmp {}:{}, {}:{}", a[1], a[0], b[1], b[0])?,
            Compare::PairZero { a } => write!(f, "cmp {}:{}, #0", a[1], a[0])?,
            Compare::Float { double, a, b } => write!(f, "vcmp.f{} {a}, {b}", if double { 64 } else { 32 })?,
            Compare::FloatZero { double, a } => write!(f, "vcmp.f{} {a}, #0", if double { 64 } else { 32 })?,
        }
        f.write_str(")")
    }
}
