//! The stack frame: its layout, prologue and epilogues, and the addresses of stack slots.
//!
//! The frame has, from the stack pointer upwards: outgoing arguments, spill slots, stack objects, saved float
//! registers, saved core registers. The caller's outgoing area is above. The prologue pushes exactly the
//! callee-saved registers that the function changes; a return pops the return address into the program counter. The
//! stack pointer is a multiple of 8 where that is required: at calls and for stack objects.
//!
//! Paths that return early have no frame if possible ([`early`], [`frame_region`]). If any register is saved, the
//! return address is saved with it, so that one instruction restores the registers and returns. When optimising for
//! size, additional registers are pushed to make room for a small frame.
//!
//! A stack object may have a larger alignment. Then the prologue rounds the stack pointer down and keeps the old one in
//! a slot of its own; the epilogue restores it from there, and incoming arguments are addressed through it. Interrupts
//! write below the stack pointer, so the slot is only written when it is above.

pub mod early;
mod narrow;

use codegen::{
    Control, Effects, FrameBase, FrameLayout, Function, Isa as _, PReg, RegClass, RegSet, StackSlot,
    frame_region, registers_to_save,
};
use thumb_isa::{Opcode, Reg, RegList, Shift};

use crate::isa::Thumb;
use crate::isa::abi::{FIRST_DOUBLE, STACK_ALIGN, WORD};
use crate::isa::immediate::fits_add;
use crate::isa::inst::{
    Base, Call, Inst, LR, MEMORY_BASE, Machine, SCRATCH, SP, Symbol, add_imm, alu_reg, core_reg, data_class,
    float_move,
};

/// Lays out the frame and writes it into the function.
pub fn lay_out(target: &Thumb, func: &mut Function<Thumb, PReg>) {
    let jumps_far = !target.cpu.has_main() && narrow::may_jump_far(target, func);
    if jumps_far {
        func.written.insert(LR);
    }
    let frame = Frame::new(target, func);
    let saved = target.registers().callee_saved;
    let needs_frame = |block| jumps_far || early::needs_frame(func, saved, block);
    let short_ends = early::short_ends(func);
    let (start, framed) = frame_region(func, needs_frame, |block| short_ends[block]);
    early::detach_ends(func, &framed, &short_ends);
    let outside = frame.outside();
    for id in func.blocks.ids() {
        let frame = if framed[id] { &frame } else { &outside };
        let block = &mut func.blocks[id];
        block.insts.rewrite(|inst, out| frame.resolve(inst, out));
        let mut insts = Vec::new();
        match &mut block.control {
            Control::Exit(Inst::Return { uses, pop }) => {
                let results: RegList =
                    uses.iter().map(|&(_, reg)| reg).filter(|reg| reg.number() < 16).map(core_reg).collect();
                *pop = frame.epilogue(&mut insts, Some(results));
            }
            Control::Exit(Inst::TailCall(call)) => {
                stage_arguments(call, &mut insts);
                frame.epilogue(&mut insts, None);
            }
            _ => {}
        }
        debug_assert!(
            block.control.inst().is_none_or(|exit| reads_nothing_restored(&insts, exit)),
            "{}: {id} reads a register that its epilogue has restored",
            func.name
        );
        block.insts.extend(insts, block.control_loc);
    }
    func.stack_bytes = frame.stack_bytes();
    func.variables_at = func.variables.map(|slot| frame.base(slot));
    let prologue = frame.prologue();
    func.blocks[start].insts.prepend(prologue);
}

/// Moves the arguments of a tail call from the doubles they were allocated in to their singles, because the epilogue
/// may restore those doubles.
fn stage_arguments(call: &mut Call<PReg>, out: &mut Vec<Inst<PReg>>) {
    let singles = std::mem::take(&mut call.singles);
    call.args.retain(|(_, at)| singles.iter().all(|(_, double)| double != at));
    out.extend(singles.into_iter().map(|(single, double)| float_move(single, double)));
}

/// Whether an exit reads no register that the code before it has loaded, except for the return address, which is
/// restored to be read.
fn reads_nothing_restored(epilogue: &[Inst<PReg>], exit: &Inst<PReg>) -> bool {
    let mut restored = RegSet::EMPTY;
    for inst in epilogue {
        match *inst {
            Inst::Plain(Machine::FloatStack { first, count, .. }) => {
                restored = restored.union((0..count as u8).map(|n| PReg::new(first.number() + n)).collect());
            }
            _ => restored = restored.union(Effects::of::<Thumb>(inst).writes),
        }
    }
    let kept = RegSet::of(&[SP, LR]);
    let read = match exit {
        Inst::Return { .. } | Inst::TailCall(_) => Effects::of::<Thumb>(exit).reads,
        _ => RegSet::EMPTY,
    };
    let is_staged = !matches!(exit, Inst::TailCall(call) if !call.singles.is_empty());
    is_staged && read.intersection(restored.difference(kept)).is_empty()
}

