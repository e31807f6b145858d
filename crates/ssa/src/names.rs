//! The names of opcodes and their parts in the text form.
//!
//! Each enum has one table here. Printing and parsing are generated from the same rows, so they can't disagree, and a
//! variant without a name doesn't compile.

use crate::{BinaryOp, Cond, FCond, MemType, TrapCode, Type, UnaryOp};

macro_rules! names {
    ($($ty:ident { $($variant:ident = $name:literal,)* })*) => {$(
        impl $ty {
            /// Every variant, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name in the text form.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The variant of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $ty {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    )*};
}

names! {
    Type { I32 = "i32", I64 = "i64", F32 = "f32", F64 = "f64", }

    UnaryOp {
        Clz = "clz", Ctz = "ctz", Popcnt = "popcnt", Bswap = "bswap", Bitrev = "bitrev",
        Sext8 = "sext8", Sext16 = "sext16", Sext = "sext", Zext = "zext", Trunc = "trunc",
        Fneg = "fneg", Fabs = "fabs", Fsqrt = "fsqrt", Fceil = "fceil", Ffloor = "ffloor",
        Ftrunc = "ftrunc", Fnearest = "fnearest", Fpromote = "fpromote", Fdemote = "fdemote",
        FtoS = "ftos", FtoU = "ftou", FtoSSat = "ftos_sat", FtoUSat = "ftou_sat",
        StoF = "stof", UtoF = "utof", Bitcast = "bitcast",
    }

    BinaryOp {
        Add = "add", Sub = "sub", Mul = "mul", MulhS = "mulh_s", MulhU = "mulh_u",
        DivS = "div_s", DivU = "div_u", RemS = "rem_s", RemU = "rem_u",
        And = "and", Or = "or", Xor = "xor",
        Shl = "shl", ShrS = "shr_s", ShrU = "shr_u", Rotl = "rotl", Rotr = "rotr",
        MinS = "min_s", MaxS = "max_s", MinU = "min_u", MaxU = "max_u",
        Fadd = "fadd", Fsub = "fsub", Fmul = "fmul", Fdiv = "fdiv",
        Fmin = "fmin", Fmax = "fmax", Fcopysign = "fcopysign",
    }

    Cond {
        Eq = "eq", Ne = "ne",
        LtS = "lt_s", LeS = "le_s", GtS = "gt_s", GeS = "ge_s",
        LtU = "lt_u", LeU = "le_u", GtU = "gt_u", GeU = "ge_u",
    }

    FCond {
        Oeq = "oeq", One = "one", Olt = "olt", Ole = "ole", Ogt = "ogt", Oge = "oge", Ord = "ord",
        Ueq = "ueq", Une = "une", Ult = "ult", Ule = "ule", Ugt = "ugt", Uge = "uge", Uno = "uno",
    }

    MemType {
        U8 = "u8", S8 = "s8", U16 = "u16", S16 = "s16", U32 = "u32", S32 = "s32",
        I64 = "i64", F32 = "f32", F64 = "f64",
    }

    TrapCode {
        Unreachable = "unreachable", MemoryOutOfBounds = "memory_out_of_bounds",
        TableOutOfBounds = "table_out_of_bounds", BadSignature = "bad_signature",
        DivideByZero = "divide_by_zero", IntegerOverflow = "integer_overflow",
        BadConversion = "bad_conversion", Float = "float", Import = "import",
        UnalignedAtomic = "unaligned_atomic", EndlessWait = "endless_wait", UnsharedWait = "unshared_wait",
        Exception = "exception", NullReference = "null_reference",
    }
}
