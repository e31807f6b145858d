//! The part of linear memory that a program needs.

use ssa::{DataId, DataKind, LinearMemory, Module};

use super::layout::ProgramLayout;
use super::next_multiple_of;

/// Linear memory, if the module has one. The plan has place for one linear memory, which ends where the heap ends and
/// grows with it. All passes take the memory's id, so this is the only place with that limit.
///
/// # Panics
/// If there are several.
pub fn linear_memory(module: &Module) -> Option<DataId> {
    let memories = module.data.iter().filter(|(_, object)| matches!(object.kind, DataKind::Memory(_)));
    let memories: Vec<DataId> = memories.map(|(id, _)| id).collect();
    assert!(memories.len() <= 1, "the heap has place for one linear memory, not for {}", memories.len());
    memories.first().copied()
}

/// The linear memory with this id.
pub fn linear(module: &Module, memory: DataId) -> &LinearMemory {
    match &module.data[memory].kind {
        DataKind::Memory(memory) => memory,
        kind => panic!("{memory} is no linear memory but {kind:?}"),
    }
}

/// Whether the machine's stack replaces a shadow stack of a linear memory.
pub fn replaces_stack(module: &Module, memory: DataId) -> bool {
    linear(module, memory).native_stack.is_some()
}

/// The part of a linear memory in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// The memory.
    pub memory: DataId,
    /// The first wasm address that needs memory.
    pub first: u32,
    /// Upper bound of the size in bytes of the shadow stack that the machine stack replaces.
    pub replaced_stack: u64,
    /// Whether wasm addresses are PVM addresses, provided that everything else fits below: memory has no stored
    /// contents, or the layout [demands it](ProgramLayout::base_zero).
    pub is_identity: bool,
}

impl Window {
    /// The window according to a memory's segments (see the [plan](super)). Zeros in segments count as in use.
    pub fn of(module: &Module, memory: DataId, layout: &ProgramLayout) -> Self {
        let linear = linear(module, memory);
        let replaced_stack = replaced_stack(linear, layout.max_stack() - layout.machine_stack);
        Self { memory, first: first_live_byte(linear), replaced_stack, is_identity: layout.base_zero }
    }

    /// The window of a module that uses no address below `lowest`, except for its segments.
    pub fn from_lowest(self, module: &Module, lowest: u32) -> Self {
        let segments = linear(module, self.memory).segments.iter();
        let present = segments.filter(|segment| !segment.bytes.is_empty()).map(|segment| segment.offset);
        let first = present.min().map_or(0, |first| first.min(lowest));
        Self { first: self.first.max(first), ..self }
    }

    /// The window of a module whose machine stack is in linear memory, in the place of the shadow stack, from `first` on.
    pub fn with_stack(self, first: u32) -> Self {
        Self { first, replaced_stack: 0, ..self }
    }

    /// The base of the memory, if its first address in use is not below `start` and the base is a multiple of `align`.
    pub fn base(&self, start: i64, align: u32) -> i64 {
        let lowest = start - i64::from(self.first);
        if self.is_identity && lowest <= 0 { 0 } else { next_multiple_of(lowest, align) }
    }
}

/// The first wasm address that needs memory.
fn first_live_byte(memory: &LinearMemory) -> u32 {
    let mut segments = memory.segments.iter().filter(|segment| !segment.bytes.is_empty()).peekable();
    match memory.native_stack {
        Some(top)
            if !memory.keeps_stack
                && segments.peek().is_some()
                && segments.all(|segment| segment.offset >= top) =>
        {
            top
        }
        _ => 0,
    }
}

/// See [`Window::replaced_stack`]; at most `limit` if it can't be told from zero-initialised data.
fn replaced_stack(memory: &LinearMemory, limit: u32) -> u64 {
    let Some(top) = memory.native_stack else { return 0 };
    let present = memory.segments.iter().filter(|segment| !segment.bytes.is_empty());
    let ends = present.map(|segment| u64::from(segment.offset) + segment.bytes.len() as u64);
    let below = ends.filter(|&end| end <= u64::from(top)).max().unwrap_or(0);
    let bytes = u64::from(top) - below;
    // With data below, zero-initialised data is part of this range, which may be huge.
    if below > 0 { bytes.min(limit.into()) } else { bytes }
}
