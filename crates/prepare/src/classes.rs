//! Replacing decisions over a byte by a table.
//!
//! Parsers ask many questions about one byte: is it this one, is it in this range, is it a letter. If the byte alone
//! decides, and there are no side effects, such a region of the control-flow graph is a function from 256 values to its
//! exits. A table of bytes in read-only memory represents it: one load, and a branch on the loaded value.
//!
//! A region starts with the last instruction of a block, its head. It includes blocks that can only be reached from the
//! head, compute no value that is used elsewhere, and end in branches that the byte decides. The pass evaluates each
//! region for all values of the byte. It replaces the region if the table and its uses are smaller than all regions
//! that share the table. The blocks of a replaced region become unreachable and are removed.
//!
//! Termination: each function is visited once, from its entry, and each replaced region leaves fewer blocks to visit.

use std::collections::{BTreeMap, BTreeSet};

use ssa::{
    Addr, BinaryOp, Block, BlockCall, Cond, DataId, DataKind, DataObject, FuncId, Function, IdVec, InstData,
    MemFlags, MemType, Module, Type, Value, ValueDef, interp,
};

/// Values of a byte.
const VALUES: usize = 256;
/// Maximum number of exits of a region.
const MAX_EXITS: usize = 3;
/// Maximum number of blocks of a region, and of instructions searched for the byte that decides a condition.
const MAX_BLOCKS: usize = 64;
const MAX_DEPTH: u32 = 16;

/// Approximate sizes of a machine's code, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClassBytes {
    /// A comparison with a branch.
    pub decision: usize,
    /// Another instruction.
    pub inst: usize,
    /// Loading from the table.
    pub lookup: usize,
    /// The gain above which a region of a function optimised for speed is replaced, even if its table is not shared.
    pub fast: usize,
}

/// A region for which a table pays.
struct Region {
    func: FuncId,
    head: Block,
    byte: Value,
    /// Exits in the order of their numbers.
    exits: Vec<BlockCall>,
    /// The exit for each value.
    table: Vec<u8>,
    /// Bytes of code saved, without the table.
    gain: isize,
}

/// Replaces regions that decide over a byte in all functions of a module.
pub fn tabulate(module: &mut Module, bytes: ClassBytes) {
    let mut by_table: BTreeMap<Vec<u8>, Vec<Region>> = BTreeMap::new();
    for (id, func) in module.functions.iter() {
        let Some(func) = func else { continue };
        for region in Finder::new(id, func, bytes).run() {
            by_table.entry(region.table.clone()).or_default().push(region);
        }
    }
    let mut changed = BTreeSet::new();
    for (table, mut regions) in by_table {
        let is_fast = |region: &Region| {
            module.functions[region.func].as_ref().is_some_and(|func| !func.optimize_for_size)
        };
        let gain: isize = regions.iter().map(|region| region.gain).sum();
        if gain <= VALUES as isize {
            regions.retain(|region| is_fast(region) && region.gain > bytes.fast as isize);
        }
        if regions.is_empty() {
            continue;
        }
        let data = add_table(module, table);
        for region in regions {
            let func = module.functions[region.func].as_mut().expect("it has a body");
            replace(func, &region, data);
            changed.insert(region.func);
        }
    }
    for id in changed {
        let func = module.functions[id].as_mut().expect("it has a body");
        func.source.follow_none();
        ssa::passes::compact(func);
        ssa::passes::remove_dead(func);
        ssa::passes::split_critical_edges(func);
    }
}

fn add_table(module: &mut Module, table: Vec<u8>) -> DataId {
    let name = format!("__wasm_classes_{}", module.data.len());
    let size = table.len() as u32;
    module.data.push(DataObject {
        name,
        kind: DataKind::Constant,
        size,
        align: 1,
        init: table,
        relocs: Vec::new(),
        addresses: Vec::new(),
    })
}

