//! The decoder: bytes to instructions.
//!
//! Decoding never fails: the machine defines every byte sequence. An opcode byte that is undefined or not marked in
//! the bitmask acts as `trap`. Bytes past the end of the code read as zero. Register fields are clamped to 12, length
//! fields to 4, and the distance to the next instruction to 24 (Gray Paper, appendix A.3 to A.5). GP 0.8 refuses
//! programs with undefined or unmarked opcodes; see [`crate::validate`].
//!
//! In the next format the opcode determines the distance to the next instruction, and the marks are derived from the code
//! ([`crate::blocks`]). Surplus bytes are possible there, too, after immediates with a shorter length field than needed.
//!
//! Many byte sequences decode to the same instruction. So [`DecodedInst`] also keeps the details that an instruction
//! doesn't have: the lengths of immediates, the operand bytes as found, and surplus bytes. From these
//! [`DecodedInst::encode_exact`] restores the original bytes.

use crate::bitmask::Bitmask;
use crate::blob::ProgramBlob;
use crate::blocks::{self, Head};
use crate::encode::ImmLens;
use crate::inst::Inst;
use crate::reg::Reg;
use crate::table::{Encoding, Format, Opcode, number_at};
use crate::version::{CodeFormat, GpVersion};

/// Maximum number of bytes between an opcode byte and that of the next instruction.
pub const MAX_SKIP: usize = 24;

/// An instruction with the bytes it was decoded from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecodedInst<'a> {
    /// The instruction; `trap` if the bytes are not a valid instruction.
    pub inst: Inst,
    /// Distance to the next instruction in bytes, 1..=25. It is 1 past the end of the code.
    pub len: u32,
    /// Whether the position holds an opcode of this version that is marked in the bitmask.
    pub is_valid: bool,
    lens: ImmLens,
    /// Bytes of the opcode; 1 if it is not valid.
    opcode_bytes: usize,
    bytes: &'a [u8],
}

impl<'a> DecodedInst<'a> {
    /// The bytes of the instruction, up to the end of the code.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Lengths of the variable-length immediates as found.
    pub fn imm_lens(&self) -> ImmLens {
        self.lens
    }

    /// Whether the instruction has fewer bytes than its fields need. The missing bytes are read from the next
    /// instruction, or as zeros past the end of the code.
    pub fn is_cut_off(&self) -> bool {
        let ImmLens { x, y } = self.lens;
        self.bytes.len() < self.opcode_bytes + self.inst.fixed_operands() + x + y
    }

    /// Whether re-encoding in the shortest form would give the same bytes.
    pub fn is_shortest(&self, gp: GpVersion) -> bool {
        let mut out = Vec::new();
        self.is_valid && self.inst.encode(gp, &mut out) == self.bytes.len() && out == self.bytes
    }

    /// Appends the bytes the instruction was decoded from.
    ///
    /// Immediates are encoded from the instruction in their recorded lengths. Opcode and operand bytes (which may have
    /// ignored bits), surplus bytes and the bytes of an invalid instruction are copied.
    pub fn encode_exact(&self, out: &mut Vec<u8>) {
        if self.bytes.is_empty() {
            return;
        }
        let start = out.len();
        let (opcode, operands) = self.bytes.split_at(self.opcode_bytes);
        self.inst.emit(opcode, self.lens, out);
        out.truncate(start + self.bytes.len());
        let written = out.len() - start;
        out.extend_from_slice(&self.bytes[written..]);
        let found = &operands[..operand_bytes(self.inst.format()).min(operands.len())];
        out[start + opcode.len()..][..found.len()].copy_from_slice(found);
    }
}

/// Decodes the instruction at `pc`.
pub fn decode<'a>(gp: GpVersion, code: &'a [u8], mask: &Bitmask, pc: u32) -> DecodedInst<'a> {
    let at = pc as usize;
    let trap = Inst::NoArg { op: Opcode::Trap };
    if at >= code.len() {
        let lens = ImmLens::default();
        return DecodedInst { inst: trap, len: 1, is_valid: false, lens, opcode_bytes: 1, bytes: &[] };
    }
    let head = match gp.code_format() {
        CodeFormat::Bitmask => {
            let op = Opcode::from_number(gp, code[at]);
            Head { op, opcode_bytes: 1, len: 1 + skip(code, mask, pc) }
        }
        CodeFormat::Blocks => blocks::head(code, at),
    };
    let Head { op, opcode_bytes, len } = Head { op: head.op.filter(|_| mask.get(at)), ..head };
    let bytes = &code[at..code.len().min(at + len)];
    let decoded = |op| decode_operands((gp, op), code, at + opcode_bytes, len - opcode_bytes);
    let (inst, lens) = op.map_or((trap, ImmLens::default()), decoded);
    let opcode_bytes = if op.is_some() { opcode_bytes } else { 1 };
    DecodedInst { inst, len: len as u32, is_valid: op.is_some(), lens, opcode_bytes, bytes }
}

/// The instruction that takes all of `bytes`, if it is one; other code may follow it.
pub fn decode_all(gp: GpVersion, bytes: &[u8]) -> Option<Inst> {
    let (op, opcode_bytes) = match gp.code_format() {
        CodeFormat::Bitmask => (Opcode::from_number(gp, *bytes.first()?)?, 1),
        CodeFormat::Blocks => {
            let (op, encoding) = Encoding::from_number(number_at(bytes, 0))?;
            (encoding.bytes() == bytes.len()).then_some((op, encoding.opcode_bytes()))?
        }
    };
    Some(decode_operands((gp, op), bytes, opcode_bytes, bytes.len() - opcode_bytes).0)
}

