//! Source locations of wasm code, from the DWARF sections of the input.
//!
//! Compilers put DWARF into custom sections of the same names as in object files; an address in them is a byte offset
//! in the code section. Linkers keep the DWARF of dropped functions, with addresses outside of the code. Tools that
//! change linked modules may keep DWARF unchanged, so that its addresses are wrong: see [`lines`].
//!
//! [`SourceMap::read`] assigns a source location to each piece of a function's body, once. From then on only ids of
//! locations travel with the code ([`ssa::SourceLoc`]): LLVM carries them as line numbers (`llvm-frontend`), so
//! two instructions from one location are on one line for LLVM, and the reader converts the line numbers back.
//!
//! Debug information never influences code. So faulty DWARF causes a warning, and the code then has no locations.
//!
//! Objects for Cortex-M have lines. For a map of PVM code, instructions carry byte offsets in the module instead
//! ([`SourceMap::of_offsets`]), which are known without DWARF, and the map adds the lines. Instructions that some
//! peephole passes of the PVM rebuild have the location of their predecessor.

mod inlined;
mod lines;
mod names;
mod variables;

use ssa::{EntityId as _, Position, SourceLoc, Sources, Subprogram, SubprogramData, UnitData};

use crate::module_info::{FunctionInfo, ModuleInfo};
use lines::Sequence;

/// The input of DWARF readers.
type Bytes<'a> = gimli::EndianSlice<'a, gimli::LittleEndian>;

/// An address at which the source location changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Row {
    /// Byte offset in the code section.
    address: u64,
    /// The location of the code from here on, if it has one.
    loc: Option<SourceLoc>,
}

/// The source location of every byte of code.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SourceMap {
    /// Byte offset of the code section in the input.
    code_start: u64,
    /// By address, ascending.
    rows: Vec<Row>,
    /// By wasm function.
    subprograms: Vec<Option<Subprogram>>,
    /// Every operator has a location, its byte offset in the input.
    are_offsets: bool,
}

impl SourceMap {
    /// Reads the DWARF of a module; `None` if it has none, or, with a warning, if it is malformed.
    pub fn read(info: &ModuleInfo, wasm: &[u8]) -> Option<(Self, Sources)> {
        let section = |name: &str| {
            let known = info.custom_sections.iter().find(|(known, _)| known == name);
            known.map_or(&[][..], |(_, range)| &wasm[range.clone()])
        };
        if section(".debug_line").is_empty() || section(".debug_info").is_empty() {
            return None;
        }
        let load = |id: gimli::SectionId| Ok(Bytes::new(section(id.name()), gimli::LittleEndian));
        let result = gimli::Dwarf::load(load).and_then(|dwarf| Self::from_dwarf(info, wasm, &dwarf));
        match result {
            Ok((map, sources)) => (!map.rows.is_empty()).then_some((map, sources)),
            Err(error) => {
                tracing::warn!(code = "W0104", "the DWARF sections are malformed and are ignored: {error}");
                None
            }
        }
    }

    /// The byte offset of every operator as its location.
    pub fn of_offsets(info: &ModuleInfo) -> (Self, Sources) {
        let mut sources = Sources::of_offsets();
        let empty = String::new;
        let unit = UnitData { name: empty(), directory: empty(), producer: empty(), language: 0 };
        let unit = sources.units.push(unit);
        let subprogram = |function: &FunctionInfo| {
            let start = Some(SourceLoc::new(function.body.start));
            Some(sources.subprograms.push(SubprogramData {
                unit,
                name: None,
                linkage_name: None,
                declaration: None,
                start,
                result: None,
                variables: Vec::new(),
                frame_bytes: None,
            }))
        };
        let subprograms = info.functions.iter().map(subprogram).collect();
        (Self { subprograms, are_offsets: true, ..Self::default() }, sources)
    }

    /// The source position of the operator at a byte offset of the input: file, line and column.
    pub fn position(&self, sources: &Sources, offset: usize) -> Option<Position> {
        self.loc_at(offset).map(|loc| sources.positions[loc])
    }

