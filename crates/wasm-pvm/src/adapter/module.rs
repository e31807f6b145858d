//! Parsing a module to be linked into its sections.

use std::collections::BTreeMap;

use wasmparser::{
    ConstExpr, CustomSectionReader, Data, Element, ExternalKind, FuncType, FunctionBody,
    FunctionSectionReader, GlobalSectionReader, GlobalType, Import, KnownCustom, MemorySectionReader,
    MemoryType, Name, Parser, Payload, TableSectionReader, TableType, TagSectionReader, TypeRef,
    TypeSectionReader,
};

use super::AdapterError;

/// The index spaces that imports take part in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Space {
    Func,
    Table,
    Memory,
    Global,
    Tag,
}

impl Space {
    pub const COUNT: usize = 5;
    pub const ALL: [Self; Self::COUNT] = [Self::Func, Self::Table, Self::Memory, Self::Global, Self::Tag];

    /// The word for an entry in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Func => "function",
            Self::Table => "table",
            Self::Memory => "memory",
            Self::Global => "global",
            Self::Tag => "tag",
        }
    }

    pub fn of(kind: ExternalKind) -> Self {
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => Self::Func,
            ExternalKind::Table => Self::Table,
            ExternalKind::Memory => Self::Memory,
            ExternalKind::Global => Self::Global,
            ExternalKind::Tag => Self::Tag,
        }
    }

    fn of_type(ty: TypeRef) -> Self {
        match ty {
            TypeRef::Func(_) | TypeRef::FuncExact(_) => Self::Func,
            TypeRef::Table(_) => Self::Table,
            TypeRef::Memory(_) => Self::Memory,
            TypeRef::Global(_) => Self::Global,
            TypeRef::Tag(_) => Self::Tag,
        }
    }
}

/// An export.
#[derive(Clone, Copy, Debug)]
pub struct ModuleExport<'a> {
    pub name: &'a str,
    pub kind: ExternalKind,
    pub space: Space,
    pub index: u32,
}

