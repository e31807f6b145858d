//! Frames on cores without the main extension.
//!
//! Only low registers and the link register can be pushed, only low ones and the program counter popped. Offsets from the
//! stack pointer reach 1 KiB, in words; it can be changed by 508 bytes, or by a register. So some functions save r4 to
//! have it free in the prologue and the epilogue:
//!
//! - those with large or aligned frames;
//! - those that end in a tail call: the link register is restored by way of r4.
//!
//! A jump in a function of more than 2 KiB may be `bl`, if the core has no other long jump. Such a function saves the link
//! register and has its frame everywhere.

use codegen::{Control, Function, PReg, StackSlot};
use thumb_isa::{Feature, Opcode, Reg, Shift};

use super::Frame;
use crate::isa::Thumb;
use crate::isa::abi::{STACK_ALIGN, WORD};
use crate::isa::inst::{
    Base, Inst, LR, MEMORY_BASE, Machine, SCRATCH, SP, Symbol, alu_imm, alu_reg, core_reg,
};

type Out = Vec<Inst<PReg>>;

/// The register that is saved to be free outside of the function's own code.
const FREE: PReg = PReg::new(4);
/// The most that one instruction can add to the stack pointer.
const SP_STEP: u32 = 508;
/// The largest offset from the stack pointer in one instruction.
const SP_REACH: i64 = 1020;
/// The estimated size of a function in bytes from which on its jumps may be long. It is half the reach of a short jump, as
/// later passes add instructions.
const FAR: u32 = 1000;

/// Whether jumps of a function may be long where the core's only long jump changes the link register.
pub fn may_jump_far(target: &Thumb, func: &Function<Thumb, PReg>) -> bool {
    !target.cpu.features().contains(Feature::V8Base) && most_bytes(func) > FAR
}

/// An upper bound of the size of a function before expansion, with its literals, in bytes.
fn most_bytes(func: &Function<Thumb, PReg>) -> u32 {
    let of_control = |control: &Control<Thumb, PReg>| match control {
        Control::Jump(_) => 4,
        Control::Branch { .. } => 22,
        Control::Dispatch { targets, .. } => 6 + 4 * targets.len() as u32,
        Control::Exit(_) => 28,
    };
    let blocks = func.order.iter().map(|&block| &func.blocks[block]);
    blocks.map(|data| data.insts.iter().map(most_inst_bytes).sum::<u32>() + of_control(&data.control)).sum()
}

const fn most_inst_bytes(inst: &Inst<PReg>) -> u32 {
    match inst {
        Inst::Plain(_) | Inst::Tied(_) => 2,
        Inst::TiedPair { .. } | Inst::FromBase { .. } | Inst::Call(_) => 4,
        Inst::Const { .. } | Inst::Address { .. } => 6,
        Inst::LoadSlot { .. } | Inst::StoreSlot { .. } | Inst::SlotAddr { .. } => 14,
        _ => 24,
    }
}

/// Whether a function ends in a tail call somewhere.
fn has_tail_call(func: &Function<Thumb, PReg>) -> bool {
    func.blocks.values().any(|block| matches!(block.control, Control::Exit(Inst::TailCall(_))))
}

impl Frame {
    /// Adds the registers that prologue and epilogue need.
    pub(super) fn save_for_narrow(&mut self, func: &Function<Thumb, PReg>, align: u32) {
        let restores_link = has_tail_call(func) && self.core.contains(Reg::LR);
        if restores_link || align > STACK_ALIGN || self.layout.size + align > 2 * SP_STEP {
            self.core = self.core.with(core_reg(FREE)).with(Reg::LR);
        }
    }

    /// Replaces an access to a slot or its address.
    pub(super) fn resolve_narrow(&self, inst: Inst<PReg>, out: &mut Out) {
        match inst {
            Inst::LoadSlot { dst, slot, .. } => self.load_slot(dst, slot, out),
            Inst::StoreSlot { src, slot, .. } => self.store_slot(src, slot, out),
            Inst::SlotAddr { dst, slot, base } => self.narrow_slot_address(dst, slot, base, out),
            other => out.push(other),
        }
    }

    fn load_slot(&self, dst: PReg, slot: StackSlot, out: &mut Out) {
        match (slot, self.realigned) {
            (StackSlot::Incoming(offset), Some((_, kept))) => {
                load(dst, kept.into(), out);
                let rest = move_up(dst, self.pushed() + offset, out);
                out.push(Inst::Plain(Machine::mem(Opcode::Ldr, dst, dst, rest)));
            }
            (StackSlot::Incoming(offset), None) => {
                load(dst, i64::from(self.size + self.pushed() + offset), out);
            }
            _ => load(dst, self.layout.offset(slot), out),
        }
    }

    fn store_slot(&self, src: PReg, slot: StackSlot, out: &mut Out) {
        match (slot, self.realigned) {
            (StackSlot::Incoming(offset), Some((_, kept))) => borrow(src, out, |address, out| {
                load(address, kept.into(), out);
                let rest = move_up(address, self.pushed() + offset, out);
                out.push(Inst::Plain(Machine::mem(Opcode::Str, src, address, rest)));
            }),
            (StackSlot::Incoming(offset), None) => {
                store(src, i64::from(self.size + self.pushed() + offset), out);
            }
            _ => store(src, self.layout.offset(slot), out),
        }
    }

