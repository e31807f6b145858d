//! Bounds of loops that make a value smaller until it is zero.

use crate::{BinaryOp, Cond, InstData, Value};

use super::{Body, Test};

/// The most executions of the header, if each round shrinks a parameter and the test leaves at zero.
pub fn bound(body: &Body, test: &Test) -> Option<u32> {
    let value = leaves_at_zero(body, test)?;
    let (index, is_tested_first) = match body.parameter(value) {
        Some(index) => (index, true),
        None => (0..body.backs.first()?.len()).find(|&n| body.next(n) == Some(value)).map(|n| (n, false))?,
    };
    let parameter = body.facts.func.blocks[body.header].params[index];
    let widths = body.entries.iter().map(|entry| body.facts.known[entry[index]].unsigned);
    let width = widths.max()?;
    // The rounds after which every value of that width is zero.
    let rounds = match shrinking(body, parameter, body.next(index)?)? {
        Shrinking::Shift(count) => width.div_ceil(count),
        Shrinking::ClearsLowest => width,
        // Tested afterwards, zero becomes the largest value.
        Shrinking::ByOne if is_tested_first && width < u32::BITS - 1 => (1 << width) - 1,
        Shrinking::ByOne => return None,
    };
    Some(if is_tested_first { rounds + 1 } else { rounds.max(1) })
}

/// The value that is zero where the test leaves.
fn leaves_at_zero(body: &Body, test: &Test) -> Option<Value> {
    let &InstData::Icmp { cond, args: [left, right], .. } = body.def(test.cond)? else { return None };
    let leaves = if test.leaves { cond } else { cond.inverse() };
    let is_zero = |value| body.facts.func.as_const(value) == Some(0);
    match leaves {
        Cond::Eq if is_zero(right) => Some(left),
        Cond::Eq if is_zero(left) => Some(right),
        _ => None,
    }
}

/// How a round makes a value smaller.
enum Shrinking {
    /// By so many bits.
    Shift(u32),
    ClearsLowest,
    ByOne,
}

fn shrinking(body: &Body, parameter: Value, next: Value) -> Option<Shrinking> {
    let &InstData::Binary { op, args: [left, right], .. } = body.def(next)? else { return None };
    let constant = |value| body.facts.func.as_const(value);
    let is_one_less = |value: Value| match body.def(value) {
        Some(&InstData::Binary { op, args: [a, b], .. }) if a == parameter => {
            matches!((op, constant(b)), (BinaryOp::Add, Some(-1)) | (BinaryOp::Sub, Some(1)))
        }
        _ => false,
    };
    match op {
        BinaryOp::ShrU if left == parameter => {
            let width = body.facts.func.values[parameter].ty.bits();
            let count = u32::try_from(constant(right)?).ok()?;
            (1..width).contains(&count).then_some(Shrinking::Shift(count))
        }
        BinaryOp::And if left == parameter && is_one_less(right) => Some(Shrinking::ClearsLowest),
        BinaryOp::And if right == parameter && is_one_less(left) => Some(Shrinking::ClearsLowest),
        _ => is_one_less(next).then_some(Shrinking::ByOne),
    }
}
