//! The map of a program: from positions in its code to the source.
//!
//! A program has no place for lines, and its bytes must not depend on debug information. So the code generator makes a side
//! table of byte offsets in the module ([`CodeLocations`]), and the map adds what is known about each offset:
//! its function, its operator, and its line, if the module has DWARF. It is for one program only, which it identifies by a
//! hash of the code.

use std::collections::BTreeMap;

use codegen::CodeLocations;
use llvm_frontend::{ModuleInfo, SourceMap};
use pvm_isa::metadata::FunctionName;
use pvm_isa::{Container, GpVersion};
use target_pvm::EntryStack;

use super::operators;

/// A function of the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MapFunction {
    /// The position of its first instruction.
    pub pc: u32,
    /// Its name.
    pub name: String,
}

/// A position in a source file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Line {
    /// Index of the file.
    pub file: u32,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1; 0 if it is not known.
    pub column: u32,
}

/// An operator of the module that code comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its byte offset in the module.
    pub offset: u32,
    /// The wasm index of its function.
    pub function: u32,
    /// Index of its name.
    pub operator: u32,
    /// Its line.
    pub line: Option<Line>,
    /// The place of the call, if its function was inlined: the index of an earlier place.
    pub inlined_at: Option<u32>,
}

/// Stored data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataRange {
    /// The machine address.
    pub address: u32,
    /// Bytes.
    pub bytes: u32,
    /// The name of an object or of a segment.
    pub name: String,
}

/// The map of a program.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CodeMap {
    /// A hash of the code that it belongs to.
    pub program: u64,
    /// `base` in `pvm = wasm + base` modulo 2^32.
    pub linear_base: u32,
    /// Functions of the machine, in ascending order.
    pub functions: Vec<MapFunction>,
    /// Names of wasm functions that places are in.
    pub names: BTreeMap<u32, String>,
    /// Names of source files.
    pub files: Vec<String>,
    /// Names of operators.
    pub operators: Vec<String>,
    /// Places that code comes from.
    pub places: Vec<Place>,
    /// Ascending positions in the code, each with the index of the place of the code from there on.
    pub code: Vec<(u32, Option<u32>)>,
    /// Data by ascending addresses: segments of linear memory.
    pub data: Vec<DataRange>,
    /// The deepest stack of each entry.
    pub stacks: Vec<EntryStack>,
}

/// One function at a position of the code: the one that the code belongs to, or one that was inlined into it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frame {
    /// The function's name.
    pub function: String,
    /// The byte offset of the operator in the module.
    pub offset: Option<u32>,
    /// The operator.
    pub operator: Option<String>,
    /// File, line and column.
    pub source: Option<(String, u32, u32)>,
}

/// A hash of code: 64-bit FNV-1a.
pub fn hash(code: &[u8]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    code.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

impl CodeMap {
    /// The map of a program without debug information: only its functions.
    pub fn of_functions(code: &[u8], linear_base: u32, functions: &[FunctionName]) -> Self {
        let named = |function: &FunctionName| MapFunction { pc: function.pc, name: function.name.clone() };
        let functions = functions.iter().map(named).collect();
        Self { program: hash(code), linear_base, functions, ..Self::default() }
    }

    /// The map of a program that its file gives.
    pub fn of_container(container: &Container, gp: GpVersion) -> Self {
        let base = container.extension().linear_memory.unwrap_or(0);
        Self::of_functions(&container.blob().code, base, &container.functions(gp))
    }

    /// The map of a program that was compiled from `wasm`, which is valid.
    pub(crate) fn of_module(
        wasm: &[u8],
        code: &[u8],
        linear_base: u32,
        functions: &[FunctionName],
        locations: &CodeLocations,
    ) -> Self {
        let mut map = Self::of_functions(code, linear_base, functions);
        let Ok(info) = ModuleInfo::parse(wasm) else { return map };
        map.code.clone_from(&locations.rows);
        map.data = segments(&info, linear_base);
        let mut reader = Places::new(&info, wasm);
        for site in locations.sites.list() {
            let place = reader.place(&mut map, site.offset);
            map.places.push(Place { inlined_at: site.inlined_at, ..place });
        }
        map
    }

    /// Whether it belongs to a program with this code.
    pub fn is_of(&self, code: &[u8]) -> bool {
        self.program == hash(code)
    }

    /// Start positions of functions, ascending.
    pub fn starts(&self) -> Vec<u32> {
        self.functions.iter().map(|function| function.pc).collect()
    }

    /// The name of the function at a position.
    pub fn function_at(&self, pc: u32) -> &str {
        let after = self.functions.partition_point(|function| function.pc <= pc);
        let before = if self.functions.is_empty() { "(unnamed)" } else { "(entries)" };
        after.checked_sub(1).map_or(before, |index| self.functions[index].name.as_str())
    }

    /// The place that the code at a position comes from.
    pub fn place_at(&self, pc: u32) -> Option<&Place> {
        let after = self.code.partition_point(|(start, _)| *start <= pc);
        let (_, place) = self.code[after.checked_sub(1)?];
        Some(&self.places[place? as usize])
    }

    /// The functions at a position: the innermost inlined one first, that of the machine last.
    pub fn frames(&self, pc: u32) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut next = self.place_at(pc);
        while let Some(place) = next {
            frames.push(self.frame(place));
            next = place.inlined_at.map(|index| &self.places[index as usize]);
        }
        let machine = self.function_at(pc);
        match frames.last_mut() {
            // Equal functions are merged, and copies get other names: the machine's name is the one to look for.
            Some(last) => machine.clone_into(&mut last.function),
            None => frames.push(Frame { function: machine.to_owned(), ..Frame::default() }),
        }
        frames
    }

    fn frame(&self, place: &Place) -> Frame {
        let name = self.names.get(&place.function).cloned();
        let source = |line: Line| (self.files[line.file as usize].clone(), line.line, line.column);
        Frame {
            function: name.unwrap_or_else(|| format!("func[{}]", place.function)),
            offset: Some(place.offset),
            operator: Some(self.operators[place.operator as usize].clone()),
            source: place.line.map(source),
        }
    }
}

