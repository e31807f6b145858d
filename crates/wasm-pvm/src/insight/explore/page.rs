//! The page: templates, an index of functions, and the code in compressed chunks.
//!
//! A page for a large program has to open at once. So only the index is text that the browser parses at the start. The
//! code of functions is in chunks of raw deflate data in base64, each for some neighbouring functions; a script unpacks a
//! chunk when one of them is opened. Nothing is loaded from elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use codegen::Site;
use serde_json::{Value, json};

use super::wasm::WasmLine;
use super::{Exploration, Explored, Line, Machine, RunCosts};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: [&str; 3] = [include_str!("data.js"), include_str!("view.js"), include_str!("page.js")];

/// Bytes of code in a chunk, before compression, from which on the next one begins.
const CHUNK: usize = 96 << 10;
/// The level of compression.
const LEVEL: u8 = 7;
/// Lines of the source that are shown before and after one that has code.
const CONTEXT: u32 = 1;

/// Reads a source file by its name in the debug information; `None` if it can't be read.
pub type ReadSource<'a> = dyn Fn(&str) -> Option<String> + 'a;

impl Exploration {
    /// The page as HTML.
    pub fn page(&self, title: &str, run: Option<&RunCosts>, read: &ReadSource<'_>) -> String {
        let sources: Vec<Option<String>> = self.text.files.iter().map(|file| read(file)).collect();
        let mut chunks = Vec::new();
        let mut open = serde_json::Map::new();
        let mut size = 0;
        let mut rows = Vec::with_capacity(self.functions.len());
        for (number, function) in self.functions.iter().enumerate() {
            let record = Record { exploration: self, function, run, sources: &sources }.json();
            rows.push(row(function, run, chunks.len()));
            size += function.size();
            open.insert(number.to_string(), record);
            if size >= CHUNK {
                chunks.push(chunk(std::mem::take(&mut open)));
                size = 0;
            }
        }
        chunks.push(chunk(open));
        let (machine, unit) = match self.machine {
            Machine::Pvm(gp) => (format!("PVM, GP {gp}"), "gas"),
            Machine::Thumb => ("Cortex-M".to_owned(), "bytes"),
        };
        let index = json!({
            "title": title,
            "machine": machine,
            "unit": unit,
            "run": run.map(|run| &run.name),
            "files": self.text.files,
            "functions": rows,
            "chunks": chunks.len(),
        });
        fill(title, &index, &chunks)
    }
}

/// Puts the contents into the template.
fn fill(title: &str, index: &Value, chunks: &[String]) -> String {
    let element = |(number, chunk): (usize, &String)| {
        format!("<script type=\"application/octet-stream\" id=\"chunk-{number}\">{chunk}</script>\n")
    };
    let data: String = chunks.iter().enumerate().map(element).collect();
    // A script can't contain the end of one.
    let index = index.to_string().replace('<', "\\u003c");
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    let parts = [
        ("{{title}}", title.as_str()),
        ("{{style}}", STYLE),
        ("{{index}}", &index),
        ("{{chunks}}", &data),
        ("{{script}}", &SCRIPT.join("\n")),
    ];
    let mut page = String::new();
    let mut rest = PAGE;
    // Every mark is looked for in the template only, not in what has been put into it.
    for (mark, contents) in parts {
        let (before, after) = rest.split_once(mark).expect("the template has all marks in order");
        page += before;
        page += contents;
        rest = after;
    }
    page + rest
}

/// A function in the list.
fn row(function: &Explored, run: Option<&RunCosts>, chunk: usize) -> Value {
    let machine = &function.machine;
    let own = |run: &RunCosts| -> u64 {
        machine.lines.iter().filter_map(|line| run.instructions.get(&line.at)).map(|(_, gas)| gas).sum()
    };
    let calls = run.and_then(|run| run.calls.get(&machine.pc)).filter(|_| !machine.lines.is_empty());
    json!([
        function.name,
        function.wasm.map_or(-1, i64::from),
        machine.bytes(),
        machine.gas(),
        run.map_or(0, own),
        calls.copied().unwrap_or(0),
        chunk,
    ])
}

fn chunk(records: serde_json::Map<String, Value>) -> String {
    let text = Value::Object(records).to_string();
    STANDARD.encode(miniz_oxide::deflate::compress_to_vec(text.as_bytes(), LEVEL))
}

impl Explored {
    /// Bytes of its texts.
    fn size(&self) -> usize {
        let lines = self.ir.iter().chain(&self.ssa).map(|line| line.text.len() + 5);
        lines.sum::<usize>() + self.machine.lines.iter().map(|line| line.text.len() + 20).sum::<usize>() + 64
    }
}

