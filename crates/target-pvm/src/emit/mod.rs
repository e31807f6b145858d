//! Encoding: from final instructions to bytes and fixups.
//!
//! Jumps may only go to starts of basic blocks, which are the places after terminators. If a block is the target of a
//! jump and control also falls into it from an instruction that is no terminator, a `fallthrough` precedes it.

mod fixup;

use codegen::{Block, CodeBuffer, Encode, PReg, Reference};
use pvm_isa::{GpVersion, Inst as Machine, Opcode, asm};

pub use fixup::{Fixup, Need};

use crate::isa::{Call, Callee, Inst, Pvm};

type Buffer = CodeBuffer<Fixup>;

impl Encode for Pvm {
    type Fixup = Fixup;

    fn encode(&self, inst: &Inst<PReg>, buf: &mut Buffer) {
        instruction(self.gp, inst, buf);
    }

    fn encode_branch(&self, inst: &Inst<PReg>, to: Block, buf: &mut Buffer) {
        let machine = inst.machine().expect("a branch is a machine instruction");
        buf.fixup(Fixup::jump(self.gp, machine), Reference::Label(Buffer::block_label(to)));
    }

    fn encode_jump(&self, to: Block, buf: &mut Buffer) {
        buf.fixup(Fixup::jump(self.gp, asm::jump(0)), Reference::Label(Buffer::block_label(to)));
    }

    fn encode_dispatch(&self, inst: &Inst<PReg>, targets: &[Block], buf: &mut Buffer) {
        let machine = inst.machine().expect("a dispatch is a machine instruction");
        let table = buf.table(targets.iter().map(|&to| Buffer::block_label(to)));
        buf.fixup(Fixup::dispatch(self.gp, machine, table), Reference::None);
    }

    /// Makes the current place the start of a basic block if it is the target of a jump.
    fn begin_block(&self, falls_in: bool, is_target: bool, buf: &mut Buffer) {
        let is_start = buf.last_fixup().is_some_and(Fixup::is_terminator);
        if falls_in && is_target && !is_start {
            plain(self.gp, Machine::no_arg(Opcode::Fallthrough), buf);
        }
    }
}

/// Appends an instruction, except for branches and jumps inside the function.
fn instruction(gp: GpVersion, inst: &Inst<PReg>, buf: &mut Buffer) {
    let Some(machine) = inst.machine() else { return };
    match inst {
        Inst::FuncRef { func, .. } => buf.fixup(Fixup::func_ref(gp, machine, *func), Reference::None),
        Inst::Call(call) => call_instruction(gp, machine, call, buf),
        Inst::TailCall(call) => match call.callee {
            Callee::Func(func) => buf.fixup(Fixup::jump(gp, machine), Reference::Func(func)),
            _ => plain(gp, machine, buf),
        },
        _ => plain(gp, machine, buf),
    }
}

fn call_instruction(gp: GpVersion, machine: Machine, call: &Call<PReg>, buf: &mut Buffer) {
    match call.callee {
        Callee::Func(func) => buf.fixup(Fixup::call(gp, machine), Reference::Func(func)),
        Callee::Code(_) => buf.fixup(Fixup::call(gp, machine), Reference::None),
        Callee::Host(_) => plain(gp, machine, buf),
    }
}

fn plain(gp: GpVersion, machine: Machine, buf: &mut Buffer) {
    buf.instruction(|out| {
        let start = out.len();
        machine.encode(gp, out);
        assert_means(&machine, gp, &out[start..]);
    });
}

/// Asserts that bytes decode to the instruction that they are the encoding of.
fn assert_means(machine: &Machine, gp: GpVersion, bytes: &[u8]) {
    let decoded = pvm_isa::decode::decode_all(gp, bytes);
    assert_eq!(decoded, Some(*machine), "`{machine}` has wrong bytes");
}
