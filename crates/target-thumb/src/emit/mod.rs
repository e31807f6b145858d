//! Emission: encodes final instructions as bytes and fixups.

pub mod fixup;
mod unwind;

use codegen::{Block, CodeBuffer, Encode, Function, PReg, Reference, Unwind};
use thumb_isa::{Cond, Feature, Features, Inst as Machine, Opcode, Reg};

use crate::isa::Thumb;
use crate::isa::inst::{Callee, Inst, Literal, SCRATCH, Table, core_reg, to_machine};

use fixup::{Fixup, LongJump, add_scaled};

type Buffer = CodeBuffer<Fixup>;

impl Encode for Thumb {
    type Fixup = Fixup;

    fn encode(&self, inst: &Inst<PReg>, buf: &mut Buffer) {
        instruction(inst, self.cpu.features(), buf);
    }

    fn encode_branch(&self, inst: &Inst<PReg>, to: Block, buf: &mut Buffer) {
        branch(inst, LongJump::of(self.cpu.features()), to, buf);
    }

    fn encode_jump(&self, to: Block, buf: &mut Buffer) {
        buf.fixup(Fixup::Jump(LongJump::of(self.cpu.features())), Reference::Label(Buffer::block_label(to)));
    }

    fn encode_dispatch(&self, inst: &Inst<PReg>, targets: &[Block], buf: &mut Buffer) {
        dispatch(inst, targets, self.cpu.features(), buf);
    }

    fn unwind(&self, func: &Function<Self, PReg>) -> Option<Unwind> {
        Some(unwind::unwind(func))
    }
}

