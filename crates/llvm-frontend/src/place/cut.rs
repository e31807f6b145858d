//! Cutting static data into objects.
//!
//! All references to static data are known here, and each is one of two kinds. A *direct* one is a load or store at a
//! constant address, whose bytes are known. An *open* one is any other: an index is added, or the address escapes.
//! The extent of an open reference is unknown, with three limits:
//! - A data segment that the name section calls `.rodata` is one section of the linker, so no object of the program
//!   extends across its bounds. This doesn't hold if there is a reference to the segment's end, which may mean the
//!   next object, or if an index is added near its end, where the constant may be meant for the next object.
//! - No data is after the end of memory, or after the end that the linker or the caller gives.
//! - The stack is below the initial stack pointer, so no object extends across that.
//!
//! So such a segment becomes an object. The data between these segments is one object, from the first referenced byte
//! on, if there is an open reference to it. Otherwise the bytes of direct references and of segments are cut into
//! objects wherever they don't overlap. Objects begin at a multiple of 16, which keeps all alignment.
//!
//! An object is read-only if it is such a segment, or no store and no escaping reference goes to it. The bytes are
//! those of the segments, later ones over earlier ones. A word of data that could be an address is refused unless the
//! options decide, and so is a global whose initial value could be an address.

use std::collections::BTreeMap;
use std::ops::Range;

use ssa::{DataId, DataKind, DataObject, EntityId as _, Function, InstData, Module, StoredAddress};
use wasm_program::error::Error;
use wasm_program::module_info::{MAIN_MEMORY, SegmentMode, ValueType};
use wasm_program::names;
use wasm_program::options::Constants;
use wasm_program::program::Program;
use wasm_program::statics::{self, StaticPlan, advice};

use super::references::{Reference, collect, strip};

/// An index added to a constant this near to the end of a segment, in bytes, may reach the data after the segment.
const LARGEST_DISTANCE: u32 = 256;
/// Alignment of objects.
const ALIGN: u32 = 16;

/// A piece of static data that becomes an object.
#[derive(Clone, Debug)]
struct Piece {
    range: Range<u32>,
    is_written: bool,
    /// The end of the last known byte, if the piece extends to the end of memory or of the stack because its own end is
    /// unknown.
    known_end: Option<u32>,
}

/// Replaces static data by objects.
///
/// # Errors
/// Data or a global that could hold an address.
pub fn place(mut module: Module, plan: &StaticPlan, program: &Program<'_>) -> Result<Module, Error> {
    let memory = module.memory().map(|(id, _)| id);
    let statics = module.data.iter().find(|(_, object)| object.name == names::STATICS).map(|(id, _)| id);
    let start_of = |data| (Some(data) == statics).then_some(plan.start);
    module.functions.values_mut().flatten().for_each(|func| strip(func, memory, &start_of));
    let globals = globals(&module, plan, program)?;
    let statics = match statics {
        Some(statics) => statics,
        None if globals.is_empty() => return Ok(module),
        None => module.data.push(statics::whole(plan)),
    };
    let mut references = Vec::new();
    module.functions.values().flatten().for_each(|func| collect(func, &start_of, &mut references));
    check_end(plan, &references, program)?;
    let segments = segments(&module, program);
    let image = Image::new(plan, &segments);
    let words = image.words(plan);
    let in_data = words.iter().filter(|_| program.options.constants == Constants::Address);
    let stored = globals.iter().map(|(_, value)| *value).chain(in_data.map(|(_, value)| *value));
    references.extend(stored.map(|start| Reference {
        data: statics,
        start,
        end: None,
        writes: true,
        is_store: false,
        is_indexed: false,
        reach: None,
    }));
    let pieces = pieces(plan, &segments, &references);
    let first = module.data.len();
    let ids = (first..).map(DataId::new);
    let objects: Vec<(Range<u32>, DataId)> =
        pieces.iter().map(|piece| piece.range.clone()).zip(ids).collect();
    let find = |value: u32| find(value, &objects).expect("what is referred to is in an object");
    for piece in &pieces {
        let mut object = image.object(piece);
        let begin = words.partition_point(|(at, _)| *at < piece.range.start);
        let inside = words[begin..].iter().take_while(|(at, _)| at.saturating_add(4) <= piece.range.end);
        for &(at, value) in inside {
            if is_address(program, || format!("the data word {value} at {at}"))? {
                let (data, addend) = find(value);
                let offset = at - (piece.range.start & !(ALIGN - 1));
                object.addresses.push(StoredAddress { offset, data, addend });
            }
        }
        report(piece);
        module.data.push(object);
    }
    for (id, value) in globals {
        let (data, addend) = find(value);
        module.data[id].addresses = vec![StoredAddress { offset: 0, data, addend }];
    }
    for func in module.functions.values_mut().flatten() {
        redirect(func, statics, plan.start, &objects);
    }
    Ok(module)
}

