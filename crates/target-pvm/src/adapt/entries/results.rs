//! Results of entries: the forms in which a wasm function returns the address and length of its result.

use ssa::{DataId, DataKind, ExportItem, Module, Signature, Type};

/// Exported globals in which older AssemblyScript programs leave the result.
const RESULT_GLOBALS: [&str; 2] = ["result_ptr", "result_len"];

/// The form of the address and length of an export's result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Results {
    None,
    Packed,
    Pair,
}

fn results_of(sig: &Signature) -> Option<Results> {
    match sig.results[..] {
        [] => Some(Results::None),
        [Type::I64] => Some(Results::Packed),
        [Type::I32, Type::I32] => Some(Results::Pair),
        _ => None,
    }
}

/// Exports with the name of a service entry: they may take less than both arguments and return nothing.
pub fn service_convention(sig: &Signature) -> Option<Results> {
    let fits = sig.params.len() <= 2 && sig.params.iter().all(|&ty| ty == Type::I32);
    results_of(sig).filter(|_| fits)
}

/// Other exports: only the exact signature tells that pointers are meant.
pub fn export_convention(sig: &Signature) -> Option<Results> {
    let fits = sig.params == [Type::I32, Type::I32] && sig.results == [Type::I64];
    fits.then_some(Results::Packed)
}

/// The exported globals for the result, if both are there and are 32 bits wide.
pub fn result_globals(module: &Module) -> Option<[DataId; 2]> {
    let found = RESULT_GLOBALS.map(|name| {
        module.exports.iter().find_map(|export| match export.item {
            ExportItem::Data(data) if export.name == name => Some(data),
            _ => None,
        })
    });
    let is_word = |data: &DataId| {
        let object = &module.data[*data];
        object.size == 4 && matches!(object.kind, DataKind::Variable | DataKind::Constant)
    };
    match found {
        [Some(pointer), Some(length)] if is_word(&pointer) && is_word(&length) => Some([pointer, length]),
        _ => None,
    }
}