    fn narrow_slot_address(&self, dst: PReg, slot: StackSlot, base: Option<Base>, out: &mut Out) {
        let offset = self.layout.offset(slot);
        let below = (offset as i32).wrapping_neg();
        let negated = alu_imm(Opcode::RsbImm, dst, dst, 0);
        let plus_sp = alu_reg(Opcode::AddReg, dst, SP, dst, Shift::NONE);
        match base {
            // The negation of base minus offset.
            Some(Base::Data(data)) => {
                out.push(Inst::Address { dst, symbol: Symbol::Data(data), offset: below });
                out.extend([negated, plus_sp]);
            }
            Some(Base::Register) => {
                out.push(Inst::Const { dst, value: below.cast_unsigned() });
                out.push(alu_reg(Opcode::AddReg, dst, dst, MEMORY_BASE, Shift::NONE));
                out.extend([negated, plus_sp]);
            }
            None if offset <= SP_REACH => {
                let (words, rest) = (offset as u32 & !3, offset as u32 & 3);
                out.push(match words {
                    0 => Inst::copy(dst, SP),
                    _ => alu_imm(Opcode::AddImm, dst, SP, words),
                });
                out.extend((rest != 0).then(|| alu_imm(Opcode::AddImm, dst, dst, rest)));
            }
            None => {
                out.push(Inst::Const { dst, value: offset as u32 });
                out.push(plus_sp);
            }
        }
    }

    /// The part of the prologue after the push.
    pub(super) fn narrow_prologue(&self, out: &mut Out) {
        let Some((align, kept)) = self.realigned else { return move_sp(Opcode::SubReg, self.size, out) };
        let low_bits = align.trailing_zeros();
        out.push(Inst::copy(SCRATCH, SP));
        move_sp(Opcode::SubReg, self.size, out);
        out.push(Inst::copy(FREE, SP));
        for op in [Opcode::LsrImm, Opcode::LslImm] {
            out.push(Inst::Plain(Machine::shift_imm(op, false, FREE, FREE, low_bits)));
        }
        out.extend([Inst::copy(SP, FREE), Inst::copy(FREE, SCRATCH)]);
        store(FREE, kept.into(), out);
    }

    /// Removes the frame below the saved registers.
    pub(super) fn remove_narrow(&self, out: &mut Out) {
        match self.realigned {
            None => move_sp(Opcode::AddReg, self.size, out),
            Some((_, kept)) => {
                load(FREE, kept.into(), out);
                out.push(Inst::copy(SP, FREE));
            }
        }
    }

    /// Restores the saved registers before a tail call.
    pub(super) fn restore_narrow(&self, out: &mut Out) {
        let rest = self.core.without(Reg::LR);
        if self.core.contains(Reg::LR) {
            load(FREE, i64::from(WORD) * rest.len() as i64, out);
            out.push(Inst::copy(LR, FREE));
            out.push(Inst::Plain(Machine::stack(Opcode::Pop, rest)));
            out.push(alu_imm(Opcode::AddImm, SP, SP, WORD));
        }
    }
}

/// `sp = sp op bytes`; large sizes go through the free register.
fn move_sp(op: Opcode, bytes: u32, out: &mut Out) {
    assert!(bytes.is_multiple_of(WORD), "the stack pointer is aligned to words");
    let is_down = op == Opcode::SubReg;
    if bytes > 2 * SP_STEP {
        let value = if is_down { bytes.wrapping_neg() } else { bytes };
        out.push(Inst::Const { dst: FREE, value });
        out.push(alu_reg(Opcode::AddReg, SP, SP, FREE, Shift::NONE));
        return;
    }
    let op = if is_down { Opcode::SubImm } else { Opcode::AddImm };
    let parts = [bytes.min(SP_STEP), bytes.saturating_sub(SP_STEP)];
    out.extend(parts.into_iter().filter(|&part| part != 0).map(|part| alu_imm(op, SP, SP, part)));
}

fn is_near(offset: i64) -> bool {
    (0..=SP_REACH).contains(&offset) && offset % 4 == 0
}

fn load(dst: PReg, offset: i64, out: &mut Out) {
    if is_near(offset) {
        out.push(Inst::Plain(Machine::mem(Opcode::Ldr, dst, SP, offset as i32)));
        return;
    }
    far_address(dst, offset, out);
    out.push(Inst::Plain(Machine::mem(Opcode::Ldr, dst, dst, 0)));
}

fn store(src: PReg, offset: i64, out: &mut Out) {
    if is_near(offset) {
        out.push(Inst::Plain(Machine::mem(Opcode::Str, src, SP, offset as i32)));
        return;
    }
    borrow(src, out, |address, out| {
        far_address(address, offset, out);
        out.push(Inst::Plain(Machine::mem(Opcode::Str, src, address, 0)));
    });
}

fn far_address(dst: PReg, offset: i64, out: &mut Out) {
    out.push(Inst::Const { dst, value: offset as u32 });
    out.push(alu_reg(Opcode::AddReg, dst, SP, dst, Shift::NONE));
}

/// Runs `emit` with a low register other than `used`, whose value the scratch register keeps meanwhile.
fn borrow(used: PReg, out: &mut Out, emit: impl FnOnce(PReg, &mut Out)) {
    let borrowed = PReg::new(u8::from(used.number() == 0));
    out.push(Inst::copy(SCRATCH, borrowed));
    emit(borrowed, out);
    out.push(Inst::copy(borrowed, SCRATCH));
}

/// Adds to an address so that the rest of the offset, which is returned, fits a load or store.
fn move_up(address: PReg, offset: u32, out: &mut Out) -> i32 {
    let mut rest = offset;
    while rest > 124 {
        let part = rest.min(252);
        out.push(alu_imm(Opcode::AddImm, address, address, part));
        rest -= part;
    }
    rest as i32
}
