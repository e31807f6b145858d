//! The deepest stack of entries and exports, as text and as JSON.

use serde_json::{Value, json};
use wasm_pvm::EntryStack;
use wasm_pvm::insight::demangled;
use wasm_pvm::object::Depth;

/// The functions of the deepest path with their bytes.
pub fn path(depth: &Depth) -> String {
    let steps = depth.path.iter().map(|step| format!("{} {}", demangled(&step.function), step.bytes));
    steps.collect::<Vec<_>>().join(" > ")
}

/// A depth with its path. `bound` says whether it is the most or the least.
pub fn json(name: &str, bound: &str, depth: &Depth) -> Value {
    let steps = depth.path.iter();
    json!({
        "name": name,
        "stack": depth.bytes,
        "bound": bound,
        "path": steps.map(|step| json!({ "function": step.function, "stack": step.bytes })).collect::<Vec<_>>(),
        "recursive": depth.recursion,
        "cycles": depth.cycles,
        "indirect": depth.indirect,
    })
}

/// The depth of an entry of a PVM program as a line: the bytes and the path, or a reason why there is no bound.
pub fn entry(EntryStack { name, depth }: &EntryStack) -> String {
    let path = path(depth);
    let mut text = match depth.cycles.first() {
        None => format!("at most {} bytes ({path})", depth.bytes),
        Some(cycle) => {
            let names: Vec<String> = cycle.iter().map(|name| demangled(name)).collect();
            let more = match depth.cycles.len() {
                1 => String::new(),
                count => format!(" (and {} more cycles)", count - 1),
            };
            let least = depth.bytes;
            format!(
                "unbounded, because {}{more}; {least} bytes if no function is called twice at a time ({path})",
                names.join(" calls ")
            )
        }
    };
    if !depth.indirect.is_empty() {
        let callers: Vec<String> = depth.indirect.iter().map(|name| demangled(name)).collect();
        text += &format!("; calls through a table in {}", callers.join(", "));
    }
    format!("deepest stack of {name}: {text}")
}

/// The same of a depth that is proven from the code alone.
pub fn of_code(name: &str, stack: &Result<EntryStack, String>) -> String {
    match stack {
        Err(reason) => format!("deepest stack of {name}: not known from the code: {reason}"),
        Ok(stack) => {
            let is_any = !stack.depth.indirect.is_empty() && !stack.depth.cycles.is_empty();
            let note = if is_any { ", which for the code may go to any function in it" } else { "" };
            format!("{}{note}; from the code alone", entry(stack))
        }
    }
}

/// The depths of all entries of a PVM program, as the code alone proves them.
pub fn code_json(entries: &[(String, Result<EntryStack, String>)]) -> Vec<Value> {
    let row = |(name, stack): &(String, Result<EntryStack, String>)| match stack {
        Ok(stack) => entries_json(std::slice::from_ref(stack)).remove(0),
        Err(reason) => json!({ "name": name, "stack": null, "bound": "unknown", "reason": reason }),
    };
    entries.iter().map(row).collect()
}

/// The depths of all entries of a PVM program.
pub fn entries_json(entries: &[EntryStack]) -> Vec<Value> {
    let bound = |depth: &Depth| if depth.cycles.is_empty() { "at most" } else { "at least" };
    entries.iter().map(|EntryStack { name, depth }| json(name, bound(depth), depth)).collect()
}
