//! The instruction table: one row per instruction, from which everything else derives.
//!
//! Two versions of the Gray Paper (0.7.2 and 0.8) share the machine but number some instructions differently, and the
//! proposed [next format](crate::blocks) has a number for every length of an instruction's operands. An opcode has many properties: its mnemonic, its operand format, the registers it reads and writes, its control flow,
//! its cost. With one match per property, an instruction would be spread over many files.
//!
//! So every instruction is one row of `for_each_inst!`, grouped by operand format. The macro passes all rows to a
//! callback macro. This file generates [`Opcode`] and its side table from them, `asm.rs` one constructor per
//! instruction. A new instruction is a new row.
//!
//! Columns:
//!
//! - variant of [`Opcode`] and mnemonic;
//! - number in 0.7.2 and number in 0.8 (`_`: absent);
//! - roles of the register fields in the order of [`Inst::reg_fields`](crate::Inst::reg_fields): `R`ead, `W`rite,
//!   `U`pdate (both);
//! - control flow;
//! - latency in cycles;
//! - decode slots: `[n]`, or `[a/b]`: a if the destination is also a source, else b; with `value` only the first
//!   register counts as such a source;
//! - execution units: `A`LU, `L`oad, `S`tore, `M`ul, `D`iv;
//! - where they apply, `bytes`: the bytes of memory that a load or store accesses; `absolute`: the form of a
//!   register-relative access with a constant address; `constant`: the form of a store that stores a constant;
//!   `immediate` and `immediate_first`: the forms of an operation with a constant as second or as first operand;
//!   `inverse`: the branch with the opposite condition;
//! - `next`: the encodings in the next format, as `operand bytes:number`, in ascending order.
//!
//! Latency, slots and units are the block-cost model of 0.8.
//!
//! Invariants: opcodes are dense and in table order, so an opcode indexes the table; within one version
//! numbers are unique. Encodings with more operand bytes have larger numbers, so the first that has room is the shortest.

use core::fmt;

use crate::version::{CodeFormat, GpVersion};

/// Latency of a load in cycles under the cost model of GP 0.8, which assumes that every access hits the L2 cache.
pub const L2_HIT: u8 = 25;

