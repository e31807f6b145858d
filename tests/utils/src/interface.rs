//! The interface of a module, read from its binary by `wasmparser`.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::{CompositeInnerType, ExternalKind, Operator, Parser, Payload, TypeRef, ValType};

/// Types of a function.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Function {
    /// Of its parameters.
    pub params: Vec<ValType>,
    /// Of its results.
    pub results: Vec<ValType>,
}

/// The machine words that values of a type are passed in.
pub fn words(ty: ValType) -> usize {
    if ty == ValType::V128 { 2 } else { 1 }
}

/// Imports and exports of a module.
#[derive(Clone, Default, Debug)]
pub struct Interface {
    /// Imported functions in order, with the names of module and field.
    pub imports: Vec<(String, String, Function)>,
    /// Modules that anything is imported from.
    pub imported_modules: BTreeSet<String>,
    /// Exported functions by name, with their index.
    pub functions: BTreeMap<String, (u32, Function)>,
    /// Names of exported memories, with their index.
    pub memory_exports: Vec<(String, u32)>,
    /// Names of exported globals and tables.
    pub data_exports: Vec<String>,
    /// Number of memories.
    pub memories: u32,
    /// Minimum and maximum bytes of the first memory.
    pub memory_bytes: [Option<u64>; 2],
    /// Whether a function may grow a memory.
    pub grows: bool,
    /// Values of exported immutable globals with a plain constant.
    pub constant_globals: BTreeMap<String, u64>,
}

/// Reads the interface of a module; that of an invalid one as far as possible.
///
/// # Errors
/// If it is not a module.
pub fn interface(wasm: &[u8]) -> wasmparser::Result<Interface> {
    let mut reader = Reader::default();
    for payload in Parser::new(0).parse_all(wasm) {
        reader.payload(payload?)?;
    }
    Ok(reader.interface)
}

#[derive(Default)]
struct Reader {
    types: Vec<Function>,
    /// Type of each function.
    functions: Vec<u32>,
    globals: Vec<Option<u64>>,
    interface: Interface,
}

impl Reader {
    fn payload(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    for ty in group?.types() {
                        let function = match &ty.composite_type.inner {
                            CompositeInnerType::Func(ty) => {
                                Function { params: ty.params().to_vec(), results: ty.results().to_vec() }
                            }
                            _ => Function::default(),
                        };
                        self.types.push(function);
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    self.import(&import?);
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.functions.push(ty?);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    self.memory(&memory?);
                }
            }
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader()? {
                    self.interface.grows |= matches!(operator?, Operator::MemoryGrow { .. });
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    self.globals.push(constant(&global?.init_expr)?);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    self.export(&export?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, import: &wasmparser::Import<'_>) {
        self.interface.imported_modules.insert(import.module.to_owned());
        match import.ty {
            TypeRef::Func(ty) => {
                let names = (import.module.to_owned(), import.name.to_owned());
                let function = self.types.get(ty as usize).cloned().unwrap_or_default();
                self.interface.imports.push((names.0, names.1, function));
                self.functions.push(ty);
            }
            TypeRef::Global(_) => self.globals.push(None),
            TypeRef::Memory(memory) => self.memory(&memory),
            _ => {}
        }
    }

    fn memory(&mut self, memory: &wasmparser::MemoryType) {
        let bytes = |pages: u64| pages.saturating_mul(1 << memory.page_size_log2.unwrap_or(16));
        if self.interface.memories == 0 {
            self.interface.memory_bytes = [Some(bytes(memory.initial)), memory.maximum.map(bytes)];
        }
        self.interface.memories += 1;
    }

    fn export(&mut self, export: &wasmparser::Export<'_>) {
        let (name, index) = (export.name.to_owned(), export.index as usize);
        match export.kind {
            ExternalKind::Func => {
                let ty = self.functions.get(index).and_then(|&ty| self.types.get(ty as usize));
                let function = ty.cloned().unwrap_or_default();
                self.interface.functions.insert(name, (export.index, function));
            }
            ExternalKind::Memory => self.interface.memory_exports.push((name, export.index)),
            ExternalKind::Global | ExternalKind::Table => {
                if let (ExternalKind::Global, Some(&Some(value))) = (export.kind, self.globals.get(index)) {
                    self.interface.constant_globals.insert(name.clone(), value);
                }
                self.interface.data_exports.push(name);
            }
            _ => {}
        }
    }
}

fn constant(expr: &wasmparser::ConstExpr<'_>) -> wasmparser::Result<Option<u64>> {
    Ok(match expr.get_operators_reader().read()? {
        Operator::I32Const { value } => Some(i64::from(value) as u64),
        Operator::I64Const { value } => Some(value as u64),
        Operator::F32Const { value } => Some(u64::from(value.bits())),
        Operator::F64Const { value } => Some(value.bits()),
        Operator::RefNull { .. } => Some(0),
        _ => None,
    })
}
