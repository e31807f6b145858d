//! Terminators and the arguments of edges.

use std::collections::BTreeMap;

use ssa::{Block, BlockCall, Cond, InstData, TrapCode, Type, Value};

use super::Refused;
use super::function::{Passing, Reader, TrapCall};
use super::repr::{Repr, container};
use crate::llvm::{self, Opcode};

/// All trap codes, in declaration order: the operand of a trap call is a position here.
const TRAP_CODES: [TrapCode; 14] = [
    TrapCode::Unreachable,
    TrapCode::MemoryOutOfBounds,
    TrapCode::TableOutOfBounds,
    TrapCode::BadSignature,
    TrapCode::DivideByZero,
    TrapCode::IntegerOverflow,
    TrapCode::BadConversion,
    TrapCode::Float,
    TrapCode::Import,
    TrapCode::UnalignedAtomic,
    TrapCode::EndlessWait,
    TrapCode::UnsharedWait,
    TrapCode::Exception,
    TrapCode::NullReference,
];
/// The number of codes that occur in modules without exceptions and typed references.
const CORE_TRAP_CODES: usize = 9;

impl<'m> Reader<'_, '_, 'm> {
    /// Reads `br`, `switch`, `ret` and `unreachable`.
    pub(super) fn terminator(&mut self, inst: llvm::Value<'m>, opcode: Opcode) -> Result<(), Refused> {
        match opcode {
            Opcode::LLVMBr => self.branch(inst),
            Opcode::LLVMSwitch => self.switch(inst),
            Opcode::LLVMRet => self.ret(inst),
            _ => {
                self.terminate(InstData::Trap { code: TrapCode::Unreachable });
                Ok(())
            }
        }
    }

    /// Ends the current block.
    pub(super) fn terminate(&mut self, data: InstData) {
        self.b.inst(data, &[]);
        self.terminated = true;
    }

    fn ret(&mut self, inst: llvm::Value<'m>) -> Result<(), Refused> {
        let mut args = Vec::new();
        if inst.operand_count() > 0 {
            let repr = self.repr(inst.operand(0))?;
            self.push_parts(repr, &mut args);
        }
        self.terminate(InstData::Return { args });
        Ok(())
    }

    /// The edge from the current block to `target`.
    fn edge(&mut self, target: llvm::Block<'m>) -> Result<BlockCall, Refused> {
        let block = self.blocks[&target];
        let incoming = self.incoming.get(&(self.b.current(), block)).cloned().unwrap_or_default();
        if let Some(code) = self.trap_at(target, &incoming)? {
            return Ok(BlockCall { block: self.trap_block(code), args: Vec::new() });
        }
        let mut args = Vec::with_capacity(incoming.len());
        for (nth, value) in incoming.into_iter().enumerate() {
            match self.phis[block][nth] {
                Passing::Distance(base) => args.push(self.distance(value, base)?),
                Passing::ZeroExtended(bits) => {
                    let value = self.one(value)?;
                    args.push(self.b.zero_extend(value, bits));
                }
                Passing::Whole => {
                    let repr = self.repr(value)?;
                    self.push_parts(repr, &mut args);
                }
            }
        }
        Ok(BlockCall { block, args })
    }