/// The code of one function, as data for the script.
struct Record<'a> {
    exploration: &'a Exploration,
    function: &'a Explored,
    run: Option<&'a RunCosts>,
    sources: &'a [Option<String>],
}

impl Record<'_> {
    fn json(&self) -> Value {
        let Explored { wasm, ir, ssa, machine, .. } = self.function;
        let text = &self.exploration.text;
        let own = wasm.map_or(&[][..], |index| text.function(index));
        let used = machine.lines.iter().map(|line| line.site);
        let used = used.chain(ir.iter().chain(ssa).map(|line| line.site)).flatten();
        let sites = self.closed(used.collect());
        let local: BTreeMap<u32, usize> = sites.iter().copied().zip(0..).collect();
        let number = |site: Option<u32>| site.map_or(-1, |site| local[&site] as i64);
        let stage = |lines: &[Line]| {
            json!({
                "text": joined(lines.iter().map(|line| &*line.text)),
                "sites": lines.iter().map(|line| number(line.site)).collect::<Vec<_>>(),
            })
        };
        let list = self.exploration.sites.list();
        let site = |&site: &u32| {
            let Site { offset, inlined_at } = list[site as usize];
            json!([offset, text.function_at(offset), number(inlined_at)])
        };
        let offsets = own.iter().filter_map(|line| line.offset);
        let offsets: BTreeSet<u32> =
            offsets.chain(sites.iter().map(|&site| list[site as usize].offset)).collect();
        let lines: Vec<(u32, u32, u32)> = offsets
            .into_iter()
            .filter_map(|offset| text.source(offset).map(|(file, line)| (offset, file, line)))
            .collect();
        json!({
            "sites": sites.iter().map(site).collect::<Vec<_>>(),
            "wasm": wasm_json(own),
            "ir": stage(ir),
            "ssa": stage(ssa),
            "asm": self.machine(&number),
            "source": self.source(&lines),
            "lines": lines,
        })
    }

    /// Sites with those of their calls, in ascending order: calls are before what was inlined at them.
    fn closed(&self, mut sites: BTreeSet<u32>) -> BTreeSet<u32> {
        let list = self.exploration.sites.list();
        let outer: Vec<u32> = sites
            .iter()
            .flat_map(|&site| {
                std::iter::successors(list[site as usize].inlined_at, |&site| list[site as usize].inlined_at)
            })
            .collect();
        sites.extend(outer);
        sites
    }

    fn machine(&self, number: &dyn Fn(Option<u32>) -> i64) -> Value {
        let lines = &self.function.machine.lines;
        let column = |value: &dyn Fn(&super::machine::CodeLine) -> Value| -> Vec<Value> {
            lines.iter().map(value).collect()
        };
        let run = |part: fn(&(u64, u64)) -> u64| {
            self.run.map(|run| column(&|line| json!(run.instructions.get(&line.at).map_or(0, part))))
        };
        json!({
            "text": joined(lines.iter().map(|line| &*line.text)),
            "sites": column(&|line| json!(number(line.site))),
            "at": column(&|line| json!(line.at)),
            "bytes": column(&|line| json!(line.bytes)),
            "gas": column(&|line| json!(line.gas)),
            "blocks": column(&|line| json!(u8::from(line.starts_block))),
            "runs": run(|(count, _)| *count),
            "spent": run(|(_, gas)| *gas),
        })
    }

    /// Lines of source files: those with code, and their neighbours if the file can be read.
    fn source(&self, lines: &[(u32, u32, u32)]) -> Vec<Value> {
        let mut wanted: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for &(_, file, line) in lines {
            wanted.entry(file).or_default().insert(line);
        }
        let mut found = Vec::new();
        for (file, wanted) in wanted {
            let text: Option<Vec<&str>> =
                self.sources[file as usize].as_ref().map(|text| text.lines().collect());
            let shown: BTreeSet<u32> = match text {
                Some(_) => {
                    wanted.iter().flat_map(|line| line.saturating_sub(CONTEXT)..=line + CONTEXT).collect()
                }
                None => wanted,
            };
            for line in shown.into_iter().filter(|line| *line > 0) {
                match &text {
                    None => found.push(json!([file, line, ""])),
                    Some(text) => {
                        found.extend(text.get(line as usize - 1).map(|text| json!([file, line, text])));
                    }
                }
            }
        }
        found
    }
}

fn wasm_json(lines: &[WasmLine]) -> Value {
    json!({
        "text": joined(lines.iter().map(|line| &*line.text)),
        "offsets": lines.iter().map(|line| line.offset.map_or(-1, i64::from)).collect::<Vec<_>>(),
    })
}

fn joined<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}
