//! Removing unreachable functions and data.
//!
//! After inlining, many functions have no caller left; runtime functions, imports and tables may have none from
//! the start. The roots are exports, the start function and linear memory. Whatever they don't reach, through code and
//! through references in data, is removed, and the rest is renumbered in its old order. Signatures stay: their numbers
//! are part of the code.

use ssa::{DataId, DataKind, DataObject, EntityId, ExportItem, FuncId, Function, IdVec, InstData, Module};

/// Removes unreachable functions and data objects.
pub fn prune(module: Module) -> Module {
    let mut live = Live {
        functions: IdVec::filled(false, module.decls.len()),
        data: IdVec::filled(false, module.data.len()),
        pending_functions: Vec::new(),
        pending_data: Vec::new(),
    };
    live.mark_roots(&module);
    live.mark_reachable(&module);
    let (functions, data) = (Renumbering::new(&live.functions), Renumbering::new(&live.data));
    rebuild(module, &functions, &data)
}

struct Live {
    functions: IdVec<FuncId, bool>,
    data: IdVec<DataId, bool>,
    pending_functions: Vec<FuncId>,
    pending_data: Vec<DataId>,
}

impl Live {
    fn mark_roots(&mut self, module: &Module) {
        for export in &module.exports {
            match export.item {
                ExportItem::Func(func) => self.function(func),
                ExportItem::Data(data) => self.data(data),
            }
        }
        module.start.into_iter().for_each(|func| self.function(func));
        for (id, object) in module.data.iter() {
            if matches!(object.kind, DataKind::Memory(_)) {
                self.data(id);
            }
        }
    }

    fn function(&mut self, func: FuncId) {
        if !std::mem::replace(&mut self.functions[func], true) {
            self.pending_functions.push(func);
        }
    }

    fn data(&mut self, data: DataId) {
        if !std::mem::replace(&mut self.data[data], true) {
            self.pending_data.push(data);
        }
    }

    /// Marks reachable functions and objects, each once.
    fn mark_reachable(&mut self, module: &Module) {
        loop {
            if let Some(func) = self.pending_functions.pop() {
                module.functions[func].iter().for_each(|body| self.body(body));
            } else if let Some(data) = self.pending_data.pop() {
                module.data[data].relocs.iter().for_each(|reloc| self.function(reloc.func));
                module.data[data].addresses.iter().for_each(|stored| self.data(stored.data));
            } else {
                return;
            }
        }
    }

    fn body(&mut self, body: &Function) {
        let insts = body.blocks.values().flat_map(|block| &block.insts);
        for &inst in insts {
            match body.insts[inst] {
                InstData::Call { func, .. }
                | InstData::TailCall { func, .. }
                | InstData::FuncRef { func } => {
                    self.function(func);
                }
                InstData::DataAddr { data, .. } => self.data(data),
                InstData::Load { addr, .. } | InstData::Store { addr, .. } => {
                    addr.base.into_iter().for_each(|data| self.data(data));
                }
                _ => {}
            }
        }
    }
}

/// Old ids to new ones.
struct Renumbering<I> {
    new: IdVec<I, Option<I>>,
}

impl<I: EntityId> Renumbering<I> {
    fn new(live: &IdVec<I, bool>) -> Self {
        let mut next = 0;
        let number = |&live: &bool| {
            live.then(|| {
                next += 1;
                I::new(next - 1)
            })
        };
        Self { new: live.values().map(number).collect() }
    }

    fn keeps(&self, id: I) -> bool {
        self.new[id].is_some()
    }

    fn apply(&self, id: &mut I) {
        // Instructions outside of all blocks may still name removed entities; they are never read.
        *id = self.new[*id].unwrap_or(I::new(0));
    }
}

fn rebuild(mut old: Module, functions: &Renumbering<FuncId>, data: &Renumbering<DataId>) -> Module {
    let (signatures, exports) = (std::mem::take(&mut old.signatures), std::mem::take(&mut old.exports));
    let mut new = Module {
        signatures,
        exports,
        start: old.start,
        host_arguments: old.host_arguments.filter(|&id| data.keeps(id)),
        sources: old.sources.take(),
        ..Module::default()
    };
    for ((id, decl), body) in old.decls.iter().zip(old.functions.values_mut()) {
        if functions.keeps(id) {
            new.decls.push(decl.clone());
            body.iter_mut().for_each(|body| renumber(body, functions, data));
            new.functions.push(body.take());
        }
    }
    for id in old.data.ids() {
        if data.keeps(id) {
            let mut object = take_object(&mut old.data[id]);
            object.relocs.iter_mut().for_each(|reloc| functions.apply(&mut reloc.func));
            object.addresses.iter_mut().for_each(|stored| data.apply(&mut stored.data));
            new.data.push(object);
        }
    }
    for export in &mut new.exports {
        match &mut export.item {
            ExportItem::Func(func) => functions.apply(func),
            ExportItem::Data(id) => data.apply(id),
        }
    }
    new.start.iter_mut().for_each(|func| functions.apply(func));
    new.host_arguments.iter_mut().for_each(|id| data.apply(id));
    new
}

fn take_object(object: &mut DataObject) -> DataObject {
    let empty = DataObject {
        name: String::new(),
        kind: DataKind::Constant,
        size: 0,
        align: 1,
        init: Vec::new(),
        relocs: Vec::new(),
        addresses: Vec::new(),
    };
    std::mem::replace(object, empty)
}

fn renumber(body: &mut Function, functions: &Renumbering<FuncId>, data: &Renumbering<DataId>) {
    for inst in body.insts.values_mut() {
        match inst {
            InstData::Call { func, .. } | InstData::TailCall { func, .. } | InstData::FuncRef { func } => {
                functions.apply(func);
            }
            InstData::DataAddr { data: id, .. } => data.apply(id),
            InstData::Load { addr, .. } | InstData::Store { addr, .. } => {
                addr.base.iter_mut().for_each(|id| data.apply(id));
            }
            _ => {}
        }
    }
}
