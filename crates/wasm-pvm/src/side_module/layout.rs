//! The decisions of a loader: addresses, table entries and the values of imported globals.

use std::collections::BTreeMap;

use llvm_frontend::ConstValue;
use ssa::Import;
use wasmparser::{
    ConstExpr, ElementItems, ElementKind, ExternalKind, GlobalType, Operator, TypeRef, ValType,
};

use super::STACK_BYTES;
use super::module::SideModule;

/// The place of a side module.
pub struct Layout {
    /// Values of imported globals, by their names in the result.
    pub values: BTreeMap<Import, ConstValue>,
    /// Bytes of memory that are in use at the start.
    pub memory_bytes: u64,
    /// Entries of the function table.
    pub table_entries: u64,
    /// The first additional entry of the table.
    pub first_added: u32,
    /// Functions that get additional entries.
    pub added: Vec<u32>,
    /// Functions without parameters that run at the start, in this order.
    pub started: Vec<u32>,
}

/// The second level of the name of a placed import. Entries of the GOT share their names with functions.
pub fn placed_name(module: &str, name: &str) -> String {
    if module.starts_with("GOT.") { format!("{module}.{name}") } else { name.to_owned() }
}

impl Layout {
    pub fn new(module: &SideModule<'_>, given: &BTreeMap<String, ConstValue>) -> Result<Self, String> {
        let needs = &module.needs;
        let memory_base = base(given, "env.__memory_base", STACK_BYTES, needs.memory_alignment)?;
        let table_base = base(given, "env.__table_base", 1, needs.table_alignment)?;
        let memory_end = u64::from(memory_base) + u64::from(needs.memory_size);
        let first_added = table_base
            .checked_add(needs.table_size)
            .ok_or_else(|| format!("the module needs {} table entries", needs.table_size))?;
        let mut layout = Self {
            values: BTreeMap::new(),
            memory_bytes: memory_end,
            table_entries: 0,
            first_added,
            added: Vec::new(),
            started: started(module),
        };
        for import in module.imported_globals() {
            let TypeRef::Global(ty) = import.ty else { continue };
            let value = match (import.module, import.name) {
                ("env", "__stack_pointer") => Some(u64::from(STACK_BYTES)),
                ("env", "__memory_base") => Some(u64::from(memory_base)),
                ("env", "__table_base") => Some(u64::from(table_base)),
                ("GOT.func", symbol) => layout.slot(module, symbol, table_base).map(u64::from),
                ("GOT.mem", symbol) => address(module, symbol, memory_base, memory_end),
                _ => None,
            };
            if let Some(value) = value.and_then(|value| typed(ty, value)) {
                let field = placed_name(import.module, import.name);
                layout.values.insert(Import { module: import.module.to_owned(), field }, value);
            }
        }
        layout.table_entries = u64::from(first_added) + layout.added.len() as u64;
        Ok(layout)
    }

    /// The table entry of a function: one that the module fills, or an additional one; null if it may be missing.
    fn slot(&mut self, module: &SideModule<'_>, symbol: &str, table_base: u32) -> Option<u32> {
        let Some(function) = module.function(symbol) else { return module.is_weak(symbol).then_some(0) };
        if let Some(entry) = entry_of(module, function, table_base) {
            return Some(entry);
        }
        module.function_table()?;
        let position = self.added.iter().position(|&added| added == function).unwrap_or_else(|| {
            self.added.push(function);
            self.added.len() - 1
        });
        self.first_added.checked_add(position as u32)
    }
}

/// The first multiple of the alignment from `least` on, or the given value.
fn base(
    given: &BTreeMap<String, ConstValue>,
    name: &str,
    least: u32,
    align_log2: u32,
) -> Result<u32, String> {
    if let Some(ConstValue::I32(value)) = given.get(name) {
        return Ok(*value as u32);
    }
    let align = 1u32.checked_shl(align_log2);
    let base = align.and_then(|align| least.checked_next_multiple_of(align));
    base.ok_or_else(|| {
        format!("the side module needs an alignment of 2^{align_log2}, and an address has 32 bits")
    })
}

