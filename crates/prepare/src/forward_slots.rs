//! Loads from stack objects whose value is known.
//!
//! Code that was compiled without optimisation keeps every variable in memory. For LLVM a stack object is part of linear
//! memory, so any call or store may change it. In SSA it is an object of the frame. If its address is used in loads and
//! stores only, nothing else can change it. Then a load has the value of the last store to the same bytes, or of the last
//! load.
//!
//! At the start of a block those values are known that are known, and the same, at the end of all predecessors. Only
//! accesses of whole values are forwarded: a narrow one cuts or extends a value. Termination: one walk over the function.

use std::collections::BTreeMap;

use ssa::cfg::{Cfg, Graph};
use ssa::{Block, DataId, FrameSlot, Function, IdVec, Inst, InstData, Value};

use crate::dead_slots::{Loaded, SlotAddresses, access, loaded_bytes, slot_addresses};

/// Known values by object and offset, with their sizes in bytes.
type Known = BTreeMap<(FrameSlot, i32), (u32, Value)>;

/// Replaces loads from stack objects by known values. `bases` are the bases of accesses that the addresses of objects are
/// relative to, as in [`dead_slots`](crate::dead_slots).
pub fn forward(func: &mut Function, bases: &[Option<DataId>]) {
    if func.frame_slots.is_empty() {
        return;
    }
    let addresses = slot_addresses(func);
    let objects = Objects { loaded: loaded_bytes(func, &addresses, bases), addresses, bases };
    let cfg = Cfg::new(func);
    let mut at_end: IdVec<Block, Option<Known>> = IdVec::filled(None, func.blocks.len());
    let mut by: BTreeMap<Value, Value> = BTreeMap::new();
    for block in func.reverse_postorder() {
        let mut known = joined(cfg.predecessors(block), &at_end);
        for &inst in &func.blocks[block].insts {
            if let Some((load, value)) = objects.step(func, inst, &mut known) {
                let value = by.get(&value).copied().unwrap_or(value);
                by.insert(load, value);
            }
        }
        at_end[block] = Some(known);
    }
    if !by.is_empty() {
        let by = |value: Value| by.get(&value).copied().unwrap_or(value);
        func.insts.values_mut().for_each(|data| data.map_args(by));
        remove_loads(func, &by);
    }
}

/// The values that are known, and the same, at the end of all predecessors. A loop's header has some that have not been
/// visited, and no known values.
fn joined(preds: &[Block], at_end: &IdVec<Block, Option<Known>>) -> Known {
    let mut ends = preds.iter().map(|&pred| at_end[pred].as_ref());
    let Some(Some(first)) = ends.next() else { return Known::new() };
    let mut known = first.clone();
    for end in ends {
        known.retain(|place, value| end.is_some_and(|end| end.get(place) == Some(&*value)));
    }
    known
}

/// Removes the loads that have been replaced.
fn remove_loads(func: &mut Function, by: &dyn Fn(Value) -> Value) {
    let Function { blocks, insts, results, .. } = func;
    for block in blocks.values_mut() {
        block.insts.retain(|&inst| match insts[inst] {
            InstData::Load { .. } => by(results[inst][0]) == results[inst][0],
            _ => true,
        });
    }
}

/// The stack objects of a function.
struct Objects<'a> {
    loaded: IdVec<FrameSlot, Loaded>,
    addresses: SlotAddresses,
    bases: &'a [Option<DataId>],
}

impl Objects<'_> {
    /// Updates the known values for an instruction; returns a load with the value that it has.
    fn step(&self, func: &Function, inst: Inst, known: &mut Known) -> Option<(Value, Value)> {
        let (addr, mem, flags) = match &func.insts[inst] {
            InstData::Load { addr, mem, flags, .. } | InstData::Store { addr, mem, flags, .. } => {
                (addr, mem, flags)
            }
            _ => return None,
        };
        let (slot, offset) = access(addr, &self.addresses, self.bases)?;
        if matches!(self.loaded[slot], Loaded::All) {
            return None;
        }
        let (place, bytes) = ((slot, offset), mem.bytes());
        let is_whole = |value: Value| !flags.volatile && func.values[value].ty.bits() == 8 * bytes;
        if let InstData::Store { value, .. } = func.insts[inst] {
            known.retain(|&at, &mut (len, _)| at.0 != slot || is_apart(at.1, len, offset, bytes));
            if is_whole(value) {
                known.insert(place, (bytes, value));
            }
            return None;
        }
        let load = func.result(inst);
        match known.get(&place) {
            _ if !is_whole(load) => None,
            Some(&(len, value)) if len == bytes && func.values[value].ty == func.values[load].ty => {
                Some((load, value))
            }
            Some(_) => None,
            None => {
                known.insert(place, (bytes, load));
                None
            }
        }
    }
}

