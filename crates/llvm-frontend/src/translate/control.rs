//! Blocks, branches and traps.
//!
//! A frame's end gets a basic block of its own, with one phi per part of a result, only when a branch to it occurs; a
//! block that is only left at its end needs neither. A loop's header exists from the start.
//!
//! Several entries of a `br_table` that go to the same frame share one edge, so that a phi gets one value per
//! distinct target instead of one per entry.

use std::collections::BTreeMap;

use inkwell::basic_block::BasicBlock;
use inkwell::values::{BasicValueEnum, IntValue, PhiValue};
use ssa::TrapCode;
use wasm_program::error::Error;
use wasm_program::module_info::{ValueType, value_type};
use wasmparser::{BlockType, BrTable, Catch, Operator};

use super::Translator;
use super::operands::Operands;

/// The operator that opened a frame.
pub enum Kind<'ctx> {
    /// The function itself, or `block`.
    Block,
    /// `loop`.
    Loop,
    /// `if` before its `else`: the block for the condition 0, and the parameters there.
    If { otherwise: BasicBlock<'ctx>, params: Operands<BasicValueEnum<'ctx>> },
    /// `try_table`: its handlers.
    TryTable(Vec<Catch>),
    /// `try` before its first handler.
    Try,
    /// A handler of a `try`: the exception that it caught, and the block for those that it doesn't catch. Without the
    /// latter there are none.
    Handler { exception: Vec<BasicValueEnum<'ctx>>, next: Option<BasicBlock<'ctx>> },
}

/// The target of branches.
pub struct Label<'ctx> {
    /// Its block.
    pub block: BasicBlock<'ctx>,
    /// One per part of the values that a branch passes.
    pub phis: Vec<PhiValue<'ctx>>,
}

/// An open control frame.
pub struct Frame<'ctx> {
    pub kind: Kind<'ctx>,
    /// Number of values that a branch passes: parameters of a loop, results of every other frame.
    label_arity: usize,
    results: Vec<ValueType>,
    /// Height of the operand stack below the frame's parameters.
    pub height: usize,
    label: Option<Label<'ctx>>,
    /// The innermost frame outside that has handlers for exceptions in this one.
    pub handler_outside: Option<usize>,
    /// The block for exceptions that are thrown in the frame, if it may have handlers and there are any.
    pub landing: Option<Label<'ctx>>,
}

/// Translates an operator of this family; returns false if it belongs to another. Tracks nesting in unreachable code.
pub fn translate(t: &mut Translator<'_, '_, '_>, op: &Operator<'_>) -> Result<bool, Error> {
    match *op {
        Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::If { .. }
        | Operator::Try { .. }
        | Operator::TryTable { .. }
            if !t.reachable =>
        {
            t.skipped_frames += 1;
        }
        Operator::Block { blockty } => t.open(blockty, |_, _| Kind::Block)?,
        Operator::Loop { blockty } => t.open_loop(blockty)?,
        Operator::If { blockty } => t.open_if(blockty)?,
        Operator::Else if t.skipped_frames == 0 => t.else_branch()?,
        Operator::Try { blockty } => t.open(blockty, |_, _| Kind::Try)?,
        Operator::TryTable { ref try_table } => {
            t.open(try_table.ty, |_, _| Kind::TryTable(try_table.catches.clone()))?;
        }
        Operator::Catch { tag_index } if t.skipped_frames == 0 => t.open_handler(Some(tag_index))?,
        Operator::CatchAll if t.skipped_frames == 0 => t.open_handler(None)?,
        Operator::Delegate { .. } if t.skipped_frames > 0 => t.skipped_frames -= 1,
        Operator::Delegate { relative_depth } => t.delegate(relative_depth)?,
        Operator::End if t.skipped_frames > 0 => t.skipped_frames -= 1,
        Operator::End => t.close()?,
        _ if !t.reachable => return Ok(false),
        Operator::Br { relative_depth } => t.branch_always(relative_depth)?,
        Operator::BrIf { relative_depth } => t.branch_if(relative_depth)?,
        Operator::BrTable { ref targets } => t.branch_table(targets)?,
        Operator::Return => t.branch_always(t.frames.len() as u32 - 1)?,
        Operator::Unreachable => t.trap_always(TrapCode::Unreachable),
        _ => return Ok(false),
    }
    Ok(true)
}

impl<'ctx> Translator<'_, 'ctx, '_> {
    /// Opens the frame of the function body.
    pub(super) fn open_function(&mut self) {
        let results = self.program().info.type_of(self.index).results.clone();
        let label_arity = results.len();
        self.push_frame(Kind::Block, label_arity, results, 0);
        self.open_records();
    }

