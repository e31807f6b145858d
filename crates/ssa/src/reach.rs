//! Reachability: the functions and data that a program can use.
//!
//! Roots are the functions that can be entered from outside. A function reaches its callees, the functions whose
//! address it takes, and the data it refers to. Data reaches the functions whose references it contains, and
//! the data whose addresses it contains. Everything else is not compiled: whole libraries are often linked for one
//! function.
//!
//! A work list visits every function and object once, so the analysis is linear in the size of the program.

use crate::{DataId, ExportItem, FuncId, Function, IdVec, InstData, Module};

/// The reachable functions and data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reachable {
    /// Functions that are reachable in any way.
    pub funcs: IdVec<FuncId, bool>,
    /// Functions entered other than by a direct call: roots, and those whose address is taken.
    pub referenced: IdVec<FuncId, bool>,
    /// Data objects.
    pub data: IdVec<DataId, bool>,
}

impl Reachable {
    /// Everything that `roots` and `data_roots` reach.
    pub fn new(
        module: &Module,
        roots: impl IntoIterator<Item = FuncId>,
        data_roots: impl IntoIterator<Item = DataId>,
    ) -> Self {
        let funcs = IdVec::filled(false, module.decls.len());
        let reachable =
            Self { referenced: funcs.clone(), funcs, data: IdVec::filled(false, module.data.len()) };
        let mut walk = Walk { module, reachable, pending_funcs: Vec::new(), pending_data: Vec::new() };
        roots.into_iter().for_each(|func| walk.reference(func));
        data_roots.into_iter().for_each(|data| walk.data(data));
        walk.run();
        walk.reachable
    }

    /// Everything that all functions and the exported data reach.
    pub fn from_all_code(module: &Module) -> Self {
        let exported = module.exports.iter().filter_map(|export| match export.item {
            ExportItem::Data(data) => Some(data),
            ExportItem::Func(_) => None,
        });
        Self::new(module, module.decls.ids(), exported)
    }
}

struct Walk<'a> {
    module: &'a Module,
    reachable: Reachable,
    pending_funcs: Vec<FuncId>,
    pending_data: Vec<DataId>,
}

impl Walk<'_> {
    fn run(&mut self) {
        let module = self.module;
        loop {
            if let Some(func) = self.pending_funcs.pop() {
                module.functions[func].iter().for_each(|body| self.body(body));
            } else if let Some(data) = self.pending_data.pop() {
                module.data[data].relocs.iter().for_each(|reloc| self.reference(reloc.func));
                module.data[data].addresses.iter().for_each(|stored| self.data(stored.data));
            } else {
                return;
            }
        }
    }

    fn call(&mut self, func: FuncId) {
        if !std::mem::replace(&mut self.reachable.funcs[func], true) {
            self.pending_funcs.push(func);
        }
    }

    fn reference(&mut self, func: FuncId) {
        self.reachable.referenced[func] = true;
        self.call(func);
    }

    fn data(&mut self, data: DataId) {
        if !std::mem::replace(&mut self.reachable.data[data], true) {
            self.pending_data.push(data);
        }
    }

    fn body(&mut self, body: &Function) {
        for &inst in body.blocks.values().flat_map(|block| &block.insts) {
            let data = &body.insts[inst];
            match data {
                InstData::FuncRef { func } => self.reference(*func),
                // The address of a stack object is relative to linear memory.
                InstData::FrameAddr { .. } => self.module.memories().for_each(|(id, _)| self.data(id)),
                _ => data.func().into_iter().for_each(|func| self.call(func)),
            }
            data.object().into_iter().for_each(|object| self.data(object));
        }
    }
}

/// Drops the bodies of unreachable functions and returns how many there were.
pub fn remove_unreachable(module: &mut Module, reachable: &Reachable) -> usize {
    let mut removed = 0;
    let ids: Vec<FuncId> = module.functions.ids().collect();
    for id in ids.into_iter().filter(|&id| !reachable.funcs[id]) {
        removed += usize::from(module.functions[id].take().is_some());
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EntityId, parse_module};

    const TEXT: &str = include_str!("../tests/reach.ssa");

    #[test]
    fn references_and_calls_are_followed() {
        let mut module = parse_module(TEXT).expect("parses");
        let by_name = |module: &Module, name: &str| {
            module.decls.iter().find(|(_, decl)| decl.name == name).map(|(id, _)| id).expect("declared")
        };
        let reachable = Reachable::new(&module, [by_name(&module, "main")], []);
        let names = |set: &IdVec<FuncId, bool>| -> Vec<&str> {
            set.iter().filter(|(_, in_set)| **in_set).map(|(id, _)| module.decls[id].name.as_str()).collect()
        };
        assert_eq!(names(&reachable.funcs), ["main", "called", "in_table", "taken"]);
        assert_eq!(names(&reachable.referenced), ["main", "in_table", "taken"]);
        assert_eq!(reachable.data.values().copied().collect::<Vec<_>>(), [true, false]);
        assert_eq!(remove_unreachable(&mut module, &reachable), 2);
        assert!(module.functions[FuncId::new(0)].is_some());
    }
}
