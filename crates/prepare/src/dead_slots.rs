//! Dead-store elimination for stack objects.
//!
//! Functions that return several words through memory leave such stores after they are inlined. LLVM forwards the words
//! to their users. It keeps the stores, because for LLVM the object is part of linear memory, which any function may
//! read. In SSA it is an object of the function's frame. If its address is used in loads and stores only, no other
//! function can read it. Then a store to bytes that no load of the function reads is dead.
//!
//! The order of loads and stores does not matter, so no data-flow analysis is needed. A first walk collects the loaded
//! bytes of each object and the objects whose address escapes; a second one removes stores. The stored value may become
//! unused, and selection skips unused values.

use ssa::{Addr, BinaryOp, DataId, FrameSlot, Function, IdVec, InstData, Value};

/// Removes dead stores to stack objects, and then the objects that nothing refers to. `bases` are the bases of accesses
/// that the addresses of objects are relative to: linear memory, or none for machine addresses, or both if it is at 0.
pub fn remove_dead_slot_stores(func: &mut Function, bases: &[Option<DataId>]) {
    if func.frame_slots.is_empty() {
        return;
    }
    let addresses = slot_addresses(func);
    let loaded = loaded_bytes(func, &addresses, bases);
    let Function { blocks, insts, .. } = func;
    for block in blocks.values_mut() {
        block.insts.retain(|&inst| match &insts[inst] {
            InstData::Store { mem, addr, flags, .. } if !flags.volatile => {
                let place = access(addr, &addresses, bases);
                place.is_none_or(|(slot, offset)| loaded[slot].overlaps(offset, mem.bytes()))
            }
            _ => true,
        });
    }
    ssa::passes::remove_dead(func);
    remove_unused(func);
}

/// Leaves no room for objects whose address is not computed.
fn remove_unused(func: &mut Function) {
    let mut used = IdVec::filled(false, func.frame_slots.len());
    for &inst in func.blocks.values().flat_map(|block| &block.insts) {
        if let InstData::FrameAddr { slot } = func.insts[inst] {
            used[slot] = true;
        }
    }
    for slot in func.frame_slots.ids().filter(|&slot| !used[slot]) {
        (func.frame_slots[slot].size, func.frame_slots[slot].align) = (0, 1);
        if func.source.frame == Some(slot) {
            func.source.frame = None;
        }
    }
}

/// For each value that is the address of an object plus a constant, the object and the constant.
pub(crate) type SlotAddresses = IdVec<Value, Option<(FrameSlot, i32)>>;

pub(crate) fn slot_addresses(func: &Function) -> SlotAddresses {
    let mut addresses: SlotAddresses = IdVec::filled(None, func.values.len());
    for &inst in func.reverse_postorder().iter().flat_map(|&block| &func.blocks[block].insts) {
        let place = match func.insts[inst] {
            InstData::FrameAddr { slot } => Some((slot, 0)),
            InstData::Binary { op: BinaryOp::Add, args: [a, b], .. } => {
                let known = addresses[a].zip(func.as_const(b));
                known.map(|((slot, offset), constant)| (slot, offset.wrapping_add(constant as i32)))
            }
            _ => None,
        };
        if place.is_some() {
            addresses[func.result(inst)] = place;
        }
    }
    addresses
}

/// The bytes of an object that may be read.
#[derive(Clone, Debug)]
pub(crate) enum Loaded {
    /// All bytes.
    All,
    /// These ranges: offset and length.
    Ranges(Vec<(i32, u32)>),
}

impl Loaded {
    fn add(&mut self, offset: i32, bytes: u32) {
        if let Self::Ranges(ranges) = self {
            ranges.push((offset, bytes));
        }
    }

    /// The same bytes as ascending ranges without overlaps.
    fn merged(self) -> Self {
        let Self::Ranges(mut ranges) = self else { return self };
        ranges.sort_unstable();
        let mut merged: Vec<(i32, u32)> = Vec::new();
        for (offset, bytes) in ranges {
            match merged.last_mut() {
                Some((start, len)) if i64::from(offset) <= i64::from(*start) + i64::from(*len) => {
                    *len = (*len).max((i64::from(offset) - i64::from(*start)) as u32 + bytes);
                }
                _ => merged.push((offset, bytes)),
            }
        }
        Self::Ranges(merged)
    }

    fn overlaps(&self, offset: i32, bytes: u32) -> bool {
        let Self::Ranges(ranges) = self else { return true };
        let end = i64::from(offset) + i64::from(bytes);
        let before_end = ranges.partition_point(|&(start, _)| i64::from(start) < end);
        let last = before_end.checked_sub(1).map(|n| ranges[n]);
        last.is_some_and(|(start, len)| i64::from(start) + i64::from(len) > i64::from(offset))
    }
}

