//! Static data of a module with relocations: one object per symbol.
//!
//! Objects exist from the start, with their contents, so that references name the object they mean. Objects without
//! references are removed with everything else that is unreachable. The last step decides which objects are read-only.
//! Data that the linker calls `.rodata` is, unless some store goes to it. Other data is, if no store goes to it and its
//! address doesn't escape.

use std::collections::{BTreeMap, BTreeSet};

use ssa::{DataId, DataKind, DataObject, EntityId as _, Module, StoredAddress};

use super::references::{collect, strip};
use crate::module_info::{ModuleInfo, SegmentMode};
use crate::names;
use crate::relocations::{Object, Relocations};
use crate::statics::constant_offset;

/// The objects, to be added to a module that has `first` others.
pub fn objects(relocations: &Relocations, info: &ModuleInfo, wasm: &[u8], first: usize) -> Vec<DataObject> {
    let mut words = relocations.words.iter().peekable();
    let mut objects = Vec::new();
    for (n, object) in (0..).zip(&relocations.objects) {
        let mut addresses = Vec::new();
        while let Some((at, address)) = words.next_if(|(at, _)| *at < object.range.end) {
            // Bytes between objects belong to no object.
            if object.range.start <= *at {
                let target = &relocations.objects[address.object];
                addresses.push(StoredAddress {
                    offset: at - object.range.start,
                    data: DataId::new(first + address.object),
                    addend: address.value.wrapping_sub(target.range.start) as i32,
                });
            }
        }
        objects.push(DataObject {
            name: names::static_symbol(n),
            kind: DataKind::Variable,
            size: object.range.end - object.range.start,
            align: object.align,
            init: bytes(object, info, wasm),
            relocs: Vec::new(),
            addresses,
        });
    }
    objects
}

/// The initial bytes of an object, without zeros at the end.
fn bytes(object: &Object, info: &ModuleInfo, wasm: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; object.range.len()];
    for data in info.data.iter().filter(|data| matches!(data.mode, SegmentMode::Active(..))) {
        let Some(start) = constant_offset(&data.mode) else { continue };
        let segment = &wasm[data.bytes.clone()];
        let (from, to) = (object.range.start.max(start), object.range.end.min(start + segment.len() as u32));
        if from < to {
            let target = (from - object.range.start) as usize..(to - object.range.start) as usize;
            bytes[target].copy_from_slice(&segment[(from - start) as usize..(to - start) as usize]);
        }
    }
    let len = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    bytes.truncate(len);
    bytes
}

/// Sets the names and kinds of the remaining objects.
pub fn place(mut module: Module, relocations: &Relocations) -> Module {
    let number =
        |name: &str| (0..relocations.objects.len() as u32).nth(name.strip_prefix(PREFIX)?.parse().ok()?);
    let objects: BTreeMap<DataId, &Object> = module
        .data
        .iter()
        .filter_map(|(id, data)| Some((id, &relocations.objects[number(&data.name)? as usize])))
        .collect();
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

/// Prefix of the temporary symbols of objects ([`crate::names::static_symbol`]); the object's number follows.
const PREFIX: &str = "__wasm_statics.";

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
