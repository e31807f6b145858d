//! One constructor per instruction, named after its mnemonic.
//!
//! Hand-written code is easier to read as `asm::add_64(S0, T1, T2)` than as a format with an opcode. The functions are
//! generated from the instruction table; arguments are in the order of the assembly text, destination first.

use crate::inst::Inst;
use crate::reg::Reg;
use crate::table::{Opcode, for_each_inst};

macro_rules! constructor {
    (NoArg $v:ident $m:ident) => {
        constructor!(@ $m no_arg $v);
    };
    (Imm $v:ident $m:ident) => {
        constructor!(@ $m imm $v imm: i32);
    };
    (RegImm64 $v:ident $m:ident) => {
        constructor!(@ $m reg_imm64 $v dst: Reg, imm: u64);
    };
    (Imm2 $v:ident $m:ident) => {
        constructor!(@ $m imm2 $v addr: i32, value: i32);
    };
    (Off $v:ident $m:ident) => {
        constructor!(@ $m off $v offset: i32);
    };
    (RegImm $v:ident $m:ident) => {
        constructor!(@ $m reg_imm $v reg: Reg, imm: i32);
    };
    (RegImm2 $v:ident $m:ident) => {
        constructor!(@ $m reg_imm2 $v base: Reg, disp: i32, value: i32);
    };
    (RegImmOff $v:ident $m:ident) => {
        constructor!(@ $m reg_imm_off $v reg: Reg, imm: i32, offset: i32);
    };
    (Reg2 $v:ident $m:ident) => {
        constructor!(@ $m reg2 $v dst: Reg, src: Reg);
    };
    (Reg2Imm $v:ident $m:ident) => {
        constructor!(@ $m reg2_imm $v a: Reg, b: Reg, imm: i32);
    };
    (Reg2Off $v:ident $m:ident) => {
        constructor!(@ $m reg2_off $v a: Reg, b: Reg, offset: i32);
    };
    (Reg2Imm2 $v:ident $m:ident) => {
        constructor!(@ $m reg2_imm2 $v dst: Reg, base: Reg, imm: i32, disp: i32);
    };
    (Reg3 $v:ident $m:ident) => {
        constructor!(@ $m reg3 $v dst: Reg, a: Reg, b: Reg);
    };
    (@ $m:ident $by_format:ident $v:ident $($arg:ident: $ty:ty),*) => {
        #[doc = concat!("Constructs `", stringify!($m), "`.")]
        pub fn $m($($arg: $ty),*) -> Inst {
            Inst::$by_format(Opcode::$v $(, $arg)*)
        }
    };
}

macro_rules! constructors {
    ($($format:ident { $($variant:ident $mnemonic:ident $n072:tt $n08:tt $roles:ident $flow:ident
        $cycles:tt $slots:tt $units:ident $($property:ident = $value:tt)*;)* })*) => {
        $($(constructor!($format $variant $mnemonic);)*)*
    };
}

for_each_inst!(constructors);