    /// Ends the function: the last `end` left the results on the stack.
    pub(super) fn finish(&mut self) {
        if self.reachable {
            self.settle(self.stack.len());
            let results = std::mem::take(&mut self.stack);
            self.free_records();
            self.emit_return(results.parts());
        }
        self.finish_exit();
        self.locals.finish();
    }

    /// Appends a `ret` of the parts of all results, and of no exception.
    pub(super) fn emit_return(&mut self, results: &[BasicValueEnum<'ctx>]) {
        if self.program().exceptions.throwing[self.index as usize] {
            let exit = self.exit(results, &self.env.no_exception());
            self.ir().jump(exit);
        } else {
            self.env.emit_return(results);
        }
    }

    fn block_type(&self, ty: BlockType) -> (usize, Vec<ValueType>) {
        match ty {
            BlockType::Empty => (0, Vec::new()),
            BlockType::Type(ty) => (0, vec![value_type(ty)]),
            BlockType::FuncType(index) => {
                let ty = &self.program().info.types[index as usize];
                (ty.params.len(), ty.results.clone())
            }
        }
    }

    fn open(
        &mut self,
        ty: BlockType,
        kind: impl FnOnce(&mut Self, usize) -> Kind<'ctx>,
    ) -> Result<(), Error> {
        let (params, results) = self.block_type(ty);
        self.spend(params + results.len())?;
        self.settle(params);
        let kind = kind(self, params);
        let height = self.stack.len() - params;
        let label_arity = results.len();
        self.push_frame(kind, label_arity, results, height);
        Ok(())
    }

    fn push_frame(&mut self, kind: Kind<'ctx>, label_arity: usize, results: Vec<ValueType>, height: usize) {
        let handler_outside = self.handling_frame(self.frames.len());
        let (label, landing) = (None, None);
        self.frames.push(Frame { kind, label_arity, results, height, label, handler_outside, landing });
    }

    fn open_loop(&mut self, ty: BlockType) -> Result<(), Error> {
        self.open(ty, |_, _| Kind::Loop)?;
        let height = self.frames.last().expect("the frame was just opened").height;
        let params = self.stack.split_off(height);
        let before = self.ir().block();
        let header = self.ir().new_block();
        self.ir().jump(header);
        self.ir().at_end(header);
        let phis = params.map(|value| self.ir().phi(value.get_type()));
        for (phi, value) in phis.parts().iter().zip(params.parts()) {
            phi.add_incoming(&[(value, before)]);
        }
        self.stack.extend(phis.map(|phi| phi.as_basic_value()));
        let frame = self.frames.last_mut().expect("the frame was just opened");
        frame.label_arity = params.len();
        frame.label = Some(Label { block: header, phis: phis.parts().to_vec() });
        Ok(())
    }

    fn open_if(&mut self, ty: BlockType) -> Result<(), Error> {
        let condition = self.pop_condition();
        self.open(ty, |t, params| {
            let (then, otherwise) = (t.ir().new_block(), t.ir().new_block());
            t.ir().branch_as_counted(condition, then, otherwise, t.counted_ways());
            t.ir().at_end(then);
            let params = t.stack.top_operands(params);
            Kind::If { otherwise, params }
        })
    }

    fn else_branch(&mut self) -> Result<(), Error> {
        if self.reachable {
            self.pass_to(0)?;
        }
        let frame = self.frames.last_mut().expect("validated: `else` is in a frame");
        let Kind::If { otherwise, params } = std::mem::replace(&mut frame.kind, Kind::Block) else {
            unreachable!("validated: `else` belongs to an `if`")
        };
        self.stack.truncate(frame.height);
        self.stack.extend(params);
        self.ir().at_end(otherwise);
        self.reachable = true;
        Ok(())
    }

    /// `end` of the innermost frame.
    pub(super) fn close(&mut self) -> Result<(), Error> {
        if matches!(self.frames.last(), Some(Frame { kind: Kind::If { .. }, .. })) {
            self.else_branch()?;
        }
        self.close_handlers()?;
        let frame = self.frames.last().expect("validated: `end` closes a frame");
        if matches!(frame.kind, Kind::Loop) || frame.label.is_none() {
            // No branch leads to this end: the results stay on the stack.
            let frame = self.frames.pop().expect("it is there");
            if !self.reachable {
                self.stack.truncate(frame.height);
            }
            return Ok(());
        }
        if self.reachable {
            self.pass_to(0)?;
        }
        let frame = self.frames.pop().expect("it is there");
        let label = frame.label.expect("checked above");
        self.stack.truncate(frame.height);
        let results = label.phis.iter().map(|phi| phi.as_basic_value()).collect();
        self.push_all(&frame.results, results);
        self.ir().at_end(label.block);
        self.reachable = true;
        Ok(())
    }

    /// The label of the frame at `depth`, made if it does not exist yet.
    fn label(&mut self, depth: u32) -> (BasicBlock<'ctx>, usize) {
        let at = self.frames.len() - 1 - depth as usize;
        if self.frames[at].label.is_none() {
            let types = self.env.part_types(&self.frames[at].results);
            let current = self.ir().block();
            let block = self.ir().new_block();
            self.ir().at_end(block);
            let phis = types.into_iter().map(|ty| self.ir().phi(ty)).collect();
            self.ir().at_end(current);
            self.frames[at].label = Some(Label { block, phis });
        }
        let label = self.frames[at].label.as_ref().expect("it was just made");
        (label.block, self.frames[at].label_arity)
    }

    /// Passes the top of the stack to the phis at `depth`, as incoming from the current block. The stack is unchanged.
    pub(super) fn pass_values(&mut self, depth: u32) -> Result<BasicBlock<'ctx>, Error> {
        let (block, arity) = self.label(depth);
        self.spend(arity)?;
        self.settle(arity);
        let from = self.ir().block();
        let at = self.frames.len() - 1 - depth as usize;
        let label = self.frames[at].label.as_ref().expect("`label` made it");
        for (phi, value) in label.phis.iter().zip(self.stack.top(arity)) {
            phi.add_incoming(&[(value, from)]);
        }
        Ok(block)
    }

