//! Replacing instructions that a core executes wrongly.
//!
//! Erratum 602117 of Cortex-M3: a load of two words whose first register is its own base may be abandoned, for an
//! interrupt or a fault of the second word, when the base has changed, and then restarts with the wrong one. If the
//! base is the second register, that can't happen. Two loads of a word do the same, that of the base last; where both
//! have short forms they take as many bytes. Passes that rename registers or join loads may make the form at any time,
//! so this one runs after them.

use codegen::{Function, PReg};
use thumb_isa::Opcode;

use crate::isa::Thumb;
use crate::isa::inst::{Inst, Machine, add_imm};

/// Replaces loads of two words whose first register is their base.
pub fn split_loads(func: &mut Function<Thumb, PReg>) {
    let loads_base = |inst: &Inst<PReg>| load_of_base(inst).is_some();
    for block in func.blocks.values_mut().filter(|block| block.insts.iter().any(loads_base)) {
        block.insts.rewrite(|inst, out| match load_of_base(&inst) {
            Some((other, base, offset)) => split(other, base, offset, out),
            None => out.push(inst),
        });
    }
}

/// Of a load of two words that begins with its own base: the other register, the base, and the offset.
fn load_of_base(inst: &Inst<PReg>) -> Option<(PReg, PReg, i32)> {
    match *inst {
        Inst::Plain(Machine::Dual { op: Opcode::Ldrd, rt, rt2, rn, offset }) if rt == rn => {
            Some((rt2, rn, offset))
        }
        _ => None,
    }
}

fn split(other: PReg, base: PReg, mut offset: i32, out: &mut Vec<Inst<PReg>>) {
    // A load of two words reaches further down than one of a word.
    if offset < -255 {
        out.push(add_imm(base, base, offset as u32));
        offset = 0;
    }
    out.push(Inst::Plain(Machine::mem(Opcode::Ldr, other, base, offset + 4)));
    out.push(Inst::Plain(Machine::mem(Opcode::Ldr, base, base, offset)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loads(rt: u8, rt2: u8, rn: u8, offset: i32) -> Vec<String> {
        let [rt, rt2, rn] = [rt, rt2, rn].map(PReg::new);
        let dual = Inst::Plain(Machine::dual(Opcode::Ldrd, rt, rt2, rn, offset));
        let mut out = Vec::new();
        match load_of_base(&dual) {
            Some((other, base, offset)) => split(other, base, offset, &mut out),
            None => out.push(dual),
        }
        out.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_base_is_loaded_last() {
        assert_eq!(loads(1, 2, 1, 8), ["ldr r2, [r1, #12]", "ldr r1, [r1, #8]"]);
        assert_eq!(loads(1, 2, 1, -4), ["ldr r2, [r1]", "ldr r1, [r1, #-4]"]);
        assert_eq!(loads(1, 2, 1, -1020), ["sub r1, r1, #1020", "ldr r2, [r1, #4]", "ldr r1, [r1]"]);
        assert_eq!(loads(2, 1, 1, 8).len(), 1);
        assert_eq!(loads(2, 3, 1, 8).len(), 1);
    }
}
