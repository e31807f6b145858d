//! Anchors inside of large stack objects, so that short loads and stores reach their arrays.
//!
//! The address of an element of an array in a structure on the stack is `object + index`, and the access adds the offset of
//! the array. Short forms have room for small offsets only. The address of the object plus a constant costs as much as that
//! of the object itself. So where several accesses have larger offsets, their sum is computed from such an anchor instead.
//!
//! Accesses to one object are grouped by ranges of offsets that a short form reaches. A group gets an anchor if it has
//! enough accesses. A sum moves to the anchor if it is used for accesses of the group only. Termination: one walk over the
//! accesses in the order of their offsets.

use std::collections::{BTreeMap, BTreeSet};

use ssa::{BinaryOp, DataId, FrameSlot, Function, Inst, InstData, Type, Value, ValueDef};

/// The least number of accesses for which an anchor pays.
const LEAST_ACCESSES: usize = 4;

/// The number of offsets that a short form reaches, in widths of the access.
const REACH: i32 = 32;

/// An access to an element.
#[derive(Clone, Copy)]
struct Access {
    inst: Inst,
    /// The sum of the object's address and an index.
    sum: Value,
    offset: i32,
    bytes: i32,
}

/// Makes accesses to elements of arrays in stack objects relative to anchors. `memory` is linear memory.
pub fn place(func: &mut Function, memory: Option<DataId>) {
    let mut objects: BTreeMap<Value, Vec<Access>> = BTreeMap::new();
    let mut uses: BTreeMap<Value, usize> = BTreeMap::new();
    for &inst in func.blocks.values().flat_map(|block| &block.insts) {
        func.insts[inst].for_each_arg(|arg| *uses.entry(arg).or_insert(0) += 1);
        let (InstData::Load { mem, addr, .. } | InstData::Store { mem, addr, .. }) = &func.insts[inst] else {
            continue;
        };
        let object = addr.index.and_then(|sum| Some((object_of(func, sum, memory)?, sum)));
        if let Some((object, sum)) = object {
            let (offset, bytes) = (addr.offset, mem.bytes().min(4) as i32);
            objects.entry(object).or_default().push(Access { inst, sum, offset, bytes });
        }
    }
    let mut added: BTreeMap<Inst, Vec<Inst>> = BTreeMap::new();
    for (object, mut accesses) in objects {
        accesses.sort_by_key(|access| (access.offset, access.inst));
        let mut rest = &accesses[..];
        while let Some(first) = rest.first() {
            let start = first.offset & -4;
            let in_reach = |access: &Access| {
                let distance = access.offset.wrapping_sub(start);
                (0..REACH * access.bytes).contains(&distance)
            };
            let count = rest.iter().take_while(|access| in_reach(access)).count();
            let (group, others) = rest.split_at(count.max(1));
            if start >= REACH {
                anchor(func, object, start, &movable(group, &uses), &mut added);
            }
            rest = others;
        }
    }
    if !added.is_empty() {
        insert(func, &added);
        ssa::passes::remove_dead(func);
    }
}

/// The address of a stack object in a sum with an index.
fn object_of(func: &Function, sum: Value, memory: Option<DataId>) -> Option<Value> {
    let InstData::Binary { op: BinaryOp::Add, args, .. } = func.insts[func.def_inst(sum)?] else {
        return None;
    };
    let object = args.into_iter().find(|&arg| slot_of(func, arg, memory).is_some())?;
    let index = if args[0] == object { args[1] } else { args[0] };
    func.as_const(index).is_none().then_some(object)
}

/// The stack object with this address: its wasm address, or its machine address, which is that plus the base of memory.
fn slot_of(func: &Function, address: Value, memory: Option<DataId>) -> Option<FrameSlot> {
    match func.insts[func.def_inst(address)?] {
        InstData::FrameAddr { slot } => Some(slot),
        InstData::Binary { op: BinaryOp::Add, args: [base, address], .. } => {
            let InstData::DataAddr { data, offset: 0 } = func.insts[func.def_inst(base)?] else {
                return None;
            };
            let InstData::FrameAddr { slot } = func.insts[func.def_inst(address)?] else { return None };
            (memory == Some(data)).then_some(slot)
        }
        _ => None,
    }
}

