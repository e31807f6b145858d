//! The lowest address of linear memory that a program uses.
//!
//! Programs whose accesses are all to static data leave the addresses below it alone, and a memory plan needs no zeros there.
//! That has to hold for everything that may see memory: each access has a known lowest address, no address of memory is
//! computed for runtime functions, and hosts get no pointer but one to a constant result.

use std::collections::BTreeMap;

use ssa::{Block, DataId, Export, ExportItem, FuncId, FuncKind, Function, Inst, InstData, Module};

use super::clamps::{Access, Clamper};
use super::intervals::bases;
use super::linear::Root;

/// The lowest address that hosts may use: 0 if it isn't known. `entered` are the functions whose results are addresses of
/// results. Hosts of others may take any result for an address.
pub fn lowest_of_hosts(module: &Module, entered: &BTreeMap<FuncId, bool>) -> u32 {
    let calls_hosts = module.decls.values().any(|decl| matches!(decl.kind, FuncKind::Import(_)));
    let is_plain = |export: &Export| match export.item {
        ExportItem::Func(func) => entered.contains_key(&func),
        ExportItem::Data(_) => export.name != "result_ptr",
    };
    if calls_hosts || !module.exports.iter().all(is_plain) {
        return 0;
    }
    let results = entered.keys().map(|&id| module.functions[id].as_ref().map_or(0, lowest_result));
    results.min().unwrap_or(u32::MAX)
}

/// The lowest address of a result; in its lower half, if it is a word.
fn lowest_result(func: &Function) -> u32 {
    let mut lowest = u32::MAX;
    for block in func.blocks.ids() {
        let address = match &func.insts[func.terminator(block)] {
            InstData::Return { args } => args.first().map(|&arg| func.as_const(arg)),
            InstData::TailCall { .. } | InstData::TailCallIndirect { .. } => Some(None),
            _ => None,
        };
        lowest = address.map_or(lowest, |address| lowest.min(address.map_or(0, |bits| bits as u32)));
    }
    lowest
}

/// Whether code computes addresses in a memory, or accesses something by an address alone.
pub fn computes_addresses(module: &Module, memory: DataId) -> bool {
    let insts =
        module.functions.values().flatten().flat_map(|func| {
            func.blocks.values().flat_map(|block| &block.insts).map(|&inst| &func.insts[inst])
        });
    let computes = |inst: &InstData| match inst {
        InstData::DataAddr { data, .. } => *data == memory,
        InstData::Load { addr, .. } | InstData::Store { addr, .. } => addr.base.is_none(),
        _ => false,
    };
    insts.into_iter().any(computes)
}

impl Clamper<'_> {
    /// Takes the address of an access into account. Loads that are certain to be from the arguments don't count.
    pub(super) fn note_lowest(&mut self, inst: Inst, block: Block) {
        let data = &self.func.insts[inst];
        let (InstData::Load { addr, .. } | InstData::Store { addr, .. }) = data else { return };
        if addr.base != Some(self.limits.memory) || self.result.lowest == 0 {
            return;
        }
        let lowest = match self.access(inst) {
            None => addr.offset as u32,
            Some(access) if !access.is_store && self.is_certain_argument(access) => return,
            Some(access) => {
                let places = bases(&self.shape(), access.at, block);
                let place = places.iter().find(|near| near.base.is_none() && near.low >= 0);
                place.map_or(0, |near| u32::try_from(near.low).unwrap_or(0))
            }
        };
        self.result.lowest = self.result.lowest.min(lowest);
    }

    fn is_certain_argument(&self, access: Access) -> bool {
        let end = access.at.offset.checked_add(access.width);
        let is_inside = end.is_some_and(|end| end <= self.result.least_arguments);
        is_inside && self.entered_pointer.is_some_and(|pointer| access.at.root == Root::Value(pointer))
    }
}
