//! Facts about a module's function bodies, for decisions that hold for the whole module.
//!
//! They are collected in one pass over all operators, before any translation. Parts are translated separately, so every
//! decision they must agree on (is this global ever written? can this table grow?) is based on these facts.

use wasmparser::Operator;

use crate::error::Error;
use crate::floats;
use crate::module_info::{ConstOp, ExportKind, ModuleInfo};
use crate::vectors;

/// Facts about a whole module. Lists are in wasm index order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// An operator computes with floats.
    pub computes_floats: bool,
    /// Functions with an operator on vectors.
    pub uses_vectors: Vec<bool>,
    /// Memories with a `memory.grow`.
    pub memory_grows: Vec<bool>,
    /// Globals that some function sets.
    pub global_written: Vec<bool>,
    /// Tables with a `table.grow`.
    pub table_grows: Vec<bool>,
    /// Data segments that a `memory.init` names.
    pub data_used: Vec<bool>,
    /// Data segments that a `data.drop` names.
    pub data_dropped: Vec<bool>,
    /// Element segments that a `table.init` names.
    pub element_used: Vec<bool>,
    /// Element segments that an `elem.drop` names.
    pub element_dropped: Vec<bool>,
    /// Functions that may be reached other than by a direct call: exports, the start function, references.
    pub referenced: Vec<bool>,
    /// Direct callees of each function, sorted, without repetitions.
    pub callees: Vec<Vec<u32>>,
}

impl Facts {
    /// Scans all bodies.
    ///
    /// # Errors
    /// None on a validated module; malformed bodies are reported as [`Error::InvalidWasm`].
    pub fn collect(info: &ModuleInfo, wasm: &[u8]) -> Result<Self, Error> {
        let mut facts = Self {
            computes_floats: false,
            uses_vectors: vec![false; info.functions.len()],
            memory_grows: vec![false; info.memories.len()],
            global_written: vec![false; info.globals.len()],
            table_grows: vec![false; info.tables.len()],
            data_used: vec![false; info.data.len()],
            data_dropped: vec![false; info.data.len()],
            element_used: vec![false; info.elements.len()],
            element_dropped: vec![false; info.elements.len()],
            referenced: vec![false; info.functions.len()],
            callees: vec![Vec::new(); info.functions.len()],
        };
        facts.declarations(info);
        for function in info.imported_functions()..info.functions.len() {
            for op in info.body(wasm, function as u32).get_operators_reader()? {
                facts.operator(function, &op?);
            }
            facts.callees[function].sort_unstable();
            facts.callees[function].dedup();
        }
        Ok(facts)
    }

    fn declarations(&mut self, info: &ModuleInfo) {
        for export in &info.exports {
            match export.kind {
                ExportKind::Func(function) => self.referenced[function as usize] = true,
                ExportKind::Global(_) | ExportKind::Table(_) | ExportKind::Memory(_) | ExportKind::Tag(_) => {
                }
            }
        }
        if let Some(start) = info.start {
            self.referenced[start as usize] = true;
        }
        let items = info.elements.iter().flat_map(|e| &e.items);
        let tables = info.tables.iter().map(|table| &table.init);
        for op in items.chain(info.globals.iter().flat_map(|g| &g.init)).chain(tables) {
            if let ConstOp::RefFunc(function) = op {
                self.referenced[*function as usize] = true;
            }
        }
    }

    fn operator(&mut self, function: usize, op: &Operator<'_>) {
        match *op {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                self.callees[function].push(function_index);
            }
            Operator::RefFunc { function_index } => self.referenced[function_index as usize] = true,
            Operator::MemoryGrow { mem } => self.memory_grows[mem as usize] = true,
            Operator::GlobalSet { global_index } => self.global_written[global_index as usize] = true,
            Operator::TableGrow { table } => self.table_grows[table as usize] = true,
            Operator::MemoryInit { data_index, .. } => self.data_used[data_index as usize] = true,
            Operator::DataDrop { data_index } => self.data_dropped[data_index as usize] = true,
            Operator::TableInit { elem_index, .. } => self.element_used[elem_index as usize] = true,
            Operator::ElemDrop { elem_index } => self.element_dropped[elem_index as usize] = true,
            _ => {
                self.computes_floats |= floats::computes(op);
                self.uses_vectors[function] |= vectors::is_vector(op);
            }
        }
    }
}
