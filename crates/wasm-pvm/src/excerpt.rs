//! The place of an error in a module: its function, its source line, and the operators around it in the text format.
//!
//! The module may be invalid, so everything is read as far as possible.

use std::collections::BTreeMap;
use std::fmt;

use llvm_frontend::{ModuleInfo, SourceMap};
use wasmparser::{FunctionBody, Parser, Payload, TypeRef};
use wast::core::{FuncKind, ModuleField, ModuleKind};
use wast::parser::{ParseBuffer, parse};
use wast::token::Span;
use wast::{Wat, core};

use crate::insight::{demangled, map, operators};

/// Number of operators before and after that of the error.
const NEIGHBOURS: usize = 2;
/// The largest module that is printed for the text of a few operators. Those of larger ones have no immediates.
const MAX_PRINTED: usize = 8 << 20;
/// Bytes that are shown where no operator can be read.
const RAW_BYTES: usize = 8;

/// An operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExcerptLine {
    /// Its byte offset in the module.
    pub offset: usize,
    /// Its text.
    pub text: String,
    /// Whether the error is about it.
    pub is_here: bool,
}

/// A position in a source file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceLine {
    /// The path; `None` for the module's own text.
    pub file: Option<String>,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1; 0 if it is not known.
    pub column: u32,
}

/// The place of an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Excerpt {
    /// Index and name of the function.
    pub function: Option<(u32, String)>,
    /// The byte offset in the module.
    pub offset: usize,
    /// The source line, if the module's debug information or its text has it.
    pub source: Option<SourceLine>,
    /// The operators around it.
    pub lines: Vec<ExcerptLine>,
}

/// A body that contains the place.
struct Body<'a> {
    /// The wasm index of its function.
    index: u32,
    /// Its number among the bodies.
    number: usize,
    body: FunctionBody<'a>,
}

impl Excerpt {
    /// The place at an offset of a module. `text` is the module in the text format, if that is what it was made from.
    /// `None` for errors that are about the module as a whole.
    pub fn new(wasm: &[u8], function: Option<&str>, offset: usize, text: Option<&str>) -> Option<Self> {
        if offset == 0 {
            return None;
        }
        let Some(found) = body_at(wasm, offset) else {
            let lines = printed(wasm).and_then(|text| field_at(&text, offset)).into_iter().collect();
            return Some(Self { function: None, offset, source: None, lines });
        };
        let mut operators = operators(&found.body, wasm, offset);
        let here = operators.iter().rposition(|(at, _)| *at <= offset).unwrap_or(0);
        let source =
            dwarf_line(wasm, offset).or_else(|| text.and_then(|text| text_line(text, found.number, here)));
        let from = here.saturating_sub(NEIGHBOURS);
        operators.truncate(here + NEIGHBOURS + 1);
        let texts = printed(wasm).unwrap_or_default();
        let lines = operators.drain(..).enumerate().skip(from).map(|(number, (offset, name))| ExcerptLine {
            offset,
            text: texts.get(&offset).map_or(name, |text| without_comment(text)),
            is_here: number == here,
        });
        let name = function.map_or_else(|| format!("func[{}]", found.index), demangled);
        Some(Self { function: Some((found.index, name)), offset, source, lines: lines.collect() })
    }
}

/// The body that contains an offset.
fn body_at(wasm: &[u8], offset: usize) -> Option<Body<'_>> {
    let (mut imported, mut number) = (0, 0);
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        match payload {
            Payload::ImportSection(imports) => {
                let functions = imports
                    .into_imports()
                    .map_while(Result::ok)
                    .filter(|import| matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)));
                imported = functions.count();
            }
            Payload::CodeSectionEntry(body) => {
                if body.range().contains(&(offset as u64)) {
                    return Some(Body { index: (imported + number) as u32, number, body });
                }
                number += 1;
            }
            _ => {}
        }
    }
    None
}

/// Offset and name of the operators of a body, up to the neighbours of the one at `offset`. Where one can't be read, its
/// bytes end the list.
fn operators(body: &FunctionBody<'_>, wasm: &[u8], offset: usize) -> Vec<(usize, String)> {
    let mut list = Vec::new();
    let Ok(mut reader) = body.get_operators_reader() else { return list };
    let mut after = 0;
    while !reader.eof() && after <= NEIGHBOURS {
        let at = reader.original_position() as usize;
        let name = match reader.read() {
            Ok(op) => operators::name(&op),
            Err(_) => {
                let bytes = &wasm[at..wasm.len().min(at + RAW_BYTES)];
                list.push((
                    at,
                    format!(
                        "bytes {}",
                        bytes.iter().map(|byte| format!("{byte:02x} ")).collect::<String>().trim_end()
                    ),
                ));
                break;
            }
        };
        after += usize::from(at > offset);
        list.push((at, name));
    }
    list
}

