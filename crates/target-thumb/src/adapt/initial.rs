//! Initial data of linear memories, and the function that firmware calls first.
//!
//! A section with all of linear memory would contain every zero between and after its data. Under [`InitialData::Copy`]
//! memory starts as zeros instead (`.bss`, or the embedder's memory), and its data is a constant: a list of runs. Each
//! run is a number of words, the wasm address of the first, and the words. A zero ends the list. Runs are joined if
//! there are at most as many zero words between them as another run's header takes. Every memory has a list of its own.
//!
//! `__wasm_start` copies the runs and then calls the module's start function. Bytes of an incomplete last word of
//! memory are stored one by one, so no byte outside of memory is written.

use ssa::{
    Addr, BinaryOp, Block, BlockCall, Cond, DataId, DataKind, DataObject, FuncId, FuncKind, Function,
    InstData, MemFlags, MemType, Module, Reachable, Segment, Signature, Type, Value,
};

use crate::isa::MemoryMode;

/// The method by which linear memory gets its initial data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum InitialData {
    /// `__wasm_start` copies it.
    #[default]
    Copy,
    /// A section with the data is all of linear memory.
    Image,
    /// The embedder writes it; the object doesn't contain it.
    None,
}

/// Bytes of a word.
const WORD: u32 = 4;
/// Maximum number of zero words between two runs that are joined: as many as a run's header has.
const GAP_WORDS: usize = 2;
/// Name of the constant with the runs.
pub const RUNS: &str = "__wasm_initial_data";

/// Consecutive words.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Run {
    /// Wasm address of the first word.
    start: u32,
    words: Vec<u32>,
}

/// The actions of the function that firmware calls first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Start {
    /// Bytes of data that it copies, including addresses and counts of the runs.
    pub copied_bytes: u64,
    /// Whether it is, or calls, the module's start function.
    pub starts: bool,
}

/// Removes the initial data from linear memories, and makes the function that copies it the start function. `memory` is
/// the one that `mode` places.
pub fn place(module: &mut Module, memory: Option<DataId>, mode: MemoryMode, initial: InitialData) -> Start {
    let starts = module.start.is_some();
    let others = module.data.iter().filter(|(_, object)| object.kind == DataKind::FixedMemory);
    let others: Vec<_> = others.map(|(id, _)| (id, MemoryMode::Symbol)).collect();
    let memories = others.into_iter().rev().chain(memory.map(|memory| (memory, mode)));
    let copied = memories.filter_map(|(memory, mode)| separate(module, memory, mode, initial));
    Start { copied_bytes: copied.sum(), starts }
}

/// As [`place`]; returns the number of bytes of copied data, if there are any.
fn separate(module: &mut Module, memory: DataId, mode: MemoryMode, initial: InitialData) -> Option<u64> {
    if mode == MemoryMode::Native || mode == MemoryMode::Symbol && initial == InitialData::Image {
        return None;
    }
    let is_used = Reachable::from_all_code(module).data[memory];
    let (segments, bytes) = take_data(&mut module.data[memory]);
    if !is_used || initial == InitialData::None {
        return None;
    }
    let (runs, tail) = runs(&segments, bytes);
    if runs.is_empty() && tail.is_empty() {
        return None;
    }
    let list = (!runs.is_empty()).then(|| add_list(module, &runs));
    let is_aligned = mode == MemoryMode::Symbol;
    module.start = Some(add_start(module, memory, list, &tail, is_aligned));
    Some(list.map_or(0, |list| u64::from(module.data[list].size)) + tail.len() as u64)
}

/// The initial data of a memory, which it loses, and the size of the memory.
fn take_data(object: &mut DataObject) -> (Vec<Segment>, u32) {
    match &mut object.kind {
        DataKind::Memory(linear) => {
            let bytes = u32::try_from(linear.min_bytes).unwrap_or(u32::MAX);
            (std::mem::take(&mut linear.segments), bytes)
        }
        _ => (vec![Segment { offset: 0, bytes: std::mem::take(&mut object.init) }], object.size),
    }
}

/// The words of memory that are not zero, and the bytes that are not zero in an incomplete last word.
fn runs(segments: &[Segment], bytes: u32) -> (Vec<Run>, Vec<(u32, u8)>) {
    let whole = bytes & !(WORD - 1);
    let mut found = Vec::new();
    let mut tail = Vec::new();
    for (start, image) in images(segments) {
        let words = image.chunks(WORD as usize).map(|word| {
            let mut bytes = [0; WORD as usize];
            bytes[..word.len()].copy_from_slice(word);
            u32::from_le_bytes(bytes)
        });
        let inside = (whole.saturating_sub(start) / WORD) as usize;
        cut(start, &words.take(inside).collect::<Vec<_>>(), &mut found);
        let behind = (start..).zip(&image).filter(|&(at, &byte)| at >= whole && byte != 0);
        tail.extend(behind.map(|(at, &byte)| (at, byte)));
    }
    (found, tail)
}

