//! Fixups: instructions whose bytes depend on the place of other code, or on the jump table.
//!
//! Two kinds of numbers are unknown. Distances are known when all code has its place; relaxation chooses one to four
//! offset bytes for them. Jump-table addresses belong to return places, referenced functions and dispatch tables. The
//! linker assigns them *before* relaxation, because they decide lengths, too: it asks each fixup for its
//! [`Fixup::need`] and supplies the address with [`Fixup::set_value`].
//!
//! In the next format a form with more offset bytes than another can have the same length.

use pvm_isa::{GpVersion, Inst, Opcode};
use ssa::FuncId;

/// The jump-table address that a fixup needs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Need {
    /// None: a jump or branch.
    Nothing,
    /// The address of the place right after the fixup: a call.
    ReturnPlace,
    /// A function reference: `(signature + 1) << 32` plus the address of the function's entry.
    FuncRef(FuncId),
    /// The address of the first entry of this table of the fragment: a dispatch.
    Table(u32),
}

/// An instruction that is not final.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fixup {
    gp: GpVersion,
    inst: Inst,
    need: Need,
    value: Option<u64>,
}

impl Fixup {
    /// An instruction with a code offset: a jump or branch inside the function, or a jump to another function.
    pub fn jump(gp: GpVersion, inst: Inst) -> Self {
        assert!(inst.offset().is_some(), "{inst} has no offset");
        Self { gp, inst, need: Need::Nothing, value: None }
    }

    /// A call: `load_imm_jump` or `load_imm_jump_ind`.
    pub fn call(gp: GpVersion, inst: Inst) -> Self {
        assert!(matches!(inst.op(), Opcode::LoadImmJump | Opcode::LoadImmJumpInd), "{inst} is no call");
        Self { gp, inst, need: Need::ReturnPlace, value: None }
    }

    /// A function reference in a register: `load_imm_64`.
    pub fn func_ref(gp: GpVersion, inst: Inst, func: FuncId) -> Self {
        assert_eq!(inst.op(), Opcode::LoadImm64);
        Self { gp, inst, need: Need::FuncRef(func), value: None }
    }

    /// A dispatch through a table of the fragment: `jump_ind`.
    pub fn dispatch(gp: GpVersion, inst: Inst, table: u32) -> Self {
        assert_eq!(inst.op(), Opcode::JumpInd);
        Self { gp, inst, need: Need::Table(table), value: None }
    }

    /// The instruction, with zeros for the numbers that are unknown.
    pub const fn inst(&self) -> Inst {
        self.inst
    }

    /// The jump-table address that the linker must supply.
    pub const fn need(&self) -> Need {
        self.need
    }

    /// Supplies the jump-table address (or whole function reference) that [`need`](Self::need) asks for.
    pub fn set_value(&mut self, value: u64) {
        assert_ne!(self.need, Need::Nothing, "{} needs no value", self.inst);
        self.value = Some(value);
    }

    /// Whether the instruction is a call.
    pub fn is_call(&self) -> bool {
        self.need == Need::ReturnPlace
    }

    /// Whether the instruction ends a basic block.
    pub fn is_terminator(&self) -> bool {
        self.inst.op().is_terminator()
    }

    /// The instruction with the linker's value. Panics if it is missing.
    fn resolved(&self) -> Inst {
        let value =
            || self.value.unwrap_or_else(|| panic!("the linker has supplied no address for {}", self.inst));
        let address = || i32::try_from(value()).expect("jump-table addresses are below 2^31");
        match (self.need, self.inst) {
            (Need::Nothing, inst) => inst,
            (_, Inst::RegImmOff { op, reg, offset, .. }) => Inst::reg_imm_off(op, reg, address(), offset),
            (_, Inst::Reg2Imm2 { op, dst, base, disp, .. }) => {
                Inst::reg2_imm2(op, dst, base, address(), disp)
            }
            (_, Inst::RegImm { op, reg, imm }) => Inst::reg_imm(op, reg, imm.wrapping_add(address())),
            (_, Inst::RegImm64 { dst, .. }) => match i32::try_from(value() as i64) {
                Ok(imm) => Inst::reg_imm(Opcode::LoadImm, dst, imm),
                Err(_) => Inst::reg_imm64(Opcode::LoadImm64, dst, value()),
            },
            (_, inst) => panic!("{inst} takes no jump-table address"),
        }
    }

