//! Emission: from a finished function to bytes and fixups.
//!
//! Layout has decided the block order. Here each block's control becomes as few instructions as the order allows. If
//! the only successor is next, there are none. If one of two successors is next, there is a branch, otherwise a branch
//! and a jump.
//!
//! Some machines need marks at labels: on PVM a jump may only go to a position after a terminator. So before each
//! block, [`Encode::begin_block`] is told whether the previous block falls through into it and whether code refers to
//! its label. The label is bound after the bytes that this method appends.

mod buffer;
mod unwind;

use ssa::IdVec;

use crate::mir::{Block, Control, Function, Isa, PReg};

pub use buffer::{CodeBuffer, Fixup, FixupSite, Fragment, Label, Place, Reference};
pub use unwind::{Cfa, Saved, Unwind, UnwindRow};

/// Encoding of a target's instructions.
pub trait Encode: Isa {
    /// An instruction whose encoding depends on the distance to its target.
    type Fixup: Fixup;

    /// Appends the bytes of an instruction; also called for the instruction of a `Control::Exit`.
    fn encode(&self, inst: &Self::Inst<PReg>, buf: &mut CodeBuffer<Self::Fixup>);

    /// Appends a conditional branch to `to`.
    fn encode_branch(&self, inst: &Self::Inst<PReg>, to: Block, buf: &mut CodeBuffer<Self::Fixup>);

    /// Appends a jump to `to`, which is not next.
    fn encode_jump(&self, to: Block, buf: &mut CodeBuffer<Self::Fixup>);

    /// Appends a jump through a table.
    fn encode_dispatch(&self, inst: &Self::Inst<PReg>, targets: &[Block], buf: &mut CodeBuffer<Self::Fixup>);

    /// Called before the instructions of each block, for targets that must mark labels. `falls_in`: the previous block
    /// ends without a transfer of control. `is_target`: code refers to the block's label.
    fn begin_block(&self, _falls_in: bool, _is_target: bool, _buf: &mut CodeBuffer<Self::Fixup>) {}

    /// Where debuggers find the caller in every block, for targets that describe it.
    fn unwind(&self, _func: &Function<Self, PReg>) -> Option<Unwind> {
        None
    }
}

/// The position of a block in layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Position {
    block: Block,
    /// The block that follows, if any.
    next: Option<Block>,
}

/// Encodes a finished function.
pub fn emit<T: Encode>(target: &T, func: &Function<T, PReg>) -> Fragment<T::Fixup> {
    let mut buf = CodeBuffer::new(func.blocks.len());
    let labelled = labelled_blocks(func);
    let mut falls_in = false;
    let unwind = target.unwind(func);
    for at in positions(func) {
        let data = &func.blocks[at.block];
        let mut rows = unwind.iter().flat_map(|unwind| unwind.rows[at.block].iter()).peekable();
        target.begin_block(falls_in, labelled[at.block], &mut buf);
        buf.bind(CodeBuffer::<T::Fixup>::block_label(at.block));
        data.bound.iter().for_each(|&most| buf.bound(most));
        // Code without a location belongs to the code before it; at the start of a block, to the first location in it.
        buf.locate(data.insts.first_loc().or(data.control_loc));
        for (n, inst) in data.insts.iter().enumerate() {
            buf.locate(data.insts.loc(n));
            if let Some((_, row)) = rows.next_if(|(at, _)| *at == n) {
                buf.unwind(row.clone());
            }
            if unwind.as_ref().is_some_and(|unwind| at.block == func.order[0] && unwind.prologue == n) {
                buf.end_prologue();
            }
            target.encode(inst, &mut buf);
        }
        buf.locate(data.control_loc);
        rows.for_each(|(_, row)| buf.unwind(row.clone()));
        emit_control(target, &data.control, at, &mut buf);
        falls_in = falls_through(&data.control, at);
    }
    Fragment { stack_bytes: func.stack_bytes, variables_at: func.variables_at, ..buf.finish() }
}

/// Blocks in layout order, each with the next block.
fn positions<T: Encode>(func: &Function<T, PReg>) -> impl Iterator<Item = Position> {
    let next = func.order.iter().skip(1).copied().map(Some).chain([None]);
    func.order.iter().zip(next).map(|(&block, next)| Position { block, next })
}

/// Whether the control needs no instruction because its only successor is next.
fn falls_through<T: Encode>(control: &Control<T, PReg>, at: Position) -> bool {
    matches!(control, Control::Jump(to) if at.next == Some(to.block))
}

/// The blocks whose labels the emitted code will refer to.
fn labelled_blocks<T: Encode>(func: &Function<T, PReg>) -> IdVec<Block, bool> {
    let mut labelled = IdVec::filled(false, func.blocks.len());
    for at in positions(func) {
        let is_next = |block: Block| at.next == Some(block);
        match &func.blocks[at.block].control {
            Control::Jump(to) => labelled[to.block] |= !is_next(to.block),
            Control::Branch { taken, other, .. } if is_next(taken.block) => labelled[other.block] = true,
            Control::Branch { taken, other, .. } => {
                labelled[taken.block] = true;
                labelled[other.block] |= !is_next(other.block);
            }
            Control::Dispatch { targets, .. } => targets.iter().for_each(|&to| labelled[to] = true),
            Control::Exit(_) => {}
        }
    }
    labelled
}

fn emit_control<T: Encode>(
    target: &T,
    control: &Control<T, PReg>,
    at: Position,
    buf: &mut CodeBuffer<T::Fixup>,
) {
    let is_next = |block: Block| at.next == Some(block);
    match control {
        Control::Jump(to) if is_next(to.block) => {}
        Control::Jump(to) => target.encode_jump(to.block, buf),
        Control::Branch { inst, taken, other } if is_next(taken.block) => {
            target.encode_branch(&T::invert(inst), other.block, buf);
        }
        Control::Branch { inst, taken, other } => {
            target.encode_branch(inst, taken.block, buf);
            if !is_next(other.block) {
                target.encode_jump(other.block, buf);
            }
        }
        Control::Dispatch { inst, targets } => target.encode_dispatch(inst, targets, buf),
        Control::Exit(inst) => target.encode(inst, buf),
    }
}