/// The contents that segments write, later ones over earlier ones, as word-aligned pieces that are far apart.
fn images(segments: &[Segment]) -> Vec<(u32, Vec<u8>)> {
    let range = |segment: &Segment| {
        let start = u64::from(segment.offset) & !u64::from(WORD - 1);
        start..u64::from(segment.offset) + segment.bytes.len() as u64
    };
    let mut ranges: Vec<_> = segments.iter().filter(|segment| !segment.bytes.is_empty()).map(range).collect();
    ranges.sort_by_key(|range| range.start);
    let mut images: Vec<(u32, Vec<u8>)> = Vec::new();
    let near = u64::from(WORD) * GAP_WORDS as u64;
    for range in ranges {
        match images.last_mut() {
            Some((start, bytes)) if range.start <= word_end(*start, bytes) + near => {
                let len = (range.end - u64::from(*start)) as usize;
                bytes.resize(len.max(bytes.len()), 0);
            }
            _ => images.push((range.start as u32, vec![0; (range.end - range.start) as usize])),
        }
    }
    for segment in segments.iter().filter(|segment| !segment.bytes.is_empty()) {
        let found = images.partition_point(|(start, _)| *start <= segment.offset) - 1;
        let (start, bytes) = &mut images[found];
        let at = (segment.offset - *start) as usize;
        bytes[at..at + segment.bytes.len()].copy_from_slice(&segment.bytes);
    }
    images
}

/// Address of the end of the last word of an image.
fn word_end(start: u32, bytes: &[u8]) -> u64 {
    (u64::from(start) + bytes.len() as u64).next_multiple_of(WORD.into())
}

/// Appends the runs of an image, without zeros at their ends and without long sequences of zeros.
fn cut(start: u32, words: &[u32], runs: &mut Vec<Run>) {
    let mut zeros = GAP_WORDS + 1;
    for (at, &word) in (start..).step_by(WORD as usize).zip(words) {
        if word == 0 {
            zeros += 1;
            continue;
        }
        match runs.last_mut().filter(|run| zeros <= GAP_WORDS && run.start >= start) {
            Some(run) => {
                run.words.extend(std::iter::repeat_n(0, zeros));
                run.words.push(word);
            }
            None => runs.push(Run { start: at, words: vec![word] }),
        }
        zeros = 0;
    }
}

fn add_list(module: &mut Module, runs: &[Run]) -> DataId {
    let head = |run: &Run| [run.words.len() as u32, run.start];
    let words = runs.iter().flat_map(|run| head(run).into_iter().chain(run.words.iter().copied()));
    let init: Vec<u8> = words.chain([0]).flat_map(u32::to_le_bytes).collect();
    let is_list = |object: &&DataObject| object.name.starts_with(RUNS);
    let name = match module.data.values().filter(is_list).count() {
        0 => RUNS.to_owned(),
        n => format!("{RUNS}.{n}"),
    };
    module.data.push(DataObject::constant(name, WORD, init))
}

/// Builds the function that copies the data and calls the start function.
fn add_start(
    module: &mut Module,
    memory: DataId,
    list: Option<DataId>,
    tail: &[(u32, u8)],
    is_aligned: bool,
) -> FuncId {
    let id = module.declare("__wasm_start".to_owned(), Signature::default(), FuncKind::Local);
    let mut body = Function::new(module.decls[id].name.clone(), module.decls[id].sig);
    body.optimize_for_size = true;
    let mut block = body.add_block();
    if let Some(list) = list {
        block = add_copy(&mut body, block, memory, list, is_aligned);
    }
    for &(at, byte) in tail {
        let value = constant(&mut body, block, byte.into());
        let addr = Addr { base: Some(memory), index: None, offset: at.cast_signed() };
        let store = InstData::Store { mem: MemType::U8, addr, value, flags: MemFlags::default() };
        body.append(block, store, &[]);
    }
    match module.start {
        Some(func) => body.append(block, InstData::TailCall { func, args: Vec::new() }, &[]),
        None => body.append(block, InstData::Return { args: Vec::new() }, &[]),
    };
    ssa::canonicalize(&mut body);
    ssa::estimate_frequencies(&mut body);
    module.functions[id] = Some(body);
    id
}

