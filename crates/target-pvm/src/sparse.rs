//! Initial data that is copied to its place at the start instead of being stored there.
//!
//! A standard program stores read-write memory as one run of bytes. Two kinds of data don't suit that, and are stored
//! as constants that a start function copies before anything else runs:
//!
//! - **Distant data.** A segment behind a megabyte of zeros (a shadow stack that stays in memory, for example) would
//!   cost a megabyte in the file. It is copied where that saves at least [`MIN_GAP`] bytes.
//! - **All data, to make wasm addresses PVM addresses.** Where a fused shadow stack leaves the first megabyte of the
//!   window free, base 0 is possible, and each access is up to three bytes shorter. But read-write memory begins far
//!   below the data then. It is done where the goal asks for it: for small code, or if it gains enough.
//!
//! Copying costs about 1.6 gas per byte in every invocation.
//!
//! Later segments overwrite earlier ones, so segments are first laid over each other. Chunks of the result are cut
//! where zeros are, and rounded to [`UNIT`] bytes, which one iteration of the copy loop moves.

use ssa::{
    Addr, BinaryOp, Block, BlockCall, Cond, DataId, DataKind, DataObject, FuncDecl, FuncId, FuncKind,
    Function, InstData, LinearMemory, MemFlags, MemType, Module, Segment, Signature, Type,
};

use crate::Goal;
use crate::memory_plan::first_live_byte;

/// Zeros in front of data that are worth copying it.
pub const MIN_GAP: u32 = 16 << 10;
/// Zeros inside of data that are worth another copy loop.
const MIN_ZEROS: usize = 256;
/// Bytes moved by one iteration.
const UNIT: u32 = 32;

/// Turns segments into constants that a start function copies, where that is better. Returns the wasm address from
/// which linear memory is in use if wasm addresses can be PVM addresses.
pub fn copy_at_start(module: &mut Module, goal: Goal) -> Option<u32> {
    let (_, memory) = module.memory()?;
    let chunks = chunks(memory);
    let live_start = first_live_byte(memory);
    if live_start > 0 && identity_pays(module, &chunks, goal) {
        move_to_constants(module, Vec::new(), chunks);
        return Some(live_start);
    }
    let mut end = live_start;
    let near = chunks.iter().take_while(|chunk| {
        let near = chunk.offset.saturating_sub(end) < MIN_GAP;
        end = chunk.offset + chunk.bytes.len() as u32;
        near
    });
    let first_distant = near.count();
    if first_distant < chunks.len() {
        let mut near = chunks;
        let distant = near.split_off(first_distant);
        move_to_constants(module, near, distant);
    }
    None
}

/// Bytes that base 0 saves per access through a pointer, on average.
const SAVED_PER_ACCESS: usize = 2;
/// Bytes of the flag's check in an entry, and of a copy loop.
const COST_PER_PIECE: usize = 60;

fn identity_pays(module: &Module, chunks: &[Segment], goal: Goal) -> bool {
    let is_access = |inst: &&InstData| match inst {
        InstData::Load { addr, .. } | InstData::Store { addr, .. } => addr.index.is_some(),
        _ => false,
    };
    let insts = module.functions.values().flatten().flat_map(|func| func.insts.values());
    let saved = insts.filter(is_access).count() * SAVED_PER_ACCESS;
    let code = (chunks.len() + module.exports.len()) * COST_PER_PIECE;
    let copied: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
    match goal {
        Goal::Speed => false,
        Goal::Balance => saved > code + copied / 2,
        Goal::Size => saved > code,
    }
}

fn move_to_constants(module: &mut Module, near: Vec<Segment>, distant: Vec<Segment>) {
    let (memory_id, _) = module.memory().expect("there are segments");
    let copies: Vec<(DataId, u32, u32)> =
        distant.into_iter().map(|chunk| add_constant(module, chunk)).collect();
    let start = add_start(module, memory_id, &copies);
    module.start = Some(start);
    if let DataKind::Memory(memory) = &mut module.data[memory_id].kind {
        memory.segments = near;
    }
}