    fn from_dwarf(
        info: &ModuleInfo,
        wasm: &[u8],
        dwarf: &gimli::Dwarf<Bytes<'_>>,
    ) -> gimli::Result<(Self, Sources)> {
        let mut sources = Sources::default();
        let mut sequences = Vec::new();
        let mut names = names::Names::default();
        let mut ids = lines::SourceIds::default();
        let code_start = info.code_start as u64;
        let bodies = info.functions[info.imported_functions()..].iter();
        let address = |offset: usize| (offset as u64).saturating_sub(code_start);
        let bodies = bodies.map(|function| address(function.body.start)..address(function.body.end));
        let bodies: Vec<_> = bodies.collect();
        let mut inlined = inlined::Inlined::new(bodies.clone());
        let mut variables = variables::Variables::default();
        let mut units = dwarf.units();
        while let Some(header) = units.next()? {
            let unit = dwarf.unit(header)?;
            if let Some(program) = unit.line_program.clone() {
                let unit_ref = unit.unit_ref(dwarf);
                let id = sources.units.push(names::unit(unit_ref)?);
                let mut reader = lines::Reader::new(unit_ref, &mut ids, &mut sources);
                sequences.extend(reader.sequences(id, program.clone())?);
                names.read(&mut reader, program.header(), (&mut inlined, &mut variables))?;
            }
        }
        let mut map = Self { code_start, ..Self::default() };
        let mut sequences = lines::of_functions(sequences, &bodies);
        for sequence in &mut sequences {
            sequence.replace_rows(|rows| inlined.apply(rows, &mut sources));
        }
        map.rows = sequences.iter().flat_map(Sequence::rows).collect();
        map.find_subprograms(info, &sequences, &names, &mut sources);
        map.add_variables(info, wasm, &mut variables, &mut sources);
        Ok((map, sources))
    }

    fn find_subprograms(
        &mut self,
        info: &ModuleInfo,
        sequences: &[Sequence],
        names: &names::Names,
        sources: &mut Sources,
    ) {
        for function in &info.functions {
            let start = (function.body.start as u64).saturating_sub(self.code_start);
            let end = (function.body.end as u64).saturating_sub(self.code_start);
            let at = sequences.partition_point(|sequence| sequence.end() <= start);
            let sequence = sequences.get(at).filter(|sequence| sequence.start() < end);
            let subprogram = sequence.map(|sequence| {
                let known = names.at(start);
                let declaration = known.and_then(|known| known.declaration);
                let begin = self.loc(start).or(declaration).or_else(|| self.first_loc(start, end));
                sources.subprograms.push(SubprogramData {
                    unit: sequence.unit,
                    name: known.and_then(|known| known.name.clone()),
                    linkage_name: known.and_then(|known| known.linkage_name.clone()),
                    declaration,
                    start: begin,
                    result: None,
                    variables: Vec::new(),
                    frame_bytes: None,
                })
            });
            self.subprograms.push(subprogram);
        }
    }

    /// Adds the variables of functions that are in a known part of the C stack.
    fn add_variables(
        &self,
        info: &ModuleInfo,
        wasm: &[u8],
        variables: &mut variables::Variables,
        sources: &mut Sources,
    ) {
        for (index, subprogram) in (0u32..).zip(&self.subprograms) {
            let Some(subprogram) = *subprogram else { continue };
            let start = (info.functions[index as usize].body.start as u64).saturating_sub(self.code_start);
            let found = variables.take(start);
            let data = &mut sources.subprograms[subprogram];
            data.result = found.result;
            data.frame_bytes = found.local.and_then(|local| variables::frame_bytes(info, wasm, index, local));
            data.variables = found.variables;
        }
    }

    /// The source function that corresponds to a wasm function.
    pub fn subprogram(&self, function: u32) -> Option<Subprogram> {
        self.subprograms[function as usize]
    }

    /// The location of the operator at a byte offset of the input.
    pub fn loc_at(&self, offset: usize) -> Option<SourceLoc> {
        if self.are_offsets {
            return Some(SourceLoc::new(offset));
        }
        self.loc((offset as u64).checked_sub(self.code_start)?)
    }

    /// The first location of the code between two addresses.
    fn first_loc(&self, start: u64, end: u64) -> Option<SourceLoc> {
        let from = self.rows.partition_point(|row| row.address < start);
        self.rows[from..].iter().take_while(|row| row.address < end).find_map(|row| row.loc)
    }

    fn loc(&self, address: u64) -> Option<SourceLoc> {
        let after = self.rows.partition_point(|row| row.address <= address);
        self.rows[after.checked_sub(1)?].loc
    }
}
