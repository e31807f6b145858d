//! The data objects that the code of a module writes.

use ssa::{DataId, Function, IdVec, InstData, Module};

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
