//! The layout of the stack frame.
//!
//! From the stack pointer upwards, a frame has outgoing arguments, spill slots, saved registers and stack objects. The
//! caller's outgoing arguments are above it. Instructions name stack memory by [`StackSlot`] until the frame is laid
//! out.

mod region;

use ssa::IdVec;

use crate::mir::{Function, Isa, PReg, RegSet, Register, RegisterInfo, SpillSlot, StackSlot};

pub use region::{frame_region, predecessors};

/// Offsets from the stack pointer inside the function's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameLayout {
    /// Size in bytes, by which the prologue lowers the stack pointer.
    pub size: u32,
    /// Saved registers with their offsets, in ascending register order.
    pub saved: Vec<(PReg, u32)>,
    spills: IdVec<SpillSlot, u32>,
    objects: IdVec<ssa::FrameSlot, u32>,
}

impl FrameLayout {
    /// Lays out the frame of an allocated function whose prologue stores the registers `saved`.
    pub fn new<T: Isa>(func: &Function<T, PReg>, info: &RegisterInfo, saved: RegSet, align: u32) -> Self {
        let mut top = func.outgoing_bytes;
        let mut place = |bytes: u32, align: u32| {
            let at = top.next_multiple_of(align);
            top = at + bytes;
            at
        };
        let spills = func.spill_slots.values().map(|class| {
            let bytes = info.spill_bytes[*class as usize];
            (bytes, bytes)
        });
        let spills = spills.map(|(bytes, align)| place(bytes, align)).collect();
        let saved = saved.iter().map(|reg| (reg, place(info.save_bytes(), info.save_bytes()))).collect();
        let objects = func.frame_slots.values().map(|slot| place(slot.size, slot.align)).collect();
        Self { size: top.next_multiple_of(align), saved, spills, objects }
    }

    /// The offset of a slot from the stack pointer, in bytes.
    pub fn offset(&self, slot: StackSlot) -> i64 {
        match slot {
            StackSlot::Spill(slot) => i64::from(self.spills[slot]),
            StackSlot::Object { slot, offset } => i64::from(self.objects[slot]) + i64::from(offset),
            StackSlot::Outgoing(offset) => i64::from(offset),
            StackSlot::Incoming(offset) => i64::from(self.size) + i64::from(offset),
        }
    }
}

impl RegisterInfo {
    /// Size of a saved integer register in bytes.
    pub fn save_bytes(&self) -> u32 {
        self.spill_bytes[0]
    }
}

/// Registers an allocated function must save under the standard convention.
pub fn registers_to_save<T: Isa, R: Register>(func: &Function<T, R>, info: &RegisterInfo) -> RegSet {
    func.written.intersection(info.callee_saved)
}
