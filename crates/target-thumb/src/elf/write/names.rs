//! Symbol names.
//!
//! Exports and imports have their external names. Such a name must be a symbol that linkers accept (not empty, no
//! control characters), and no two items may have the same one. All other symbols are local. A local symbol gets a
//! number after its name if the name is in use, so that all symbols in assembly are distinct.

use std::collections::{BTreeMap, BTreeSet};

use ssa::{
    DataId, DataKind, DataObject, Export, ExportItem, FuncId, FuncKind, IdVec, Import, Module, Signature,
};

use super::{MemoryShape, ObjectOptions};
use crate::isa::abi::is_runtime_function;

/// Name of the start function's symbol.
const START: &str = "__wasm_start";
/// Name of linear memory's symbol.
const LINEAR_MEMORY: &str = "__linear_memory";

/// A name that can't be the required symbol.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    /// Linkers don't accept it.
    #[error("the name {name:?} is no symbol; give {what} one with `{rename}`")]
    Illegal {
        /// The name.
        name: String,
        /// The item with the name.
        what: String,
        /// The option that renames it.
        rename: String,
    },
    /// Two items would have the same symbol.
    #[error(
        "the symbol `{symbol}` would name both {first} and {second}; give {second} another with `{rename}`"
    )]
    Twice {
        /// The symbol.
        symbol: String,
        /// The item that has it already.
        first: String,
        /// The other item.
        second: String,
        /// The option that renames it.
        rename: String,
    },
    /// An import is declared with two types.
    #[error("the import `{import}` is declared with two types, and no function has both")]
    Types {
        /// Its module and field.
        import: String,
    },
}

impl ObjectOptions {
    /// Checks the symbol of an export, which is known before a module is compiled.
    ///
    /// # Errors
    /// If linkers don't accept it.
    pub fn check_export(&self, name: &str) -> Result<(), NameError> {
        let symbol = self.renames.get(name).map_or(name, String::as_str);
        check(symbol, &export(name), &rename(name))
    }
}

/// The symbol of a memory other than the first, if it has no other name.
pub fn memory_symbol(object: &DataObject) -> String {
    object.name.replace('.', "_")
}

/// The symbols of all functions and data objects.
#[derive(Debug)]
pub struct Names {
    /// Global symbols of functions. Those of an exported import are jumps to it.
    pub functions: IdVec<FuncId, Vec<String>>,
    /// The symbol of the function that must be called first.
    pub start: Option<String>,
    /// Symbols of imported functions that are referred to.
    pub imports: IdVec<FuncId, Option<String>>,
    /// Global symbols of data objects.
    pub data: IdVec<DataId, Vec<String>>,
    /// Symbols of the sizes of memories that are regions of the memory protection unit.
    pub sizes: IdVec<DataId, Option<String>>,
    /// The local symbols of functions that have no global one.
    pub local_functions: IdVec<FuncId, String>,
    /// The local symbols of data objects that have no global one.
    pub local_data: IdVec<DataId, String>,
}

/// The exports of imports that need code, a jump to the import, by their numbers: those whose symbol isn't the import's own.
pub fn jumps(module: &Module, options: &ObjectOptions) -> BTreeSet<usize> {
    let taken = Taken::new(module, options);
    let is_jump = |export: &Export| match export.item {
        ExportItem::Func(func) => {
            let is_import = matches!(module.decls[func].kind, FuncKind::Import(_));
            is_import && !taken.is_import(module, func, &taken.renamed(&export.name))
        }
        ExportItem::Data(_) => false,
    };
    module.exports.iter().enumerate().filter(|(_, export)| is_jump(export)).map(|(n, _)| n).collect()
}

impl Names {
    /// Chooses the symbols of a module.
    pub fn new(
        module: &Module,
        linear_memory: Option<DataId>,
        options: &ObjectOptions,
        trap_handler: Option<FuncId>,
    ) -> Result<Self, NameError> {
        let mut names = Self {
            functions: IdVec::filled(Vec::new(), module.decls.len()),
            start: None,
            imports: IdVec::filled(None, module.decls.len()),
            data: IdVec::filled(Vec::new(), module.data.len()),
            sizes: IdVec::filled(None, module.data.len()),
            local_functions: IdVec::filled(String::new(), module.decls.len()),
            local_data: IdVec::filled(String::new(), module.data.len()),
        };
        let mut taken = Taken::new(module, options);
        if let Some(id) = linear_memory {
            names.name_memory(id, LINEAR_MEMORY, "linear memory", &mut taken)?;
        }
        names.name_memories(module, &mut taken)?;
        names.name_exports(module, &mut taken)?;
        if let Some(start) = module.start {
            let mut symbol = taken.own(START);
            if !names.functions[start].contains(&symbol) {
                symbol = taken.take(symbol, "the function that must be called first".to_owned(), START)?;
                names.functions[start].push(symbol.clone());
            }
            names.start = Some(symbol);
        }
        names.name_imports(module, trap_handler, &mut taken)?;
        names.name_locals(module, &mut taken);
        Ok(names)
    }

