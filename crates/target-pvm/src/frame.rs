//! The stack frame: prologue, epilogues, and stack slots as addresses.
//!
//! Nothing interrupts a PVM program, so memory below the stack pointer is safe until the next call: a function that
//! calls nothing does not move the stack pointer and finds its frame below it.

use codegen::{Control, FrameLayout, Function, PReg, StackSlot, registers_to_save};
use pvm_isa::Opcode;

use crate::inst::{Inst, Mem, SP};
use crate::target::Pvm;

/// Alignment of the stack pointer.
const ALIGN: u32 = 16;

/// Lays out the frame and writes it into the function.
pub fn lay_out(target: &Pvm, func: &mut Function<Pvm, PReg>) {
    let info = codegen::Target::registers(target);
    let saved = registers_to_save(func, info);
    let layout = FrameLayout::new(func, info, saved, ALIGN);
    let frame = Frame { bytes: if func.has_calls { layout.size as i32 } else { 0 }, layout };
    for block in func.blocks.values_mut() {
        block.insts.iter_mut().for_each(|inst| frame.resolve(inst));
        if matches!(block.control, Control::Exit(Inst::Return { .. } | Inst::TailCall(_))) {
            frame.epilogue(&mut block.insts);
        }
    }
    let entry = func.order[0];
    let prologue = frame.prologue();
    func.blocks[entry].insts.splice(0..0, prologue);
}

struct Frame {
    layout: FrameLayout,
    /// How far the prologue lowers the stack pointer.
    bytes: i32,
}

impl Frame {
    /// Offset of a slot from the stack pointer as the body sees it.
    fn offset(&self, slot: StackSlot) -> i32 {
        self.distance_from_sp(self.layout.offset(slot))
    }

    /// Offset from the stack pointer of a byte of the frame.
    fn distance_from_sp(&self, offset: i64) -> i32 {
        let below = i64::from(self.layout.size) - i64::from(self.bytes);
        i32::try_from(offset - below).expect("a frame is smaller than 2 GiB")
    }

    fn resolve(&self, inst: &mut Inst<PReg>) {
        if let Inst::SlotAddr { dst, slot, bias } = *inst {
            let imm = self.offset(slot).wrapping_add(bias);
            *inst = Inst::BinaryImm { op: Opcode::AddImm32, dst, src: SP, imm };
        } else if let Some(mem) = inst.mem_mut()
            && let Mem::Slot(slot) = *mem
        {
            *mem = Mem::Reg(SP, self.offset(slot));
        }
    }

    fn move_sp(&self, by: i32) -> Option<Inst<PReg>> {
        (by != 0).then_some(Inst::BinaryImm { op: Opcode::AddImm64, dst: SP, src: SP, imm: by })
    }

    fn prologue(&self) -> Vec<Inst<PReg>> {
        let save = |&(reg, offset): &(PReg, u32)| Inst::Store {
            op: Opcode::StoreIndU64,
            src: reg,
            mem: Mem::Reg(SP, self.distance_from_sp(offset.into())),
        };
        self.move_sp(-self.bytes).into_iter().chain(self.layout.saved.iter().map(save)).collect()
    }

    fn epilogue(&self, insts: &mut Vec<Inst<PReg>>) {
        let restore = |&(reg, offset): &(PReg, u32)| Inst::Load {
            op: Opcode::LoadIndU64,
            dst: reg,
            mem: Mem::Reg(SP, self.distance_from_sp(offset.into())),
        };
        insts.extend(self.layout.saved.iter().map(restore));
        insts.extend(self.move_sp(self.bytes));
    }
}
