//! Modules rewritten for the check: sections are copied byte by byte, only exports are others.
//!
//! The functions of a module are called by names. So functions that it doesn't export get one, and so do its globals that
//! code changes, for their values are part of a function's arguments and results. What is the C stack's stays hidden: if its
//! pointer was exported, the compiler could not move the stack.

use std::collections::BTreeSet;
use std::convert::Infallible;

use llvm_frontend::{ConstOp, ExportKind, FuncType, GlobalInfo, ModuleInfo, ValueType};
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{Encode, ExportSection, Module, RawSection, SectionId};
use wasmparser::{Operator, Parser};

use super::VerifyError;

/// Constants below this are too small for the top of a C stack.
const LEAST_STACK: i32 = 1024;

/// A function to be called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Callee {
    /// Its wasm index.
    pub index: u32,
    /// The name by which it is exported.
    pub export: String,
    /// The stream of random numbers for its inputs: its index in the module that is checked, before it is reduced.
    pub stream: u64,
}

impl Callee {
    const fn new(index: u32, export: String) -> Self {
        Self { index, export, stream: index as u64 }
    }
}

/// A module with the names of what is called and compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exposed {
    /// The module.
    pub wasm: Vec<u8>,
    /// Functions, in the order of their indices.
    pub functions: Vec<Callee>,
    /// Names of exported mutable globals that are no stack pointers, in the order of their indices.
    pub globals: Vec<String>,
}

/// The module as it is, with its exported functions.
pub fn exported(wasm: &[u8], info: &ModuleInfo) -> Exposed {
    let mut functions: Vec<Callee> = Vec::new();
    let mut globals = Vec::new();
    for export in &info.exports {
        match export.kind {
            ExportKind::Func(index) if functions.iter().all(|known| known.index != index) => {
                functions.push(Callee::new(index, export.name.clone()));
            }
            ExportKind::Global(index) if is_filled(&info.globals[index as usize], info) => {
                globals.push((index, export.name.clone()));
            }
            _ => {}
        }
    }
    functions.retain(|callee| callee.index as usize >= info.imported_functions());
    functions.sort_by_key(|callee| callee.index);
    globals.sort();
    globals.dedup_by_key(|(index, _)| *index);
    Exposed { wasm: wasm.to_vec(), functions, globals: globals.into_iter().map(|(_, name)| name).collect() }
}

/// The module with exports for its functions that have none and are in the program, and for its mutable globals.
///
/// # Errors
/// If it is malformed.
pub fn internal(wasm: &[u8], info: &ModuleInfo) -> Result<Exposed, VerifyError> {
    let outer = exported(wasm, info);
    let is_exported = |index: u32| outer.functions.iter().any(|callee| callee.index == index);
    let mut names: BTreeSet<String> = info.exports.iter().map(|export| export.name.clone()).collect();
    let reachable = reachable(wasm, info)?;
    let own = (0u32..).zip(&reachable).skip(info.imported_functions());
    let functions: Vec<Callee> = own
        .filter(|&(index, &is_reachable)| is_reachable && !is_exported(index))
        .map(|(index, _)| Callee::new(index, unused(&mut names, &format!("function.{index}"))))
        .collect();
    let mut exports = exports_of(info);
    for callee in &functions {
        exports.export(&callee.export, wasm_encoder::ExportKind::Func, callee.index);
    }
    let is_global_exported =
        |index: u32| info.exports.iter().any(|export| export.kind == ExportKind::Global(index));
    let mut globals = outer.globals;
    for (index, global) in (0u32..).zip(&info.globals) {
        if is_filled(global, info) && !is_global_exported(index) {
            let name = unused(&mut names, &format!("global.{index}"));
            exports.export(&name, wasm_encoder::ExportKind::Global, index);
            globals.push(name);
        }
    }
    Ok(Exposed { wasm: with_exports(wasm, &exports)?, functions, globals })
}

