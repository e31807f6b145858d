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

/// The depths of all entries of a PVM program.
pub fn entries_json(entries: &[EntryStack]) -> Vec<Value> {
    let bound = |depth: &Depth| if depth.cycles.is_empty() { "at most" } else { "at least" };
    entries.iter().map(|EntryStack { name, depth }| json(name, bound(depth), depth)).collect()
}