fn typed(ty: GlobalType, value: u64) -> Option<ConstValue> {
    match ty.content_type {
        ValType::I32 => u32::try_from(value).ok().map(|value| ConstValue::I32(value as i32)),
        ValType::I64 => Some(ConstValue::I64(value as i64)),
        _ => None,
    }
}

/// The address of a symbol in memory: the module's own, or one that linkers define.
fn address(module: &SideModule<'_>, symbol: &str, memory_base: u32, memory_end: u64) -> Option<u64> {
    let exported = module.export(symbol, ExternalKind::Global).filter(|_| !module.is_thread_local(symbol));
    if let Some(global) = exported {
        let defined = (global as usize).checked_sub(module.imported_globals().count())?;
        return exported_address(module, module.globals.get(defined)?, memory_base);
    }
    match symbol {
        "__heap_base" => memory_end.checked_next_multiple_of(16),
        "__stack_low" => Some(0),
        "__stack_high" => Some(u64::from(STACK_BYTES)),
        "__global_base" | "__dso_handle" => Some(u64::from(memory_base)),
        "__data_end" => Some(memory_end),
        _ => module.is_weak(symbol).then_some(0),
    }
}

/// The address in an exported global: an offset in the module's data, with or without the base in the expression.
fn exported_address(module: &SideModule<'_>, value: &ConstExpr<'_>, memory_base: u32) -> Option<u64> {
    let mut sum = i64::from(memory_base);
    let mut operators = value.get_operators_reader();
    while !operators.is_end_then_eof() {
        match operators.read().ok()? {
            Operator::I32Const { value } => sum += i64::from(value as u32),
            Operator::I64Const { value } => sum += value,
            Operator::GlobalGet { global_index } if module.is_global(global_index, "__memory_base") => {}
            Operator::I32Add | Operator::I64Add => {}
            _ => return None,
        }
    }
    u64::try_from(sum).ok()
}

/// The entry of a function in the segments that the module itself puts into the function table.
fn entry_of(module: &SideModule<'_>, function: u32, table_base: u32) -> Option<u32> {
    module.elements.iter().find_map(|element| {
        let ElementKind::Active { table_index, offset_expr } = &element.kind else { return None };
        if Some(table_index.unwrap_or(0)) != module.function_table() {
            return None;
        }
        let ElementItems::Functions(functions) = element.items.clone() else { return None };
        let at = functions.into_iter().position(|item| item.is_ok_and(|item| item == function))?;
        offset(module, offset_expr, table_base)?.checked_add(at as u32)
    })
}

/// The value of an offset in the table: a constant, or the start of the module's entries.
fn offset(module: &SideModule<'_>, expression: &ConstExpr<'_>, table_base: u32) -> Option<u32> {
    let mut operators = expression.get_operators_reader();
    let value = match operators.read().ok()? {
        Operator::I32Const { value } => value as u32,
        Operator::GlobalGet { global_index } => {
            module.is_global(global_index, "__table_base").then_some(table_base)?
        }
        _ => return None,
    };
    matches!(operators.read().ok()?, Operator::End).then_some(value)
}

/// The functions that a loader calls: relocation of data, then constructors. Older linkers have other names for them.
fn started(module: &SideModule<'_>) -> Vec<u32> {
    let relocations = ["__wasm_apply_data_relocs", "__wasm_apply_relocs"];
    let constructors = ["__wasm_call_ctors", "_initialize", "__post_instantiate"];
    let first = |names: &[&str]| {
        let exported = names.iter().filter_map(|name| module.export(name, ExternalKind::Func));
        exported.into_iter().find(|&function| module.defined_plain(function).is_some())
    };
    let added: Vec<u32> = [first(&relocations), first(&constructors)].into_iter().flatten().collect();
    if added.is_empty() { added } else { module.start.into_iter().chain(added).collect() }
}