/// The initial contents as disjoint chunks in ascending order, with fewer than [`MIN_ZEROS`] zeros in a row.
fn chunks(memory: &LinearMemory) -> Vec<Segment> {
    let mut ranges: Vec<(u32, u32)> = memory
        .segments
        .iter()
        .filter(|segment| !segment.bytes.is_empty())
        .map(|segment| (segment.offset, segment.offset + segment.bytes.len() as u32))
        .collect();
    ranges.sort_unstable();
    let mut areas: Vec<Segment> = Vec::new();
    for (start, end) in ranges {
        match areas.last_mut() {
            Some(last) if start <= last.offset + last.bytes.len() as u32 => {
                let len = (end - last.offset) as usize;
                last.bytes.resize(len.max(last.bytes.len()), 0);
            }
            _ => areas.push(Segment { offset: start, bytes: vec![0; (end - start) as usize] }),
        }
    }
    for segment in memory.segments.iter().filter(|segment| !segment.bytes.is_empty()) {
        let index = areas.partition_point(|area| area.offset <= segment.offset) - 1;
        let at = (segment.offset - areas[index].offset) as usize;
        areas[index].bytes[at..at + segment.bytes.len()].copy_from_slice(&segment.bytes);
    }
    areas.iter().flat_map(without_zeros).collect()
}

/// The parts of an area between long runs of zeros.
fn without_zeros(area: &Segment) -> Vec<Segment> {
    let mut parts = Vec::new();
    let mut start = None;
    let mut end = 0;
    for (at, _) in area.bytes.iter().enumerate().filter(|(_, byte)| **byte != 0) {
        if let Some(from) = start.filter(|_| at - end >= MIN_ZEROS) {
            parts.push((from, end));
            start = None;
        }
        start.get_or_insert(at);
        end = at + 1;
    }
    parts.extend(start.map(|from| (from, end)));
    let segment = |(from, to): (usize, usize)| Segment {
        offset: area.offset + from as u32,
        bytes: area.bytes[from..to].to_vec(),
    };
    parts.into_iter().map(segment).collect()
}

/// A constant with a chunk's bytes: its id, the wasm address to copy it to, and its length, in whole units.
fn add_constant(module: &mut Module, chunk: Segment) -> (DataId, u32, u32) {
    let offset = chunk.offset / UNIT * UNIT;
    let mut init = vec![0; (chunk.offset - offset) as usize];
    init.extend_from_slice(&chunk.bytes);
    init.resize(init.len().next_multiple_of(UNIT as usize), 0);
    let size = init.len() as u32;
    let name = format!("__initial.{offset}");
    let kind = DataKind::Constant;
    let id = module.data.push(DataObject {
        name,
        kind,
        size,
        align: 8,
        init,
        relocs: Vec::new(),
        addresses: Vec::new(),
    });
    (id, offset, size)
}

/// A function that makes the copies and goes on to the start function, if there is one.
fn add_start(module: &mut Module, memory: DataId, copies: &[(DataId, u32, u32)]) -> FuncId {
    let sig = module.intern_signature(Signature::default());
    let mut func = Function::new("__copy_initial_data", sig);
    let mut block = func.add_block();
    for &(data, offset, size) in copies {
        block = copy_loop(&mut func, block, data, (memory, offset as i32), size);
    }
    match module.start {
        Some(start) => func.append(block, InstData::TailCall { func: start, args: vec![] }, &[]),
        None => func.append(block, InstData::Return { args: vec![] }, &[]),
    };
    ssa::canonicalize(&mut func);
    ssa::estimate_frequencies(&mut func);
    let id = module.decls.push(FuncDecl { name: func.name.clone(), sig, kind: FuncKind::Local });
    module.functions.push(Some(func));
    id
}

