//! The disassembler: programs as text.
//!
//! One line per instruction: position, bytes, assembly text (see [`crate::inst`]). A basic block begins with a line
//! with its position and its gas cost; functions with known names begin with their name. Code is walked as the machine
//! does it, from position 0 to the end. A position that acts as `trap` because its opcode is undefined or unmarked is
//! shown as `invalid`.
//!
//! ```text
//! main:
//! @0: ; gas 2
//!        0: c8 43 05             add_64 r5 = r3, r4
//!        3: 01                   fallthrough
//! ; jump table
//! ;   2 -> @0
//! ```
//!
//! The number before a jump-table entry is its code pointer.

use core::fmt::{self, Write};

use crate::blob::ProgramBlob;
use crate::decode::DecodedInst;
use crate::gas::block_cost_at;
use crate::metadata::FunctionName;
use crate::validate::block_starts;
use crate::version::GpVersion;

/// A program to print; its `Display` is the text.
#[derive(Clone, Copy, Debug)]
pub struct Disassembly<'a> {
    /// The program.
    pub program: &'a ProgramBlob,
    /// The version of the Gray Paper it is for.
    pub gp: GpVersion,
    /// Names of functions, sorted by position.
    pub functions: &'a [FunctionName],
    /// Whether to print the bytes of instructions.
    pub with_bytes: bool,
}

impl<'a> Disassembly<'a> {
    /// A disassembly with bytes and without names.
    pub fn new(program: &'a ProgramBlob, gp: GpVersion) -> Self {
        Disassembly { program, gp, functions: &[], with_bytes: true }
    }

    /// Prints an instruction.
    fn instruction(&self, f: &mut fmt::Formatter<'_>, pc: u32, inst: &DecodedInst<'_>) -> fmt::Result {
        write!(f, "  {pc:6}: ")?;
        if self.with_bytes {
            let mut hex = String::new();
            for byte in inst.bytes() {
                write!(hex, "{byte:02x} ")?;
            }
            write!(f, "{hex:<33}")?;
        }
        if !inst.is_valid {
            return writeln!(f, "invalid");
        }
        write!(f, "{}", inst.inst.display_at(pc))?;
        match inst.inst.target(pc).and_then(|target| self.name_of(target)) {
            Some(name) => writeln!(f, " <{name}>"),
            None => writeln!(f),
        }
    }

    /// The name of the function that starts at `pos`.
    fn name_of(&self, pos: i64) -> Option<&'a str> {
        let pos = u32::try_from(pos).ok()?;
        let index = self.functions.binary_search_by_key(&pos, |function| function.pc).ok()?;
        Some(&self.functions[index].name)
    }

    fn jump_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.program.jump_table.is_empty() {
            return Ok(());
        }
        writeln!(f, "; jump table")?;
        for (pointer, entry) in (2u64..).step_by(2).zip(&self.program.jump_table) {
            writeln!(f, ";   {pointer} -> @{entry}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Disassembly<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let starts = block_starts(self.gp, self.program);
        for (pc, inst) in self.program.instructions(self.gp) {
            if let Some(name) = self.name_of(pc.into()) {
                writeln!(f, "{name}:")?;
            }
            if starts.binary_search(&pc).is_ok() {
                writeln!(f, "@{pc}: ; gas {}", block_cost_at(self.gp, self.program, pc))?;
            }
            self.instruction(f, pc, &inst)?;
        }
        self.jump_table(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm;
    use crate::reg::Reg;

    #[test]
    fn a_program_reads_like_this() {
        let gp = GpVersion::V08;
        let mut program = ProgramBlob { jump_table: vec![0, 5], ..ProgramBlob::default() };
        program.push(gp, &asm::add_64(Reg::S0, Reg::T1, Reg::T2));
        program.push(gp, &asm::jump(2));
        program.push(gp, &asm::load_ind_u32(Reg::T1, Reg::A0, 8));
        program.push(gp, &asm::branch_ne_imm(Reg::T1, 0, -8));
        program.push(gp, &asm::trap());
        program.code.push(99);
        program.mask.grow(13);
        program.mask.set(12);
        let functions = [FunctionName { pc: 0, name: "main".into() }];
        let text = Disassembly { functions: &functions, ..Disassembly::new(&program, gp) }.to_string();
        let expected = "\
main:
@0: ; gas 15
       0: c8 43 05                         add_64 r5 = r3, r4
       3: 28 02                            jump -> @5
@5: ; gas 26
       5: 80 73 08                         load_ind_u32 r3 = [r7 + 8]
       8: 52 03 f8                         branch_ne_imm r3, 0 -> @0 <main>
@11: ; gas 2
      11: 00                               trap
      12: 63                               invalid
; jump table
;   2 -> @0
;   4 -> @5
";
        assert_eq!(text, expected);
    }
}
