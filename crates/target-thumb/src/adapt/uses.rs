//! Uses of data objects in a module: the objects that are written, and those that are used at all.

use ssa::{DataId, DataKind, ExportItem, Function, IdVec, InstData, Module};

/// The data objects that code may write, directly or through addresses in other objects.
pub fn written_objects(module: &Module) -> IdVec<DataId, bool> {
    let mut written = IdVec::filled(false, module.data.len());
    for func in module.functions.values().flatten() {
        mark_written(func, &mut written);
    }
    let stored = module.data.values().flat_map(|object| &object.addresses);
    stored.for_each(|stored| written[stored.data] = true);
    written
}

fn mark_written(func: &Function, written: &mut IdVec<DataId, bool>) {
    let address_of = |value| match func.def_inst(value).map(|inst| &func.insts[inst]) {
        Some(&InstData::DataAddr { data, .. }) => Some(data),
        _ => None,
    };
    for block in func.blocks.values() {
        for &inst in &block.insts {
            match &func.insts[inst] {
                InstData::Load { .. } => {}
                InstData::Store { addr, .. } => {
                    addr.base.into_iter().for_each(|data| written[data] = true);
                    func.insts[inst].for_each_arg(|arg| {
                        address_of(arg).into_iter().for_each(|data| written[data] = true);
                    });
                }
                data => data.for_each_arg(|arg| {
                    address_of(arg).into_iter().for_each(|data| written[data] = true);
                }),
            }
        }
    }
}

/// The data objects that code, exports or other used objects refer to.
pub fn used_objects(module: &Module) -> IdVec<DataId, bool> {
    let mut used = IdVec::filled(false, module.data.len());
    let mut has_frame_addresses = false;
    for func in module.functions.values().flatten() {
        for block in func.blocks.values() {
            for &inst in &block.insts {
                match &func.insts[inst] {
                    InstData::Load { addr, .. } | InstData::Store { addr, .. } => {
                        addr.base.into_iter().for_each(|data| used[data] = true);
                    }
                    InstData::DataAddr { data, .. } => used[*data] = true,
                    InstData::FrameAddr { .. } => has_frame_addresses = true,
                    _ => {}
                }
            }
        }
    }
    // Addresses of stack objects are relative to linear memory.
    for (data, _) in module.data.iter().filter(|(_, object)| matches!(object.kind, DataKind::Memory(_))) {
        used[data] |= has_frame_addresses;
    }
    for export in &module.exports {
        if let ExportItem::Data(data) = export.item {
            used[data] = true;
        }
    }
    add_stored(module, &mut used);
    used
}

/// Adds the objects whose addresses are in used objects, transitively. Every object is visited once.
fn add_stored(module: &Module, used: &mut IdVec<DataId, bool>) {
    let mut pending: Vec<DataId> = used.iter().filter(|(_, used)| **used).map(|(id, _)| id).collect();
    while let Some(id) = pending.pop() {
        for stored in &module.data[id].addresses {
            if !std::mem::replace(&mut used[stored.data], true) {
                pending.push(stored.data);
            }
        }
    }
}
