//! The stack frame: its layout, prologue and epilogues, and the addresses of stack slots.
//!
//! Displacements from -128 to 127 take one byte. So the stack pointer is [`BIAS`] bytes above the bottom of the frame,
//! and the next frame begins below the bottom. Only in a function that passes arguments on the stack is the stack
//! pointer at the bottom, where callees expect the arguments.
//!
//! Nothing interrupts a PVM program, so memory below the stack pointer is safe until the next call. A function without
//! calls that uses its frame rarely leaves the stack pointer alone, and its frame is below the caller's.
//!
//! Where the stack is in linear memory, functions that hosts enter set the stack pointer.
//!
//! A function that returns early on its common path should not pay for a frame that only the rest of it needs: three
//! stores and three loads are 50 gas. So the prologue is placed as late as possible ([`frame_region`]).

use codegen::{
    Block, Control, Effects, FrameLayout, Function, PReg, RegSet, StackSlot, frame_region, registers_to_save,
};
use pvm_isa::Opcode;
use ssa::IdVec;

use crate::isa::{CALLEE_SAVED, Callee, Inst, Mem, Pvm, SP};

/// Bytes below the stack pointer at a call that belong to the caller.
pub const RED_ZONE: u32 = 128;
/// Alignment of the stack pointer.
const ALIGN: u32 = 16;
/// Bytes of every frame below the stack pointer at a call.
const BIAS: i64 = RED_ZONE as i64;
/// Minimum number of uses of the frame for which shorter displacements are worth moving the stack pointer.
const MANY_USES: usize = 9;

/// Inserts prologue and epilogues and resolves all slots.
pub fn place(target: &Pvm, func: &mut Function<Pvm, PReg>) {
    let info = codegen::Isa::registers(target);
    func.written = func
        .order
        .iter()
        .flat_map(|&block| &func.blocks[block].insts)
        .fold(RegSet::EMPTY, |written, inst| written.union(Effects::of::<Pvm>(inst).writes));
    let saved = registers_to_save(func, info);
    let layout = FrameLayout::new(func, info, saved, ALIGN);
    let lowered = match layout.size {
        0 => 0,
        _ if !func.has_calls && slot_uses(func) < MANY_USES => 0,
        size if func.outgoing_bytes > 0 => i64::from(size) + BIAS,
        size => i64::from(size),
    };
    func.stack_bytes = layout.size + if func.outgoing_bytes > 0 { RED_ZONE } else { 0 };
    let frame = Frame { lowered, layout };
    let (start, framed) = frame_region(func, |block| needs_frame(func, block), |_| false);
    for n in 0..func.order.len() {
        let block = func.order[n];
        frame.write(func, block, &framed);
    }
    let top = target.plan.stack_top().filter(|_| target.set_stack.contains(&func.name));
    let entry = func.order[0];
    let prologue = match top {
        Some(top) if start == entry => frame.prologue_at(top),
        _ => frame.prologue(),
    };
    func.blocks[start].insts.prepend(prologue);
    if let Some(top) = top.filter(|_| start != entry) {
        func.blocks[entry].insts.prepend(vec![set_sp(top)]);
    }
}

/// Sets the stack pointer.
fn set_sp(address: u32) -> Inst<PReg> {
    Inst::Const { dst: SP, value: i64::from(address as i32) }
}

/// Whether a block needs the frame.
fn needs_frame(func: &Function<Pvm, PReg>, block: Block) -> bool {
    let data = &func.blocks[block];
    data.insts.iter().chain(data.control.inst()).any(|inst| {
        let uses_slot = match inst {
            Inst::SlotAddr { .. } => true,
            Inst::Call(call) => !matches!(call.callee, Callee::Host(_)),
            _ => matches!(inst.mem(), Some(Mem::Slot(slot)) if !matches!(slot, StackSlot::Incoming(_))),
        };
        let writes = Effects::of::<Pvm>(inst).writes;
        uses_slot || !writes.intersection(CALLEE_SAVED).is_empty()
    })
}

/// Number of instructions with a stack slot.
fn slot_uses(func: &Function<Pvm, PReg>) -> usize {
    let insts = func.order.iter().flat_map(|&block| &func.blocks[block].insts);
    insts.filter(|inst| matches!(inst.mem(), Some(Mem::Slot(_)))).count()
}

