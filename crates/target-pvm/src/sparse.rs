//! Initial data far from the rest of linear memory is copied there at the start.
//!
//! A standard program stores read-write memory as one run of bytes, so a segment behind a megabyte of zeros (a shadow
//! stack that stays in memory, for example) would cost a megabyte in the file. Such data is stored as constants
//! instead, and a start function copies it to its place before anything else runs. That costs gas in every
//! invocation, so it is done only where it saves at least [`MIN_GAP`] bytes; data in front of the first gap stays.
//!
//! Later segments overwrite earlier ones, so segments are first laid over each other. Chunks of the result are cut
//! where zeros are, and rounded to [`UNIT`] bytes, which one iteration of the copy loop moves.

use ssa::{
    Addr, BinaryOp, BlockCall, Cond, DataId, DataKind, DataObject, FuncDecl, FuncId, FuncKind, Function,
    InstData, LinearMemory, MemFlags, MemType, Module, Segment, Signature, Type,
};

use crate::memory_plan::first_live_byte;

/// Zeros in front of data that are worth copying it.
pub const MIN_GAP: u32 = 16 << 10;
/// Zeros inside of data that are worth another copy loop.
const MIN_ZEROS: usize = 256;
/// Bytes moved by one iteration.
const UNIT: u32 = 32;

/// Turns distant segments into constants that a start function copies.
pub fn move_distant_data(module: &mut Module) {
    let Some((memory_id, memory)) = module.memory() else { return };
    let chunks = chunks(memory);
    let mut end = first_live_byte(memory);
    let near = chunks.iter().take_while(|chunk| {
        let near = chunk.offset.saturating_sub(end) < MIN_GAP;
        end = chunk.offset + chunk.bytes.len() as u32;
        near
    });
    let first_distant = near.count();
    if first_distant == chunks.len() {
        return;
    }
    let mut near = chunks;
    let distant = near.split_off(first_distant);
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
    let id = module.data.push(DataObject { name, kind, size, align: 8, init, relocs: Vec::new() });
    (id, offset, size)
}

/// A function that makes the copies and goes on to the start function, if there is one.
fn add_start(module: &mut Module, memory: DataId, copies: &[(DataId, u32, u32)]) -> FuncId {
    let sig = module.intern_signature(Signature::default());
    let mut func = Function::new("__copy_initial_data", sig);
    let mut block = func.add_block();
    for &(data, offset, size) in copies {
        let next = func.add_block();
        let body = func.add_block();
        let index = func.add_param(body, Type::I32);
        let constant = |func: &mut Function, block, bits| {
            func.append_value(block, InstData::Const { ty: Type::I32, bits }, Type::I32)
        };
        let zero = constant(&mut func, block, 0);
        func.append(block, InstData::Jump { to: BlockCall { block: body, args: vec![zero] } }, &[]);
        let flags = MemFlags { volatile: false, align_log2: 3 };
        let words = (0..UNIT as i32).step_by(8).map(|at| {
            let addr = Addr { base: Some(data), index: Some(index), offset: at };
            let load = InstData::Load { mem: MemType::I64, ty: Type::I64, addr, flags };
            (at, func.append_value(body, load, Type::I64))
        });
        for (at, value) in words.collect::<Vec<_>>() {
            let addr =
                Addr { base: Some(memory), index: Some(index), offset: (offset as i32).wrapping_add(at) };
            func.append(body, InstData::Store { mem: MemType::I64, addr, value, flags }, &[]);
        }
        let unit = constant(&mut func, body, i64::from(UNIT));
        let sum = InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args: [index, unit] };
        let sum = func.append_value(body, sum, Type::I32);
        let size = constant(&mut func, body, i64::from(size as i32));
        let more = InstData::Icmp { cond: Cond::LtU, ty: Type::I32, args: [sum, size] };
        let cond = func.append_value(body, more, Type::I32);
        let if_true = BlockCall { block: body, args: vec![sum] };
        func.append(
            body,
            InstData::Branch { cond, if_true, if_false: BlockCall { block: next, args: vec![] } },
            &[],
        );
        block = next;
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
        move_distant_data(&mut module);
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
        move_distant_data(&mut dense);
        assert_eq!(dense, before);
        let mut fused = module("native_stack=524288 { 524288: 01 }");
        let before = fused.clone();
        move_distant_data(&mut fused);
        assert_eq!(fused, before, "what the fused stack leaves free is no gap");
    }

    #[test]
    fn later_segments_win() {
        let laid = chunks(module("{ 10: 01010101, 12: 0202020202, 11: 03 }").memory().expect("there").1);
        assert_eq!(laid, [Segment { offset: 10, bytes: vec![1, 3, 2, 2, 2, 2, 2] }]);
    }
}
