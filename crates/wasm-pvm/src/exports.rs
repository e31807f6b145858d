//! The exports of a module with their types in wasm.
//!
//! SSA has neither floats, where the target has none, nor kinds of references, nor memories that are exported but not
//! used. Metadata describes exports to hosts and to engines, so it needs the types of the module.

use std::collections::BTreeMap;

use pvm_isa::metadata::DataExportKind;
use wasmparser::{
    AbstractHeapType, BinaryReaderError, CompositeInnerType, Export, ExternalKind, FuncType, GlobalType,
    HeapType, MemoryType, Parser, Payload, RefType, TableType, TypeRef, ValType,
};

/// The exports of a module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exports {
    /// Signatures of functions by name, in the letters of the metadata.
    pub functions: BTreeMap<String, String>,
    /// Whether the first memory has 64-bit addresses.
    pub has_wide_memory: bool,
    /// Memories, tables and globals, in order.
    pub data: Vec<(String, DataExportKind)>,
}

/// Reads the exports of a module.
///
/// # Errors
/// If it is malformed.
pub fn exports(wasm: &[u8]) -> Result<Exports, BinaryReaderError> {
    let mut reader = Reader::default();
    for payload in Parser::new(0).parse_all(wasm) {
        reader.section(payload?)?;
    }
    reader.exports.has_wide_memory = reader.memories.first().is_some_and(|memory| memory.memory64);
    Ok(reader.exports)
}

/// Declarations so far, in the order of their indices.
#[derive(Default)]
struct Reader {
    types: Vec<Option<FuncType>>,
    functions: Vec<u32>,
    memories: Vec<MemoryType>,
    tables: Vec<TableType>,
    globals: Vec<GlobalType>,
    exports: Exports,
}

impl Reader {
    fn section(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    let types = group?.into_types().map(|ty| match ty.composite_type.inner {
                        CompositeInnerType::Func(ty) => Some(ty),
                        _ => None,
                    });
                    self.types.extend(types);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    self.import(import?.ty);
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.functions.push(ty?);
                }
            }
            Payload::MemorySection(section) => {
                for ty in section {
                    self.memories.push(ty?);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    self.tables.push(table?.ty);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    self.globals.push(global?.ty);
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

    fn import(&mut self, ty: TypeRef) {
        match ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => self.functions.push(ty),
            TypeRef::Memory(ty) => self.memories.push(ty),
            TypeRef::Table(ty) => self.tables.push(ty),
            TypeRef::Global(ty) => self.globals.push(ty),
            TypeRef::Tag(_) => {}
        }
    }

    fn export(&mut self, export: &Export<'_>) {
        let (name, index) = (export.name.to_owned(), export.index as usize);
        let kind = match export.kind {
            ExternalKind::Func => {
                let ty = self.functions.get(index).and_then(|&ty| self.types.get(ty as usize)?.as_ref());
                self.exports.functions.extend(ty.map(|ty| (name, signature(ty))));
                return;
            }
            ExternalKind::Memory => self.memories.get(index).map(|ty| DataExportKind::Memory {
                bytes: ty.initial.saturating_mul(1 << ty.page_size_log2.unwrap_or(16)),
            }),
            ExternalKind::Table => {
                let table = self.tables.get(index).filter(|ty| !is_exception(ty.element_type));
                table.map(|ty| DataExportKind::Table {
                    functions: letter(ValType::Ref(ty.element_type)) == 'r',
                    elements: ty.initial,
                })
            }
            ExternalKind::Global => self
                .globals
                .get(index)
                .map(|ty| DataExportKind::Global { ty: letter(ty.content_type), mutable: ty.mutable }),
            _ => None,
        };
        self.exports.data.extend(kind.map(|kind| (name, kind)));
    }
}

/// A function type in the letters of the metadata.
fn signature(ty: &FuncType) -> String {
    let letters = |types: &[ValType]| types.iter().map(|&ty| letter(ty)).collect::<String>();
    format!("{}>{}", letters(ty.params()), letters(ty.results()))
}

fn letter(ty: ValType) -> char {
    match ty {
        ValType::I32 => 'i',
        ValType::I64 => 'I',
        ValType::F32 => 'f',
        ValType::F64 => 'F',
        ValType::V128 => 'v',
        ValType::Ref(ty) if is_function(ty) => 'r',
        // It has other words than the values that readers know.
        ValType::Ref(ty) if is_exception(ty) => 'x',
        ValType::Ref(_) => 'e',
    }
}

/// Whether it is a reference to functions, of any or of one type.
fn is_function(ty: RefType) -> bool {
    ty.is_func_ref() || ty.is_concrete_type_ref()
}

fn is_exception(ty: RefType) -> bool {
    matches!(ty.heap_type(), HeapType::Abstract { ty: AbstractHeapType::Exn | AbstractHeapType::NoExn, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_have_their_types() {
        let text = r#"(module
          (import "env" "f" (func (param f32 i64)))
          (import "env" "g" (global i64))
          (memory (export "m") 3) (table (export "t") 5 funcref) (table (export "e") 0 externref)
          (global $c (mut f64) (f64.const 1))
          (export "g" (global 0)) (export "c" (global $c)) (export "f" (func 0))
          (func (export "h") (param i32 f32 f64 funcref) (result externref i64) unreachable))"#;
        let found = exports(&wat::parse_str(text).expect("well-formed")).expect("well-formed");
        let functions: Vec<_> =
            found.functions.iter().map(|(name, ty)| (name.as_str(), ty.as_str())).collect();
        assert_eq!(functions, [("f", "fI>"), ("h", "ifFr>eI")]);
        let data: Vec<_> = found.data.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
        let global = |ty, mutable| DataExportKind::Global { ty, mutable };
        assert_eq!(
            data,
            [
                ("m", DataExportKind::Memory { bytes: 3 << 16 }),
                ("t", DataExportKind::Table { functions: true, elements: 5 }),
                ("e", DataExportKind::Table { functions: false, elements: 0 }),
                ("g", global('I', false)),
                ("c", global('F', true)),
            ]
        );
    }
}
