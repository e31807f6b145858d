//! Fixups: instructions and data that depend on distances, or on addresses that the linker assigns.
//!
//! Every function is a section of its own, so distances are fixed only inside of functions, where relaxation settles
//! them. References to other sections have a fixed size and a relocation. Its addend is in the bytes, as ELF for ARM
//! requires; see [`Fixup::relocation`].

use ssa::FuncId;
use thumb_isa::{Cond, Feature, Features, Inst as Machine, Opcode, Reg, Shift, Width};

use crate::isa::inst::{Literal, Symbol};

/// How the linker patches four bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RelocationKind {
    /// A word of data: the address plus the word.
    Abs32,
    /// `bl`.
    Call,
    /// `b.w`.
    Jump24,
    /// `movw`: low half of the address.
    MovwAbs,
    /// `movt`: high half of the address.
    MovtAbs,
}

/// The long jump of a core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LongJump {
    /// `b.w`, with or without a condition.
    Conditional,
    /// `b.w` without a condition.
    Plain,
    /// `bl`, which changes the link register. The function has saved it.
    Link,
}

impl LongJump {
    /// The long jump of a core with these features.
    pub const fn of(features: Features) -> Self {
        if features.contains(Feature::Base) {
            Self::Conditional
        } else if features.contains(Feature::V8Base) {
            Self::Plain
        } else {
            Self::Link
        }
    }

    const fn op(self) -> Opcode {
        if matches!(self, Self::Link) { Opcode::Bl } else { Opcode::B }
    }
}

/// Bytes that are not final.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fixup {
    /// A jump in the function.
    Jump(LongJump),
    /// A jump that is one entry of a table: long if there is a long jump.
    TableJump(Option<LongJump>),
    /// A branch on the flags.
    Branch(Cond, LongJump),
    /// A branch on a low register; `cbz` or `cbnz` if it goes forward and not far, else a comparison and a branch.
    ZeroBranch { reg: Reg, if_zero: bool, long: LongJump },
    /// A call of another function.
    Call(FuncId),
    /// A jump to another function.
    TailCall(FuncId),
    /// `movw` or `movt` with half of an address.
    AddressHalf { op: Opcode, dst: Reg, symbol: Symbol, offset: i32 },
    /// A load of word `index` of the pool that the label names; `has_long` says that the core has a long form of it.
    LoadLiteral { dst: Reg, index: u32, has_long: bool },
    /// Zeros up to a multiple of this many bytes, 2 or 4.
    Align(u32),
    /// A word of the pool.
    Word(Literal),
    /// Entry `index` of a table for `tbb` (`bytes` is 1) or `tbh` (2).
    TableEntry { bytes: u32, index: u32 },
    /// The address of the table that follows, in a register.
    TableAddress { dst: Reg },
}

impl Fixup {
    /// The relocation for it and the symbol, if the linker patches it.
    pub const fn relocation(&self) -> Option<(RelocationKind, Symbol)> {
        match *self {
            Self::Call(func) => Some((RelocationKind::Call, Symbol::Func(func))),
            Self::TailCall(func) => Some((RelocationKind::Jump24, Symbol::Func(func))),
            Self::AddressHalf { op: Opcode::Movw, symbol, .. } => Some((RelocationKind::MovwAbs, symbol)),
            Self::AddressHalf { symbol, .. } => Some((RelocationKind::MovtAbs, symbol)),
            Self::Word(Literal::Address(symbol, _)) => Some((RelocationKind::Abs32, symbol)),
            _ => None,
        }
    }

    /// Whether the bytes are data.
    pub const fn is_data(&self) -> bool {
        matches!(self, Self::Word(_) | Self::TableEntry { .. })
    }

    /// The instructions of a form, given the distance from the address of each; data and alignment have none.
    fn instructions(&self, form: u8, distance: i64) -> Vec<(Machine, Width)> {
        use Width::{Narrow, Wide};
        let offset = |behind: i64| (distance - 4 - behind) as i32;
        let branch = |cond, width, behind| (Machine::branch_cond(Opcode::Bcond, cond, offset(behind)), width);
        let jump = |long: Option<LongJump>, behind| match long {
            None => (Machine::branch(Opcode::B, offset(behind)), Narrow),
            Some(long) => (Machine::branch(long.op(), offset(behind)), Wide),
        };
        // A conditional branch over the jump that follows it.
        let over = |cond: Cond, long: Option<LongJump>, behind: i64| {
            let skip = Machine::branch_cond(Opcode::Bcond, cond.invert(), if long.is_some() { 2 } else { 0 });
            [(skip, Narrow), jump(long, behind + 2)]
        };
        // The second form of a branch on the flags.
        let longer = |cond: Cond, long: LongJump, behind: i64| match long {
            LongJump::Conditional => vec![branch(cond, Wide, behind)],
            _ => over(cond, None, behind).to_vec(),
        };
        match *self {
            Self::Jump(long) => vec![jump(Some(long).filter(|_| form > 0), 0)],
            Self::TableJump(long) => vec![jump(long, 0)],
            Self::Branch(cond, long) => match form {
                0 => vec![branch(cond, Narrow, 0)],
                1 => longer(cond, long, 0),
                _ => over(cond, Some(long), 0).to_vec(),
            },
            Self::ZeroBranch { reg, if_zero, long } => {
                let compare = (Machine::cmp_imm(Opcode::CmpImm, reg, 0), Narrow);
                let cond = if if_zero { Cond::Eq } else { Cond::Ne };
                let op = if if_zero { Opcode::Cbz } else { Opcode::Cbnz };
                match form {
                    0 => vec![(Machine::cmp_branch(op, reg, offset(0)), Narrow)],
                    1 => vec![compare, branch(cond, Narrow, 2)],
                    2 => [compare].into_iter().chain(longer(cond, long, 2)).collect(),
                    _ => [compare].into_iter().chain(over(cond, Some(long), 2)).collect(),
                }
            }
            Self::Call(_) => vec![(Machine::branch(Opcode::Bl, -4), Wide)],
            Self::TailCall(_) => vec![(Machine::branch(Opcode::B, -4), Wide)],
            Self::AddressHalf { op, dst, offset, .. } => {
                vec![(Machine::mov_half(op, dst, offset as u32 & 0xffff), Wide)]
            }
            _ => Vec::new(),
        }
    }