/// Bytes between the opcode at `pc` and the next marked byte or the end of the code, at most 24.
pub fn skip(code: &[u8], mask: &Bitmask, pc: u32) -> usize {
    let next = pc as usize + 1;
    (0..MAX_SKIP).find(|i| next + i >= code.len() || mask.get(next + i)).unwrap_or(MAX_SKIP)
}

/// Bytes of register and length fields.
fn operand_bytes(format: Format) -> usize {
    match format {
        Format::NoArg | Format::Imm | Format::Off => 0,
        Format::RegImm64
        | Format::Imm2
        | Format::RegImm
        | Format::RegImm2
        | Format::RegImmOff
        | Format::Reg2
        | Format::Reg2Imm
        | Format::Reg2Off => 1,
        Format::Reg2Imm2 | Format::Reg3 => 2,
    }
}

/// Decodes the operands, which take `len` bytes from `at`.
fn decode_operands((gp, op): (GpVersion, Opcode), code: &[u8], at: usize, len: usize) -> (Inst, ImmLens) {
    let byte = |i: usize| code.get(at + i).copied().unwrap_or(0);
    let (b1, b2) = (byte(0), byte(1));
    let third = match gp.code_format() {
        CodeFormat::Bitmask => b2,
        CodeFormat::Blocks => b2 & 15,
    };
    let (lo, hi, third) = (Reg::from_field(b1 & 15), Reg::from_field(b1 >> 4), Reg::from_field(third));
    let operands = operand_bytes(op.format());
    let lens = imm_lens(op.format(), len, operands, b1, b2);
    let x = immediate(byte, operands, lens.x);
    let y = immediate(byte, operands + lens.x, lens.y);
    let inst = match op.format() {
        Format::NoArg => Inst::NoArg { op },
        Format::Imm => Inst::Imm { op, imm: x },
        Format::RegImm64 => {
            let imm = u64::from_le_bytes(core::array::from_fn(|i| byte(1 + i)));
            Inst::RegImm64 { op, dst: lo, imm }
        }
        Format::Imm2 => Inst::Imm2 { op, addr: x, value: y },
        Format::Off => Inst::Off { op, offset: x },
        Format::RegImm => Inst::RegImm { op, reg: lo, imm: x },
        Format::RegImm2 => Inst::RegImm2 { op, base: lo, disp: x, value: y },
        Format::RegImmOff => Inst::RegImmOff { op, reg: lo, imm: x, offset: y },
        Format::Reg2 => Inst::Reg2 { op, dst: lo, src: hi },
        Format::Reg2Imm => Inst::Reg2Imm { op, a: lo, b: hi, imm: x },
        Format::Reg2Off => Inst::Reg2Off { op, a: lo, b: hi, offset: x },
        Format::Reg2Imm2 => Inst::Reg2Imm2 { op, dst: lo, base: hi, imm: x, disp: y },
        Format::Reg3 => Inst::Reg3 { op, dst: third, a: lo, b: hi },
    };
    (inst, lens)
}

/// Lengths of immediates: the first from its length field if the format has two, the last from the bytes of all operands.
fn imm_lens(format: Format, len: usize, operands: usize, b1: u8, b2: u8) -> ImmLens {
    let rest = |used: usize| len.saturating_sub(used).min(4);
    let field = match format {
        Format::NoArg | Format::RegImm64 | Format::Reg2 | Format::Reg3 => return ImmLens::default(),
        Format::Imm | Format::Off | Format::RegImm | Format::Reg2Imm | Format::Reg2Off => {
            return ImmLens { x: rest(operands), y: 0 };
        }
        Format::Imm2 => b1,
        Format::RegImm2 | Format::RegImmOff => b1 >> 4,
        Format::Reg2Imm2 => b2,
    };
    let x = usize::from(field % 8).min(4);
    ImmLens { x, y: rest(operands + x) }
}

/// The sign-extended little-endian number of `len` (0..=4) bytes.
fn immediate(byte: impl Fn(usize) -> u8, at: usize, len: usize) -> i32 {
    if len == 0 {
        return 0;
    }
    let raw = (0..len).fold(0, |v, i| v | u32::from(byte(at + i)) << (8 * i));
    let unused = 32 - 8 * len as u32;
    (raw << unused) as i32 >> unused
}

/// Walks a program from a position, instruction by instruction, to the end of the code.
#[derive(Clone)]
pub struct Instructions<'a> {
    blob: &'a ProgramBlob,
    gp: GpVersion,
    pc: u32,
}

impl<'a> Iterator for Instructions<'a> {
    type Item = (u32, DecodedInst<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.pc as usize >= self.blob.code.len() {
            return None;
        }
        let pc = self.pc;
        let inst = self.blob.decode(self.gp, pc);
        self.pc = pc + inst.len;
        Some((pc, inst))
    }
}

impl ProgramBlob {
    /// Decodes the instruction at `pc`.
    pub fn decode(&self, gp: GpVersion, pc: u32) -> DecodedInst<'_> {
        decode(gp, &self.code, &self.mask, pc)
    }

    /// All instructions with their positions, from position 0 on.
    pub fn instructions(&self, gp: GpVersion) -> Instructions<'_> {
        self.instructions_from(gp, 0)
    }

    /// The instructions from `pc` on.
    pub fn instructions_from(&self, gp: GpVersion, pc: u32) -> Instructions<'_> {
        Instructions { blob: self, gp, pc }
    }
}
