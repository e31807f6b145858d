//! The declarations of a wasm module, as plain data.
//!
//! [`ModuleInfo::parse`] validates the whole binary against the accepted feature set and then collects the
//! sections. Function bodies and segments stay in the input; the tables here hold their byte
//! ranges, so the size of a `ModuleInfo` is proportional to the number of declarations.
//!
//! Invariant: everything in a `ModuleInfo` is validated. Later stages index without checking and treat a
//! malformed operator as a bug.

use std::collections::BTreeMap;
use std::ops::Range;

use wasmparser::types::Types;
use wasmparser::{
    AbstractHeapType, BinaryReader, CompositeInnerType, ConstExpr, DataKind, ElementItems, ElementKind,
    ExternalKind, FunctionBody, HeapType, KnownCustom, MemArg, MemArgTarget, Name, Operator, Parser, Payload,
    RefType, TableInit, TypeRef, ValType, Validator, WasmFeatures,
};

use crate::error::Error;
use crate::refused;

/// A wasm value type. References to functions are of one type here, whatever their function type is and whether they
/// may be null: validation needs to know, translation doesn't.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub enum ValueType {
    I32,
    I64,
    F32,
    F64,
    V128,
    FuncRef,
    ExternRef,
    ExnRef,
}

/// A function type.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FuncType {
    /// Parameters.
    pub params: Vec<ValueType>,
    /// Results.
    pub results: Vec<ValueType>,
}

impl FuncType {
    /// Whether a parameter is a reference to an exception.
    pub fn has_exception_params(&self) -> bool {
        self.params.contains(&ValueType::ExnRef)
    }

    /// Whether a result is a reference to an exception.
    pub fn has_exception_results(&self) -> bool {
        self.results.contains(&ValueType::ExnRef)
    }
}

/// A function: the imported ones come first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FunctionInfo {
    /// Index of its type.
    pub ty: u32,
    /// Import name, if it is imported.
    pub import: Option<ssa::Import>,
    /// Bytes of its body in the input; empty for an import.
    pub body: Range<usize>,
}

/// A tag: a kind of exception.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TagInfo {
    /// Import name, if it is imported.
    pub import: Option<ssa::Import>,
    /// Index of the function type whose parameters are the values of an exception.
    pub ty: u32,
}

/// A table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableInfo {
    /// Import name, if it is imported.
    pub import: Option<ssa::Import>,
    /// Type of the entries.
    pub ty: ValueType,
    /// Initial value of all entries.
    pub init: ConstOp,
    /// Entries at start.
    pub min: u64,
    /// Maximum number of entries.
    pub max: Option<u64>,
    /// Whether its indices are `i64`.
    pub is_64: bool,
}

/// The memory of the program's data and of its C stack, the only one that C compilers use.
pub const MAIN_MEMORY: u32 = 0;

/// A linear memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemoryInfo {
    /// Import name, if it is imported.
    pub import: Option<ssa::Import>,
    /// Pages at start.
    pub min_pages: u64,
    /// Maximum number of pages.
    pub max_pages: Option<u64>,
    /// log2 of the page size: 16, or 0 with custom page sizes.
    pub page_log2: u32,
    /// Whether its addresses are `i64`.
    pub is_64: bool,
    /// Whether threads may share it.
    pub is_shared: bool,
}

impl MemoryInfo {
    /// Bytes at start; the largest number if there are more.
    pub fn min_bytes(&self) -> u64 {
        self.min_pages.saturating_mul(1 << self.page_log2)
    }

    /// Maximum number of bytes; the largest number if there are more.
    pub fn max_bytes(&self) -> Option<u64> {
        Some(self.max_pages?.saturating_mul(1 << self.page_log2))
    }
}

/// A global.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GlobalInfo {
    /// Import name, if it is imported.
    pub import: Option<ssa::Import>,
    /// Its type.
    pub ty: ValueType,
    /// Whether code may set it.
    pub mutable: bool,
    /// Initial value; empty for an import.
    pub init: ConstExprOps,
}

/// A constant expression in postfix order.
pub type ConstExprOps = Vec<ConstOp>;

/// An operator of a constant expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub enum ConstOp {
    I32Const(i32),
    I64Const(i64),
    F32Const(u32),
    F64Const(u64),
    V128Const(u128),
    GlobalGet(u32),
    RefNull,
    RefFunc(u32),
    I32Add,
    I32Sub,
    I32Mul,
    I64Add,
    I64Sub,
    I64Mul,
}