/// Replaces a region by a table look-up.
fn replace(func: &mut Function, region: &Region, data: DataId) {
    let head = region.head;
    func.source.follow(func.terminator(head));
    func.blocks[head].insts.pop();
    let exits: Vec<BlockCall> =
        region.exits.iter().map(|exit| with_own_constants(func, head, exit)).collect();
    let addr = Addr { base: Some(data), index: Some(region.byte), offset: 0 };
    let load = InstData::Load { mem: MemType::U8, ty: Type::I32, addr, flags: MemFlags::default() };
    let class = func.append_value(head, load, Type::I32);
    let compare = |func: &mut Function, block, cond, bits| {
        let bits = func.append_value(block, InstData::Const { ty: Type::I32, bits }, Type::I32);
        func.append_value(block, InstData::Icmp { cond, ty: Type::I32, args: [class, bits] }, Type::I32)
    };
    if let [zero, one] = &exits[..] {
        let cond = compare(func, head, Cond::Ne, 0);
        func.append(head, InstData::Branch { cond, if_true: one.clone(), if_false: zero.clone() }, &[]);
        return;
    }
    let [zero, one, two] = &exits[..] else { unreachable!("regions have two or three exits") };
    let rest = func.add_block();
    let freqs = [zero, one, two].map(|exit| func.blocks[exit.block].freq);
    let outside = (freqs[0] + freqs[2]) / (freqs[0] + freqs[1] + freqs[2]).max(f32::MIN_POSITIVE);
    func.blocks[rest].freq = func.blocks[head].freq * outside;
    let cond = compare(func, head, Cond::Eq, 1);
    let to_rest = BlockCall { block: rest, args: Vec::new() };
    func.append(head, InstData::Branch { cond, if_true: one.clone(), if_false: to_rest }, &[]);
    let cond = compare(func, rest, Cond::GtU, 1);
    func.append(rest, InstData::Branch { cond, if_true: two.clone(), if_false: zero.clone() }, &[]);
}

/// The exit with its constant arguments defined in the head, because the region's constants will be removed.
fn with_own_constants(func: &mut Function, head: Block, exit: &BlockCall) -> BlockCall {
    let mut own = |value: Value| match func.def_inst(value).map(|def| func.insts[def].clone()) {
        Some(data @ InstData::Const { ty, .. }) => func.append_value(head, data, ty),
        _ => value,
    };
    BlockCall { block: exit.block, args: exit.args.iter().map(|&arg| own(arg)).collect() }
}

struct Finder<'f> {
    id: FuncId,
    func: &'f Function,
    bytes: ClassBytes,
    preds: IdVec<Block, Vec<Block>>,
    /// Blocks that use each value.
    users: IdVec<Value, Vec<Block>>,
    block_of: IdVec<Value, Option<Block>>,
    /// Whether each block belongs to a region found so far.
    taken: IdVec<Block, bool>,
}

impl<'f> Finder<'f> {
    fn new(id: FuncId, func: &'f Function, bytes: ClassBytes) -> Self {
        let mut preds = IdVec::filled(Vec::new(), func.blocks.len());
        let mut users = IdVec::filled(Vec::new(), func.values.len());
        let mut block_of = IdVec::filled(None, func.values.len());
        for (block, data) in func.blocks.iter() {
            for &inst in &data.insts {
                func.insts[inst].for_each_arg(|value| users[value].push(block));
                func.results[inst].iter().for_each(|&value| block_of[value] = Some(block));
            }
            for succ in func.successors(block) {
                preds[succ].push(block);
            }
        }
        let taken = IdVec::filled(false, func.blocks.len());
        Self { id, func, bytes, preds, users, block_of, taken }
    }

    fn run(mut self) -> Vec<Region> {
        let mut found = Vec::new();
        for head in self.func.reverse_postorder() {
            if self.taken[head] {
                continue;
            }
            if let Some((region, blocks)) = self.region(head) {
                blocks.into_iter().chain([head]).for_each(|block| self.taken[block] = true);
                found.push(region);
            }
        }
        found
    }

