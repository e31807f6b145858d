//! Values as sums of a value and a constant.

use ssa::{BinaryOp, Function, InstData, Type, Value};

/// The value `root + offset` modulo 2^32.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sum {
    /// A value that is no such sum itself.
    pub root: Value,
    /// The constant.
    pub offset: u32,
}

impl Sum {
    /// An `i32` value as a sum.
    pub fn of(func: &Function, mut value: Value) -> Self {
        let mut offset = 0u32;
        while let Some(def) = func.def_inst(value)
            && let InstData::Binary { op, ty: Type::I32, args: [a, b] } = func.insts[def]
            && let Some(bits) = func.as_const(b)
        {
            match op {
                BinaryOp::Add => offset = offset.wrapping_add(bits as u32),
                BinaryOp::Sub => offset = offset.wrapping_sub(bits as u32),
                _ => break,
            }
            value = a;
        }
        Self { root: value, offset }
    }

    /// `self - other`, if it is a constant.
    pub fn minus(self, other: Self) -> Option<u32> {
        (self.root == other.root).then_some(self.offset.wrapping_sub(other.offset))
    }
}