/// The time at which a segment is copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SegmentMode {
    /// When an instruction copies it.
    Passive,
    /// At start, into the memory or table with this index.
    Active(u32, ConstExprOps),
    /// Never: it only declares references.
    Declared,
}

impl SegmentMode {
    /// The offset of an active segment of the main memory, if it is a plain number.
    pub fn constant_offset(&self) -> Option<u32> {
        match self {
            Self::Active(MAIN_MEMORY, offset) => match offset[..] {
                [ConstOp::I32Const(offset)] => Some(offset as u32),
                _ => None,
            },
            Self::Active(..) | Self::Passive | Self::Declared => None,
        }
    }
}

/// A data segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataInfo {
    /// The time at which it is copied.
    pub mode: SegmentMode,
    /// Its bytes in the input.
    pub bytes: Range<usize>,
}

/// An element segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ElementInfo {
    /// The time at which it is copied.
    pub mode: SegmentMode,
    /// One constant operator per entry: `RefNull`, `RefFunc` or `GlobalGet`.
    pub items: Vec<ConstOp>,
}

/// The entity that an export names, by wasm index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub enum ExportKind {
    Func(u32),
    Table(u32),
    Memory(u32),
    Global(u32),
    Tag(u32),
}

/// An export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExportInfo {
    /// Its name.
    pub name: String,
    /// The entity it names.
    pub kind: ExportKind,
}

/// A validated module. All lists are in wasm index order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ModuleInfo {
    /// Function types.
    pub types: Vec<FuncType>,
    /// By type: the first type that is equal to it by the rules of wasm, where recursive groups are compared as a whole.
    pub type_classes: Vec<u32>,
    /// Functions, imported ones first.
    pub functions: Vec<FunctionInfo>,
    /// Tables, imported ones first.
    pub tables: Vec<TableInfo>,
    /// Memories, imported ones first.
    pub memories: Vec<MemoryInfo>,
    /// Tags, imported ones first.
    pub tags: Vec<TagInfo>,
    /// Globals, imported ones first.
    pub globals: Vec<GlobalInfo>,
    /// Exports.
    pub exports: Vec<ExportInfo>,
    /// The start function.
    pub start: Option<u32>,
    /// Data segments.
    pub data: Vec<DataInfo>,
    /// Element segments.
    pub elements: Vec<ElementInfo>,
    /// Function names of the name section, sorted by index.
    pub function_names: Vec<(u32, String)>,
    /// Global names of the name section, sorted by index.
    pub global_names: Vec<(u32, String)>,
    /// Names of data segments in the name section, sorted by index.
    pub data_names: Vec<(u32, String)>,
    /// `field: name version` lines of the producers section.
    pub producers: Vec<String>,
    /// Byte offset of the code section's contents.
    pub code_start: usize,
    /// Names of the custom sections, with the byte ranges of their contents after the name.
    pub custom_sections: Vec<(String, Range<usize>)>,
}

impl ModuleInfo {
    /// Validates `wasm` and collects its declarations.
    ///
    /// # Errors
    /// [`Error::InvalidWasm`] if the module is malformed or invalid, [`Error::Proposal`] if it uses a proposal other
    /// than the accepted ones: WebAssembly 3.0 without garbage collection, plus wide arithmetic, shared memories, custom
    /// page sizes and the exceptions that compilers made before 3.0.
    pub fn parse(wasm: &[u8]) -> Result<Self, Error> {
        let types = validate(wasm)?;
        let mut info = Self::default();
        let mut parser = Parser::new(0);
        parser.set_features(features());
        let mut types_of_local_functions = Vec::new();
        let mut bodies = Vec::new();
        for payload in parser.parse_all(wasm) {
            match payload? {
                Payload::FunctionSection(reader) => {
                    types_of_local_functions = reader.into_iter().collect::<Result<_, _>>()?;
                }
                Payload::CodeSectionStart { unchecked_range, .. } => {
                    info.code_start = to_usize(unchecked_range).start;
                }
                Payload::CodeSectionEntry(body) => bodies.push(to_usize(body.range())),
                other => info.section(other)?,
            }
        }
        let local = types_of_local_functions.into_iter().zip(bodies);
        info.functions.extend(local.map(|(ty, body)| FunctionInfo { ty, import: None, body }));
        let mut first = BTreeMap::new();
        let class = |index| *first.entry(types.as_ref().core_type_at_in_module(index)).or_insert(index);
        info.type_classes = (0..info.types.len() as u32).map(class).collect();
        Ok(info)
    }