struct Frame {
    layout: FrameLayout,
    /// Bytes below the saved registers.
    size: u32,
    /// Saved core registers.
    core: RegList,
    /// First saved float register, and the number of consecutive ones.
    floats: Option<(PReg, u32)>,
    /// Alignment to which the stack pointer is rounded down, and the offset of the slot with the old one from the new
    /// one.
    realigned: Option<(u32, u32)>,
    /// Whether the core lacks the main extension.
    is_narrow: bool,
    /// Registers that are pushed only to make room for the frame; together they make room for all of it, if there are
    /// any.
    room: RegList,
}

impl Frame {
    fn new(target: &Thumb, func: &Function<Thumb, PReg>) -> Self {
        let info = target.registers();
        let saved = registers_to_save(func, info);
        let mut core: RegList = saved.iter().filter(|reg| reg.number() < 16).map(core_reg).collect();
        if !core.is_empty() {
            core = core.with(core_reg(LR));
        }
        let floats = float_range(saved);
        let layout = FrameLayout::new(func, info, RegSet::EMPTY, WORD);
        let mut frame = Self {
            size: layout.size,
            layout,
            core,
            floats,
            realigned: None,
            is_narrow: !target.cpu.has_main(),
            room: RegList::EMPTY,
        };
        let align = func.frame_slots.values().map(|slot| slot.align).max().unwrap_or(1);
        if frame.is_narrow {
            frame.save_for_narrow(func, align);
        }
        let has_doubles = info.spill_bytes[1] == 8 && !func.spill_slots.is_empty();
        if align > STACK_ALIGN {
            frame.core = frame.core.with(core_reg(LR));
            frame.realigned = Some((align, frame.size));
            frame.size = (frame.size + WORD).next_multiple_of(align);
        } else if func.has_calls || align == STACK_ALIGN || has_doubles {
            let total = frame.size + frame.pushed();
            frame.size += total.next_multiple_of(STACK_ALIGN) - total;
        }
        if func.optimize_for_size {
            frame.push_room();
        }
        frame
    }

    /// The frame as seen by blocks that run without it: nothing is saved and the stack pointer has not moved.
    fn outside(&self) -> Self {
        let (core, room) = (RegList::EMPTY, RegList::EMPTY);
        let is_narrow = self.is_narrow;
        Self { layout: self.layout.clone(), size: 0, core, floats: None, realigned: None, is_narrow, room }
    }

    /// Makes room for a small frame by pushing additional registers, which takes no instruction.
    fn push_room(&mut self) {
        let words = self.size / WORD;
        let is_small = (1..=4).contains(&words) && self.size.is_multiple_of(WORD);
        if is_small && self.floats.is_none() && self.realigned.is_none() && !self.core.is_empty() {
            self.room = (4 - words as u8..4).map(Reg::r).collect();
        }
    }

    /// Bytes of saved registers.
    fn pushed(&self) -> u32 {
        let of_floats = self.floats.map_or(0, |(first, count)| count * float_bytes(first));
        WORD * self.core.len() as u32 + of_floats
    }

    /// Maximum distance of the stack pointer from its value on entry, in bytes.
    fn stack_bytes(&self) -> u32 {
        let rounding = self.realigned.map_or(0, |(align, _)| align - WORD);
        self.size + self.pushed() + rounding
    }

    // ---- Slots ----

    fn resolve(&self, inst: Inst<PReg>, out: &mut Vec<Inst<PReg>>) {
        match inst {
            _ if self.is_narrow => self.resolve_narrow(inst, out),
            Inst::LoadSlot { op, dst: data, slot } | Inst::StoreSlot { op, src: data, slot } => {
                let (base, offset) = self.place(slot, out);
                access(op, data, base, offset, out);
            }
            Inst::SlotAddr { dst, slot, base } => self.slot_address(dst, slot, base, out),
            other => out.push(other),
        }
    }