/// Calls a macro with all rows of the instruction table. See the module documentation for the columns.
macro_rules! for_each_inst {
    ($each:ident) => {
        $each! {
            NoArg {
                Trap               trap                   0   0 none trap        2      [1]         none next=[0:0];
                Fallthrough        fallthrough            1   1 none fallthrough 2      [1]         none next=[0:1];
                Unlikely           unlikely               _   2 none next        40     [1]         none next=[0:2];
            }
            Imm {
                Ecalli             ecalli                10  10 none next        100    [4]         A next=[1:221 4:308];
            }
            RegImm64 {
                LoadImm64          load_imm_64           20  20 W    next        1      [2]         none next=[9:239];
            }
            Imm2 {
                StoreImmU8         store_imm_u8          30  30 none next        25     [1]         AS bytes=1 next=[6:222 9:309];
                StoreImmU16        store_imm_u16         31  31 none next        25     [1]         AS bytes=2 next=[9:310];
                StoreImmU32        store_imm_u32         32  32 none next        25     [1]         AS bytes=4 next=[5:223 6:224 9:225];
                StoreImmU64        store_imm_u64         33  33 none next        25     [1]         AS bytes=8 next=[5:226 9:311];
            }
            Off {
                Jump               jump                  40  40 none jump        15     [1]         none next=[1:217 2:218 3:219 4:220];
            }
            RegImm {
                JumpInd            jump_ind              50  50 R    indirect    22     [1]         none next=[1:3 5:255];
                LoadImm            load_imm              51  51 W    next        1      [1]         none next=[1:4 2:5 3:6 4:7 5:8];
                LoadU8             load_u8               52  52 W    next        L2_HIT [1]         AL bytes=1 next=[5:9];
                LoadI8             load_i8               53  53 W    next        L2_HIT [1]         AL bytes=1 next=[4:10 5:256];
                LoadU16            load_u16              54  54 W    next        L2_HIT [1]         AL bytes=2 next=[5:11];
                LoadI16            load_i16              55  55 W    next        L2_HIT [1]         AL bytes=2 next=[5:12];
                LoadU32            load_u32              56  56 W    next        L2_HIT [1]         AL bytes=4 next=[5:15];
                LoadI32            load_i32              57  57 W    next        L2_HIT [1]         AL bytes=4 next=[4:13 5:14];
                LoadU64            load_u64              58  58 W    next        L2_HIT [1]         AL bytes=8 next=[4:16 5:17];
                StoreU8            store_u8              59  59 R    next        25     [1]         AS bytes=1 next=[5:18];
                StoreU16           store_u16             60  60 R    next        25     [1]         AS bytes=2 next=[5:19];
                StoreU32           store_u32             61  61 R    next        25     [1]         AS bytes=4 next=[5:20];
                StoreU64           store_u64             62  62 R    next        25     [1]         AS bytes=8 next=[4:21 5:22];
            }
            RegImm2 {
                StoreImmIndU8      store_imm_ind_u8      70  70 R    next        25     [1]         AS bytes=1 absolute=StoreImmU8 next=[1:66 2:67 3:68 4:69 5:70 9:262];
                StoreImmIndU16     store_imm_ind_u16     71  71 R    next        25     [1]         AS bytes=2 absolute=StoreImmU16 next=[2:71 3:72 4:73 5:74 9:263];
                StoreImmIndU32     store_imm_ind_u32     72  72 R    next        25     [1]         AS bytes=4 absolute=StoreImmU32 next=[1:75 2:76 3:77 4:78 6:79 9:80];
                StoreImmIndU64     store_imm_ind_u64     73  73 R    next        25     [1]         AS bytes=8 absolute=StoreImmU64 next=[1:81 2:82 3:83 4:84 5:85 6:86 7:87 9:264];
            }
            RegImmOff {
                LoadImmJump        load_imm_jump         80  80 W    jump        15     [1]         none next=[4:23 5:24 6:25 7:26 8:27 9:257];
                BranchEqImm        branch_eq_imm         81  81 R    branch      20     [1]         A inverse=BranchNeImm next=[2:28 3:29 4:30 5:31 6:32 9:33];
                BranchNeImm        branch_ne_imm         82  82 R    branch      20     [1]         A inverse=BranchEqImm next=[2:34 3:35 4:36 6:37 9:258];
                BranchLtUImm       branch_lt_u_imm       83  83 R    branch      20     [1]         A inverse=BranchGeUImm next=[3:38 4:39 5:40 9:41];
                BranchLeUImm       branch_le_u_imm       84  84 R    branch      20     [1]         A inverse=BranchGtUImm next=[3:55 4:56 6:57 9:261];
                BranchGeUImm       branch_ge_u_imm       85  85 R    branch      20     [1]         A inverse=BranchLtUImm next=[3:46 4:47 5:48 9:259];
                BranchGtUImm       branch_gt_u_imm       86  86 R    branch      20     [1]         A inverse=BranchLeUImm next=[3:62 4:63 5:64 9:65];
                BranchLtSImm       branch_lt_s_imm       87  87 R    branch      20     [1]         A inverse=BranchGeSImm next=[2:42 3:43 4:44 9:45];
                BranchLeSImm       branch_le_s_imm       88  88 R    branch      20     [1]         A inverse=BranchGtSImm next=[2:52 3:53 6:54 9:260];
                BranchGeSImm       branch_ge_s_imm       89  89 R    branch      20     [1]         A inverse=BranchLtSImm next=[2:49 3:50 9:51];
                BranchGtSImm       branch_gt_s_imm       90  90 R    branch      20     [1]         A inverse=BranchLeSImm next=[3:58 4:59 5:60 9:61];
            }
            Reg2 {
                MoveReg            move_reg             100 100 WR   next        0      [1]         none next=[1:227];
                Sbrk               sbrk                 101   _ WR   next        100    [4]         A;
                CountSetBits64     count_set_bits_64    102 101 WR   next        1      [1]         A next=[1:232];
                CountSetBits32     count_set_bits_32    103 102 WR   next        1      [1]         A next=[1:231];
                LeadingZeroBits64  leading_zero_bits_64 104 103 WR   next        1      [1]         A next=[1:229];
                LeadingZeroBits32  leading_zero_bits_32 105 104 WR   next        1      [1]         A next=[1:228];
                TrailingZeroBits64 trailing_zero_bits_64 106 105 WR   next        2      [1]         AA next=[1:230];
                TrailingZeroBits32 trailing_zero_bits_32 107 106 WR   next        2      [1]         AA next=[1:312];
                SignExtend8        sign_extend_8        108 107 WR   next        1      [1]         A next=[1:233];
                SignExtend16       sign_extend_16       109 108 WR   next        1      [1]         A next=[1:234];
                ZeroExtend16       zero_extend_16       110 109 WR   next        1      [1]         A next=[1:235];
                ReverseBytes       reverse_bytes        111 110 WR   next        1      [1/2]       A next=[1:236];
            }
            Reg2Imm {
                StoreIndU8         store_ind_u8         120 120 RR   next        25     [1]         AS bytes=1 absolute=StoreU8 constant=StoreImmIndU8 next=[1:88 2:89 3:90 5:265];
                StoreIndU16        store_ind_u16        121 121 RR   next        25     [1]         AS bytes=2 absolute=StoreU16 constant=StoreImmIndU16 next=[1:91 2:92 3:93 5:266];
                StoreIndU32        store_ind_u32        122 122 RR   next        25     [1]         AS bytes=4 absolute=StoreU32 constant=StoreImmIndU32 next=[1:94 2:95 3:96 5:267];
                StoreIndU64        store_ind_u64        123 123 RR   next        25     [1]         AS bytes=8 absolute=StoreU64 constant=StoreImmIndU64 next=[1:97 2:98 3:99 5:268];
                LoadIndU8          load_ind_u8          124 124 WR   next        L2_HIT [1]         AL bytes=1 absolute=LoadU8 next=[1:100 2:101 3:102 5:269];
                LoadIndI8          load_ind_i8          125 125 WR   next        L2_HIT [1]         AL bytes=1 absolute=LoadI8 next=[1:103 2:104 3:105 5:270];
                LoadIndU16         load_ind_u16         126 126 WR   next        L2_HIT [1]         AL bytes=2 absolute=LoadU16 next=[1:106 2:107 3:108 5:271];
                LoadIndI16         load_ind_i16         127 127 WR   next        L2_HIT [1]         AL bytes=2 absolute=LoadI16 next=[1:109 2:110 3:111 5:272];
                LoadIndU32         load_ind_u32         128 128 WR   next        L2_HIT [1]         AL bytes=4 absolute=LoadU32 next=[1:115 2:116 3:117 5:274];
                LoadIndI32         load_ind_i32         129 129 WR   next        L2_HIT [1]         AL bytes=4 absolute=LoadI32 next=[1:112 2:113 3:114 5:273];
                LoadIndU64         load_ind_u64         130 130 WR   next        L2_HIT [1]         AL bytes=8 absolute=LoadU64 next=[1:118 2:119 3:120 5:275];
                AddImm32           add_imm_32           131 131 WR   next        2      [2/3]       A next=[1:121 2:122 3:123 5:124];
                AndImm             and_imm              132 132 WR   next        1      [1/2]       A next=[2:129 3:130 5:131];
                XorImm             xor_imm              133 133 WR   next        1      [1/2]       A next=[2:132 3:133 5:134];
                OrImm              or_imm               134 134 WR   next        1      [1/2]       A next=[2:135 3:136 5:137];
                MulImm32           mul_imm_32           135 135 WR   next        4      [2/3]       AM next=[5:138];
                SetLtUImm          set_lt_u_imm         136 136 WR   next        3      [3]         A next=[2:142 3:143 5:144];
                SetLtSImm          set_lt_s_imm         137 137 WR   next        3      [3]         A next=[1:145 2:146 5:276];
                ShloLImm32         shlo_l_imm_32        138 138 WR   next        2      [2/3]       A next=[2:147 5:277];
                ShloRImm32         shlo_r_imm_32        139 139 WR   next        2      [2/3]       A next=[2:149 5:279];
                SharRImm32         shar_r_imm_32        140 140 WR   next        2      [2/3]       A next=[2:151 5:281];
                NegAddImm32        neg_add_imm_32       141 141 WR   next        3      [4]         A next=[1:153 3:154 5:283];
                SetGtUImm          set_gt_u_imm         142 142 WR   next        3      [3]         A next=[1:158 5:159];
                SetGtSImm          set_gt_s_imm         143 143 WR   next        3      [3]         A next=[1:160 5:284];
                ShloLImmAlt32      shlo_l_imm_alt_32    144 144 WR   next        2      [4]         A next=[5:163];
                ShloRImmAlt32      shlo_r_imm_alt_32    145 145 WR   next        2      [4]         A next=[5:285];
                SharRImmAlt32      shar_r_imm_alt_32    146 146 WR   next        2      [4]         A next=[5:286];
                CmovIzImm          cmov_iz_imm          147 147 UR   next        2      [3]         A next=[1:165 2:166 5:167];
                CmovNzImm          cmov_nz_imm          148 148 UR   next        2      [3]         A next=[1:168 2:169 5:170];
                AddImm64           add_imm_64           149 149 WR   next        1      [1/2]       A next=[2:125 3:126 4:127 5:128];
                MulImm64           mul_imm_64           150 150 WR   next        3      [1/2]       AM next=[2:139 3:140 5:141];
                ShloLImm64         shlo_l_imm_64        151 151 WR   next        1      [1/2]       A next=[2:148 5:278];
                ShloRImm64         shlo_r_imm_64        152 152 WR   next        1      [1/2]       A next=[2:150 5:280];
                SharRImm64         shar_r_imm_64        153 153 WR   next        1      [1/2]       A next=[2:152 5:282];
                NegAddImm64        neg_add_imm_64       154 154 WR   next        2      [3]         A next=[1:155 2:156 5:157];
                ShloLImmAlt64      shlo_l_imm_alt_64    155 155 WR   next        1      [3]         A next=[2:164 5:288];
                ShloRImmAlt64      shlo_r_imm_alt_64    156 156 WR   next        1      [3]         A next=[2:161 5:162];
                SharRImmAlt64      shar_r_imm_alt_64    157 157 WR   next        1      [3]         A next=[5:287];
                RotR64Imm          rot_r_64_imm         158 158 WR   next        1      [1/2]       A next=[2:172 5:291];
                RotR64ImmAlt       rot_r_64_imm_alt     159 159 WR   next        1      [3]         A next=[5:292];
                RotR32Imm          rot_r_32_imm         160 160 WR   next        2      [2/3]       A next=[2:171 5:289];
                RotR32ImmAlt       rot_r_32_imm_alt     161 161 WR   next        2      [4]         A next=[5:290];
            }
            Reg2Off {
                BranchEq           branch_eq            170 170 RR   branch      20     [1]         A inverse=BranchNe next=[2:173 3:174 5:175];
                BranchNe           branch_ne            171 171 RR   branch      20     [1]         A inverse=BranchEq next=[2:176 3:177 5:178];
                BranchLtU          branch_lt_u          172 172 RR   branch      20     [1]         A inverse=BranchGeU next=[2:179 3:180 5:293];
                BranchLtS          branch_lt_s          173 173 RR   branch      20     [1]         A inverse=BranchGeS next=[2:181 3:182 5:294];
                BranchGeU          branch_ge_u          174 174 RR   branch      20     [1]         A inverse=BranchLtU next=[2:183 3:184 5:295];
                BranchGeS          branch_ge_s          175 175 RR   branch      20     [1]         A inverse=BranchLtS next=[2:185 3:186 5:296];
            }
            Reg2Imm2 {
                LoadImmJumpInd     load_imm_jump_ind    180 180 WR   indirect    22     [1]         none next=[4:237 5:238 10:313];
            }
            Reg3 {
                Add32              add_32               190 190 RRW  next        2      [2/3]       A immediate=AddImm32 next=[2:187];
                Sub32              sub_32               191 191 RRW  next        2      [2/3]       A immediate_first=NegAddImm32 next=[2:189];
                Mul32              mul_32               192 192 RRW  next        4      [2/3]       AM immediate=MulImm32 next=[2:194];
                DivU32             div_u_32             193 193 RRW  next        60     [4]         AD next=[2:203];
                DivS32             div_s_32             194 194 RRW  next        60     [4]         AD next=[2:205];
                RemU32             rem_u_32             195 195 RRW  next        60     [4]         AD next=[2:206];
                RemS32             rem_s_32             196 196 RRW  next        60     [4]         AD next=[2:208];
                ShloL32            shlo_l_32            197 197 RRW  next        2      [3/4 value] A immediate=ShloLImm32 immediate_first=ShloLImmAlt32 next=[2:199];
                ShloR32            shlo_r_32            198 198 RRW  next        2      [3/4 value] A immediate=ShloRImm32 immediate_first=ShloRImmAlt32 next=[2:201];
                SharR32            shar_r_32            199 199 RRW  next        2      [3/4 value] A immediate=SharRImm32 immediate_first=SharRImmAlt32 next=[2:299];
                Add64              add_64               200 200 RRW  next        1      [1/2]       A immediate=AddImm64 next=[2:188];
                Sub64              sub_64               201 201 RRW  next        1      [1/2]       A immediate_first=NegAddImm64 next=[2:190];
                Mul64              mul_64               202 202 RRW  next        3      [1/2]       AM immediate=MulImm64 next=[2:195];
                DivU64             div_u_64             203 203 RRW  next        60     [4]         AD next=[2:204];
                DivS64             div_s_64             204 204 RRW  next        60     [4]         AD next=[2:301];
                RemU64             rem_u_64             205 205 RRW  next        60     [4]         AD next=[2:207];
                RemS64             rem_s_64             206 206 RRW  next        60     [4]         AD next=[2:302];
                ShloL64            shlo_l_64            207 207 RRW  next        1      [2/3 value] A immediate=ShloLImm64 immediate_first=ShloLImmAlt64 next=[2:200];
                ShloR64            shlo_r_64            208 208 RRW  next        1      [2/3 value] A immediate=ShloRImm64 immediate_first=ShloRImmAlt64 next=[2:202];
                SharR64            shar_r_64            209 209 RRW  next        1      [2/3 value] A immediate=SharRImm64 immediate_first=SharRImmAlt64 next=[2:300];
                And                and                  210 210 RRW  next        1      [1/2]       A immediate=AndImm next=[2:191];
                Xor                xor                  211 211 RRW  next        1      [1/2]       A immediate=XorImm next=[2:192];
                Or                 or                   212 212 RRW  next        1      [1/2]       A immediate=OrImm next=[2:193];
                MulUpperSS         mul_upper_s_s        213 213 RRW  next        4      [4]         AM next=[2:297];
                MulUpperUU         mul_upper_u_u        214 214 RRW  next        4      [4]         AM next=[2:196];
                MulUpperSU         mul_upper_s_u        215 215 RRW  next        6      [4]         AM next=[2:298];
                SetLtU             set_lt_u             216 216 RRW  next        3      [3]         A immediate=SetLtUImm immediate_first=SetGtUImm next=[2:197];
                SetLtS             set_lt_s             217 217 RRW  next        3      [3]         A immediate=SetLtSImm immediate_first=SetGtSImm next=[2:198];
                CmovIz             cmov_iz              218 218 RRU  next        2      [2]         A immediate_first=CmovIzImm next=[2:209];
                CmovNz             cmov_nz              219 219 RRU  next        2      [2]         A immediate_first=CmovNzImm next=[2:210];
                RotL64             rot_l_64             220 220 RRW  next        1      [2/3 value] A next=[2:216];
                RotL32             rot_l_32             221 221 RRW  next        2      [3/4 value] A next=[2:305];
                RotR64             rot_r_64             222 222 RRW  next        1      [2/3 value] A immediate=RotR64Imm immediate_first=RotR64ImmAlt next=[2:307];
                RotR32             rot_r_32             223 223 RRW  next        2      [3/4 value] A immediate=RotR32Imm immediate_first=RotR32ImmAlt next=[2:306];
                AndInv             and_inv              224 224 RRW  next        2      [3]         A next=[2:211];
                OrInv              or_inv               225 225 RRW  next        2      [3]         A next=[2:212];
                Xnor               xnor                 226 226 RRW  next        2      [2/3]       A next=[2:213];
                Max                max                  227 227 RRW  next        3      [2/3]       A next=[2:303];
                MaxU               max_u                228 228 RRW  next        3      [2/3]       A next=[2:214];
                Min                min                  229 229 RRW  next        3      [2/3]       A next=[2:304];
                MinU               min_u                230 230 RRW  next        3      [2/3]       A next=[2:215];
            }
        }
    };
}
pub(crate) use for_each_inst;

