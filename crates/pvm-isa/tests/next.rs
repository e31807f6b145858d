//! Agreement with the `polkavm-common` crate on the next format: its encoder and decoder are the judge.
//!
//! The same instruction in the encoding of GP 0.8 says what an encoding must mean: polkavm decodes both.

use polkavm_common::program::{
    ISA_JamV1, ISA_Latest64, Instruction, InstructionSet, InstructionSetKind, Instructions,
    ProgramBlob as Parsed, ProgramCounter, ProgramParts, scan_is_jump_target_valid,
};
use pvm_isa::blocks::{BLOCK_BYTES, pad, starts};
use pvm_isa::testing::{self, Rng};
use pvm_isa::validate::{Defect, block_starts, check_well_formed, validate};
use pvm_isa::{Format, GpVersion, Inst, Opcode, ProgramBlob, asm};

const GP: GpVersion = GpVersion::Next;

/// What polkavm decodes from the bytes of an instruction at position 0.
fn decoded(bytes: &[u8]) -> (Instruction, u32) {
    let parsed = Instructions::new_bounded(ISA_Latest64, bytes, &[], 0).next().expect("an instruction");
    (parsed.kind, parsed.next_offset.0)
}

/// What polkavm decodes from the encoding of GP 0.8 at position `pc`.
fn meaning(inst: &Inst, pc: u32) -> Instruction {
    let mut bytes = Vec::new();
    let len = inst.encode(GpVersion::V08, &mut bytes);
    bytes.resize(16, 0);
    let chunk = u128::from_le_bytes(bytes[..].try_into().expect("16 bytes"));
    ISA_JamV1.parse_instruction(bytes[0].into(), chunk, pc, len as u32)
}

#[test]
fn every_instruction_has_the_bytes_and_the_meaning_of_polkavm() {
    let mut rng = Rng::new(50);
    for op in testing::opcodes(GP) {
        for _ in 0..500 {
            let inst = Inst::arbitrary(op, &mut rng);
            let wanted = meaning(&inst, 0);
            let mut bytes = Vec::new();
            inst.encode(GP, &mut bytes);
            let mut buffer = [0; 32];
            let len = wanted.serialize_into(ISA_Latest64, 0, &mut buffer);
            // The decoder keeps all bits of the byte with a register, and the encoder writes them.
            if matches!(op.format(), Format::RegImm2 | Format::RegImmOff) {
                let at = if buffer[0] == 255 { 2 } else { 1 };
                assert_eq!(buffer[at] & 15, bytes[at] & 15, "{inst}");
                buffer[at] = bytes[at];
            }
            assert_eq!(bytes, buffer[..len], "{inst}");
            bytes.push(0);
            assert_eq!(decoded(&bytes), (wanted, len as u32), "{inst}");
            let blob = ProgramBlob::of_blocks(bytes, vec![]);
            assert_eq!(blob.decode(GP, 0).inst, inst);
        }
    }
}

#[test]
fn offsets_with_more_bytes_mean_the_same() {
    let mut rng = Rng::new(51);
    for op in testing::opcodes(GP).into_iter().filter(|op| op.format().has_offset()) {
        for _ in 0..200 {
            let inst = Inst::arbitrary(op, &mut rng);
            let mut bytes = Vec::new();
            inst.encode_with_offset_bytes(GP, rng.below(5) as u8, &mut bytes);
            bytes.push(0);
            assert_eq!(decoded(&bytes).0, meaning(&inst, 0), "{inst}");
        }
    }
}

/// Changes code that has the opcodes of `memset` and `sbrk`: polkavm has them beside the instructions of GP 0.8.
fn remove_extensions(code: &mut [u8]) {
    for at in 1..code.len() {
        if code[at - 1] == 255 && code[at] >= 254 {
            code[at] = 0;
        }
    }
}

/// Random bytes, most of them opcodes of one byte, as operands often are zero.
fn wild(rng: &mut Rng) -> Vec<u8> {
    let len = 1 + rng.below(3 * BLOCK_BYTES);
    let mut code = rng.bytes(len);
    let density = 1 + rng.below(8);
    for byte in &mut code {
        if rng.one_in(density) {
            *byte = rng.pick(&[0, 1, 2, 255, 188, 125, 3]);
        }
    }
    remove_extensions(&mut code);
    code
}

