//! The encoder: instructions to bytes.
//!
//! Immediates take 0 to 4 bytes, little endian, sign-extended; the shortest form is always valid. The length of a
//! format's last immediate is not stored: it follows from the start of the next instruction. So the instruction
//! bitmask is part of an instruction's meaning and must be written with it.
//!
//! Branch relaxation chooses the size of an offset before the final distance is known, so it needs offsets wider than
//! their value. [`Inst::encode_with_offset_bytes`] pads the offset by sign extension.
//!
//! Both are implemented by one function that takes the length of each immediate. The decoder's exact re-encoding uses
//! it as well.

use crate::inst::Inst;
use crate::table::GpVersion;

/// The longest encoding an instruction can have: two 4-byte immediates, two operand bytes, the opcode.
pub const MAX_LEN: usize = 11;

impl Inst {
    /// Appends the shortest encoding and returns its length.
    ///
    /// # Panics
    ///
    /// If the instruction does not exist in this version of the Gray Paper.
    pub fn encode(&self, gp: GpVersion, out: &mut Vec<u8>) -> usize {
        self.encode_with_offset_bytes(gp, 0, out)
    }

    /// Appends the encoding whose code offset has at least `min_offset_bytes` bytes (0..=4), all other
    /// immediates being shortest, and returns its length. Formats without an offset ignore the minimum.
    ///
    /// # Panics
    ///
    /// If the instruction does not exist in this version of the Gray Paper.
    pub fn encode_with_offset_bytes(&self, gp: GpVersion, min_offset_bytes: u8, out: &mut Vec<u8>) -> usize {
        let number = self.op().number(gp);
        let number = number.unwrap_or_else(|| panic!("{} does not exist in GP {gp}", self.op()));
        let start = out.len();
        self.emit(number, self.lengths(min_offset_bytes), out);
        out.len() - start
    }

    /// Length of the shortest encoding in bytes; the same for all versions.
    pub fn encoded_len(&self) -> usize {
        self.encoded_len_with_offset_bytes(0)
    }

    /// Length in bytes of the encoding that [`Inst::encode_with_offset_bytes`] appends.
    pub fn encoded_len_with_offset_bytes(&self, min_offset_bytes: u8) -> usize {
        let lens = self.lengths(min_offset_bytes);
        self.fixed_len() + lens.x + lens.y
    }

    /// Length in bytes without the variable-length immediates.
    pub(crate) fn fixed_len(&self) -> usize {
        match self {
            Inst::NoArg { .. } | Inst::Imm { .. } | Inst::Off { .. } => 1,
            Inst::RegImm64 { .. } => 10,
            Inst::Imm2 { .. }
            | Inst::RegImm { .. }
            | Inst::RegImm2 { .. }
            | Inst::RegImmOff { .. }
            | Inst::Reg2 { .. }
            | Inst::Reg2Imm { .. }
            | Inst::Reg2Off { .. } => 2,
            Inst::Reg2Imm2 { .. } | Inst::Reg3 { .. } => 3,
        }
    }

    fn lengths(&self, min_offset_bytes: u8) -> ImmLens {
        let (x, y) = self.immediates();
        let mut lens = ImmLens { x: imm_len(x), y: imm_len(y) };
        let min = usize::from(min_offset_bytes).min(4);
        match self {
            Inst::Off { .. } | Inst::Reg2Off { .. } => lens.x = lens.x.max(min),
            Inst::RegImmOff { .. } => lens.y = lens.y.max(min),
            _ => {}
        }
        lens
    }

    /// The variable-length immediates in the order of the bytes; zero where the format has none.
    pub(crate) fn immediates(&self) -> (i32, i32) {
        match *self {
            Inst::NoArg { .. } | Inst::RegImm64 { .. } | Inst::Reg2 { .. } | Inst::Reg3 { .. } => (0, 0),
            Inst::Imm { imm, .. } | Inst::RegImm { imm, .. } | Inst::Reg2Imm { imm, .. } => (imm, 0),
            Inst::Off { offset, .. } | Inst::Reg2Off { offset, .. } => (offset, 0),
            Inst::Imm2 { addr, value, .. } => (addr, value),
            Inst::RegImm2 { disp, value, .. } => (disp, value),
            Inst::RegImmOff { imm, offset, .. } => (imm, offset),
            Inst::Reg2Imm2 { imm, disp, .. } => (imm, disp),
        }
    }

    /// Appends the opcode byte, the operand bytes and the immediates in the given lengths.
    pub(crate) fn emit(&self, number: u8, lens: ImmLens, out: &mut Vec<u8>) {
        out.push(number);
        let nibbles = |lo: u8, hi: u8| lo | hi << 4;
        match *self {
            Inst::NoArg { .. } | Inst::Imm { .. } | Inst::Off { .. } => {}
            Inst::RegImm64 { dst, imm, .. } => {
                out.push(dst.index());
                out.extend_from_slice(&imm.to_le_bytes());
            }
            Inst::Imm2 { .. } => out.push(lens.x as u8),
            Inst::RegImm { reg, .. } => out.push(reg.index()),
            Inst::RegImm2 { base: reg, .. } | Inst::RegImmOff { reg, .. } => {
                out.push(nibbles(reg.index(), lens.x as u8));
            }
            Inst::Reg2 { dst: a, src: b, .. } | Inst::Reg2Imm { a, b, .. } | Inst::Reg2Off { a, b, .. } => {
                out.push(nibbles(a.index(), b.index()));
            }
            Inst::Reg2Imm2 { dst, base, .. } => {
                out.push(nibbles(dst.index(), base.index()));
                out.push(lens.x as u8);
            }
            Inst::Reg3 { dst, a, b, .. } => {
                out.push(nibbles(a.index(), b.index()));
                out.push(dst.index());
            }
        }
        let (x, y) = self.immediates();
        out.extend_from_slice(&x.to_le_bytes()[..lens.x]);
        out.extend_from_slice(&y.to_le_bytes()[..lens.y]);
    }
}

/// Lengths in bytes (0..=4) of an instruction's first and second variable-length immediate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ImmLens {
    /// The immediate that comes first in the bytes.
    pub x: usize,
    /// The second one.
    pub y: usize,
}

/// Bytes the shortest encoding of an immediate or offset takes, 0..=4.
pub fn imm_len(value: i32) -> usize {
    match value {
        0 => 0,
        -0x80..=0x7f => 1,
        -0x8000..=0x7fff => 2,
        -0x80_0000..=0x7f_ffff => 3,
        _ => 4,
    }
}
