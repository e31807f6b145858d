//! The parts of a side module that decide about its place.

use wasmparser::{
    BinaryReader, ConstExpr, Dylink0Subsection, Element, Export, ExternalKind, FuncType, Import, KnownCustom,
    MemInfo, Parser, Payload, Result, SymbolFlags, TypeRef,
};

/// A module with a section for dynamic loaders.
pub struct SideModule<'a> {
    pub needs: MemInfo,
    pub imports: Vec<Import<'a>>,
    pub exports: Vec<Export<'a>>,
    /// Values of the defined globals.
    pub globals: Vec<ConstExpr<'a>>,
    pub elements: Vec<Element<'a>>,
    pub start: Option<u32>,
    types: Vec<FuncType>,
    /// Types of all functions.
    functions: Vec<u32>,
    /// Imported symbols that may be missing: their address is null then.
    weak: Vec<&'a str>,
    /// Exported symbols whose values are offsets in a thread's own data.
    thread_local: Vec<&'a str>,
}

impl<'a> SideModule<'a> {
    /// Reads a module; `None` if no section for dynamic loaders comes first.
    pub fn read(wasm: &'a [u8]) -> Result<Option<Self>> {
        let needs = MemInfo { memory_size: 0, memory_alignment: 0, table_size: 0, table_alignment: 0 };
        let mut module = Self {
            needs,
            imports: Vec::new(),
            exports: Vec::new(),
            globals: Vec::new(),
            elements: Vec::new(),
            start: None,
            types: Vec::new(),
            functions: Vec::new(),
            weak: Vec::new(),
            thread_local: Vec::new(),
        };
        let mut is_side_module = false;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::Version { .. } => {}
                Payload::CustomSection(section) if matches!(section.name(), "dylink.0" | "dylink") => {
                    is_side_module = true;
                    module.loader_section(&section)?;
                }
                Payload::CustomSection(_) => {}
                _ if !is_side_module => return Ok(None),
                Payload::TypeSection(types) => {
                    module.types = types.into_iter_err_on_gc_types().collect::<Result<_>>()?;
                }
                Payload::ImportSection(imports) => module.read_imports(imports)?,
                Payload::FunctionSection(functions) => {
                    for ty in functions {
                        module.functions.push(ty?);
                    }
                }
                Payload::GlobalSection(globals) => {
                    let values = globals.into_iter().map(|global| Ok(global?.init_expr));
                    module.globals = values.collect::<Result<_>>()?;
                }
                Payload::ExportSection(exports) => {
                    module.exports = exports.into_iter().collect::<Result<_>>()?;
                }
                Payload::ElementSection(elements) => {
                    module.elements = elements.into_iter().collect::<Result<_>>()?;
                }
                Payload::StartSection { func, .. } => module.start = Some(func),
                _ => {}
            }
        }
        Ok(is_side_module.then_some(module))
    }

    fn read_imports(&mut self, imports: wasmparser::ImportSectionReader<'a>) -> Result<()> {
        for import in imports.into_imports() {
            let import = import?;
            if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import.ty {
                self.functions.push(ty);
            }
            self.imports.push(import);
        }
        Ok(())
    }

    /// Reads `dylink.0`, or `dylink`: the same numbers without a frame around them.
    fn loader_section(&mut self, section: &wasmparser::CustomSectionReader<'a>) -> Result<()> {
        let KnownCustom::Dylink0(subsections) = section.as_known() else {
            let mut reader = BinaryReader::new(section.data(), section.data_offset());
            self.needs = MemInfo {
                memory_size: reader.read_var_u32()?,
                memory_alignment: reader.read_var_u32()?,
                table_size: reader.read_var_u32()?,
                table_alignment: reader.read_var_u32()?,
            };
            return Ok(());
        };
        for subsection in subsections {
            match subsection? {
                Dylink0Subsection::MemInfo(needs) => self.needs = needs,
                Dylink0Subsection::ImportInfo(imports) => {
                    let weak =
                        imports.iter().filter(|import| import.flags.contains(SymbolFlags::BINDING_WEAK));
                    self.weak.extend(weak.map(|import| import.field));
                }
                Dylink0Subsection::ExportInfo(exports) => {
                    let local = exports.iter().filter(|export| export.flags.contains(SymbolFlags::TLS));
                    self.thread_local.extend(local.map(|export| export.name));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The index of an export of a kind.
    pub fn export(&self, name: &str, kind: ExternalKind) -> Option<u32> {
        let export = self.exports.iter().find(|export| export.name == name && export.kind == kind)?;
        Some(export.index)
    }

    /// The function that is called for a symbol: the module's own, or an import that must exist.
    pub fn function(&self, symbol: &str) -> Option<u32> {
        self.export(symbol, ExternalKind::Func).or_else(|| {
            let is_function =
                |import: &&Import<'_>| matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_));
            let functions = self.imports.iter().filter(is_function);
            let at = functions.clone().position(|import| import.module == "env" && import.name == symbol)?;
            (!self.is_weak(symbol)).then_some(at as u32)
        })
    }

    /// Whether the module expects that a symbol may not exist.
    pub fn is_weak(&self, symbol: &str) -> bool {
        self.weak.contains(&symbol)
    }

    /// Whether an exported symbol is in the data of a thread.
    pub fn is_thread_local(&self, symbol: &str) -> bool {
        self.thread_local.contains(&symbol)
    }

    /// Imported globals.
    pub fn imported_globals(&self) -> impl Iterator<Item = &Import<'a>> {
        self.imports.iter().filter(|import| matches!(import.ty, TypeRef::Global(_)))
    }

    /// Whether a global is the import of this name from `env`.
    pub fn is_global(&self, index: u32, name: &str) -> bool {
        let import = self.imported_globals().nth(index as usize);
        import.is_some_and(|import| import.module == "env" && import.name == name)
    }

    /// Index of the imported table for functions.
    pub fn function_table(&self) -> Option<u32> {
        let mut tables = self.imports.iter().filter(|import| matches!(import.ty, TypeRef::Table(_)));
        tables.position(|import| import.name == "__indirect_function_table").map(|index| index as u32)
    }

    /// The type of a defined function, if that has neither parameters nor results.
    pub fn defined_plain(&self, function: u32) -> Option<u32> {
        let is_import = |import: &&Import<'_>| matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_));
        if (function as usize) < self.imports.iter().filter(is_import).count() {
            return None;
        }
        let ty = *self.functions.get(function as usize)?;
        let declared = self.types.get(ty as usize)?;
        (declared.params().is_empty() && declared.results().is_empty()).then_some(ty)
    }

    /// Number of functions.
    pub fn function_count(&self) -> u32 {
        self.functions.len() as u32
    }
}
