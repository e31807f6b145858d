//! Names and access of the objects of a module with relocations.
//!
//! The objects are known since the plan ([`wasm_program::statics`]), and those without references have been removed with
//! everything else that is unreachable. Data that the linker calls `.rodata` is read-only unless a store goes to it.
//! Other data is read-only if no store goes to it and its address doesn't escape.

use std::collections::{BTreeMap, BTreeSet};

use ssa::{DataId, DataKind, Module};
use wasm_program::names;
use wasm_program::relocations::{Object, Relocations};

use super::references::{collect, strip};

/// Sets the names and kinds of the remaining objects.
pub fn place(mut module: Module, relocations: &Relocations) -> Module {
    let object = |name: &str| relocations.objects.get(names::static_object(name)?);
    let objects: BTreeMap<DataId, &Object> =
        module.data.iter().filter_map(|(id, data)| Some((id, object(&data.name)?))).collect();
    let memory = module.memory().map(|(id, _)| id);
    let start_of = |data: DataId| objects.get(&data).map(|object| object.range.start);
    let mut references = Vec::new();
    for func in module.functions.values_mut().flatten() {
        strip(func, memory, &start_of);
        collect(func, &start_of, &mut references);
    }
    let stored: BTreeSet<DataId> = references.iter().filter(|r| r.is_store).map(|r| r.data).collect();
    let mut written: BTreeSet<DataId> = references.iter().filter(|r| r.writes).map(|r| r.data).collect();
    written.extend(module.data.values().flat_map(|data| &data.addresses).map(|address| address.data));
    let mut names: BTreeSet<String> = module.data.values().map(|data| data.name.clone()).collect();
    for (id, object) in objects {
        let is_written = if object.is_read_only { stored.contains(&id) } else { written.contains(&id) };
        let data = &mut module.data[id];
        data.kind = if is_written { DataKind::Variable } else { DataKind::Constant };
        data.name = name(object, &mut names);
        let (start, end) = (object.range.start, object.range.end);
        let access = if is_written { "written" } else { "read only" };
        tracing::info!(start, end, access, name = data.name, "static data");
    }
    module
}

/// The object's symbol: its own name, if that is a valid symbol. Names of local symbols may occur several times.
fn name(object: &Object, names: &mut BTreeSet<String>) -> String {
    let by_address = || format!("__wasm_data.{}", object.range.start);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
    let mut name = object.name.clone();
    if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
        name = by_address();
    }
    if names.contains(&name) {
        name = format!("{name}#{}", object.range.start);
    }
    names.insert(name.clone());
    name
}