macro_rules! number {
    (_) => {
        None
    };
    ($n:literal) => {
        Some($n)
    };
}

macro_rules! slots {
    ([$n:literal]) => {
        Slots { overlapping: $n, otherwise: $n, value_only: false }
    };
    ([$a:literal / $b:literal]) => {
        Slots { overlapping: $a, otherwise: $b, value_only: false }
    };
    ([$a:literal / $b:literal value]) => {
        Slots { overlapping: $a, otherwise: $b, value_only: true }
    };
}

macro_rules! form {
    (bytes $n:literal) => {
        $n
    };
    (next [$($operands:literal : $number:literal)*]) => {
        &[$(Encoding { operands: $operands, number: $number }),*]
    };
    ($property:ident $opcode:ident) => {
        Some(Opcode::$opcode)
    };
}

macro_rules! define_opcodes {
    ($($format:ident { $($variant:ident $mnemonic:ident $n072:tt $n08:tt $roles:ident $flow:ident
        $cycles:tt $slots:tt $units:ident $($property:ident = $value:tt)*;)* })*) => {
        /// An instruction's operation. Dense: `op as usize` is the row of the table.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Opcode {
            $($(#[doc = concat!("`", stringify!($mnemonic), "`")] $variant,)*)*
        }

        /// All opcodes in table order.
        const ALL: &[Opcode] = &[$($(Opcode::$variant,)*)*];

        static ROWS: [Row; ALL.len()] = [$($(Row {
            mnemonic: stringify!($mnemonic),
            numbers: [number!($n072), number!($n08)],
            format: Format::$format,
            roles: roles::$roles,
            flow: flow::$flow,
            cost: CostRow { cycles: $cycles, slots: slots!($slots), units: units::$units },
            forms: Forms { $($property: form!($property $value),)* ..Forms::NONE },
        },)*)*];
    };
}

for_each_inst!(define_opcodes);

/// How an instruction's operands are laid out in bytes (Gray Paper, appendix A.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Format {
    /// No operands.
    NoArg,
    /// One immediate.
    Imm,
    /// A register and a raw 64-bit immediate.
    RegImm64,
    /// Two immediates: address, value.
    Imm2,
    /// One code offset.
    Off,
    /// A register and an immediate.
    RegImm,
    /// A register and two immediates: displacement, value.
    RegImm2,
    /// A register, an immediate and a code offset.
    RegImmOff,
    /// Two registers: destination, source.
    Reg2,
    /// Two registers and an immediate.
    Reg2Imm,
    /// Two registers and a code offset.
    Reg2Off,
    /// Two registers and two immediates: value, displacement.
    Reg2Imm2,
    /// Three registers: two sources, destination.
    Reg3,
}