/// The module with an export of its first memory, and its name; `None` if there is no memory.
///
/// # Errors
/// If it is malformed.
pub fn with_memory(wasm: &[u8], info: &ModuleInfo) -> Result<(Vec<u8>, Option<String>), VerifyError> {
    if info.memories.is_empty() {
        return Ok((wasm.to_vec(), None));
    }
    let is_first = |kind: ExportKind| kind == ExportKind::Memory(0);
    if let Some(export) = info.exports.iter().find(|export| is_first(export.kind)) {
        return Ok((wasm.to_vec(), Some(export.name.clone())));
    }
    let mut names: BTreeSet<String> = info.exports.iter().map(|export| export.name.clone()).collect();
    let name = unused(&mut names, "memory");
    let mut exports = exports_of(info);
    exports.export(&name, wasm_encoder::ExportKind::Memory, 0);
    Ok((with_exports(wasm, &exports)?, Some(name)))
}

/// The module with no exported function but one, under this name. Other exports stay.
///
/// # Errors
/// If it is malformed.
pub fn with_one_function(
    wasm: &[u8],
    info: &ModuleInfo,
    function: u32,
    name: &str,
) -> Result<Vec<u8>, VerifyError> {
    let mut exports = ExportSection::new();
    for export in info.exports.iter().filter(|export| !matches!(export.kind, ExportKind::Func(_))) {
        let (kind, index) = kind(export.kind);
        exports.export(&export.name, kind, index);
    }
    exports.export(name, wasm_encoder::ExportKind::Func, function);
    with_exports(wasm, &exports)
}

/// The module with at least so many bytes of its first memory at the start.
///
/// # Errors
/// If it is malformed.
pub fn enlarged(wasm: &[u8], info: &ModuleInfo, bytes: Option<u32>) -> Result<Vec<u8>, VerifyError> {
    let Some(memory) = info.main_memory() else { return Ok(wasm.to_vec()) };
    let wanted = u64::from(bytes.unwrap_or(0)).div_ceil(1 << memory.page_log2);
    if wanted <= memory.min_pages {
        return Ok(wasm.to_vec());
    }
    let mut module = Module::new();
    let parser = Parser::new(0);
    let mut enlarger = Enlarger { pages: Some(wanted) };
    enlarger
        .parse_core_module(&mut module, parser, wasm)
        .map_err(|error| VerifyError::Reference(error.to_string()))?;
    Ok(module.finish())
}

/// Enlarges the first memory.
struct Enlarger {
    pages: Option<u64>,
}

impl Reencode for Enlarger {
    type Error = Infallible;

    fn memory_type(
        &mut self,
        ty: wasmparser::MemoryType,
    ) -> Result<wasm_encoder::MemoryType, reencode::Error<Infallible>> {
        let ty = reencode::utils::memory_type(self, ty);
        Ok(match self.pages.take() {
            Some(pages) => wasm_encoder::MemoryType {
                minimum: pages,
                maximum: ty.maximum.map(|maximum| maximum.max(pages)),
                ..ty
            },
            None => ty,
        })
    }
}

/// Whether the check sets a global before each call: it is mutable, its values have a meaning outside of the module, and
/// it doesn't look like a stack pointer.
fn is_filled(global: &GlobalInfo, info: &ModuleInfo) -> bool {
    let is_stack = |value: i32| {
        let bytes = info.main_memory().map_or(0, |memory| memory.min_bytes());
        value >= LEAST_STACK && value as u64 <= bytes
    };
    let is_number = !matches!(global.ty, ValueType::FuncRef | ValueType::ExternRef | ValueType::ExnRef);
    let is_pointer = matches!(global.init[..], [ConstOp::I32Const(value)] if is_stack(value));
    global.mutable && is_number && !is_pointer && global.import.is_none()
}

/// A name that nothing has.
fn unused(names: &mut BTreeSet<String>, wanted: &str) -> String {
    let mut name = wanted.to_owned();
    while !names.insert(name.clone()) {
        name.push('\'');
    }
    name
}

fn kind(kind: ExportKind) -> (wasm_encoder::ExportKind, u32) {
    match kind {
        ExportKind::Func(index) => (wasm_encoder::ExportKind::Func, index),
        ExportKind::Table(index) => (wasm_encoder::ExportKind::Table, index),
        ExportKind::Memory(index) => (wasm_encoder::ExportKind::Memory, index),
        ExportKind::Global(index) => (wasm_encoder::ExportKind::Global, index),
        ExportKind::Tag(index) => (wasm_encoder::ExportKind::Tag, index),
    }
}

fn exports_of(info: &ModuleInfo) -> ExportSection {
    let mut exports = ExportSection::new();
    for export in &info.exports {
        let (kind, index) = kind(export.kind);
        exports.export(&export.name, kind, index);
    }
    exports
}

