//! A function body: blocks, instructions and values in dense tables.

use crate::entity::IdVec;
use crate::ids::{Block, FrameSlot, Inst, SigId, Value};
use crate::inst::InstData;
use crate::ops::Type;
use crate::source::SourceLocs;

/// A basic block.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct BlockData {
    /// Parameters; the entry block's are the function's.
    pub params: Vec<Value>,
    /// Instructions in order; the last is the terminator.
    pub insts: Vec<Inst>,
    /// Estimated executions per call of the function (1.0 for the entry block).
    pub freq: f32,
    /// How often its only predecessor goes here, relative to that one's other successors, if a profile knows it. It is
    /// turned into frequencies with them.
    pub weight: Option<f64>,
}

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueDef {
    /// The n-th parameter of a block.
    Param(Block, u32),
    /// The n-th result of an instruction.
    Result(Inst, u32),
}

/// A value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ValueData {
    /// Its type.
    pub ty: Type,
    /// Its definition.
    pub def: ValueDef,
}

/// A stack object of the function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameSlotData {
    /// Bytes.
    pub size: u32,
    /// Alignment of its wasm address, a power of two, at most 16.
    pub align: u32,
}

/// A function with a body. Block `b0` is the entry.
#[derive(Clone, PartialEq, Debug)]
pub struct Function {
    /// Used in messages and listings; unique in its module.
    pub name: String,
    /// Its signature.
    pub sig: SigId,
    /// Blocks by id. Their order has no meaning, except that `b0` is the entry.
    pub blocks: IdVec<Block, BlockData>,
    /// All instructions, of all blocks.
    pub insts: IdVec<Inst, InstData>,
    /// All values.
    pub values: IdVec<Value, ValueData>,
    /// Results of each instruction; consecutive ids.
    pub results: IdVec<Inst, Vec<Value>>,
    /// Stack objects.
    pub frame_slots: IdVec<FrameSlot, FrameSlotData>,
    /// Whether this function should be small rather than fast.
    pub optimize_for_size: bool,
    /// Source locations; not part of the text form.
    pub source: SourceLocs,
}

impl Function {
    /// A function without blocks.
    pub fn new(name: impl Into<String>, sig: SigId) -> Self {
        Self {
            name: name.into(),
            sig,
            blocks: IdVec::new(),
            insts: IdVec::new(),
            values: IdVec::new(),
            results: IdVec::new(),
            frame_slots: IdVec::new(),
            optimize_for_size: false,
            source: SourceLocs::default(),
        }
    }

    /// The entry block.
    pub fn entry(&self) -> Block {
        crate::EntityId::new(0)
    }

    /// Appends an empty block.
    pub fn add_block(&mut self) -> Block {
        self.blocks.push(BlockData { freq: 1.0, ..BlockData::default() })
    }

    /// Appends a parameter to `block`.
    pub fn add_param(&mut self, block: Block, ty: Type) -> Value {
        let n = self.blocks[block].params.len() as u32;
        let value = self.values.push(ValueData { ty, def: ValueDef::Param(block, n) });
        self.blocks[block].params.push(value);
        value
    }

    /// Creates an instruction that is in no block yet, with one result per type.
    pub fn make_inst(&mut self, data: InstData, result_types: &[Type]) -> Inst {
        let inst = self.insts.push(data);
        self.source.set(inst, self.source.current);
        let results = (0u32..)
            .zip(result_types)
            .map(|(n, &ty)| self.values.push(ValueData { ty, def: ValueDef::Result(inst, n) }))
            .collect();
        self.results.push(results);
        inst
    }

    /// Appends an instruction to `block`.
    pub fn append(&mut self, block: Block, data: InstData, result_types: &[Type]) -> Inst {
        let inst = self.make_inst(data, result_types);
        self.blocks[block].insts.push(inst);
        inst
    }

    /// Appends an instruction with exactly one result to `block` and returns the result.
    pub fn append_value(&mut self, block: Block, data: InstData, ty: Type) -> Value {
        let inst = self.append(block, data, &[ty]);
        self.results[inst][0]
    }

    /// The only result of an instruction. Panics if it has none or several.
    pub fn result(&self, inst: Inst) -> Value {
        let [value] = self.results[inst][..] else { panic!("{}: {inst} has no single result", self.name) };
        value
    }

    /// The last instruction of a block. Panics on an empty block.
    pub fn terminator(&self, block: Block) -> Inst {
        *self.blocks[block].insts.last().unwrap_or_else(|| panic!("{}: {block} is empty", self.name))
    }

    /// The instruction that defines `value`, unless it is a block parameter.
    pub fn def_inst(&self, value: Value) -> Option<Inst> {
        match self.values[value].def {
            ValueDef::Result(inst, _) => Some(inst),
            ValueDef::Param(..) => None,
        }
    }

    /// The constant that `value` is defined as, if its definition is a constant.
    pub fn as_const(&self, value: Value) -> Option<i64> {
        match self.insts[self.def_inst(value)?] {
            InstData::Const { bits, .. } => Some(bits),
            _ => None,
        }
    }

    /// How often the instructions of all blocks use each value.
    pub fn use_counts(&self) -> IdVec<Value, u32> {
        let mut uses = IdVec::filled(0, self.values.len());
        for &inst in self.blocks.values().flat_map(|block| &block.insts) {
            self.insts[inst].for_each_arg(|value| uses[value] += 1);
        }
        uses
    }

    /// Blocks in reverse postorder from the entry; successors are visited in order.
    pub fn reverse_postorder(&self) -> Vec<Block> {
        let mut seen = IdVec::<Block, bool>::filled(false, self.blocks.len());
        let mut order = Vec::with_capacity(self.blocks.len());
        let mut stack = vec![(self.entry(), self.successors(self.entry()), 0usize)];
        seen[self.entry()] = true;
        while let Some((block, succs, next)) = stack.last_mut() {
            if let Some(&succ) = succs.get(*next) {
                *next += 1;
                if !std::mem::replace(&mut seen[succ], true) {
                    let of_succ = self.successors(succ);
                    stack.push((succ, of_succ, 0));
                }
            } else {
                order.push(*block);
                stack.pop();
            }
        }
        order.reverse();
        order
    }

    /// Successor blocks of `block`, in terminator order, with repetitions.
    pub fn successors(&self, block: Block) -> Vec<Block> {
        self.insts[self.terminator(block)].successors().into_iter().map(|to| to.block).collect()
    }
}