    /// The exported functions that the host enters, in the order of the exports. `services` are names of possible
    /// entries, in groups: of each group the first that is exported is an entry. If none is, all are.
    pub fn entries(&self, services: &[&[&str]]) -> Vec<u32> {
        let is_exported = |name: &&&str| self.exports.iter().any(|export| export.name == ***name);
        let services: Vec<&str> =
            services.iter().filter_map(|names| names.iter().find(is_exported)).copied().collect();
        let function = |export: &ExportInfo| match export.kind {
            ExportKind::Func(function) if services.is_empty() || services.contains(&export.name.as_str()) => {
                Some(function)
            }
            _ => None,
        };
        self.exports.iter().filter_map(function).collect()
    }

    /// The memory with index [`MAIN_MEMORY`].
    pub fn main_memory(&self) -> Option<&MemoryInfo> {
        self.memories.get(MAIN_MEMORY as usize)
    }

    /// The type of a function.
    pub fn type_of(&self, function: u32) -> &FuncType {
        &self.types[self.functions[function as usize].ty as usize]
    }

    /// Number of imported functions: the index of the first one with a body.
    pub fn imported_functions(&self) -> usize {
        self.functions.iter().take_while(|f| f.import.is_some()).count()
    }

    /// The name of a function: from the name section, else its first export, else its import name, else
    /// `func[index]`.
    pub fn function_name(&self, function: u32) -> String {
        if let Ok(at) = self.function_names.binary_search_by_key(&function, |(index, _)| *index) {
            return self.function_names[at].1.clone();
        }
        if let Some(export) = self.exports.iter().find(|e| e.kind == ExportKind::Func(function)) {
            return export.name.clone();
        }
        match &self.functions[function as usize].import {
            Some(import) => format!("{}.{}", import.module, import.field),
            None => format!("func[{function}]"),
        }
    }

    /// The name of a global in the name section.
    pub fn global_name(&self, global: u32) -> Option<&str> {
        let at = self.global_names.binary_search_by_key(&global, |(index, _)| *index).ok()?;
        Some(&self.global_names[at].1)
    }

    /// The name of a data segment in the name section.
    pub fn data_name(&self, segment: u32) -> Option<&str> {
        let at = self.data_names.binary_search_by_key(&segment, |(index, _)| *index).ok()?;
        Some(&self.data_names[at].1)
    }

    /// The body of a function for wasmparser.
    pub fn body<'a>(&self, wasm: &'a [u8], function: u32) -> FunctionBody<'a> {
        let range = self.functions[function as usize].body.clone();
        let start = range.start as u64;
        FunctionBody::new(BinaryReader::new_features(&wasm[range], start, features()))
    }

    fn section(&mut self, payload: Payload<'_>) -> Result<(), Error> {
        match payload {
            Payload::TypeSection(reader) => {
                for group in reader {
                    self.types.extend(group?.types().map(declared_type));
                }
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    self.import(import?);
                }
            }
            Payload::TableSection(reader) => {
                for table in reader {
                    self.tables.push(defined_table(&table?)?);
                }
            }
            Payload::TagSection(reader) => {
                let tag = |ty: wasmparser::TagType| TagInfo { import: None, ty: ty.func_type_idx };
                self.tags.extend(reader.into_iter().map(|ty| ty.map(tag)).collect::<Result<Vec<_>, _>>()?);
            }
            Payload::MemorySection(reader) => {
                for ty in reader {
                    self.memories.push(memory_info(None, ty?));
                }
            }
            Payload::GlobalSection(reader) => {
                for global in reader {
                    let global = global?;
                    self.globals.push(GlobalInfo {
                        import: None,
                        ty: value_type(global.ty.content_type),
                        mutable: global.ty.mutable,
                        init: const_expr(&global.init_expr)?,
                    });
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export?;
                    let kind = export_kind(export.kind, export.index);
                    self.exports.push(ExportInfo { name: export.name.to_owned(), kind });
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(reader) => {
                for element in reader {
                    self.elements.push(element_info(element?)?);
                }
            }
            Payload::DataSection(reader) => {
                for data in reader {
                    self.data.push(data_info(&data?)?);
                }
            }
            Payload::CustomSection(reader) => self.custom_section(&reader),
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, import: wasmparser::Import<'_>) {
        let name = Some(ssa::Import { module: import.module.to_owned(), field: import.name.to_owned() });
        match import.ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.functions.push(FunctionInfo { ty, import: name, body: 0..0 });
            }
            TypeRef::Table(ty) => self.tables.push(table_info(name, ty)),
            TypeRef::Memory(ty) => self.memories.push(memory_info(name, ty)),
            TypeRef::Global(ty) => self.globals.push(GlobalInfo {
                import: name,
                ty: value_type(ty.content_type),
                mutable: ty.mutable,
                init: Vec::new(),
            }),
            TypeRef::Tag(ty) => self.tags.push(TagInfo { import: name, ty: ty.func_type_idx }),
        }
    }

    /// Custom sections are hints: a malformed one is ignored.
    fn custom_section(&mut self, reader: &wasmparser::CustomSectionReader<'_>) {
        let contents = reader.data_offset()..reader.range().end;
        self.custom_sections.push((reader.name().to_owned(), to_usize(contents)));
        match reader.as_known() {
            KnownCustom::Name(names) => {
                for name in names.into_iter().map_while(Result::ok) {
                    match name {
                        Name::Function(map) => self.function_names = name_map(map),
                        Name::Global(map) => self.global_names = name_map(map),
                        Name::Data(map) => self.data_names = name_map(map),
                        _ => {}
                    }
                }
            }
            KnownCustom::Producers(fields) => {
                for field in fields.into_iter().map_while(Result::ok) {
                    for value in field.values.into_iter().map_while(Result::ok) {
                        self.producers.push(format!("{}: {} {}", field.name, value.name, value.version));
                    }
                }
            }
            _ => {}
        }
    }
}