    pub(super) fn pass_to(&mut self, depth: u32) -> Result<(), Error> {
        let block = self.pass_values(depth)?;
        self.ir().jump(block);
        Ok(())
    }

    fn branch_always(&mut self, depth: u32) -> Result<(), Error> {
        self.pass_to(depth)?;
        self.reachable = false;
        Ok(())
    }

    fn branch_if(&mut self, depth: u32) -> Result<(), Error> {
        let condition = self.pop_condition();
        let target = self.pass_values(depth)?;
        let next = self.ir().new_block();
        self.ir().branch_as_counted(condition, target, next, self.counted_ways());
        self.ir().at_end(next);
        Ok(())
    }

    /// How often each way of the current operator was taken, if a profile says so.
    fn counted_ways(&self) -> Option<&[u64]> {
        let offset = u32::try_from(self.offset).ok()?;
        Some(self.env.counts()?.branches.get(&offset)?)
    }

    fn branch_table(&mut self, table: &BrTable<'_>) -> Result<(), Error> {
        let index = self.pop_int();
        let (_, arity) = self.label(table.default());
        self.settle(arity);
        let from = self.ir().block();
        let mut edges = BTreeMap::new();
        let default = self.table_edge(&mut edges, table.default(), from)?;
        let ways =
            self.counted_ways().filter(|ways| ways.len() == table.len() as usize + 1).map(<[u64]>::to_vec);
        let way = |entry: u32| ways.as_ref().map_or(0, |ways| ways[entry as usize]);
        let mut cases: Vec<(IntValue<'ctx>, BasicBlock<'ctx>)> = Vec::with_capacity(table.len() as usize);
        let mut counts = vec![way(table.len())];
        for (entry, depth) in (0u32..).zip(table.targets()) {
            let block = self.table_edge(&mut edges, depth?, from)?;
            if block == default {
                counts[0] += way(entry);
            } else {
                cases.push((self.ir().c32(entry), block));
                counts.push(way(entry));
            }
        }
        self.ir().at_end(from);
        self.ir().switch(index, default, &cases, &counts);
        self.reachable = false;
        Ok(())
    }

    /// The block a `br_table` entry goes to: the label itself, or a block of its own that passes the values.
    fn table_edge(
        &mut self,
        edges: &mut BTreeMap<u32, BasicBlock<'ctx>>,
        depth: u32,
        from: BasicBlock<'ctx>,
    ) -> Result<BasicBlock<'ctx>, Error> {
        if let Some(&edge) = edges.get(&depth) {
            return Ok(edge);
        }
        self.ir().at_end(from);
        let (label, arity) = self.label(depth);
        let edge = if arity == 0 {
            label
        } else {
            let edge = self.ir().new_block();
            self.ir().at_end(edge);
            self.pass_to(depth)?;
            edge
        };
        edges.insert(depth, edge);
        Ok(edge)
    }
}