/// The type of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryType<'m> {
    /// `None` if the declared type is not a function type.
    Func(Option<&'m FuncType>),
    Table(TableType),
    Memory(MemoryType),
    Global(GlobalType),
    /// The function type of its values, as for a function.
    Tag(Option<&'m FuncType>),
}

/// A module's sections, and the number of entries it declares.
#[derive(Default)]
pub struct LinkedModule<'a> {
    /// The name in messages.
    pub name: String,
    pub type_section: Option<TypeSectionReader<'a>>,
    /// Function types by index; other types are `None`.
    pub types: Vec<Option<FuncType>>,
    /// The class of each type, see [`super::classes`].
    pub classes: Vec<u32>,
    /// Imports of each index space.
    pub imports: [Vec<Import<'a>>; Space::COUNT],
    /// Number of definitions in each index space.
    pub defined: [u32; Space::COUNT],
    pub functions: Option<FunctionSectionReader<'a>>,
    /// Type indices of defined functions.
    pub function_types: Vec<u32>,
    pub tables: Option<TableSectionReader<'a>>,
    pub table_types: Vec<TableType>,
    pub memories: Option<MemorySectionReader<'a>>,
    pub memory_types: Vec<MemoryType>,
    pub tags: Option<TagSectionReader<'a>>,
    /// Type indices of defined tags.
    pub tag_types: Vec<u32>,
    pub globals: Option<GlobalSectionReader<'a>>,
    /// Types and initial values of defined globals.
    pub global_values: Vec<(GlobalType, ConstExpr<'a>)>,
    pub exports: Vec<ModuleExport<'a>>,
    /// Positions of exports by name.
    by_name: BTreeMap<&'a str, usize>,
    /// Start functions, in the order of their calls.
    pub starts: Vec<u32>,
    pub elements: Vec<Element<'a>>,
    pub has_data_count: bool,
    pub bodies: Vec<FunctionBody<'a>>,
    pub data: Vec<Data<'a>>,
    /// Names of functions and globals.
    pub names: [Vec<(u32, &'a str)>; 2],
    /// Custom sections other than names.
    pub customs: Vec<CustomSectionReader<'a>>,
    /// The exports that its imports are given, if they are not found by name.
    pub given: Option<Given>,
}

/// For each import of each index space, the module and index of the entry that it is given; `None` for the host's.
pub type Given = [Vec<Option<(usize, u32)>>; Space::COUNT];

impl<'a> LinkedModule<'a> {
    pub fn parse(name: &str, wasm: &'a [u8]) -> Result<Self, AdapterError> {
        let mut module = Self { name: name.to_owned(), ..Self::default() };
        for payload in Parser::new(0).parse_all(wasm) {
            let read = payload.and_then(|payload| module.section(payload));
            read.map_err(|error| AdapterError::malformed(name, &error))?;
        }
        Ok(module)
    }

    /// Number of imports of an index space.
    pub fn imported(&self, space: Space) -> u32 {
        self.imports[space as usize].len() as u32
    }

    /// Number of entries of an index space.
    pub fn len(&self, space: Space) -> u32 {
        self.imported(space) + self.defined[space as usize]
    }

    /// The export of this name.
    pub fn export(&self, name: &str) -> Option<&ModuleExport<'a>> {
        self.by_name.get(name).map(|&at| &self.exports[at])
    }

    /// The export that an import is given. Where the import's module is an interface of the component model, such as
    /// `wasi:cli/exit@0.2.0`, the interface is part of the name: `wasi:cli/exit@0.2.0#exit`.
    pub fn export_for(&self, import: &Import<'_>) -> Option<&ModuleExport<'a>> {
        let is_interface = import.module.contains(':');
        let full = is_interface.then(|| self.export(&format!("{}#{}", import.module, import.name)));
        full.flatten().or_else(|| self.export(import.name))
    }

    /// The type of an entry; `None` if there is no such entry.
    pub fn entry_type(&self, space: Space, index: u32) -> Option<EntryType<'_>> {
        let imports = &self.imports[space as usize];
        let ty = |ty: u32| self.types.get(ty as usize).and_then(Option::as_ref);
        let func = |index: u32| EntryType::Func(ty(index));
        if let Some(import) = imports.get(index as usize) {
            return match import.ty {
                TypeRef::Func(ty) | TypeRef::FuncExact(ty) => Some(func(ty)),
                TypeRef::Table(ty) => Some(EntryType::Table(ty)),
                TypeRef::Memory(ty) => Some(EntryType::Memory(ty)),
                TypeRef::Global(ty) => Some(EntryType::Global(ty)),
                TypeRef::Tag(tag) => Some(EntryType::Tag(ty(tag.func_type_idx))),
            };
        }
        let n = index as usize - imports.len();
        match space {
            Space::Func => self.function_types.get(n).map(|&ty| func(ty)),
            Space::Table => self.table_types.get(n).copied().map(EntryType::Table),
            Space::Memory => self.memory_types.get(n).copied().map(EntryType::Memory),
            Space::Global => self.global_values.get(n).map(|&(ty, _)| EntryType::Global(ty)),
            Space::Tag => self.tag_types.get(n).map(|&index| EntryType::Tag(ty(index))),
        }
    }

    fn section(&mut self, payload: Payload<'a>) -> wasmparser::Result<()> {
        match payload {
            Payload::TypeSection(reader) => {
                for group in reader.clone() {
                    self.types.extend(group?.into_types().map(|ty| match ty.composite_type.inner {
                        wasmparser::CompositeInnerType::Func(func) => Some(func),
                        _ => None,
                    }));
                }
                self.type_section = Some(reader);
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    let import = import?;
                    self.imports[Space::of_type(import.ty) as usize].push(import);
                }
            }
            Payload::FunctionSection(reader) => {
                self.function_types = reader.clone().into_iter().collect::<Result<_, _>>()?;
                self.defined[Space::Func as usize] = reader.count();
                self.functions = Some(reader);
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let wasmparser::Export { name, kind, index } = export?;
                    let space = Space::of(kind);
                    self.by_name.entry(name).or_insert(self.exports.len());
                    self.exports.push(ModuleExport { name, kind, space, index });
                }
            }
            Payload::StartSection { func, .. } => self.starts.push(func),
            Payload::ElementSection(reader) => {
                self.elements = reader.into_iter().collect::<Result<_, _>>()?
            }
            Payload::DataCountSection { .. } => self.has_data_count = true,
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::DataSection(reader) => self.data = reader.into_iter().collect::<Result<_, _>>()?,
            Payload::CustomSection(reader) => self.custom(reader),
            other => self.storage(other)?,
        }
        Ok(())
    }

    /// Tables, memories, globals and tags.
    fn storage(&mut self, payload: Payload<'a>) -> wasmparser::Result<()> {
        match payload {
            Payload::TableSection(reader) => {
                for table in reader.clone() {
                    self.table_types.push(table?.ty);
                }
                self.defined[Space::Table as usize] = reader.count();
                self.tables = Some(reader);
            }
            Payload::MemorySection(reader) => {
                self.memory_types = reader.clone().into_iter().collect::<Result<_, _>>()?;
                self.defined[Space::Memory as usize] = reader.count();
                self.memories = Some(reader);
            }
            Payload::GlobalSection(reader) => {
                for global in reader.clone() {
                    let global = global?;
                    self.global_values.push((global.ty, global.init_expr));
                }
                self.defined[Space::Global as usize] = reader.count();
                self.globals = Some(reader);
            }
            Payload::TagSection(reader) => {
                for tag in reader.clone() {
                    self.tag_types.push(tag?.func_type_idx);
                }
                self.defined[Space::Tag as usize] = reader.count();
                self.tags = Some(reader);
            }
            _ => {}
        }
        Ok(())
    }

    /// Malformed names are ignored, as they are hints.
    fn custom(&mut self, reader: CustomSectionReader<'a>) {
        let KnownCustom::Name(names) = reader.as_known() else {
            self.customs.push(reader);
            return;
        };
        for name in names.into_iter().map_while(Result::ok) {
            let (kind, map) = match name {
                Name::Function(map) => (0, map),
                Name::Global(map) => (1, map),
                _ => continue,
            };
            let names = map.into_iter().map_while(Result::ok).map(|naming| (naming.index, naming.name));
            self.names[kind].extend(names);
        }
    }
}
