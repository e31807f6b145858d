//! Addressing: `base + index + offset` as one memory operand.
//!
//! Effective addresses are taken modulo 2^32, as is `i32` arithmetic, so constants that are added to the index move
//! into the displacement whatever their sign, and the index needs no extension. The address of linear memory is a
//! constant of the program. In the address of a stack object it cancels: the wasm address is the machine address
//! minus that constant.

use ssa::{Addr, BinaryOp, InstData, Value};

use super::{Cx, any, constant};
use crate::inst::Mem;
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

/// A value that is a sum of something and a constant; conversions that keep the low half are looked through. A sum with
/// the address of data that is used more than once is a biased pointer, made so that its uses have short displacements.
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
