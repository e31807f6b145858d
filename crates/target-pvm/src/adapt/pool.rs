//! A pool of long constants, where a program should be small.
//!
//! A constant that fits no immediate takes ten bytes wherever code needs it, and a load from a constant address five. So
//! constants that occur several times are stored once, in the read-only area. Code generation goes on with constants,
//! which can be made again anywhere. Only the [last pass over them](crate::peephole::constants) turns those that are in the
//! pool into loads.

use std::collections::BTreeMap;

use pvm_isa::GpVersion;
use ssa::{DataId, DataObject, InstData, Module, Type};

use crate::memory::MemoryPlan;
use crate::peephole::constants::is_long;

/// Bytes of a constant in the pool.
const BYTES: usize = 8;
/// Minimum number of occurrences of a constant that is worth its bytes.
const MIN_COUNT: usize = 2;

/// The constants that are stored.
#[derive(Debug)]
pub struct Pool {
    /// The object with the constants.
    pub data: DataId,
    values: Vec<i64>,
}

impl Pool {
    /// Adds an object with the constants that the functions optimised for size contain several times, if there are any.
    pub fn add(gp: GpVersion, module: &mut Module) -> Option<Self> {
        let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
        let small = module.functions.values().flatten().filter(|func| func.optimize_for_size);
        for inst in small.flat_map(|func| func.insts.values()) {
            if let InstData::Const { ty: Type::I64 | Type::F64, bits } = *inst
                && is_long(gp, bits)
            {
                *counts.entry(bits).or_default() += 1;
            }
        }
        let values: Vec<i64> =
            counts.into_iter().filter(|&(_, count)| count >= MIN_COUNT).map(|(value, _)| value).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        (!values.is_empty()).then(|| {
            let data = module.data.push(DataObject::constant("__pvm_constants", BYTES as u32, bytes));
            Self { data, values }
        })
    }

    /// The address of each constant.
    pub fn addresses(&self, plan: &MemoryPlan) -> BTreeMap<i64, i32> {
        let start = plan.address(self.data) as i32;
        (0..)
            .map(|n| start.wrapping_add(n * BYTES as i32))
            .zip(&self.values)
            .map(|(at, &value)| (value, at))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_constants_of_small_code_are_stored_once() {
        let func = |n: u32, size: &str, value: i64| {
            format!("func $f{n} () -> (i64){size} {{\nb0:\n  v0 = const.i64 {value}\n  return v0\n}}\n")
        };
        let long = 0x1234_5678_9abc_def1;
        let functions = [
            func(0, " optsize", long),
            func(1, " optsize", long),
            func(2, " optsize", -long),
            func(3, "", -long),
            func(4, " optsize", 1 << 40),
            func(5, " optsize", 1 << 40),
            func(6, " optsize", -5),
            func(7, " optsize", -5),
        ];
        let mut module = ssa::parse_module(&functions.concat()).expect("valid text");
        let pool = Pool::add(GpVersion::V08, &mut module).expect("one constant occurs twice in small code");
        assert_eq!(pool.values, [long]);
        assert_eq!(module.data[pool.data].init, long.to_le_bytes());
    }
}