    fn region(&self, head: Block) -> Option<(Region, Vec<Block>)> {
        let byte = self.deciding_byte(self.deciding(head)?, None)?;
        let blocks = self.blocks(head, byte);
        let mut exits: Vec<BlockCall> = Vec::new();
        let mut table = Vec::with_capacity(VALUES);
        for value in 0..VALUES as u64 {
            let exit = self.walk(head, &blocks, byte, value)?;
            let known = exits.iter().position(|known| self.is_same(known, &exit));
            let number = known.unwrap_or_else(|| {
                exits.push(exit);
                exits.len() - 1
            });
            table.push(u8::try_from(number).ok().filter(|&number| usize::from(number) < MAX_EXITS)?);
        }
        if exits.len() < 2 || !exits.iter().all(|exit| self.is_available(exit, &blocks)) {
            return None;
        }
        let old: usize = blocks.iter().chain([&head]).map(|&block| self.bytes(block, head)).sum();
        let new = self.bytes.lookup + self.bytes.decision * (exits.len() - 1);
        let gain = old as isize - new as isize;
        let region = Region { func: self.id, head, byte, exits, table, gain };
        (gain > 0).then_some((region, blocks))
    }

    /// The value that a block's terminator branches on.
    fn deciding(&self, block: Block) -> Option<Value> {
        match &self.func.insts[self.func.terminator(block)] {
            InstData::Branch { cond: value, .. } | InstData::Switch { value, .. } => Some(*value),
            _ => None,
        }
    }

    /// The byte that alone determines a value; only `wanted`, if that is given.
    fn deciding_byte(&self, value: Value, wanted: Option<Value>) -> Option<Value> {
        let mut byte = None;
        let mut todo = vec![value];
        for _ in 0..MAX_DEPTH {
            let Some(value) = todo.pop() else { break };
            if wanted.map_or_else(|| self.is_byte(value), |wanted| wanted == value) {
                if byte.is_some_and(|byte| byte != value) {
                    return None;
                }
                byte = Some(value);
                continue;
            }
            let data = &self.func.insts[self.func.def_inst(value)?];
            if !data.is_pure() {
                return None;
            }
            data.for_each_arg(|arg| todo.push(arg));
        }
        byte.filter(|_| todo.is_empty())
    }

    fn is_byte(&self, value: Value) -> bool {
        let Some(def) = self.func.def_inst(value) else { return false };
        match self.func.insts[def] {
            InstData::Load { mem: MemType::U8, ty: Type::I32, .. } => true,
            InstData::Binary { op: BinaryOp::And, ty: Type::I32, args: [_, mask] } => {
                self.func.as_const(mask) == Some(VALUES as i64 - 1)
            }
            _ => false,
        }
    }

