//! Addressing: `base + index + offset` as one memory operand.
//!
//! Effective addresses are taken modulo 2^32, as `i32` arithmetic is. So a constant that is added to the index moves
//! into the displacement whatever its sign, and the index needs no extension. The address of linear memory is a
//! constant of the program. In the address of a stack object it cancels: the wasm address is the machine address minus
//! that constant.

use ssa::{Addr, BinaryOp, InstData, Value};

use super::{Cx, any, constant};
use crate::isa::Mem;
use codegen::{StackSlot, VReg};

/// The memory operand of an address.
pub fn operand(cx: &mut Cx<'_>, addr: &Addr) -> Mem<VReg> {
    let base = addr.base.map_or(0, |base| cx.target.plan.address(base) as i32);
    let mut displacement = base.wrapping_add(addr.offset);
    let mut index = addr.index;
    while let Some(value) = index {
        if let Some(constant) = constant(cx, value) {
            displacement = displacement.wrapping_add(constant as i32);
            index = None;
        } else if let Some((rest, constant)) = split_sum(cx, value) {
            displacement = displacement.wrapping_add(constant);
            index = Some(rest);
        } else {
            break;
        }
    }
    let Some(index) = index else { return Mem::Abs(displacement) };
    match cx.def(index) {
        Some(&InstData::FrameAddr { slot }) => {
            let offset = displacement.wrapping_sub(cx.target.plan.linear_base() as i32);
            Mem::Slot(StackSlot::Object { slot, offset })
        }
        _ => Mem::Reg(any(cx, index), displacement),
    }
}

/// The summands of a value that is a sum with a constant; conversions that keep the low half are skipped. A sum with
/// the address of data and several uses is a biased pointer, whose uses shall keep their short displacements, so it is
/// not split.
fn split_sum(cx: &Cx<'_>, value: Value) -> Option<(Value, i32)> {
    match *cx.pure_def(super::source(cx, value))? {
        InstData::Binary { op: BinaryOp::Add, args: [a, b], .. } => {
            let is_biased = matches!(cx.def(b), Some(InstData::DataAddr { .. })) && !cx.has_one_use(value);
            (!is_biased).then_some((a, constant(cx, b)? as i32))
        }
        InstData::Binary { op: BinaryOp::Sub, args: [a, b], .. } => {
            Some((a, (constant(cx, b)? as i32).wrapping_neg()))
        }
        InstData::Binary { op: BinaryOp::Or, args: [a, b], .. } => {
            let bits = constant(cx, b)?;
            let is_sum = bits >= 0 && bits >> cx.facts.known(a).low_zeros == 0;
            is_sum.then_some((a, bits as i32))
        }
        _ => None,
    }
}
