//! The next code format: opcodes that determine the length of their instruction, in blocks of 1,024 bytes.
//!
//! This is the format of pull request 555 of the Gray Paper, as `polkavm` 0.37 implements it under the name `Latest64`.
//! It is a proposal, so its numbers may change.
//!
//! - There is no bitmask. Each combination of an operation and a number of operand bytes that is worth it has a number of
//!   its own ([`Encoding`](crate::table::Encoding)). Numbers below 255 are one byte, the others are 255 and a second byte.
//! - Code is cut into blocks of [`BLOCK_BYTES`], the last of which may be shorter. The first instruction of a block is at
//!   its start, so reading can begin at any block. No instruction goes on in the next block, and the last one of a block
//!   ends a basic block. Where it would not, it acts as `trap` and takes the rest of the block.
//! - Operands, jump tables and all else are those of GP 0.8.
//!
//! An instruction that doesn't fit the rest of a block starts the next one, after instructions that fill the block ([`pad`]).
//!
//! Readers of code want to know where instructions start. So [`ProgramBlob`](crate::ProgramBlob) has a bitmask in this format,
//! too, which is not stored but derived ([`starts`]).

use crate::asm;
use crate::bitmask::Bitmask;
use crate::inst::Inst;
use crate::reg::Reg;
use crate::table::{Encoding, Opcode, number_at};

/// Bytes of a block of code.
pub const BLOCK_BYTES: usize = 1024;

/// The longest instruction that fills a block.
const MAX_PADDING: usize = 6;

/// The end of the block that has the position `at`.
pub const fn block_end(at: usize) -> usize {
    at / BLOCK_BYTES * BLOCK_BYTES + BLOCK_BYTES
}

/// Whether an instruction of `len` bytes can be at position `at`, in code that goes on after it. `is_terminator`: it ends
/// a basic block.
pub const fn fits(at: usize, len: usize, is_terminator: bool) -> bool {
    let end = block_end(at);
    at + len < end || at + len == end && is_terminator
}

/// An instruction of `len` bytes without an effect, or one that only ends a basic block.
fn filler(len: usize) -> Inst {
    match len {
        1 => asm::fallthrough(),
        2 => asm::move_reg(Reg::RA, Reg::RA),
        _ => asm::add_imm_64(Reg::RA, Reg::RA, 0),
    }
}

/// Appends instructions without an effect that take `bytes` bytes and end a basic block, if there are any.
///
/// They cost little gas: the last one is `fallthrough`, and the others take no time in the price of GP 0.8.
pub fn pad(bytes: usize, out: &mut Vec<u8>) {
    let mut left = bytes;
    while left > 0 {
        let len = match left - 1 {
            0 => 1,
            rest if rest == MAX_PADDING + 1 => MAX_PADDING - 1,
            rest => rest.min(MAX_PADDING),
        };
        let inst = filler(len);
        let encodings = inst.op().encodings().iter();
        let encoding = encodings.copied().find(|encoding| encoding.bytes() == len);
        inst.encode_as(encoding.expect("there are paddings of all lengths"), out);
        left -= len;
    }
}

/// What an opcode tells about its instruction.
pub(crate) struct Head {
    /// The opcode, if it is defined.
    pub op: Option<Opcode>,
    /// Bytes of the opcode.
    pub opcode_bytes: usize,
    /// Bytes of the instruction.
    pub len: usize,
}

/// Opcode and length of the instruction at `at`, which is in the code.
pub(crate) fn head(code: &[u8], at: usize) -> Head {
    let found = Encoding::from_number(number_at(code, at));
    let opcode_bytes = if code[at] == Encoding::PREFIX { 2 } else { 1 };
    let len = found.map_or(opcode_bytes, |(_, encoding)| encoding.bytes());
    let end = block_end(at).min(code.len());
    let is_last = at + len >= end;
    let ends_well = at + len == end && found.is_some_and(|(op, _)| op.is_terminator());
    let op = found.map(|(op, _)| op).filter(|_| !is_last || ends_well);
    Head { op, opcode_bytes, len: len.min(end - at) }
}

/// The starts of instructions.
pub fn starts(code: &[u8]) -> Bitmask {
    let mut mask = Bitmask::new(code.len());
    let mut at = 0;
    while at < code.len() {
        mask.set(at);
        at += head(code, at).len;
    }
    mask
}
