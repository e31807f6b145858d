//! Removing unreachable functions and data.
//!
//! After inlining, many functions have no caller left; runtime functions, imports and tables may have none from
//! the start. The roots are exports, the start function and linear memory. Whatever they don't reach, through code and
//! through references in data, is removed, and the rest is renumbered in its old order. Signatures stay: their numbers
//! are part of the code.
//!
//! A program whose static data is cut into objects is pruned twice: first so that unreachable functions refer to no
//! data, then to remove the objects without references.

use ssa::{DataId, DataKind, DataObject, EntityId, ExportItem, FuncId, Function, IdVec, Module, Reachable};

/// Removes unreachable functions and data objects.
pub fn prune(module: Module) -> Module {
    let exports = || module.exports.iter().map(|export| export.item);
    let roots = exports().filter_map(|item| match item {
        ExportItem::Func(func) => Some(func),
        ExportItem::Data(_) => None,
    });
    let data_roots = exports().filter_map(|item| match item {
        ExportItem::Func(_) => None,
        ExportItem::Data(data) => Some(data),
    });
    let memories = module.memories().map(|(id, _)| id);
    // Targets may read the limits of the arguments where no code does yet.
    let data_roots = data_roots.chain(memories).chain(module.host_arguments);
    let live = Reachable::new(&module, roots.chain(module.start), data_roots);
    let (functions, data) = (Renumbering::new(&live.funcs), Renumbering::new(&live.data));
    rebuild(module, &functions, &data)
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
        memory_size: old.memory_size.filter(|&id| data.keeps(id)),
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
    new.memory_size.iter_mut().for_each(|id| data.apply(id));
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
        inst.func_mut().into_iter().for_each(|func| functions.apply(func));
        inst.object_mut().into_iter().for_each(|object| data.apply(object));
    }
}
