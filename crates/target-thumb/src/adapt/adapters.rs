//! Adapters for functions that callers outside of the program call.
//!
//! Under the procedure call standard, such a caller reserves stack space for the function's own arguments only. A
//! function whose tail calls need more space ([`codegen::ArgumentRoom`]) gets an adapter that makes an ordinary call.
//! Exports and the start function are replaced by their adapters, and so are references in exported tables, which the
//! outside can read. Calls inside of the program go to the function itself, except through such a table.
//!
//! An export of an import is a jump to it. Where a core has none that reaches every function, it gets an adapter, too.

use std::collections::{BTreeMap, BTreeSet};

use codegen::ArgumentRoom;
use ssa::{DataKind, ExportItem, FuncId, InstData, Module};
use thumb_isa::Feature;

use crate::isa::abi;
use crate::isa::cpu::Cpu;

/// Adds adapters to a module. `jumps` are the numbers of exports that are jumps to imports.
pub fn add(module: &mut Module, cpu: Cpu, jumps: &BTreeSet<usize>) {
    let room = abi::argument_room(module, cpu);
    let mut adapters = Adapters { cpu, room, by_func: BTreeMap::new() };
    for n in 0..module.exports.len() {
        if let ExportItem::Func(func) = module.exports[n].item {
            let needs_call = jumps.contains(&n) && !cpu.features().contains(Feature::V8Base);
            let outer = if needs_call { adapters.call(module, func) } else { adapters.of(module, func) };
            module.exports[n].item = ExportItem::Func(outer);
        }
    }
    module.start = module.start.map(|func| adapters.of(module, func));
    if exports_references(module) {
        adapters.replace_references(module);
    }
}

/// Whether the outside can read function references.
fn exports_references(module: &Module) -> bool {
    module.exports.iter().any(|export| match export.item {
        ExportItem::Data(data) => {
            let object = &module.data[data];
            object.kind == DataKind::Table || !object.relocs.is_empty()
        }
        ExportItem::Func(_) => false,
    })
}

struct Adapters {
    cpu: Cpu,
    room: ArgumentRoom,
    by_func: BTreeMap<FuncId, FuncId>,
}

impl Adapters {
    /// The function for callers outside of the program: `func` itself, or its adapter.
    fn of(&mut self, module: &mut Module, func: FuncId) -> FuncId {
        let bytes = abi::call_layout(self.cpu, module.signature_of(func)).stack_bytes;
        if self.room.of_func(func) == bytes { func } else { self.call(module, func) }
    }

    /// The adapter of a function.
    fn call(&mut self, module: &mut Module, func: FuncId) -> FuncId {
        *self.by_func.entry(func).or_insert_with(|| {
            let name = module.free_name(format!("{}.adapter", module.decls[func].name));
            codegen::add_adapter(module, func, name)
        })
    }

    fn replace_references(&mut self, module: &mut Module) {
        for data in module.data.ids() {
            for n in 0..module.data[data].relocs.len() {
                let func = module.data[data].relocs[n].func;
                module.data[data].relocs[n].func = self.of(module, func);
            }
        }
        for id in module.functions.ids() {
            let Some(mut body) = module.functions[id].take() else { continue };
            for inst in body.insts.ids() {
                if let InstData::FuncRef { func } = body.insts[inst] {
                    body.insts[inst] = InstData::FuncRef { func: self.of(module, func) };
                }
            }
            module.functions[id] = Some(body);
        }
    }
}