fn report(piece: &Piece) {
    let (start, end) = (piece.range.start, piece.range.end);
    let access = if piece.is_written { "written" } else { "read only" };
    tracing::info!(start, end, access, "static data");
    if let Some(known) = piece.known_end {
        tracing::warn!(
            code = "W0101",
            "nothing says where the static data that begins at {start} ends; {bytes} bytes are reserved for it, up to {end}; \
             it does not end before {known}; the linker's options `--export=__data_end` or `--emit-relocs` \
             (`-Wl,...` for clang, `-C link-arg=...` for rustc), or `--memory-bytes`, say where it ends",
            bytes = end - start
        );
    }
}

fn unsupported(what: String) -> Error {
    Error::Unsupported { function: None, offset: 0, what }
}

/// Decides whether a word that could be an address is one.
fn is_address(program: &Program<'_>, what: impl FnOnce() -> String) -> Result<bool, Error> {
    match program.options.constants {
        Constants::Address => Ok(true),
        Constants::Number => Ok(false),
        Constants::Auto | Constants::Refuse => Err(unsupported(format!(
            "{} could be an address of static data or a number; {}",
            what(),
            advice(&[Constants::Address, Constants::Number])
        ))),
    }
}

/// Mutable and exported globals whose initial value is an address.
fn globals(module: &Module, plan: &StaticPlan, program: &Program<'_>) -> Result<Vec<(DataId, u32)>, Error> {
    let stack = plan.stack.map(|stack| stack.global);
    let mut found = Vec::new();
    let by_name: BTreeMap<&str, DataId> =
        module.data.iter().map(|(id, object)| (object.name.as_str(), id)).collect();
    for (index, global) in (0u32..).zip(&program.info.globals) {
        if global.ty != ValueType::I32 || stack == Some(index) {
            continue;
        }
        let Some(&id) = by_name.get(names::global_symbol(index).as_str()) else { continue };
        let object = &module.data[id];
        let value = object.init.first_chunk::<4>().map(|init| u32::from_le_bytes(*init));
        let Some(value) = value.filter(|value| plan.contains(*value)) else { continue };
        if is_address(program, || format!("global {index} starts with {value}, which"))? {
            found.push((id, value));
        }
    }
    Ok(found)
}

/// Checks that all visible accesses are before the end that the options give.
fn check_end(plan: &StaticPlan, references: &[Reference], program: &Program<'_>) -> Result<(), Error> {
    let last = references.iter().map(|r| r.end.unwrap_or(r.start)).max();
    match last.filter(|last| *last > plan.end && program.options.memory_bytes.is_some()) {
        Some(last) => Err(unsupported(format!(
            "static data is accessed up to {last}, after the end of static data, which `--memory-bytes` sets to {}; \
             `--memory-bytes {last}` includes this access",
            plan.end
        ))),
        None => Ok(()),
    }
}

// ---- Pieces ----

/// A segment with its place.
struct Segment<'a> {
    start: u32,
    bytes: &'a [u8],
    is_read_only: bool,
}

impl Segment<'_> {
    fn end(&self) -> u32 {
        self.start + self.bytes.len() as u32
    }
}

fn segments<'a>(module: &'a Module, program: &Program<'_>) -> Vec<Segment<'a>> {
    let (_, memory) = module.memory().expect("static data is in a memory");
    let active = (0u32..).zip(&program.info.data);
    let active = active.filter(|(_, data)| matches!(data.mode, SegmentMode::Active(MAIN_MEMORY, _)));
    let segments = active.zip(&memory.segments).map(|((index, _), segment)| Segment {
        start: segment.offset,
        bytes: &segment.bytes,
        is_read_only: program.info.data_name(index).is_some_and(|name| name.starts_with(".rodata")),
    });
    segments.filter(|segment| !segment.bytes.is_empty()).collect()
}