    /// The blocks of the region that begins at the end of `head`, without `head`.
    fn blocks(&self, head: Block, byte: Value) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        // A block joins once all its predecessors have, so each round may admit more.
        loop {
            let candidates = blocks.iter().chain([&head]).flat_map(|&block| self.func.successors(block));
            let new = candidates.into_iter().find(|&block| {
                block != head && !blocks.contains(&block) && self.may_join(block, head, &blocks, byte)
            });
            match new {
                Some(block) if blocks.len() < MAX_BLOCKS => blocks.push(block),
                _ => break,
            }
        }
        // A block with values that are used outside of the region leaves it, together with the blocks after it.
        loop {
            let is_inside = |block: Block| block == head || blocks.contains(&block);
            let bad = blocks.iter().position(|&block| {
                let leaks = self.func.blocks[block].insts.iter().any(|&inst| {
                    !matches!(self.func.insts[inst], InstData::Const { .. })
                        && self.func.results[inst]
                            .iter()
                            .any(|&value| self.users[value].iter().any(|&user| !is_inside(user)))
                });
                leaks || self.preds[block].iter().any(|&pred| !is_inside(pred))
            });
            match bad {
                Some(bad) => drop(blocks.remove(bad)),
                None => return blocks,
            }
        }
    }

    fn may_join(&self, block: Block, head: Block, blocks: &[Block], byte: Value) -> bool {
        let data = &self.func.blocks[block];
        let from_inside = self.preds[block].iter().all(|pred| *pred == head || blocks.contains(pred));
        let decides = match &self.func.insts[self.func.terminator(block)] {
            InstData::Jump { .. } => true,
            _ => self.deciding(block).and_then(|value| self.deciding_byte(value, Some(byte))) == Some(byte),
        };
        let before_last = &data.insts[..data.insts.len() - 1];
        let is_pure = before_last.iter().all(|&inst| self.func.insts[inst].is_pure());
        from_inside && decides && is_pure && data.params.is_empty() && !self.taken[block]
    }

    /// The exit that control takes if the byte has this value.
    fn walk(&self, head: Block, blocks: &[Block], byte: Value, value: u64) -> Option<BlockCall> {
        let mut block = head;
        for _ in 0..=blocks.len() {
            let to = match &self.func.insts[self.func.terminator(block)] {
                InstData::Jump { to } => to,
                InstData::Branch { cond, if_true, if_false } => {
                    if self.evaluate(*cond, byte, value, 0)? != 0 { if_true } else { if_false }
                }
                InstData::Switch { ty, value: on, cases, default } => {
                    let bits = self.evaluate(*on, byte, value, 0)?;
                    let bits = if *ty == Type::I32 { i64::from(bits as i32) } else { bits as i64 };
                    cases.iter().find(|(case, _)| *case == bits).map_or(default, |(_, to)| to)
                }
                _ => return None,
            };
            if !blocks.contains(&to.block) {
                return Some(to.clone());
            }
            block = to.block;
        }
        None
    }

    fn evaluate(&self, of: Value, byte: Value, value: u64, depth: u32) -> Option<u64> {
        if of == byte {
            return Some(value);
        }
        let def = self.func.def_inst(of).filter(|_| depth < MAX_DEPTH)?;
        interp::evaluate(&self.func.insts[def], &mut |arg| {
            Some((self.func.values[arg].ty, self.evaluate(arg, byte, value, depth + 1)?))
        })
    }

    /// Whether two edges have the same target and arguments.
    fn is_same(&self, a: &BlockCall, b: &BlockCall) -> bool {
        let same = |(&x, &y): (&Value, &Value)| {
            x == y || self.func.as_const(x).is_some_and(|bits| self.func.as_const(y) == Some(bits))
        };
        a.block == b.block && a.args.iter().zip(&b.args).all(same)
    }

    /// Whether the arguments of an exit are available without the region.
    fn is_available(&self, exit: &BlockCall, blocks: &[Block]) -> bool {
        exit.args.iter().all(|&arg| {
            let is_inside = |block: Block| blocks.contains(&block);
            let from_param = match self.func.values[arg].def {
                ValueDef::Param(block, _) => is_inside(block),
                ValueDef::Result(..) => false,
            };
            self.func.as_const(arg).is_some() || !from_param && !self.block_of[arg].is_some_and(is_inside)
        })
    }

    /// Approximate bytes of a block's part in the region.
    fn bytes(&self, block: Block, head: Block) -> usize {
        let data = &self.func.blocks[block];
        let decisions = match &self.func.insts[self.func.terminator(block)] {
            InstData::Branch { .. } => 1,
            InstData::Switch { cases, default, .. } => {
                let starts = cases.iter().zip([None].into_iter().chain(cases.iter().map(Some)));
                let is_new = |(case, before): &(&(i64, BlockCall), Option<&(i64, BlockCall)>)| {
                    case.1 != *default
                        && before.is_none_or(|before| before.0 + 1 != case.0 || before.1 != case.1)
                };
                starts.filter(is_new).count()
            }
            _ => 0,
        };
        let is_work = |inst: &&ssa::Inst| {
            !matches!(self.func.insts[**inst], InstData::Const { .. } | InstData::Icmp { .. })
        };
        let insts = data.insts[..data.insts.len() - 1].iter().filter(is_work).count();
        self.bytes.decision * decisions + if block == head { 0 } else { self.bytes.inst * insts }
    }
}

