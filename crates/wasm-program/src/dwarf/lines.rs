//! Line programs: the source locations of each sequence of code.
//!
//! Linkers keep the sequences of dropped functions, with addresses outside of the code. Tools that change linked code
//! may keep all sequences, with addresses that are no longer those of functions. A sequence is accepted only if it
//! begins in the body of a function, after all earlier sequences, and ends exactly at the end of a function's body:
//! compilers make a sequence per function, which ends with it.
//!
//! Within a sequence the last row of an address counts, and line 0 means that the code has no source location.

use std::collections::HashMap;
use std::ops::Range;

use gimli::{AttributeValue, ColumnType, FileEntry, IncompleteLineProgram, LineProgramHeader, LineRow};
use ssa::{FileName, Position, SourceFile, SourceLoc, SourceUnit, Sources};

use super::{Bytes, Row};

/// Code without gaps, and its source locations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sequence {
    /// The unit that it belongs to.
    pub unit: SourceUnit,
    /// Ascending by address; the last row has no location and marks the end.
    rows: Vec<Row>,
}

impl Sequence {
    /// Address of the first byte.
    pub fn start(&self) -> u64 {
        self.rows[0].address
    }

    /// Address after the last byte.
    pub fn end(&self) -> u64 {
        self.rows[self.rows.len() - 1].address
    }

    /// Replaces the rows by others for the same code.
    pub fn replace_rows(&mut self, replace: impl FnOnce(Vec<Row>) -> Vec<Row>) {
        self.rows = replace(std::mem::take(&mut self.rows));
    }

    /// The rows that have a location, and the end.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        self.rows.iter().copied()
    }
}

/// Sorts sequences by address, and leaves out those that are not of functions. `bodies` are in ascending order.
pub fn of_functions(mut sequences: Vec<Sequence>, bodies: &[Range<u64>]) -> Vec<Sequence> {
    let (Some(first), Some(last)) = (bodies.first(), bodies.last()) else { return Vec::new() };
    sequences.retain(|sequence| sequence.start() >= first.start && sequence.start() < last.end);
    sequences.sort_by_key(Sequence::start);
    let all = sequences.len();
    let mut end = 0;
    sequences.retain(|sequence| {
        let at = bodies.partition_point(|body| body.end <= sequence.start());
        let begins = bodies.get(at).is_some_and(|body| body.start <= sequence.start());
        let ends = bodies.binary_search_by_key(&sequence.end(), |body| body.end).is_ok();
        let fits = begins && ends && sequence.start() >= end;
        if fits {
            end = sequence.end();
        }
        fits
    });
    if sequences.len() < all {
        tracing::warn!(
            code = "W0104",
            "{} of {all} pieces of the DWARF line table don't fit the code and are ignored; \
             something changed the module after it was linked",
            all - sequences.len()
        );
    }
    sequences
}

/// The ids assigned so far to files.
#[derive(Default)]
pub struct SourceIds {
    files: HashMap<FileName, SourceFile>,
}

/// Reads one unit.
pub struct Reader<'r, 'a> {
    /// The unit.
    pub unit: gimli::UnitRef<'r, Bytes<'a>>,
    ids: &'r mut SourceIds,
    /// The meanings of ids.
    pub sources: &'r mut Sources,
    /// Files by their number in the line program.
    files: HashMap<u64, Option<SourceFile>>,
}

impl<'r, 'a> Reader<'r, 'a> {
    /// A reader of a unit. `ids` are those assigned so far, and `sources` has their meanings.
    pub fn new(
        unit: gimli::UnitRef<'r, Bytes<'a>>,
        ids: &'r mut SourceIds,
        sources: &'r mut Sources,
    ) -> Self {
        Self { unit, ids, sources, files: HashMap::new() }
    }

