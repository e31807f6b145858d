//! The rows of the instruction table: one row per instruction, from which everything else derives.
//!
//! An instruction has many properties: its operands, its text, the registers and flags it reads and writes, the cores
//! that have it, its 16-bit and 32-bit forms. With one match per property, an instruction would be spread over many
//! files. So every instruction is one row of `for_each_inst!`, grouped by operand format ([`crate::format`]). A new
//! instruction is a new row; the tests compare it with LLVM without further work.
//!
//! Columns:
//!
//! - variant of [`Opcode`](crate::Opcode);
//! - mnemonic; the condition is inserted before the first `.` or blank, so `vadd.f32` gives `vaddeq.f32`;
//! - roles and classes of the register fields in the order of the format: `R`ead, `W`rite, `U`pdate of a core register
//!   other than `sp` and `pc`; a following `p` also allows `sp`, `c` also allows `pc`; `s` or `d` makes it a single-
//!   or double-precision register;
//! - flags: those written if the `s` operand is set (`s_arith`, `s_logic`, `s_mul`, `s_carry`, `s_rrx`; the last two
//!   also read the carry), those always written (`arith`, `logic`, `all`), those read (`reads_all`, `sel_…`);
//! - the feature a core needs for the 32-bit forms, or for all forms if there are none. 16-bit forms need v6-M, but
//!   for the formats that v6-M lacks as a whole, see [`crate::Form::feature`];
//! - properties, if any: `commutes` (the sources can be exchanged), `reads_list` and `writes_list` (the use of the list of
//!   registers), `call`, `trap`;
//! - the forms, preferred ones first: `narrow` (16 bits, keeps flags), `narrow_s` (16 bits, sets flags outside IT
//!   blocks only), `narrow_sets` (16 bits, sets flags, not in IT blocks), `wide` (32 bits), `wide_w` (32 bits, `.w` in
//!   text). Each has its bits, the coding of its `i` field (`as`; `Raw` by default) and its constraints (`where`), see
//!   [`crate::pattern`].

