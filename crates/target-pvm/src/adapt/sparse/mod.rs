//! Initial data that code copies into place at the start, instead of being stored in place.
//!
//! A standard program stores read-write memory as one run of bytes. For two kinds of data that is expensive, and code
//! that runs before everything else copies them to their addresses:
//!
//! - **Distant data.** A segment after a megabyte of zeros (for example a shadow stack that stays in memory, or another
//!   memory before this one) would cost a megabyte in the file. Memory is cut at a gap of at least [`MIN_GAP`] zeros, and the data after it is copied, if
//!   the zeros cost more than the copies.
//! - **All data, to make wasm addresses PVM addresses.** Where a fused shadow stack leaves the first megabyte of the
//!   window free, base 0 is possible, and each access is up to three bytes shorter. But then read-write memory begins
//!   far below the data. The data is copied if the goal asks for it: for small code, or if the gain is large enough.
//!
//! [`form`] decides between stores, loops and a table. It relies on memory being zero outside of segments. This holds
//! for three reasons. The code runs once, before the start function and before every entry. Data that stays in the file
//! ends [`MIN_GAP`] bytes before the copied data. And the code writes inside of linear memory only.

mod code;
mod form;
mod pieces;

use ssa::{DataId, DataKind, InstData, Module, Segment};

use crate::Goal;
use crate::memory::{ProgramLayout, Window, fixed_memories, linear};
use form::Form;
use pieces::{end, pieces};

/// Minimum number of zeros that are left out of the file.
pub const MIN_GAP: u32 = 16 << 10;

/// Turns segments of a linear memory into code that copies them, where that is better. Returns the window of the memory
/// for the memory plan; the segments are disjoint afterwards.
pub fn copy_at_start(module: &mut Module, memory: DataId, layout: &ProgramLayout, goal: Goal) -> Window {
    let mut window = Window::of(module, memory, layout);
    let linear = linear(module, memory);
    let bounds = (window.first, linear.min_bytes);
    let mut near = pieces(linear, form::MIN_DISTANCE);
    let mut copied = None;
    if !window.is_identity
        && identity_is_possible(module, layout, &near, &window)
        && let Some(form) = Form::cheapest(&near, bounds, goal)
        && identity_pays(module, &form, goal)
    {
        window.is_identity = true;
        near.clear();
        copied = Some(form);
    } else if let Some(cut) = best_cut(&near, window.first, zeros_before(module), goal)
        && let Some(form) = Form::cheapest(&near[cut..], bounds, goal)
    {
        near.truncate(cut);
        copied = Some(form);
    }
    set_segments(module, memory, near);
    if let Some(form) = copied {
        module.start = Some(code::add_start(module, memory, form));
    }
    window
}

fn set_segments(module: &mut Module, memory: DataId, segments: Vec<Segment>) {
    if let DataKind::Memory(linear) = &mut module.data[memory].kind {
        linear.segments = segments;
    }
}

/// Zeros between the last stored byte before linear memory and linear memory: those of other memories.
fn zeros_before(module: &Module) -> u64 {
    fixed_memories(module).fold(0, |zeros, (_, object)| match object.init.len() {
        0 => zeros + u64::from(object.size),
        stored => u64::from(object.size) - stored as u64,
    })
}

/// The first piece to copy: the one after the gap that saves most. `zeros_before` are those before linear memory.
fn best_cut(pieces: &[Segment], first: u32, zeros_before: u64, goal: Goal) -> Option<usize> {
    let mut best = None;
    let (mut zeros, mut price) = (0, COPY_BYTES);
    for at in (0..pieces.len()).rev() {
        let before = if at == 0 { u64::from(first) } else { end(&pieces[at - 1]) };
        let gap = u64::from(pieces[at].offset).saturating_sub(before);
        let gap = if at == 0 { gap + zeros_before } else { gap };
        zeros += gap;
        price += PIECE_BYTES + pieces[at].bytes.len() as u64 * GAS_PER_BYTE * form::gas_weight(goal) / 64;
        let saved = zeros.saturating_sub(price);
        if gap >= u64::from(MIN_GAP) && best.is_none_or(|(most, _)| saved > most) && saved > 0 {
            best = Some((saved, at));
        }
    }
    best.map(|(_, at)| at)
}

/// Bytes of code for copying at all, and bytes for each piece in addition to its data.
const COPY_BYTES: u64 = 120;
const PIECE_BYTES: u64 = 16;
/// Approximate gas of copying a byte.
const GAS_PER_BYTE: u64 = 2;

/// Average number of bytes that base 0 saves per access through a pointer.
const SAVED_PER_ACCESS: usize = 2;
/// Bytes of code in each entry for checking whether the data has been copied.
const ENTRY_BYTES: usize = 60;

/// Whether linear memory can be at its wasm addresses: everything else fits below the first byte in use.
fn identity_is_possible(
    module: &Module,
    layout: &ProgramLayout,
    pieces: &[Segment],
    window: &Window,
) -> bool {
    let data: u64 = pieces.iter().map(|piece| piece.bytes.len() as u64).sum();
    let others: u64 = module.data.values().map(|object| u64::from(object.size) + 16).sum();
    window.first > 0 && u64::from(layout.rw_start(0)) + data + others <= u64::from(window.first)
}

