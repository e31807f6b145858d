//! Linking an adapter: a module whose exports replace imports of another.
//!
//! An import map gives an import a fixed action; some imports need code in between, for example to read a string's
//! length from memory before a host call. Such code is a wasm module of its own, the *adapter*. It is linked with the
//! *main* module into one before compilation, so the optimiser sees through it.
//!
//! - An import of main is replaced by the adapter's export of the same kind whose name is the import's second level.
//!   Types must agree.
//! - An import of the adapter is replaced by main's export of that name; otherwise it is kept, or shared with an equal
//!   import of main. So an adapter can call back, and can use host calls.
//! - Both work on one linear memory, main's if it has one. An adapter may use memory 0 without declaring it.
//! - The result exports what main exports. Everything else is put side by side: imports first, then main's
//!   definitions, then the adapter's.
//!
//! Neither module is validated here: the frontend validates the result.

mod module;

use std::collections::BTreeMap;

use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{
    CodeSection, DataCountSection, DataSection, ElementSection, ExportSection, FunctionSection,
    GlobalSection, ImportSection, MemorySection, Module, NameMap, NameSection, StartSection, TableSection,
    TypeSection,
};
use wasmparser::{CustomSectionReader, FuncType, Import};

use crate::input::InputError;
use module::{LinkedModule, Space};

/// Why an adapter can't be linked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AdapterError {
    /// The adapter is no WebAssembly in any accepted form.
    #[error(transparent)]
    Input(#[from] InputError),
    /// One of the modules is malformed.
    #[error("malformed module at offset {offset:#x}: {message}")]
    Malformed {
        /// Byte offset in the module.
        offset: u64,
        /// What is wrong.
        message: String,
    },
    /// An index is out of range.
    #[error("the modules refer to {0} {1}, which does not exist")]
    Index(&'static str, u32),
    /// The export and the import have different types.
    #[error("the import {import} has type {wanted}, but the adapter exports {found}")]
    Type {
        /// Full name of the import.
        import: String,
        /// Type of the import.
        wanted: String,
        /// Type of the export.
        found: String,
    },
    /// Imports and exports lead in a circle.
    #[error("the import {0} is its own definition")]
    Circular(String),
    /// Both modules have a start function.
    #[error("main module and adapter both have a start function")]
    TwoStarts,
    /// Exceptions are not supported.
    #[error("tags are not supported")]
    Tags,
    /// Anything else the encoder refuses.
    #[error("{0}")]
    Other(String),
}

impl From<wasmparser::Error> for AdapterError {
    fn from(error: wasmparser::Error) -> Self {
        Self::Malformed { offset: error.offset(), message: error.message().to_owned() }
    }
}

impl From<reencode::Error<AdapterError>> for AdapterError {
    fn from(error: reencode::Error<AdapterError>) -> Self {
        match error {
            reencode::Error::UserError(error) => error,
            reencode::Error::ParseError(error) => error.into(),
            other => Self::Other(other.to_string()),
        }
    }
}

/// Links `adapter` into `main`; both are WebAssembly binaries.
///
/// # Errors
/// If types disagree, definitions are circular, or a module is malformed.
pub fn merge(main: &[u8], adapter: &[u8]) -> Result<Vec<u8>, AdapterError> {
    let sides = [LinkedModule::parse(main)?, LinkedModule::parse(adapter)?];
    check_types(&sides)?;
    let layout = Layout::new(&sides)?;
    layout.encode(&sides)
}

/// Which module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Main,
    Adapter,
}

impl Side {
    const BOTH: [Self; 2] = [Self::Main, Self::Adapter];

    const fn other(self) -> Self {
        match self {
            Self::Main => Self::Adapter,
            Self::Adapter => Self::Main,
        }
    }
}

