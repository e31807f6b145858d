//! References of code to static data.
//!
//! A *direct* reference is a load or store at a constant address, whose bytes are known. An *open* one is any other: an
//! index is added, or the address escapes.

use ssa::{Addr, BinaryOp, DataId, Function, IdVec, InstData, Value};

/// A reference to static data, by wasm address.
#[derive(Clone, Copy, Debug)]
pub struct Reference {
    /// The object its address is relative to.
    pub data: DataId,
    /// The first byte.
    pub start: u32,
    /// The address after the last byte of a direct reference; `None` for an open one.
    pub end: Option<u32>,
    /// Whether data may be written through it.
    pub writes: bool,
    /// Whether it is the address of a store.
    pub is_store: bool,
    /// Whether an index is added.
    pub is_indexed: bool,
    /// The first byte at the largest index, if all indices have a visible limit.
    pub reach: Option<u32>,
}

/// Removes linear memory, which is at address 0, from addresses, and folds constant static addresses into them.
pub fn strip(func: &mut Function, memory: Option<DataId>, start_of: &dyn Fn(DataId) -> Option<u32>) {
    for inst in func.insts.ids() {
        let mut data = func.insts[inst].clone();
        let (InstData::Load { addr, .. } | InstData::Store { addr, .. }) = &mut data else { continue };
        if addr.base.is_some() && addr.base == memory {
            addr.base = None;
        }
        if let (None, Some(index)) = (addr.base, addr.index)
            && let Some(def) = func.def_inst(index)
            && let InstData::DataAddr { data, offset } = func.insts[def]
            && start_of(data).is_some()
        {
            *addr = Addr { base: Some(data), index: None, offset: addr.offset.wrapping_add(offset) };
        }
        func.insts[inst] = data;
    }
}

/// A use of a value.
enum Use {
    /// The index of the address of a load.
    Load,
    /// The index of the address of a store.
    Store,
    /// This value is computed from it.
    Flows(Value),
    /// It is compared.
    Compared,
    /// It escapes.
    Escapes,
}

/// All references in a function.
pub fn collect(func: &Function, start_of: &dyn Fn(DataId) -> Option<u32>, references: &mut Vec<Reference>) {
    let open = open_uses(&uses(func));
    let indices = indices(func);
    for block in func.blocks.values() {
        for &inst in &block.insts {
            let (mem, addr, writes) = match &func.insts[inst] {
                InstData::Load { mem, addr, .. } => (mem, addr, false),
                InstData::Store { mem, addr, .. } => (mem, addr, true),
                InstData::DataAddr { data, offset } => {
                    let Some(start) = start_of(*data) else { continue };
                    let (start, data) = (start.wrapping_add_signed(*offset), *data);
                    let indices = &indices[func.result(inst)];
                    let limits = indices.iter().map(|&index| largest(func, index, MAX_DEPTH));
                    let limit =
                        limits.collect::<Option<Vec<u32>>>().and_then(|limits| limits.into_iter().max());
                    references.extend(open[func.result(inst)].map(|writes| Reference {
                        data,
                        start,
                        end: None,
                        writes,
                        is_store: false,
                        is_indexed: !indices.is_empty(),
                        reach: limit.and_then(|limit| start.checked_add(limit)),
                    }));
                    continue;
                }
                _ => continue,
            };
            let Some(data) = addr.base else { continue };
            let Some(start) = start_of(data) else { continue };
            let start = start.wrapping_add_signed(addr.offset);
            let end = addr.index.is_none().then(|| start.saturating_add(mem.bytes()));
            let is_indexed = addr.index.is_some();
            let largest = addr.index.and_then(|index| largest(func, index, MAX_DEPTH));
            let reach = largest.and_then(|largest| start.checked_add(largest));
            references.push(Reference { data, start, end, writes, is_store: writes, is_indexed, reach });
        }
    }
}

