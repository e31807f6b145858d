//! Validation of programs: the rules of the engines, and stricter ones for compilers.
//!
//! The next format has the rules of 0.8, and those of its [blocks](crate::blocks).
//!
//! GP 0.7.2 accepts every blob; an invalid instruction acts as `trap` when it is executed. GP 0.8 refuses an invalid
//! program before its first instruction. A walk from position 0 must find only defined opcodes that are marked in the
//! bitmask. It must end exactly at the end of the code, with a terminator as the last instruction (Gray Paper,
//! appendix A.2). The `polkavm` crate 0.37 also refuses a last instruction that can fall through, such as a
//! conditional branch. [`validate`] includes this rule, so that an accepted program runs everywhere.
//!
//! Engines don't check jump targets in advance. A jump to a position that starts no basic block panics when it is
//! taken; under 0.8 a conditional branch panics even if it isn't taken. [`check_well_formed`] is stricter, for the
//! output of compilers: no jump and no jump-table entry of the program can panic for this reason, under either
//! version.
//!
//! A basic block starts at position 0 and after every terminator, provided that there is a valid instruction.

use core::fmt;

use crate::blob::ProgramBlob;
use crate::decode::DecodedInst;
use crate::table::{Flow, Opcode};
use crate::version::GpVersion;

/// A violation of a validation rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidProgram {
    /// Position in the code; for a jump-table entry, its index.
    pub offset: u32,
    /// The violated rule.
    pub defect: Defect,
}

/// A way in which a program is invalid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Defect {
    /// The program has no code.
    NoCode,
    /// The position is not marked in the bitmask.
    NotMarked,
    /// The opcode byte is not defined in this version.
    UndefinedOpcode,
    /// In the next format, the instruction goes on in the next block, or is the last of a block and ends no basic block.
    OutOfBlock,
    /// The operands reach past the end of the code, or into the next instruction.
    OperandsCutOff,
    /// The last instruction lets control run off the end of the code.
    LastFallsThrough,
    /// A static jump or branch goes to a position that starts no basic block.
    TargetIsNoBlock,
    /// The position after a conditional branch starts no basic block.
    FallthroughIsNoBlock,
    /// A jump-table entry is not the position of a basic block.
    JumpTableEntryIsNoBlock,
}

impl fmt::Display for InvalidProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = self.offset;
        match self.defect {
            Defect::NoCode => f.write_str("the program has no code"),
            Defect::NotMarked => {
                write!(f, "position {offset} is not marked as an instruction in the bitmask")
            }
            Defect::UndefinedOpcode => write!(f, "the opcode at position {offset} is undefined"),
            Defect::OutOfBlock => {
                write!(f, "the instruction at position {offset} must end a basic block in its block of code")
            }
            Defect::OperandsCutOff => {
                write!(f, "the operands of the instruction at position {offset} are cut off")
            }
            Defect::LastFallsThrough => {
                write!(
                    f,
                    "the last instruction, at position {offset}, can fall through to the end of the code"
                )
            }
            Defect::TargetIsNoBlock => {
                write!(f, "the target of the jump at position {offset} starts no basic block")
            }
            Defect::FallthroughIsNoBlock => {
                write!(f, "no basic block starts after the branch at position {offset}")
            }
            Defect::JumpTableEntryIsNoBlock => {
                write!(f, "jump-table entry {offset} is not the start of a basic block")
            }
        }
    }
}

impl core::error::Error for InvalidProgram {}

/// Checks whether engines of this version accept the program.
///
/// # Errors
///
/// The first violated rule. Under 0.7.2 there are none.
pub fn validate(gp: GpVersion, program: &ProgramBlob) -> Result<(), InvalidProgram> {
    if gp.has_block_prices() { check_code(gp, program) } else { Ok(()) }
}

/// Checks the rules for compiled programs, under either version:
///
/// - the walk from position 0 finds only valid instructions with all their operand bytes, and the last of them can't
///   fall through;
/// - static targets, positions after conditional branches and jump-table entries start basic blocks.
///
/// # Errors
///
/// The first violated rule.
pub fn check_well_formed(gp: GpVersion, program: &ProgramBlob) -> Result<(), InvalidProgram> {
    check_code(gp, program)?;
    let starts = block_starts(gp, program);
    let is_start = |pos: i64| u32::try_from(pos).is_ok_and(|pos| starts.binary_search(&pos).is_ok());
    for (pc, inst) in program.instructions(gp) {
        check_jump(pc, &inst, is_start).map_err(|defect| InvalidProgram { offset: pc, defect })?;
    }
    match program.jump_table.iter().position(|&entry| !is_start(entry.into())) {
        Some(index) => Err(InvalidProgram { offset: index as u32, defect: Defect::JumpTableEntryIsNoBlock }),
        None => Ok(()),
    }
}

/// The positions at which basic blocks start, in ascending order.
///
/// A terminator counts wherever the bitmask marks it, even at positions that a walk from position 0 skips.
pub fn block_starts(gp: GpVersion, program: &ProgramBlob) -> Vec<u32> {
    let is_valid = |pc: u32| program.decode(gp, pc).is_valid;
    let after_terminators = (0..program.code.len() as u32).filter_map(|pc| {
        let inst = program.mask.get(pc as usize).then(|| program.decode(gp, pc))?;
        (inst.is_valid && inst.inst.op().is_terminator()).then_some(pc + inst.len)
    });
    core::iter::once(0).chain(after_terminators).filter(|&pc| is_valid(pc)).collect()
}