/// Ends `block` with a loop that copies `size` bytes from `from` to an offset of `to`; returns the block behind it.
fn copy_loop(func: &mut Function, block: Block, from: DataId, to: (DataId, i32), size: u32) -> Block {
    let [body, next] = [0; 2].map(|_| func.add_block());
    let index = func.add_param(body, Type::I32);
    let constant = |func: &mut Function, block, bits: u32| {
        let bits = i64::from(bits as i32);
        func.append_value(block, InstData::Const { ty: Type::I32, bits }, Type::I32)
    };
    let zero = constant(func, block, 0);
    func.append(block, InstData::Jump { to: BlockCall { block: body, args: vec![zero] } }, &[]);
    let flags = MemFlags { volatile: false, align_log2: 3 };
    let place = |base, offset| Addr { base: Some(base), index: Some(index), offset };
    let mut words = Vec::new();
    for at in (0..UNIT as i32).step_by(8) {
        let load = InstData::Load { mem: MemType::I64, ty: Type::I64, addr: place(from, at), flags };
        words.push((at, func.append_value(body, load, Type::I64)));
    }
    for (at, value) in words {
        let addr = place(to.0, to.1.wrapping_add(at));
        func.append(body, InstData::Store { mem: MemType::I64, addr, value, flags }, &[]);
    }
    let unit = constant(func, body, UNIT);
    let sum = InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args: [index, unit] };
    let sum = func.append_value(body, sum, Type::I32);
    let size = constant(func, body, size);
    let more = InstData::Icmp { cond: Cond::LtU, ty: Type::I32, args: [sum, size] };
    let cond = func.append_value(body, more, Type::I32);
    let if_true = BlockCall { block: body, args: vec![sum] };
    func.append(
        body,
        InstData::Branch { cond, if_true, if_false: BlockCall { block: next, args: vec![] } },
        &[],
    );
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(memory: &str) -> Module {
        let text = format!("memory @mem size=0 align=16 min=1048576 page_log2=16 {memory}\n");
        ssa::parse_module(&text).expect("parses")
    }

    fn segments(module: &Module) -> Vec<(u32, usize)> {
        let (_, memory) = module.memory().expect("there");
        memory.segments.iter().map(|segment| (segment.offset, segment.bytes.len())).collect()
    }

    #[test]
    fn distant_data_is_copied_and_near_data_stays() {
        let mut module = module("{ 100: 0102, 900000: 03, 900040: 0405, 940000: 06 }");
        assert_eq!(copy_at_start(&mut module, Goal::Speed), None);
        ssa::verify(&module).expect("verifies");
        assert_eq!(segments(&module), [(100, 2)]);
        let constants: Vec<_> =
            module.data.values().skip(1).map(|object| (object.name.as_str(), object.size)).collect();
        assert_eq!(constants, [("__initial.900000", 32), ("__initial.900032", 32), ("__initial.940000", 32)]);
        assert_eq!(module.data[ssa::EntityId::new(2)].init[8..11], [4, 5, 0]);
        assert!(module.start.is_some());
    }

    #[test]
    fn dense_data_stays() {
        let mut dense = module("{ 1024: 01, 10000: 02 }");
        let before = dense.clone();
        copy_at_start(&mut dense, Goal::Size);
        assert_eq!(dense, before);
        let mut fused = module("native_stack=524288 { 524288: 01 }");
        let before = fused.clone();
        copy_at_start(&mut fused, Goal::Speed);
        assert_eq!(fused, before, "what the fused stack leaves free is no gap");
    }

    #[test]
    fn all_data_is_copied_where_base_zero_pays() {
        let accesses = "  store.u8 v0, [@mem + v0 + 4]\n".repeat(200);
        let text = format!(
            "memory @mem size=0 align=16 min=1048576 page_log2=16 native_stack=524288 {{ 524288: 0102, 524900: 03 }}\n\
             func $f (i32) -> () {{\nb0(v0: i32):\n{accesses}  return\n}}\n"
        );
        let module = ssa::parse_module(&text).expect("parses");
        for (goal, copied) in [(Goal::Speed, false), (Goal::Balance, true), (Goal::Size, true)] {
            let mut module = module.clone();
            let identity = copy_at_start(&mut module, goal);
            assert_eq!((identity, module.start.is_some()), (copied.then_some(524288), copied));
            assert_eq!(segments(&module).is_empty(), copied);
        }
    }

    #[test]
    fn later_segments_win() {
        let laid = chunks(module("{ 10: 01010101, 12: 0202020202, 11: 03 }").memory().expect("there").1);
        assert_eq!(laid, [Segment { offset: 10, bytes: vec![1, 3, 2, 2, 2, 2, 2] }]);
    }
}