/// Appends an instruction, except for branches and jumps inside the function.
fn instruction(inst: &Inst<PReg>, features: Features, buf: &mut Buffer) {
    let plain = |machine: &Machine, it, buf: &mut Buffer| plain(machine, features, it, buf);
    match inst {
        Inst::Plain(machine) => plain(&to_machine(machine), None, buf),
        Inst::It { cond, mask, body } => {
            plain(&Machine::it(Opcode::It, *cond, *mask), None, buf);
            for (machine, cond) in body.iter().zip(mask.conds(*cond)) {
                plain(&to_machine(machine), Some(cond), buf);
            }
        }
        Inst::Either { cond, if_true, if_false } => either(*cond, if_true, if_false, features, buf),
        Inst::AddressHalf { op, dst, symbol, offset } => {
            let fixup = Fixup::AddressHalf { op: *op, dst: core_reg(*dst), symbol: *symbol, offset: *offset };
            buf.fixup(fixup, Reference::None);
        }
        Inst::LoadLiteral { dst, pool, index, .. } => {
            let fixup = Fixup::LoadLiteral {
                dst: core_reg(*dst),
                index: *index,
                has_long: features.contains(Feature::Base),
            };
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

/// Appends an instruction. Panics if the core doesn't have it.
fn plain(machine: &Machine, features: Features, it: Option<Cond>, buf: &mut Buffer) {
    let form = machine.shortest_form_of(features, it);
    let form = form.unwrap_or_else(|| panic!("`{machine}` has no encoding on this core"));
    buf.instruction(|out| {
        let start = out.len();
        machine.encode(form, it, out);
        assert_means(machine, it, &out[start..]);
    });
}

/// Asserts that bytes decode to the instruction that they are the encoding of.
fn assert_means(machine: &Machine, it: Option<Cond>, bytes: &[u8]) {
    let decoded = thumb_isa::decode::decode(bytes, it);
    let is_meant = decoded.is_some_and(|decoded| {
        decoded.inst == *machine && decoded.form.width().bytes() as usize == bytes.len()
    });
    assert!(is_meant, "`{machine}` was encoded as {}", text_of(decoded.map(|decoded| decoded.inst)));
}

fn text_of(inst: Option<Machine>) -> String {
    inst.map_or_else(|| "no instruction".to_owned(), |inst| format!("`{inst}`"))
}

/// Appends instructions that run if the flags satisfy a condition, and others that run if they don't, with branches
/// around them.
fn either(
    cond: Cond,
    if_true: &[crate::isa::inst::Machine<PReg>],
    if_false: &[crate::isa::inst::Machine<PReg>],
    features: Features,
    buf: &mut Buffer,
) {
    let list = |list: &[crate::isa::inst::Machine<PReg>], buf: &mut Buffer| {
        list.iter().for_each(|machine| plain(&to_machine(machine), features, None, buf));
    };
    // The branch skips so many bytes after itself.
    let skip = |bytes: u32| bytes as i32 - 2;
    let (if_true_bytes, if_false_bytes) = (2 * if_true.len() as u32, 2 * if_false.len() as u32);
    let branch = |cond, bytes| Machine::branch_cond(Opcode::Bcond, cond, skip(bytes));
    if if_true.is_empty() {
        plain(&branch(cond, if_false_bytes), features, None, buf);
    } else {
        let jump_bytes = if if_false.is_empty() { 0 } else { 2 };
        plain(&branch(cond.invert(), if_true_bytes + jump_bytes), features, None, buf);
        list(if_true, buf);
        if jump_bytes > 0 {
            plain(&Machine::branch(Opcode::B, skip(if_false_bytes)), features, None, buf);
        }
    }
    list(if_false, buf);
}

fn pool(words: &[Literal], buf: &mut Buffer) {
    buf.fixup(Fixup::Align(4), Reference::None);
    for &word in words {
        buf.fixup(Fixup::Word(word), Reference::None);
    }
}

/// Appends a conditional branch to a block.
fn branch(inst: &Inst<PReg>, long: LongJump, to: Block, buf: &mut Buffer) {
    let fixup = match *inst {
        Inst::FlagBranch(cond) => Fixup::Branch(cond, long),
        Inst::ZeroBranch { reg, if_zero } => Fixup::ZeroBranch { reg: core_reg(reg), if_zero, long },
        ref other => panic!("`{other}` is no branch"),
    };
    buf.fixup(fixup, Reference::Label(Buffer::block_label(to)));
}

/// Appends a jump through a table that follows it.
fn dispatch(inst: &Inst<PReg>, targets: &[Block], features: Features, buf: &mut Buffer) {
    let plain = |machine: &Machine, buf: &mut Buffer| plain(machine, features, None, buf);
    let Inst::Dispatch { index, table } = *inst else { panic!("`{inst}` is no dispatch") };
    let index = core_reg(index);
    let labels = targets.iter().map(|&to| Reference::Label(Buffer::block_label(to)));
    let entry_bytes = match table {
        Table::Bytes => 1,
        Table::Halves => 2,
        Table::Jumps => {
            let scratch = core_reg(SCRATCH);
            buf.fixup(Fixup::TableAddress { dst: scratch }, Reference::None);
            plain(&add_scaled(scratch, scratch, index), buf);
            plain(&Machine::branch_reg(Opcode::Bx, scratch), buf);
            labels.for_each(|label| buf.fixup(Fixup::TableJump(Some(LongJump::of(features))), label));
            return;
        }
        Table::Added { is_long } => {
            if is_long {
                plain(&Machine::shift_imm(Opcode::LslImm, true, index, index, 1), buf);
            }
            // The program counter is that of the first jump.
            plain(&Machine::branch_reg(Opcode::AddPc, index), buf);
            plain(&Machine::no_arg(Opcode::Nop), buf);
            let long = is_long.then(|| LongJump::of(features));
            labels.for_each(|label| buf.fixup(Fixup::TableJump(long), label));
            return;
        }
    };
    let op = if entry_bytes == 1 { Opcode::Tbb } else { Opcode::Tbh };
    plain(&Machine::table_branch(op, Reg::PC, index), buf);
    for (index, label) in (0..).zip(labels) {
        buf.fixup(Fixup::TableEntry { bytes: entry_bytes, index }, label);
    }
    buf.fixup(Fixup::Align(2), Reference::None);
}