    /// The address of a stack object for debuggers.
    fn base(&self, slot: ssa::FrameSlot) -> FrameBase {
        let offset = self.layout.offset(StackSlot::Object { slot, offset: 0 }) as i32;
        match self.realigned {
            None => FrameBase::Entry(offset - (self.size + self.pushed()) as i32),
            Some(_) => FrameBase::Stack(offset),
        }
    }

    /// A slot as a base register and an offset.
    fn place(&self, slot: StackSlot, out: &mut Vec<Inst<PReg>>) -> (PReg, i64) {
        match (slot, self.realigned) {
            (StackSlot::Incoming(offset), None) => (SP, i64::from(self.size + self.pushed() + offset)),
            (StackSlot::Incoming(offset), Some((_, kept))) => {
                access(Opcode::Ldr, SCRATCH, SP, i64::from(kept), out);
                (SCRATCH, i64::from(self.pushed() + offset))
            }
            _ => (SP, self.layout.offset(slot)),
        }
    }

    fn slot_address(&self, dst: PReg, slot: StackSlot, base: Option<Base>, out: &mut Vec<Inst<PReg>>) {
        let offset = self.layout.offset(slot) as u32;
        match base {
            None => return add_to_sp(dst, offset, out),
            Some(Base::Data(data)) => {
                out.push(Inst::Address { dst, symbol: Symbol::Data(data), offset: 0 });
                out.push(alu_reg(Opcode::SubReg, dst, SP, dst, Shift::NONE));
            }
            Some(Base::Register) => out.push(alu_reg(Opcode::SubReg, dst, SP, MEMORY_BASE, Shift::NONE)),
        }
        if offset != 0 && fits_add(offset) {
            out.push(add_imm(dst, dst, offset));
        } else if offset != 0 {
            out.push(Inst::Const { dst: SCRATCH, value: offset });
            out.push(alu_reg(Opcode::AddReg, dst, dst, SCRATCH, Shift::NONE));
        }
    }

    // ---- Prologue and epilogue ----

    fn prologue(&self) -> Vec<Inst<PReg>> {
        let mut out = Vec::new();
        push(joined(self.core, self.room), &mut out);
        if !self.room.is_empty() {
            return out;
        }
        if let Some((first, count)) = self.floats {
            let op = if first.number() >= FIRST_DOUBLE { Opcode::VpushF64 } else { Opcode::VpushF32 };
            out.push(Inst::Plain(Machine::float_stack(op, first, count)));
        }
        match self.realigned {
            _ if self.is_narrow => self.narrow_prologue(&mut out),
            None => move_sp(Opcode::SubReg, self.size, &mut out),
            Some((align, kept)) => {
                out.push(Inst::copy(LR, SP));
                out.push(Inst::Const { dst: SCRATCH, value: self.size });
                out.push(alu_reg(Opcode::RsbReg, SCRATCH, SCRATCH, LR, Shift::NONE));
                let low_bits = align.trailing_zeros() as u8;
                out.push(Inst::Update {
                    inst: Machine::bit_clear(Opcode::Bfc, SCRATCH, 0, low_bits),
                    old: SCRATCH,
                });
                out.push(Inst::copy(SP, SCRATCH));
                access(Opcode::Str, LR, SP, kept.into(), &mut out);
            }
        }
        out
    }

    /// Appends instructions that remove the frame; returns the registers that a return itself pops. `results` are the
    /// registers with results of a return; `None` at a tail call.
    fn epilogue(&self, out: &mut Vec<Inst<PReg>>, results: Option<RegList>) -> RegList {
        // Registers that were pushed to make room are popped as well, if they hold no result.
        let is_unused = |results: RegList| self.room.bits() & results.bits() == 0;
        let pops_room = !self.room.is_empty() && results.is_some_and(is_unused);
        match self.realigned {
            None if pops_room => {}
            _ if self.is_narrow => self.remove_narrow(out),
            None => move_sp(Opcode::AddReg, self.size, out),
            Some((_, kept)) => {
                move_sp(Opcode::AddReg, kept & !0xfff, out);
                // Cortex-M3 and M4 may execute a load to the stack pointer twice (erratum 752419). So the load goes to
                // the link register, which is restored later.
                access(Opcode::Ldr, LR, SP, i64::from(kept & 0xfff), out);
                out.push(Inst::copy(SP, LR));
            }
        }
        if let Some((first, count)) = self.floats {
            let op = if first.number() >= FIRST_DOUBLE { Opcode::VpopF64 } else { Opcode::VpopF32 };
            out.push(Inst::Plain(Machine::float_stack(op, first, count)));
        }
        if results.is_some() && self.core.contains(Reg::LR) {
            let room = if pops_room { self.room } else { RegList::EMPTY };
            return joined(self.core.without(Reg::LR).with(Reg::PC), room);
        }
        match self.is_narrow {
            true => self.restore_narrow(out),
            false => pop(self.core, out),
        }
        RegList::EMPTY
    }
}

