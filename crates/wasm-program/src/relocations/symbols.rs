//! The symbol table of a linked module, and the objects that its data symbols form.

use std::ops::Range;

use wasmparser::{BinaryReader, Linking, LinkingSectionReader, SymbolFlags, SymbolInfo};

use super::{LINKER_GLOBALS, Object, Problem};
use crate::error::Error;
use crate::module_info::ModuleInfo;

/// Maximum alignment of static data.
const MAX_ALIGN: u32 = 16;

/// The meaning of a symbol.
pub enum Symbol<'a> {
    /// The function with this index.
    Function(u32),
    /// The global with this index.
    Global(u32),
    /// Bytes of a segment.
    Data { name: &'a str, segment: usize, range: Range<u32>, is_local: bool },
    /// An address outside of all segments.
    Absolute { name: &'a str, value: u32 },
    /// Data without a definition; its address is 0, which only weak symbols allow.
    Undefined { name: &'a str, is_weak: bool },
    /// Any other symbol.
    Other,
}

/// An active segment that is not empty.
pub struct Segment<'a> {
    /// The linker's name for it.
    pub name: &'a str,
    /// Its first wasm address.
    pub start: u32,
    /// Its bytes in the input.
    pub bytes: Range<usize>,
    align: u32,
}

impl Segment<'_> {
    fn range(&self) -> Range<u32> {
        self.start..self.start + self.bytes.len() as u32
    }
}

/// The symbol table.
pub struct Symbols<'a> {
    symbols: Vec<Symbol<'a>>,
    /// Segments of the module.
    pub segments: Vec<Segment<'a>>,
}

impl<'a> Symbols<'a> {
    /// Reads the custom section `linking`.
    pub fn read(info: &'a ModuleInfo, reader: BinaryReader<'a>) -> Result<Self, Problem> {
        let (mut named, mut symbols) = (Vec::new(), Vec::new());
        for part in LinkingSectionReader::new(reader)?.subsections() {
            match part? {
                Linking::SegmentInfo(segments) => named = segments.into_iter().collect::<Result<_, _>>()?,
                Linking::SymbolTable(table) => symbols = table.into_iter().collect::<Result<_, _>>()?,
                _ => {}
            }
        }
        if named.len() != info.data.len() {
            return Err(Problem::Stale("their symbols are in other segments".to_owned()));
        }
        let segments = info.data.iter().zip(&named).map(|(data, segment)| {
            let start = data
                .mode
                .constant_offset()
                .filter(|start| u64::from(*start) + data.bytes.len() as u64 <= u64::from(u32::MAX));
            let start =
                start.ok_or_else(|| Problem::Stale("a segment without a constant address".to_owned()))?;
            let align = 1u32.checked_shl(segment.alignment).unwrap_or(MAX_ALIGN).min(MAX_ALIGN);
            Ok(Segment { name: segment.name, start, bytes: data.bytes.clone(), align })
        });
        let segments = segments.collect::<Result<Vec<_>, Problem>>()?;
        let symbols = symbols.iter().map(|symbol| defined(symbol, &segments)).collect::<Result<_, _>>()?;
        Ok(Self { symbols, segments })
    }