fn uses(func: &Function) -> IdVec<Value, Vec<Use>> {
    let mut uses: IdVec<Value, Vec<Use>> = func.values.ids().map(|_| Vec::new()).collect();
    for block in func.blocks.values() {
        for &inst in &block.insts {
            let data = &func.insts[inst];
            match data {
                InstData::Load { addr, .. } => {
                    addr.index.into_iter().for_each(|index| uses[index].push(Use::Load));
                }
                InstData::Store { addr, value, .. } => {
                    addr.index.into_iter().for_each(|index| uses[index].push(Use::Store));
                    uses[*value].push(Use::Escapes);
                }
                InstData::Icmp { args, .. } => {
                    args.iter().for_each(|&arg| uses[arg].push(Use::Compared));
                }
                InstData::Binary { .. } | InstData::Select { .. } => {
                    let result = func.result(inst);
                    data.for_each_arg(|arg| uses[arg].push(Use::Flows(result)));
                }
                InstData::Jump { .. } | InstData::Branch { .. } | InstData::Switch { .. } => {
                    for to in data.successors() {
                        let params = &func.blocks[to.block].params;
                        to.args
                            .iter()
                            .zip(params)
                            .for_each(|(&arg, &param)| uses[arg].push(Use::Flows(param)));
                    }
                }
                _ => data.for_each_arg(|arg| uses[arg].push(Use::Escapes)),
            }
        }
    }
    uses
}

/// By value: `None` if it is unused, else whether data may be written through it or values computed from it.
///
/// Entries only change from `None` to `false` to `true`, so every value is visited at most twice.
fn open_uses(uses: &IdVec<Value, Vec<Use>>) -> IdVec<Value, Option<bool>> {
    let mut inputs: IdVec<Value, Vec<Value>> = uses.ids().map(|_| Vec::new()).collect();
    let mut found: IdVec<Value, Option<bool>> = IdVec::filled(None, uses.len());
    let mut pending = Vec::new();
    for (value, uses) in uses.iter() {
        for each in uses {
            if let Use::Flows(result) = each {
                inputs[*result].push(value);
            }
        }
        let is_written = uses.iter().any(|each| matches!(each, Use::Store | Use::Escapes));
        found[value] = (!uses.is_empty()).then_some(is_written);
        pending.extend(is_written.then_some(value));
    }
    while let Some(value) = pending.pop() {
        for &input in &inputs[value] {
            if found[input] != Some(true) {
                found[input] = Some(true);
                pending.push(input);
            }
        }
    }
    found
}

/// By value: the variable summands of its definition.
fn indices(func: &Function) -> IdVec<Value, Vec<Value>> {
    let mut found: IdVec<Value, Vec<Value>> = func.values.ids().map(|_| Vec::new()).collect();
    for block in func.blocks.values() {
        for &inst in &block.insts {
            let InstData::Binary { op: BinaryOp::Add, args: [a, b], .. } = func.insts[inst] else { continue };
            for (value, index) in [(a, b), (b, a)] {
                let def = func.def_inst(index).map(|inst| &func.insts[inst]);
                if !matches!(def, Some(InstData::Const { .. })) {
                    found[value].push(index);
                }
            }
        }
    }
    found
}

/// Maximum depth to which the definition of an index is followed.
const MAX_DEPTH: usize = 4;

/// The largest possible number of a value, as far as its definition shows.
fn largest(func: &Function, value: Value, depth: usize) -> Option<u32> {
    let depth = depth.checked_sub(1)?;
    match func.insts[func.def_inst(value)?] {
        InstData::Const { bits, .. } => u32::try_from(bits).ok(),
        InstData::Binary { op: BinaryOp::And, args: [a, b], .. } => {
            let limits = [largest(func, a, depth), largest(func, b, depth)];
            limits.into_iter().flatten().min()
        }
        InstData::Binary { op: BinaryOp::Shl, args: [a, b], .. } => {
            largest(func, a, depth)?.checked_mul(1u32.checked_shl(largest(func, b, depth)?)?)
        }
        _ => None,
    }
}
