//! Merging stores of constants to neighbouring addresses into one wider store.
//!
//! The machine must store half-words and words at any address. Then two bytes, or two half-words, need one constant and one
//! store instead of two of each. Stores are neighbours if they have the same base and index, and their constant offsets
//! follow each other. A pair is merged only if its offset is a multiple of the wider store's size: short instructions
//! reach such offsets, and the address is then most likely aligned.
//!
//! The first store of a pair moves down to the second. So a store stays open until an instruction of its block may read
//! or write the same bytes, or is visible to others: a call or a volatile access.
//!
//! With native memory an address may be that of a device, where the width and the number of accesses matter. There only
//! addresses that are certainly memory take part: static data and stack objects.
//!
//! Termination: each block is visited once, and each merge leaves one store less.

use ssa::{Addr, BinaryOp, DataId, Function, Inst, InstData, MemFlags, MemType, Type, Value};

/// An address without its constant part.
type Root = (Option<DataId>, Option<Value>);

/// A range of bytes that an instruction reads or writes.
#[derive(Clone, Copy)]
struct ByteRange {
    root: Root,
    offset: i32,
    bytes: u32,
}

impl ByteRange {
    /// Whether it certainly has no byte in common with another range.
    fn is_apart(&self, other: &Self) -> bool {
        let distance = other.offset.wrapping_sub(self.offset) as u32;
        self.root == other.root && distance >= self.bytes && distance.wrapping_neg() >= other.bytes
    }
}

/// A store of a constant that can still move down.
struct Open {
    inst: Inst,
    range: ByteRange,
    addr: Addr,
    flags: MemFlags,
    bits: u32,
}

/// Merges stores of constants. With native memory, linear memory is the whole address space.
pub fn stores(func: &mut Function, linear: Option<DataId>, is_native: bool) {
    for block in func.blocks.ids() {
        let mut open: Vec<Open> = Vec::new();
        let mut insts = Vec::with_capacity(func.blocks[block].insts.len());
        for inst in std::mem::take(&mut func.blocks[block].insts) {
            close(func, inst, &mut open);
            if let Some(store) = constant_store(func, inst)
                && (!is_native || is_memory(func, store.range.root, linear))
            {
                join(func, store, &mut open, &mut insts);
            }
            insts.push(inst);
        }
        func.blocks[block].insts = insts;
    }
}

/// Closes the stores that can't move below an instruction.
fn close(func: &Function, inst: Inst, open: &mut Vec<Open>) {
    match &func.insts[inst] {
        InstData::Load { mem, addr, flags, .. } | InstData::Store { mem, addr, flags, .. }
            if !flags.volatile =>
        {
            let range = range(func, addr, mem.bytes());
            open.retain(|store| store.range.is_apart(&range));
        }
        other if other.is_pure() => {}
        _ => open.clear(),
    }
}

/// An instruction as a store of a constant that may be merged with others, if it is one.
fn constant_store(func: &Function, inst: Inst) -> Option<Open> {
    let InstData::Store { mem, addr, value, flags } = func.insts[inst] else { return None };
    if flags.volatile || !matches!(mem, MemType::U8 | MemType::U16) {
        return None;
    }
    let bits = func.as_const(value)? as u32 & ((1 << (8 * mem.bytes())) - 1);
    let range = range(func, &addr, mem.bytes());
    Some(Open { inst, range, addr, flags, bits })
}

/// Merges a store with its open neighbours, as often as possible. The result is at `last.inst`.
fn join(func: &mut Function, mut last: Open, open: &mut Vec<Open>, insts: &mut Vec<Inst>) {
    let first = last.range.bytes;
    while let Some(n) = open.iter().position(|other| neighbours(other, &last)) {
        let other = open.remove(n);
        insts.retain(|&inst| inst != other.inst);
        let bytes = last.range.bytes;
        let is_lower = last.range.offset < other.range.offset;
        let (low, high) = if is_lower { (&last, &other) } else { (&other, &last) };
        let range = ByteRange { bytes: 2 * bytes, ..low.range };
        let bits = low.bits | high.bits << (8 * bytes);
        last = Open { inst: last.inst, range, addr: low.addr, flags: low.flags, bits };
    }
    if last.range.bytes > first {
        let bits = i64::from(last.bits as i32);
        let constant = func.make_inst(InstData::Const { ty: Type::I32, bits }, &[Type::I32]);
        insts.push(constant);
        let mem = if last.range.bytes == 2 { MemType::U16 } else { MemType::U32 };
        let value = func.result(constant);
        func.insts[last.inst] = InstData::Store { mem, addr: last.addr, value, flags: last.flags };
    }
    if last.range.bytes < 4 {
        open.push(last);
    }
}

/// Whether two stores can be merged into one of twice the width.
fn neighbours(a: &Open, b: &Open) -> bool {
    let (low, high) = if a.range.offset < b.range.offset { (a, b) } else { (b, a) };
    let bytes = low.range.bytes;
    a.range.root == b.range.root
        && high.range.bytes == bytes
        && bytes < 4
        && low.range.offset.checked_add(bytes as i32) == Some(high.range.offset)
        && low.range.offset.rem_euclid(2 * bytes as i32) == 0
}

