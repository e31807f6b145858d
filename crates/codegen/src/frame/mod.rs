//! The stack frame: what is on the stack and where.
//!
//! From the stack pointer upwards: outgoing arguments, spill slots, stack objects, saved registers; above the frame
//! the caller's outgoing area. Instructions name stack memory by [`StackSlot`] until the frame is known.

mod region;

use ssa::IdVec;

use crate::mir::{Function, Isa, PReg, RegSet, Register, RegisterInfo, SpillSlot, StackSlot};

pub use region::{frame_region, predecessors};

/// Offsets from the stack pointer inside the function's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameLayout {
    /// Total bytes; the stack pointer is lowered by this.
    pub size: u32,
    /// Saved registers with their offsets, in ascending register order.
    pub saved: Vec<(PReg, u32)>,
    spills: IdVec<SpillSlot, u32>,
    objects: IdVec<ssa::FrameSlot, u32>,
}

impl FrameLayout {
    /// Lays out the frame of an allocated function. `saved` are the registers its prologue stores.
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

    /// The byte offset of a place from the stack pointer.
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
    /// Bytes that saving an integer register takes.
    pub fn save_bytes(&self) -> u32 {
        self.spill_bytes[0]
    }
}

/// Registers an allocated function must save under the standard convention.
pub fn registers_to_save<T: Isa, R: Register>(func: &Function<T, R>, info: &RegisterInfo) -> RegSet {
    func.written.intersection(info.callee_saved)
}
