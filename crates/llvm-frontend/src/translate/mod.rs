//! wasm function bodies to LLVM IR.
//!
//! A body is translated in one pass over its operators with a stack of operands ([`operands`]) and a stack of control
//! frames, both explicit, so nesting costs no native stack. Locals are `alloca`s, made on first use, which
//! LLVM's SROA turns into SSA values; block results are phis, made when the first branch reaches the block's
//! end.
//!
//! Every check and trap of wasm is written out as a branch to a block that calls the trap function; there is one
//! such block per function and trap code. Operators that cannot be reached produce nothing: after an
//! unconditional transfer they are skipped up to the end of the innermost reachable frame.
//!
//! Each family of operators has one file. A family's `translate` returns whether the operator belongs to it.
//!
//! Work is bounded by a constant times the size of the body: operators that move many values at once (calls and
//! branches with long type lists) draw on a budget, and a body that exceeds it is refused.

mod atomic;
mod call;
mod control;
pub mod debug;
pub mod entry;
pub mod env;
mod exception;
mod float;
mod integer;
mod ir;
mod libcall;
mod locals;
mod memory;
mod operands;
mod profile;
mod record;
mod reference;
mod simd;
pub mod soft_float;
mod table;
mod wide;

use inkwell::basic_block::BasicBlock;
use inkwell::values::{BasicValueEnum, IntValue};
use ssa::TrapCode;
use wasm_program::error::Error;
use wasm_program::module_info::ValueType;
use wasm_program::program::Program;
use wasmparser::Operator;

use control::{Frame, Label};
use debug::Scope;
use env::Env;
use ir::Ir;
use locals::Locals;
use operands::Operands;
use simd::Plan;

/// Values that the operators of any function may move, whatever its size.
const BASE_BUDGET: usize = 1 << 20;
/// Values per byte of the body.
const BUDGET_PER_BYTE: usize = 32;

/// The state of translating one function.
struct Translator<'e, 'ctx, 'p> {
    env: &'e mut Env<'ctx, 'p>,
    index: u32,
    stack: Operands<BasicValueEnum<'ctx>>,
    frames: Vec<Frame<'ctx>>,
    locals: Locals<'ctx>,
    /// By reason and offset of the operator.
    trap_blocks: Vec<((TrapCode, usize), BasicBlock<'ctx>)>,
    /// The block that returns from a function that throws: results and exception.
    exit: Option<Label<'ctx>>,
    /// Bytes of the records of exceptions at the start of the function, if it frees those that it makes.
    records_at_entry: Option<IntValue<'ctx>>,
    /// Whether the current operator can be executed; if not, no instruction may be appended.
    reachable: bool,
    /// Frames opened since the code became unreachable; they have no entry in `frames`.
    skipped_frames: usize,
    /// Byte offset of the current operator in the input.
    offset: usize,
    budget: usize,
    /// The words of vectors.
    plan: Plan,
    /// The corresponding function of the source, if it is known.
    scope: Option<Scope<'ctx>>,
}

/// Appends the body of the function with wasm index `index` to its declaration in `env`.
///
/// # Errors
/// [`Error::Unsupported`] for a body beyond the limits.
pub fn translate_function(env: &mut Env<'_, '_>, index: u32) -> Result<(), Error> {
    let program = env.program;
    progress::function(&program.info.function_name(index), "translate");
    let body = program.info.body(program.wasm, index);
    let function = env.function(index);
    let plan = Plan::new(env, index, &body)?;
    let locals = Locals::new(env, index, function, &body, &plan)?;
    let budget = BASE_BUDGET + BUDGET_PER_BYTE * program.info.functions[index as usize].body.len();
    let scope = env.open_scope(index, function);
    if let Some(&calls) = env.counts().and_then(|counts| counts.functions.get(&index)) {
        profile::mark_function(&env.ir, function, calls);
    }
    let mut translator = Translator {
        env,
        index,
        stack: Operands::default(),
        frames: Vec::new(),
        locals,
        trap_blocks: Vec::new(),
        exit: None,
        records_at_entry: None,
        reachable: true,
        skipped_frames: 0,
        offset: 0,
        budget,
        plan,
        scope,
    };
    if let Some(libcall) = program.libcalls[index as usize]
        && translator.helper_entry(libcall, function)
    {
        return Ok(());
    }
    translator.open_function();
    let mut reader = body.get_operators_reader()?;
    while !reader.eof() {
        let (op, offset) = reader.read_with_offset()?;
        translator.offset = offset as usize;
        translator.locate();
        translator.operator(&op)?;
    }
    translator.finish();
    Ok(())
}

