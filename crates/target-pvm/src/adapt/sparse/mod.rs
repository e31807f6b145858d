//! Initial data that code copies into place at the start, instead of being stored in place.
//!
//! A standard program stores read-write memory as one run of bytes. For three kinds of data that is expensive, and code
//! that runs before everything else copies them to their addresses:
//!
//! - **Data after zeros.** A segment after a megabyte of zeros (for example a shadow stack that stays in memory, or another
//!   memory before this one) would cost a megabyte in the file. Memory is cut at a gap of at least [`MIN_GAP`] zeros, and the
//!   data after it is copied, if the zeros cost more than the copies.
//! - **All data, to make wasm addresses PVM addresses.** Where a fused shadow stack leaves the first megabyte of the
//!   window free, base 0 is possible, and each access is up to three bytes shorter. But then read-write memory begins
//!   far below the data. The data is copied if the goal asks for it: for small code, or if the gain is large enough.
//!   A machine stack in the place of the shadow stack keeps [`STACK_ROOM`] bytes or more; addresses below have no memory.
//! - **Data that repeats itself**, where size is the goal: it is [packed](pack).
//!
//! [`form`] decides between stores, loops, a table and packed runs. It relies on memory being zero outside of segments. This
//! holds for three reasons. The code runs once, before the start function and before every entry. Data that stays in the
//! file ends [`MIN_GAP`] bytes before the copied data. And the code writes inside of linear memory only.

mod code;
mod form;
mod pack;
mod pieces;

use ssa::{DataId, DataKind, ExportItem, InstData, Module, Segment};

use crate::Goal;
use crate::memory::{ProgramLayout, STACK_ROOM, Window, fixed_memories, linear};
use form::Form;
use pieces::{end, pieces};

/// Minimum number of zeros between data that stays and data that is copied: more than copies write beyond their data.
pub const MIN_GAP: u32 = 128;

/// What decides on copies.
#[derive(Clone, Copy)]
pub struct Terms {
    /// The optimisation goal.
    pub goal: Goal,
    /// Whether there may be copies at all. Otherwise all data stays in the file.
    pub allowed: bool,
    /// No address below is used, unless a segment is there.
    pub lowest: u32,
    /// Whether a machine stack that replaces a shadow stack is in its place.
    pub stack_in_memory: bool,
}

/// Turns segments of a linear memory into code that copies them, where that is better. Returns the window of the memory
/// for the memory plan; the segments are disjoint afterwards.
pub fn copy_at_start(
    module: &mut Module,
    memory: DataId,
    layout: &ProgramLayout,
    Terms { goal, allowed, lowest, stack_in_memory }: Terms,
) -> Window {
    let mut window = Window::of(module, memory, layout).from_lowest(module, lowest);
    let mut identity_first = window.first;
    if let Some(top) = linear(module, memory).native_stack.filter(|_| stack_in_memory) {
        window = window.with_stack(0);
        identity_first = top.saturating_sub(STACK_ROOM);
    }
    let near = pieces(linear(module, memory), form::MIN_DISTANCE);
    let Choice { stored, copied, is_identity } = match allowed {
        true => Chooser { module, layout, window, identity_first, goal }.choose(near),
        false => Choice { stored: near, copied: None, is_identity: false },
    };
    if is_identity {
        (window.first, window.is_identity) = (identity_first, true);
    }
    if let DataKind::Memory(linear) = &mut module.data[memory].kind {
        linear.segments = stored;
    }
    if let Some(form) = copied {
        module.start = Some(code::add_start(module, memory, form));
    }
    window
}

/// How the data of a memory gets to its addresses.
struct Choice {
    /// Data in the file.
    stored: Vec<Segment>,
    /// Data that is copied.
    copied: Option<Form>,
    /// Whether wasm addresses shall be PVM addresses.
    is_identity: bool,
}

struct Chooser<'a> {
    module: &'a Module,
    layout: &'a ProgramLayout,
    window: Window,
    /// The first wasm address in use if wasm addresses are PVM addresses.
    identity_first: u32,
    goal: Goal,
}