impl Format {
    /// Whether the format carries a code offset.
    pub const fn has_offset(self) -> bool {
        matches!(self, Format::Off | Format::RegImmOff | Format::Reg2Off)
    }

    /// Whether the format has two immediates of variable length; a code offset is one.
    pub const fn has_two_immediates(self) -> bool {
        matches!(self, Format::Imm2 | Format::RegImm2 | Format::RegImmOff | Format::Reg2Imm2)
    }
}

/// How an instruction uses one of its register fields.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// The register is read.
    Read,
    /// The register is written without being read.
    Write,
    /// The register is read and written; a conditional write is an update.
    Update,
}

impl Role {
    /// Whether the register is read.
    pub const fn reads(self) -> bool {
        matches!(self, Role::Read | Role::Update)
    }

    /// Whether the register may be written.
    pub const fn writes(self) -> bool {
        matches!(self, Role::Write | Role::Update)
    }
}

/// The control flow after an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Flow {
    /// To the next instruction, in the same basic block.
    Next,
    /// Nowhere: the program panics.
    Trap,
    /// To the next instruction, which starts a basic block.
    Fallthrough,
    /// To a static target.
    Jump,
    /// To a static target or to the next instruction.
    Branch,
    /// To a jump-table entry, or out of the program.
    Indirect,
}