fn joined(a: RegList, b: RegList) -> RegList {
    RegList::from_bits(a.bits() | b.bits())
}

/// The saved float registers as one range: from the lowest to the highest.
fn float_range(saved: RegSet) -> Option<(PReg, u32)> {
    let mut floats = saved.iter().filter(|reg| reg.number() >= 16);
    let first = floats.next()?;
    let last = floats.next_back().unwrap_or(first);
    Some((first, u32::from(last.number() - first.number()) + 1))
}

const fn float_bytes(reg: PReg) -> u32 {
    if reg.number() >= FIRST_DOUBLE { 8 } else { 4 }
}

fn push(list: RegList, out: &mut Vec<Inst<PReg>>) {
    match single_high(list) {
        _ if list.is_empty() => {}
        Some(reg) => out.push(Inst::Plain(Machine::mem_pre(Opcode::StrPre, reg, SP, -4))),
        None => out.push(Inst::Plain(Machine::stack(Opcode::Push, list))),
    }
}

fn pop(list: RegList, out: &mut Vec<Inst<PReg>>) {
    match single_high(list) {
        _ if list.is_empty() => {}
        Some(reg) => out.push(Inst::Plain(Machine::mem_post(Opcode::LdrPost, reg, SP, 4))),
        None if list == RegList::EMPTY.with(Reg::LR) => {
            out.push(Inst::Plain(Machine::mem_post(Opcode::LdrPost, LR, SP, 4)));
        }
        None => out.push(Inst::Plain(Machine::stack(Opcode::Pop, list))),
    }
}

/// The only register of a list, if it is one that the encoding of a list can't contain alone.
fn single_high(list: RegList) -> Option<PReg> {
    let only = list.iter().next().filter(|_| list.len() == 1)?;
    (!only.is_low() && only != Reg::LR).then(|| PReg::new(only.number()))
}

/// `sp = sp op bytes`, without a scratch register: at a tail call it holds the callee.
fn move_sp(op: Opcode, bytes: u32, out: &mut Vec<Inst<PReg>>) {
    let change = |bytes: u32| if op == Opcode::SubReg { bytes.wrapping_neg() } else { bytes };
    if fits_add(change(bytes)) {
        out.extend((bytes != 0).then(|| add_imm(SP, SP, change(bytes))));
        return;
    }
    let parts = [0x0000_0fff, 0x000f_f000, 0x0ff0_0000, 0xf000_0000].map(|mask| bytes & mask);
    out.extend(parts.into_iter().filter(|&part| part != 0).map(|part| add_imm(SP, SP, change(part))));
}

/// `dst = sp + offset`.
fn add_to_sp(dst: PReg, offset: u32, out: &mut Vec<Inst<PReg>>) {
    if offset == 0 {
        out.push(Inst::copy(dst, SP));
    } else if fits_add(offset) {
        out.push(add_imm(dst, SP, offset));
    } else {
        out.push(Inst::Const { dst, value: offset });
        out.push(alu_reg(Opcode::AddReg, dst, SP, dst, Shift::NONE));
    }
}

/// Appends a load or store at a distance from a base register that may be too large for one instruction.
fn access(op: Opcode, data: PReg, base: PReg, offset: i64, out: &mut Vec<Inst<PReg>>) {
    let offset = i32::try_from(offset).expect("a frame is smaller than 2 GiB");
    let is_float = data_class(op) == RegClass::Float;
    let (min, max) = if is_float { (-1020, 1020) } else { (-255, 4095) };
    if (min..=max).contains(&offset) && (!is_float || offset % 4 == 0) {
        out.push(Inst::Plain(Machine::mem(op, data, base, offset)));
        return;
    }
    let low = if is_float { offset & 0x3fc } else { offset & 0xfff };
    let high = offset.wrapping_sub(low) as u32;
    // A load can use its destination for the address.
    let address = if op == Opcode::Ldr { data } else { SCRATCH };
    if base == SP {
        add_to_sp(address, high, out);
    } else {
        assert!(fits_add(high), "incoming arguments are near");
        out.push(add_imm(address, base, high));
    }
    out.push(Inst::Plain(Machine::mem(op, data, address, low)));
}