/// The lines of a module in the text format, by byte offset; `None` if it is too large or can't be printed.
fn printed(wasm: &[u8]) -> Option<BTreeMap<usize, String>> {
    if wasm.len() > MAX_PRINTED {
        return None;
    }
    let mut storage = String::new();
    let lines = wasmprinter::Config::new().offsets_and_lines(wasm, &mut storage).ok()?;
    let mut texts = BTreeMap::new();
    for (offset, line) in lines {
        if let Some(offset) = offset {
            texts.entry(offset as usize).or_insert_with(|| line.trim().to_owned());
        }
    }
    Some(texts)
}

/// The field of a module at an offset outside of bodies.
fn field_at(texts: &BTreeMap<usize, String>, offset: usize) -> Option<ExcerptLine> {
    let (&at, text) = texts.range(..=offset).next_back()?;
    Some(ExcerptLine { offset: at, text: text.clone(), is_here: true })
}

fn without_comment(text: &str) -> String {
    text.split(" ;;").next().unwrap_or_default().trim_end().to_owned()
}

/// The line that the module's debug information has.
fn dwarf_line(wasm: &[u8], offset: usize) -> Option<SourceLine> {
    let info = ModuleInfo::parse(wasm).ok()?;
    let (lines, sources) = SourceMap::read(&info, wasm)?;
    let position = lines.position(&sources, offset).filter(|position| position.line > 0)?;
    let file = Some(map::path(&sources.files[position.file]));
    Some(SourceLine { file, line: position.line, column: position.column })
}

/// The line of an operator in the text that a module was made from: body and operator by number.
fn text_line(text: &str, body: usize, operator: usize) -> Option<SourceLine> {
    let mut buffer = ParseBuffer::new(text).ok()?;
    buffer.track_instr_spans(true);
    let Wat::Module(module) = parse::<Wat<'_>>(&buffer).ok()? else { return None };
    let ModuleKind::Text(fields) = &module.kind else { return None };
    let bodies = fields.iter().filter_map(|field| match field {
        ModuleField::Func(core::Func { span, kind: FuncKind::Inline { expression, .. }, .. }) => {
            Some((*span, expression))
        }
        _ => None,
    });
    let (start, expression) = bodies.into_iter().nth(body)?;
    // The end of a body is written as the end of its function.
    let spans: &[Span] = expression.instr_spans.as_deref()?;
    let span = spans.get(operator).or(spans.last()).copied().unwrap_or(start);
    let (line, column) = span.linecol_in(text);
    Some(SourceLine { file: None, line: line as u32 + 1, column: column as u32 + 1 })
}

/// The place as lines that begin with a space. With `colours`, the mark is red.
pub struct Styled<'a> {
    /// The place.
    pub excerpt: &'a Excerpt,
    /// Whether the text is for a terminal with colours.
    pub colours: bool,
}

impl fmt::Display for Styled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Excerpt { function, offset, source, lines } = self.excerpt;
        write!(f, " --> ")?;
        match function {
            Some((index, name)) => write!(f, "function {index}, {name}, at offset {offset:#x}")?,
            None => write!(f, "offset {offset:#x}")?,
        }
        if let Some(SourceLine { file, line, column }) = source {
            match file {
                Some(file) => write!(f, ", {file}:{line}")?,
                None => write!(f, ", line {line}")?,
            }
            if *column > 0 {
                write!(f, ":{column}")?;
            }
        }
        writeln!(f)?;
        let offsets: Vec<String> = lines.iter().map(|line| format!("{:#x}", line.offset)).collect();
        let width = offsets.iter().map(String::len).max().unwrap_or(0);
        let (red, plain) = if self.colours { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
        for (line, offset) in lines.iter().zip(offsets) {
            writeln!(f, " {offset:>width$} | {}", line.text)?;
            if line.is_here {
                let carets = "^".repeat(line.text.chars().count().max(1));
                writeln!(f, " {:width$} | {red}{carets}{plain}", "")?;
            }
        }
        Ok(())
    }
}
