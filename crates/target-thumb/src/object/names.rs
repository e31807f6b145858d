//! Symbol names.
//!
//! Exports and imports have the names the outside knows; those must be symbols a linker takes (no control characters,
//! not empty) and must not name two things. Everything else is local; a local symbol has a number behind its name where
//! the name is another symbol's, so that assembly can tell all of them apart.

use std::collections::BTreeMap;

use ssa::{DataId, ExportItem, FuncId, FuncKind, IdVec, Import, Module};

use super::ObjectOptions;
use crate::lower::is_runtime_function;

/// Name of the start function's symbol.
const START: &str = "__wasm_start";
/// Name of linear memory's symbol.
const LINEAR_MEMORY: &str = "__linear_memory";

/// A name that can't be the symbol it has to be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    /// A linker would not take it.
    #[error("the name {name:?} is no symbol; rename it")]
    Illegal {
        /// The name.
        name: String,
    },
    /// Two things would have the same symbol.
    #[error("the symbol `{symbol}` would name both {first} and {second}; rename one")]
    Twice {
        /// The symbol.
        symbol: String,
        /// What has it already.
        first: String,
        /// What else wants it.
        second: String,
    },
}

/// The symbols of everything.
#[derive(Debug)]
pub struct Names {
    /// Global symbols of functions with code.
    pub functions: IdVec<FuncId, Vec<String>>,
    /// Symbols of imported functions that something refers to.
    pub imports: IdVec<FuncId, Option<String>>,
    /// Global symbols of data objects.
    pub data: IdVec<DataId, Vec<String>>,
    /// The local symbols of functions that have no global one.
    pub local_functions: IdVec<FuncId, String>,
    /// The local symbols of data objects that have no global one.
    pub local_data: IdVec<DataId, String>,
}

impl Names {
    /// Names a module.
    pub fn new(
        module: &Module,
        options: &ObjectOptions,
        trap_handler: Option<FuncId>,
    ) -> Result<Self, NameError> {
        let mut names = Self {
            functions: IdVec::filled(Vec::new(), module.decls.len()),
            imports: IdVec::filled(None, module.decls.len()),
            data: IdVec::filled(Vec::new(), module.data.len()),
            local_functions: IdVec::filled(String::new(), module.decls.len()),
            local_data: IdVec::filled(String::new(), module.data.len()),
        };
        let mut taken = Taken { by: BTreeMap::new(), options };
        if let Some((id, _)) = module.memory() {
            names.data[id].push(taken.take(taken.renamed(LINEAR_MEMORY), "linear memory".to_owned())?);
        }
        for export in &module.exports {
            let symbol = taken.renamed(&export.name);
            match export.item {
                ExportItem::Func(func) if module.functions[func].is_some() => {
                    names.functions[func].push(taken.take(symbol, format!("the export `{}`", export.name))?);
                }
                // An export of an import has no code of its own; the outside has it already.
                ExportItem::Func(_) => {}
                ExportItem::Data(data) => {
                    names.data[data].push(taken.take(symbol, format!("the export `{}`", export.name))?);
                }
            }
        }
        if let Some(start) = module.start {
            names.functions[start].push(taken.take(START.to_owned(), "the start function".to_owned())?);
        }
        names.name_imports(module, trap_handler, &mut taken)?;
        names.name_locals(module, &mut taken);
        Ok(names)
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

    fn name_imports(
        &mut self,
        module: &Module,
        trap_handler: Option<FuncId>,
        taken: &mut Taken<'_>,
    ) -> Result<(), NameError> {
        for (id, decl) in module.decls.iter() {
            if let FuncKind::Import(import) = &decl.kind {
                let symbol =
                    if trap_handler == Some(id) { import.field.clone() } else { taken.symbol_of(import) };
                self.imports[id] = Some(taken.import(symbol)?);
            }
            if let FuncKind::Intrinsic(name) = &decl.kind
                && is_runtime_function(name)
            {
                self.imports[id] = Some(taken.import(name.clone())?);
            }
        }
        Ok(())
    }
}

/// Symbols in use.
struct Taken<'a> {
    by: BTreeMap<String, String>,
    options: &'a ObjectOptions,
}

impl Taken<'_> {
    fn renamed(&self, name: &str) -> String {
        self.options.renames.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }

    /// The symbol of an import: what `module.field` or `field` is renamed to, or the field behind the prefix.
    fn symbol_of(&self, import: &Import) -> String {
        let renames = &self.options.renames;
        let full = format!("{}.{}", import.module, import.field);
        let renamed = renames.get(&full).or_else(|| renames.get(&import.field));
        renamed.cloned().unwrap_or_else(|| format!("{}{}", self.options.import_prefix, import.field))
    }

    fn take(&mut self, symbol: String, what: String) -> Result<String, NameError> {
        check(&symbol)?;
        if let Some(first) = self.by.get(&symbol) {
            return Err(NameError::Twice { symbol, first: first.clone(), second: what });
        }
        self.by.insert(symbol.clone(), what);
        Ok(symbol)
    }

    /// A local symbol that nothing else has. Assemblers don't keep names that begin with `.L`, and those with `$` are
    /// marks.
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

    /// Several imports may be one symbol.
    fn import(&mut self, symbol: String) -> Result<String, NameError> {
        check(&symbol)?;
        let what = format!("the import `{symbol}`");
        match self.by.get(&symbol) {
            Some(first) if *first != what => {
                Err(NameError::Twice { symbol, first: first.clone(), second: what })
            }
            _ => {
                self.by.insert(symbol.clone(), what);
                Ok(symbol)
            }
        }
    }
}

fn check(symbol: &str) -> Result<(), NameError> {
    let is_legal = !symbol.is_empty() && !symbol.chars().any(|c| c.is_control() || c.is_whitespace());
    if is_legal { Ok(()) } else { Err(NameError::Illegal { name: symbol.to_owned() }) }
}