    /// Names the memories other than the first by their numbers.
    fn name_memories(&mut self, module: &Module, taken: &mut Taken<'_>) -> Result<(), NameError> {
        for (id, object) in module.data.iter().filter(|(_, object)| object.kind == DataKind::FixedMemory) {
            let name = memory_symbol(object);
            self.name_memory(id, &name, &format!("the memory `{}`", object.name), taken)?;
        }
        Ok(())
    }

    fn name_memory(
        &mut self,
        id: DataId,
        name: &str,
        what: &str,
        taken: &mut Taken<'_>,
    ) -> Result<(), NameError> {
        let symbol = taken.own(name);
        self.data[id].push(taken.take(symbol, what.to_owned(), name)?);
        if taken.options.memory_shape == MemoryShape::Region {
            let name = format!("{name}_size");
            let symbol = taken.own(&name);
            self.sizes[id] = Some(taken.take(symbol, format!("the size of {what}"), &name)?);
        }
        Ok(())
    }

    fn name_exports(&mut self, module: &Module, taken: &mut Taken<'_>) -> Result<(), NameError> {
        for export in &module.exports {
            let symbol = taken.renamed(&export.name);
            let symbols = match export.item {
                // The export has the import's own symbol, which the outside already defines.
                ExportItem::Func(func) if taken.is_import(module, func, &symbol) => continue,
                ExportItem::Func(func) => &mut self.functions[func],
                ExportItem::Data(data) => &mut self.data[data],
            };
            if !symbols.contains(&symbol) {
                symbols.push(taken.take(symbol, self::export(&export.name), &export.name)?);
            }
        }
        Ok(())
    }

    fn name_locals(&mut self, module: &Module, taken: &mut Taken<'_>) {
        for (id, decl) in module.decls.iter() {
            if self.functions[id].is_empty() && self.imports[id].is_none() {
                self.local_functions[id] = taken.local(&decl.name);
            }
        }
        for (id, object) in module.data.iter() {
            if self.data[id].is_empty() {
                self.local_data[id] = taken.local(&object.name);
            }
        }
    }

    fn name_imports<'a>(
        &mut self,
        module: &'a Module,
        trap_handler: Option<FuncId>,
        taken: &mut Taken<'a>,
    ) -> Result<(), NameError> {
        for (id, decl) in module.decls.iter() {
            if let FuncKind::Import(import) = &decl.kind {
                let sig = module.signature_of(id);
                let symbol = match trap_handler == Some(id) {
                    true => taken.needed(&import.field, sig)?,
                    false => taken.import(import, sig)?,
                };
                self.imports[id] = Some(symbol);
            }
            if let FuncKind::Intrinsic(name) = &decl.kind
                && is_runtime_function(name)
            {
                self.imports[id] = Some(taken.needed(name, module.signature_of(id))?);
            }
        }
        Ok(())
    }
}

/// A function that is defined outside of the object.
struct Elsewhere<'a> {
    sig: &'a Signature,
    /// The first import of it; `None` if compiled code itself calls it.
    import: Option<&'a Import>,
}

/// Symbols in use.
struct Taken<'a> {
    /// A description of the item with each symbol, for messages.
    by: BTreeMap<String, String>,
    /// Symbols of functions that are defined outside of the object.
    elsewhere: BTreeMap<String, Elsewhere<'a>>,
    /// Names of exports.
    exported: BTreeSet<&'a str>,
    options: &'a ObjectOptions,
}

impl<'a> Taken<'a> {
    fn new(module: &'a Module, options: &'a ObjectOptions) -> Self {
        let exported = module.exports.iter().map(|export| export.name.as_str()).collect();
        Self { by: BTreeMap::new(), elsewhere: BTreeMap::new(), exported, options }
    }

    fn renamed(&self, name: &str) -> String {
        self.options.renames.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }

    /// A symbol that the compiler itself defines, renamed on request. If an export has the same name, the rename
    /// applies to the export only.
    fn own(&self, name: &str) -> String {
        if self.exported.contains(name) { name.to_owned() } else { self.renamed(name) }
    }

    /// The symbol of an import: the target of a rename of `module.field` or `field`, else the field with the prefix.
    fn symbol_of(&self, import: &Import) -> String {
        let renamed = self.rename_of(import).cloned();
        renamed.unwrap_or_else(|| format!("{}{}", self.options.import_prefix, import.field))
    }

