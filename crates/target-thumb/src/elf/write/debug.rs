//! Debug sections: DWARF that maps code to functions and lines of the source.
//!
//! Each compilation unit of the source that has code gets a unit with an entry per function and a line program. Each
//! function is a section, so it is a sequence of its own that begins at a relocated address. The places of functions
//! are given by range lists only. When a linker drops a function, it leaves the function's entry but makes its ranges
//! empty; an address would become 0, where there may be code. Calls that were inlined, by the compiler of the module or by
//! LLVM here, are entries below that of their function. Variables are described if they are in the C stack and that is
//! part of the machine's ([`super::variables`]).
//!
//! An address without a location of its own belongs to the line before it, or to the line where the function begins. No
//! debug section is loaded, and the code does not depend on debug information.

use std::collections::BTreeMap;

use codegen::FrameBase;
use gimli::write::{
    Address, AttributeValue, Dwarf, EndianVec, FileId, LineProgram, LineString, Range, RangeList,
    RelocateWriter, Relocation, Sections, Unit, UnitEntryId,
};
use gimli::{Encoding, Format, LineEncoding, LittleEndian, constants as dw};
use object::write::SymbolId;
use ssa::{InlinedCall, SourceFile, SourceLoc, SourceType, SourceUnit, Sources, Subprogram};

use super::variables;

/// The DWARF version. All tools for Cortex-M read version 4, and linkers make the ranges of dropped functions empty in
/// it.
const ENCODING: Encoding = Encoding { format: Format::Dwarf32, version: 4, address_size: 4 };

/// Instructions have two bytes or four.
const LINE_ENCODING: LineEncoding = LineEncoding {
    minimum_instruction_length: 2,
    maximum_operations_per_instruction: 1,
    default_is_stmt: true,
    line_base: -5,
    line_range: 14,
};

/// The code of a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// The symbol of its section.
    pub section: SymbolId,
    /// Bytes of code.
    pub size: u32,
}

/// A function with code that corresponds to a function of the source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    /// Its code.
    pub span: Span,
    /// The end of the prologue at its entry.
    pub body: u32,
    /// Where its variables are, if they are in memory.
    pub variables_at: Option<FrameBase>,
    /// Its first symbol.
    pub symbol: String,
    /// Whether other objects can refer to it.
    pub is_global: bool,
    /// The function of the source.
    pub subprogram: Subprogram,
    /// Code offsets at which a source location begins, in ascending order.
    pub lines: Vec<(u32, SourceLoc)>,
}

/// A section, complete except for its relocations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// Its kind.
    pub id: gimli::SectionId,
    /// Its bytes; addends are in place.
    pub bytes: Vec<u8>,
    /// Offsets of words, each with the target whose address is added to it.
    pub relocations: Vec<(u64, Target)>,
}

/// The target of a relocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The address of a section of code.
    Code(SymbolId),
    /// The start of a debug section.
    Debug(gimli::SectionId),
}

/// The debug sections for functions.
pub fn sections(sources: &Sources, functions: &[Function]) -> Vec<Section> {
    let mut units: BTreeMap<SourceUnit, Vec<usize>> = BTreeMap::new();
    for (n, function) in functions.iter().enumerate() {
        units.entry(sources.subprograms[function.subprogram].unit).or_default().push(n);
    }
    let mut dwarf = Dwarf::new();
    for (unit, members) in units {
        let mut writer = UnitWriter::new(&mut dwarf, sources, functions, unit);
        let ranges = members.iter().map(|&n| writer.function(n)).collect();
        writer.finish(ranges);
    }
    let mut written = Sections::new(Buffer::default());
    dwarf.write(&mut written).expect("everything that is referred to is in the same unit");
    let spans: Vec<Span> = functions.iter().map(|function| function.span).collect();
    let mut sections = Vec::new();
    let add = |id: gimli::SectionId, buffer: &mut Buffer| -> Result<(), gimli::write::Error> {
        sections.extend(buffer.finish(id, &spans));
        Ok(())
    };
    written.for_each_mut(add).expect("nothing fails");
    sections
}

/// A section being written.
#[derive(Clone)]
pub struct Buffer {
    bytes: EndianVec<LittleEndian>,
    relocations: Vec<Relocation>,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { bytes: EndianVec::new(LittleEndian), relocations: Vec::new() }
    }
}

