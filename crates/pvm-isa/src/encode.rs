//! The encoder: instructions to bytes.
//!
//! Immediates take 0 to 4 bytes, little endian, sign-extended; the shortest form is always valid. The length of a
//! format's last immediate is not stored: it follows from the start of the next instruction. So the instruction
//! bitmask is part of an instruction's meaning and must be written with it.
//!
//! In the next format it follows from the opcode, and not every length has one. The shortest encoding with enough room
//! is chosen, and its surplus bytes go to the immediates, to the first one as far as it has less than four.
//!
//! Branch relaxation chooses the size of an offset before the final distance is known, so it needs offsets wider than
//! their value. [`Inst::encode_with_offset_bytes`] pads the offset by sign extension.
//!
//! Both are implemented by one function that takes the length of each immediate. The decoder's exact re-encoding uses
//! it as well.

use crate::inst::Inst;
use crate::table::Encoding;
use crate::version::{CodeFormat, GpVersion};

/// The longest encoding an instruction can have: two 4-byte immediates, two operand bytes, an opcode of two bytes.
pub const MAX_LEN: usize = 12;

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
        let missing = || panic!("{} does not exist in GP {gp}", self.op());
        let start = out.len();
        let lens = self.lengths(min_offset_bytes);
        match gp.code_format() {
            CodeFormat::Bitmask => self.emit(&[self.op().number(gp).unwrap_or_else(missing)], lens, out),
            CodeFormat::Blocks => self.emit_in(self.encoding(lens), lens, out),
        }
        out.len() - start
    }

    /// Appends an encoding of the next format, which has room for the instruction.
    pub(crate) fn encode_as(&self, encoding: Encoding, out: &mut Vec<u8>) {
        self.emit_in(encoding, self.lengths(0), out);
    }

    /// The same with immediates of at least these lengths.
    fn emit_in(&self, encoding: Encoding, lens: ImmLens, out: &mut Vec<u8>) {
        let lens = self.widened(lens, encoding);
        match encoding.number.checked_sub(Encoding::PREFIX.into()) {
            None => self.emit(&[encoding.number as u8], lens, out),
            Some(second) => self.emit(&[Encoding::PREFIX, second as u8], lens, out),
        }
    }

    /// Length of the shortest encoding in bytes.
    ///
    /// # Panics
    ///
    /// If the instruction does not exist in the next format, and its length there is asked for.
    pub fn encoded_len(&self, gp: GpVersion) -> usize {
        self.encoded_len_with_offset_bytes(gp, 0)
    }

    /// Length in bytes of the encoding that [`Inst::encode_with_offset_bytes`] appends.
    ///
    /// # Panics
    ///
    /// As for [`Inst::encoded_len`].
    pub fn encoded_len_with_offset_bytes(&self, gp: GpVersion, min_offset_bytes: u8) -> usize {
        let lens = self.lengths(min_offset_bytes);
        match gp.code_format() {
            CodeFormat::Bitmask => 1 + self.fixed_operands() + lens.x + lens.y,
            CodeFormat::Blocks => self.encoding(lens).bytes(),
        }
    }

    /// The shortest encoding in the next format that has room for immediates of these lengths.
    fn encoding(&self, lens: ImmLens) -> Encoding {
        let needed = self.fixed_operands() + lens.x + lens.y;
        let mut encodings = self.op().encodings().iter();
        let found = encodings.find(|encoding| usize::from(encoding.operands) >= needed);
        *found.unwrap_or_else(|| panic!("{} does not exist in the next format", self.op()))
    }

    /// The lengths of immediates that fill an encoding.
    fn widened(&self, lens: ImmLens, encoding: Encoding) -> ImmLens {
        let room = usize::from(encoding.operands) - self.fixed_operands();
        if !self.format().has_two_immediates() {
            return ImmLens { x: room.min(4), y: 0 };
        }
        let x = (room - lens.y).min(4);
        ImmLens { x, y: room - x }
    }

    /// Bytes of the operands without the variable-length immediates.
    pub(crate) fn fixed_operands(&self) -> usize {
        match self {
            Inst::NoArg { .. } | Inst::Imm { .. } | Inst::Off { .. } => 0,
            Inst::RegImm64 { .. } => 9,
            Inst::Imm2 { .. }
            | Inst::RegImm { .. }
            | Inst::RegImm2 { .. }
            | Inst::RegImmOff { .. }
            | Inst::Reg2 { .. }
            | Inst::Reg2Imm { .. }
            | Inst::Reg2Off { .. } => 1,
            Inst::Reg2Imm2 { .. } | Inst::Reg3 { .. } => 2,
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

    /// Appends the bytes of the opcode, the operand bytes and the immediates in the given lengths.
    pub(crate) fn emit(&self, opcode: &[u8], lens: ImmLens, out: &mut Vec<u8>) {
        out.extend_from_slice(opcode);
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