/// Validates a module. Its types are those of the result.
///
/// Of garbage collection only recursive groups of function types and constant expressions over all earlier globals are
/// accepted. A module that is valid only with that proposal is searched for anything else of it.
fn validate(wasm: &[u8]) -> Result<Types, Error> {
    let with = |features| Validator::new_with_features(features).validate_all(wasm);
    with(features().difference(WasmFeatures::GC)).or_else(|_| {
        let types = with(features()).map_err(|refused| refused::error(wasm, features(), &refused))?;
        refused::collected(wasm).map_or(Ok(types), Err)
    })
}

/// The accepted proposals. Of [`WasmFeatures::GC`] only parts are accepted.
pub fn features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::SIMD
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::FLOATS
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::MEMORY64
        | WasmFeatures::THREADS
        | WasmFeatures::WIDE_ARITHMETIC
        | WasmFeatures::EXCEPTIONS
        | WasmFeatures::LEGACY_EXCEPTIONS
        | WasmFeatures::FUNCTION_REFERENCES
        | WasmFeatures::GC
        | WasmFeatures::GC_TYPES
}

/// Converts a validated value type.
pub fn value_type(ty: ValType) -> ValueType {
    match ty {
        ValType::I32 => ValueType::I32,
        ValType::I64 => ValueType::I64,
        ValType::F32 => ValueType::F32,
        ValType::F64 => ValueType::F64,
        ValType::V128 => ValueType::V128,
        ValType::Ref(ty) => reference_type(ty),
    }
}

fn reference_type(ty: RefType) -> ValueType {
    use AbstractHeapType as Heap;
    match ty.heap_type() {
        HeapType::Abstract { ty: Heap::Extern | Heap::NoExtern, .. } => ValueType::ExternRef,
        HeapType::Abstract { ty: Heap::Exn | Heap::NoExn, .. } => ValueType::ExnRef,
        _ => ValueType::FuncRef,
    }
}

/// A declared type. No operator can use one that isn't a function type.
fn declared_type(ty: &wasmparser::SubType) -> FuncType {
    match &ty.composite_type.inner {
        CompositeInnerType::Func(ty) => func_type(ty),
        _ => FuncType { params: Vec::new(), results: Vec::new() },
    }
}

fn func_type(ty: &wasmparser::FuncType) -> FuncType {
    let convert = |list: &[ValType]| list.iter().map(|&ty| value_type(ty)).collect();
    FuncType { params: convert(ty.params()), results: convert(ty.results()) }
}

fn defined_table(table: &wasmparser::Table<'_>) -> Result<TableInfo, Error> {
    let init = match &table.init {
        TableInit::RefNull => ConstOp::RefNull,
        TableInit::Expr(init) => reference(init)?,
    };
    Ok(TableInfo { init, ..table_info(None, table.ty) })
}

fn table_info(import: Option<ssa::Import>, ty: wasmparser::TableType) -> TableInfo {
    TableInfo {
        import,
        ty: reference_type(ty.element_type),
        init: ConstOp::RefNull,
        min: ty.initial,
        max: ty.maximum,
        is_64: ty.table64,
    }
}