impl RelocateWriter for Buffer {
    type Writer = EndianVec<LittleEndian>;

    fn writer(&self) -> &Self::Writer {
        &self.bytes
    }

    fn writer_mut(&mut self) -> &mut Self::Writer {
        &mut self.bytes
    }

    fn relocate(&mut self, relocation: Relocation) {
        self.relocations.push(relocation);
    }
}

impl Buffer {
    /// The section, if there is anything in it.
    pub fn finish(&mut self, id: gimli::SectionId, spans: &[Span]) -> Option<Section> {
        let mut bytes = self.bytes.take();
        if bytes.is_empty() {
            return None;
        }
        let relocations = self.relocations.drain(..).map(|relocation| {
            let addend = u32::try_from(relocation.addend).expect("sections are smaller than 4 GiB");
            bytes[relocation.offset..][..4].copy_from_slice(&addend.to_le_bytes());
            let target = match relocation.target {
                gimli::write::RelocationTarget::Symbol(n) => Target::Code(spans[n].section),
                gimli::write::RelocationTarget::Section(id) => Target::Debug(id),
            };
            (relocation.offset as u64, target)
        });
        let mut relocations: Vec<(u64, Target)> = relocations.collect();
        relocations.sort_by_key(|(offset, _)| *offset);
        Some(Section { id, bytes, relocations })
    }
}

/// Writes one unit.
struct UnitWriter<'a> {
    dwarf: &'a mut Dwarf,
    sources: &'a Sources,
    functions: &'a [Function],
    unit: Unit,
    files: BTreeMap<SourceFile, FileId>,
    /// The entries of functions that were inlined.
    inlined: BTreeMap<ssa::Callee, UnitEntryId>,
    types: variables::Types,
}

impl<'a> UnitWriter<'a> {
    fn new(dwarf: &'a mut Dwarf, sources: &'a Sources, functions: &'a [Function], id: SourceUnit) -> Self {
        let data = &sources.units[id];
        let directory = if data.directory.is_empty() { "." } else { &data.directory };
        let name = if data.name.is_empty() { "<unknown>" } else { &data.name };
        let directory_string = LineString::String(directory.into());
        let name_string = LineString::String(name.into());
        let program = LineProgram::new(ENCODING, LINE_ENCODING, directory_string, None, name_string, None);
        let mut unit = Unit::new(ENCODING, program);
        let entry = unit.get_mut(unit.root());
        if !data.producer.is_empty() {
            entry.set(dw::DW_AT_producer, text(&data.producer));
        }
        if data.language != 0 {
            entry.set(dw::DW_AT_language, AttributeValue::Language(gimli::DwLang(data.language)));
        }
        entry.set(dw::DW_AT_name, text(name));
        entry.set(dw::DW_AT_comp_dir, text(directory));
        // The ranges of the unit are relative to this address.
        entry.set(dw::DW_AT_low_pc, AttributeValue::Address(Address::Constant(0)));
        Self {
            dwarf,
            sources,
            functions,
            unit,
            files: BTreeMap::new(),
            inlined: BTreeMap::new(),
            types: variables::Types::default(),
        }
    }

    /// Adds a function; returns the range of its code.
    fn function(&mut self, n: usize) -> Range {
        let function = &self.functions[n];
        let begin = Address::Symbol { symbol: n, addend: 0 };
        let range = Range::StartLength { begin, length: u64::from(function.span.size) };
        let entry = self.entry(function, range.clone());
        self.variables(function, entry);
        self.inlined_calls(n, function, entry);
        self.lines(function, begin);
        range
    }

    fn entry(&mut self, function: &Function, range: Range) -> UnitEntryId {
        let data = &self.sources.subprograms[function.subprogram];
        let id = self.unit.add(self.unit.root(), dw::DW_TAG_subprogram);
        let ranges = self.unit.ranges.add(RangeList(vec![range]));
        self.set(id, dw::DW_AT_ranges, AttributeValue::RangeListRef(ranges));
        let name = data.name.as_ref().unwrap_or(&function.symbol);
        self.set(id, dw::DW_AT_name, text(name));
        if let Some(name) = &data.linkage_name {
            self.set(id, dw::DW_AT_linkage_name, text(name));
        }
        self.place(id, data.declaration, [dw::DW_AT_decl_file, dw::DW_AT_decl_line, dw::DW_AT_decl_column]);
        if function.is_global {
            self.set(id, dw::DW_AT_external, AttributeValue::FlagPresent);
        }
        id
    }

