//! The width of the words of locals and of loaded vectors.
//!
//! With registers of 64 bits, a vector of eight or sixteen lanes is best kept in two words, and one of four lanes in four,
//! as packing and unpacking costs more than the operation. A local or load gets the width that most of the operators
//! near it want: the one that takes it from the operand stack, and the one that made a local's value. Operators in
//! loops count more. A local without a preference gets the width of the function, the sum of all votes.
//!
//! The plan is made in one pass over the operators. It is an estimate: any plan is correct.

use std::collections::BTreeMap;

use ssa::Type;
use wasm_program::module_info::{ValueType, value_type};
use wasm_program::vectors::{self, Lanes};
use wasmparser::{FunctionBody, Operator};

use super::super::env::Env;

/// The weight of an operator in a loop, relative to one outside.
const LOOP_WEIGHT: i64 = 8;
/// Loops around an operator that count.
const MAX_DEPTH: usize = 4;

/// The widths of words in a function.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The width where nothing else decides.
    pub bits: u32,
    locals: BTreeMap<u32, u32>,
    /// By offset of the operator.
    loads: BTreeMap<usize, u32>,
}

impl Plan {
    /// The plan for a function. Parameters have the words of the target.
    pub fn new(env: &Env<'_, '_>, index: u32, body: &FunctionBody<'_>) -> wasmparser::Result<Self> {
        let target = match env.program.options.target.vector_word {
            Type::I64 => 64,
            _ => 32,
        };
        let mut plan = Self { bits: target, locals: BTreeMap::new(), loads: BTreeMap::new() };
        if target == 32 || !env.program.facts.uses_vectors[index as usize] {
            return Ok(plan);
        }
        let params = &env.program.info.type_of(index).params;
        let votes = Votes::count(params, body)?;
        plan.bits = if votes.total > 0 { 32 } else { 64 };
        let params = params.len() as u32;
        for (&local, &vote) in votes.locals.iter().filter(|(local, _)| **local >= params) {
            plan.locals.insert(local, plan.width(vote));
        }
        for load in votes.loads {
            let bits = load.local.map_or_else(|| plan.width(load.vote), |local| plan.local(local));
            plan.loads.insert(load.offset, bits);
        }
        plan.locals.extend((0..params).map(|param| (param, target)));
        Ok(plan)
    }

    /// The width of a local's words.
    pub fn local(&self, local: u32) -> u32 {
        self.locals.get(&local).copied().unwrap_or(self.bits)
    }

    /// The width of the words of the load at an offset.
    pub fn load(&self, offset: usize) -> u32 {
        self.loads.get(&offset).copied().unwrap_or(self.bits)
    }

    fn width(&self, vote: i64) -> u32 {
        match vote {
            1.. => 32,
            0 => self.bits,
            _ => 64,
        }
    }
}

/// A load of a vector.
struct Load {
    offset: usize,
    vote: i64,
    /// The local that it goes to.
    local: Option<u32>,
}

/// A vector that was pushed and not used yet.
#[derive(Clone, Copy)]
enum Pushed {
    Local(u32),
    Load(usize),
}

#[derive(Default)]
struct Votes {
    /// Positive for four words.
    locals: BTreeMap<u32, i64>,
    loads: Vec<Load>,
    total: i64,
    pushed: Vec<Pushed>,
    /// The vote of the operator that made the top of the stack.
    made: i64,
    /// By open frame: whether it is a loop.
    frames: Vec<bool>,
    is_vector: Vec<bool>,
}

impl Votes {
    fn count(params: &[ValueType], body: &FunctionBody<'_>) -> wasmparser::Result<Self> {
        let mut votes = Self::default();
        votes.is_vector.extend(params.iter().map(|&ty| ty == ValueType::V128));
        for group in body.get_locals_reader()? {
            let (count, ty) = group?;
            let is_vector = value_type(ty) == ValueType::V128;
            votes.is_vector.extend(std::iter::repeat_n(is_vector, count as usize));
        }
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let (op, offset) = reader.read_with_offset()?;
            votes.operator(&op, offset as usize);
        }
        Ok(votes)
    }

    fn weight(&self) -> i64 {
        let depth = self.frames.iter().filter(|is_loop| **is_loop).count().min(MAX_DEPTH);
        LOOP_WEIGHT.pow(depth as u32)
    }

    fn operator(&mut self, op: &Operator<'_>, offset: usize) {
        match *op {
            Operator::LocalGet { local_index } if self.is_vector[local_index as usize] => {
                self.pushed.push(Pushed::Local(local_index));
            }
            Operator::LocalSet { local_index } if self.is_vector[local_index as usize] => {
                self.set(local_index);
            }
            Operator::LocalTee { local_index } if self.is_vector[local_index as usize] => {
                self.set(local_index);
                self.pushed.push(Pushed::Local(local_index));
            }
            Operator::V128Load { .. } => {
                self.made = 0;
                self.pushed.push(Pushed::Load(self.loads.len()));
                self.loads.push(Load { offset, vote: 0, local: None });
            }
            Operator::V128Const { .. } => self.made = 0,
            Operator::Loop { .. } | Operator::Block { .. } | Operator::If { .. } => {
                self.frames.push(matches!(op, Operator::Loop { .. }));
                self.pushed.clear();
            }
            Operator::End => {
                self.frames.pop();
                self.pushed.clear();
            }
            Operator::Call { .. } | Operator::CallIndirect { .. } | Operator::V128Store { .. } => {
                self.pushed.clear();
            }
            _ => self.vote(op),
        }
    }

    fn set(&mut self, local: u32) {
        match self.pushed.pop() {
            Some(Pushed::Load(load)) => self.loads[load].local = Some(local),
            _ => *self.locals.entry(local).or_default() += self.made * self.weight(),
        }
        self.pushed.clear();
    }

    fn vote(&mut self, op: &Operator<'_>) {
        let Some((lanes, operation)) = vectors::parts(op) else { return };
        let (taken, made) = preference(lanes, operation);
        self.made = made;
        if taken == 0 {
            return;
        }
        let weight = self.weight();
        self.total += taken * weight;
        for pushed in std::mem::take(&mut self.pushed) {
            match pushed {
                Pushed::Local(local) => *self.locals.entry(local).or_default() += taken * weight,
                Pushed::Load(load) => self.loads[load].vote += taken * weight,
            }
        }
    }
}

/// The preference of an operator for its operands and for its result: positive for four words.
fn preference(lanes: Lanes, operation: &str) -> (i64, i64) {
    let of = |lanes| match lanes {
        Lanes::I32x4 | Lanes::F32x4 => 1,
        Lanes::V128 => 0,
        _ => -1,
    };
    if operation == "shuffle" {
        return (0, 0);
    }
    let operands = operation.split('_').find_map(Lanes::of_name).unwrap_or(lanes);
    (of(operands), of(lanes))
}