/// The object and the offset that an address refers to.
pub(crate) fn access(
    addr: &Addr,
    addresses: &SlotAddresses,
    bases: &[Option<DataId>],
) -> Option<(FrameSlot, i32)> {
    let (slot, offset) = addresses[addr.index?]?;
    bases.contains(&addr.base).then(|| (slot, offset.wrapping_add(addr.offset)))
}

/// The bytes of each object that may be read. If an object's address escapes, these are all.
pub(crate) fn loaded_bytes(
    func: &Function,
    addresses: &SlotAddresses,
    bases: &[Option<DataId>],
) -> IdVec<FrameSlot, Loaded> {
    let mut loaded = IdVec::filled(Loaded::Ranges(Vec::new()), func.frame_slots.len());
    for &inst in func.blocks.values().flat_map(|block| &block.insts) {
        let data = &func.insts[inst];
        let accessed = match data {
            InstData::Load { addr, .. } | InstData::Store { addr, .. } => access(addr, addresses, bases),
            _ => None,
        };
        if let (InstData::Load { mem, .. }, Some((slot, offset))) = (data, accessed) {
            loaded[slot].add(offset, mem.bytes());
        }
        let is_place = !func.results[inst].is_empty() && addresses[func.results[inst][0]].is_some();
        let mut first = true;
        data.for_each_arg(|arg| {
            // The address of an access is its first operand. A constant added to an address is handled at the sum.
            let is_address = std::mem::replace(&mut first, false) && accessed.is_some();
            if let Some((slot, _)) = addresses[arg].filter(|_| !is_address && !is_place) {
                loaded[slot] = Loaded::All;
            }
        });
    }
    loaded.values().map(|ranges| ranges.clone().merged()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of stores that remain, with addresses that are relative to linear memory, or machine addresses.
    fn stores_left(body: &str) -> usize {
        let [relative, absolute] = [body.to_owned(), body.replace("@m + ", "")].map(|body| {
            let has_memory = body.contains("@m");
            stores_left_with(&body, has_memory)
        });
        assert!(relative == absolute || !body.contains("@m"), "{body}");
        relative
    }

    fn stores_left_with(body: &str, has_memory: bool) -> usize {
        let text = format!(
            "memory @m size=0 align=1 min=65536 page_log2=16 native_stack=65536\n\
             func $f (i32) -> (i32) {{\n  slot s0 size=32 align=8\n  slot s1 size=32 align=8\nb0(v0: i32):\n\
             v1 = frame_addr s0\n  v2 = frame_addr s1\n  v3 = const.i32 8\n  v4 = add.i32 v1, v3\n{body}\n  return v0\n}}\n"
        );
        let mut module = ssa::parse_module(&text).expect("well-formed");
        let memory = module.memories().next().map(|(id, _)| id);
        let func = module.functions.values_mut().flatten().next().expect("one function");
        remove_dead_slot_stores(func, &[memory.filter(|_| has_memory)]);
        let block = &func.blocks[func.entry()];
        block.insts.iter().filter(|&&inst| matches!(func.insts[inst], InstData::Store { .. })).count()
    }

    #[test]
    fn stores_to_bytes_without_loads_are_removed() {
        assert_eq!(stores_left("store.u32 v0, [@m + v1]\nstore.u32 v0, [@m + v4 + 4]"), 0);
        assert_eq!(stores_left("store.u32 v0, [@m + v1] volatile"), 1);
        let overlapping = "store.u32 v0, [@m + v4]\nstore.u32 v0, [@m + v1]\nv9 = load.u8.i32 [@m + v1 + 11]";
        assert_eq!(stores_left(overlapping), 1);
        assert_eq!(stores_left("store.u32 v0, [@m + v1]\nv9 = load.u32.i32 [@m + v2]"), 0);
    }

    #[test]
    fn escaping_addresses_keep_their_object() {
        assert_eq!(stores_left("store.u32 v0, [@m + v1]\nstore.u32 v4, [@m + v0]"), 2);
        assert_eq!(
            stores_left("store.u32 v0, [@m + v1]\nv9 = add.i32 v1, v0\nv10 = load.u32.i32 [@m + v9]"),
            1
        );
        assert_eq!(stores_left("store.u32 v0, [@m + v1]\nv9 = load.u32.i32 [v1]"), 1);
        assert_eq!(stores_left("store.u32 v0, [@m + v2]\nstore.u32 v1, [@m + v0]"), 1);
    }
}
