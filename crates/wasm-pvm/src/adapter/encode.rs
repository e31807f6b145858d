//! Encodes the linked module.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, ExportSection,
    FunctionSection, GlobalSection, ImportSection, MemorySection, Module, NameMap, NameSection, StartSection,
    TableSection, TagSection, TypeSection,
};
use wasmparser::{DataKind, ElementKind};

use super::AdapterError;
use super::accesses::{Accesses, accesses};
use super::constants::Constants;
use super::layout::Layout;
use super::module::{EntryType, LinkedModule, ModuleExport, Space};
use super::resolve::{MAIN, Meaning};
use super::start::Start;

/// Prefixes of the custom sections that contain offsets in the main module's code, which moves.
const STALE: [&str; 5] = [".debug_", "reloc.", "linking", "dylink", "metadata.code."];

/// The modules and the layout of their entries in the result.
pub struct Linking<'a> {
    pub modules: &'a [LinkedModule<'a>],
    pub layout: Layout,
    pub constants: RefCell<Constants>,
    /// The exports of the result: modules with their exports.
    pub exports: Vec<(usize, ModuleExport<'a>)>,
}

/// Rewrites the indices of one module.
#[derive(Clone, Copy)]
pub struct Linker<'l> {
    pub linking: &'l Linking<'l>,
    pub module: usize,
}

/// Sections that are filled from several modules.
#[derive(Default)]
struct Declarations {
    types: TypeSection,
    imports: ImportSection,
    functions: FunctionSection,
    tables: TableSection,
    memories: MemorySection,
    tags: TagSection,
    globals: GlobalSection,
}