/// Decode slots of an instruction under the cost model of GP 0.8.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slots {
    /// Slots if the destination register is also a source.
    pub overlapping: u8,
    /// Slots if it is not.
    pub otherwise: u8,
    /// Only the first register field counts as a source (shifts: the value, not the amount).
    pub value_only: bool,
}

/// Execution units an instruction occupies while it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Units {
    /// Arithmetic units.
    pub alu: u8,
    /// Load units.
    pub load: u8,
    /// Store units.
    pub store: u8,
    /// Multipliers.
    pub mul: u8,
    /// Dividers.
    pub div: u8,
}

/// The cost of an opcode in the block-cost model of GP 0.8.
///
/// `sbrk` is not part of GP 0.8. Its row has the numbers of `ecalli`, so that programs for 0.7.2 can be compared under
/// the newer model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CostRow {
    /// Cycles from start to result. A branch has a cheaper form, see [`crate::gas`].
    pub cycles: u8,
    /// Decode slots.
    pub slots: Slots,
    /// Execution units occupied for all of `cycles`.
    pub units: Units,
}

/// The size of an opcode's memory access, other forms of the instruction, and its encodings in the next format.
struct Forms {
    /// Bytes of memory accessed; 0 if there are none.
    bytes: u8,
    absolute: Option<Opcode>,
    constant: Option<Opcode>,
    immediate: Option<Opcode>,
    immediate_first: Option<Opcode>,
    inverse: Option<Opcode>,
    next: &'static [Encoding],
}

