//! Calls that the module's compiler replaced by the body of their callee.
//!
//! Their entries are below the entry of the function, or of the call around them, and have ranges of code. Entries of
//! functions that the linker dropped have other addresses than any function's body, so they are ignored. Code belongs to
//! the innermost call whose range contains it.

use std::collections::BTreeMap;
use std::ops::Range;

use gimli::{AttributeValue, LineProgramHeader, constants as dw};
use ssa::{InlinedCall, InlinedCallData, Position, SourceLoc, Sources};

use super::lines::Reader;
use super::names::{self, Entry};
use super::{Bytes, Row};

/// An entry around those that follow.
struct Around {
    depth: isize,
    /// The body that the entry is in.
    body: Range<u64>,
    call: Option<InlinedCall>,
}

/// The inlined calls of all units.
pub struct Inlined {
    /// The bodies of functions, in ascending order.
    bodies: Vec<Range<u64>>,
    around: Vec<Around>,
    /// Addresses from which on code belongs to a call, or to none.
    starts: BTreeMap<u64, Option<InlinedCall>>,
}

impl Inlined {
    /// No calls yet. `bodies` are those of functions, in ascending order.
    pub fn new(bodies: Vec<Range<u64>>) -> Self {
        Self { bodies, around: Vec::new(), starts: BTreeMap::new() }
    }

    /// Visits the next entry of a unit. `function` is the address of the function, if it is one.
    pub fn entry<'a>(
        &mut self,
        reader: &mut Reader<'_, 'a>,
        header: &LineProgramHeader<Bytes<'a>>,
        entry: &Entry<'a>,
        function: Option<u64>,
    ) -> gimli::Result<()> {
        let depth = entry.depth();
        while self.around.pop_if(|around| around.depth >= depth).is_some() {}
        if let Some(start) = function {
            let known = self.bodies.binary_search_by_key(&start, |body| body.start);
            self.around.clear();
            self.around.extend(known.ok().map(|at| Around {
                depth,
                body: self.bodies[at].clone(),
                call: None,
            }));
        } else if entry.tag() == dw::DW_TAG_inlined_subroutine
            && let Some(around) = self.around.last()
        {
            let (body, parent) = (around.body.clone(), around.call);
            let Some(call) = call(reader, header, entry, parent)? else { return Ok(()) };
            let mut ranges = reader.unit.die_ranges(entry)?;
            while let Some(range) = ranges.next()? {
                if body.start <= range.begin && range.begin < range.end && range.end <= body.end {
                    self.add(range.begin..range.end, call);
                }
            }
            self.around.push(Around { depth, body, call: Some(call) });
        }
        Ok(())
    }

    /// Lets code belong to a call. Outer calls come first.
    fn add(&mut self, range: Range<u64>, call: InlinedCall) {
        let after = self.at(range.end);
        self.starts.entry(range.end).or_insert(after);
        let inside: Vec<u64> = self.starts.range(range.clone()).map(|(start, _)| *start).collect();
        inside.iter().for_each(|start| _ = self.starts.remove(start));
        self.starts.insert(range.start, Some(call));
    }

    /// The call that the code at an address belongs to.
    fn at(&self, address: u64) -> Option<InlinedCall> {
        self.starts.range(..=address).next_back().and_then(|(_, call)| *call)
    }

    /// The rows of a sequence, with their calls.
    pub fn apply(&self, rows: Vec<Row>, sources: &mut Sources) -> Vec<Row> {
        let mut all: Vec<Row> = Vec::new();
        let ends = rows.iter().skip(1).map(|row| row.address).chain([u64::MAX]);
        for (row, end) in rows.iter().zip(ends) {
            let changes =
                self.starts.range(row.address + 1..end.max(row.address + 1)).map(|(start, _)| *start);
            // The last row is the end.
            let changes = changes.filter(|_| end != u64::MAX);
            for address in [row.address].into_iter().chain(changes) {
                let call = self.at(address);
                let loc = row.loc.map(|loc| {
                    call.map_or(loc, |call| {
                        sources.loc(Position { inlined: Some(call), ..sources.positions[loc] })
                    })
                });
                all.push(Row { address, loc });
            }
        }
        all
    }
}

/// The call of an entry; `None` if the entry doesn't say where it is.
fn call<'a>(
    reader: &mut Reader<'_, 'a>,
    header: &LineProgramHeader<Bytes<'a>>,
    entry: &Entry<'a>,
    inlined: Option<InlinedCall>,
) -> gimli::Result<Option<InlinedCall>> {
    let number = |name| entry.attr_value(name).and_then(|value: AttributeValue<_>| value.udata_value());
    let small = |name| number(name).and_then(|number| u32::try_from(number).ok());
    let file = match entry.attr_value(dw::DW_AT_call_file) {
        Some(AttributeValue::FileIndex(file)) => Some(file),
        other => other.and_then(|value| value.udata_value()),
    };
    let (Some(file), Some(line)) = (file, small(dw::DW_AT_call_line)) else { return Ok(None) };
    let Some(file) = reader.file(header, file)? else { return Ok(None) };
    let column = small(dw::DW_AT_call_column).unwrap_or(0);
    let callee = names::callee(reader, header, entry)?;
    let at: SourceLoc = reader.sources.loc(Position { file, line, column, inlined });
    Ok(Some(reader.sources.inlined(InlinedCallData { callee, at })))
}
