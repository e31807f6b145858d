//! Division of two words by two words: a call that gives quotient and remainder.
//!
//! In one block, quotient and remainder of the same operands come from one call.

use std::collections::BTreeMap;

use ssa::{BinaryOp, Function, IdVec, InstData, Module, Type, Value};

use super::helpers::Helpers;

/// Replaces the 64-bit divisions of a function.
pub fn replace(module: &mut Module, func: &mut Function, helpers: &mut Helpers) {
    let mut renamed: IdVec<Value, Value> = func.values.ids().collect();
    let mut any = false;
    for block in func.blocks.ids() {
        let mut known: BTreeMap<(bool, Value, Value), [Value; 2]> = BTreeMap::new();
        let old = std::mem::take(&mut func.blocks[block].insts);
        let mut insts = Vec::with_capacity(old.len());
        for inst in old {
            let Some((signed, wants_remainder, args)) = division(&func.insts[inst]) else {
                insts.push(inst);
                continue;
            };
            let results = *known.entry((signed, args[0], args[1])).or_insert_with(|| {
                let name = if signed { "__wasm_sdivmod64" } else { "__wasm_udivmod64" };
                let callee = helpers.get(module, name);
                let call = InstData::Call { func: callee, args: args.to_vec() };
                let call = func.make_inst(call, &[Type::I64, Type::I64]);
                insts.push(call);
                [func.results[call][0], func.results[call][1]]
            });
            let result = func.result(inst);
            renamed[result] = results[usize::from(wants_remainder)];
            any = true;
        }
        func.blocks[block].insts = insts;
    }
    if any {
        let resolve = |value: Value| renamed.get(value).copied().unwrap_or(value);
        func.insts.values_mut().for_each(|data| data.map_args(resolve));
    }
}

/// Signedness, whether the remainder is wanted, and operands of a 64-bit division.
fn division(data: &InstData) -> Option<(bool, bool, [Value; 2])> {
    let InstData::Binary { op, ty: Type::I64, args } = *data else { return None };
    match op {
        BinaryOp::DivS => Some((true, false, args)),
        BinaryOp::RemS => Some((true, true, args)),
        BinaryOp::DivU => Some((false, false, args)),
        BinaryOp::RemU => Some((false, true, args)),
        _ => None,
    }
}