    const fn has_distance(&self) -> bool {
        matches!(self.inst, Inst::Off { .. } | Inst::RegImmOff { .. } | Inst::Reg2Off { .. })
    }
}

impl codegen::Fixup for Fixup {
    fn forms(&self) -> u8 {
        if self.has_distance() { 4 } else { 1 }
    }

    fn len(&self, form: u8, _from: i64) -> u32 {
        self.resolved().encoded_len_with_offset_bytes(self.gp, form + 1) as u32
    }

    fn reaches(&self, form: u8, from: i64, to: i64) -> bool {
        let bits = 8 * (u32::from(form) + 1);
        let distance = to - from;
        !self.has_distance() || bits == 32 || (-(1 << (bits - 1))..1 << (bits - 1)).contains(&distance)
    }

    fn encode(&self, form: u8, from: i64, to: i64, out: &mut Vec<u8>) {
        let inst = match self.has_distance() {
            true => {
                self.resolved().with_offset(i32::try_from(to - from).expect("code is smaller than 2 GiB"))
            }
            false => self.resolved(),
        };
        let start = out.len();
        inst.encode_with_offset_bytes(self.gp, form + 1, out);
        super::assert_means(&inst, self.gp, &out[start..]);
    }

    fn may_end_block(&self) -> bool {
        self.is_terminator()
    }
}

#[cfg(test)]
mod tests {
    use codegen::Fixup as _;
    use pvm_isa::{Reg, asm};

    use super::*;

    #[test]
    fn lengths_are_kept_and_reach_is_exact() {
        let of_version = |gp| {
            let mut call = Fixup::call(gp, asm::load_imm_jump(Reg::RA, 0, 0));
            call.set_value(300);
            let branch = asm::branch_lt_u(Reg::A0, Reg::A1, 0);
            let jumps = [asm::jump(0), branch, asm::branch_eq_imm(Reg::A0, 77, 0)];
            jumps.map(|inst| Fixup::jump(gp, inst)).into_iter().chain([call])
        };
        let fixups: Vec<Fixup> = GpVersion::ALL.into_iter().flat_map(of_version).collect();
        for (fixup, form) in fixups.iter().flat_map(|fixup| (0..4).map(move |form| (fixup, form))) {
            for distance in [-0x80, 0x7f, -0x81, 0x80, -0x8000, 0x8000, -0x80_0000, 0x7f_ffff, 0x80_0000, 0] {
                let fits = [-0x80..0x80, -0x8000..0x8000, -0x80_0000..0x80_0000, i64::MIN..i64::MAX];
                assert_eq!(
                    fixup.reaches(form, 1000, 1000 + distance),
                    fits[usize::from(form)].contains(&distance)
                );
                if fixup.reaches(form, 1000, 1000 + distance) {
                    let mut bytes = Vec::new();
                    fixup.encode(form, 1000, 1000 + distance, &mut bytes);
                    assert_eq!(bytes.len() as u32, fixup.len(form, 1000));
                }
            }
        }
    }

    #[test]
    fn linker_values_decide_lengths() {
        let gp = GpVersion::V08;
        let mut func =
            Fixup::func_ref(gp, Inst::reg_imm64(Opcode::LoadImm64, Reg::A0, 0), ssa::EntityId::new(3));
        func.set_value(5 << 32 | 8);
        assert_eq!((func.forms(), func.len(0, 0)), (1, 10));
        let mut table = Fixup::dispatch(gp, asm::jump_ind(Reg::A0, 0), 0);
        table.set_value(200);
        assert_eq!((table.forms(), table.len(0, 0)), (1, 4));
    }
}
