//! The [`Target`] trait: the passes of a target, beyond selection and encoding.
//!
//! A target machine is described stage by stage. [`Isa`](crate::Isa) is its instruction set, [`Select`] selects
//! instructions, [`Encode`] encodes them. This trait adds the passes in between.

use crate::emit::Encode;
use crate::mir::{Function, PReg};
use crate::select::Select;

/// A target machine.
pub trait Target: Select + Encode {
    /// State that the passes over one function share.
    type Scratch: Default;

    /// Passes over allocated functions whose spill slots still have names, and whose return addresses and saved
    /// registers are not restored yet.
    const OPTIMIZE: &'static [Pass<Self>];

    /// Inserts prologue and epilogues, and resolves every [`StackSlot`](crate::StackSlot) in the instructions.
    fn frame(&self, func: &mut Function<Self, PReg>);

    /// Passes over the final instructions. Block order and control flow are final: they may change instructions, not
    /// edges.
    const PEEPHOLE: &'static [Pass<Self>];
}

/// A pass over one function.
pub struct Pass<T: Target> {
    /// Its name, for `--emit-after`.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(&T, &mut Function<T, PReg>, &mut T::Scratch),
}