fn identity_pays(module: &Module, form: &Form, goal: Goal) -> bool {
    let is_access = |inst: &&InstData| match inst {
        InstData::Load { addr, .. } | InstData::Store { addr, .. } => addr.index.is_some(),
        _ => false,
    };
    let insts = module.functions.values().flatten().flat_map(|func| func.insts.values());
    let saved = insts.filter(is_access).count() * SAVED_PER_ACCESS;
    let copied: usize = form.runs.iter().map(|run| run.bytes.len()).sum();
    let code = form.price().0 - copied + module.exports.len() * ENTRY_BYTES;
    match goal {
        Goal::Speed => false,
        Goal::Balance => saved > code + copied / 2,
        Goal::Size => saved > code,
    }
}

#[cfg(test)]
mod tests {
    use ssa::EntityId;

    use super::*;

    fn module(memory: &str) -> Module {
        let text = format!("memory @mem size=0 align=16 min=1048576 page_log2=16 {memory}\n");
        ssa::parse_module(&text).expect("parses")
    }

    /// The id of the memory in [`module`].
    fn memory() -> DataId {
        EntityId::new(0)
    }

    fn copy_at_start(module: &mut Module, goal: Goal) -> Window {
        super::copy_at_start(module, memory(), &ProgramLayout::SPI, goal)
    }

    fn segments(module: &Module) -> Vec<(u32, usize)> {
        linear(module, memory())
            .segments
            .iter()
            .map(|segment| (segment.offset, segment.bytes.len()))
            .collect()
    }

    fn copied(module: &Module) -> String {
        let start = module.start.expect("something is copied");
        ssa::print_function(module, module.functions[start].as_ref().expect("made"))
    }

    #[test]
    fn distant_data_is_copied_and_near_data_stays() {
        let text = format!("{{ 100: 0102, 900000: {}, 900131: 0405, 940000: 06 }}", "03".repeat(100));
        let mut module = module(&text);
        let window = copy_at_start(&mut module, Goal::Size);
        ssa::verify(&module).expect("verifies");
        assert_eq!((window.first, window.is_identity), (0, false));
        assert_eq!(segments(&module), [(100, 2)]);
        let constants: Vec<_> =
            module.data.values().skip(1).map(|object| (object.name.as_str(), object.size)).collect();
        assert_eq!(constants, [("__initial.900000", 136)], "few zeros are cheaper than another loop");
        assert_eq!(module.data[EntityId::new(1)].init[130..134], [0, 4, 5, 0]);
        assert!(copied(&module).contains("store.u32 v0, [@mem + 940000]"), "{}", copied(&module));
    }

    #[test]
    fn zeros_of_other_memories_are_a_gap() {
        for (size, is_copied) in [(100_000, true), (8192, false)] {
            let other = format!("\nfixed_memory @other size={size} align=16");
            let mut module = module(&format!("{{ 0: 010203 }}{other}"));
            copy_at_start(&mut module, Goal::Speed);
            ssa::verify(&module).expect("verifies");
            assert_eq!((module.start.is_some(), segments(&module).is_empty()), (is_copied, is_copied));
        }
    }

    #[test]
    fn dense_data_stays() {
        let mut dense = module("{ 1024: 01, 10000: 02 }");
        let before = dense.clone();
        copy_at_start(&mut dense, Goal::Size);
        assert_eq!(dense, before);
        let mut fused = module("native_stack=524288 { 524288: 01 }");
        let before = fused.clone();
        copy_at_start(&mut fused, Goal::Speed);
        assert_eq!(fused, before, "the range of the fused stack is no gap");
        let mut zeros = module("{ 8: 00, 900000: 0000, 0: 00 }");
        copy_at_start(&mut zeros, Goal::Size);
        assert_eq!((segments(&zeros), zeros.start), (vec![], None));
    }

    #[test]
    fn copies_must_be_worth_their_gas() {
        let text = format!("{{ 0: 01, 20000: {} }}", "07".repeat(60_000));
        for (goal, is_copied) in [(Goal::Speed, false), (Goal::Balance, false), (Goal::Size, true)] {
            let mut module = module(&text);
            copy_at_start(&mut module, goal);
            assert_eq!(module.start.is_some(), is_copied, "{goal:?}");
        }
    }

    #[test]
    fn the_window_is_determined_before_segments_change() {
        let mut last = module("native_stack=900000 { 20000: 01, 100000: 02, 850000: 00 }");
        let window = copy_at_start(&mut last, Goal::Size);
        assert_eq!((window.first, window.replaced_stack), (0, 49_999));
        assert_eq!(segments(&last), []);
        let mut first = module("native_stack=900000 { 900000: 01 }");
        if let DataKind::Memory(memory) = &mut first.data[memory()].kind {
            memory.segments.push(Segment { offset: 0, bytes: vec![] });
        }
        let window = copy_at_start(&mut first, Goal::Size);
        assert_eq!((window.first, window.replaced_stack), (900_000, 900_000));
    }

    #[test]
    fn all_data_is_copied_where_base_zero_pays() {
        let accesses = "  store.u8 v0, [@mem + v0 + 4]\n".repeat(200);
        let text = |top: u32| {
            format!(
                "memory @mem size=0 align=16 min=1048576 page_log2=16 native_stack={top} {{ {top}: 0102, 524900: 03 }}\n\
                 func $f (i32) -> () {{\nb0(v0: i32):\n{accesses}  return\n}}\n"
            )
        };
        let cases =
            [(Goal::Speed, 524_288, false), (Goal::Balance, 524_288, true), (Goal::Size, 524_288, true)];
        for (goal, top, copied) in cases.into_iter().chain([(Goal::Size, 131_072, false)]) {
            let mut module = ssa::parse_module(&text(top)).expect("parses");
            let window = copy_at_start(&mut module, goal);
            assert_eq!((window.first, window.is_identity), (top, copied), "{goal:?} {top}");
            assert_eq!(segments(&module).is_empty(), copied);
        }
    }
}
