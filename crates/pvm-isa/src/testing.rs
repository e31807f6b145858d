//! Random instructions and programs for tests, here and in other crates (feature `testing`).
//!
//! The generators use the instruction table, so a new row is tested without further work. They are deterministic: the
//! same seed gives the same values everywhere.

use crate::blob::{Bitmask, ProgramBlob};
use crate::inst::Inst;
use crate::reg::Reg;
use crate::table::{Format, GpVersion, Opcode};

/// A small random number generator (SplitMix64).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator whose sequence is determined by the seed.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `n` (≥ 1).
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() >> 16) as usize % n
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of the elements.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// A register.
    pub fn reg(&mut self) -> Reg {
        Reg::from_field(self.below(Reg::COUNT) as u8)
    }

    /// An immediate; all encoded lengths and their limits are likely.
    pub fn imm(&mut self) -> i32 {
        let width = *self.pick(&[0, 1, 2, 3, 7, 8, 15, 16, 23, 24, 31, 32]);
        let low = (self.bits() & ((1 << width) - 1)) as u32;
        let limit = (1u64 << width >> 1) as u32;
        let value = if self.one_in(3) { limit.wrapping_sub(self.below(2) as u32) } else { low };
        (if self.one_in(2) { value } else { value.wrapping_neg() }) as i32
    }

    /// Random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.bits() as u8).collect()
    }
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
            Format::Imm => Inst::imm(op, rng.imm()),
            Format::RegImm64 => Inst::reg_imm64(op, rng.reg(), rng.bits()),
            Format::Imm2 => Inst::imm2(op, rng.imm(), rng.imm()),
            Format::Off => Inst::off(op, rng.imm()),
            Format::RegImm => Inst::reg_imm(op, rng.reg(), rng.imm()),
            Format::RegImm2 => Inst::reg_imm2(op, rng.reg(), rng.imm(), rng.imm()),
            Format::RegImmOff => Inst::reg_imm_off(op, rng.reg(), rng.imm(), rng.imm()),
            Format::Reg2 => Inst::reg2(op, rng.reg(), rng.reg()),
            Format::Reg2Imm => Inst::reg2_imm(op, rng.reg(), rng.reg(), rng.imm()),
            Format::Reg2Off => Inst::reg2_off(op, rng.reg(), rng.reg(), rng.imm()),
            Format::Reg2Imm2 => Inst::reg2_imm2(op, rng.reg(), rng.reg(), rng.imm(), rng.imm()),
            Format::Reg3 => Inst::reg3(op, rng.reg(), rng.reg(), rng.reg()),
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
        let offset = *rng.pick(&starts) as i32 - pc as i32;
        blob.push_with_offset_bytes(gp, &inst.with_offset(offset), 4);
    }
    blob.jump_table = (0..rng.below(10)).map(|_| *rng.pick(&starts)).collect();
    blob
}

/// A random instruction that is a terminator once in `block_len` times.
pub fn instruction(gp: GpVersion, rng: &mut Rng, block_len: usize) -> Inst {
    let wants_terminator = rng.one_in(block_len);
    let all = opcodes(gp);
    let ops: Vec<Opcode> = all.into_iter().filter(|op| op.is_terminator() == wants_terminator).collect();
    Inst::arbitrary(*rng.pick(&ops), rng)
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