    /// Whether a load of a literal has its short form.
    fn has_short_load(dst: Reg) -> bool {
        dst.is_low()
    }
}

/// The offset of a pool word from the program counter of an instruction.
fn literal_offset(from: i64, pool: i64, index: u32) -> i64 {
    let word = ((pool + 3) & !3) + 4 * i64::from(index);
    word - ((from + 4) & !3)
}

impl codegen::Fixup for Fixup {
    fn forms(&self) -> u8 {
        match self {
            Self::Jump(_) => 2,
            Self::LoadLiteral { dst, has_long, .. } => {
                u8::from(Self::has_short_load(*dst)) + u8::from(*has_long)
            }
            Self::Branch(..) => 3,
            Self::ZeroBranch { .. } => 4,
            _ => 1,
        }
    }

    fn len(&self, form: u8, from: i64) -> u32 {
        match *self {
            Self::Align(bytes) => (-from).rem_euclid(i64::from(bytes)) as u32,
            Self::Word(_) => 4,
            Self::TableEntry { bytes, .. } => bytes,
            Self::TableAddress { .. } => 4,
            Self::LoadLiteral { dst, .. } => {
                if form == 0 && Self::has_short_load(dst) {
                    2
                } else {
                    4
                }
            }
            _ => self.instructions(form, 0).iter().map(|(_, width)| width.bytes()).sum(),
        }
    }

    fn reaches(&self, form: u8, from: i64, to: i64) -> bool {
        match *self {
            Self::LoadLiteral { dst, index, .. } => {
                let offset = literal_offset(from, to, index);
                let short = form == 0 && Self::has_short_load(dst);
                if short { (0..=1020).contains(&offset) } else { (-4095..=4095).contains(&offset) }
            }
            Self::TableEntry { bytes, index } => {
                let distance = to - (from - i64::from(index * bytes));
                (0..2 << (8 * bytes)).contains(&distance)
            }
            Self::Jump(_) | Self::TableJump(_) | Self::Branch(..) | Self::ZeroBranch { .. } => self
                .instructions(form, to - from)
                .iter()
                .all(|(inst, width)| inst.form(*width, None).is_some()),
            _ => true,
        }
    }

    fn encode(&self, form: u8, from: i64, to: i64, out: &mut Vec<u8>) {
        match *self {
            Self::Align(_) => out.resize(out.len() + self.len(form, from) as usize, 0),
            Self::Word(Literal::Word(word)) => out.extend(word.to_le_bytes()),
            Self::Word(Literal::Address(_, offset)) => out.extend(offset.to_le_bytes()),
            Self::TableEntry { bytes, index } => {
                let half = (to - (from - i64::from(index * bytes))) / 2;
                out.extend(&half.to_le_bytes()[..bytes as usize]);
            }
            Self::TableAddress { dst } => {
                // The table follows two more instructions; its address has bit 0 set.
                let inst = Machine::adr(Opcode::Adr, dst, 7 + (from & 2) as i32);
                write(&inst, Width::Wide, out);
            }
            Self::LoadLiteral { dst, index, .. } => {
                let offset = literal_offset(from, to, index) as i32;
                let width = if self.len(form, from) == 2 { Width::Narrow } else { Width::Wide };
                write(&Machine::mem_lit(Opcode::LdrLit, dst, offset), width, out);
            }
            _ => self.instructions(form, to - from).iter().for_each(|(inst, width)| write(inst, *width, out)),
        }
    }
}

fn write(inst: &Machine, width: Width, out: &mut Vec<u8>) {
    let form = inst.form(width, None).unwrap_or_else(|| panic!("`{inst}` has no form of this width"));
    inst.encode(form, None, out);
}

/// `dst = a + (b << 2)`, for tables of jumps.
pub fn add_scaled(dst: Reg, a: Reg, b: Reg) -> Machine {
    Machine::alu_reg(Opcode::AddReg, false, dst, a, b, Shift::Lsl(2))
}