    /// Describes the type of the result, and the variables that are in memory.
    fn variables(&mut self, function: &Function, entry: UnitEntryId) {
        let data = &self.sources.subprograms[function.subprogram];
        self.set_type(entry, data.result);
        let Some(at) = function.variables_at else { return };
        self.set(entry, dw::DW_AT_frame_base, variables::base(at));
        for variable in &data.variables {
            let tag = if variable.is_parameter { dw::DW_TAG_formal_parameter } else { dw::DW_TAG_variable };
            let id = self.unit.add(entry, tag);
            self.set(id, dw::DW_AT_name, text(&variable.name));
            self.set_type(id, variable.ty);
            self.set(id, dw::DW_AT_location, variables::location(at, variable));
            let names = [dw::DW_AT_decl_file, dw::DW_AT_decl_line, dw::DW_AT_decl_column];
            self.place(id, variable.declaration, names);
        }
    }

    fn set_type(&mut self, id: UnitEntryId, ty: Option<SourceType>) {
        if let Some(ty) = ty {
            let ty = self.types.entry(self.sources, &mut self.unit, ty);
            self.set(id, dw::DW_AT_type, AttributeValue::UnitRef(ty));
        }
    }

    /// Sets the attributes for file, line and column of a location.
    fn place(&mut self, id: UnitEntryId, loc: Option<SourceLoc>, names: [dw::DwAt; 3]) {
        let Some(position) = loc.map(|loc| self.sources.positions[loc]) else { return };
        let file = self.file(position.file);
        self.set(id, names[0], AttributeValue::FileIndex(Some(file)));
        self.set(id, names[1], AttributeValue::Udata(position.line.into()));
        if position.column != 0 {
            self.set(id, names[2], AttributeValue::Udata(position.column.into()));
        }
    }

    /// Adds the calls that were inlined into a function, each below the call around it.
    fn inlined_calls(&mut self, n: usize, function: &Function, entry: UnitEntryId) {
        let mut entries: BTreeMap<InlinedCall, UnitEntryId> = BTreeMap::new();
        let ranges = inlined_ranges(self.sources, function);
        for &call in ranges.keys() {
            let chain: Vec<InlinedCall> = std::iter::successors(Some(call), |&call| {
                self.sources.positions[self.sources.calls[call].at].inlined
            })
            .collect();
            let mut parent = entry;
            for call in chain.into_iter().rev() {
                parent = match entries.get(&call) {
                    Some(&known) => known,
                    None => self.inlined_call(n, call, parent, &ranges[&call]),
                };
                entries.insert(call, parent);
            }
        }
    }

    fn inlined_call(
        &mut self,
        n: usize,
        call: InlinedCall,
        parent: UnitEntryId,
        ranges: &[(u32, u32)],
    ) -> UnitEntryId {
        let data = &self.sources.calls[call];
        let origin = self.origin(&data.callee);
        let id = self.unit.add(parent, dw::DW_TAG_inlined_subroutine);
        self.set(id, dw::DW_AT_abstract_origin, AttributeValue::UnitRef(origin));
        let ranges = ranges.iter().map(|&(start, end)| Range::StartLength {
            begin: Address::Symbol { symbol: n, addend: start.into() },
            length: u64::from(end - start),
        });
        let ranges = self.unit.ranges.add(RangeList(ranges.collect()));
        self.set(id, dw::DW_AT_ranges, AttributeValue::RangeListRef(ranges));
        let names = [dw::DW_AT_call_file, dw::DW_AT_call_line, dw::DW_AT_call_column];
        self.place(id, Some(data.at), names);
        id
    }

    /// The entry of a function that was inlined.
    fn origin(&mut self, callee: &ssa::Callee) -> UnitEntryId {
        if let Some(&known) = self.inlined.get(callee) {
            return known;
        }
        let id = self.unit.add(self.unit.root(), dw::DW_TAG_subprogram);
        self.set(id, dw::DW_AT_name, text(callee.name.as_deref().unwrap_or("<unknown>")));
        if let Some(name) = &callee.linkage_name {
            self.set(id, dw::DW_AT_linkage_name, text(name));
        }
        self.place(id, callee.declaration, [dw::DW_AT_decl_file, dw::DW_AT_decl_line, dw::DW_AT_decl_column]);
        self.set(id, dw::DW_AT_inline, AttributeValue::Inline(dw::DW_INL_inlined));
        self.inlined.insert(callee.clone(), id);
        id
    }

