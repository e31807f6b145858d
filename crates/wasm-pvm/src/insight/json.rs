//! Maps of code as JSON.
//!
//! Everything that occurs often is a list of numbers; -1 is none.

use std::fmt;

use codegen::depth::{Depth, Step};
use serde_json::{Value, json};
use target_pvm::EntryStack;

use super::map::{CodeMap, DataRange, Line, MapFunction, Place};

/// The version of the format.
const VERSION: u64 = 1;

/// A file is no map of code.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a map of code: {0}")]
pub struct MapError(String);

impl fmt::Display for CodeMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.to_json())
    }
}

fn number(index: Option<u32>) -> i64 {
    index.map_or(-1, i64::from)
}

impl CodeMap {
    fn to_json(&self) -> Value {
        let functions = self.functions.iter().map(|function| json!([function.pc, function.name]));
        let places = self.places.iter().map(|place| {
            let Place { offset, function, operator, line, inlined_at } = place;
            let (file, line, column) = match line {
                Some(line) => (i64::from(line.file), line.line, line.column),
                None => (-1, 0, 0),
            };
            json!([offset, function, operator, file, line, column, number(*inlined_at)])
        });
        json!({
            "format": "wasm-pvm map",
            "version": VERSION,
            "program": format!("{:016x}", self.program),
            "linear_base": self.linear_base,
            "functions": functions.collect::<Vec<_>>(),
            "names": self.names.iter().map(|(index, name)| json!([index, name])).collect::<Vec<_>>(),
            "files": self.files,
            "operators": self.operators,
            "places": places.collect::<Vec<_>>(),
            "data": self.data.iter().map(|data| json!([data.address, data.bytes, data.name])).collect::<Vec<_>>(),
            "code": self.code.iter().map(|&(pc, place)| json!([pc, number(place)])).collect::<Vec<_>>(),
            "stacks": self.stacks.iter().map(stack_json).collect::<Vec<_>>(),
        })
    }

    /// Reads a map that was written as text.
    ///
    /// # Errors
    /// If it is not one, or an index in it leads nowhere.
    pub fn parse(text: &str) -> Result<Self, MapError> {
        let value: Value = serde_json::from_str(text).map_err(|error| MapError(error.to_string()))?;
        if value["format"] != "wasm-pvm map" || value["version"] != VERSION {
            return Err(MapError(format!("the format is not `wasm-pvm map` of version {VERSION}")));
        }
        read(&value).ok_or_else(|| MapError("a field is missing or has a wrong value".to_owned()))
    }
}

fn read(value: &Value) -> Option<CodeMap> {
    let strings = |name: &str| -> Option<Vec<String>> {
        value[name].as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let named = |name: &str| -> Option<Vec<(u32, String)>> {
        let pair = |pair: &Value| Some((unsigned(&pair[0])?, pair[1].as_str()?.to_owned()));
        value[name].as_array()?.iter().map(pair).collect()
    };
    let mut map = CodeMap {
        program: u64::from_str_radix(value["program"].as_str()?, 16).ok()?,
        linear_base: unsigned(&value["linear_base"])?,
        functions: named("functions")?.into_iter().map(|(pc, name)| MapFunction { pc, name }).collect(),
        names: named("names")?.into_iter().collect(),
        files: strings("files")?,
        operators: strings("operators")?,
        ..CodeMap::default()
    };
    for row in value["places"].as_array()? {
        let place = place(row, &map)?;
        map.places.push(place);
    }
    for row in value["data"].as_array()? {
        let name = row[2].as_str()?.to_owned();
        map.data.push(DataRange { address: unsigned(&row[0])?, bytes: unsigned(&row[1])?, name });
    }
    for row in value["code"].as_array()? {
        map.code.push((unsigned(&row[0])?, index(&row[1], map.places.len())?));
    }
    // Maps of older versions of the compiler have none.
    for row in value["stacks"].as_array().into_iter().flatten() {
        map.stacks.push(stack(row)?);
    }
    let is_sorted = map.code.is_sorted_by_key(|row| row.0) && map.functions.is_sorted_by_key(|row| row.pc);
    is_sorted.then_some(map)
}

fn stack_json(EntryStack { name, depth }: &EntryStack) -> Value {
    let path = depth.path.iter().map(|step| json!([step.function, step.bytes]));
    json!([name, depth.bytes, path.collect::<Vec<_>>(), depth.recursion, depth.cycles, depth.indirect])
}

fn stack(row: &Value) -> Option<EntryStack> {
    let strings = |value: &Value| -> Option<Vec<String>> {
        value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let lists =
        |value: &Value| -> Option<Vec<Vec<String>>> { value.as_array()?.iter().map(strings).collect() };
    let step = |row: &Value| Some(Step { function: row[0].as_str()?.to_owned(), bytes: unsigned(&row[1])? });
    let depth = Depth {
        bytes: unsigned(&row[1])?,
        path: row[2].as_array()?.iter().map(step).collect::<Option<_>>()?,
        recursion: lists(&row[3])?,
        cycles: lists(&row[4])?,
        indirect: strings(&row[5])?,
        ..Depth::default()
    };
    Some(EntryStack { name: row[0].as_str()?.to_owned(), depth })
}

fn place(row: &Value, map: &CodeMap) -> Option<Place> {
    let line = match index(&row[3], map.files.len())? {
        Some(file) => Some(Line { file, line: unsigned(&row[4])?, column: unsigned(&row[5])? }),
        None => None,
    };
    Some(Place {
        offset: unsigned(&row[0])?,
        function: unsigned(&row[1])?,
        operator: index(&row[2], map.operators.len())??,
        line,
        inlined_at: index(&row[6], map.places.len())?,
    })
}

fn unsigned(value: &Value) -> Option<u32> {
    value.as_u64()?.try_into().ok()
}

/// An index below `len`, or none.
fn index(value: &Value, len: usize) -> Option<Option<u32>> {
    match value.as_i64()? {
        -1 => Some(None),
        index => u32::try_from(index).ok().filter(|&index| (index as usize) < len).map(Some),
    }
}