impl<'ctx, 'p> Translator<'_, 'ctx, 'p> {
    fn ir(&self) -> &Ir<'ctx> {
        &self.env.ir
    }

    fn program(&self) -> &'p Program<'p> {
        self.env.program
    }

    /// Gives further instructions the location of the current operator.
    fn locate(&self) {
        if let (Some(scope), Some(map)) = (&self.scope, &self.program().source_map) {
            self.env.locate(scope, map.loc_at(self.offset));
        }
    }

    fn operator(&mut self, op: &Operator<'_>) -> Result<(), Error> {
        if control::translate(self, op)? || !self.reachable {
            return Ok(());
        }
        let known = integer::translate(self, op)
            || locals::translate(self, op)
            || memory::translate(self, op)
            || atomic::translate(self, op)
            || call::translate(self, op)?
            || wide::translate(self, op)
            || table::translate(self, op)
            || reference::translate(self, op)?
            || exception::translate(self, op)?
            || simd::translate(self, op)
            || float::translate(self, op);
        if known { Ok(()) } else { Err(self.unsupported(format!("operator {op:?}"))) }
    }

    fn unsupported(&self, what: String) -> Error {
        let function = Some(self.program().info.function_name(self.index));
        Error::Unsupported { function, offset: self.offset, what }
    }

    /// Charges an operator that moves `values` values to the budget.
    fn spend(&mut self, values: usize) -> Result<(), Error> {
        match self.budget.checked_sub(values) {
            Some(rest) => {
                self.budget = rest;
                Ok(())
            }
            None => {
                Err(self.unsupported("a function whose calls and branches pass this many values".to_owned()))
            }
        }
    }

    /// Pushes an operand of one part.
    fn push(&mut self, value: impl Into<BasicValueEnum<'ctx>>) {
        self.stack.push([value.into()]);
    }

    /// Pushes operands of the given types, whose parts follow each other in `parts`.
    fn push_all(&mut self, types: &[ValueType], parts: Vec<BasicValueEnum<'ctx>>) {
        let mut parts = parts.into_iter();
        for &ty in types {
            let count = self.env.parts(ty).len();
            self.stack.push(parts.by_ref().take(count));
        }
    }

    /// Pops an operand of one part.
    fn pop(&mut self) -> BasicValueEnum<'ctx> {
        self.stack.pop_one()
    }

    fn pop_int(&mut self) -> IntValue<'ctx> {
        self.pop().into_int_value()
    }

    /// Pushes an `i1` as the `i32` that wasm has.
    fn push_bool(&mut self, value: IntValue<'ctx>) {
        let value = self.ir().zext(value, self.ir().i32);
        self.push(value);
    }

    /// Pops an `i32` as a condition: whether it is not 0.
    fn pop_condition(&mut self) -> IntValue<'ctx> {
        let value = self.pop_int();
        self.ir().truth(value)
    }

    /// The block that traps with `code`; one for all operators if traps don't report their operator.
    fn trap_block(&mut self, code: TrapCode) -> BasicBlock<'ctx> {
        let key = (code, if self.program().options.reports_traps { self.offset } else { 0 });
        if let Some((_, block)) = self.trap_blocks.iter().rev().find(|(known, _)| *known == key) {
            return *block;
        }
        let current = self.ir().block();
        let block = self.ir().new_block();
        self.ir().at_end(block);
        self.emit_trap(code);
        self.ir().at_end(current);
        self.trap_blocks.push((key, block));
        block
    }

    /// Traps if `condition` holds, else continues in a new block.
    fn trap_if(&mut self, condition: IntValue<'ctx>, code: TrapCode) {
        if condition.get_zero_extended_constant() == Some(0) {
            return;
        }
        let trap = self.trap_block(code);
        let next = self.ir().new_block();
        self.ir().branch(condition, trap, next);
        self.ir().at_end(next);
    }

    /// Traps; the code after it is unreachable.
    fn trap_always(&mut self, code: TrapCode) {
        self.emit_trap(code);
        self.reachable = false;
    }

    fn emit_trap(&mut self, code: TrapCode) {
        self.env.trap(code, Some(self.offset));
    }
}