/// Whether two ranges of bytes have none in common.
fn is_apart(offset: i32, bytes: u32, other: i32, other_bytes: u32) -> bool {
    let [(start, end), (other, other_end)] = [(offset, bytes), (other, other_bytes)]
        .map(|(offset, bytes)| (i64::from(offset), i64::from(offset) + i64::from(bytes)));
    end <= other || other_end <= start
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of loads that remain in a function with two stack objects.
    fn loads_left(body: &str) -> usize {
        let text = format!(
            "memory @m size=0 align=1 min=65536 page_log2=16 native_stack=65536\n\
             import $g \"env\" \"g\" (i32) -> ()\n\
             func $f (i32, i32) -> (i32) {{\n  slot s0 size=32 align=8\n  slot s1 size=32 align=8\n\
             b0(v0: i32, v1: i32):\n  v2 = frame_addr s0\n  v3 = frame_addr s1\n{body}\n}}\n"
        );
        let mut module = ssa::parse_module(&text).expect("well-formed");
        let memory = module.memories().next().map(|(id, _)| id);
        let func = module.functions.values_mut().flatten().next().expect("one function");
        forward(func, &[memory]);
        let loads = func.blocks.values().flat_map(|block| &block.insts);
        let count = loads.filter(|&&inst| matches!(func.insts[inst], InstData::Load { .. })).count();
        ssa::verify(&module).unwrap_or_else(|error| panic!("{error}\n{module}"));
        count
    }

    #[test]
    fn loads_have_the_values_of_stores() {
        let stored = "store.u32 v0, [@m + v2 + 4]\n  v4 = load.u32.i32 [@m + v2 + 4]\n  return v4";
        assert_eq!(loads_left(stored), 0);
        let after_others = "store.u32 v0, [@m + v2 + 4]\n  store.u32 v1, [@m + v2 + 8]\n  store.u32 v1, [@m + v1]\n\
             call $g(v1)\n  v4 = load.u32.i32 [@m + v2 + 4]\n  return v4";
        assert_eq!(loads_left(after_others), 0);
        let in_successors = "store.u32 v0, [@m + v2]\n  branch v1, b1, b2\nb1:\n  v4 = load.u32.i32 [@m + v2]\n  return v4\n\
             b2:\n  return v1";
        assert_eq!(loads_left(in_successors), 0);
        let joined = "store.u32 v0, [@m + v2]\n  branch v1, b1, b2\nb1:\n  store.u32 v1, [@m + v3]\n  jump b3\n\
             b2:\n  jump b3\nb3:\n  v4 = load.u32.i32 [@m + v2]\n  return v4";
        assert_eq!(loads_left(joined), 0);
        let loaded =
            "v4 = load.u32.i32 [@m + v2]\n  v5 = load.u32.i32 [@m + v2]\n  v6 = add.i32 v4, v5\n  return v6";
        assert_eq!(loads_left(loaded), 1);
    }

    #[test]
    fn loads_of_other_bytes_stay() {
        let overlapping = "store.u32 v0, [@m + v2 + 4]\n  store.u8 v1, [@m + v2 + 7]\n\
             v4 = load.u32.i32 [@m + v2 + 4]\n  return v4";
        assert_eq!(loads_left(overlapping), 1);
        let narrow = "store.u8 v0, [@m + v2]\n  v4 = load.u8.i32 [@m + v2]\n  return v4";
        assert_eq!(loads_left(narrow), 1);
        let volatile = "store.u32 v0, [@m + v2]\n  v4 = load.u32.i32 [@m + v2] volatile\n  return v4";
        assert_eq!(loads_left(volatile), 1);
        let escaping = "store.u32 v0, [@m + v2]\n  call $g(v2)\n  v4 = load.u32.i32 [@m + v2]\n  return v4";
        assert_eq!(loads_left(escaping), 1);
        let joined = "store.u32 v0, [@m + v2]\n  branch v1, b1, b2\nb1:\n  store.u32 v1, [@m + v2]\n  jump b3\n\
             b2:\n  jump b3\nb3:\n  v4 = load.u32.i32 [@m + v2]\n  return v4";
        assert_eq!(loads_left(joined), 1);
        let in_a_loop = "store.u32 v0, [@m + v2]\n  jump b1\nb1:\n  v4 = load.u32.i32 [@m + v2]\n\
             store.u32 v1, [@m + v2]\n  branch v4, b2, b3\nb2:\n  jump b1\nb3:\n  return v4";
        assert_eq!(loads_left(in_a_loop), 1);
    }
}
