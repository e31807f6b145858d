//! The bytes of a WebAssembly module.

use std::collections::BTreeMap;
use std::ops::Range;

use llvm_frontend::{ConstOp, ExportKind, ModuleInfo, SourceMap};
use wasmparser::{Operator, Parser, Payload};

use super::{Caller, SizeError, SizeReport};
use crate::insight::demangled;

/// Sections by their number, from 0. Code, data and custom sections are split further.
const SECTIONS: [&str; 14] = [
    "custom",
    "types",
    "imports",
    "functions",
    "tables",
    "memories",
    "globals",
    "exports",
    "start",
    "elements",
    "code",
    "data",
    "data count",
    "tags",
];

/// Cuts a module into its parts.
pub fn read(wasm: &[u8]) -> Result<SizeReport, SizeError> {
    let info = ModuleInfo::parse(wasm)?;
    let mut report = SizeReport { form: "wasm", ..SizeReport::default() };
    let customs: BTreeMap<usize, &str> =
        info.custom_sections.iter().map(|(name, range)| (range.start, name.as_str())).collect();
    for payload in Parser::new(0).parse_all(wasm).filter_map(Result::ok) {
        match payload.as_section() {
            // Debug sections are large, and the names of functions often are.
            Some((0, range)) => {
                let contents = match &payload {
                    Payload::CustomSection(custom) => custom.data_offset() as usize,
                    _ => range.start as usize,
                };
                let name = customs.get(&contents).copied().unwrap_or("custom");
                let kind = if name.starts_with(".debug") { "debug" } else { "custom" };
                report.add(kind, name, bytes(&range));
            }
            Some((10, range)) => code(&mut report, &info, wasm, bytes(&range)),
            Some((11, range)) => data(&mut report, &info, wasm, bytes(&range)),
            Some((id, range)) => {
                let name = SECTIONS.get(usize::from(id)).copied().unwrap_or("unknown");
                report.add("declarations", name, bytes(&range));
            }
            None => {}
        }
    }
    report.functions = call_graph(&info, wasm);
    Ok(report)
}

fn bytes<T: Copy + Into<u64>>(range: &Range<T>) -> u64 {
    range.end.into() - range.start.into()
}

/// Bytes of a length before its contents.
fn leb(length: usize) -> u64 {
    (usize::BITS - length.leading_zeros()).max(1).div_ceil(7).into()
}

fn code(report: &mut SizeReport, info: &ModuleInfo, wasm: &[u8], section: u64) {
    let lines = SourceMap::read(info, wasm);
    let mut rest = section;
    for index in info.imported_functions()..info.functions.len() {
        let body = &info.functions[index].body;
        let size = (body.len() as u64 + leb(body.len())).min(rest);
        rest -= size;
        let file = lines.as_ref().and_then(|(map, sources)| {
            let position = body.clone().find_map(|at| map.position(sources, at))?;
            Some(sources.files[position.file].name.clone())
        });
        report.add_function(&info.function_name(index as u32), file.as_deref(), size);
    }
    report.add("headers", "of code", rest);
}

fn data(report: &mut SizeReport, info: &ModuleInfo, wasm: &[u8], section: u64) {
    let mut rest = section;
    for (index, segment) in (0u32..).zip(&info.data) {
        let name = info.data_name(index).map_or_else(|| format!("segment {index}"), str::to_owned);
        let size = (segment.bytes.len() as u64).min(rest);
        rest -= size;
        let zeros = wasm[segment.bytes.clone()].iter().filter(|&&byte| byte == 0).count();
        report.stored_zeros += zeros as u64;
        report.add("data", &name, size);
    }
    report.add("headers", "of data", rest);
}

fn call_graph(info: &ModuleInfo, wasm: &[u8]) -> Vec<Caller> {
    let imported = info.imported_functions();
    let mut functions: Vec<Caller> = (0..info.functions.len() as u32)
        .map(|index| Caller { name: demangled(&info.function_name(index)), ..Caller::default() })
        .collect();
    for index in imported..info.functions.len() {
        let body = info.body(wasm, index as u32);
        functions[index].bytes = bytes(&body.range());
        let Ok(reader) = body.get_operators_reader() else { continue };
        for op in reader.into_iter().filter_map(Result::ok) {
            match op {
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    functions[index].calls.push(function_index);
                }
                Operator::RefFunc { function_index } => {
                    functions[function_index as usize].is_referenced = true;
                }
                _ => {}
            }
        }
    }
    let elements = info.elements.iter().flat_map(|element| &element.items);
    let globals = info.globals.iter().flat_map(|global| &global.init);
    for op in elements.chain(globals) {
        if let ConstOp::RefFunc(function) = op {
            functions[*function as usize].is_referenced = true;
        }
    }
    let exported = info.exports.iter().filter_map(|export| match export.kind {
        ExportKind::Func(function) => Some(function),
        _ => None,
    });
    exported.chain(info.start).for_each(|function| functions[function as usize].is_entry = true);
    functions
}