impl Forms {
    const NONE: Self = Self {
        bytes: 0,
        absolute: None,
        constant: None,
        immediate: None,
        immediate_first: None,
        inverse: None,
        next: &[],
    };
}

/// An encoding of an opcode in the next format: its operands have a fixed number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encoding {
    /// Bytes of the operands.
    pub operands: u8,
    /// The number of the opcode with these operands.
    pub number: u16,
}

impl Encoding {
    /// The first byte of an opcode of two bytes. The second byte is the number minus this.
    pub const PREFIX: u8 = 255;
    /// Numbers that opcodes of one or two bytes have room for.
    pub const NUMBERS: usize = 255 + 256;

    /// The encoding with a number, and its opcode.
    pub fn from_number(number: u16) -> Option<(Opcode, Encoding)> {
        ENCODINGS.get(usize::from(number)).copied().flatten()
    }

    /// Bytes of the opcode.
    pub const fn opcode_bytes(self) -> usize {
        if self.number < Self::PREFIX as u16 { 1 } else { 2 }
    }

    /// Bytes of an instruction.
    pub const fn bytes(self) -> usize {
        self.opcode_bytes() + self.operands as usize
    }
}

struct Row {
    mnemonic: &'static str,
    numbers: [Option<u8>; 2],
    format: Format,
    roles: [Option<Role>; 3],
    flow: Flow,
    cost: CostRow,
    forms: Forms,
}

