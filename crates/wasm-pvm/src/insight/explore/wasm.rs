//! The text of a module by function, with the byte offset and the source line of each operator.

use std::collections::BTreeMap;

use llvm_frontend::{ModuleInfo, SourceMap};

/// A line of the text format.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WasmLine {
    /// The text, without the indentation of the module.
    pub text: String,
    /// The byte offset in the module, if the line is an operator or begins the function.
    pub offset: Option<u32>,
}

/// The text of a module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WasmText {
    /// The index of the first function with a body.
    first: u32,
    /// By function with a body.
    functions: Vec<Vec<WasmLine>>,
    /// Ends of the bodies, ascending.
    ends: Vec<u32>,
    /// Files of the source.
    pub files: Vec<String>,
    /// File and line of operators, by offset.
    lines: BTreeMap<u32, (u32, u32)>,
}

impl WasmText {
    /// The text of a valid module.
    pub fn new(info: &ModuleInfo, wasm: &[u8]) -> Self {
        let first = info.imported_functions();
        let ends = info.functions[first..].iter().map(|function| function.body.end as u32).collect();
        let mut text = Self { first: first as u32, functions: functions(wasm), ends, ..Self::default() };
        text.read_lines(info, wasm);
        text
    }

    fn read_lines(&mut self, info: &ModuleInfo, wasm: &[u8]) {
        let Some((map, sources)) = SourceMap::read(info, wasm) else { return };
        let mut files: BTreeMap<String, u32> = BTreeMap::new();
        for offset in self.functions.iter().flatten().filter_map(|line| line.offset) {
            let Some(position) = map.position(&sources, offset as usize) else { continue };
            let name = crate::insight::map::path(&sources.files[position.file]);
            let file = *files.entry(name).or_insert_with_key(|name| {
                self.files.push(name.clone());
                self.files.len() as u32 - 1
            });
            if position.line > 0 {
                self.lines.insert(offset, (file, position.line));
            }
        }
    }

    /// The lines of a function with a body.
    pub fn function(&self, index: u32) -> &[WasmLine] {
        index.checked_sub(self.first).and_then(|n| self.functions.get(n as usize)).map_or(&[], Vec::as_slice)
    }

    /// The function whose body an offset is in.
    pub fn function_at(&self, offset: u32) -> u32 {
        self.first + self.ends.partition_point(|end| *end <= offset) as u32
    }

    /// File and line of an operator.
    pub fn source(&self, offset: u32) -> Option<(u32, u32)> {
        self.lines.get(&offset).copied()
    }
}

/// The text of each function with a body, in order.
fn functions(wasm: &[u8]) -> Vec<Vec<WasmLine>> {
    let mut storage = String::new();
    let lines = wasmprinter::Config::new().offsets_and_lines(wasm, &mut storage);
    let mut functions: Vec<Vec<WasmLine>> = Vec::new();
    let mut is_inside = false;
    for (offset, line) in lines.expect("a module that was validated can be printed") {
        let line = line.trim_end_matches('\n');
        if line.starts_with("  (") || line == ")" {
            is_inside = line.starts_with("  (func ");
            if is_inside {
                functions.push(Vec::new());
            }
        }
        if is_inside && let Some(function) = functions.last_mut() {
            let text = line.strip_prefix("  ").unwrap_or(line).to_owned();
            function.push(WasmLine { text, offset: offset.map(|offset| offset as u32) });
        }
    }
    functions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_offsets_of_operators() {
        let wasm = wat::parse_str(
            "(module (import \"e\" \"f\" (func)) (func $a (result i32) (local i64) i32.const 7) (memory 1) (func call 0))",
        )
        .expect("a module");
        let info = ModuleInfo::parse(&wasm).expect("valid");
        let text = WasmText::new(&info, &wasm);
        let line = text.function(1).iter().find(|line| line.text.contains("i32.const 7")).expect("a line");
        let offset = line.offset.expect("an offset");
        assert_eq!(wasm[offset as usize..][..2], [0x41, 7]);
        let call = text.function(2).iter().find(|line| line.text.contains("call 0")).expect("a line");
        assert_eq!(wasm[call.offset.expect("an offset") as usize], 0x10);
        assert_eq!(text.function_at(offset), 1);
        assert!(text.function(0).is_empty());
    }
}