/// The place of a section among the others; `None` for custom sections, which may be anywhere.
fn place(id: u8) -> Option<u8> {
    // Tags come before globals, and the number of data segments before code.
    const ORDER: [u8; 13] = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];
    ORDER.iter().position(|&known| known == id).map(|place| place as u8)
}

/// A copy of a module with other exports.
fn with_exports(wasm: &[u8], exports: &ExportSection) -> Result<Vec<u8>, VerifyError> {
    let mut contents = Vec::new();
    exports.encode(&mut contents);
    // The encoding begins with the number of bytes.
    let mut reader = wasmparser::BinaryReader::new(&contents, 0);
    let malformed = |error: wasmparser::BinaryReaderError| VerifyError::Reference(error.to_string());
    reader.read_var_u32().map_err(malformed)?;
    let contents = &contents[reader.original_position() as usize..];
    let id = SectionId::Export as u8;
    let mut module = Module::new();
    let mut is_written = false;
    for payload in Parser::new(0).parse_all(wasm) {
        let Some((section, range)) = payload.map_err(malformed)?.as_section() else { continue };
        if !is_written && place(section) >= place(id) {
            module.section(&RawSection { id, data: contents });
            is_written = true;
        }
        if section != id {
            module
                .section(&RawSection { id: section, data: &wasm[range.start as usize..range.end as usize] });
        }
    }
    if !is_written {
        module.section(&RawSection { id, data: contents });
    }
    Ok(module.finish())
}

/// Whether each function can be called from outside, directly or not.
///
/// # Errors
/// If the module is malformed.
pub fn reachable(wasm: &[u8], info: &ModuleInfo) -> Result<Vec<bool>, VerifyError> {
    let mut reached = vec![false; info.functions.len()];
    let mut next: Vec<u32> = info.start.into_iter().collect();
    next.extend(info.exports.iter().filter_map(|export| match export.kind {
        ExportKind::Func(index) => Some(index),
        _ => None,
    }));
    let constants = info.elements.iter().flat_map(|segment| &segment.items);
    let constants = constants.chain(info.globals.iter().flat_map(|global| &global.init));
    let constants = constants.chain(info.tables.iter().map(|table| &table.init));
    next.extend(constants.filter_map(|op| match op {
        ConstOp::RefFunc(index) => Some(*index),
        _ => None,
    }));
    while let Some(index) = next.pop() {
        if std::mem::replace(&mut reached[index as usize], true) {
            continue;
        }
        if index as usize >= info.imported_functions() {
            next.extend(callees(wasm, info, index)?);
        }
    }
    Ok(reached)
}

/// The functions that a body names.
fn callees(wasm: &[u8], info: &ModuleInfo, function: u32) -> Result<Vec<u32>, VerifyError> {
    let malformed = |error: wasmparser::BinaryReaderError| VerifyError::Reference(error.to_string());
    let mut callees = Vec::new();
    for operator in info.body(wasm, function).get_operators_reader().map_err(malformed)? {
        match operator.map_err(malformed)? {
            Operator::Call { function_index }
            | Operator::ReturnCall { function_index }
            | Operator::RefFunc { function_index } => callees.push(function_index),
            _ => {}
        }
    }
    Ok(callees)
}

/// The type of a function in the words of the engines; `None` if a parameter or result has none.
pub fn function_type(ty: &FuncType) -> Option<crate::run::FunctionType> {
    let types = |types: &[ValueType]| types.iter().map(|&ty| value_type(ty)).collect::<Option<Vec<_>>>();
    Some(crate::run::FunctionType { params: types(&ty.params)?, results: types(&ty.results)? })
}

/// The type of a value in the words of the engines, if it has one.
pub fn value_type(ty: ValueType) -> Option<crate::run::ValueType> {
    Some(match ty {
        ValueType::I32 => crate::run::ValueType::I32,
        ValueType::I64 => crate::run::ValueType::I64,
        ValueType::F32 => crate::run::ValueType::F32,
        ValueType::F64 => crate::run::ValueType::F64,
        ValueType::V128 => crate::run::ValueType::V128,
        ValueType::FuncRef => crate::run::ValueType::FuncRef,
        ValueType::ExternRef => crate::run::ValueType::ExternRef,
        _ => return None,
    })
}
