//! Relocations: references to symbols, in place of a linker.
//!
//! An instruction is decoded, gets the distance or the half of the address as its operand, and is encoded in the same form.

use object::elf::{self, RelocationType};
use thumb_isa::{Inst, Opcode, decode};

use crate::error::LoadError;

/// Applies a relocation at `offset` in `bytes`, which is at `address` in memory. Addends are in place. `target` has bit 0
/// set for functions.
pub fn apply(
    bytes: &mut [u8],
    offset: usize,
    kind: RelocationType,
    address: u32,
    target: u32,
) -> Result<(), LoadError> {
    let broken = || LoadError::Broken("a relocation is outside of its section".to_owned());
    let site = bytes.get_mut(offset..offset.saturating_add(4)).ok_or_else(broken)?;
    let word = u32::from_le_bytes(site.try_into().expect("four bytes"));
    let new = match kind {
        elf::R_ARM_NONE => word.to_le_bytes(),
        elf::R_ARM_ABS32 => word.wrapping_add(target).to_le_bytes(),
        elf::R_ARM_REL32 => word.wrapping_add(target).wrapping_sub(address).to_le_bytes(),
        // The upper bit is kept.
        elf::R_ARM_PREL31 => {
            let distance = word.wrapping_add(target).wrapping_sub(address);
            (word & 0x8000_0000 | distance & 0x7fff_ffff).to_le_bytes()
        }
        elf::R_ARM_THM_PC22
        | elf::R_ARM_THM_JUMP24
        | elf::R_ARM_THM_MOVW_ABS_NC
        | elf::R_ARM_THM_MOVT_ABS => instruction(site, kind, address, target)?,
        other => return Err(LoadError::Relocation(other.0)),
    };
    site.copy_from_slice(&new);
    Ok(())
}

fn instruction(site: &[u8], kind: RelocationType, address: u32, target: u32) -> Result<[u8; 4], LoadError> {
    let wrong = || LoadError::Broken(format!("relocation {} is at another instruction", kind.0));
    let decoded = decode(site, None).ok_or_else(wrong)?;
    // A `bl` without a relocation yet is a branch to itself: its offset is the addend, -4.
    let inst = match (decoded.inst, kind) {
        (Inst::Branch { op, offset }, elf::R_ARM_THM_PC22 | elf::R_ARM_THM_JUMP24) => {
            let distance = (target & !1).wrapping_add_signed(offset).wrapping_sub(address);
            Inst::branch(op, distance as i32)
        }
        (Inst::MovHalf { op: Opcode::Movw, rd, imm }, elf::R_ARM_THM_MOVW_ABS_NC) => {
            Inst::mov_half(Opcode::Movw, rd, target.wrapping_add(addend(imm)) & 0xffff)
        }
        (Inst::MovHalf { op: Opcode::Movt, rd, imm }, elf::R_ARM_THM_MOVT_ABS) => {
            Inst::mov_half(Opcode::Movt, rd, target.wrapping_add(addend(imm)) >> 16)
        }
        _ => return Err(wrong()),
    };
    let bits = inst.bits(decoded.form, None).ok_or(LoadError::OutOfReach)?;
    let [high, low] = [(bits >> 16) as u16, bits as u16].map(u16::to_le_bytes);
    Ok([high[0], high[1], low[0], low[1]])
}

/// The immediate of `movw` or `movt` as a signed addend.
const fn addend(imm: u32) -> u32 {
    imm as u16 as i16 as u32
}
