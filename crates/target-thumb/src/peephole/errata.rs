//! Replacing instructions that a core executes wrongly.
//!
//! Erratum 602117 of Cortex-M3: an interrupt may abandon a load of two words to its own base after the base has
//! changed; the load then restarts with the wrong base. Two loads of a word have the same effect, with the base loaded
//! last; if both have short forms, they take as many bytes. Passes that rename registers or combine loads may create
//! the form at any time, so this pass runs after them.

use codegen::{Function, PReg};
use thumb_isa::Opcode;

use crate::inst::{Inst, Machine};
use crate::lower::add_imm;
use crate::target::Thumb;

/// Replaces loads of two words to their own base.
pub fn split_loads(func: &mut Function<Thumb, PReg>) {
    let loads_base = |inst: &Inst<PReg>| load_of_base(inst).is_some();
    for block in func.blocks.values_mut().filter(|block| block.insts.iter().any(loads_base)) {
        block.insts.rewrite(|inst, out| match load_of_base(&inst) {
            Some((rest, base, offset)) => split(rest, base, offset, out),
            None => out.push(inst),
        });
    }
}

/// For a load of two words to its own base: the other register with the offset of its word, the base, and the offset of
/// the base's word.
fn load_of_base(inst: &Inst<PReg>) -> Option<((PReg, i32), PReg, i32)> {
    match *inst {
        Inst::Plain(Machine::Dual { op: Opcode::Ldrd, rt, rt2, rn, offset }) if rt == rn => {
            Some(((rt2, offset + 4), rn, offset))
        }
        Inst::Plain(Machine::Dual { op: Opcode::Ldrd, rt, rt2, rn, offset }) if rt2 == rn => {
            Some(((rt, offset), rn, offset + 4))
        }
        _ => None,
    }
}

fn split((other, mut other_offset): (PReg, i32), base: PReg, mut offset: i32, out: &mut Vec<Inst<PReg>>) {
    // A load of two words reaches lower than a load of one word.
    let low = offset.min(other_offset);
    if low < -255 {
        out.push(add_imm(base, base, low as u32));
        (other_offset, offset) = (other_offset - low, offset - low);
    }
    out.push(Inst::Plain(Machine::mem(Opcode::Ldr, other, base, other_offset)));
    out.push(Inst::Plain(Machine::mem(Opcode::Ldr, base, base, offset)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loads(rt: u8, rt2: u8, rn: u8, offset: i32) -> Vec<String> {
        let [rt, rt2, rn] = [rt, rt2, rn].map(PReg::new);
        let dual = Inst::Plain(Machine::dual(Opcode::Ldrd, rt, rt2, rn, offset));
        let mut out = Vec::new();
        let (rest, base, offset) = load_of_base(&dual).expect("it loads its base");
        split(rest, base, offset, &mut out);
        out.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_base_is_loaded_last() {
        assert_eq!(loads(1, 2, 1, 8), ["ldr r2, [r1, #12]", "ldr r1, [r1, #8]"]);
        assert_eq!(loads(2, 1, 1, 8), ["ldr r2, [r1, #8]", "ldr r1, [r1, #12]"]);
        assert_eq!(loads(1, 2, 1, -1020), ["sub r1, r1, #1020", "ldr r2, [r1, #4]", "ldr r1, [r1]"]);
    }
}