/// Calls a macro with all rows of the instruction table. See the module documentation for the columns.
macro_rules! for_each_inst {
    ($each:ident) => {
        $each! {
            NoArg {
                Nop            "nop"           []        none      Base {
                    narrow "10111111 0000 0000";
                    wide_w "11110011 10101111 10000000 00000000";
                }
                Yield          "yield"         []        none      Base {
                    narrow "10111111 0001 0000";
                    wide_w "11110011 10101111 10000000 00000001";
                }
                Wfe            "wfe"           []        none      Base {
                    narrow "10111111 0010 0000";
                    wide_w "11110011 10101111 10000000 00000010";
                }
                Wfi            "wfi"           []        none      Base {
                    narrow "10111111 0011 0000";
                    wide_w "11110011 10101111 10000000 00000011";
                }
                Sev            "sev"           []        none      Base {
                    narrow "10111111 0100 0000";
                    wide_w "11110011 10101111 10000000 00000100";
                }
                Dsb            "dsb sy"        []        none      V6 { wide "11110011 10111111 10001111 0100 1111"; }
                Dmb            "dmb sy"        []        none      V6 { wide "11110011 10111111 10001111 0101 1111"; }
                Isb            "isb sy"        []        none      V6 { wide "11110011 10111111 10001111 0110 1111"; }
                VmrsApsr       "vmrs APSR_nzcv, fpscr" []        all       FpSingle { wide "11101110 11110001 1111 1010 0001 0000"; }
            }
            Imm {
                Udf            "udf"           []        none      Base trap {
                    narrow "11011110 iiiiiiii";
                    wide_w "111101111111 iiii 1010 iiiiiiiiiiii";
                }
                Svc            "svc"           []        none      V6 { narrow "11011111 iiiiiiii"; }
                Bkpt           "bkpt"          []        none      V6 trap { narrow "10111110 iiiiiiii"; }
            }
            AluImm {
                AndImm         "and"           [W R]     s_logic   Base { wide "11110 i 0 0000 s nnnn 0 iii dddd iiiiiiii" as Modified; }
                BicImm         "bic"           [W R]     s_logic   Base { wide "11110 i 0 0001 s nnnn 0 iii dddd iiiiiiii" as Modified; }
                OrrImm         "orr"           [W R]     s_logic   Base { wide "11110 i 0 0010 s nnnn 0 iii dddd iiiiiiii" as Modified; }
                OrnImm         "orn"           [W R]     s_logic   Base { wide "11110 i 0 0011 s nnnn 0 iii dddd iiiiiiii" as Modified; }
                EorImm         "eor"           [W R]     s_logic   Base { wide "11110 i 0 0100 s nnnn 0 iii dddd iiiiiiii" as Modified; }
                AddImm         "add"           [Wp Rp]   s_arith   Base {
                    narrow_s "00110 ddd iiiiiiii" where "n=d";
                    narrow_s "0001110 iii nnn ddd";
                    narrow "101100000 iiiiiii" as Times4 where "d=13 n=d";
                    narrow "10101 ddd iiiiiiii" as Times4 where "n=13";
                    wide_w "11110 i 0 1000 s nnnn 0 iii dddd iiiiiiii" as Modified;
                }
                AdcImm         "adc"           [W R]     s_carry   Base { wide "11110 i 0 1010 s nnnn 0 iii dddd iiiiiiii" as Modified; }
                SbcImm         "sbc"           [W R]     s_carry   Base { wide "11110 i 0 1011 s nnnn 0 iii dddd iiiiiiii" as Modified; }
                SubImm         "sub"           [Wp Rp]   s_arith   Base {
                    narrow_s "00111 ddd iiiiiiii" where "n=d";
                    narrow_s "0001111 iii nnn ddd";
                    narrow "101100001 iiiiiii" as Times4 where "d=13 n=d";
                    wide_w "11110 i 0 1101 s nnnn 0 iii dddd iiiiiiii" as Modified;
                }
                RsbImm         "rsb"           [W R]     s_arith   Base {
                    narrow_s "0100001001 nnn ddd" where "i=0";
                    wide_w "11110 i 0 1110 s nnnn 0 iii dddd iiiiiiii" as Modified;
                }
            }
            AluReg {
                AndReg         "and"           [W R R]   s_logic   Base commutes {
                    narrow_s "010000 0000 mmm ddd" where "n=d h=0";
                    wide_w "1110101 0000 s nnnn 0 hhh dddd hhhh mmmm";
                }
                BicReg         "bic"           [W R R]   s_logic   Base {
                    narrow_s "010000 1110 mmm ddd" where "n=d h=0";
                    wide_w "1110101 0001 s nnnn 0 hhh dddd hhhh mmmm";
                }
                OrrReg         "orr"           [W R R]   s_logic   Base commutes {
                    narrow_s "010000 1100 mmm ddd" where "n=d h=0";
                    wide_w "1110101 0010 s nnnn 0 hhh dddd hhhh mmmm";
                }
                OrnReg         "orn"           [W R R]   s_logic   Base { wide "1110101 0011 s nnnn 0 hhh dddd hhhh mmmm"; }
                EorReg         "eor"           [W R R]   s_logic   Base commutes {
                    narrow_s "010000 0001 mmm ddd" where "n=d h=0";
                    wide_w "1110101 0100 s nnnn 0 hhh dddd hhhh mmmm";
                }
                AddReg         "add"           [Wp Rp R] s_arith   Base commutes {
                    narrow_s "0001100 mmm nnn ddd" where "h=0";
                    narrow "01000100 d 1101 ddd" where "n=13 m=d h=0";
                    narrow "01000100 d mmmm ddd" where "n=d h=0";
                    wide_w "1110101 1000 s nnnn 0 hhh dddd hhhh mmmm";
                }
                AdcReg         "adc"           [W R R]   s_carry   Base commutes {
                    narrow_s "010000 0101 mmm ddd" where "n=d h=0";
                    wide_w "1110101 1010 s nnnn 0 hhh dddd hhhh mmmm";
                }
                SbcReg         "sbc"           [W R R]   s_carry   Base {
                    narrow_s "010000 0110 mmm ddd" where "n=d h=0";
                    wide_w "1110101 1011 s nnnn 0 hhh dddd hhhh mmmm";
                }
                SubReg         "sub"           [Wp Rp R] s_arith   Base {
                    narrow_s "0001101 mmm nnn ddd" where "h=0";
                    wide_w "1110101 1101 s nnnn 0 hhh dddd hhhh mmmm";
                }
                RsbReg         "rsb"           [W R R]   s_arith   Base { wide "1110101 1110 s nnnn 0 hhh dddd hhhh mmmm"; }
            }
            MovImm {
                MovImm         "mov"           [W]       s_logic   Base {
                    narrow_s "00100 ddd iiiiiiii";
                    wide_w "11110 i 0 0010 s 1111 0 iii dddd iiiiiiii" as Modified;
                }
                MvnImm         "mvn"           [W]       s_logic   Base { wide "11110 i 0 0011 s 1111 0 iii dddd iiiiiiii" as Modified; }
            }
            MovHalf {
                Movw           "movw"          [W]       none      V8Base { wide "11110 i 100100 iiii 0 iii dddd iiiiiiii" as Imm16; }
                Movt           "movt"          [U]       none      V8Base { wide "11110 i 101100 iiii 0 iii dddd iiiiiiii" as Imm16; }
            }
            MovReg {
                MovReg         "mov"           [Wp Rp]   s_logic   Base {
                    narrow "01000110 d mmmm ddd";
                    narrow_sets "0000000000 mmm ddd";
                    wide_w "11101010010 s 1111 0000 dddd 0000 mmmm";
                }
                Rrx            "rrx"           [W R]     s_rrx     Base { wide "11101010010 s 1111 0000 dddd 0011 mmmm"; }
            }
            MovShifted {
                MvnReg         "mvn"           [W R]     s_logic   Base {
                    narrow_s "0100001111 mmm ddd" where "h=0";
                    wide_w "11101010011 s 1111 0 hhh dddd hhhh mmmm";
                }
            }
            CmpImm {
                CmpImm         "cmp"           [Rp]      arith     Base {
                    narrow "00101 nnn iiiiiiii";
                    wide_w "11110 i 0 1101 1 nnnn 0 iii 1111 iiiiiiii" as Modified;
                }
                CmnImm         "cmn"           [Rp]      arith     Base { wide_w "11110 i 0 1000 1 nnnn 0 iii 1111 iiiiiiii" as Modified; }
                TstImm         "tst"           [R]       logic     Base { wide_w "11110 i 0 0000 1 nnnn 0 iii 1111 iiiiiiii" as Modified; }
                TeqImm         "teq"           [R]       logic     Base { wide_w "11110 i 0 0100 1 nnnn 0 iii 1111 iiiiiiii" as Modified; }
            }
            CmpReg {
                CmpReg         "cmp"           [Rp R]    arith     Base {
                    narrow "010000 1010 mmm nnn" where "h=0";
                    narrow "01000101 n mmmm nnn" where "h=0";
                    wide_w "1110101 1101 1 nnnn 0 hhh 1111 hhhh mmmm";
                }
                CmnReg         "cmn"           [Rp R]    arith     Base commutes {
                    narrow "010000 1011 mmm nnn" where "h=0";
                    wide_w "1110101 1000 1 nnnn 0 hhh 1111 hhhh mmmm";
                }
                TstReg         "tst"           [R R]     logic     Base commutes {
                    narrow "010000 1000 mmm nnn" where "h=0";
                    wide_w "1110101 0000 1 nnnn 0 hhh 1111 hhhh mmmm";
                }
                TeqReg         "teq"           [R R]     logic     Base commutes { wide_w "1110101 0100 1 nnnn 0 hhh 1111 hhhh mmmm"; }
            }
            AddPlain {
                Addw           "addw"          [Wp Rp]   none      Base { wide "11110 i 100000 nnnn 0 iii dddd iiiiiiii"; }
                Subw           "subw"          [Wp Rp]   none      Base { wide "11110 i 101010 nnnn 0 iii dddd iiiiiiii"; }
            }
            ShiftImm {
                LslImm         "lsl"           [W R]     s_logic   Base {
                    narrow_s "000 00 iiiii mmm ddd" as NonZero;
                    wide_w "11101010010 s 1111 0 iii dddd ii 00 mmmm" as NonZero;
                }
                LsrImm         "lsr"           [W R]     s_logic   Base {
                    narrow_s "000 01 iiiii mmm ddd" as Wrap;
                    wide_w "11101010010 s 1111 0 iii dddd ii 01 mmmm" as Wrap;
                }
                AsrImm         "asr"           [W R]     s_logic   Base {
                    narrow_s "000 10 iiiii mmm ddd" as Wrap;
                    wide_w "11101010010 s 1111 0 iii dddd ii 10 mmmm" as Wrap;
                }
                RorImm         "ror"           [W R]     s_logic   Base { wide_w "11101010010 s 1111 0 iii dddd ii 11 mmmm" as NonZero; }
            }
            Reg3S {
                LslReg         "lsl"           [W R R]   s_logic   Base {
                    narrow_s "010000 0010 mmm ddd" where "n=d";
                    wide_w "111110100 00 s nnnn 1111 dddd 0000 mmmm";
                }
                LsrReg         "lsr"           [W R R]   s_logic   Base {
                    narrow_s "010000 0011 mmm ddd" where "n=d";
                    wide_w "111110100 01 s nnnn 1111 dddd 0000 mmmm";
                }
                AsrReg         "asr"           [W R R]   s_logic   Base {
                    narrow_s "010000 0100 mmm ddd" where "n=d";
                    wide_w "111110100 10 s nnnn 1111 dddd 0000 mmmm";
                }
                RorReg         "ror"           [W R R]   s_logic   Base {
                    narrow_s "010000 0111 mmm ddd" where "n=d";
                    wide_w "111110100 11 s nnnn 1111 dddd 0000 mmmm";
                }
                Mul            "mul"           [W R R]   s_mul     Base commutes {
                    narrow_s "0100001101 nnn ddd" where "m=d";
                    wide "111110110000 nnnn 1111 dddd 0000 mmmm" where "s=0";
                }
            }
            Reg1 {
                Vmrs           "vmrs"          [W]       none      FpSingle { wide "11101110 11110001 dddd 1010 0001 0000"; }
                Vmsr           "vmsr"          [R]       none      FpSingle { wide "11101110 11100001 dddd 1010 0001 0000"; }
            }
            Reg2 {
                Clz            "clz"           [W R]     none      Base { wide "111110101011 xxxx 1111 dddd 1000 mmmm" where "x=m"; }
                Rbit           "rbit"          [W R]     none      Base { wide "111110101001 xxxx 1111 dddd 1010 mmmm" where "x=m"; }
                Rev            "rev"           [W R]     none      Base {
                    narrow "10111010 00 mmm ddd";
                    wide_w "111110101001 xxxx 1111 dddd 1000 mmmm" where "x=m";
                }
                Rev16          "rev16"         [W R]     none      Base {
                    narrow "10111010 01 mmm ddd";
                    wide_w "111110101001 xxxx 1111 dddd 1001 mmmm" where "x=m";
                }
                Revsh          "revsh"         [W R]     none      Base {
                    narrow "10111010 11 mmm ddd";
                    wide_w "111110101001 xxxx 1111 dddd 1011 mmmm" where "x=m";
                }
                VmovF32        "vmov.f32"      [Ws Rs]   none      FpSingle { wide "11101110 1 D 11 0000 dddd 1010 01 M 0 mmmm"; }
                VmovF64        "vmov.f64"      [Wd Rd]   none      FpDouble { wide "11101110 1 0 11 0000 dddd 1011 01 0 0 mmmm"; }
                VabsF32        "vabs.f32"      [Ws Rs]   none      FpSingle { wide "11101110 1 D 11 0000 dddd 1010 11 M 0 mmmm"; }
                VabsF64        "vabs.f64"      [Wd Rd]   none      FpDouble { wide "11101110 1 0 11 0000 dddd 1011 11 0 0 mmmm"; }
                VnegF32        "vneg.f32"      [Ws Rs]   none      FpSingle { wide "11101110 1 D 11 0001 dddd 1010 01 M 0 mmmm"; }
                VnegF64        "vneg.f64"      [Wd Rd]   none      FpDouble { wide "11101110 1 0 11 0001 dddd 1011 01 0 0 mmmm"; }
                VsqrtF32       "vsqrt.f32"     [Ws Rs]   none      FpSingle { wide "11101110 1 D 11 0001 dddd 1010 11 M 0 mmmm"; }
                VsqrtF64       "vsqrt.f64"     [Wd Rd]   none      FpDouble { wide "11101110 1 0 11 0001 dddd 1011 11 0 0 mmmm"; }
                VcmpF32        "vcmp.f32"      [Rs Rs]   none      FpSingle { wide "11101110 1 D 11 0100 dddd 1010 01 M 0 mmmm"; }
                VcmpF64        "vcmp.f64"      [Rd Rd]   none      FpDouble { wide "11101110 1 0 11 0100 dddd 1011 01 0 0 mmmm"; }
                VcmpeF32       "vcmpe.f32"     [Rs Rs]   none      FpSingle { wide "11101110 1 D 11 0100 dddd 1010 11 M 0 mmmm"; }
                VcmpeF64       "vcmpe.f64"     [Rd Rd]   none      FpDouble { wide "11101110 1 0 11 0100 dddd 1011 11 0 0 mmmm"; }
                VrintrF32      "vrintr.f32"    [Ws Rs]   none      Fp5Single { wide "11101110 1 D 11 0110 dddd 1010 01 M 0 mmmm"; }
                VrintrF64      "vrintr.f64"    [Wd Rd]   none      Fp5Double { wide "11101110 1 0 11 0110 dddd 1011 01 0 0 mmmm"; }
                VrintzF32      "vrintz.f32"    [Ws Rs]   none      Fp5Single { wide "11101110 1 D 11 0110 dddd 1010 11 M 0 mmmm"; }
                VrintzF64      "vrintz.f64"    [Wd Rd]   none      Fp5Double { wide "11101110 1 0 11 0110 dddd 1011 11 0 0 mmmm"; }
                VrintxF32      "vrintx.f32"    [Ws Rs]   none      Fp5Single { wide "11101110 1 D 11 0111 dddd 1010 01 M 0 mmmm"; }
                VrintxF64      "vrintx.f64"    [Wd Rd]   none      Fp5Double { wide "11101110 1 0 11 0111 dddd 1011 01 0 0 mmmm"; }
                VrintaF32      "vrinta.f32"    [Ws Rs]   none      Fp5Single { wide "11111110 1 D 11 1000 dddd 1010 01 M 0 mmmm"; }
                VrintaF64      "vrinta.f64"    [Wd Rd]   none      Fp5Double { wide "11111110 1 0 11 1000 dddd 1011 01 0 0 mmmm"; }
                VrintnF32      "vrintn.f32"    [Ws Rs]   none      Fp5Single { wide "11111110 1 D 11 1001 dddd 1010 01 M 0 mmmm"; }
                VrintnF64      "vrintn.f64"    [Wd Rd]   none      Fp5Double { wide "11111110 1 0 11 1001 dddd 1011 01 0 0 mmmm"; }
                VrintpF32      "vrintp.f32"    [Ws Rs]   none      Fp5Single { wide "11111110 1 D 11 1010 dddd 1010 01 M 0 mmmm"; }
                VrintpF64      "vrintp.f64"    [Wd Rd]   none      Fp5Double { wide "11111110 1 0 11 1010 dddd 1011 01 0 0 mmmm"; }
                VrintmF32      "vrintm.f32"    [Ws Rs]   none      Fp5Single { wide "11111110 1 D 11 1011 dddd 1010 01 M 0 mmmm"; }
                VrintmF64      "vrintm.f64"    [Wd Rd]   none      Fp5Double { wide "11111110 1 0 11 1011 dddd 1011 01 0 0 mmmm"; }
                VcvtF64F32     "vcvt.f64.f32"  [Wd Rs]   none      FpDouble { wide "11101110 1 0 11 0111 dddd 1010 11 M 0 mmmm"; }
                VcvtF32F64     "vcvt.f32.f64"  [Ws Rd]   none      FpDouble { wide "11101110 1 D 11 0111 dddd 1011 11 0 0 mmmm"; }
                VcvtF32S32     "vcvt.f32.s32"  [Ws Rs]   none      FpSingle { wide "11101110 1 D 11 1000 dddd 1010 11 M 0 mmmm"; }
                VcvtF64S32     "vcvt.f64.s32"  [Wd Rs]   none      FpDouble { wide "11101110 1 0 11 1000 dddd 1011 11 M 0 mmmm"; }
                VcvtF32U32     "vcvt.f32.u32"  [Ws Rs]   none      FpSingle { wide "11101110 1 D 11 1000 dddd 1010 01 M 0 mmmm"; }
                VcvtF64U32     "vcvt.f64.u32"  [Wd Rs]   none      FpDouble { wide "11101110 1 0 11 1000 dddd 1011 01 M 0 mmmm"; }
                VcvtS32F32     "vcvt.s32.f32"  [Ws Rs]   none      FpSingle { wide "11101110 1 D 11 1101 dddd 1010 11 M 0 mmmm"; }
                VcvtS32F64     "vcvt.s32.f64"  [Ws Rd]   none      FpDouble { wide "11101110 1 D 11 1101 dddd 1011 11 0 0 mmmm"; }
                VcvtU32F32     "vcvt.u32.f32"  [Ws Rs]   none      FpSingle { wide "11101110 1 D 11 1100 dddd 1010 11 M 0 mmmm"; }
                VcvtU32F64     "vcvt.u32.f64"  [Ws Rd]   none      FpDouble { wide "11101110 1 D 11 1100 dddd 1011 11 0 0 mmmm"; }
                VcvtrS32F32    "vcvtr.s32.f32" [Ws Rs]   none      FpSingle { wide "11101110 1 D 11 1101 dddd 1010 01 M 0 mmmm"; }
                VcvtrS32F64    "vcvtr.s32.f64" [Ws Rd]   none      FpDouble { wide "11101110 1 D 11 1101 dddd 1011 01 0 0 mmmm"; }
                VcvtrU32F32    "vcvtr.u32.f32" [Ws Rs]   none      FpSingle { wide "11101110 1 D 11 1100 dddd 1010 01 M 0 mmmm"; }
                VcvtrU32F64    "vcvtr.u32.f64" [Ws Rd]   none      FpDouble { wide "11101110 1 D 11 1100 dddd 1011 01 0 0 mmmm"; }
                VcvtaS32F32    "vcvta.s32.f32" [Ws Rs]   none      Fp5Single { wide "11111110 1 D 11 1100 dddd 1010 11 M 0 mmmm"; }
                VcvtaS32F64    "vcvta.s32.f64" [Ws Rd]   none      Fp5Double { wide "11111110 1 D 11 1100 dddd 1011 11 0 0 mmmm"; }
                VcvtaU32F32    "vcvta.u32.f32" [Ws Rs]   none      Fp5Single { wide "11111110 1 D 11 1100 dddd 1010 01 M 0 mmmm"; }
                VcvtaU32F64    "vcvta.u32.f64" [Ws Rd]   none      Fp5Double { wide "11111110 1 D 11 1100 dddd 1011 01 0 0 mmmm"; }
                VcvtnS32F32    "vcvtn.s32.f32" [Ws Rs]   none      Fp5Single { wide "11111110 1 D 11 1101 dddd 1010 11 M 0 mmmm"; }
                VcvtnS32F64    "vcvtn.s32.f64" [Ws Rd]   none      Fp5Double { wide "11111110 1 D 11 1101 dddd 1011 11 0 0 mmmm"; }
                VcvtnU32F32    "vcvtn.u32.f32" [Ws Rs]   none      Fp5Single { wide "11111110 1 D 11 1101 dddd 1010 01 M 0 mmmm"; }
                VcvtnU32F64    "vcvtn.u32.f64" [Ws Rd]   none      Fp5Double { wide "11111110 1 D 11 1101 dddd 1011 01 0 0 mmmm"; }
                VcvtpS32F32    "vcvtp.s32.f32" [Ws Rs]   none      Fp5Single { wide "11111110 1 D 11 1110 dddd 1010 11 M 0 mmmm"; }
                VcvtpS32F64    "vcvtp.s32.f64" [Ws Rd]   none      Fp5Double { wide "11111110 1 D 11 1110 dddd 1011 11 0 0 mmmm"; }
                VcvtpU32F32    "vcvtp.u32.f32" [Ws Rs]   none      Fp5Single { wide "11111110 1 D 11 1110 dddd 1010 01 M 0 mmmm"; }
                VcvtpU32F64    "vcvtp.u32.f64" [Ws Rd]   none      Fp5Double { wide "11111110 1 D 11 1110 dddd 1011 01 0 0 mmmm"; }
                VcvtmS32F32    "vcvtm.s32.f32" [Ws Rs]   none      Fp5Single { wide "11111110 1 D 11 1111 dddd 1010 11 M 0 mmmm"; }
                VcvtmS32F64    "vcvtm.s32.f64" [Ws Rd]   none      Fp5Double { wide "11111110 1 D 11 1111 dddd 1011 11 0 0 mmmm"; }
                VcvtmU32F32    "vcvtm.u32.f32" [Ws Rs]   none      Fp5Single { wide "11111110 1 D 11 1111 dddd 1010 01 M 0 mmmm"; }
                VcvtmU32F64    "vcvtm.u32.f64" [Ws Rd]   none      Fp5Double { wide "11111110 1 D 11 1111 dddd 1011 01 0 0 mmmm"; }
                VmovToSingle   "vmov"          [Ws R]    none      FpSingle { wide "111011100000 dddd mmmm 1010 D 0010000"; }
                VmovFromSingle "vmov"          [W Rs]    none      FpSingle { wide "111011100001 mmmm dddd 1010 M 0010000"; }
            }
            Reg3 {
                Sdiv           "sdiv"          [W R R]   none      V8Base { wide "111110111001 nnnn 1111 dddd 1111 mmmm"; }
                Udiv           "udiv"          [W R R]   none      V8Base { wide "111110111011 nnnn 1111 dddd 1111 mmmm"; }
                Smulbb         "smulbb"        [W R R]   none      Dsp { wide "111110110001 nnnn 1111 dddd 0000 mmmm"; }
                Smulbt         "smulbt"        [W R R]   none      Dsp { wide "111110110001 nnnn 1111 dddd 0001 mmmm"; }
                Smultb         "smultb"        [W R R]   none      Dsp { wide "111110110001 nnnn 1111 dddd 0010 mmmm"; }
                Smultt         "smultt"        [W R R]   none      Dsp { wide "111110110001 nnnn 1111 dddd 0011 mmmm"; }
                Smulwb         "smulwb"        [W R R]   none      Dsp { wide "111110110011 nnnn 1111 dddd 0000 mmmm"; }
                Smulwt         "smulwt"        [W R R]   none      Dsp { wide "111110110011 nnnn 1111 dddd 0001 mmmm"; }
                Smmul          "smmul"         [W R R]   none      Dsp { wide "111110110101 nnnn 1111 dddd 0000 mmmm"; }
                Qadd           "qadd"          [W R R]   none      Dsp { wide "111110101000 mmmm 1111 dddd 1000 nnnn"; }
                Qsub           "qsub"          [W R R]   none      Dsp { wide "111110101000 mmmm 1111 dddd 1010 nnnn"; }
                VaddF32        "vadd.f32"      [Ws Rs Rs]none      FpSingle { wide "11101110 0 D 11 nnnn dddd 1010 N 0 M 0 mmmm"; }
                VaddF64        "vadd.f64"      [Wd Rd Rd]none      FpDouble { wide "11101110 0 0 11 nnnn dddd 1011 0 0 0 0 mmmm"; }
                VsubF32        "vsub.f32"      [Ws Rs Rs]none      FpSingle { wide "11101110 0 D 11 nnnn dddd 1010 N 1 M 0 mmmm"; }
                VsubF64        "vsub.f64"      [Wd Rd Rd]none      FpDouble { wide "11101110 0 0 11 nnnn dddd 1011 0 1 0 0 mmmm"; }
                VmulF32        "vmul.f32"      [Ws Rs Rs]none      FpSingle { wide "11101110 0 D 10 nnnn dddd 1010 N 0 M 0 mmmm"; }
                VmulF64        "vmul.f64"      [Wd Rd Rd]none      FpDouble { wide "11101110 0 0 10 nnnn dddd 1011 0 0 0 0 mmmm"; }
                VnmulF32       "vnmul.f32"     [Ws Rs Rs]none      FpSingle { wide "11101110 0 D 10 nnnn dddd 1010 N 1 M 0 mmmm"; }
                VnmulF64       "vnmul.f64"     [Wd Rd Rd]none      FpDouble { wide "11101110 0 0 10 nnnn dddd 1011 0 1 0 0 mmmm"; }
                VdivF32        "vdiv.f32"      [Ws Rs Rs]none      FpSingle { wide "11101110 1 D 00 nnnn dddd 1010 N 0 M 0 mmmm"; }
                VdivF64        "vdiv.f64"      [Wd Rd Rd]none      FpDouble { wide "11101110 1 0 00 nnnn dddd 1011 0 0 0 0 mmmm"; }
                VmlaF32        "vmla.f32"      [Us Rs Rs]none      FpSingle { wide "11101110 0 D 00 nnnn dddd 1010 N 0 M 0 mmmm"; }
                VmlaF64        "vmla.f64"      [Ud Rd Rd]none      FpDouble { wide "11101110 0 0 00 nnnn dddd 1011 0 0 0 0 mmmm"; }
                VmlsF32        "vmls.f32"      [Us Rs Rs]none      FpSingle { wide "11101110 0 D 00 nnnn dddd 1010 N 1 M 0 mmmm"; }
                VmlsF64        "vmls.f64"      [Ud Rd Rd]none      FpDouble { wide "11101110 0 0 00 nnnn dddd 1011 0 1 0 0 mmmm"; }
                VnmlsF32       "vnmls.f32"     [Us Rs Rs]none      FpSingle { wide "11101110 0 D 01 nnnn dddd 1010 N 0 M 0 mmmm"; }
                VnmlsF64       "vnmls.f64"     [Ud Rd Rd]none      FpDouble { wide "11101110 0 0 01 nnnn dddd 1011 0 0 0 0 mmmm"; }
                VnmlaF32       "vnmla.f32"     [Us Rs Rs]none      FpSingle { wide "11101110 0 D 01 nnnn dddd 1010 N 1 M 0 mmmm"; }
                VnmlaF64       "vnmla.f64"     [Ud Rd Rd]none      FpDouble { wide "11101110 0 0 01 nnnn dddd 1011 0 1 0 0 mmmm"; }
                VfmaF32        "vfma.f32"      [Us Rs Rs]none      FpSingle { wide "11101110 1 D 10 nnnn dddd 1010 N 0 M 0 mmmm"; }
                VfmaF64        "vfma.f64"      [Ud Rd Rd]none      FpDouble { wide "11101110 1 0 10 nnnn dddd 1011 0 0 0 0 mmmm"; }
                VfmsF32        "vfms.f32"      [Us Rs Rs]none      FpSingle { wide "11101110 1 D 10 nnnn dddd 1010 N 1 M 0 mmmm"; }
                VfmsF64        "vfms.f64"      [Ud Rd Rd]none      FpDouble { wide "11101110 1 0 10 nnnn dddd 1011 0 1 0 0 mmmm"; }
                VfnmsF32       "vfnms.f32"     [Us Rs Rs]none      FpSingle { wide "11101110 1 D 01 nnnn dddd 1010 N 0 M 0 mmmm"; }
                VfnmsF64       "vfnms.f64"     [Ud Rd Rd]none      FpDouble { wide "11101110 1 0 01 nnnn dddd 1011 0 0 0 0 mmmm"; }
                VfnmaF32       "vfnma.f32"     [Us Rs Rs]none      FpSingle { wide "11101110 1 D 01 nnnn dddd 1010 N 1 M 0 mmmm"; }
                VfnmaF64       "vfnma.f64"     [Ud Rd Rd]none      FpDouble { wide "11101110 1 0 01 nnnn dddd 1011 0 1 0 0 mmmm"; }
                VmaxnmF32      "vmaxnm.f32"    [Ws Rs Rs]none      Fp5Single { wide "11111110 1 D 00 nnnn dddd 1010 N 0 M 0 mmmm"; }
                VmaxnmF64      "vmaxnm.f64"    [Wd Rd Rd]none      Fp5Double { wide "11111110 1 0 00 nnnn dddd 1011 0 0 0 0 mmmm"; }
                VminnmF32      "vminnm.f32"    [Ws Rs Rs]none      Fp5Single { wide "11111110 1 D 00 nnnn dddd 1010 N 1 M 0 mmmm"; }
                VminnmF64      "vminnm.f64"    [Wd Rd Rd]none      Fp5Double { wide "11111110 1 0 00 nnnn dddd 1011 0 1 0 0 mmmm"; }
                VseleqF32      "vseleq.f32"    [Ws Rs Rs]sel_eq    Fp5Single { wide "11111110 0 D 00 nnnn dddd 1010 N 0 M 0 mmmm"; }
                VseleqF64      "vseleq.f64"    [Wd Rd Rd]sel_eq    Fp5Double { wide "11111110 0 0 00 nnnn dddd 1011 0 0 0 0 mmmm"; }
                VselvsF32      "vselvs.f32"    [Ws Rs Rs]sel_vs    Fp5Single { wide "11111110 0 D 01 nnnn dddd 1010 N 0 M 0 mmmm"; }
                VselvsF64      "vselvs.f64"    [Wd Rd Rd]sel_vs    Fp5Double { wide "11111110 0 0 01 nnnn dddd 1011 0 0 0 0 mmmm"; }
                VselgeF32      "vselge.f32"    [Ws Rs Rs]sel_ge    Fp5Single { wide "11111110 0 D 10 nnnn dddd 1010 N 0 M 0 mmmm"; }
                VselgeF64      "vselge.f64"    [Wd Rd Rd]sel_ge    Fp5Double { wide "11111110 0 0 10 nnnn dddd 1011 0 0 0 0 mmmm"; }
                VselgtF32      "vselgt.f32"    [Ws Rs Rs]sel_gt    Fp5Single { wide "11111110 0 D 11 nnnn dddd 1010 N 0 M 0 mmmm"; }
                VselgtF64      "vselgt.f64"    [Wd Rd Rd]sel_gt    Fp5Double { wide "11111110 0 0 11 nnnn dddd 1011 0 0 0 0 mmmm"; }
                VmovToDouble   "vmov"          [Wd R R]  none      FpSingle { wide "111011000100 mmmm nnnn 1011 0001 dddd"; }
                VmovFromDouble "vmov"          [W W Rd]  none      FpSingle { wide "111011000101 nnnn dddd 1011 0001 mmmm"; }
            }
            Reg4 {
                Mla            "mla"           [W R R R] none      Base { wide "111110110000 nnnn aaaa dddd 0000 mmmm"; }
                Mls            "mls"           [W R R R] none      Base { wide "111110110000 nnnn aaaa dddd 0001 mmmm"; }
                Smlabb         "smlabb"        [W R R R] none      Dsp { wide "111110110001 nnnn aaaa dddd 0000 mmmm"; }
                Smlabt         "smlabt"        [W R R R] none      Dsp { wide "111110110001 nnnn aaaa dddd 0001 mmmm"; }
                Smlatb         "smlatb"        [W R R R] none      Dsp { wide "111110110001 nnnn aaaa dddd 0010 mmmm"; }
                Smlatt         "smlatt"        [W R R R] none      Dsp { wide "111110110001 nnnn aaaa dddd 0011 mmmm"; }
                Smlawb         "smlawb"        [W R R R] none      Dsp { wide "111110110011 nnnn aaaa dddd 0000 mmmm"; }
                Smlawt         "smlawt"        [W R R R] none      Dsp { wide "111110110011 nnnn aaaa dddd 0001 mmmm"; }
                Smmla          "smmla"         [W R R R] none      Dsp { wide "111110110101 nnnn aaaa dddd 0000 mmmm"; }
                Smmls          "smmls"         [W R R R] none      Dsp { wide "111110110110 nnnn aaaa dddd 0000 mmmm"; }
            }
            MulLong {
                Smull          "smull"         [W W R R] none      Base { wide "11111011 1000 nnnn dddd aaaa 0000 mmmm"; }
                Umull          "umull"         [W W R R] none      Base { wide "11111011 1010 nnnn dddd aaaa 0000 mmmm"; }
                Smlal          "smlal"         [U U R R] none      Base { wide "11111011 1100 nnnn dddd aaaa 0000 mmmm"; }
                Umlal          "umlal"         [U U R R] none      Base { wide "11111011 1110 nnnn dddd aaaa 0000 mmmm"; }
                Umaal          "umaal"         [U U R R] none      Dsp { wide "11111011 1110 nnnn dddd aaaa 0110 mmmm"; }
                Smlalbb        "smlalbb"       [U U R R] none      Dsp { wide "111110111100 nnnn dddd aaaa 1000 mmmm"; }
                Smlalbt        "smlalbt"       [U U R R] none      Dsp { wide "111110111100 nnnn dddd aaaa 1001 mmmm"; }
                Smlaltb        "smlaltb"       [U U R R] none      Dsp { wide "111110111100 nnnn dddd aaaa 1010 mmmm"; }
                Smlaltt        "smlaltt"       [U U R R] none      Dsp { wide "111110111100 nnnn dddd aaaa 1011 mmmm"; }
            }
            Extend {
                Sxth           "sxth"          [W R]     none      Base {
                    narrow "10110010 00 mmm ddd" where "r=0";
                    wide_w "111110100 000 1111 1111 dddd 10 rr mmmm";
                }
                Uxth           "uxth"          [W R]     none      Base {
                    narrow "10110010 10 mmm ddd" where "r=0";
                    wide_w "111110100 001 1111 1111 dddd 10 rr mmmm";
                }
                Sxtb16         "sxtb16"        [W R]     none      Dsp { wide "111110100 010 1111 1111 dddd 10 rr mmmm"; }
                Uxtb16         "uxtb16"        [W R]     none      Dsp { wide "111110100 011 1111 1111 dddd 10 rr mmmm"; }
                Sxtb           "sxtb"          [W R]     none      Base {
                    narrow "10110010 01 mmm ddd" where "r=0";
                    wide_w "111110100 100 1111 1111 dddd 10 rr mmmm";
                }
                Uxtb           "uxtb"          [W R]     none      Base {
                    narrow "10110010 11 mmm ddd" where "r=0";
                    wide_w "111110100 101 1111 1111 dddd 10 rr mmmm";
                }
            }
            ExtendAdd {
                Sxtah          "sxtah"         [W R R]   none      Dsp { wide "111110100 000 nnnn 1111 dddd 10 rr mmmm"; }
                Uxtah          "uxtah"         [W R R]   none      Dsp { wide "111110100 001 nnnn 1111 dddd 10 rr mmmm"; }
                Sxtab16        "sxtab16"       [W R R]   none      Dsp { wide "111110100 010 nnnn 1111 dddd 10 rr mmmm"; }
                Uxtab16        "uxtab16"       [W R R]   none      Dsp { wide "111110100 011 nnnn 1111 dddd 10 rr mmmm"; }
                Sxtab          "sxtab"         [W R R]   none      Dsp { wide "111110100 100 nnnn 1111 dddd 10 rr mmmm"; }
                Uxtab          "uxtab"         [W R R]   none      Dsp { wide "111110100 101 nnnn 1111 dddd 10 rr mmmm"; }
            }
            BitField {
                Bfi            "bfi"           [U R]     none      Base { wide "111100110110 nnnn 0 lll dddd ll 0 eeeee"; }
                Sbfx           "sbfx"          [W R]     none      Base { wide "111100110100 nnnn 0 lll dddd ll 0 zzzzz"; }
                Ubfx           "ubfx"          [W R]     none      Base { wide "111100111100 nnnn 0 lll dddd ll 0 zzzzz"; }
            }
            BitClear {
                Bfc            "bfc"           [U]       none      Base { wide "111100110110 1111 0 lll dddd ll 0 eeeee"; }
            }
            Saturate {
                Ssat           "ssat"          [W R]     none      Base { wide "111100110000 nnnn 0000 dddd 000 iiiii" as Minus1; }
                Usat           "usat"          [W R]     none      Base { wide "111100111000 nnnn 0000 dddd 000 iiiii"; }
            }
            Mem {
                Str            "str"           [Rp Rp]   none      Base {
                    narrow "01100 iiiii nnn ttt" as Times4;
                    narrow "10010 ttt iiiiiiii" as Times4 where "n=13";
                    wide_w "1111100 0 1 100 nnnn tttt iiiiiiiiiiii";
                    wide "1111100 0 0 100 nnnn tttt 1100 iiiiiiii" as Negated;
                }
                Ldr            "ldr"           [Wp Rp]   none      Base {
                    narrow "01101 iiiii nnn ttt" as Times4;
                    narrow "10011 ttt iiiiiiii" as Times4 where "n=13";
                    wide_w "1111100 0 1 101 nnnn tttt iiiiiiiiiiii";
                    wide "1111100 0 0 101 nnnn tttt 1100 iiiiiiii" as Negated;
                }
                Strb           "strb"          [R Rp]    none      Base {
                    narrow "01110 iiiii nnn ttt";
                    wide_w "1111100 0 1 000 nnnn tttt iiiiiiiiiiii";
                    wide "1111100 0 0 000 nnnn tttt 1100 iiiiiiii" as Negated;
                }
                Ldrb           "ldrb"          [W Rp]    none      Base {
                    narrow "01111 iiiii nnn ttt";
                    wide_w "1111100 0 1 001 nnnn tttt iiiiiiiiiiii";
                    wide "1111100 0 0 001 nnnn tttt 1100 iiiiiiii" as Negated;
                }
                Strh           "strh"          [R Rp]    none      Base {
                    narrow "10000 iiiii nnn ttt" as Times2;
                    wide_w "1111100 0 1 010 nnnn tttt iiiiiiiiiiii";
                    wide "1111100 0 0 010 nnnn tttt 1100 iiiiiiii" as Negated;
                }
                Ldrh           "ldrh"          [W Rp]    none      Base {
                    narrow "10001 iiiii nnn ttt" as Times2;
                    wide_w "1111100 0 1 011 nnnn tttt iiiiiiiiiiii";
                    wide "1111100 0 0 011 nnnn tttt 1100 iiiiiiii" as Negated;
                }
                Ldrsb          "ldrsb"         [W Rp]    none      Base {
                    wide_w "1111100 1 1 001 nnnn tttt iiiiiiiiiiii";
                    wide "1111100 1 0 001 nnnn tttt 1100 iiiiiiii" as Negated;
                }
                Ldrsh          "ldrsh"         [W Rp]    none      Base {
                    wide_w "1111100 1 1 011 nnnn tttt iiiiiiiiiiii";
                    wide "1111100 1 0 011 nnnn tttt 1100 iiiiiiii" as Negated;
                }
                VstrF32        "vstr"          [Rs Rp]   none      FpSingle { wide "11101101 i T 00 nnnn tttt 1010 iiiiiiii" as SignMagnitude4; }
                VstrF64        "vstr"          [Rd Rp]   none      FpSingle { wide "11101101 i 0 00 nnnn tttt 1011 iiiiiiii" as SignMagnitude4; }
                VldrF32        "vldr"          [Ws Rp]   none      FpSingle { wide "11101101 i T 01 nnnn tttt 1010 iiiiiiii" as SignMagnitude4; }
                VldrF64        "vldr"          [Wd Rp]   none      FpSingle { wide "11101101 i 0 01 nnnn tttt 1011 iiiiiiii" as SignMagnitude4; }
            }
            MemPre {
                StrPre         "str"           [Rp Up]   none      Base { wide "1111100 0 0 100 nnnn tttt 11 i 1 iiiiiiii" as SignMagnitude; }
                LdrPre         "ldr"           [Wp Up]   none      Base { wide "1111100 0 0 101 nnnn tttt 11 i 1 iiiiiiii" as SignMagnitude; }
                StrbPre        "strb"          [R Up]    none      Base { wide "1111100 0 0 000 nnnn tttt 11 i 1 iiiiiiii" as SignMagnitude; }
                LdrbPre        "ldrb"          [W Up]    none      Base { wide "1111100 0 0 001 nnnn tttt 11 i 1 iiiiiiii" as SignMagnitude; }
                StrhPre        "strh"          [R Up]    none      Base { wide "1111100 0 0 010 nnnn tttt 11 i 1 iiiiiiii" as SignMagnitude; }
                LdrhPre        "ldrh"          [W Up]    none      Base { wide "1111100 0 0 011 nnnn tttt 11 i 1 iiiiiiii" as SignMagnitude; }
                LdrsbPre       "ldrsb"         [W Up]    none      Base { wide "1111100 1 0 001 nnnn tttt 11 i 1 iiiiiiii" as SignMagnitude; }
                LdrshPre       "ldrsh"         [W Up]    none      Base { wide "1111100 1 0 011 nnnn tttt 11 i 1 iiiiiiii" as SignMagnitude; }
            }
            MemPost {
                StrPost        "str"           [Rp Up]   none      Base { wide "1111100 0 0 100 nnnn tttt 10 i 1 iiiiiiii" as SignMagnitude; }
                LdrPost        "ldr"           [Wp Up]   none      Base { wide "1111100 0 0 101 nnnn tttt 10 i 1 iiiiiiii" as SignMagnitude; }
                StrbPost       "strb"          [R Up]    none      Base { wide "1111100 0 0 000 nnnn tttt 10 i 1 iiiiiiii" as SignMagnitude; }
                LdrbPost       "ldrb"          [W Up]    none      Base { wide "1111100 0 0 001 nnnn tttt 10 i 1 iiiiiiii" as SignMagnitude; }
                StrhPost       "strh"          [R Up]    none      Base { wide "1111100 0 0 010 nnnn tttt 10 i 1 iiiiiiii" as SignMagnitude; }
                LdrhPost       "ldrh"          [W Up]    none      Base { wide "1111100 0 0 011 nnnn tttt 10 i 1 iiiiiiii" as SignMagnitude; }
                LdrsbPost      "ldrsb"         [W Up]    none      Base { wide "1111100 1 0 001 nnnn tttt 10 i 1 iiiiiiii" as SignMagnitude; }
                LdrshPost      "ldrsh"         [W Up]    none      Base { wide "1111100 1 0 011 nnnn tttt 10 i 1 iiiiiiii" as SignMagnitude; }
            }
            MemReg {
                StrReg         "str"           [Rp Rp R] none      Base {
                    narrow "0101 000 mmm nnn ttt" where "i=0";
                    wide_w "1111100 0 0 100 nnnn tttt 000000 ii mmmm";
                }
                LdrReg         "ldr"           [Wp Rp R] none      Base {
                    narrow "0101 100 mmm nnn ttt" where "i=0";
                    wide_w "1111100 0 0 101 nnnn tttt 000000 ii mmmm";
                }
                StrbReg        "strb"          [R Rp R]  none      Base {
                    narrow "0101 010 mmm nnn ttt" where "i=0";
                    wide_w "1111100 0 0 000 nnnn tttt 000000 ii mmmm";
                }
                LdrbReg        "ldrb"          [W Rp R]  none      Base {
                    narrow "0101 110 mmm nnn ttt" where "i=0";
                    wide_w "1111100 0 0 001 nnnn tttt 000000 ii mmmm";
                }
                StrhReg        "strh"          [R Rp R]  none      Base {
                    narrow "0101 001 mmm nnn ttt" where "i=0";
                    wide_w "1111100 0 0 010 nnnn tttt 000000 ii mmmm";
                }
                LdrhReg        "ldrh"          [W Rp R]  none      Base {
                    narrow "0101 101 mmm nnn ttt" where "i=0";
                    wide_w "1111100 0 0 011 nnnn tttt 000000 ii mmmm";
                }
                LdrsbReg       "ldrsb"         [W Rp R]  none      Base {
                    narrow "0101 011 mmm nnn ttt" where "i=0";
                    wide_w "1111100 1 0 001 nnnn tttt 000000 ii mmmm";
                }
                LdrshReg       "ldrsh"         [W Rp R]  none      Base {
                    narrow "0101 111 mmm nnn ttt" where "i=0";
                    wide_w "1111100 1 0 011 nnnn tttt 000000 ii mmmm";
                }
            }
            MemLit {
                LdrLit         "ldr"           [Wp]      none      Base {
                    narrow "01001 ttt iiiiiiii" as Times4;
                    wide_w "1111100 0 i 101 1111 tttt iiiiiiiiiiii" as SignMagnitude;
                }
                LdrbLit        "ldrb"          [W]       none      Base { wide_w "1111100 0 i 001 1111 tttt iiiiiiiiiiii" as SignMagnitude; }
                LdrhLit        "ldrh"          [W]       none      Base { wide_w "1111100 0 i 011 1111 tttt iiiiiiiiiiii" as SignMagnitude; }
                LdrsbLit       "ldrsb"         [W]       none      Base { wide_w "1111100 1 i 001 1111 tttt iiiiiiiiiiii" as SignMagnitude; }
                LdrshLit       "ldrsh"         [W]       none      Base { wide_w "1111100 1 i 011 1111 tttt iiiiiiiiiiii" as SignMagnitude; }
                VldrLitF32     "vldr"          [Ws]      none      FpSingle { wide "11101101 i T 01 1111 tttt 1010 iiiiiiii" as SignMagnitude4; }
                VldrLitF64     "vldr"          [Wd]      none      FpSingle { wide "11101101 i 0 01 1111 tttt 1011 iiiiiiii" as SignMagnitude4; }
            }
            Dual {
                Strd           "strd"          [R R Rp]  none      Base { wide "1110100 1 i 1 0 0 nnnn tttt aaaa iiiiiiii" as SignMagnitude4; }
                Ldrd           "ldrd"          [W W Rp]  none      Base { wide "1110100 1 i 1 0 1 nnnn tttt aaaa iiiiiiii" as SignMagnitude4; }
            }
            DualPre {
                StrdPre        "strd"          [R R Up]  none      Base { wide "1110100 1 i 1 1 0 nnnn tttt aaaa iiiiiiii" as SignMagnitude4; }
                LdrdPre        "ldrd"          [W W Up]  none      Base { wide "1110100 1 i 1 1 1 nnnn tttt aaaa iiiiiiii" as SignMagnitude4; }
            }
            DualPost {
                StrdPost       "strd"          [R R Up]  none      Base { wide "1110100 0 i 1 1 0 nnnn tttt aaaa iiiiiiii" as SignMagnitude4; }
                LdrdPost       "ldrd"          [W W Up]  none      Base { wide "1110100 0 i 1 1 1 nnnn tttt aaaa iiiiiiii" as SignMagnitude4; }
            }
            Multi {
                Stm            "stm"           [Up]      none      Base reads_list {
                    narrow "11000 nnn iiiiiiii" where "b=1";
                    wide_w "1110100010 b 0 nnnn iiiiiiiiiiiiiiii" as WideList;
                }
                Stmdb          "stmdb"         [Up]      none      Base reads_list { wide "1110100100 b 0 nnnn iiiiiiiiiiiiiiii" as WideList; }
                Ldm            "ldm"           [Up]      none      Base writes_list {
                    narrow "11001 nnn iiiiiiii" where "b=o";
                    wide_w "1110100010 b 1 nnnn iiiiiiiiiiiiiiii" as WideList;
                }
                Ldmdb          "ldmdb"         [Up]      none      Base writes_list { wide "1110100100 b 1 nnnn iiiiiiiiiiiiiiii" as WideList; }
            }
            Stack {
                Push           "push"          []        none      Base reads_list {
                    narrow "1011010 iiiiiiiii" as PushList;
                    wide_w "1110100100101101 iiiiiiiiiiiiiiii" as WideList;
                }
                Pop            "pop"           []        none      Base writes_list {
                    narrow "1011110 iiiiiiiii" as PopList;
                    wide_w "1110100010111101 iiiiiiiiiiiiiiii" as WideList;
                }
            }
            FloatStack {
                VpushF32       "vpush"         [Rs]      none      FpSingle { wide "11101101 0 D 10 1101 dddd 1010 iiiiiiii"; }
                VpushF64       "vpush"         [Rd]      none      FpSingle { wide "11101101 0 0 10 1101 dddd 1011 iiiiiiii" as Doubled; }
                VpopF32        "vpop"          [Ws]      none      FpSingle { wide "11101100 1 D 11 1101 dddd 1010 iiiiiiii"; }
                VpopF64        "vpop"          [Wd]      none      FpSingle { wide "11101100 1 0 11 1101 dddd 1011 iiiiiiii" as Doubled; }
            }
            Branch {
                B              "b"             []        none      V8Base {
                    narrow "11100 iiiiiiiiiii" as Signed2;
                    wide_w "11110 iiiiiiiiiii 10 i 1 iiiiiiiiiiii" as Branch24;
                }
                Bl             "bl"            []        none      V6 call { wide "11110 iiiiiiiiiii 11 i 1 iiiiiiiiiiii" as Branch24; }
            }
            BranchCond {
                Bcond          "b"             []        none      Base {
                    narrow "1101 cccc iiiiiiii" as Signed2;
                    wide_w "11110 i cccc iiiiii 10 i 0 iiiiiiiiiiii" as Branch20;
                }
            }
            CmpBranch {
                Cbz            "cbz"           [R]       none      V8Base { narrow "101100 i 1 iiiii nnn" as Times2; }
                Cbnz           "cbnz"          [R]       none      V8Base { narrow "101110 i 1 iiiii nnn" as Times2; }
            }
            BranchReg {
                Bx             "bx"            [R]       none      V6 { narrow "010001110 mmmm 000"; }
                AddPc          "add pc,"       [R]       none      V6 { narrow "010001001 mmmm 111"; }
                Blx            "blx"           [R]       none      V6 call { narrow "010001111 mmmm 000"; }
            }
            TableBranch {
                Tbb            "tbb"           [Rc R]    none      Base { wide "111010001101 nnnn 111100000000 mmmm"; }
                Tbh            "tbh"           [Rc R]    none      Base { wide "111010001101 nnnn 111100000001 mmmm"; }
            }
            Adr {
                Adr            "adr"           [W]       none      Base {
                    narrow "10100 ddd iiiiiiii" as Times4;
                    wide_w "11110 i 100000 1111 0 iii dddd iiiiiiii";
                    wide_w "11110 i 101010 1111 0 iii dddd iiiiiiii" as Negated;
                }
            }
            It {
                It             "it"            []        none      Base { narrow "10111111 cccc kkkk"; }
            }
            ReadSys {
                Mrs            "mrs"           [W]       reads_all V6 { wide "1111001111101111 1000 dddd yyyyyyyy"; }
            }
            WriteSys {
                Msr            "msr"           [R]       all       V6 { wide "111100111000 nnnn 10001000 yyyyyyyy"; }
            }
            FloatCmpZero {
                VcmpZeroF32    "vcmp.f32"      [Rs]      none      FpSingle { wide "11101110 1 D 11 0101 dddd 1010 01 0 0 0000"; }
                VcmpZeroF64    "vcmp.f64"      [Rd]      none      FpDouble { wide "11101110 1 0 11 0101 dddd 1011 01 0 0 0000"; }
                VcmpeZeroF32   "vcmpe.f32"     [Rs]      none      FpSingle { wide "11101110 1 D 11 0101 dddd 1010 11 0 0 0000"; }
                VcmpeZeroF64   "vcmpe.f64"     [Rd]      none      FpDouble { wide "11101110 1 0 11 0101 dddd 1011 11 0 0 0000"; }
            }
            FloatImm {
                VmovImmF32     "vmov.f32"      [Ws]      none      FpSingle { wide "11101110 1 D 11 iiii dddd 1010 0000 iiii"; }
                VmovImmF64     "vmov.f64"      [Wd]      none      FpDouble { wide "11101110 1 0 11 iiii dddd 1011 0000 iiii"; }
            }
        }
    };
}
pub(crate) use for_each_inst;