    /// The rename that applies to an import. If the field is also an export's name, a rename of it applies to the
    /// export.
    fn rename_of(&self, import: &Import) -> Option<&'a String> {
        let options: &'a ObjectOptions = self.options;
        let is_free = !self.exported.contains(import.field.as_str());
        let renamed = options.renames.get(&full_name(import));
        renamed.or_else(|| options.renames.get(&import.field).filter(|_| is_free))
    }

    /// Whether a function is an import that has this symbol.
    fn is_import(&self, module: &Module, func: FuncId, symbol: &str) -> bool {
        matches!(&module.decls[func].kind, FuncKind::Import(import) if self.symbol_of(import) == symbol)
    }

    /// Reserves a symbol for the item described by `what`. `name` is the name that an option `--rename` refers to.
    fn take(&mut self, symbol: String, what: String, name: &str) -> Result<String, NameError> {
        let rename = rename(name);
        check(&symbol, &what, &rename)?;
        if let Some(first) = self.by.get(&symbol) {
            return Err(NameError::Twice { symbol, first: first.clone(), second: what, rename });
        }
        self.by.insert(symbol.clone(), what);
        Ok(symbol)
    }

    /// A local symbol that is not in use. Names that begin with `.L` or `$` are avoided: assemblers drop the former,
    /// and the latter are mapping symbols.
    fn local(&mut self, name: &str) -> String {
        let mut wanted: String =
            name.chars().map(|c| if c.is_control() || c.is_whitespace() { '_' } else { c }).collect();
        if wanted.is_empty() || wanted.starts_with(".L") || wanted.starts_with('$') {
            wanted.insert(0, '_');
        }
        let numbered = (1..).map(|n| format!("{wanted}.{n}"));
        let mut free = std::iter::once(wanted.clone()).chain(numbered);
        let symbol = free.find(|symbol| !self.by.contains_key(symbol)).expect("numbers don't end");
        self.by.insert(symbol.clone(), "a local symbol".to_owned());
        symbol
    }

    /// The symbol of a function that compiled code calls. Its name is fixed, so any other item with this symbol must be
    /// renamed.
    fn needed(&mut self, symbol: &str, sig: &'a Signature) -> Result<String, NameError> {
        let what = format!("the function `{symbol}` that the code needs");
        let rename = rename(symbol);
        check(symbol, &what, &rename)?;
        let is_same = self.elsewhere.get(symbol).is_none_or(|first| *first.sig == *sig);
        match self.by.get(symbol) {
            Some(first) if !is_same || !self.elsewhere.contains_key(symbol) => {
                let second = first.clone();
                return Err(NameError::Twice { symbol: symbol.to_owned(), first: what, second, rename });
            }
            Some(_) => {}
            None => {
                self.by.insert(symbol.to_owned(), what);
                self.elsewhere.insert(symbol.to_owned(), Elsewhere { sig, import: None });
            }
        }
        Ok(symbol.to_owned())
    }

    /// The symbol of an import. Two imports of one name and type are one function; so are those of one type that a
    /// rename gives the same symbol.
    fn import(&mut self, import: &'a Import, sig: &'a Signature) -> Result<String, NameError> {
        let symbol = self.symbol_of(import);
        let is_renamed = self.rename_of(import).is_some();
        let is_same = |first: &Elsewhere<'_>| {
            let is_meant = is_renamed
                || first.import.is_none_or(|first| *first == *import || self.rename_of(first).is_some());
            is_meant && *first.sig == *sig
        };
        let full = full_name(import);
        let what = format!("the import `{full}`");
        match self.elsewhere.get(&symbol) {
            Some(first) if is_same(first) => return Ok(symbol),
            Some(first) if first.import == Some(import) => return Err(NameError::Types { import: full }),
            _ => {}
        }
        let symbol = self.take(symbol, what, &full)?;
        self.elsewhere.insert(symbol.clone(), Elsewhere { sig, import: Some(import) });
        Ok(symbol)
    }
}

/// An export in messages.
fn export(name: &str) -> String {
    format!("the export `{name}`")
}

/// The option that gives the item with a name another symbol. With a blank it is one word of a command line in quotes only.
fn rename(name: &str) -> String {
    let option = format!("{name}=SYMBOL");
    if option.contains(char::is_whitespace) {
        format!("--rename '{option}'")
    } else {
        format!("--rename {option}")
    }
}

/// The name by which `--rename` refers to an import.
fn full_name(import: &Import) -> String {
    format!("{}.{}", import.module, import.field)
}

fn check(symbol: &str, what: &str, rename: &str) -> Result<(), NameError> {
    let is_legal = !symbol.is_empty() && !symbol.chars().any(|c| c.is_control() || c.is_whitespace());
    let error =
        || NameError::Illegal { name: symbol.to_owned(), what: what.to_owned(), rename: rename.to_owned() };
    if is_legal { Ok(()) } else { Err(error()) }
}
