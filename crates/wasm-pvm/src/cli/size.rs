//! `wasm-pvm size`: where the bytes of a file go.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wasm_pvm::insight::size::{Retained, SizeReport};

use super::report_args::SizeArgs;
use super::{files, json, messages, run};

/// Depth up to which the tree is printed.
const DEPTH: usize = 12;

/// Measures a file; returns the exit code of this process: 1 if it is too large.
pub fn size(args: &SizeArgs) -> Result<u8> {
    let report = read(&args.file, args, args.map.as_deref())?;
    let old = args.diff.as_deref().map(|old| read(old, args, None)).transpose()?;
    let text = if args.json {
        json::document(as_json(&report, old.as_ref(), args))
    } else {
        match (&old, args.tree) {
            (Some(old), _) => changes(&report, old, args.top),
            (None, true) => tree(&report, args.top),
            (None, false) => table(&report, args.top),
        }
    };
    files::print(text.as_bytes())?;
    let Some(limit) = args.max_size.map(u64::from).filter(|&limit| report.total > limit) else {
        return Ok(0);
    };
    let name = files::display(&args.file);
    let text =
        format!("{name}: {} bytes, {} more than the limit of {limit}", report.total, report.total - limit);
    let help: String = report.advice().iter().map(|advice| format!("help: {advice}\n")).collect();
    messages::error(messages::LIMIT, &text, &help);
    Ok(1)
}

fn read(path: &Path, args: &SizeArgs, map: Option<&Path>) -> Result<SizeReport> {
    let name = || files::display(path);
    let file = files::read(path)?;
    let bytes = wasm_pvm::input::unpacked(&file).with_context(name)?;
    let is_program = !bytes.starts_with(&wasm_pvm::input::WASM_MAGIC) && !super::object::is_elf(&bytes);
    let map = if is_program { run::program::read_map(path, map, &bytes)? } else { None };
    SizeReport::read(&bytes, args.gp, map.as_ref()).with_context(name)
}

fn percent(part: u64, all: u64) -> f64 {
    100.0 * part as f64 / all.max(1) as f64
}

fn rows<T: AsRef<str>>(text: &mut String, title: &str, rows: &[(T, u64)], all: u64, top: usize) {
    *text += &format!("\n     bytes      %  {title}\n");
    for (name, bytes) in rows.iter().take(top) {
        *text += &format!("{bytes:>10}{:>7.2}  {}\n", percent(*bytes, all), name.as_ref());
    }
    if rows.len() > top {
        let rest: u64 = rows[top..].iter().map(|(_, bytes)| bytes).sum();
        *text += &format!("{rest:>10}{:>7.2}  {} more\n", percent(rest, all), rows.len() - top);
    }
}

fn table(report: &SizeReport, top: usize) -> String {
    let all = report.total;
    let mut text = format!("form: {}\nbytes: {all}\n", report.form);
    rows(&mut text, "kind", &report.kinds(), all, usize::MAX);
    rows(&mut text, "code by origin", &report.origins(), all, top);
    let label = |kind: &str, name: &str| {
        if name.is_empty() { kind.to_owned() } else { format!("{kind}: {name}") }
    };
    let items = report.items.iter().map(|item| (label(item.kind, &item.name), item.bytes));
    rows(&mut text, "part", &items.collect::<Vec<_>>(), all, top);
    if report.stored_zeros > 0 {
        text += &format!(
            "\n{:>10}{:>7.2}  zeros in stored data\n",
            report.stored_zeros,
            percent(report.stored_zeros, all)
        );
    }
    for (name, bytes) in &report.zeros {
        text += &format!("{bytes:>10}         zeros that are not stored: {name}\n");
    }
    text
}

fn changes(report: &SizeReport, old: &SizeReport, top: usize) -> String {
    let delta = |old: u64, new: u64| i128::from(new) - i128::from(old);
    let mut text = format!(
        "bytes: {} -> {} ({:+})\n\n    change       old       new  part\n",
        old.total,
        report.total,
        delta(old.total, report.total)
    );
    let changes = report.changes(old);
    for (kind, name, before, now) in changes.iter().take(top) {
        let colon = if name.is_empty() { "" } else { ": " };
        text += &format!("{:>+10}{before:>10}{now:>10}  {kind}{colon}{name}\n", delta(*before, *now));
    }
    if changes.len() > top {
        let rest: i128 = changes[top..].iter().map(|(.., before, now)| delta(*before, *now)).sum();
        text += &format!("{rest:>+10}                      {} more\n", changes.len() - top);
    }
    text
}

fn tree(report: &SizeReport, top: usize) -> String {
    let mut text = "     total       own  function, and those that only it leads to\n".to_owned();
    branch(&mut text, &report.retained(), 0, top);
    text
}

fn branch(text: &mut String, functions: &[Retained], depth: usize, top: usize) {
    for function in functions.iter().take(top) {
        let space = "  ".repeat(depth);
        *text += &format!("{:>10}{:>10}  {space}{}\n", function.total, function.own, function.name);
        if depth < DEPTH {
            branch(text, &function.below, depth + 1, top);
        }
    }
    if functions.len() > top {
        let rest: u64 = functions[top..].iter().map(|function| function.total).sum();
        *text += &format!("{rest:>10}            {}{} more\n", "  ".repeat(depth), functions.len() - top);
    }
}

fn as_json(report: &SizeReport, old: Option<&SizeReport>, args: &SizeArgs) -> Value {
    let items = report.items.iter().map(
        |item| json!({ "kind": item.kind, "name": item.name, "origin": item.origin, "bytes": item.bytes }),
    );
    let pairs = |pairs: Vec<(String, u64)>| -> Vec<Value> {
        pairs.into_iter().map(|(name, bytes)| json!({ "name": name, "bytes": bytes })).collect()
    };
    let kinds = report.kinds().into_iter().map(|(kind, bytes)| (kind.to_owned(), bytes)).collect();
    let mut value = json!({
        "form": report.form,
        "bytes": report.total,
        "kinds": pairs(kinds),
        "origins": pairs(report.origins()),
        "items": items.collect::<Vec<_>>(),
        "stored_zeros": report.stored_zeros,
        "zeros": pairs(report.zeros.clone()),
    });
    if args.tree {
        value["tree"] = report.retained().iter().map(branch_json).collect();
    }
    if let Some(old) = old {
        value["changes"] = report
            .changes(old)
            .into_iter()
            .map(|(kind, name, before, now)| json!({ "kind": kind, "name": name, "old": before, "new": now }))
            .collect();
    }
    value
}

fn branch_json(function: &Retained) -> Value {
    json!({
        "name": function.name,
        "own": function.own,
        "total": function.total,
        "below": function.below.iter().map(branch_json).collect::<Vec<_>>(),
    })
}