    /// The code with which an edge to `target` always traps.
    ///
    /// LLVM merges blocks that trap with different codes and makes the code a phi. Such a phi would cost code
    /// on every edge, so the edges go to one block per code instead.
    fn trap_at(
        &self,
        target: llvm::Block<'m>,
        incoming: &[llvm::Value<'m>],
    ) -> Result<Option<TrapCode>, Refused> {
        let code = match self.traps.get(&target) {
            Some(&TrapCall::Code(code)) => code,
            Some(&TrapCall::Phi(nth)) => incoming[nth],
            None => return Ok(None),
        };
        code.const_int().map(trap_code).transpose()
    }

    fn branch(&mut self, inst: llvm::Value<'m>) -> Result<(), Refused> {
        let targets = inst.successors();
        let data = match (inst.condition(), &targets[..]) {
            (Some(cond), &[if_true, if_false]) if if_true != if_false => {
                let cond = self.one(cond)?;
                let mut edges = [self.edge(if_true)?, self.edge(if_false)?];
                self.weigh(inst, &mut edges.each_mut());
                let [if_true, if_false] = edges;
                InstData::Branch { cond, if_true, if_false }
            }
            _ => InstData::Jump { to: self.edge(targets[0])? },
        };
        self.terminate(data);
        Ok(())
    }

    fn switch(&mut self, inst: llvm::Value<'m>) -> Result<(), Refused> {
        let condition = inst.condition().ok_or("a switch without a value")?;
        let bits = Self::width(condition)?;
        let targets = inst.successors();
        if let Repr::Pair(halves) = self.repr(condition)? {
            let default = self.edge(targets[0])?;
            return self.wide_switch(inst, halves, bits, default);
        }
        let value = self.one(condition)?;
        let value = self.b.zero_extend(value, bits);
        let ty = container(bits);
        let mut edges = vec![(0, self.edge(targets[0])?)];
        for (n, &target) in (0u32..).zip(&targets).skip(1) {
            let case = inst.case_value(n).and_then(llvm::Value::const_int).ok_or("a case without a value")?;
            edges.push((super::builder::normalize(ty, case as i64), self.edge(target)?));
        }
        self.weigh(inst, &mut edges.iter_mut().map(|(_, to)| to).collect::<Vec<_>>());
        let (_, default) = edges.remove(0);
        let mut cases: Vec<_> = edges.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect();
        let default = match cases.last() {
            // No other value occurs, so one of the cases needs no comparison.
            Some((_, last)) if is_never_reached(targets[0]) => last.clone(),
            _ => default,
        };
        cases.retain(|(_, to)| *to != default);
        self.terminate(if cases.is_empty() {
            InstData::Jump { to: default }
        } else {
            InstData::Switch { ty, value, cases, default }
        });
        Ok(())
    }

    /// Passes the counts of a profile on: edges with a count go through a block with that weight, those with the same
    /// target and arguments through one. `edges` are in LLVM's order of the successors of `inst`.
    fn weigh(&mut self, inst: llvm::Value<'m>, edges: &mut [&mut BlockCall]) {
        if !self.part.cx.is_profiled {
            return;
        }
        let Some(weights) = inst.branch_weights().filter(|weights| weights.len() == edges.len()) else {
            return;
        };
        let mut counted = BTreeMap::<(Block, Vec<Value>), Block>::new();
        for (to, weight) in edges.iter_mut().zip(weights) {
            if self.trap_blocks.values().any(|&trap| trap == to.block) {
                continue;
            }
            let here = self.b.current();
            let block = *counted.entry((to.block, to.args.clone())).or_insert_with(|| {
                let block = self.b.func.add_block();
                self.phis.push(Vec::new());
                self.b.switch_to(block);
                self.b.inst(InstData::Jump { to: to.clone() }, &[]);
                block
            });
            self.b.switch_to(here);
            *self.b.func.blocks[block].weight.get_or_insert(0.0) += weight as f64;
            **to = BlockCall { block, args: Vec::new() };
        }
    }

    /// A switch over more than 64 bits: a chain of comparisons.
    ///
    /// The edges are computed in the first block, which dominates the chain.
    fn wide_switch(
        &mut self,
        inst: llvm::Value<'m>,
        value: [Value; 2],
        bits: u32,
        default: BlockCall,
    ) -> Result<(), Refused> {
        let targets = inst.successors();
        let mut edges = Vec::new();
        for (n, &target) in (0u32..).zip(&targets).skip(1) {
            let case = inst.case_value(n).and_then(llvm::Value::const_int).ok_or("a case without a value")?;
            edges.push((case, self.edge(target)?));
        }
        for (case, to) in edges {
            let case = [self.b.iconst(Type::I64, case as i64), self.b.iconst(Type::I64, (case >> 64) as i64)];
            let cond = self.b.wide_icmp(Cond::Eq, value, case, bits);
            let next = self.new_block();
            let if_false = BlockCall { block: next, args: Vec::new() };
            self.b.inst(InstData::Branch { cond, if_true: to, if_false }, &[]);
            self.b.switch_to(next);
        }
        self.terminate(InstData::Jump { to: default });
        Ok(())
    }

    fn new_block(&mut self) -> Block {
        self.phis.push(Vec::new());
        self.b.func.add_block()
    }

    /// Ends the block with a trap. If the code is not a constant, a switch on it selects the trap.
    pub(super) fn trap(&mut self, code: llvm::Value<'m>) -> Result<(), Refused> {
        if let Some(bits) = code.const_int() {
            self.terminate(InstData::Trap { code: trap_code(bits)? });
            return Ok(());
        }
        let value = self.one(code)?;
        let codes = if self.part.cx.all_traps { &TRAP_CODES[..] } else { &TRAP_CODES[..CORE_TRAP_CODES] };
        let edges: Vec<BlockCall> =
            codes.iter().map(|&code| BlockCall { block: self.trap_block(code), args: Vec::new() }).collect();
        let mut edges = edges.into_iter();
        let default = edges.next().expect("there are trap codes");
        self.terminate(InstData::Switch { ty: Type::I32, value, cases: (1..).zip(edges).collect(), default });
        Ok(())
    }

    /// The block that traps with `code`.
    fn trap_block(&mut self, code: TrapCode) -> Block {
        if let Some(&block) = self.trap_blocks.get(&(code as u8)) {
            self.share(block);
            return block;
        }
        let here = self.b.current();
        let block = self.new_block();
        self.b.switch_to(block);
        self.b.inst(InstData::Trap { code }, &[]);
        self.b.switch_to(here);
        self.trap_blocks.insert(code as u8, block);
        block
    }

    /// A trap shared by several places has the location of the whole function.
    fn share(&mut self, trap: Block) {
        let inst = self.b.func.terminator(trap);
        let source = &mut self.b.func.source;
        if source.get(inst) != source.current {
            let start = source.subprogram.zip(self.part.cx.program.sources.as_ref());
            source.set(inst, start.and_then(|(id, sources)| sources.subprograms[id].start));
        }
    }
}

/// Whether a block is unreachable according to LLVM. The frontend's own traps are calls.
fn is_never_reached(block: llvm::Block<'_>) -> bool {
    block.instructions().next().and_then(llvm::Value::opcode) == Some(Opcode::LLVMUnreachable)
}

/// The code with this number.
fn trap_code(number: u128) -> Result<TrapCode, Refused> {
    let code = usize::try_from(number).ok().and_then(|n| TRAP_CODES.get(n)).copied();
    code.ok_or_else(|| "a trap code that does not exist".into())
}