#[test]
fn arbitrary_code_is_read_as_polkavm_reads_it() {
    let mut rng = Rng::new(52);
    let (mut valid, mut invalid) = (0, 0);
    for _ in 0..300 {
        let blob = ProgramBlob::of_blocks(wild(&mut rng), vec![]);
        let mut exact = Vec::new();
        let mut parsed = Instructions::new_unbounded(ISA_Latest64, &blob.code, &[], 0);
        for (pc, inst) in blob.instructions(GP) {
            inst.encode_exact(&mut exact);
            let theirs = parsed.next().expect("as many instructions");
            assert_eq!((theirs.offset.0, theirs.next_offset.0), (pc, pc + inst.len));
            assert_eq!(inst.is_valid, theirs.kind != Instruction::invalid);
            if inst.is_valid {
                assert_eq!(meaning(&inst.inst, pc), theirs.kind, "at {pc}: {:?}", inst.bytes());
                valid += 1;
            } else {
                invalid += 1;
            }
        }
        assert_eq!(parsed.next(), None);
        assert_eq!(exact, blob.code);
        let starts = block_starts(GP, &blob);
        let is_target = |pc| scan_is_jump_target_valid(ISA_Latest64, &blob.code, &[], pc);
        assert!(starts.into_iter().all(is_target), "basic blocks start where polkavm lets jumps go");
    }
    assert!(valid > 50_000 && invalid > 1000, "{valid}, {invalid}");
}

#[test]
fn programs_have_the_basic_blocks_of_polkavm() {
    let mut rng = Rng::new(53);
    for _ in 0..30 {
        let program = testing::program(GP, &mut rng, 1500, 5);
        assert_eq!(check_well_formed(GP, &program), Ok(()));
        assert!(program.code.len() > 4 * BLOCK_BYTES);
        assert_eq!(program.mask, starts(&program.code));
        let all = 0..program.code.len() as u32;
        let targets = all.filter(|&pc| scan_is_jump_target_valid(ISA_Latest64, &program.code, &[], pc));
        assert_eq!(targets.collect::<Vec<_>>(), block_starts(GP, &program));
    }
}

#[test]
fn blocks_are_filled_without_effect() {
    for len in 0..100 {
        let mut code = Vec::new();
        pad(len, &mut code);
        assert_eq!(code.len(), len);
        let blob = ProgramBlob::of_blocks(code, vec![]);
        let insts: Vec<Inst> = blob.instructions(GP).map(|(_, inst)| inst.inst).collect();
        let has_effect = |inst: &Inst| match *inst {
            Inst::NoArg { op } => op != Opcode::Fallthrough,
            Inst::Reg2 { op: Opcode::MoveReg, dst, src } => dst != src,
            Inst::Reg2Imm { op: Opcode::AddImm64, a, b, imm } => a != b || imm != 0,
            _ => true,
        };
        assert!(!insts.iter().any(has_effect), "{insts:?}");
        assert!(insts.iter().filter(|inst| inst.op() == Opcode::Fallthrough).count() <= 2);
        assert!(insts.last().is_none_or(|inst| inst.op() == Opcode::Fallthrough));
    }
}

#[test]
fn programs_are_valid_for_polkavm_if_they_are_for_us() {
    let mut rng = Rng::new(54);
    let mut verdicts = [0, 0];
    for round in 0..3000 {
        let len = 1 + rng.below(6);
        let mut code = testing::program(GP, &mut rng, len, 3).code;
        match round % 3 {
            0 => code.truncate(1 + rng.below(code.len())),
            1 => {
                let at = rng.below(code.len());
                code[at] = rng.bits() as u8;
            }
            _ => {}
        }
        remove_extensions(&mut code);
        let blob = ProgramBlob::of_blocks(code, vec![]);
        let mut parts = ProgramParts::empty(InstructionSetKind::Latest64);
        parts.code_and_jump_table = blob.to_bytes().into();
        let theirs = Parsed::from_parts(parts).expect("parsed").validate_code_with_isa(ISA_Latest64);
        match validate(GP, &blob) {
            // polkavm lets the last instruction be a branch.
            Err(error) if error.defect == Defect::LastFallsThrough => assert_eq!(theirs, Ok(())),
            ours => {
                assert_eq!(ours.map_err(|error| ProgramCounter(error.offset)), theirs, "{:?}", blob.code);
                verdicts[usize::from(ours.is_ok())] += 1;
            }
        }
    }
    assert!(verdicts.iter().all(|&n| n > 300), "{verdicts:?}");
}

#[test]
fn instructions_must_end_in_their_block() {
    let add = asm::add_64(pvm_isa::Reg::A0, pvm_isa::Reg::A0, pvm_isa::Reg::A1);
    let mut program = ProgramBlob::new(GP);
    while program.code.len() < BLOCK_BYTES - 4 {
        program.push(GP, &asm::trap());
    }
    program.push(GP, &add);
    let fits = [program.clone(), program.clone()].map(|program| program.code);
    assert_eq!(program.push(GP, &add), BLOCK_BYTES as u32);
    assert_eq!(program.code[BLOCK_BYTES - 1], 1);
    for (mut code, last) in fits.into_iter().zip([asm::unlikely(), add]) {
        last.encode(GP, &mut code);
        asm::jump(0).encode(GP, &mut code);
        code.push(0);
        let blob = ProgramBlob::of_blocks(code, vec![]);
        let error = check_well_formed(GP, &blob).expect_err("refused");
        assert_eq!((error.offset, error.defect), (BLOCK_BYTES as u32 - 1, Defect::OutOfBlock), "{last}");
    }
}
