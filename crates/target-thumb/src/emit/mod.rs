//! Emission: encodes final instructions as bytes and fixups.

pub mod fixup;

use codegen::{Block, CodeBuffer, Encode, PReg, Reference};
use thumb_isa::{Cond, Inst as Machine, Opcode, Reg};

use crate::isa::Thumb;
use crate::isa::inst::{Callee, Inst, Literal, SCRATCH, Table, core_reg, to_machine};

use fixup::{Fixup, add_scaled};

type Buffer = CodeBuffer<Fixup>;

impl Encode for Thumb {
    type Fixup = Fixup;

    fn encode(&self, inst: &Inst<PReg>, buf: &mut Buffer) {
        instruction(inst, buf);
    }

    fn encode_branch(&self, inst: &Inst<PReg>, to: Block, buf: &mut Buffer) {
        branch(inst, to, buf);
    }

    fn encode_jump(&self, to: Block, buf: &mut Buffer) {
        jump(to, buf);
    }

    fn encode_dispatch(&self, inst: &Inst<PReg>, targets: &[Block], buf: &mut Buffer) {
        dispatch(inst, targets, buf);
    }
}

/// Appends an instruction, except for branches and jumps inside the function.
fn instruction(inst: &Inst<PReg>, buf: &mut Buffer) {
    match inst {
        Inst::Plain(machine) => plain(&to_machine(machine), None, buf),
        Inst::It { cond, mask, body } => {
            plain(&Machine::it(Opcode::It, *cond, *mask), None, buf);
            for (machine, cond) in body.iter().zip(mask.conds(*cond)) {
                plain(&to_machine(machine), Some(cond), buf);
            }
        }
        Inst::AddressHalf { op, dst, symbol, offset } => {
            let fixup = Fixup::AddressHalf { op: *op, dst: core_reg(*dst), symbol: *symbol, offset: *offset };
            buf.fixup(fixup, Reference::None);
        }
        Inst::LoadLiteral { dst, pool, index, .. } => {
            let fixup = Fixup::LoadLiteral { dst: core_reg(*dst), index: *index };
            buf.fixup(fixup, Reference::Label(Buffer::block_label(*pool)));
        }
        Inst::Call(call) => match call.callee {
            Callee::Func(func) => buf.fixup(Fixup::Call(func), Reference::None),
            Callee::Code(code) => plain(&Machine::branch_reg(Opcode::Blx, core_reg(code)), None, buf),
        },
        Inst::TailCall(call) => match call.callee {
            Callee::Func(func) => buf.fixup(Fixup::TailCall(func), Reference::None),
            Callee::Code(code) => plain(&Machine::branch_reg(Opcode::Bx, core_reg(code)), None, buf),
        },
        Inst::Return { pop, .. } if pop.is_empty() => {
            plain(&Machine::branch_reg(Opcode::Bx, Reg::LR), None, buf)
        }
        Inst::Return { pop, .. } => plain(&Machine::stack(Opcode::Pop, *pop), None, buf),
        Inst::Pool { words } => pool(words, buf),
        Inst::Params { .. } => {}
        other => panic!("`{other}` has not been expanded"),
    }
}

fn plain(machine: &Machine, it: Option<Cond>, buf: &mut Buffer) {
    let form = machine.shortest_form(it).unwrap_or_else(|| panic!("`{machine}` has no encoding"));
    buf.instruction(|out| machine.encode(form, it, out));
}

fn pool(words: &[Literal], buf: &mut Buffer) {
    buf.fixup(Fixup::Align(4), Reference::None);
    for &word in words {
        buf.fixup(Fixup::Word(word), Reference::None);
    }
}

/// Appends a conditional branch to a block.
fn branch(inst: &Inst<PReg>, to: Block, buf: &mut Buffer) {
    let fixup = match *inst {
        Inst::FlagBranch(cond) => Fixup::Branch(cond),
        Inst::ZeroBranch { reg, if_zero } => Fixup::ZeroBranch { reg: core_reg(reg), if_zero },
        ref other => panic!("`{other}` is no branch"),
    };
    buf.fixup(fixup, Reference::Label(Buffer::block_label(to)));
}

/// Appends a jump to a block.
fn jump(to: Block, buf: &mut Buffer) {
    buf.fixup(Fixup::Jump, Reference::Label(Buffer::block_label(to)));
}

/// Appends a jump through a table that follows it.
fn dispatch(inst: &Inst<PReg>, targets: &[Block], buf: &mut Buffer) {
    let Inst::Dispatch { index, table } = *inst else { panic!("`{inst}` is no dispatch") };
    let index = core_reg(index);
    let labels = targets.iter().map(|&to| Reference::Label(Buffer::block_label(to)));
    let entry_bytes = match table {
        Table::Bytes => 1,
        Table::Halves => 2,
        Table::Jumps => {
            let scratch = core_reg(SCRATCH);
            buf.fixup(Fixup::TableAddress { dst: scratch }, Reference::None);
            plain(&add_scaled(scratch, scratch, index), None, buf);
            plain(&Machine::branch_reg(Opcode::Bx, scratch), None, buf);
            labels.for_each(|label| buf.fixup(Fixup::TableJump, label));
            return;
        }
    };
    let op = if entry_bytes == 1 { Opcode::Tbb } else { Opcode::Tbh };
    plain(&Machine::table_branch(op, Reg::PC, index), None, buf);
    for (index, label) in (0..).zip(labels) {
        buf.fixup(Fixup::TableEntry { bytes: entry_bytes, index }, label);
    }
    buf.fixup(Fixup::Align(2), Reference::None);
}