/// The static rules of 0.8 and of polkavm.
fn check_code(gp: GpVersion, program: &ProgramBlob) -> Result<(), InvalidProgram> {
    let mut last = None;
    for (pc, inst) in program.instructions(gp) {
        if !inst.is_valid {
            return Err(InvalidProgram { offset: pc, defect: invalid(gp, program, pc as usize) });
        }
        last = Some((pc, inst));
    }
    match last {
        None => Err(InvalidProgram { offset: 0, defect: Defect::NoCode }),
        Some((pc, inst)) if inst.inst.op().can_fall_through() => {
            Err(InvalidProgram { offset: pc, defect: Defect::LastFallsThrough })
        }
        Some(_) => Ok(()),
    }
}

/// The defect of an instruction that is not valid.
fn invalid(gp: GpVersion, program: &ProgramBlob, at: usize) -> Defect {
    let is_defined = Opcode::of_bytes(gp, &program.code[at..]).is_some();
    match (program.mask.get(at), is_defined) {
        (false, _) => Defect::NotMarked,
        (true, false) => Defect::UndefinedOpcode,
        (true, true) => Defect::OutOfBlock,
    }
}

fn check_jump(pc: u32, inst: &DecodedInst<'_>, is_start: impl Fn(i64) -> bool) -> Result<(), Defect> {
    if inst.is_cut_off() {
        return Err(Defect::OperandsCutOff);
    }
    if inst.inst.target(pc).is_some_and(|target| !is_start(target)) {
        return Err(Defect::TargetIsNoBlock);
    }
    if inst.inst.op().flow() == Flow::Branch && !is_start(i64::from(pc) + i64::from(inst.len)) {
        return Err(Defect::FallthroughIsNoBlock);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm;
    use crate::inst::Inst;
    use crate::reg::Reg;

    const GP: GpVersion = GpVersion::V08;

    fn program(insts: &[Inst]) -> ProgramBlob {
        let mut program = ProgramBlob::default();
        insts.iter().for_each(|inst| _ = program.push(GP, inst));
        program
    }

    fn defect(check: Result<(), InvalidProgram>) -> (u32, Defect) {
        let InvalidProgram { offset, defect } = check.expect_err("invalid");
        (offset, defect)
    }

    fn branch(offset: i32) -> Inst {
        asm::branch_eq(Reg::A0, Reg::A1, offset)
    }

    #[test]
    fn code_must_end_in_a_transfer() {
        assert_eq!(validate(GP, &program(&[asm::jump(0)])), Ok(()));
        let add = asm::add_64(Reg::A0, Reg::A0, Reg::A1);
        for last in [add, asm::fallthrough(), asm::ecalli(1), branch(-1)] {
            let result = validate(GP, &program(&[asm::trap(), last]));
            assert_eq!(defect(result), (1, Defect::LastFallsThrough), "{last}");
        }
        assert_eq!(defect(validate(GP, &program(&[]))), (0, Defect::NoCode));
        assert_eq!(validate(GpVersion::V072, &program(&[])), Ok(()));
    }

    #[test]
    fn every_instruction_must_be_valid() {
        let mut undefined = program(&[asm::trap(), asm::fallthrough(), asm::trap()]);
        undefined.code[1] = 99;
        assert_eq!(defect(validate(GP, &undefined)), (1, Defect::UndefinedOpcode));
        let mut unmarked = ProgramBlob { code: vec![0; 30], ..ProgramBlob::default() };
        unmarked.mask.grow(30);
        assert_eq!(defect(validate(GP, &unmarked)), (0, Defect::NotMarked));
        unmarked.mask.set(0);
        assert_eq!(defect(validate(GP, &unmarked)), (25, Defect::NotMarked));
    }

    #[test]
    fn jumps_must_reach_blocks() {
        let check = |insts: &[Inst]| check_well_formed(GP, &program(insts));
        let add = asm::add_64(Reg::A0, Reg::A0, Reg::A1);
        assert_eq!(check(&[add, branch(-3), add, asm::trap()]), Ok(()));
        assert_eq!(defect(check(&[add, branch(6), add, add, asm::trap()])), (3, Defect::TargetIsNoBlock));
        assert_eq!(defect(check(&[asm::jump(-1)])), (0, Defect::TargetIsNoBlock));
        assert_eq!(defect(check(&[asm::jump(2)])), (0, Defect::TargetIsNoBlock));
        assert_eq!(check(&[asm::jump(2), asm::trap()]), Ok(()));
    }

    #[test]
    fn jump_table_entries_must_be_blocks() {
        let mut blob = program(&[asm::fallthrough(), asm::ecalli(1), asm::trap()]);
        blob.jump_table = vec![0, 1];
        assert_eq!(check_well_formed(GP, &blob), Ok(()));
        blob.jump_table.push(3);
        assert_eq!(defect(check_well_formed(GP, &blob)), (2, Defect::JumpTableEntryIsNoBlock));
        assert_eq!(validate(GP, &blob), Ok(()));
    }

    #[test]
    fn operands_must_be_there() {
        let mut blob = program(&[asm::load_imm_64(Reg::A0, 1), asm::trap()]);
        blob.mask.set(5);
        assert_eq!(validate(GP, &blob), Ok(()));
        assert_eq!(defect(check_well_formed(GP, &blob)), (0, Defect::OperandsCutOff));
    }

    #[test]
    fn blocks_start_after_terminators_only() {
        let blob = program(&[asm::ecalli(1), asm::unlikely(), asm::fallthrough(), asm::trap(), asm::trap()]);
        assert_eq!(block_starts(GP, &blob), [0, 4, 5]);
        assert_eq!(block_starts(GpVersion::V072, &blob), [0, 4, 5]);
    }
}
