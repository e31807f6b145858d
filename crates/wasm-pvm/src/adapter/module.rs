//! A module to be linked, taken apart into sections.

use wasmparser::{
    CustomSectionReader, DataSectionReader, ElementSectionReader, ExternalKind, FuncType, FunctionBody,
    FunctionSectionReader, GlobalSectionReader, Import, KnownCustom, MemorySectionReader, Name, Parser,
    Payload, TableSectionReader, TypeRef, TypeSectionReader,
};

use super::AdapterError;

/// The index spaces that imports take part in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Space {
    Func,
    Table,
    Memory,
    Global,
}

impl Space {
    pub const ALL: [Self; 4] = [Self::Func, Self::Table, Self::Memory, Self::Global];

    pub fn of(kind: ExternalKind) -> Option<Self> {
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => Some(Self::Func),
            ExternalKind::Table => Some(Self::Table),
            ExternalKind::Memory => Some(Self::Memory),
            ExternalKind::Global => Some(Self::Global),
            ExternalKind::Tag => None,
        }
    }

    fn of_type(ty: TypeRef) -> Option<Self> {
        match ty {
            TypeRef::Func(_) | TypeRef::FuncExact(_) => Some(Self::Func),
            TypeRef::Table(_) => Some(Self::Table),
            TypeRef::Memory(_) => Some(Self::Memory),
            TypeRef::Global(_) => Some(Self::Global),
            TypeRef::Tag(_) => None,
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

/// A module's sections, and how many things it declares.
#[derive(Default)]
pub struct LinkedModule<'a> {
    pub type_section: Option<TypeSectionReader<'a>>,
    /// Function types by index; other types are `None`.
    pub types: Vec<Option<FuncType>>,
    /// Imports of each index space.
    pub imports: [Vec<Import<'a>>; 4],
    /// Number of definitions in each index space.
    pub defined: [u32; 4],
    pub functions: Option<FunctionSectionReader<'a>>,
    /// Type indices of defined functions.
    pub function_types: Vec<u32>,
    pub tables: Option<TableSectionReader<'a>>,
    pub memories: Option<MemorySectionReader<'a>>,
    pub globals: Option<GlobalSectionReader<'a>>,
    pub exports: Vec<ModuleExport<'a>>,
    pub start: Option<u32>,
    pub elements: Option<ElementSectionReader<'a>>,
    pub has_data_count: bool,
    pub bodies: Vec<FunctionBody<'a>>,
    pub data: Option<DataSectionReader<'a>>,
    /// Names of functions and globals.
    pub names: [Vec<(u32, &'a str)>; 2],
    /// Custom sections but the names.
    pub customs: Vec<CustomSectionReader<'a>>,
}

impl<'a> LinkedModule<'a> {
    pub fn parse(wasm: &'a [u8]) -> Result<Self, AdapterError> {
        let mut module = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            module.section(payload?)?;
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

    /// The export of this name in this index space.
    pub fn export(&self, space: Space, name: &str) -> Option<u32> {
        self.exports
            .iter()
            .find(|export| export.space == space && export.name == name)
            .map(|export| export.index)
    }

    /// The type of a function, if the module is right about it.
    pub fn func_type(&self, index: u32) -> Option<&FuncType> {
        let imported = &self.imports[Space::Func as usize];
        let ty = match imported.get(index as usize) {
            Some(import) => match import.ty {
                TypeRef::Func(ty) | TypeRef::FuncExact(ty) => ty,
                _ => return None,
            },
            None => *self.function_types.get(index as usize - imported.len())?,
        };
        self.types.get(ty as usize)?.as_ref()
    }

    pub fn element_count(&self) -> u32 {
        self.elements.as_ref().map_or(0, ElementSectionReader::count)
    }

    pub fn data_count(&self) -> u32 {
        self.data.as_ref().map_or(0, DataSectionReader::count)
    }

    fn section(&mut self, payload: Payload<'a>) -> Result<(), AdapterError> {
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
                    let space = Space::of_type(import.ty).ok_or(AdapterError::Tags)?;
                    self.imports[space as usize].push(import);
                }
            }
            Payload::FunctionSection(reader) => {
                self.function_types = reader.clone().into_iter().collect::<Result<_, _>>()?;
                self.defined[Space::Func as usize] = reader.count();
                self.functions = Some(reader);
            }
            Payload::TableSection(reader) => {
                self.defined[Space::Table as usize] = reader.count();
                self.tables = Some(reader);
            }
            Payload::MemorySection(reader) => {
                self.defined[Space::Memory as usize] = reader.count();
                self.memories = Some(reader);
            }
            Payload::GlobalSection(reader) => {
                self.defined[Space::Global as usize] = reader.count();
                self.globals = Some(reader);
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let wasmparser::Export { name, kind, index } = export?;
                    let space = Space::of(kind).ok_or(AdapterError::Tags)?;
                    self.exports.push(ModuleExport { name, kind, space, index });
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(reader) => self.elements = Some(reader),
            Payload::DataCountSection { .. } => self.has_data_count = true,
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::DataSection(reader) => self.data = Some(reader),
            Payload::CustomSection(reader) => self.custom(reader),
            Payload::TagSection(_) => return Err(AdapterError::Tags),
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
