//! The finished program, with names and addresses for tools.

use std::collections::BTreeSet;

use codegen::CodeLocations;
use pvm_isa::{ProgramBlob, metadata};
use ssa::{ExportItem, FuncId, Module};

use crate::adapt::entries::Entry;
use crate::link::Linked;
use crate::memory::{Images, MemoryPlan};
use crate::stack::Stacks;

/// A compiled program with names and addresses for tools.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// Code and jump table.
    pub blob: ProgramBlob,
    /// Initial memory.
    pub images: Images,
    /// Entry points, in the order of their code offsets.
    pub entries: Vec<Entry>,
    /// The action of each import.
    pub imports: Vec<metadata::Import>,
    /// Numbers of host calls in the module with different meanings in different versions of the Gray Paper, if the
    /// options don't state one.
    pub ambiguous_host_calls: BTreeSet<u32>,
    /// Start of each compiled function with its name, in ascending order.
    pub functions: Vec<metadata::FunctionName>,
    /// Names and addresses of all data objects that are in memory; linear memory's is that of wasm address 0.
    pub data: Vec<(String, u32)>,
    /// Names of exported globals, tables and memories, each with the index of its object in [`data`](Self::data).
    pub data_exports: Vec<(String, usize)>,
    /// `base` in `pvm = wasm + base` modulo 2^32, if linear memory is used.
    pub linear_base: Option<u32>,
    /// The first wasm address that has memory.
    pub linear_first: u32,
    /// Values of references to functions, by name, for those whose address is taken.
    pub references: Vec<(String, u64)>,
    /// The deepest stack of each entry.
    pub stacks: Stacks,
    /// Where the code comes from, if the module's instructions carry byte offsets.
    pub locations: Option<CodeLocations>,
}

impl Program {
    /// Joins linked code and initial memory, and collects names.
    pub(crate) fn new(
        module: &Module,
        plan: &MemoryPlan,
        linked: Linked,
        images: Images,
        entries: Vec<Entry>,
        imports: Vec<metadata::Import>,
    ) -> Self {
        let placed: Vec<_> = module
            .data
            .iter()
            .filter_map(|(id, object)| Some((id, object.name.clone(), plan.try_address(id)?)))
            .collect();
        let data_exports = module.exports.iter().filter_map(|export| match export.item {
            ExportItem::Data(data) => {
                let index = placed.iter().position(|(id, ..)| *id == data)?;
                Some((export.name.clone(), index))
            }
            ExportItem::Func(_) => None,
        });
        let name = |func: FuncId| module.decls[func].name.clone();
        let named = |&(pc, func): &(u32, FuncId)| metadata::FunctionName { pc, name: name(func) };
        let referenced = linked.references.iter().filter(|(_, value)| **value != 0);
        Self {
            entries,
            imports,
            ambiguous_host_calls: BTreeSet::new(),
            functions: linked.functions.iter().map(named).collect(),
            data_exports: data_exports.collect(),
            references: referenced.map(|(func, &value)| (name(func), value)).collect(),
            data: placed.into_iter().map(|(_, name, address)| (name, address)).collect(),
            linear_first: plan.linear_first(),
            linear_base: plan.linear_memory().map(|_| plan.linear_base()),
            stacks: Stacks::default(),
            locations: linked.locations,
            blob: linked.blob,
            images,
        }
    }
}
