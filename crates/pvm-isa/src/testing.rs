//! Random instructions and programs for tests, and checks of arbitrary bytes, here and in other crates (feature `testing`).
//!
//! The generators use the instruction table, so a new row is tested without further work. They are deterministic: the
//! same seed gives the same values everywhere.

use crate::bitmask::Bitmask;
use crate::blob::ProgramBlob;
use crate::container::Container;
use crate::disasm::Disassembly;
use crate::gas::program_costs;
use crate::inst::Inst;
use crate::metadata::{Extension, Metadata};
use crate::polkavm::{MAGIC, PolkaVmProgram};
use crate::reg::Reg;
use crate::spi::SpiProgram;
use crate::table::{Format, Opcode};
use crate::validate::{block_starts, check_well_formed, validate};
use crate::version::{CodeFormat, GpVersion};

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
    Opcode::ALL.iter().copied().filter(|op| op.exists(gp)).collect()
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

    let mut positions = Vec::new();
    let mut layout = ProgramBlob::new(gp);
    for inst in &insts {
        positions.push(layout.push_with_offset_bytes(gp, &inst.with_offset(i32::MAX), 4));
    }
    let is_start = |i: usize| i == 0 || insts[i - 1].op().is_terminator();
    let starts: Vec<u32> = (0..insts.len()).filter(|&i| is_start(i)).map(|i| positions[i]).collect();

    let mut blob = ProgramBlob::new(gp);
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
    ProgramBlob { code, mask, ..ProgramBlob::default() }
}

/// Changes, inserts or removes a byte.
pub fn damage(file: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.below(file.len() + 1);
    match rng.below(4) {
        0 if at < file.len() => file[at] = rng.below(256) as u8,
        1 if at < file.len() => file[at] ^= 1 << rng.below(8),
        2 => file.insert(at, rng.below(256) as u8),
        _ => {
            if file.len() > 1 {
                file.remove(at.min(file.len() - 1));
            }
        }
    }
}

/// A damaged file of PolkaVM is refused for its length first. With the right length, the rest is read.
pub fn repair_length(file: &mut [u8]) {
    let start = file.windows(4).position(|window| window == MAGIC);
    let length = start.map(|start| (start + 5..start + 13, (file.len() - start) as u64));
    if let Some((range, length)) = length
        && let Some(field) = file.get_mut(range)
    {
        field.copy_from_slice(&length.to_le_bytes());
    }
}

/// Runs all parsers, decoders and printers on the bytes.
///
/// # Panics
/// If one of them breaks a rule: what can be parsed is the same after writing and parsing, offsets of errors are in the
/// input, and every block has a price.
pub fn exercise(bytes: &[u8]) {
    let metadata = Metadata::parse(bytes);
    assert_eq!(Metadata::parse(&metadata.to_bytes()), metadata);
    let _ = Extension::parse(bytes);
    if let Ok(program) = SpiProgram::parse(bytes) {
        let written = program.to_bytes().expect("its sizes were read from length fields");
        assert_eq!(SpiProgram::parse(&written), Ok(program));
    }
    if let Ok(program) = PolkaVmProgram::parse(bytes) {
        assert_eq!(PolkaVmProgram::parse(&program.to_bytes()), Ok(program));
    }
    for format in [CodeFormat::Bitmask, CodeFormat::Blocks] {
        if let Ok(blob) = ProgramBlob::parse_as(format, bytes) {
            assert_eq!(ProgramBlob::parse_as(format, &blob.to_bytes()), Ok(blob));
        }
    }
    for gp in [None, Some(GpVersion::Next)] {
        match Container::parse_for(gp, bytes) {
            Ok(container) => exercise_program(container.blob()),
            Err(error) => assert!(error.offset <= bytes.len()),
        }
    }
}

/// Runs all that reads code on a program.
///
/// # Panics
/// If it breaks a rule: instructions encode back to the same bytes, the shortest form of an instruction decodes to it,
/// and every block has a price.
pub fn exercise_program(blob: &ProgramBlob) {
    for gp in GpVersion::ALL.into_iter().filter(|gp| gp.code_format() == blob.format) {
        exercise_instructions(gp, blob);
        let _ = validate(gp, blob);
        let _ = check_well_formed(gp, blob);
        let costs = program_costs(gp, blob);
        assert_eq!(costs.len(), block_starts(gp, blob).len());
        assert!(costs.iter().all(|&(_, cost)| cost > 0));
        let text = Disassembly::new(blob, gp).to_string();
        assert!(text.lines().count() >= blob.instructions(gp).count());
    }
}

fn exercise_instructions(gp: GpVersion, blob: &ProgramBlob) {
    let mut exact = Vec::new();
    for (_, decoded) in blob.instructions(gp) {
        decoded.encode_exact(&mut exact);
        if decoded.is_valid {
            let mut written = ProgramBlob::new(gp);
            written.push(gp, &decoded.inst);
            written.push(gp, &Inst::no_arg(Opcode::Trap));
            let again = written.decode(gp, 0).inst;
            assert_eq!(again, decoded.inst, "the shortest form of an instruction decodes to it");
        }
    }
    assert_eq!(exact, blob.code, "instructions encode back to the bytes they were read from");
}
