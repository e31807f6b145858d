//! Values of imported globals.
//!
//! A value comes from the options, or is the decision of a loader ([`crate::side_module`]), or it is zero where the
//! import map lets functions of that name trap or do nothing. All other imported globals have none, which the frontend
//! refuses.

use std::collections::BTreeMap;

use ssa::Import;
use wasmparser::{Parser, Payload, TypeRef, ValType};

use crate::options::{ConstValue, ImportAction, ImportMap, Options};

/// The values that the options give, by full name: a dot may be part of both levels.
pub fn by_full_name(options: &Options) -> BTreeMap<String, ConstValue> {
    let given = options.imported_globals.iter();
    given.map(|(import, value)| (format!("{}.{}", import.module, import.field), *value)).collect()
}

/// The values of a module's imported globals.
pub fn values(
    wasm: &[u8],
    given: &BTreeMap<String, ConstValue>,
    placed: &BTreeMap<Import, ConstValue>,
    map: &ImportMap,
) -> BTreeMap<Import, ConstValue> {
    let mut values = placed.clone();
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports().map_while(Result::ok) {
                    let TypeRef::Global(ty) = import.ty else { continue };
                    let key = Import { module: import.module.to_owned(), field: import.name.to_owned() };
                    let full_name = format!("{}.{}", import.module, import.name);
                    if let Some(value) = given.get(&full_name) {
                        values.insert(key, *value);
                    } else if !values.contains_key(&key) && is_zero(map, &key) {
                        values.insert(key, zero(ty.content_type));
                    }
                }
            }
            Payload::CodeSectionStart { .. } => break,
            _ => {}
        }
    }
    values
}

/// Whether the map says that an import has no effect.
fn is_zero(map: &ImportMap, import: &Import) -> bool {
    let action = map.action(import).or_else(|| map.wildcard(import));
    matches!(action, Some(ImportAction::Trap | ImportAction::LoggedTrap | ImportAction::Nop))
}

const fn zero(ty: ValType) -> ConstValue {
    match ty {
        ValType::I32 => ConstValue::I32(0),
        ValType::I64 => ConstValue::I64(0),
        ValType::F32 => ConstValue::F32(0),
        ValType::F64 => ConstValue::F64(0),
        ValType::V128 => ConstValue::V128(0),
        ValType::Ref(_) => ConstValue::Null,
    }
}