/// The accesses of a group whose sums have no other uses, and whose offsets no short form reaches.
fn movable(group: &[Access], uses: &BTreeMap<Value, usize>) -> Vec<Access> {
    let of_sum = |sum: Value| group.iter().filter(move |access| access.sum == sum);
    let suits = |access: &&Access| {
        let is_far = of_sum(access.sum).any(|access| access.offset >= REACH * access.bytes);
        is_far && of_sum(access.sum).count() == uses[&access.sum]
    };
    group.iter().filter(suits).copied().collect()
}

/// Makes `accesses` relative to `start` in an object, if there are enough.
fn anchor(
    func: &mut Function,
    object: Value,
    start: i32,
    accesses: &[Access],
    added: &mut BTreeMap<Inst, Vec<Inst>>,
) {
    let (true, Some(def)) = (accesses.len() >= LEAST_ACCESSES, func.def_inst(object)) else { return };
    let bits = i64::from(start);
    let constant = func.make_inst(InstData::Const { ty: Type::I32, bits }, &[Type::I32]);
    let anchor = add(func, object, func.result(constant));
    added.entry(def).or_default().extend([constant, anchor]);
    let sums: BTreeSet<Value> = accesses.iter().map(|access| access.sum).collect();
    for sum in sums {
        let ValueDef::Result(inst, _) = func.values[sum].def else { continue };
        let InstData::Binary { args: [a, b], .. } = func.insts[inst] else { continue };
        let moved = add(func, func.result(anchor), if a == object { b } else { a });
        added.entry(inst).or_default().push(moved);
        let moved = func.result(moved);
        for access in accesses.iter().filter(|access| access.sum == sum) {
            if let InstData::Load { addr, .. } | InstData::Store { addr, .. } = &mut func.insts[access.inst] {
                (addr.index, addr.offset) = (Some(moved), access.offset - start);
            }
        }
    }
}

fn add(func: &mut Function, a: Value, b: Value) -> Inst {
    func.make_inst(InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args: [a, b] }, &[Type::I32])
}

/// Inserts instructions after others.
fn insert(func: &mut Function, added: &BTreeMap<Inst, Vec<Inst>>) {
    for block in func.blocks.ids() {
        let mut insts = Vec::new();
        for inst in std::mem::take(&mut func.blocks[block].insts) {
            insts.push(inst);
            insts.extend(added.get(&inst).into_iter().flatten());
        }
        func.blocks[block].insts = insts;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function with these accesses through `v3`, the sum of a stack object and an index, after the pass.
    fn placed(accesses: &str) -> String {
        let text = format!(
            "memory @m size=0 align=1 min=65536 page_log2=16 native_stack=65536\n\
             func $f (i32) -> (i32) {{\n  slot s0 size=512 align=8\nb0(v0: i32):\n  v1 = const.i32 56\n\
             v2 = and.i32 v0, v1\n  v4 = frame_addr s0\n  v3 = add.i32 v4, v2\n{accesses}\n  return v0\n}}\n"
        );
        let mut module = ssa::parse_module(&text).expect("well-formed");
        let memory = module.memories().next().map(|(id, _)| id);
        place(module.functions.values_mut().flatten().next().expect("one function"), memory);
        ssa::verify(&module).unwrap_or_else(|error| panic!("{error}\n{module}"));
        module.to_string()
    }

    fn stores(offsets: [i32; 4]) -> String {
        offsets.map(|offset| format!("store.u32 v0, [@m + v3 + {offset}]")).join("\n")
    }

    #[test]
    fn accesses_beyond_the_reach_get_an_anchor() {
        let text = placed(&stores([176, 180, 184, 192]));
        assert!(text.contains("const.i32 176"), "{text}");
        for offset in [" + 4]", " + 8]", " + 16]"] {
            assert!(text.contains(offset), "{text}");
        }
    }

    #[test]
    fn near_and_few_accesses_and_sums_with_other_uses_stay() {
        assert!(placed(&stores([0, 4, 8, 12])).contains(" + 12]"));
        assert!(placed("store.u32 v0, [@m + v3 + 200]").contains(" + 200]"));
        let escapes = format!("{}\nstore.u32 v3, [@m + v0]", stores([176, 180, 184, 192]));
        assert!(placed(&escapes).contains(" + 192]"));
    }
}