/// The bytes of an access. Constants that are added to the index become part of the offset.
fn range(func: &Function, addr: &Addr, bytes: u32) -> ByteRange {
    let Addr { base, mut index, mut offset } = *addr;
    while let Some(def) = index.and_then(|index| func.def_inst(index)) {
        match func.insts[def] {
            InstData::Const { bits, .. } => (index, offset) = (None, offset.wrapping_add(bits as i32)),
            InstData::Binary { op: BinaryOp::Add, args: [rest, constant], .. } => {
                let Some(bits) = func.as_const(constant) else { break };
                (index, offset) = (Some(rest), offset.wrapping_add(bits as i32));
            }
            _ => break,
        }
    }
    ByteRange { root: (base, index), offset, bytes }
}

/// Whether an address is in a stack object or in static data, which is everything except linear memory.
fn is_memory(func: &Function, (base, index): Root, linear: Option<DataId>) -> bool {
    let is_static = |data: DataId| Some(data) != linear;
    let def = index.and_then(|index| func.def_inst(index)).map(|def| &func.insts[def]);
    match def {
        Some(InstData::FrameAddr { .. }) => true,
        Some(InstData::DataAddr { data, .. }) => is_static(*data),
        _ => base.is_some_and(is_static),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use ssa::interp::{Interpreter, Options};
    use ssa::testing::{self, Rng};
    use ssa::{EntityId as _, FuncId, Module, parse_module};

    use super::*;

    /// A function with this body, before the pass.
    fn module(body: &str) -> Module {
        let text = format!(
            "sig (i32, i32) -> (i32)\nmemory @m size=0 align=16 min=65536 page_log2=16\n\
             var @d size=8 align=4\nfunc $f (i32, i32) -> (i32) {{\nb0(v0: i32, v1: i32):\n{body}  return v0\n}}\n"
        );
        parse_module(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    fn merged(mut module: Module, is_native: bool) -> Module {
        let linear = module.memories().next().map(|(id, _)| id);
        stores(module.functions[FuncId::new(0)].as_mut().expect("it has a body"), linear, is_native);
        ssa::verify(&module).unwrap_or_else(|error| panic!("{error}\n{module}"));
        module
    }

    /// Number of stores after merging two neighbouring bytes with `between` between them.
    fn stores_left(between: &str, is_native: bool, base: &str) -> usize {
        let body = format!(
            "  v2 = const.i32 1\n  store.u8 v2, [{base}v0 + 4]\n{between}  store.u8 v2, [{base}v0 + 5]\n"
        );
        merged(module(&body), is_native).to_string().matches("store.").count()
    }

    #[test]
    fn neighbours_are_merged_unless_code_between_observes_it() {
        assert_eq!(stores_left("", false, "@m + "), 1);
        assert_eq!(stores_left("  v3 = load.u8.i32 [@m + v0 + 6]\n", false, "@m + "), 1);
        assert_eq!(stores_left("  v3 = load.u8.i32 [@m + v0 + 4]\n", false, "@m + "), 2);
        assert_eq!(stores_left("  v3 = load.u8.i32 [@m + v1]\n", false, "@m + "), 2);
        assert_eq!(stores_left("  v3 = load.u8.i32 [@m + v0] volatile\n", false, "@m + "), 2);
    }

    #[test]
    fn with_native_memory_a_pointer_may_be_of_a_device() {
        assert_eq!(stores_left("", true, "@m + "), 2);
        assert_eq!(stores_left("", true, ""), 2);
        assert_eq!(stores_left("", false, "@m + "), 1);
        assert_eq!(stores_left("", true, "@d + "), 1);
    }

    /// Straight-line code: stores of constants, and loads whose values are stored elsewhere.
    fn random_body(rng: &mut Rng) -> String {
        let mut body = String::new();
        for next in 2..14 {
            let place = |rng: &mut Rng| {
                let index = if rng.one_in(6) { "v1" } else { "v0" };
                format!("[@m + {index} + {}]", rng.below(9))
            };
            let width = rng.pick(&["u8", "u8", "u8", "u16", "u16", "u32"]);
            let value = match rng.one_in(6) {
                true => format!("load.{width}.i32 {}", place(rng)),
                false => format!("const.i32 {}", rng.bits() as i32),
            };
            let to = place(rng);
            writeln!(body, "  v{next} = {value}\n  store.{width} v{next}, {to}").expect("a string takes it");
        }
        body
    }

    #[test]
    fn memory_is_the_same_afterwards() {
        let mut joined = 0;
        for seed in 0..2000 {
            let before = module(&random_body(&mut Rng::new(seed)));
            let after = merged(before.clone(), false);
            let count = |module: &Module| module.to_string().matches("store.").count();
            joined += count(&before) - count(&after);
            let memory = |module: &Module| {
                let mut interpreter = Interpreter::new(module, Options::new(module));
                let mut host = testing::host(module);
                interpreter.call(FuncId::new(0), &[8, seed % 24], &mut host).expect("it returns");
                interpreter.linear_memory()[..64].to_vec()
            };
            assert_eq!(memory(&before), memory(&after), "seed {seed}\n{before}\n{after}");
        }
        assert!(joined > 500, "only {joined} stores joined");
    }
}
