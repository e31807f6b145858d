//! Calls that never return.
//!
//! A call stores a return address, which takes an entry of the jump table and two to five bytes of the instruction. A
//! function that ends in traps or loops only never uses it. So a call of such a function becomes a jump if a trap follows
//! it: the stack pointer stays where it is, so the callee finds its arguments, and nobody looks at the frame again.

use codegen::{Control, Function, Isa, PReg, RegSet};

use crate::isa::{Call, Callee, Inst, Pvm};

/// Turns calls that never return into jumps.
pub fn jump(target: &Pvm, func: &mut Function<Pvm, PReg>) {
    for block in func.order.clone() {
        let data = &mut func.blocks[block];
        let traps = matches!(&data.control, Control::Exit(inst) if Pvm::is_trap(inst));
        let Some(Inst::Call(call)) = data.insts.iter().last().filter(|_| traps) else { continue };
        if matches!(call.callee, Callee::Func(callee) if target.never_returning[callee]) {
            let call = Call { results: Vec::new(), clobbers: RegSet::EMPTY, ..(**call).clone() };
            data.insts.truncate(data.insts.len() - 1);
            data.control = Control::Exit(Inst::TailCall(Box::new(call)));
        }
    }
}
