//! Limits of accesses to the argument bytes, in programs that check every access.

use std::collections::BTreeSet;

use ssa::{Addr, FuncId, Function, InstData, Module, Value};

/// A limit of accesses to the arguments that some code reads.
pub struct Limit {
    /// Bytes of the accesses.
    pub width: u8,
    /// Its address.
    pub addr: Addr,
    /// The functions that read it.
    pub readers: BTreeSet<FuncId>,
}

/// The limits in [`Module::host_arguments`] that are read.
pub fn limits_in_use(module: &Module) -> Vec<Limit> {
    let Some(limits) = module.host_arguments else { return Vec::new() };
    let limit = |(width, offset)| {
        let addr = Addr { base: Some(limits), index: None, offset };
        let is_load = |inst: &InstData| matches!(inst, InstData::Load { addr: from, .. } if *from == addr);
        let funcs = module.functions.iter();
        let reads = funcs.filter_map(|(id, func)| {
            func.as_ref().filter(|func| func.insts.values().any(is_load)).map(|_| id)
        });
        Limit { width, addr, readers: reads.collect() }
    };
    let limits = [1, 2, 4, 8].into_iter().zip((0..).step_by(4)).map(limit);
    limits.filter(|limit| !limit.readers.is_empty()).collect()
}

/// Replaces loads from an address by a value that is stored there.
pub fn replace_loads(func: &mut Function, from: &Addr, value: Value) {
    let is_load = |inst: &InstData| matches!(inst, InstData::Load { addr, .. } if addr == from);
    let loads: Vec<_> = func.insts.ids().filter(|&inst| is_load(&func.insts[inst])).collect();
    let results: BTreeSet<Value> = loads.iter().map(|&inst| func.result(inst)).collect();
    for inst in func.insts.values_mut() {
        inst.map_args(|arg| if results.contains(&arg) { value } else { arg });
    }
}