/// The active segments of linear memory with a constant address.
fn segments(info: &ModuleInfo, linear_base: u32) -> Vec<DataRange> {
    let segments = (0u32..).zip(&info.data).filter_map(|(index, segment)| {
        let name = info.data_name(index).map_or_else(|| format!("segment {index}"), str::to_owned);
        let address = linear_base.wrapping_add(segment.mode.constant_offset()?);
        Some(DataRange { address, bytes: segment.bytes.len() as u32, name })
    });
    let mut segments: Vec<DataRange> = segments.collect();
    segments.sort_by_key(|segment| segment.address);
    segments
}

/// Finds out what is known about offsets of a module.
struct Places<'a> {
    info: &'a ModuleInfo,
    wasm: &'a [u8],
    lines: Option<(SourceMap, ssa::Sources)>,
    files: BTreeMap<String, u32>,
    operators: BTreeMap<String, u32>,
    /// Names of operators by offset, for each function that has been read.
    read: BTreeMap<u32, BTreeMap<u32, u32>>,
}

impl<'a> Places<'a> {
    fn new(info: &'a ModuleInfo, wasm: &'a [u8]) -> Self {
        let lines = SourceMap::read(info, wasm);
        let (files, operators, read) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { info, wasm, lines, files, operators, read }
    }

    fn place(&mut self, map: &mut CodeMap, offset: u32) -> Place {
        let at = offset as usize;
        let bodies = &self.info.functions[self.info.imported_functions()..];
        let index = bodies.partition_point(|function| function.body.end <= at);
        let function = (self.info.imported_functions() + index.min(bodies.len().saturating_sub(1))) as u32;
        map.names.entry(function).or_insert_with(|| self.info.function_name(function));
        let operator = self.operator(map, function, offset);
        let line = self.lines.as_ref().and_then(|(lines, sources)| lines.position(sources, at));
        let line = line.map(|position| {
            let (_, sources) = self.lines.as_ref().expect("a position is from there");
            let file = path(&sources.files[position.file]);
            let file = *self.files.entry(file).or_insert_with_key(|name| {
                map.files.push(name.clone());
                map.files.len() as u32 - 1
            });
            Line { file, line: position.line, column: position.column }
        });
        Place { offset, function, operator, line, inlined_at: None }
    }

    fn operator(&mut self, map: &mut CodeMap, function: u32, offset: u32) -> u32 {
        if !self.read.contains_key(&function) {
            let names = self.operators_of(map, function);
            self.read.insert(function, names);
        }
        if let Some(&known) = self.read[&function].get(&offset) {
            return known;
        }
        // The start of the function.
        intern(&mut self.operators, &mut map.operators, "(start)".to_owned())
    }

    fn operators_of(&mut self, map: &mut CodeMap, function: u32) -> BTreeMap<u32, u32> {
        let mut names = BTreeMap::new();
        let Ok(reader) = self.info.body(self.wasm, function).get_operators_reader() else { return names };
        for (op, offset) in reader.into_iter_with_offsets().flatten() {
            let name = intern(&mut self.operators, &mut map.operators, operators::name(&op));
            names.insert(offset as u32, name);
        }
        names
    }
}

fn intern(known: &mut BTreeMap<String, u32>, list: &mut Vec<String>, name: String) -> u32 {
    *known.entry(name).or_insert_with_key(|name| {
        list.push(name.clone());
        list.len() as u32 - 1
    })
}

/// The path of a source file. A name from the root on has no use for its directory.
pub(crate) fn path(file: &ssa::FileName) -> String {
    let is_absolute = file.name.starts_with(['/', '\\']) || file.name.as_bytes().get(1) == Some(&b':');
    match file.directory.as_str() {
        directory if directory.is_empty() || is_absolute => file.name.clone(),
        directory => format!("{}/{}", directory.trim_end_matches('/'), file.name),
    }
}