/// The objects that static data falls into, in order of their addresses.
fn pieces(plan: &StaticPlan, segments: &[Segment<'_>], references: &[Reference]) -> Vec<Piece> {
    let layout = Layout::new(segments, references);
    let objects = (0..segments.len()).filter(|&place| layout.is_object(place));
    let mut fixed: Vec<Range<u32>> =
        objects.map(|place| layout.segments[place].start..layout.segments[place].end()).collect();
    // The stack ends data that is below it.
    let crosses = |range: &Range<u32>| plan.stack_top.is_some_and(|top| range.start < top && top < range.end);
    let is_crossed = references.iter().any(|r| crosses(&(r.start..r.end.unwrap_or(r.start))))
        || segments.iter().any(|segment| crosses(&(segment.start..segment.end())));
    fixed.extend(plan.stack_top.filter(|top| plan.start < *top && !is_crossed).map(|top| top..top));
    fixed.sort_by_key(|range| (range.start, range.end));
    let mut pieces = Vec::new();
    let mut start = 0;
    for range in fixed.iter().cloned().map(Some).chain([None]) {
        let end = range.as_ref().map(|range| range.start);
        stretch(plan, start, end, &layout, &mut pieces);
        let Some(range) = range else { break };
        start = range.end;
        if !range.is_empty() {
            pieces.push(Piece { range, is_written: false, known_end: None });
        }
    }
    let mut is_referred = vec![false; pieces.len()];
    for reference in references {
        for n in at(&pieces, reference.start) {
            is_referred[n] = true;
            let is_fixed = fixed.binary_search_by_key(&pieces[n].range.start, |range| range.start).is_ok();
            pieces[n].is_written |= reference.writes && !is_fixed;
        }
    }
    let mut is_referred = is_referred.into_iter();
    pieces.retain(|_| is_referred.next() == Some(true));
    pieces
}

/// The pieces that contain an address or end at it.
fn at(pieces: &[Piece], address: u32) -> Range<usize> {
    let after = pieces.partition_point(|piece| piece.range.start <= address);
    let first = pieces.partition_point(|piece| piece.range.end < address);
    first.min(after)..after
}

/// Segments and references in order of their addresses.
struct Layout<'a> {
    segments: Vec<&'a Segment<'a>>,
    references: Vec<&'a Reference>,
    /// By n: the end of the first n segments.
    segments_end: Vec<u32>,
    /// By n: the end of the bytes that the first n references touch.
    references_end: Vec<u32>,
}

impl<'a> Layout<'a> {
    fn new(segments: &'a [Segment<'a>], references: &'a [Reference]) -> Self {
        let mut segments: Vec<_> = segments.iter().collect();
        segments.sort_by_key(|segment| segment.start);
        let mut references: Vec<_> = references.iter().collect();
        references.sort_by_key(|r| r.start);
        let segments_end = largest(segments.iter().map(|segment| segment.end()));
        let references_end = largest(references.iter().map(|r| r.end.unwrap_or(0)));
        Self { segments, references, segments_end, references_end }
    }

    /// Those that begin from one address on, up to another.
    fn segments_in(&self, start: u32, end: Option<u32>) -> &[&'a Segment<'a>] {
        let before = |address| self.segments.partition_point(|segment| segment.start < address);
        &self.segments[before(start)..end.map_or(self.segments.len(), before)]
    }

    fn references_before(&self, address: u32) -> usize {
        self.references.partition_point(|r| r.start < address)
    }

    /// Those that begin from one address on, up to another.
    fn references_in(&self, start: u32, end: Option<u32>) -> &[&'a Reference] {
        let before = |address| self.references_before(address);
        &self.references[before(start)..end.map_or(self.references.len(), before)]
    }

    /// Whether the bytes that some reference touches begin before an address and end after it.
    fn is_crossed(&self, address: u32) -> bool {
        self.references_end[self.references_before(address)] > address
    }

    /// Whether the segment at this place shares no byte with others.
    fn is_apart(&self, place: usize) -> bool {
        let segment = self.segments[place];
        self.segments_end[place] <= segment.start
            && self.segments.get(place + 1).is_none_or(|next| next.start >= segment.end())
    }

    /// Whether the segment at this place is an object of its own.
    fn is_object(&self, place: usize) -> bool {
        let segment = self.segments[place];
        let (start, end) = (segment.start, segment.end());
        if !segment.is_read_only || !self.is_apart(place) || self.is_crossed(start) || self.is_crossed(end) {
            return false;
        }
        // The constant that indices are added to may belong to an array after the segment whose first indices are unused.
        let is_last = self.segments.last().is_none_or(|last| last.start < end)
            && self.references.last().is_none_or(|last| last.start < end);
        let may_mean_next = |r: &Reference| {
            let may_leave = r.is_indexed && r.reach.is_none_or(|reach| reach >= end);
            may_leave && !is_last && end - r.start <= LARGEST_DISTANCE
        };
        let inside = self.references_in(start, Some(end));
        let at_end = self.references_in(end, end.checked_add(1));
        at_end.iter().all(|r| r.end.is_some())
            && !inside.iter().any(|r| if r.end.is_some() { r.writes } else { may_mean_next(r) })
    }
}