impl Chooser<'_> {
    /// The cheapest choice for the pieces of a memory.
    fn choose(&self, mut pieces: Vec<Segment>) -> Choice {
        let bounds = (self.window.first, linear(self.module, self.window.memory).min_bytes);
        let zeros_before = zeros_before(self.module);
        let stored = |cut: usize| match cut {
            0 => 0,
            _ => (zeros_before + end(&pieces[cut - 1]) - u64::from(self.window.first)) * 64,
        };
        let is_possible = self.identity_is_possible(&pieces);
        let saved = if is_possible { self.saved_by_identity() } else { 0 };
        let copied = |cut: usize| {
            let form = Form::cheapest(&pieces[cut..], bounds, self.goal)?;
            // What is not saved is a price, so that no price is negative.
            let unsaved = if cut == 0 { 0 } else { saved };
            Some((unsaved + stored(cut) + form.weighted(self.goal) + self.price_of_entries(), cut, form))
        };
        let cut = best_cut(&pieces, self.window.first, zeros_before, self.goal);
        let cuts = [Some(0), cut.filter(|&cut| cut > 0)].into_iter().flatten();
        let best = cuts.filter(|&cut| cut < pieces.len()).filter_map(copied).min_by_key(|(price, ..)| *price);
        let Some((_, cut, form)) = best.filter(|(price, ..)| *price < saved + stored(pieces.len())) else {
            return Choice { stored: pieces, copied: None, is_identity: false };
        };
        pieces.truncate(cut);
        // Where all data is copied because of the stack before it, nothing more has to be paid.
        let is_free = is_possible && self.window.first < self.identity_first;
        Choice { stored: pieces, copied: Some(form), is_identity: cut == 0 && (saved > 0 || is_free) }
    }

    /// Price of the code in entries that checks whether data has been copied.
    fn price_of_entries(&self) -> u64 {
        let is_function = |item: &ExportItem| matches!(item, ExportItem::Func(_));
        let entries = self.module.exports.iter().filter(|export| is_function(&export.item)).count();
        if self.module.start.is_some() { 0 } else { entries as u64 * ENTRY_BYTES * 64 }
    }

    /// Whether linear memory can be at its wasm addresses: everything else fits below the first byte in use.
    fn identity_is_possible(&self, pieces: &[Segment]) -> bool {
        let data: u64 = pieces.iter().map(|piece| piece.bytes.len() as u64).sum();
        let others: u64 = self.module.data.values().map(|object| u64::from(object.size) + 16).sum();
        let first = self.identity_first;
        let is_free = first > 0 && u64::from(self.layout.rw_start(0)) + data + others <= u64::from(first);
        is_free && !self.window.is_identity
    }

    /// What shorter accesses are worth.
    fn saved_by_identity(&self) -> u64 {
        if self.goal == Goal::Speed {
            return 0;
        }
        let is_access = |inst: &&InstData| match inst {
            InstData::Load { addr, .. } | InstData::Store { addr, .. } => addr.index.is_some(),
            _ => false,
        };
        let insts = self.module.functions.values().flatten().flat_map(|func| func.insts.values());
        insts.filter(is_access).count() as u64 * SAVED_PER_ACCESS * 64
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
const SAVED_PER_ACCESS: u64 = 2;
/// Bytes of code in each entry for checking whether the data has been copied.
const ENTRY_BYTES: u64 = 60;

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
        super::copy_at_start(
            module,
            memory(),
            &ProgramLayout::SPI,
            Terms { goal, allowed: true, lowest: 0, stack_in_memory: false },
        )
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
        let [near, far] = [2000, 100].map(|len| "03".repeat(len));
        let mut module = module(&format!("{{ 100: {near}, 900000: {far}, 900131: 0405, 940000: 06 }}"));
        let window = copy_at_start(&mut module, Goal::Speed);
        ssa::verify(&module).expect("verifies");
        assert_eq!((window.first, window.is_identity), (0, false));
        assert_eq!(segments(&module), [(100, 2000)]);
        let constants: Vec<_> =
            module.data.values().skip(1).map(|object| (object.name.as_str(), object.size)).collect();
        assert_eq!(constants, [("__initial.900000", 160)], "few zeros are cheaper than another loop");
        assert_eq!(module.data[EntityId::new(1)].init[130..134], [0, 4, 5, 0]);
        assert!(copied(&module).contains("store.u32 v0, [@mem + 940000]"), "{}", copied(&module));
    }

    #[test]
    fn zeros_of_other_memories_are_a_gap() {
        for (size, is_copied) in [(100_000, true), (4, false)] {
            let other = format!("\nfixed_memory @other size={size} align=16");
            let mut module = module(&format!("{{ 0: 010203 }}{other}"));
            copy_at_start(&mut module, Goal::Speed);
            ssa::verify(&module).expect("verifies");
            assert_eq!((module.start.is_some(), segments(&module).is_empty()), (is_copied, is_copied));
        }
    }

    #[test]
    fn dense_data_stays() {
        let bytes: String = (1..=200).map(|byte| format!("{byte:02x}")).collect();
        let mut dense = module(&format!("{{ 16: {bytes}, 300: 02 }}"));
        let before = dense.clone();
        copy_at_start(&mut dense, Goal::Balance);
        assert_eq!(dense, before);
        let mut fused = module("native_stack=524288 { 524288: 01 }");
        let before = fused.clone();
        copy_at_start(&mut fused, Goal::Speed);
        assert_eq!(fused, before, "the range of the fused stack is no gap");
        let mut zeros = module("{ 8: 00, 900000: 0000, 0: 00 }");
        copy_at_start(&mut zeros, Goal::Size);
        assert_eq!((segments(&zeros), zeros.start), (vec![], None));
    }

    /// The bytes of memory after the start function has run.
    fn memory_after_start(module: &Module) -> Vec<u8> {
        ssa::verify(module).expect("verifies");
        let options = ssa::interp::Options { fuel: 1 << 24, ..ssa::interp::Options::new(module) };
        let mut machine = ssa::interp::Interpreter::new(module, options);
        if let Some(start) = module.start {
            machine.call(start, &[], &mut |_, func, _| panic!("{func} is called")).expect("returns");
        }
        machine.linear_memory().to_vec()
    }

    #[test]
    fn copied_memory_is_the_stored_memory() {
        let mut random = random::Rng::new(3);
        for round in 0..24 {
            let (mut text, mut at) = (String::from("{"), random.below(3000));
            for _ in 0..1 + random.below(5) {
                let letters = 1 + random.below(250);
                let len = 1 + random.below(if round < 16 { 300 } else { 3000 });
                let bytes: String = (0..len).map(|_| format!("{:02x}", random.below(letters))).collect();
                text += &format!(" {at}: {bytes},");
                at += len + random.below(600);
            }
            let before = module(&format!("{} }}", text.trim_end_matches(',')));
            for goal in [Goal::Speed, Goal::Balance, Goal::Size] {
                let mut after = before.clone();
                copy_at_start(&mut after, goal);
                assert!(memory_after_start(&after) == memory_after_start(&before), "round {round}, {goal:?}");
            }
        }
    }

    #[test]
    fn repetitive_data_is_packed_for_size_only() {
        let text = format!("{{ 0: {} }}", "54686520717569636b2062726f776e20666f78".repeat(200));
        for (goal, stored) in [(Goal::Speed, 3800), (Goal::Balance, 3800), (Goal::Size, 0)] {
            let mut module = module(&text);
            copy_at_start(&mut module, goal);
            let constants: u32 = module.data.values().map(|object| object.size).sum();
            let left: usize = segments(&module).iter().map(|(_, len)| len).sum();
            assert!(left == stored && constants < 700, "{goal:?}: {left} stored, {constants} constant");
        }
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