impl Opcode {
    /// All opcodes in table order.
    pub const ALL: &'static [Opcode] = ALL;

    /// The name used in assembly text.
    pub fn mnemonic(self) -> &'static str {
        self.row().mnemonic
    }

    /// The opcode with this name.
    pub fn from_mnemonic(mnemonic: &str) -> Option<Opcode> {
        ALL.iter().copied().find(|op| op.mnemonic() == mnemonic)
    }

    /// Whether the instruction exists in a version.
    pub fn exists(self, gp: GpVersion) -> bool {
        self.number(gp).is_some() || gp == GpVersion::Next && !self.encodings().is_empty()
    }

    /// The opcode byte in a version of the Gray Paper, if the instruction exists there. The next format has
    /// [`encodings`](Self::encodings) instead.
    pub fn number(self, gp: GpVersion) -> Option<u8> {
        self.row().numbers.get(gp as usize).copied().flatten()
    }

    /// The opcode with this byte in a version of the Gray Paper.
    pub fn from_number(gp: GpVersion, number: u8) -> Option<Opcode> {
        NUMBERS.get(gp as usize).and_then(|numbers| numbers[usize::from(number)])
    }

    /// The encodings in the next format, by ascending length.
    pub fn encodings(self) -> &'static [Encoding] {
        self.row().forms.next
    }

    /// The opcode of an instruction with these bytes.
    pub fn of_bytes(gp: GpVersion, bytes: &[u8]) -> Option<Opcode> {
        let &first = bytes.first()?;
        match gp.code_format() {
            CodeFormat::Bitmask => Opcode::from_number(gp, first),
            CodeFormat::Blocks => Encoding::from_number(number_at(bytes, 0)).map(|(op, _)| op),
        }
    }

    /// The layout of the operands.
    pub fn format(self) -> Format {
        self.row().format
    }

    /// Roles of the register fields, in the order of [`Inst::reg_fields`](crate::Inst::reg_fields).
    pub fn roles(self) -> [Option<Role>; 3] {
        self.row().roles
    }

    /// The control flow after the instruction.
    pub fn flow(self) -> Flow {
        self.row().flow
    }

    /// Whether the instruction ends a basic block. A host call does not.
    pub fn is_terminator(self) -> bool {
        self.flow() != Flow::Next
    }

    /// Whether execution can continue at the following instruction.
    pub fn can_fall_through(self) -> bool {
        matches!(self.flow(), Flow::Next | Flow::Fallthrough | Flow::Branch)
    }

    /// Whether the instruction reads memory.
    pub fn is_load(self) -> bool {
        self.row().cost.units.load > 0
    }

    /// Whether the instruction writes memory.
    pub fn is_store(self) -> bool {
        self.row().cost.units.store > 0
    }

    /// Number of bytes that a load or store accesses; `None` for other instructions.
    pub fn access_bytes(self) -> Option<u8> {
        Some(self.row().forms.bytes).filter(|&bytes| bytes > 0)
    }

    /// The load or store with a constant address that corresponds to this register-relative one.
    pub fn absolute_form(self) -> Option<Opcode> {
        self.row().forms.absolute
    }

    /// The store of a constant to a register-relative address that corresponds to this store of a register.
    pub fn constant_form(self) -> Option<Opcode> {
        self.row().forms.constant
    }

    /// The operation on a register and a constant that corresponds to this one on two registers, with the constant as
    /// second operand.
    pub fn immediate_form(self) -> Option<Opcode> {
        self.row().forms.immediate
    }

    /// As [`immediate_form`](Self::immediate_form), with the constant as first operand.
    pub fn immediate_first_form(self) -> Option<Opcode> {
        self.row().forms.immediate_first
    }

    /// The conditional branch with the opposite condition.
    pub fn inverse(self) -> Option<Opcode> {
        self.row().forms.inverse
    }

    /// The opcode's cost in the block-cost model of GP 0.8.
    pub fn cost(self) -> &'static CostRow {
        &self.row().cost
    }

    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.mnemonic())
    }
}