impl Linking<'_> {
    /// The binary of the result.
    pub fn encode(&self) -> Result<Vec<u8>, AdapterError> {
        let start = Start::new(self.modules, &self.layout)?;
        let mut module = Module::new();
        let mut declarations = self.declarations()?;
        let start_function = if start.is_needed(self) {
            let ty = declarations.types.len();
            let ty = self.modules.iter().map(|module| module.types.len() as u32).sum::<u32>().max(ty);
            declarations.types.ty().function([], []);
            declarations.functions.function(ty);
            let defined = self.modules.iter().map(|module| module.defined[Space::Func as usize]);
            Some(self.layout.kept[Space::Func as usize].len() as u32 + defined.sum::<u32>())
        } else {
            start.single(self)?
        };
        declarations.write(&mut module);
        let mut exports = ExportSection::new();
        for (number, export) in &self.exports {
            let index = self.layout.index(*number, export.space, export.index)?;
            let kind = self.linker(*number).export_kind(export.kind);
            let kind = kind.map_err(|error| self.error(*number, error))?;
            exports.export(export.name, kind, index);
        }
        module.section(&exports);
        if let Some(function_index) = start_function {
            module.section(&StartSection { function_index });
        }
        self.contents(&start, &mut module)?;
        module.section(&self.names());
        self.customs(&mut module)?;
        Ok(module.finish())
    }

    const fn linker(&self, module: usize) -> Linker<'_> {
        Linker { linking: self, module }
    }

    fn error(&self, module: usize, error: Error<AdapterError>) -> AdapterError {
        AdapterError::encoding(&self.modules[module].name, error)
    }

    /// Types, imports, functions, tables, memories, tags and globals.
    fn declarations(&self) -> Result<Declarations, AdapterError> {
        let mut declarations = Declarations::default();
        for space in Space::ALL {
            for &import in &self.layout.kept[space as usize] {
                self.import(&mut declarations.imports, space, import)?;
            }
        }
        for (number, module) in self.modules.iter().enumerate() {
            let declared = self.declare(&mut declarations, number, module);
            declared.map_err(|error| self.error(number, error))?;
        }
        Ok(declarations)
    }

    fn declare(
        &self,
        to: &mut Declarations,
        number: usize,
        module: &LinkedModule<'_>,
    ) -> Result<(), Error<AdapterError>> {
        let mut linker = self.linker(number);
        if let Some(section) = module.type_section.clone() {
            linker.parse_type_section(&mut to.types, section)?;
        }
        if let Some(section) = module.functions.clone() {
            linker.parse_function_section(&mut to.functions, section)?;
        }
        if let Some(section) = module.tables.clone() {
            linker.parse_table_section(&mut to.tables, section)?;
        }
        if let Some(section) = module.memories.clone().filter(|_| !self.layout.drops_memory[number]) {
            linker.parse_memory_section(&mut to.memories, section)?;
        }
        if let Some(section) = module.tags.clone() {
            linker.parse_tag_section(&mut to.tags, section)?;
        }
        if let Some(section) = module.globals.clone() {
            linker.parse_global_section(&mut to.globals, section)?;
        }
        Ok(())
    }

    /// A remaining import, with a type that suits all modules that share it.
    fn import(&self, to: &mut ImportSection, space: Space, import: Meaning) -> Result<(), AdapterError> {
        let (Meaning::Import(number, n) | Meaning::Definition(number, n)) = import;
        let mut linker = self.linker(number);
        let declared = self.modules[number].imports[space as usize][n as usize];
        let ty = match self.layout.kept_type(self.modules, space, import) {
            Some(EntryType::Table(ty)) => linker.table_type(ty).map(wasm_encoder::EntityType::from),
            Some(EntryType::Memory(ty)) => linker.memory_type(ty).map(wasm_encoder::EntityType::from),
            _ => linker.entity_type(declared.ty),
        };
        to.import(declared.module, declared.name, ty.map_err(|error| self.error(number, error))?);
        Ok(())
    }

    /// Elements, code and data.
    fn contents(&self, start: &Start, module: &mut Module) -> Result<(), AdapterError> {
        let mut elements = ElementSection::new();
        let mut code = CodeSection::new();
        let mut data = DataSection::new();
        for &number in &self.layout.order {
            let written = self.segments(&mut elements, &mut data, number, start.is_late[number]);
            written.map_err(|error| self.error(number, error))?;
        }
        for (number, from) in self.modules.iter().enumerate() {
            for body in &from.bodies {
                let written = self.linker(number).parse_function_body(&mut code, body.clone());
                written.map_err(|error| self.error(number, error))?;
            }
        }
        let references: Vec<u32> = self.references()?.into_iter().collect();
        if !references.is_empty() {
            elements.declared(Elements::Functions(references.into()));
        }
        if start.is_needed(self) {
            code.function(&start.body(self)?);
        }
        module.section(&elements);
        if start.is_needed(self) || self.modules.iter().any(|module| module.has_data_count) {
            module.section(&DataCountSection { count: data.len() });
        }
        module.section(&code).section(&data);
        Ok(())
    }

    /// Segments of a module; `is_late` makes active ones passive.
    fn segments(
        &self,
        elements: &mut ElementSection,
        data: &mut DataSection,
        number: usize,
        is_late: bool,
    ) -> Result<(), Error<AdapterError>> {
        let mut linker = self.linker(number);
        for element in &self.modules[number].elements {
            match element.kind {
                ElementKind::Active { .. } if is_late => {
                    elements.passive(linker.element_items(element.items.clone())?);
                }
                _ => linker.parse_element(elements, element.clone())?,
            }
        }
        for segment in &self.modules[number].data {
            match segment.kind {
                DataKind::Active { .. } if is_late => {
                    data.passive(segment.data.iter().copied());
                }
                _ => linker.parse_data(data, segment.clone())?,
            }
        }
        Ok(())
    }

    /// Functions to which code makes references. Exports that are left out may have declared them.
    fn references(&self) -> Result<BTreeSet<u32>, AdapterError> {
        let mut references = BTreeSet::new();
        for (number, module) in self.modules.iter().enumerate() {
            for body in &module.bodies {
                for access in accesses(module, body)? {
                    if let Accesses::Reference(function) = access {
                        references.insert(self.layout.index(number, Space::Func, function)?);
                    }
                }
            }
        }
        Ok(references)
    }

    /// Names of all modules; where an import was replaced, the definition's name stays.
    fn names(&self) -> NameSection {
        let collect = |kind: usize, space: Space| {
            let mut names = BTreeMap::new();
            for (number, module) in self.modules.iter().enumerate().rev() {
                for &(index, name) in &module.names[kind] {
                    let replaced = index < module.imported(space);
                    if let Ok(index) = self.layout.index(number, space, index) {
                        if replaced {
                            names.entry(index).or_insert(name);
                        } else {
                            names.insert(index, name);
                        }
                    }
                }
            }
            let mut map = NameMap::new();
            names.into_iter().for_each(|(index, name)| map.append(index, name));
            map
        };
        let mut section = NameSection::new();
        section.functions(&collect(0, Space::Func));
        section.globals(&collect(1, Space::Global));
        section
    }

    /// The main module's custom sections that remain valid.
    fn customs(&self, module: &mut Module) -> Result<(), AdapterError> {
        let customs = &self.modules[MAIN].customs;
        let stale = |name: &str| STALE.iter().any(|prefix| name.starts_with(prefix));
        if customs.iter().any(|custom| stale(custom.name())) {
            tracing::warn!(
                code = "W0115",
                "adapters move code, so the module's DWARF and relocations are left out"
            );
        }
        for custom in customs.iter().filter(|custom| !stale(custom.name())) {
            let section = self.linker(MAIN).custom_section(custom.clone());
            module.section(&section.map_err(|error| self.error(MAIN, error))?);
        }
        Ok(())
    }
}

