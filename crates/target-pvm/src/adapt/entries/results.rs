//! Results of entries that are left in globals.

use ssa::{DataId, DataKind, ExportItem, Module};

/// Exported globals in which older AssemblyScript programs leave the result.
const RESULT_GLOBALS: [&str; 2] = ["result_ptr", "result_len"];

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