/// The other side's export that replaces an import.
fn replacement(sides: &[LinkedModule<'_>; 2], side: Side, space: Space, import: &Import<'_>) -> Option<u32> {
    let other = &sides[side.other() as usize];
    match (side, space) {
        (Side::Main, Space::Memory) => None,
        (Side::Adapter, Space::Memory) => (other.len(Space::Memory) > 0).then_some(0),
        _ => other.export(space, import.name),
    }
}

fn check_types(sides: &[LinkedModule<'_>; 2]) -> Result<(), AdapterError> {
    for side in Side::BOTH {
        for (index, import) in (0..).zip(&sides[side as usize].imports[Space::Func as usize]) {
            let Some(export) = replacement(sides, side, Space::Func, import) else { continue };
            let wanted = sides[side as usize].func_type(index);
            let found = sides[side.other() as usize].func_type(export);
            if wanted != found {
                let text = |ty: Option<&FuncType>| ty.map_or_else(|| "no function type".to_owned(), describe);
                return Err(AdapterError::Type {
                    import: full_name(import),
                    wanted: text(wanted),
                    found: text(found),
                });
            }
        }
    }
    Ok(())
}

fn describe(ty: &FuncType) -> String {
    let list = |types: &[wasmparser::ValType]| {
        let names: Vec<String> = types.iter().map(ToString::to_string).collect();
        names.join(", ")
    };
    format!("({}) -> ({})", list(ty.params()), list(ty.results()))
}

fn full_name(import: &Import<'_>) -> String {
    format!("{}.{}", import.module, import.name)
}

/// Where everything is in the result.
struct Layout {
    /// For each side and index space, the new index of every entry.
    indices: [[Vec<u32>; 4]; 2],
    /// The imports that are kept, by index space: side and position.
    kept: [Vec<(Side, usize)>; 4],
    /// What is added to the adapter's type, element and data indices.
    adapter_types: u32,
    adapter_elements: u32,
    adapter_data: u32,
    /// The adapter's own memory is left out: it works on main's.
    drops_adapter_memory: bool,
}

/// For each side and index space, what every entry turns out to be.
type Meanings = [[Vec<Meaning>; 4]; 2];

fn meanings(sides: &[LinkedModule<'_>; 2]) -> Result<Meanings, AdapterError> {
    let mut meanings = Meanings::default();
    for side in Side::BOTH {
        for space in Space::ALL {
            let len = sides[side as usize].len(space);
            let of_space = (0..len).map(|index| meaning(sides, side, space, index));
            meanings[side as usize][space as usize] = of_space.collect::<Result<_, _>>()?;
        }
    }
    Ok(meanings)
}

/// The imports that something means, main's first.
fn kept_imports(meanings: &Meanings, space: Space) -> Vec<(Side, usize)> {
    let mut kept = Vec::new();
    for meaning in meanings.iter().flat_map(|side| &side[space as usize]) {
        if let Meaning::Import(side, n) = *meaning
            && !kept.contains(&(side, n))
        {
            kept.push((side, n));
        }
    }
    kept
}

/// What an entry of an index space turns out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meaning {
    /// Import number `n` of a side.
    Import(Side, usize),
    /// Definition number `n` of a side.
    Definition(Side, u32),
}

impl Layout {
    fn new(sides: &[LinkedModule<'_>; 2]) -> Result<Self, AdapterError> {
        let [main, adapter] = sides;
        let meanings = meanings(sides)?;
        let kept = Space::ALL.map(|space| kept_imports(&meanings, space));
        let index = |space: Space, meaning: &Meaning| {
            let kept = &kept[space as usize];
            match *meaning {
                Meaning::Import(side, n) => {
                    let known = kept.iter().position(|&import| import == (side, n));
                    known.expect("every import that is meant is kept") as u32
                }
                Meaning::Definition(Side::Main, n) => kept.len() as u32 + n,
                Meaning::Definition(Side::Adapter, n) => kept.len() as u32 + main.defined[space as usize] + n,
            }
        };
        let indices_of = |side: Side, space: Space| -> Vec<u32> {
            meanings[side as usize][space as usize].iter().map(|meaning| index(space, meaning)).collect()
        };
        let mut indices = Side::BOTH.map(|side| Space::ALL.map(|space| indices_of(side, space)));
        let drops_adapter_memory = main.len(Space::Memory) > 0;
        if drops_adapter_memory {
            let memories = adapter.len(Space::Memory).max(1) as usize;
            indices[Side::Adapter as usize][Space::Memory as usize] = vec![0; memories];
        }
        Ok(Self {
            indices,
            kept,
            adapter_types: main.types.len() as u32,
            adapter_elements: main.element_count(),
            adapter_data: main.data_count(),
            drops_adapter_memory,
        })
    }

    fn encode(&self, sides: &[LinkedModule<'_>; 2]) -> Result<Vec<u8>, AdapterError> {
        let [main, adapter] = sides;
        let mut linkers = Side::BOTH.map(|side| Linker { layout: self, side });
        let mut module = Module::new();
        self.declarations(sides, &mut linkers, &mut module)?;
        let mut exports = ExportSection::new();
        for export in &main.exports {
            let index = self.index(Side::Main, export.space, export.index)?;
            exports.export(export.name, linkers[0].export_kind(export.kind)?, index);
        }
        module.section(&exports);
        let start = match (main.start, adapter.start) {
            (Some(_), Some(_)) => return Err(AdapterError::TwoStarts),
            (Some(func), None) => Some(self.index(Side::Main, Space::Func, func)?),
            (None, Some(func)) => Some(self.index(Side::Adapter, Space::Func, func)?),
            (None, None) => None,
        };
        start.into_iter().for_each(|function_index| {
            module.section(&StartSection { function_index });
        });
        self.contents(sides, &mut linkers, &mut module)?;
        module.section(&self.names(sides));
        // Linking moves code, and DWARF names places in it.
        let is_debug = |custom: &&CustomSectionReader<'_>| custom.name().starts_with(".debug_");
        if main.customs.iter().any(|custom| is_debug(&custom)) {
            tracing::warn!("adapters move code, so the DWARF sections of the module are left out");
        }
        for custom in main.customs.iter().filter(|custom| !is_debug(custom)) {
            module.section(&linkers[0].custom_section(custom.clone())?);
        }
        Ok(module.finish())
    }

    /// Types, imports, functions, tables, memories and globals.
    fn declarations(
        &self,
        sides: &[LinkedModule<'_>; 2],
        linkers: &mut [Linker<'_>; 2],
        module: &mut Module,
    ) -> Result<(), AdapterError> {
        let mut types = TypeSection::new();
        let mut imports = ImportSection::new();
        let mut functions = FunctionSection::new();
        let mut tables = TableSection::new();
        let mut memories = MemorySection::new();
        let mut globals = GlobalSection::new();
        for space in Space::ALL {
            for &(side, n) in &self.kept[space as usize] {
                let import = sides[side as usize].imports[space as usize][n];
                linkers[side as usize].parse_import(&mut imports, import)?;
            }
        }
        for (side, linker) in sides.iter().zip(linkers) {
            if let Some(section) = side.type_section.clone() {
                linker.parse_type_section(&mut types, section)?;
            }
            if let Some(section) = side.functions.clone() {
                linker.parse_function_section(&mut functions, section)?;
            }
            if let Some(section) = side.tables.clone() {
                linker.parse_table_section(&mut tables, section)?;
            }
            let is_dropped = linker.side == Side::Adapter && self.drops_adapter_memory;
            if let Some(section) = side.memories.clone().filter(|_| !is_dropped) {
                linker.parse_memory_section(&mut memories, section)?;
            }
            if let Some(section) = side.globals.clone() {
                linker.parse_global_section(&mut globals, section)?;
            }
        }
        module.section(&types).section(&imports).section(&functions);
        module.section(&tables).section(&memories).section(&globals);
        Ok(())
    }

    /// Elements, code and data.
    fn contents(
        &self,
        sides: &[LinkedModule<'_>; 2],
        linkers: &mut [Linker<'_>; 2],
        module: &mut Module,
    ) -> Result<(), AdapterError> {
        let mut elements = ElementSection::new();
        let mut code = CodeSection::new();
        let mut data = DataSection::new();
        for (side, linker) in sides.iter().zip(linkers) {
            if let Some(section) = side.elements.clone() {
                linker.parse_element_section(&mut elements, section)?;
            }
            for body in &side.bodies {
                linker.parse_function_body(&mut code, body.clone())?;
            }
            if let Some(section) = side.data.clone() {
                linker.parse_data_section(&mut data, section)?;
            }
        }
        module.section(&elements);
        if sides.iter().any(|side| side.has_data_count) {
            module.section(&DataCountSection { count: data.len() });
        }
        module.section(&code).section(&data);
        Ok(())
    }

    /// Names of both modules; where an import was replaced, the definition's name stays.
    fn names(&self, sides: &[LinkedModule<'_>; 2]) -> NameSection {
        let collect = |kind: usize, space: Space| {
            let mut names = BTreeMap::new();
            for side in [Side::Adapter, Side::Main] {
                for &(index, name) in &sides[side as usize].names[kind] {
                    let replaced = index < sides[side as usize].imported(space);
                    if let Ok(index) = self.index(side, space, index) {
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

    /// The new index of an entry.
    fn index(&self, side: Side, space: Space, index: u32) -> Result<u32, AdapterError> {
        let name = ["function", "table", "memory", "global"][space as usize];
        let indices = &self.indices[side as usize][space as usize];
        indices.get(index as usize).copied().ok_or(AdapterError::Index(name, index))
    }
}

/// Follows an entry through imports and exports to where it is defined, or to the import that is kept.
fn meaning(
    sides: &[LinkedModule<'_>; 2],
    mut side: Side,
    space: Space,
    mut index: u32,
) -> Result<Meaning, AdapterError> {
    let longest = sides.iter().map(|module| module.imported(space)).sum::<u32>();
    let mut steps = 0;
    loop {
        let module = &sides[side as usize];
        let imports = &module.imports[space as usize];
        let Some(import) = imports.get(index as usize) else {
            return Ok(Meaning::Definition(side, index - imports.len() as u32));
        };
        match replacement(sides, side, space, import) {
            Some(_) if steps == longest => return Err(AdapterError::Circular(full_name(import))),
            Some(export) if export < sides[side.other() as usize].len(space) => {
                (side, index) = (side.other(), export);
                steps += 1;
            }
            Some(export) => return Err(AdapterError::Index("export", export)),
            None => return Ok(shared_import(sides, side, space, index as usize)),
        }
    }
}

/// An adapter's import that main has as well is the same.
fn shared_import(sides: &[LinkedModule<'_>; 2], side: Side, space: Space, n: usize) -> Meaning {
    let [main, adapter] = sides;
    if side == Side::Adapter && space == Space::Func {
        let import = &adapter.imports[space as usize][n];
        let equal = |(m, other): (usize, &Import<'_>)| {
            let same_name = (other.module, other.name) == (import.module, import.name);
            same_name && main.func_type(m as u32) == adapter.func_type(n as u32)
        };
        if let Some(m) = main.imports[space as usize].iter().enumerate().position(equal) {
            return Meaning::Import(Side::Main, m);
        }
    }
    Meaning::Import(side, n)
}

/// Rewrites the indices of one module.
struct Linker<'a> {
    layout: &'a Layout,
    side: Side,
}

impl Linker<'_> {
    fn index(&self, space: Space, index: u32) -> Result<u32, reencode::Error<AdapterError>> {
        self.layout.index(self.side, space, index).map_err(reencode::Error::UserError)
    }

    const fn shifted(&self, index: u32, by: u32) -> u32 {
        match self.side {
            Side::Main => index,
            Side::Adapter => index.wrapping_add(by),
        }
    }
}

impl Reencode for Linker<'_> {
    type Error = AdapterError;

    fn function_index(&mut self, index: u32) -> Result<u32, reencode::Error<AdapterError>> {
        self.index(Space::Func, index)
    }

    fn table_index(&mut self, index: u32) -> Result<u32, reencode::Error<AdapterError>> {
        self.index(Space::Table, index)
    }

    fn memory_index(&mut self, index: u32) -> Result<u32, reencode::Error<AdapterError>> {
        self.index(Space::Memory, index)
    }

    fn global_index(&mut self, index: u32) -> Result<u32, reencode::Error<AdapterError>> {
        self.index(Space::Global, index)
    }

    fn type_index(&mut self, index: u32) -> Result<u32, reencode::Error<AdapterError>> {
        Ok(self.shifted(index, self.layout.adapter_types))
    }

    fn element_index(&mut self, index: u32) -> Result<u32, reencode::Error<AdapterError>> {
        Ok(self.shifted(index, self.layout.adapter_elements))
    }

    fn data_index(&mut self, index: u32) -> Result<u32, reencode::Error<AdapterError>> {
        Ok(self.shifted(index, self.layout.adapter_data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wasm(text: &str) -> Vec<u8> {
        wat::parse_str(text).expect("well-formed")
    }

    /// Imports and exports of a validated result.
    fn interface(wasm: &[u8]) -> (Vec<String>, Vec<String>) {
        wasmparser::Validator::new().validate_all(wasm).expect("valid");
        let module = LinkedModule::parse(wasm).expect("well-formed");
        let imports = module.imports.iter().flatten().map(full_name).collect();
        (imports, module.exports.iter().map(|export| export.name.to_owned()).collect())
    }

    #[test]
    fn exports_replace_imports() {
        let main = wasm(
            r#"(module (import "env" "keep" (func)) (import "env" "log" (func $log (param i32) (result i32)))
                (memory (export "memory") 1) (table 2 funcref) (elem (i32.const 0) $log $main)
                (func $main (export "main") (result i32) (call $log (i32.const 7)))
                (global (mut i32) (i32.const 3)))"#,
        );
        let adapter = wasm(
            r#"(module (type (func (param i64))) (import "env" "host_call_0" (func $host (param i64) (result i64)))
                (import "env" "keep" (func $keep))
                (import "env" "main" (func $main (result i32)))
                (global $count (mut i32) (i32.const 0))
                (data "passive")
                (func (export "log") (param i32) (result i32)
                  (call $keep) (global.set $count (i32.const 1)) (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1))
                  (drop (call $main)) (i32.load (i32.wrap_i64 (call $host (i64.const 100))))))"#,
        );
        let merged = merge(&main, &adapter).expect("links");
        assert_eq!(
            interface(&merged),
            (vec!["env.keep".into(), "env.host_call_0".into()], vec!["memory".into(), "main".into()],)
        );
    }

    #[test]
    fn an_adapter_may_bring_the_memory() {
        let main = wasm(r#"(module (import "env" "f" (func $f)) (func (export "main") (call $f)))"#);
        let adapter = wasm(
            r#"(module (memory 1) (data (i32.const 8) "x")
                (func $f (export "f") (i32.store (i32.const 0) (i32.const 1))) (start $f))"#,
        );
        let merged = merge(&main, &adapter).expect("links");
        assert_eq!(interface(&merged), (vec![], vec!["main".into()]));
    }

    #[test]
    fn mismatches_are_errors() {
        let main = wasm(r#"(module (import "env" "f" (func (param i32))) (func $s) (start $s))"#);
        let wrong = wasm(r#"(module (func (export "f") (param i64)))"#);
        let error = merge(&main, &wrong).expect_err("types differ").to_string();
        assert_eq!(error, "the import env.f has type (i32) -> (), but the adapter exports (i64) -> ()");
        let starts = wasm(r#"(module (func $f (export "f") (param i32)) (func $s) (start $s))"#);
        assert_eq!(merge(&main, &starts), Err(AdapterError::TwoStarts));
        assert!(matches!(merge(&main, b"\0asm\x01\0\0\0\x01"), Err(AdapterError::Malformed { .. })));
    }

    #[test]
    fn circles_are_errors() {
        let main = wasm(r#"(module (import "env" "a" (func $a)) (export "b" (func $a)))"#);
        let adapter = wasm(r#"(module (import "env" "b" (func $b)) (export "a" (func $b)))"#);
        assert!(matches!(merge(&main, &adapter), Err(AdapterError::Circular(_))));
    }
}