impl Declarations {
    fn write(&self, module: &mut Module) {
        module.section(&self.types).section(&self.imports).section(&self.functions);
        module.section(&self.tables).section(&self.memories);
        if !self.tags.is_empty() {
            module.section(&self.tags);
        }
        module.section(&self.globals);
    }
}

impl Linker<'_> {
    fn index(&self, space: Space, index: u32) -> Result<u32, Error<AdapterError>> {
        self.linking.layout.index(self.module, space, index).map_err(Error::UserError)
    }

    /// The code of a constant expression, without its end.
    pub fn expression(&mut self, expression: &wasmparser::ConstExpr<'_>) -> Result<Vec<u8>, AdapterError> {
        self.linking.constants.borrow_mut().expression(self, expression)
    }
}

impl Reencode for Linker<'_> {
    type Error = AdapterError;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<AdapterError>> {
        self.index(Space::Func, index)
    }

    fn table_index(&mut self, index: u32) -> Result<u32, Error<AdapterError>> {
        self.index(Space::Table, index)
    }

    fn memory_index(&mut self, index: u32) -> Result<u32, Error<AdapterError>> {
        self.index(Space::Memory, index)
    }

    fn tag_index(&mut self, index: u32) -> Result<u32, Error<AdapterError>> {
        self.index(Space::Tag, index)
    }

    fn global_index(&mut self, index: u32) -> Result<u32, Error<AdapterError>> {
        self.index(Space::Global, index)
    }

    fn type_index(&mut self, index: u32) -> Result<u32, Error<AdapterError>> {
        Ok(index.wrapping_add(self.linking.layout.offsets[self.module].types))
    }

    fn element_index(&mut self, index: u32) -> Result<u32, Error<AdapterError>> {
        Ok(index.wrapping_add(self.linking.layout.offsets[self.module].elements))
    }

    fn data_index(&mut self, index: u32) -> Result<u32, Error<AdapterError>> {
        Ok(index.wrapping_add(self.linking.layout.offsets[self.module].data))
    }

    fn const_expr(
        &mut self,
        expression: wasmparser::ConstExpr<'_>,
    ) -> Result<ConstExpr, Error<AdapterError>> {
        self.expression(&expression).map(ConstExpr::raw).map_err(Error::UserError)
    }
}
