//! The PVM as a [`codegen::Target`]: the passes over allocated functions.

use codegen::{Function, PReg, Pass, RegSet, Target};

use crate::frame;
use crate::isa::{CALLEE_SAVED, Pvm};
use crate::optimize::{dead, sink, tail_duplication, values};
use crate::peephole::{blocks, constants, no_return, schedule, stores, unlikely};

type Func = Function<Pvm, PReg>;

const fn pass(name: &'static str, run: fn(&Pvm, &mut Func, &mut ())) -> Pass<Pvm> {
    Pass { name, run }
}

impl Target for Pvm {
    type Scratch = ();

    const OPTIMIZE: &'static [Pass<Self>] = &[
        pass("duplicate-tails", |target, func, ()| {
            if !func.optimize_for_size {
                tail_duplication::duplicate(target.gp, func);
            }
        }),
        pass("reuse-values", |_, func, ()| values::reuse(func)),
        // Registers of the caller are restored by the epilogues, which are added later: none is live at exits yet.
        pass("remove-dead", |_, func, ()| dead::remove(func, RegSet::EMPTY)),
        pass("sink", |_, func, ()| sink::sink(func)),
    ];

    fn frame(&self, func: &mut Func) {
        frame::place(self, func);
    }

    const PEEPHOLE: &'static [Pass<Self>] = &[
        pass("jump-without-return", |target, func, ()| no_return::jump(target, func)),
        pass("reuse-final-values", |_, func, ()| values::reuse(func)),
        pass("remove-final-dead", |_, func, ()| dead::remove(func, CALLEE_SAVED)),
        pass("combine-stores", |_, func, ()| stores::combine(func)),
        pass("split-constants", |target, func, ()| constants::split(target, func)),
        pass("schedule", |target, func, ()| {
            if target.gp.has_block_prices() {
                schedule::schedule(func);
            }
        }),
        pass("unlikely", |target, func, ()| {
            if target.gp.has_block_prices() {
                unlikely::mark(func);
            }
        }),
        pass("cut-blocks", |target, func, ()| {
            if let Some(max) = target.plan.layout().max_block {
                blocks::cut(func, max);
            }
        }),
    ];
}
