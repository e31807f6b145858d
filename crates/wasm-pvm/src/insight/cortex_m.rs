//! Profiles and places of Cortex-M code, by the symbols and the debug sections of the object.
//!
//! Functions of the machine are symbols. Lines and inlined functions are in the object's DWARF, which it has if the module
//! has. The cost of an instruction is one execution; cores differ in the cycles that they take.

use std::borrow::Cow;
use std::collections::BTreeMap;

use addr2line::gimli::{self, Dwarf, EndianSlice, LittleEndian};
use thumb_engine::{Block, Image, Kind, Trace, blocks};

use super::map::Frame;
use super::profile::{Places, Profile, Sums};

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Places of an object's code.
pub struct ObjectPlaces<'a> {
    /// Functions by ascending addresses: start, end, name.
    functions: Vec<(u32, u32, &'a str)>,
    /// Lines and inlined functions, if there are any.
    lines: Option<addr2line::Context<Slice<'a>>>,
}

impl<'a> ObjectPlaces<'a> {
    /// The places of a linked object. Malformed debug sections are ignored.
    pub fn new(image: &'a Image) -> Self {
        let functions = image.symbols().iter().filter(|symbol| symbol.kind == Kind::Function);
        let functions = functions.map(|symbol| (symbol.address, symbol.address + symbol.size, &*symbol.name));
        let section = |id: gimli::SectionId| {
            let bytes = image.debug_section(id.name()).unwrap_or_default();
            Ok::<_, gimli::Error>(EndianSlice::new(bytes, LittleEndian))
        };
        let lines = Dwarf::load(section).and_then(addr2line::Context::from_dwarf).ok();
        Self { functions: functions.collect(), lines }
    }

    /// Functions that were inlined at an address, the innermost first, then that of the machine.
    fn known(&self, address: u32) -> Vec<Frame> {
        let Some(lines) = &self.lines else { return Vec::new() };
        let mut frames = Vec::new();
        let Ok(mut found) = lines.find_frames(address.into()).skip_all_loads() else { return frames };
        while let Ok(Some(frame)) = found.next() {
            let name = frame.function.as_ref().and_then(|name| name.raw_name().ok());
            let source = frame.location.and_then(|location| {
                Some((location.file?.to_owned(), location.line?, location.column.unwrap_or(0)))
            });
            let function = name.map_or_else(|| "(unknown)".to_owned(), Cow::into_owned);
            frames.push(Frame { function, source, ..Frame::default() });
        }
        frames
    }
}

impl Places for ObjectPlaces<'_> {
    fn function_at(&self, address: u32) -> &str {
        let after = self.functions.partition_point(|function| function.0 <= address);
        let found = after.checked_sub(1).map(|index| self.functions[index]);
        found.filter(|&(_, end, _)| address < end).map_or("(unnamed)", |(_, _, name)| name)
    }

    fn frames(&self, address: u32) -> Vec<Frame> {
        let mut frames = self.known(address);
        let machine = self.function_at(address);
        match frames.last_mut() {
            // Equal functions are merged, and copies get other names: the symbol is the one to look for.
            Some(last) => machine.clone_into(&mut last.function),
            None => frames.push(Frame { function: machine.to_owned(), ..Frame::default() }),
        }
        frames
    }
}

impl Profile {
    /// The executed instructions of a traced run of an object.
    pub fn of_object(image: &Image, trace: &Trace) -> Self {
        let places = ObjectPlaces::new(image);
        let blocks = blocks(image);
        let mut sums = Sums::new(&places);
        let mut costs: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        let mut total = 0;
        for sample in trace.samples() {
            total += sample.count;
            let start = block_at(&blocks, sample.address);
            let sum = costs.entry(start).or_default();
            sum.0 += if start == sample.address { sample.count } else { 0 };
            sum.1 += sample.count;
            let callers: Vec<u32> = sample.calls.iter().flat_map(|&at| sums.functions_at(at)).collect();
            sums.add(&callers, sample.address, sample.count);
        }
        sums.profile("instructions", total, &costs, trace.calls_of_functions())
    }
}

/// The start of the block that an address is in.
fn block_at(blocks: &[Block], address: u32) -> u32 {
    let after = blocks.partition_point(|block| block.start <= address);
    after.checked_sub(1).map_or(address, |index| blocks[index].start)
}