struct Frame {
    layout: FrameLayout,
    /// Bytes by which the prologue lowers the stack pointer.
    lowered: i64,
}

impl Frame {
    /// Resolves the slots of a block, and adds the epilogue if the block leaves the function.
    fn write(&self, func: &mut Function<Pvm, PReg>, block: Block, framed: &IdVec<Block, bool>) {
        let is_framed = framed[block];
        let data = &mut func.blocks[block];
        data.insts.iter_mut().for_each(|inst| self.resolve(inst, is_framed));
        let leaves = matches!(data.control, Control::Exit(Inst::Return { .. } | Inst::TailCall(_)));
        if leaves && is_framed {
            debug_assert!(
                data.control.inst().is_none_or(|exit| self.keeps_operands(exit)),
                "{}: {block} reads a register that its epilogue has restored",
                func.name
            );
            data.insts.extend(self.epilogue(), data.control_loc);
        }
    }

    /// Distance of a byte of the frame from the stack pointer, after the prologue (`is_framed`) or without it.
    fn distance_from_sp(&self, offset: i64, is_framed: bool) -> i32 {
        let above_top = offset - i64::from(self.layout.size);
        let lowered = if is_framed { self.lowered } else { 0 };
        i32::try_from(above_top - BIAS + lowered).expect("a frame is smaller than 2 GiB")
    }

    fn slot_distance(&self, slot: StackSlot, is_framed: bool) -> i32 {
        match slot {
            StackSlot::Incoming(offset) if is_framed => (i64::from(offset) + self.lowered) as i32,
            StackSlot::Incoming(offset) => offset as i32,
            _ => self.distance_from_sp(self.layout.offset(slot), is_framed),
        }
    }

    fn resolve(&self, inst: &mut Inst<PReg>, is_framed: bool) {
        if let Inst::SlotAddr { dst, slot, bias } = *inst {
            let imm = self.slot_distance(slot, is_framed).wrapping_add(bias);
            *inst = Inst::BinaryImm { op: Opcode::AddImm32, dst, src: SP, imm };
        } else if let Some(mem) = inst.mem_mut()
            && let Mem::Slot(slot) = *mem
        {
            *mem = Mem::Reg(SP, self.slot_distance(slot, is_framed));
        }
    }

    fn move_sp(&self, by: i64) -> Option<Inst<PReg>> {
        let imm = i32::try_from(by).expect("a frame is smaller than 2 GiB");
        (by != 0).then_some(Inst::BinaryImm { op: Opcode::AddImm64, dst: SP, src: SP, imm })
    }

    fn saved(&self) -> impl Iterator<Item = (PReg, Mem<PReg>)> {
        let place =
            |&(reg, offset): &(PReg, u32)| (reg, Mem::Reg(SP, self.distance_from_sp(offset.into(), true)));
        self.layout.saved.iter().map(place)
    }

    /// Whether the epilogue preserves the operands of an exit.
    fn keeps_operands(&self, exit: &Inst<PReg>) -> bool {
        let reads = Effects::of::<Pvm>(exit).reads;
        self.layout.saved.iter().all(|&(reg, _)| !reads.contains(reg))
    }

    fn prologue(&self) -> Vec<Inst<PReg>> {
        let save = |(src, mem)| Inst::Store { op: Opcode::StoreIndU64, src, mem };
        self.move_sp(-self.lowered).into_iter().chain(self.saved().map(save)).collect()
    }

    /// The prologue of a function that sets the stack pointer to `top` first.
    fn prologue_at(&self, top: u32) -> Vec<Inst<PReg>> {
        let set = set_sp(top.wrapping_sub(self.lowered as u32));
        let others = self.prologue().into_iter().skip(usize::from(self.lowered != 0));
        [set].into_iter().chain(others).collect()
    }

    fn epilogue(&self) -> impl Iterator<Item = Inst<PReg>> {
        let restore = |(dst, mem)| Inst::Load { op: Opcode::LoadIndU64, dst, mem };
        self.saved().map(restore).chain(self.move_sp(self.lowered))
    }
}
