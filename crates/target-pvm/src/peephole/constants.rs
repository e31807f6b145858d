//! Shorter code for long constants: two short instructions, or a load.
//!
//! A constant that fits no immediate takes ten bytes and two decode slots. If it is a shifted immediate, the immediate
//! and the shift also take two slots and one cycle more, but mostly six bytes and at most nine. In small code, a constant
//! that is in the [pool](crate::isa::Pvm::pool) is loaded.

use std::collections::BTreeMap;

use codegen::{Function, PReg};
use pvm_isa::{GpVersion, Opcode};

use crate::isa::{Inst, Mem, Pvm};

/// Maximum number of bytes of the two instructions when optimising for speed: the extra cycle must save bytes.
const MAX_LEN: usize = 7;

/// Replaces long constants in all blocks.
pub fn split(target: &Pvm, func: &mut Function<Pvm, PReg>) {
    let is_small = func.optimize_for_size;
    let shorter = |inst: &Inst<PReg>| {
        let load = || loaded(inst, &target.pool).filter(|_| is_small).map(|load| vec![load]);
        shifted(target.gp, inst).or_else(load)
    };
    for block in func.blocks.values_mut() {
        if block.insts.iter().any(|inst| shorter(inst).is_some()) {
            block.insts.rewrite(|inst, out| out.extend(shorter(&inst).unwrap_or_else(|| vec![inst])));
        }
    }
}

/// Whether a constant takes ten bytes.
pub fn is_long(gp: GpVersion, value: i64) -> bool {
    let inst = Inst::Const { dst: PReg::new(0), value };
    i32::try_from(value).is_err() && shifted(gp, &inst).is_none()
}

/// The load of a constant that is stored.
fn loaded(inst: &Inst<PReg>, pool: &BTreeMap<i64, i32>) -> Option<Inst<PReg>> {
    let Inst::Const { dst, value } = *inst else { return None };
    let &address = pool.get(&value)?;
    Some(Inst::Load { op: Opcode::LoadIndU64, dst, mem: Mem::Abs(address) })
}

/// The two instructions for a long constant, if it is a shifted immediate.
fn shifted(gp: GpVersion, inst: &Inst<PReg>) -> Option<Vec<Inst<PReg>>> {
    let Inst::Const { dst, value } = *inst else { return None };
    if i32::try_from(value).is_ok() {
        return None;
    }
    let left = value.trailing_zeros();
    let right = value.leading_zeros();
    let by_left = i32::try_from(value >> left).ok().map(|imm| (imm, Opcode::ShloLImm64, left));
    // The bits that are shifted out are arbitrary; ones make small negative immediates.
    let filled = value << right | ((1 << right) - 1);
    let by_right = i32::try_from(filled).ok().map(|imm| (imm, Opcode::ShloRImm64, right));
    by_left.into_iter().chain(by_right).find_map(|(imm, op, count)| {
        let pair = vec![
            Inst::Const { dst, value: imm.into() },
            Inst::BinaryImm { op, dst, src: dst, imm: count as i32 },
        ];
        let len: usize = pair.iter().filter_map(Inst::machine).map(|inst| inst.encoded_len(gp)).sum();
        (len <= MAX_LEN).then_some(pair)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifted_constants_are_exact() {
        let dst = PReg::new(7);
        let cases = [
            (1i64 << 32, true),
            (i64::from(u32::MAX), true),
            (i64::MAX, true),
            (i64::MIN, true),
            (-1 << 40, true),
            (0x1234_5678_9abc_def0, false),
            (0x7fff_ffff, false),
        ];
        for (value, splits) in cases {
            let pair = shifted(GpVersion::V08, &Inst::Const { dst, value });
            assert_eq!(pair.is_some(), splits, "{value:#x}");
            if let Some([Inst::Const { value: imm, .. }, Inst::BinaryImm { op, imm: count, .. }]) =
                pair.as_deref()
            {
                let result = match op {
                    Opcode::ShloLImm64 => imm << count,
                    _ => (*imm as u64 >> count) as i64,
                };
                assert_eq!(result, value);
            }
        }
    }
}