#[cfg(test)]
mod tests {
    use ssa::interp::{Interpreter, Options};
    use ssa::{EntityId as _, canonicalize, parse_module, verify};

    use super::*;

    /// Returns 1 plus a number for token characters, 2 for blanks and 3 for the others; the number is the second
    /// parameter.
    const TOKENS: &str = "\
sig (i32, i32) -> (i32, i32)
func $f (i32, i32) -> (i32, i32) optsize {
b0(v0: i32, v1: i32):
  v2 = const.i32 255
  v3 = and.i32 v0, v2
  switch.i32 v3, [32: b7, 33: b1, 35: b2, 36: b3, 37: b4, 42: b5, 43: b6, 45: b8, 124: b9, 126: b10], b11
b1:
  jump b20(v1)
b2:
  jump b20(v1)
b3:
  jump b20(v1)
b4:
  jump b20(v1)
b5:
  jump b20(v1)
b6:
  jump b20(v1)
b7:
  v4 = const.i32 2
  jump b21(v4)
b8:
  jump b20(v1)
b9:
  jump b20(v1)
b10:
  jump b20(v1)
b11:
  v5 = const.i32 208
  v6 = add.i32 v3, v5
  v7 = and.i32 v6, v2
  v8 = const.i32 10
  v9 = icmp.lt_u.i32 v7, v8
  branch v9, b12, b13
b12:
  jump b20(v1)
b13:
  v10 = const.i32 -33
  v11 = and.i32 v3, v10
  v12 = const.i32 65
  v13 = sub.i32 v11, v12
  v14 = const.i32 26
  v15 = icmp.lt_u.i32 v13, v14
  branch v15, b14, b15
b14:
  jump b20(v1)
b15:
  v16 = const.i32 3
  jump b21(v16)
b20(v30: i32):
  v31 = const.i32 1
  return v31, v30
b21(v32: i32):
  return v32, v32
}
";

    fn results(module: &Module, byte: u64) -> Vec<u64> {
        let mut machine = Interpreter::new(module, Options::new(module));
        let host: &mut ssa::interp::Host<'_> = &mut |_, _, _| unreachable!("nothing is imported");
        machine.call(FuncId::new(0), &[byte, 77], host).expect("it returns")
    }

    /// The module with `copies` of the function, before and after.
    fn tabulated(copies: usize) -> [Module; 2] {
        let mut before = parse_module(TOKENS).expect("it parses");
        before.functions.values_mut().flatten().for_each(canonicalize);
        let (decl, body) = (before.decls[FuncId::new(0)].clone(), before.functions[FuncId::new(0)].clone());
        for n in 1..copies {
            let name = format!("f{n}");
            before.decls.push(ssa::FuncDecl { name: name.clone(), ..decl.clone() });
            before.functions.push(body.clone().map(|body| Function { name, ..body }));
        }
        let mut after = before.clone();
        tabulate(&mut after, ClassBytes { decision: 4, inst: 3, lookup: 6, fast: 28 });
        verify(&after).expect("it is well-formed");
        [before, after]
    }

    #[test]
    fn a_table_decides_as_the_code_did() {
        let [before, after] = tabulated(8);
        assert_eq!(after.data.len(), 1, "one table for all");
        for byte in 0..512 {
            assert_eq!(results(&after, byte), results(&before, byte), "{byte}");
        }
    }

    #[test]
    fn a_table_that_is_larger_than_the_code_is_not_made() {
        let [before, after] = tabulated(1);
        assert_eq!(after, before);
    }
}
