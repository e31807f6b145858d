//! From final instructions over registers to instructions of the machine, and improving those.
//!
//! Registers, frame and block order are settled. Composite instructions come apart first; then each pass is a function
//! on the function, in the order of the list below. What decides about sizes comes last: tables and the literal pool
//! need to know how far the code reaches at most, and short forms are chosen when nobody adds a reader of the flags
//! any more.

mod accesses;
mod copies;
pub(crate) mod effects;
mod flags;
mod islands;
mod narrow;
mod pool;
mod tables;

use codegen::{Control, Function, PReg};

use crate::expand;
use crate::inst::Inst;
use crate::target::Thumb;

pub use pool::Pool;

/// Makes the final instructions of a function.
pub fn improve(_target: &Thumb, func: &mut Function<Thumb, PReg>) {
    let mut pool = Pool::new(func);
    expand_all(func, &mut pool);
    copies::forward(func);
    flags::reuse(func);
    flags::shift_tests(func);
    flags::share(func);
    accesses::move_on(func);
    accesses::pair(func);
    narrow::narrow(func);
    islands::place(func);
    tables::choose(func);
    pool.place(func);
}

fn expand_all(func: &mut Function<Thumb, PReg>, pool: &mut Pool) {
    for n in 0..func.order.len() {
        let block = func.order[n];
        let data = &mut func.blocks[block];
        data.insts.rewrite(|inst, out| expand::instruction(inst, pool, out));
        if let Control::Exit(inst) | Control::Branch { inst, .. } | Control::Dispatch { inst, .. } =
            &mut data.control
        {
            let mut before = Vec::new();
            let control = expand::control(inst.clone(), &mut before);
            *inst = control;
            data.insts.extend(before, data.control_loc);
        }
        data.insts.retain(|inst| !is_nothing(inst));
    }
}

/// Whether an instruction does nothing.
fn is_nothing(inst: &Inst<PReg>) -> bool {
    matches!(inst, Inst::Params { .. }) || inst.as_copy().is_some_and(|(dst, src)| dst == src)
}