    fn set(&mut self, id: UnitEntryId, name: dw::DwAt, value: AttributeValue) {
        self.unit.get_mut(id).set(name, value);
    }

    fn lines(&mut self, function: &Function, begin: Address) {
        let start = self.sources.subprograms[function.subprogram].start;
        let rows = rows(start, function);
        if rows.is_empty() {
            return;
        }
        self.unit.line_program.begin_sequence(Some(begin));
        for (n, &(address, loc)) in rows.iter().enumerate() {
            let position = self.sources.positions[loc];
            let file = self.file(position.file);
            let row = self.unit.line_program.row();
            row.address_offset = address.into();
            row.prologue_end = n == 1;
            row.file = file;
            row.line = position.line.into();
            row.column = position.column.into();
            self.unit.line_program.generate_row();
        }
        self.unit.line_program.end_sequence(function.span.size.into());
    }

    /// The number of a file in the line program.
    fn file(&mut self, file: SourceFile) -> FileId {
        if let Some(&id) = self.files.get(&file) {
            return id;
        }
        let name = &self.sources.files[file];
        let program = &mut self.unit.line_program;
        let directory = match name.directory.as_str() {
            "" => program.default_directory(),
            directory => program.add_directory(LineString::String(directory.into())),
        };
        let id = program.add_file(LineString::String(name.name.as_str().into()), directory, None);
        self.files.insert(file, id);
        id
    }

    fn finish(mut self, ranges: Vec<Range>) {
        let ranges = self.unit.ranges.add(RangeList(ranges));
        self.set(self.unit.root(), dw::DW_AT_ranges, AttributeValue::RangeListRef(ranges));
        self.dwarf.units.add(self.unit);
    }
}

/// The code of each call that was inlined into a function, with that of the calls inside of it. The prologue is no part
/// of any.
fn inlined_ranges(sources: &Sources, function: &Function) -> BTreeMap<InlinedCall, Vec<(u32, u32)>> {
    let mut all: BTreeMap<InlinedCall, Vec<(u32, u32)>> = BTreeMap::new();
    let ends = function.lines.iter().skip(1).map(|(start, _)| *start).chain([function.span.size]);
    for (&(start, loc), end) in function.lines.iter().zip(ends) {
        let start = start.max(function.body);
        for call in sources.calls_around(loc).filter(|_| start < end) {
            let ranges = all.entry(call).or_default();
            match ranges.last_mut() {
                Some((_, last)) if *last == start => *last = end,
                _ => ranges.push((start, end)),
            }
        }
    }
    all
}

/// The rows of a function: one for its entry, one for the first instruction after the prologue, and others.
///
/// Debuggers stop at the second row at the start of a function, or at the row with a mark; so there are always two, even
/// with the same address or location.
fn rows(start: Option<SourceLoc>, function: &Function) -> Vec<(u32, SourceLoc)> {
    let at = |address: u32| function.lines.iter().take_while(|(begin, _)| *begin <= address).last();
    let first = start.or(function.lines.first().map(|(_, loc)| *loc));
    let Some(first) = first else { return Vec::new() };
    let body = at(function.body).map_or(first, |(_, loc)| *loc);
    let later = function.lines.iter().copied().filter(|(address, _)| *address > function.body);
    [(0, first), (function.body, body)].into_iter().chain(later).collect()
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::String(text.into())
}

/// The lines of a function of `size` bytes. Of several locations at one address the last one counts.
pub fn lines(located: impl Iterator<Item = (u32, SourceLoc)>, size: u32) -> Vec<(u32, SourceLoc)> {
    let mut lines: Vec<(u32, SourceLoc)> = Vec::new();
    for (address, loc) in located {
        lines.pop_if(|(last, _)| *last == address);
        if address < size && lines.last().is_none_or(|(_, last)| *last != loc) {
            lines.push((address, loc));
        }
    }
    lines
}
