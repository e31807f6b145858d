//! Operand formats: the operands of an instruction, their order in the text and their letters in bit patterns.
//!
//! Instructions with the same operands share a format, such as `op rd, rn, rm`. Every format is one row of
//! `for_each_format!`. The variants of [`Format`] and [`Inst`](crate::Inst), the constructors, the visitor of registers
//! and the conversion to and from the fields of [`crate::pattern`] are generated from it.

/// Calls a macro with all formats: documentation, variant, constructor, and the fields with their kind and letter
/// (see [`crate::pattern`]).
macro_rules! for_each_format {
    ($each:ident) => {
        $each! {
            /// `op`
            NoArg no_arg {}
            /// `op #imm`
            Imm imm { imm: u32 b'i' }
            /// `op{s} rd, rn, #imm`
            AluImm alu_imm { s: bool b's', rd: R b'd', rn: R b'n', imm: u32 b'i' }
            /// `op{s} rd, rn, rm{, shift}`
            AluReg alu_reg { s: bool b's', rd: R b'd', rn: R b'n', rm: R b'm', shift: Shift b'h' }
            /// `op{s} rd, #imm`
            MovImm mov_imm { s: bool b's', rd: R b'd', imm: u32 b'i' }
            /// `op rd, #imm`
            MovHalf mov_half { rd: R b'd', imm: u32 b'i' }
            /// `op{s} rd, rm`
            MovReg mov_reg { s: bool b's', rd: R b'd', rm: R b'm' }
            /// `op{s} rd, rm{, shift}`
            MovShifted mov_shifted { s: bool b's', rd: R b'd', rm: R b'm', shift: Shift b'h' }
            /// `op rn, #imm`
            CmpImm cmp_imm { rn: R b'n', imm: u32 b'i' }
            /// `op rn, rm{, shift}`
            CmpReg cmp_reg { rn: R b'n', rm: R b'm', shift: Shift b'h' }
            /// `op rd, rn, #imm`
            AddPlain add_plain { rd: R b'd', rn: R b'n', imm: u32 b'i' }
            /// `op{s} rd, rm, #amount`
            ShiftImm shift_imm { s: bool b's', rd: R b'd', rm: R b'm', amount: u32 b'i' }
            /// `op{s} rd, rn, rm`
            Reg3S reg3_s { s: bool b's', rd: R b'd', rn: R b'n', rm: R b'm' }
            /// `op rd`
            Reg1 reg1 { rd: R b'd' }
            /// `op rd, rm`
            Reg2 reg2 { rd: R b'd', rm: R b'm' }
            /// `op rd, rn, rm`
            Reg3 reg3 { rd: R b'd', rn: R b'n', rm: R b'm' }
            /// `op rd, rn, rm, ra`
            Reg4 reg4 { rd: R b'd', rn: R b'n', rm: R b'm', ra: R b'a' }
            /// `op lo, hi, rn, rm`
            MulLong mul_long { lo: R b'd', hi: R b'a', rn: R b'n', rm: R b'm' }
            /// `op rd, rm{, ror #8 * rotation}`
            Extend extend { rd: R b'd', rm: R b'm', rotation: u8 b'r' }
            /// `op rd, rn, rm{, ror #8 * rotation}`
            ExtendAdd extend_add { rd: R b'd', rn: R b'n', rm: R b'm', rotation: u8 b'r' }
            /// `op rd, rn, #low, #width`
            BitField bit_field { rd: R b'd', rn: R b'n', low: u8 b'l', width: u8 b'w' }
            /// `op rd, #low, #width`
            BitClear bit_clear { rd: R b'd', low: u8 b'l', width: u8 b'w' }
            /// `op rd, #bits, rn`
            Saturate saturate { rd: R b'd', bits: u32 b'i', rn: R b'n' }
            /// `op rt, [rn, #offset]`
            Mem mem { rt: R b't', rn: R b'n', offset: i32 b'i' }
            /// `op rt, [rn, #offset]!`
            MemPre mem_pre { rt: R b't', rn: R b'n', offset: i32 b'i' }
            /// `op rt, [rn], #offset`
            MemPost mem_post { rt: R b't', rn: R b'n', offset: i32 b'i' }
            /// `op rt, [rn, rm, lsl #scale]`
            MemReg mem_reg { rt: R b't', rn: R b'n', rm: R b'm', scale: u32 b'i' }
            /// `op rt, [pc, #offset]`
            MemLit mem_lit { rt: R b't', offset: i32 b'i' }
            /// `op rt, rt2, [rn, #offset]`
            Dual dual { rt: R b't', rt2: R b'a', rn: R b'n', offset: i32 b'i' }
            /// `op rt, rt2, [rn, #offset]!`
            DualPre dual_pre { rt: R b't', rt2: R b'a', rn: R b'n', offset: i32 b'i' }
            /// `op rt, rt2, [rn], #offset`
            DualPost dual_post { rt: R b't', rt2: R b'a', rn: R b'n', offset: i32 b'i' }
            /// `op rn{!}, {list}`
            Multi multi { rn: R b'n', writeback: bool b'b', list: RegList b'i' }
            /// `op {list}`
            Stack stack { list: RegList b'i' }
            /// `op {first, …}`, `count` consecutive registers
            FloatStack float_stack { first: R b'd', count: u32 b'i' }
            /// `op #offset`
            Branch branch { offset: i32 b'i' }
            /// `op` with the condition appended, `#offset`
            BranchCond branch_cond { cond: Cond b'c', offset: i32 b'i' }
            /// `op rn, #offset`
            CmpBranch cmp_branch { rn: R b'n', offset: i32 b'i' }
            /// `op rm`
            BranchReg branch_reg { rm: R b'm' }
            /// `op [rn, rm]`
            TableBranch table_branch { rn: R b'n', rm: R b'm' }
            /// `op rd, #offset`
            Adr adr { rd: R b'd', offset: i32 b'i' }
            /// `op` with letters of the mask appended, `cond`
            It it { cond: Cond b'c', mask: ItMask b'k' }
            /// `op rd, sys`
            ReadSys read_sys { rd: R b'd', sys: SysReg b'y' }
            /// `op sys, rn`
            WriteSys write_sys { sys: SysReg b'y', rn: R b'n' }
            /// `op rd, #0`
            FloatCmpZero float_cmp_zero { rd: R b'd' }
            /// `op rd, #imm`, the constant in the form of [`crate::value::float_imm_to_f64`]
            FloatImm float_imm { rd: R b'd', imm: u8 b'i' }
        }
    };
}
pub(crate) use for_each_format;

macro_rules! define_formats {
    ($($(#[$doc:meta])* $format:ident $constructor:ident
        { $($field:ident : $kind:ident $letter:literal),* })*) => {
        /// The operand format of an instruction.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Format {
            $($(#[$doc])* $format,)*
        }

        impl Format {
            /// The letters of the fields.
            #[cfg(test)]
            pub(crate) const fn letters(self) -> &'static [u8] {
                match self {
                    $(Format::$format => &[$($letter),*],)*
                }
            }
        }
    };
}

for_each_format!(define_formats);
