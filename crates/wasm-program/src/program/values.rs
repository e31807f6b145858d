//! Values of constant expressions and of imported globals, and the bytes that they and segments are stored as.

use ssa::Segment;

use crate::error::Error;
use crate::module_info::{ConstOp, GlobalInfo, ValueType};
use crate::options::{ConstValue, Options};

fn type_name(ty: ValueType) -> &'static str {
    match ty {
        ValueType::I32 => "i32",
        ValueType::I64 => "i64",
        ValueType::F32 => "f32",
        ValueType::F64 => "f64",
        ValueType::V128 => "v128",
        ValueType::FuncRef => "funcref",
        ValueType::ExternRef => "externref",
        ValueType::ExnRef => "exnref",
    }
}

/// The error for imported globals without a value.
pub(super) fn missing_globals<'a>(
    globals: impl IntoIterator<Item = (&'a ssa::Import, &'a GlobalInfo)>,
) -> Error {
    let name = |import: &ssa::Import| format!("{}.{}", import.module, import.field);
    let globals = globals.into_iter().map(|(import, global)| (name(import), type_name(global.ty)));
    Error::MissingGlobals(globals.collect())
}

/// The value that the options give to an imported global.
pub(super) fn imported_value(
    import: &ssa::Import,
    global: &GlobalInfo,
    options: &Options,
) -> Result<ConstValue, Error> {
    let missing = || missing_globals([(import, global)]);
    let value = *options.imported_globals.get(import).ok_or_else(missing)?;
    let fits = match value {
        ConstValue::I32(_) => global.ty == ValueType::I32,
        ConstValue::I64(_) => global.ty == ValueType::I64,
        ConstValue::F32(_) => global.ty == ValueType::F32,
        ConstValue::F64(_) => global.ty == ValueType::F64,
        ConstValue::V128(_) => global.ty == ValueType::V128,
        ConstValue::Null => {
            matches!(global.ty, ValueType::FuncRef | ValueType::ExternRef | ValueType::ExnRef)
        }
        ConstValue::Func(_) => global.ty == ValueType::FuncRef,
    };
    let (module, field) = (import.module.clone(), import.field.clone());
    let mismatch = || Error::GlobalType { module, field, ty: type_name(global.ty) };
    if fits { Ok(value) } else { Err(mismatch()) }
}

/// Evaluates a validated constant expression. All arithmetic wraps.
pub(super) fn evaluate(ops: &[ConstOp], globals: &[ConstValue]) -> ConstValue {
    let mut stack = Vec::new();
    for op in ops {
        let value = match *op {
            ConstOp::I32Const(value) => ConstValue::I32(value),
            ConstOp::I64Const(value) => ConstValue::I64(value),
            ConstOp::F32Const(bits) => ConstValue::F32(bits),
            ConstOp::F64Const(bits) => ConstValue::F64(bits),
            ConstOp::V128Const(bits) => ConstValue::V128(bits),
            ConstOp::GlobalGet(index) => globals[index as usize],
            ConstOp::RefNull => ConstValue::Null,
            ConstOp::RefFunc(index) => ConstValue::Func(index),
            _ => {
                let right = stack.pop().expect("validated: a right operand");
                let left = stack.pop().expect("validated: a left operand");
                const_binary(*op, left, right)
            }
        };
        stack.push(value);
    }
    stack.pop().expect("validated: a result")
}

fn const_binary(op: ConstOp, left: ConstValue, right: ConstValue) -> ConstValue {
    match (left, right) {
        (ConstValue::I32(a), ConstValue::I32(b)) => ConstValue::I32(match op {
            ConstOp::I32Add => a.wrapping_add(b),
            ConstOp::I32Sub => a.wrapping_sub(b),
            ConstOp::I32Mul => a.wrapping_mul(b),
            _ => unreachable!("validated: an i32 operator"),
        }),
        (ConstValue::I64(a), ConstValue::I64(b)) => ConstValue::I64(match op {
            ConstOp::I64Add => a.wrapping_add(b),
            ConstOp::I64Sub => a.wrapping_sub(b),
            ConstOp::I64Mul => a.wrapping_mul(b),
            _ => unreachable!("validated: an i64 operator"),
        }),
        _ => unreachable!("validated: integer operands of one type"),
    }
}

pub(super) fn evaluate_offset(ops: &[ConstOp], globals: &[ConstValue]) -> u64 {
    match evaluate(ops, globals) {
        ConstValue::I32(value) => u64::from(value as u32),
        ConstValue::I64(value) => value as u64,
        other => unreachable!("validated: an integer offset, not {other:?}"),
    }
}

/// The bytes that segments write from the start of a memory on, without zeros at the end.
pub(super) fn image(segments: &[Segment]) -> Vec<u8> {
    let mut image = Vec::new();
    for Segment { offset, bytes } in segments {
        let (start, end) = (*offset as usize, *offset as usize + bytes.len());
        if image.len() < end {
            image.resize(end, 0);
        }
        image[start..end].copy_from_slice(bytes);
    }
    let len = image.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    image.truncate(len);
    image
}

/// The bytes of a value, and the function that it refers to.
pub(super) fn bytes_of(value: ConstValue) -> (Vec<u8>, Option<u32>) {
    match value {
        ConstValue::I32(value) => (value.to_le_bytes().to_vec(), None),
        ConstValue::F32(bits) => (bits.to_le_bytes().to_vec(), None),
        ConstValue::I64(value) => (value.to_le_bytes().to_vec(), None),
        ConstValue::F64(bits) => (bits.to_le_bytes().to_vec(), None),
        ConstValue::V128(bits) => (bits.to_le_bytes().to_vec(), None),
        ConstValue::Null => (vec![0; 8], None),
        ConstValue::Func(index) => (vec![0; 8], Some(index)),
    }
}