/// Opcode of every byte, for each version.
static NUMBERS: [[Option<Opcode>; 256]; 2] = [invert(0), invert(1)];

const fn invert(version: usize) -> [Option<Opcode>; 256] {
    let mut table = [None; 256];
    let mut i = 0;
    while i < ALL.len() {
        if let Some(n) = ROWS_FOR_CONST[i][version] {
            assert!(table[n as usize].is_none(), "two opcodes share a number");
            table[n as usize] = Some(ALL[i]);
        }
        i += 1;
    }
    table
}

/// The number of the opcode at a position in the next format. A missing second byte is zero.
pub(crate) fn number_at(code: &[u8], at: usize) -> u16 {
    let byte = |at: usize| code.get(at).copied().unwrap_or(0);
    match byte(at) {
        Encoding::PREFIX => u16::from(Encoding::PREFIX) + u16::from(byte(at + 1)),
        number => number.into(),
    }
}

/// Opcode and encoding of every number of the next format.
static ENCODINGS: [Option<(Opcode, Encoding)>; Encoding::NUMBERS] = invert_encodings();

const fn invert_encodings() -> [Option<(Opcode, Encoding)>; Encoding::NUMBERS] {
    let mut table = [None; Encoding::NUMBERS];
    let mut i = 0;
    while i < ALL.len() {
        let mut n = 0;
        while n < FORMS_FOR_CONST[i].next.len() {
            let encoding = FORMS_FOR_CONST[i].next[n];
            assert!(table[encoding.number as usize].is_none(), "two encodings share a number");
            table[encoding.number as usize] = Some((ALL[i], encoding));
            n += 1;
        }
        i += 1;
    }
    table
}

macro_rules! define_numbers {
    ($($format:ident { $($variant:ident $mnemonic:ident $n072:tt $n08:tt $roles:ident $flow:ident
        $cycles:tt $slots:tt $units:ident $($property:ident = $value:tt)*;)* })*) => {
        /// The number columns alone, readable in constant evaluation.
        const ROWS_FOR_CONST: &[[Option<u8>; 2]] = &[$($([number!($n072), number!($n08)],)*)*];
        /// The properties alone, readable in constant evaluation.
        const FORMS_FOR_CONST: &[Forms] =
            &[$($(Forms { $($property: form!($property $value),)* ..Forms::NONE },)*)*];
    };
}

for_each_inst!(define_numbers);

/// The words of the roles column.
#[expect(non_upper_case_globals, reason = "the names are the words of the table")]
mod roles {
    use super::Role::{self, Read, Update, Write};

    pub(super) const none: [Option<Role>; 3] = [None; 3];
    pub(super) const R: [Option<Role>; 3] = [Some(Read), None, None];
    pub(super) const W: [Option<Role>; 3] = [Some(Write), None, None];
    pub(super) const RR: [Option<Role>; 3] = [Some(Read), Some(Read), None];
    pub(super) const WR: [Option<Role>; 3] = [Some(Write), Some(Read), None];
    pub(super) const UR: [Option<Role>; 3] = [Some(Update), Some(Read), None];
    pub(super) const RRW: [Option<Role>; 3] = [Some(Read), Some(Read), Some(Write)];
    pub(super) const RRU: [Option<Role>; 3] = [Some(Read), Some(Read), Some(Update)];
}

/// The words of the flow column.
#[expect(non_upper_case_globals, reason = "the names are the words of the table")]
mod flow {
    use super::Flow;

    pub(super) const next: Flow = Flow::Next;
    pub(super) const trap: Flow = Flow::Trap;
    pub(super) const fallthrough: Flow = Flow::Fallthrough;
    pub(super) const jump: Flow = Flow::Jump;
    pub(super) const branch: Flow = Flow::Branch;
    pub(super) const indirect: Flow = Flow::Indirect;
}

/// The words of the units column.
#[expect(non_upper_case_globals, reason = "the names are the words of the table")]
mod units {
    use super::Units;

    pub(super) const none: Units = Units { alu: 0, load: 0, store: 0, mul: 0, div: 0 };
    pub(super) const A: Units = Units { alu: 1, ..none };
    pub(super) const AA: Units = Units { alu: 2, ..none };
    pub(super) const AL: Units = Units { alu: 1, load: 1, ..none };
    pub(super) const AS: Units = Units { alu: 1, store: 1, ..none };
    pub(super) const AM: Units = Units { alu: 1, mul: 1, ..none };
    pub(super) const AD: Units = Units { alu: 1, div: 1, ..none };
}
