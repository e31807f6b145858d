//! Random instructions and programs for tests, here and in other crates (feature `testing`).
//!
//! The generators use the instruction table, so a new row is tested without further work. They are deterministic: the
//! same seed gives the same values everywhere.

use crate::blob::{Bitmask, ProgramBlob};
use crate::inst::Inst;
use crate::reg::Reg;
use crate::table::{Format, GpVersion, Opcode};

pub use random::Rng;

/// A random register.
pub fn reg(rng: &mut Rng) -> Reg {
    Reg::from_field(rng.below(Reg::COUNT) as u8)
}

/// A random immediate; all encoded lengths and their limits are likely.
pub fn imm(rng: &mut Rng) -> i32 {
    let width = rng.pick(&[0, 1, 2, 3, 7, 8, 15, 16, 23, 24, 31, 32]);
    let low = (rng.bits() & ((1 << width) - 1)) as u32;
    let limit = (1u64 << width >> 1) as u32;
    let value = if rng.one_in(3) { limit.wrapping_sub(rng.below(2) as u32) } else { low };
    (if rng.one_in(2) { value } else { value.wrapping_neg() }) as i32
}

/// The opcodes that exist in a version.
pub fn opcodes(gp: GpVersion) -> Vec<Opcode> {
    Opcode::ALL.iter().copied().filter(|op| op.number(gp).is_some()).collect()
}

impl Inst {
    /// A random instruction with this opcode.
    pub fn arbitrary(op: Opcode, rng: &mut Rng) -> Inst {
        match op.format() {
            Format::NoArg => Inst::no_arg(op),
            Format::Imm => Inst::imm(op, imm(rng)),
            Format::RegImm64 => Inst::reg_imm64(op, reg(rng), rng.bits()),
            Format::Imm2 => Inst::imm2(op, imm(rng), imm(rng)),
            Format::Off => Inst::off(op, imm(rng)),
            Format::RegImm => Inst::reg_imm(op, reg(rng), imm(rng)),
            Format::RegImm2 => Inst::reg_imm2(op, reg(rng), imm(rng), imm(rng)),
            Format::RegImmOff => Inst::reg_imm_off(op, reg(rng), imm(rng), imm(rng)),
            Format::Reg2 => Inst::reg2(op, reg(rng), reg(rng)),
            Format::Reg2Imm => Inst::reg2_imm(op, reg(rng), reg(rng), imm(rng)),
            Format::Reg2Off => Inst::reg2_off(op, reg(rng), reg(rng), imm(rng)),
            Format::Reg2Imm2 => Inst::reg2_imm2(op, reg(rng), reg(rng), imm(rng), imm(rng)),
            Format::Reg3 => Inst::reg3(op, reg(rng), reg(rng), reg(rng)),
        }
    }
}

/// A well-formed program of `len` (≥ 1) instructions: all jumps and jump-table entries reach blocks. One
/// instruction in `block_len` is a terminator.
pub fn program(gp: GpVersion, rng: &mut Rng, len: usize, block_len: usize) -> ProgramBlob {
    let mut insts: Vec<Inst> = (1..len).map(|_| instruction(gp, rng, block_len)).collect();
    insts.push(Inst::no_arg(Opcode::Trap));

    let mut ends = 0;
    let mut positions = Vec::new();
    for inst in &insts {
        positions.push(ends);
        ends += inst.encoded_len_with_offset_bytes(4) as u32;
    }
    let is_start = |i: usize| i == 0 || insts[i - 1].op().is_terminator();
    let starts: Vec<u32> = (0..insts.len()).filter(|&i| is_start(i)).map(|i| positions[i]).collect();

    let mut blob = ProgramBlob::default();
    for (inst, &pc) in insts.iter().zip(&positions) {
        let offset = rng.pick(&starts) as i32 - pc as i32;
        blob.push_with_offset_bytes(gp, &inst.with_offset(offset), 4);
    }
    blob.jump_table = (0..rng.below(10)).map(|_| rng.pick(&starts)).collect();
    blob
}

/// A random instruction that is a terminator once in `block_len` times.
pub fn instruction(gp: GpVersion, rng: &mut Rng, block_len: usize) -> Inst {
    let wants_terminator = rng.one_in(block_len);
    let all = opcodes(gp);
    let ops: Vec<Opcode> = all.into_iter().filter(|op| op.is_terminator() == wants_terminator).collect();
    Inst::arbitrary(rng.pick(&ops), rng)
}

/// Random bytes with a random bitmask, which are rarely a valid program.
pub fn wild_program(rng: &mut Rng, len: usize) -> ProgramBlob {
    let code = rng.bytes(len);
    let mut mask = Bitmask::new(len);
    let distance = 1 + rng.below(12);
    for i in 0..len {
        if rng.one_in(distance) {
            mask.set(i);
        }
    }
    ProgramBlob { code, mask, jump_table: vec![] }
}