    /// A symbol.
    pub fn get(&self, index: u32) -> Option<&Symbol<'a>> {
        self.symbols.get(index as usize)
    }

    /// Global data symbols, with names and addresses.
    pub fn global(&self) -> impl Iterator<Item = (u32, &'a str, u32)> {
        (0..).zip(&self.symbols).filter_map(|(index, symbol)| match symbol {
            Symbol::Data { name, range, is_local: false, .. } => Some((index, *name, range.start)),
            _ => None,
        })
    }

    /// The value of a relocation against a symbol.
    pub fn value(&self, index: u32, addend: i64) -> Result<u32, String> {
        let start = match self.get(index) {
            Some(Symbol::Data { range, .. }) => range.start,
            Some(Symbol::Absolute { value, .. }) => *value,
            Some(Symbol::Undefined { .. }) => 0,
            _ => return Err("an address of a symbol that is not data".to_owned()),
        };
        Ok(start.wrapping_add(addend as u32))
    }

    /// The symbol that an address of static data is relative to; `None` if the address is a plain number.
    ///
    /// # Errors
    /// An address that only linkers know, such as the start of the heap.
    pub fn located(
        &self,
        info: &ModuleInfo,
        index: u32,
        offset: usize,
        function: Option<u32>,
    ) -> Result<Option<u32>, Problem> {
        let error = |what: String| {
            let function = function.map(|function| info.function_name(function));
            Err(Problem::Error(Error::Unsupported { function, offset, what }))
        };
        match self.get(index) {
            Some(Symbol::Data { .. }) => Ok(Some(index)),
            Some(Symbol::Absolute { name, .. }) if self.bounded(name).is_some() => Ok(Some(index)),
            // Position-independent code adds a base of 0 to relative addresses, and tables keep their indices.
            Some(Symbol::Absolute { value: 0, .. } | Symbol::Absolute { name: "__table_base", .. }) => {
                Ok(None)
            }
            Some(Symbol::Absolute { name, .. }) if LINKER_GLOBALS.contains(name) => error(format!(
                "the address of `{name}`, which has no meaning where data is in sections; `--memory symbol` \
                     keeps the layout of memory"
            )),
            Some(Symbol::Undefined { name, is_weak: false }) => error(format!(
                "the address of `{name}`, which the module does not define; link its definition into the module"
            )),
            _ => Ok(None),
        }
    }

    /// The segment whose start or end a linker-defined symbol marks.
    fn bounded(&self, name: &str) -> Option<usize> {
        let section = name.strip_prefix("__start_").or_else(|| name.strip_prefix("__stop_"))?;
        self.segments.iter().position(|segment| segment.name == section)
    }

    /// The segment that must not be cut because the extent of a symbol is not known.
    fn whole(&self, index: u32) -> Option<usize> {
        match self.get(index)? {
            Symbol::Data { segment, range, .. } if range.is_empty() => Some(*segment),
            Symbol::Absolute { name, .. } => self.bounded(name),
            _ => None,
        }
    }

    /// The objects that segments are cut into, given the symbols that are referred to.
    pub fn objects(&self, referred: impl Iterator<Item = u32>) -> Vec<Object> {
        let mut is_whole = vec![false; self.segments.len()];
        referred.filter_map(|symbol| self.whole(symbol)).for_each(|segment| is_whole[segment] = true);
        let mut parts: Vec<(Range<u32>, usize, &str)> = Vec::new();
        for symbol in &self.symbols {
            if let Symbol::Data { name, segment, range, .. } = symbol {
                let range = if is_whole[*segment] { self.segments[*segment].range() } else { range.clone() };
                parts.push((range, *segment, name));
            }
        }
        let whole = (0..self.segments.len()).filter(|&segment| is_whole[segment]);
        parts.extend(
            whole.map(|segment| (self.segments[segment].range(), segment, self.segments[segment].name)),
        );
        parts.retain(|(range, ..)| !range.is_empty());
        // The sort is stable: of symbols with the same extent the first one gives the name.
        parts.sort_by_key(|(range, ..)| (range.start, range.end));
        let mut objects: Vec<Object> = Vec::new();
        for (range, segment, name) in parts {
            match objects.last_mut() {
                Some(last) if range.start < last.range.end => last.range.end = last.range.end.max(range.end),
                _ => objects.push(self.object(range, segment, name)),
            }
        }
        objects
    }

    fn object(&self, range: Range<u32>, segment: usize, name: &str) -> Object {
        let Segment { name: of_segment, align, .. } = self.segments[segment];
        let natural = 1u32.checked_shl(range.start.trailing_zeros()).unwrap_or(MAX_ALIGN);
        Object {
            name: name.to_owned(),
            range,
            align: align.min(natural),
            is_read_only: of_segment.starts_with(".rodata"),
        }
    }

    /// The object a symbol is in.
    pub fn object_of(&self, objects: &[Object], index: u32) -> Option<usize> {
        let start = match self.whole(index) {
            Some(segment) => self.segments[segment].start,
            None => self.value(index, 0).ok()?,
        };
        let next = objects.partition_point(|object| object.range.start <= start);
        next.checked_sub(1).filter(|&n| objects[n].range.contains(&start))
    }
}

fn defined<'a>(symbol: &SymbolInfo<'a>, segments: &[Segment<'a>]) -> Result<Symbol<'a>, Problem> {
    Ok(match *symbol {
        SymbolInfo::Func { index, .. } => Symbol::Function(index),
        SymbolInfo::Global { index, .. } => Symbol::Global(index),
        SymbolInfo::Data { flags, name, symbol: None } => {
            Symbol::Undefined { name, is_weak: flags.contains(SymbolFlags::BINDING_WEAK) }
        }
        SymbolInfo::Data { flags, name, symbol: Some(place) } if flags.contains(SymbolFlags::ABSOLUTE) => {
            Symbol::Absolute { name, value: place.offset }
        }
        SymbolInfo::Data { flags, name, symbol: Some(place) } => {
            let outside = || Problem::Stale(format!("the symbol `{name}` is outside of its segment"));
            let segment = segments.get(place.index as usize).ok_or_else(outside)?;
            let end = u64::from(place.offset) + u64::from(place.size);
            if end > segment.bytes.len() as u64 {
                return Err(outside());
            }
            let start = segment.start + place.offset;
            let is_local = flags.contains(SymbolFlags::BINDING_LOCAL);
            Symbol::Data { name, segment: place.index as usize, range: start..start + place.size, is_local }
        }
        SymbolInfo::Section { .. } | SymbolInfo::Event { .. } | SymbolInfo::Table { .. } => Symbol::Other,
    })
}