/// The largest of the first n numbers, by n; 0 of none.
fn largest(numbers: impl Iterator<Item = u32>) -> Vec<u32> {
    let running = numbers.scan(0, |largest, number| {
        *largest = number.max(*largest);
        Some(*largest)
    });
    std::iter::once(0).chain(running).collect()
}

/// Adds the pieces from `start` to `end`, or to the end of memory.
fn stretch(plan: &StaticPlan, start: u32, end: Option<u32>, layout: &Layout<'_>, pieces: &mut Vec<Piece>) {
    let inside = layout.references_in(start, end);
    let mut ranges: Vec<Range<u32>> = layout
        .segments_in(start, end)
        .iter()
        .map(|segment| segment.start..segment.end())
        .chain(inside.iter().map(|r| r.start..r.end.unwrap_or(r.start)))
        .collect();
    ranges.sort_by_key(|range| (range.start, range.end));
    let Some(first) = ranges.first().map(|range| range.start) else { return };
    if inside.iter().any(|r| r.end.is_none()) {
        let known = ranges.iter().map(|range| range.end).max();
        let known_end = known.filter(|_| end.is_none() && !plan.is_end_known || end == plan.stack_top);
        let end = end.unwrap_or(plan.end).max(first);
        pieces.push(Piece { range: first..end, is_written: false, known_end });
        return;
    }
    for range in ranges {
        match pieces.last_mut() {
            Some(last) if last.range.end >= range.start && last.range.start >= start => {
                last.range.end = last.range.end.max(range.end);
            }
            _ => pieces.push(Piece { range, is_written: false, known_end: None }),
        }
    }
}

// ---- Contents ----

/// The initial bytes of static data.
struct Image {
    /// Wasm address of the first byte.
    start: u32,
    bytes: Vec<u8>,
}