fn memory_info(import: Option<ssa::Import>, ty: wasmparser::MemoryType) -> MemoryInfo {
    MemoryInfo {
        import,
        min_pages: ty.initial,
        max_pages: ty.maximum,
        page_log2: ty.page_size_log2.unwrap_or(16),
        is_64: ty.memory64,
        is_shared: ty.shared,
    }
}

/// The memory of an access.
pub fn memory_of(memarg: MemArg) -> u32 {
    match memarg.target {
        MemArgTarget::Memory(memory) => memory,
        MemArgTarget::Array(_) => unreachable!("validation refuses arrays"),
    }
}

fn export_kind(kind: ExternalKind, index: u32) -> ExportKind {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func(index),
        ExternalKind::Table => ExportKind::Table(index),
        ExternalKind::Memory => ExportKind::Memory(index),
        ExternalKind::Global => ExportKind::Global(index),
        ExternalKind::Tag => ExportKind::Tag(index),
    }
}

fn data_info(data: &wasmparser::Data<'_>) -> Result<DataInfo, Error> {
    let mode = match &data.kind {
        DataKind::Passive => SegmentMode::Passive,
        DataKind::Active { memory_index, offset_expr } => {
            SegmentMode::Active(*memory_index, const_expr(offset_expr)?)
        }
    };
    let end = data.range.end as usize;
    Ok(DataInfo { mode, bytes: end - data.data.len()..end })
}

fn element_info(element: wasmparser::Element<'_>) -> Result<ElementInfo, Error> {
    let mode = match element.kind {
        ElementKind::Passive => SegmentMode::Passive,
        ElementKind::Active { table_index, offset_expr } => {
            SegmentMode::Active(table_index.unwrap_or(0), const_expr(&offset_expr)?)
        }
        ElementKind::Declared => SegmentMode::Declared,
    };
    let items = match element.items {
        ElementItems::Functions(reader) => {
            reader.into_iter().map(|f| Ok(ConstOp::RefFunc(f?))).collect::<Result<_, Error>>()?
        }
        ElementItems::Expressions(_, reader) => {
            reader.into_iter().map(|expr| reference(&expr?)).collect::<Result<_, Error>>()?
        }
    };
    Ok(ElementInfo { mode, items })
}

/// The operator of a constant expression that makes a reference: there is but one.
fn reference(expr: &ConstExpr<'_>) -> Result<ConstOp, Error> {
    let ops = const_expr(expr)?;
    Ok(*ops.last().expect("a validated expression has an operator"))
}

fn const_expr(expr: &ConstExpr<'_>) -> Result<ConstExprOps, Error> {
    let mut ops = Vec::new();
    for op in expr.get_operators_reader() {
        ops.push(match op? {
            Operator::I32Const { value } => ConstOp::I32Const(value),
            Operator::I64Const { value } => ConstOp::I64Const(value),
            Operator::F32Const { value } => ConstOp::F32Const(value.bits()),
            Operator::F64Const { value } => ConstOp::F64Const(value.bits()),
            Operator::V128Const { value } => ConstOp::V128Const(u128::from_le_bytes(*value.bytes())),
            Operator::GlobalGet { global_index } => ConstOp::GlobalGet(global_index),
            Operator::RefNull { .. } => ConstOp::RefNull,
            Operator::RefFunc { function_index } => ConstOp::RefFunc(function_index),
            Operator::I32Add => ConstOp::I32Add,
            Operator::I32Sub => ConstOp::I32Sub,
            Operator::I32Mul => ConstOp::I32Mul,
            Operator::I64Add => ConstOp::I64Add,
            Operator::I64Sub => ConstOp::I64Sub,
            Operator::I64Mul => ConstOp::I64Mul,
            Operator::End => break,
            other => unreachable!("validation refuses {other:?} in a constant expression"),
        });
    }
    Ok(ops)
}

fn name_map(map: wasmparser::NameMap<'_>) -> Vec<(u32, String)> {
    let mut names: Vec<(u32, String)> =
        map.into_iter().map_while(Result::ok).map(|naming| (naming.index, naming.name.to_owned())).collect();
    names.sort_by_key(|(index, _)| *index);
    names.dedup_by_key(|(index, _)| *index);
    names
}

fn to_usize(range: Range<u64>) -> Range<usize> {
    range.start as usize..range.end as usize
}
