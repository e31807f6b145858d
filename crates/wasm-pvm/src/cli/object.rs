//! `wasm-pvm info` and `disasm` of Cortex-M objects.

use std::fs;

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use wasm_pvm::object::{self, Depth, ExportStack, SectionSummary, Summary};

use super::args::{ExplainArgs, InfoArgs};
use super::cycles::Cycles;
use super::{files, json, stack};

/// First bytes of an ELF file.
const MAGIC: &[u8] = b"\x7fELF";

/// Whether the bytes are an ELF file.
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// An object as assembly.
pub fn disasm(bytes: &[u8], name: &str) -> Result<String> {
    object::assembly(bytes).with_context(|| name.to_owned())
}

/// The contents of an object, as text or as JSON.
pub fn info(bytes: &[u8], name: &str, args: &InfoArgs) -> Result<String> {
    let summary = Summary::read(bytes).with_context(|| name.to_owned())?;
    let core = args.cycles.cycles.as_ref();
    let cycles = core.map(|core| Cycles::of(bytes, &summary, &args.cycles, core.as_deref()));
    let cycles = cycles.transpose().with_context(|| name.to_owned())?;
    if args.json {
        let mut json = summary_json(bytes.len(), &summary);
        if let Some(cycles) = &cycles {
            json["cycles"] = cycles.json();
        }
        return Ok(json::document(json));
    }
    Ok(summary_text(bytes.len(), &summary) + &cycles.map_or_else(String::new, |cycles| cycles.text()))
}

/// Prints the reason and the place of a trap.
pub fn explain_trap(args: &ExplainArgs) -> Result<()> {
    let name = args.object.display().to_string();
    let bytes = fs::read(&args.object).with_context(|| name.clone())?;
    let (number, place) = match &args.at {
        Some(at) => {
            let (symbol, offset) = ExplainArgs::place(at).map_err(|error| anyhow!("{at}: {error}"))?;
            let number = object::trap_at(&bytes, symbol, offset).with_context(|| name.clone())?;
            (number.with_context(|| format!("{name}: there is no trap at {at}"))?, format!("at {at}"))
        }
        None => {
            (args.number.unwrap_or_default(), of_offset(&bytes, args.offset).with_context(|| name.clone())?)
        }
    };
    let reason = object::reason(number).with_context(|| format!("{number} is not the number of a trap"))?;
    let text = if args.json {
        json::document(json!({ "number": number, "reason": reason.to_string(), "place": place }))
    } else {
        format!("{reason}, {place}\n")
    };
    files::print(text.as_bytes())
}

/// The place of an offset in the module.
fn of_offset(bytes: &[u8], offset: Option<u32>) -> Result<String> {
    let Some(offset) = offset.filter(|&offset| offset != u32::MAX) else {
        // The object is read all the same, so that a wrong file is an error.
        object::function_at(bytes, 0)?;
        return Ok("not at an operator of the module".to_owned());
    };
    Ok(match object::function_at(bytes, offset)? {
        Some(function) => format!("at offset {offset:#x} of the module, in function `{function}`"),
        None => {
            format!("at offset {offset:#x} of the module, which is in no function that the object records")
        }
    })
}

fn summary_text(total: usize, summary: &Summary) -> String {
    let mut text = "form: ELF object for Arm\n".to_owned();
    let core = summary.core.iter().filter(|_| summary.settings.is_empty());
    for (name, value) in core.map(|core| ("core", core)).chain(pairs(summary)) {
        text += &format!("{name}: {value}\n");
    }
    let sizes = &summary.sizes;
    for (what, bytes) in [
        ("total", total as u64),
        ("code", sizes.text),
        ("read-only data", sizes.rodata),
        ("data", sizes.data),
        ("zeros", sizes.bss),
        ("debug, not loaded", sizes.debug),
    ] {
        text += &format!("{:<18}{bytes:>10} bytes\n", format!("{what}:"));
    }
    for (what, total, of_memory) in [
        ("flash", summary.flash(), summary.linear_memory.flash),
        ("RAM without stack", summary.ram(), summary.linear_memory.ram),
    ] {
        text +=
            &format!("{:<18}{total:>10} bytes, {of_memory} of them for linear memory\n", format!("{what}:"));
    }
    if let Some(bytes) = summary.provided_memory() {
        text +=
            &format!("RAM at r11:       {bytes:>11} bytes for linear memory, which the embedder provides\n");
    }
    for section in &summary.sections {
        text += &format!("section {}: {} bytes, aligned to {}\n", section.name, section.size, section.align);
    }
    for section in &summary.debug {
        text += &format!("debug section {}: {} bytes\n", section.name, section.size);
    }
    for symbol in &summary.symbols {
        let kind = if symbol.is_function { "function" } else { "data" };
        let scope = if symbol.is_global { "global" } else { "local" };
        text += &format!("{scope} {kind} {}: {} bytes\n", symbol.name, symbol.size);
    }
    for import in &summary.imports {
        text += &format!("undefined {import}\n");
    }
    for helper in &summary.helpers {
        text += &format!("undefined {helper} (run-time ABI)\n");
    }
    for function in &summary.functions {
        let bytes = function.stack_bytes.map_or("not known".to_owned(), |bytes| format!("{bytes} bytes"));
        text += &format!("stack of {}: {bytes}\n", function.name);
    }
    if let Some(symbol) = summary.first_call() {
        text += &format!("{symbol} must be called before any other function of the object\n");
    }
    for export in &summary.exports {
        text += &depth_text(summary, export);
    }
    text
}