impl Image {
    fn new(plan: &StaticPlan, segments: &[Segment<'_>]) -> Self {
        let start = plan.start & !(ALIGN - 1);
        let end = segments.iter().map(Segment::end).max().unwrap_or(start);
        let mut bytes = vec![0; end.saturating_sub(start) as usize];
        for segment in segments {
            let at = (segment.start - start) as usize;
            bytes[at..at + segment.bytes.len()].copy_from_slice(segment.bytes);
        }
        Self { start, bytes }
    }

    /// The bytes from `start` on, without zeros at the end.
    fn slice(&self, range: Range<u32>) -> &[u8] {
        let clip = |address: u32| (address.saturating_sub(self.start) as usize).min(self.bytes.len());
        let bytes = &self.bytes[clip(range.start)..clip(range.end)];
        let len = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        &bytes[..len]
    }

    /// Words that could be addresses, with their wasm addresses.
    fn words(&self, plan: &StaticPlan) -> Vec<(u32, u32)> {
        let words = self.bytes.chunks(4).map(|word| {
            let mut bytes = [0; 4];
            bytes[..word.len()].copy_from_slice(word);
            u32::from_le_bytes(bytes)
        });
        (self.start..).step_by(4).zip(words).filter(|(_, value)| plan.contains(*value)).collect()
    }

    fn object(&self, piece: &Piece) -> DataObject {
        let start = piece.range.start & !(ALIGN - 1);
        DataObject {
            name: format!("__wasm_data.{}", piece.range.start),
            kind: if piece.is_written { DataKind::Variable } else { DataKind::Constant },
            size: piece.range.end - start,
            align: ALIGN,
            init: self.slice(start..piece.range.end).to_vec(),
            relocs: Vec::new(),
            addresses: Vec::new(),
        }
    }
}

/// The object that contains an address, else the one that ends there; and the distance from the object's start.
fn find(address: u32, objects: &[(Range<u32>, DataId)]) -> Option<(DataId, i32)> {
    let next = objects.partition_point(|(range, _)| range.start <= address);
    let (range, id) = objects.get(next.checked_sub(1)?).filter(|(range, _)| address <= range.end)?;
    Some((*id, address.wrapping_sub(range.start & !(ALIGN - 1)) as i32))
}

/// Redirects references to static data to its objects.
fn redirect(func: &mut Function, statics: DataId, start: u32, objects: &[(Range<u32>, DataId)]) {
    let find = |offset: i32| find(start.wrapping_add(offset as u32), objects);
    for data in func.insts.values_mut() {
        match data {
            InstData::DataAddr { data, offset } if *data == statics => {
                // Without an object, the address is unused.
                if let Some(found) = find(*offset) {
                    (*data, *offset) = found;
                }
            }
            InstData::Load { addr, .. } | InstData::Store { addr, .. } if addr.base == Some(statics) => {
                if let Some((id, offset)) = find(addr.offset) {
                    (addr.base, addr.offset) = (Some(id), offset);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result of [`Layout::is_object`], by looking at all segments and references.
    fn is_object(place: usize, segments: &[Segment<'_>], references: &[Reference]) -> bool {
        let segment = &segments[place];
        let (start, end) = (segment.start, segment.end());
        let mut others = segments.iter().enumerate().filter(|(n, _)| *n != place).map(|(_, other)| other);
        let overlaps = others.any(|other| other.start < end && start < other.end());
        let is_last =
            segments.iter().all(|other| other.start < end) && references.iter().all(|r| r.start < end);
        let forbids = |r: &Reference| match r.end {
            Some(to) => {
                let crosses = |address| r.start < address && address < to;
                crosses(start) || crosses(end) || r.writes && (start..end).contains(&r.start)
            }
            None if r.start == end => true,
            None => {
                let is_near = (start..end).contains(&r.start) && end - r.start <= LARGEST_DISTANCE;
                is_near && !is_last && r.is_indexed && r.reach.is_none_or(|reach| reach >= end)
            }
        };
        segment.is_read_only && !overlaps && !references.iter().any(forbids)
    }

    #[test]
    fn objects_are_found_without_looking_at_all_for_each() {
        let mut rng = random::Rng::new(1);
        let mut random = |limit: usize| rng.below(limit) as u32;
        let bytes = [0; 400];
        let mut seen = [0; 2];
        for _ in 0..3000 {
            let mut segments: Vec<_> = (0..random(6))
                .map(|_| {
                    let longest = if random(4) == 0 { 400 } else { 40 };
                    let len = 1 + random(longest) as usize;
                    Segment { start: random(40) * 32, bytes: &bytes[..len], is_read_only: random(5) != 0 }
                })
                .collect();
            segments.sort_by_key(|segment| segment.start);
            let references: Vec<_> = (0..random(5))
                .map(|_| {
                    let start = random(160) * 8 + random(2);
                    let end = (random(2) == 0).then(|| start + 1 + random(8));
                    let writes = random(3) == 0;
                    let is_indexed = random(2) == 0;
                    let reach = (random(2) == 0).then(|| start + random(64));
                    Reference {
                        data: DataId::new(0),
                        start,
                        end,
                        writes,
                        is_store: writes,
                        is_indexed,
                        reach,
                    }
                })
                .collect();
            let layout = Layout::new(&segments, &references);
            for place in 0..segments.len() {
                let expected = is_object(place, &segments, &references);
                assert_eq!(layout.is_object(place), expected, "{place}: {references:?}");
                seen[usize::from(expected)] += 1;
            }
        }
        assert!(seen.iter().all(|&n| n > 500), "{seen:?}");
    }
}