    /// The sequences of a line program, in its order.
    pub fn sequences(
        &mut self,
        unit: SourceUnit,
        program: IncompleteLineProgram<Bytes<'a>>,
    ) -> gimli::Result<Vec<Sequence>> {
        let mut sequences = Vec::new();
        let mut rows: Vec<Row> = Vec::new();
        let mut reader = program.rows();
        while let Some((header, row)) = reader.next_row()? {
            let (address, is_end) = (row.address(), row.end_sequence());
            let loc = if is_end { None } else { self.location(header, row)? };
            match rows.last_mut() {
                Some(last) if last.address == address => last.loc = loc,
                Some(last) if last.loc == loc && !is_end => {}
                _ => rows.push(Row { address, loc }),
            }
            if is_end {
                let rows = std::mem::take(&mut rows);
                if rows.len() > 1 && rows.is_sorted_by_key(|row| row.address) {
                    sequences.push(Sequence { unit, rows });
                }
            }
        }
        Ok(sequences)
    }

    /// The source location that a row names.
    fn location(
        &mut self,
        header: &LineProgramHeader<Bytes<'a>>,
        row: &LineRow,
    ) -> gimli::Result<Option<SourceLoc>> {
        let Some(line) = row.line().and_then(|line| u32::try_from(line.get()).ok()) else { return Ok(None) };
        let file = self.file(header, row.file_index())?;
        let column = column(row.column());
        Ok(file.map(|file| self.sources.loc(Position { file, line, column, inlined: None })))
    }

    /// Line `line` of a file of the line program.
    pub fn line(
        &mut self,
        header: &LineProgramHeader<Bytes<'a>>,
        file: u64,
        line: u32,
    ) -> gimli::Result<Option<SourceLoc>> {
        let file = self.file(header, file)?;
        Ok(file.map(|file| self.sources.loc(Position { file, line, column: 0, inlined: None })))
    }

    /// The id of a file of the line program, if it has that file.
    pub fn file(
        &mut self,
        header: &LineProgramHeader<Bytes<'a>>,
        index: u64,
    ) -> gimli::Result<Option<SourceFile>> {
        if let Some(&known) = self.files.get(&index) {
            return Ok(known);
        }
        let name = header.file(index).map(|file| self.file_name(header, file)).transpose()?;
        let (files, sources) = (&mut self.ids.files, &mut *self.sources);
        let name = name.filter(|name| !name.name.is_empty());
        let file =
            name.map(|name| *files.entry(name).or_insert_with_key(|name| sources.files.push(name.clone())));
        self.files.insert(index, file);
        Ok(file)
    }

    fn file_name(
        &self,
        header: &LineProgramHeader<Bytes<'a>>,
        file: &FileEntry<Bytes<'a>>,
    ) -> gimli::Result<FileName> {
        let directory = file.directory(header).map(|directory| self.text(directory)).transpose()?;
        let directory = directory.unwrap_or_default();
        let base = self.unit.comp_dir.map(|base| base.to_string_lossy().into_owned()).unwrap_or_default();
        let is_complete = is_absolute(&directory) || directory == base;
        let directory = if is_complete { directory } else { joined(&base, &directory) };
        Ok(FileName { directory, name: self.text(file.path_name())? })
    }

    /// A string.
    pub fn text(&self, value: AttributeValue<Bytes<'a>>) -> gimli::Result<String> {
        Ok(self.unit.attr_string(value)?.to_string_lossy().into_owned())
    }
}

fn column(column: ColumnType) -> u32 {
    match column {
        ColumnType::LeftEdge => 0,
        ColumnType::Column(column) => u32::try_from(column.get()).unwrap_or(0),
    }
}

/// Whether a directory is written from the root, on any system.
fn is_absolute(directory: &str) -> bool {
    directory.starts_with(['/', '\\']) || directory.as_bytes().get(1) == Some(&b':')
}

/// A directory in another.
fn joined(base: &str, directory: &str) -> String {
    match (base, directory) {
        (base, "") => base.to_owned(),
        ("", directory) => directory.to_owned(),
        (base, directory) => format!("{}/{directory}", base.trim_end_matches('/')),
    }
}