fn pairs(summary: &Summary) -> impl Iterator<Item = (&str, &String)> {
    summary.settings.iter().map(|(name, value)| (name.as_str(), value))
}

/// One line: the bytes, the path, and the calls that are not counted.
fn depth_text(summary: &Summary, ExportStack { name, depth }: &ExportStack) -> String {
    let path = stack::path(depth);
    let mut notes = Vec::new();
    for group in &depth.recursion {
        notes.push(format!("recursive: {}, counted once", group.join(", ")));
    }
    if !depth.indirect.is_empty() {
        notes.push(format!("calls through a table in {}", depth.indirect.join(", ")));
    }
    if !depth.imports.is_empty() {
        notes.push(format!("not counted: {}", depth.imports.join(", ")));
    }
    if !depth.unknown.is_empty() {
        notes.push(format!("not known: {}", depth.unknown.join(", ")));
    }
    let notes: String = notes.into_iter().map(|note| format!("; {note}")).collect();
    format!("deepest stack of {name}: {} {} bytes ({path}){notes}\n", bound(summary, depth), depth.bytes)
}

/// Whether the depth is an upper or a lower bound. Objects of other compilers don't record their indirect calls.
fn bound(summary: &Summary, depth: &Depth) -> &'static str {
    let is_open = summary.settings.is_empty() || !depth.recursion.is_empty() || !depth.unknown.is_empty();
    if is_open { "at least" } else { "at most" }
}

fn summary_json(total: usize, summary: &Summary) -> Value {
    let sizes = &summary.sizes;
    let section = |section: &SectionSummary| json!({ "name": section.name, "size": section.size, "align": section.align });
    let symbols = summary.symbols.iter();
    let functions = summary.functions.iter();
    json!({
        "form": "elf",
        "core": summary.core,
        "settings": pairs(summary).map(|(name, value)| (name.to_owned(), json!(value))).collect::<serde_json::Map<_, _>>(),
        "sizes": { "total": total, "text": sizes.text, "rodata": sizes.rodata, "data": sizes.data, "bss": sizes.bss, "debug": sizes.debug },
        "flash": { "total": summary.flash(), "linear_memory": summary.linear_memory.flash },
        "ram": { "total": summary.ram(), "linear_memory": summary.linear_memory.ram, "provided": summary.provided_memory() },
        "first_call": summary.first_call(),
        "sections": summary.sections.iter().map(section).collect::<Vec<_>>(),
        "debug": summary.debug.iter().map(section).collect::<Vec<_>>(),
        "symbols": symbols.map(|symbol| json!({
            "name": symbol.name,
            "section": symbol.section,
            "size": symbol.size,
            "global": symbol.is_global,
            "function": symbol.is_function,
        })).collect::<Vec<_>>(),
        "undefined": summary.imports,
        "helpers": summary.helpers,
        "functions": functions.map(|function| {
            json!({ "name": function.name, "stack": function.stack_bytes })
        }).collect::<Vec<_>>(),
        "exports": summary.exports.iter().map(|export| export_json(summary, export)).collect::<Vec<_>>(),
    })
}

fn export_json(summary: &Summary, ExportStack { name, depth }: &ExportStack) -> Value {
    let mut value = stack::json(name, bound(summary, depth), depth);
    value["not_counted"] = json!(depth.imports);
    value["not_known"] = json!(depth.unknown);
    value
}
