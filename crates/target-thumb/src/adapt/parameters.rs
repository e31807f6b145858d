//! Parameters of the shared passes of [`prepare`] for Cortex-M.

use prepare::classes::ClassBytes;
use prepare::legalize::{Capabilities, FloatCalls, FloatFunctions, FloatUnit};
use prepare::rebase::OffsetRange;
use ssa::MemType;
use thumb_isa::Feature;

use crate::isa::cpu::Cpu;

/// Sizes for tables that replace decisions: a comparison and a branch are 4 bytes, other instructions 2 or 4. The table
/// is in flash, so code for speed uses one of its own only where it saves much.
pub const CLASSES: ClassBytes = ClassBytes { decision: 4, inst: 3, lookup: 6, fast: 28 };

/// Offsets of loads and stores: 8 bits below zero, 12 bits above; without the main extension 5 bits, times the width.
/// Those of floats in registers of their own are 8 bits, times 4, on both sides.
pub const fn offsets(cpu: Cpu, mem: MemType) -> OffsetRange {
    if !cpu.has_main() {
        OffsetRange { below: 0, above: 128 }
    } else if is_float(cpu, mem) {
        OffsetRange { below: 252, above: 1024 }
    } else {
        OffsetRange { below: 255, above: 4096 }
    }
}

/// The largest offset of a load or store.
pub const fn largest_offset(cpu: Cpu, mem: MemType) -> u32 {
    match cpu.has_main() {
        false => 31 * mem.bytes(),
        true if is_float(cpu, mem) || mem.bytes() == 8 => 1020,
        true => 4095,
    }
}

const fn is_float(cpu: Cpu, mem: MemType) -> bool {
    cpu.has_single() && matches!(mem, MemType::F32 | MemType::F64)
}

/// Ranges of values from which on bit tests are shorter than comparisons, with one target and with two.
pub const FEWEST_RANGES: [usize; 2] = [3, 5];

/// The operations that a core has. `strict` if accesses have to be aligned.
pub fn capabilities(cpu: Cpu, strict: bool) -> Capabilities {
    let unit = |arithmetic, rounding| {
        let has = |feature| cpu.features().contains(feature);
        FloatUnit { arithmetic: has(arithmetic), rounding: has(rounding) }
    };
    Capabilities {
        divides_i64: false,
        divides_i32: cpu.features().contains(Feature::V8Base),
        multiplies_long: cpu.has_main(),
        counts_bits: cpu.has_main(),
        shifts_i64: false,
        unaligned: cpu.has_main() && !strict,
        single: unit(Feature::FpSingle, Feature::Fp5Single),
        double: unit(Feature::FpDouble, Feature::Fp5Double),
    }
}

/// The functions of the run-time ABI, which every C toolchain has.
pub const AEABI: FloatCalls = FloatCalls {
    single: FloatFunctions {
        add: "__aeabi_fadd",
        sub: "__aeabi_fsub",
        mul: "__aeabi_fmul",
        div: "__aeabi_fdiv",
        eq: "__aeabi_fcmpeq",
        lt: "__aeabi_fcmplt",
        le: "__aeabi_fcmple",
        gt: "__aeabi_fcmpgt",
        ge: "__aeabi_fcmpge",
        un: "__aeabi_fcmpun",
    },
    double: FloatFunctions {
        add: "__aeabi_dadd",
        sub: "__aeabi_dsub",
        mul: "__aeabi_dmul",
        div: "__aeabi_ddiv",
        eq: "__aeabi_dcmpeq",
        lt: "__aeabi_dcmplt",
        le: "__aeabi_dcmple",
        gt: "__aeabi_dcmpgt",
        ge: "__aeabi_dcmpge",
        un: "__aeabi_dcmpun",
    },
    demote: "__aeabi_d2f",
};