/// Copies all runs of a list; returns the block after the loops.
fn add_copy(body: &mut Function, entry: Block, memory: DataId, list: DataId, is_aligned: bool) -> Block {
    let [head, begin, word, behind] = [(); 4].map(|()| body.add_block());
    let stored = MemFlags { volatile: false, align_log2: 2 };
    let load = |body: &mut Function, block, pointer, offset| {
        let addr = Addr { base: None, index: Some(pointer), offset };
        let load = InstData::Load { mem: MemType::U32, ty: Type::I32, addr, flags: stored };
        body.append_value(block, load, Type::I32)
    };
    let first = body.append_value(entry, InstData::DataAddr { data: list, offset: 0 }, Type::I32);
    let base = body.append_value(entry, InstData::DataAddr { data: memory, offset: 0 }, Type::I32);
    jump(body, entry, head, vec![first]);

    let run = body.add_param(head, Type::I32);
    let count = load(body, head, run, 0);
    branch(body, head, count, call(begin, &[]), call(behind, &[]));

    // Nothing follows the zero at the end of the list.
    let start = load(body, begin, run, 4);
    let to = binary(body, begin, BinaryOp::Add, start, base);
    let from = add(body, begin, run, 8);
    jump(body, begin, word, vec![from, to, count]);

    let [from, to, left] = [(); 3].map(|()| body.add_param(word, Type::I32));
    let value = load(body, word, from, 0);
    let addr = Addr { base: None, index: Some(to), offset: 0 };
    let flags = MemFlags { align_log2: if is_aligned { 2 } else { 0 }, ..stored };
    body.append(word, InstData::Store { mem: MemType::U32, addr, value, flags }, &[]);
    let [from, to, left] = [(from, 4), (to, 4), (left, -1)].map(|(value, n)| add(body, word, value, n));
    branch(body, word, left, call(word, &[from, to, left]), call(head, &[from]));
    behind
}

fn call(block: Block, args: &[Value]) -> BlockCall {
    BlockCall { block, args: args.to_vec() }
}

fn constant(body: &mut Function, block: Block, bits: i64) -> Value {
    body.append_value(block, InstData::Const { ty: Type::I32, bits }, Type::I32)
}

fn binary(body: &mut Function, block: Block, op: BinaryOp, a: Value, b: Value) -> Value {
    body.append_value(block, InstData::Binary { op, ty: Type::I32, args: [a, b] }, Type::I32)
}

fn add(body: &mut Function, block: Block, value: Value, number: i64) -> Value {
    let number = constant(body, block, number);
    binary(body, block, BinaryOp::Add, value, number)
}

fn jump(body: &mut Function, from: Block, to: Block, args: Vec<Value>) {
    body.append(from, InstData::Jump { to: BlockCall { block: to, args } }, &[]);
}

/// Ends a block with a branch to `if_true` if `value` is not zero, else to `if_false`.
fn branch(body: &mut Function, block: Block, value: Value, if_true: BlockCall, if_false: BlockCall) {
    let zero = constant(body, block, 0);
    let cond = InstData::Icmp { cond: Cond::Ne, ty: Type::I32, args: [value, zero] };
    let cond = body.append_value(block, cond, Type::I32);
    body.append(block, InstData::Branch { cond, if_true, if_false }, &[]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(offset: u32, bytes: &[u8]) -> Segment {
        Segment { offset, bytes: bytes.to_vec() }
    }

    #[test]
    fn runs_are_the_words_that_are_not_zero() {
        let run = |start, words: &[u32]| Run { start, words: words.to_vec() };
        let of = |segments: &[Segment]| runs(segments, 64).0;
        assert_eq!(of(&[segment(5, &[1])]), [run(4, &[0x100])]);
        assert_eq!(of(&[segment(0, &[0; 60])]), []);
        assert_eq!(of(&[segment(3, &[1, 2])]), [run(0, &[0x0100_0000, 2])]);
        let gaps = [segment(0, &[1]), segment(12, &[2]), segment(28, &[3])];
        assert_eq!(of(&gaps), [run(0, &[1, 0, 0, 2]), run(28, &[3])]);
        let mut long = [0; 40];
        (long[0], long[39]) = (7, 8);
        assert_eq!(of(&[segment(8, &long)]), [run(8, &[7]), run(44, &[0x0800_0000])]);
        let overlapping = [segment(0, &[1; 8]), segment(4, &[0; 4]), segment(2, &[9])];
        assert_eq!(of(&overlapping), [run(0, &[0x0109_0101])]);
        assert_eq!(runs(&[segment(60, &[1, 2, 3])], 63), (Vec::new(), vec![(60, 1), (61, 2), (62, 3)]));
        assert_eq!(runs(&[segment(58, &[5, 6, 0, 7])], 62), (vec![run(56, &[0x0605_0000])], vec![(61, 7)]));
    }
}
