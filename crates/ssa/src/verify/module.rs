//! Checks of signatures, declarations, data objects and exports.

use std::collections::BTreeSet;

use super::{VerifyError, check_func, ensure};
use crate::{DataKind, DataObject, ExportItem, FuncId, FuncKind, Module, Signature};

/// Bytes of a function reference in memory.
const REFERENCE_BYTES: u64 = 8;
const ADDRESS_BYTES: u64 = 4;

pub(super) fn verify_declarations(module: &Module) -> Result<(), VerifyError> {
    check(module).map_err(|message| VerifyError { function: None, block: None, inst: None, message })
}

fn check(module: &Module) -> Result<(), String> {
    ensure(module.functions.len() == module.decls.len(), || {
        format!("{} declarations but {} function entries", module.decls.len(), module.functions.len())
    })?;
    let mut names = BTreeSet::new();
    for (id, decl) in module.decls.iter() {
        ensure(names.insert(&decl.name), || format!("two functions are named `{}`", decl.name))?;
        check_decl(module, id).map_err(|message| format!("function `{}`: {message}", decl.name))?;
    }
    check_data(module)?;
    check_exports(module)
}

fn check_decl(module: &Module, id: FuncId) -> Result<(), String> {
    let decl = &module.decls[id];
    ensure(module.signatures.get(decl.sig).is_some(), || format!("{} doesn't exist", decl.sig))?;
    let local = decl.kind == FuncKind::Local;
    let body = module.functions[id].as_ref();
    ensure(local == body.is_some(), || {
        if local {
            "it is local but has no body".to_owned()
        } else {
            "it has a body but isn't local".to_owned()
        }
    })?;
    let Some(body) = body else { return Ok(()) };
    ensure(body.name == decl.name, || format!("its body is named `{}`", body.name))?;
    ensure(body.sig == decl.sig, || format!("it is declared as {} but its body has {}", decl.sig, body.sig))
}

fn check_data(module: &Module) -> Result<(), String> {
    let mut names = BTreeSet::new();
    let mut memories = 0;
    for object in module.data.values() {
        ensure(names.insert(&object.name), || format!("two data objects are named `{}`", object.name))?;
        memories += u32::from(matches!(object.kind, DataKind::Memory(_)));
        check_object(module, object)
            .map_err(|message| format!("data object `{}`: {message}", object.name))?;
    }
    ensure(memories <= 1, || "there are several linear memories".to_owned())
}

fn check_object(module: &Module, object: &DataObject) -> Result<(), String> {
    let size = u64::from(object.size);
    ensure(object.align.is_power_of_two(), || format!("alignment {} isn't a power of two", object.align))?;
    ensure(object.init.len() as u64 <= size, || format!("{} initial bytes in {size}", object.init.len()))?;
    for reloc in &object.relocs {
        check_func(module, reloc.func)?;
        ensure(u64::from(reloc.offset) + REFERENCE_BYTES <= size, || {
            format!("the reference at {} extends past its {size} bytes", reloc.offset)
        })?;
    }
    for stored in &object.addresses {
        ensure(module.data.get(stored.data).is_some(), || format!("object {} doesn't exist", stored.data))?;
        ensure(u64::from(stored.offset) + ADDRESS_BYTES <= size, || {
            format!("the address at {} extends past its {size} bytes", stored.offset)
        })?;
    }
    match &object.kind {
        DataKind::Memory(memory) => {
            ensure(size == 0, || "linear memory has its size in `min_bytes` only".to_owned())?;
            let range = memory.min_bytes..=1 << 32;
            ensure(range.contains(&memory.max_bytes.unwrap_or(memory.min_bytes)), || {
                "linear memory's sizes must be in order and at most 4 GiB".to_owned()
            })
        }
        DataKind::Table => ensure(size.is_multiple_of(REFERENCE_BYTES), || {
            format!("a table of {size} bytes isn't a whole number of references")
        }),
        DataKind::FixedMemory | DataKind::Variable | DataKind::Constant => Ok(()),
    }
}

fn check_exports(module: &Module) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for export in &module.exports {
        ensure(names.insert(&export.name), || format!("two exports are named `{}`", export.name))?;
        match export.item {
            ExportItem::Func(func) => check_func(module, func)?,
            ExportItem::Data(data) => {
                ensure(module.data.get(data).is_some(), || format!("export {data} doesn't exist"))?;
            }
        }
    }
    if let Some(func) = module.start {
        check_func(module, func)?;
        let sig = module.signature_of(func);
        ensure(*sig == Signature::default(), || format!("the start function has {sig}"))?;
    }
    for (name, role, size) in
        [("host_arguments", module.host_arguments, 16), ("memory_size", module.memory_size, 4)]
    {
        let Some(data) = role else { continue };
        let object = module.data.get(data);
        let fits = object.is_some_and(|object| object.kind == DataKind::Variable && object.size == size);
        ensure(fits, || format!("{name} {data} is no variable of {size} bytes"))?;
    }
    Ok(())
}
