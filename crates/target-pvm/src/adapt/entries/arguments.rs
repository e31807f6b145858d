//! Limits of accesses to the argument bytes, in programs that check every access.

use ssa::{Addr, InstData, Module};

/// A limit of accesses to the arguments that some code reads.
pub struct Limit {
    /// Bytes of the accesses.
    pub width: u8,
    /// Its address.
    pub addr: Addr,
}

/// The limits in [`Module::host_arguments`] that are read.
pub fn limits_in_use(module: &Module) -> Vec<Limit> {
    let Some(limits) = module.host_arguments else { return Vec::new() };
    let places = [1, 2, 4, 8]
        .into_iter()
        .zip((0..).step_by(4))
        .map(|(width, offset)| Limit { width, addr: Addr { base: Some(limits), index: None, offset } });
    let insts = || module.functions.values().flatten().flat_map(|func| func.insts.values());
    let is_read = |limit: &Limit| {
        insts().any(|inst| matches!(inst, InstData::Load { addr, .. } if *addr == limit.addr))
    };
    places.filter(is_read).collect()
}
