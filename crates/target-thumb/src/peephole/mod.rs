//! The last passes: from allocated functions with frames to final machine instructions.
//!
//! Registers, frame and block order are final. The first pass expands composite instructions. The others run in the
//! order of the list in `target.rs`. Decisions about sizes come last, because the forms of dispatch tables and the
//! literal pool depend on the maximum size of the code. Short forms are chosen when no later pass adds an instruction
//! that reads flags.

pub mod accesses;
pub mod copies;
pub mod errata;
mod expand;
pub mod flags;
pub mod islands;
pub mod narrow;
mod pool;
pub mod tables;

use codegen::{Control, Function, Insts, PReg};
use thumb_isa::Role;

use crate::isa::Thumb;
use crate::isa::inst::{Inst, Machine, SP, is_load};

pub use pool::Pool;

/// Expands the composite instructions of a function; returns the literals that they load.
pub fn expand(func: &mut Function<Thumb, PReg>) -> Pool {
    let mut pool = Pool::new(func);
    expand_all(func, &mut pool);
    pool
}

/// Places the literals after the code. This is the last pass.
pub fn place_pool(func: &mut Function<Thumb, PReg>, pool: Option<Pool>) {
    pool.into_iter().for_each(|pool| pool.place(func));
    debug_assert!(
        func.blocks.values().all(|block| ends_with_restores(&block.insts)),
        "{}: something follows registers that are restored",
        func.name
    );
}

/// Whether all instructions after the first one that restores registers from the stack do so as well. Any other
/// instruction could read a restored register.
fn ends_with_restores(insts: &Insts<Inst<PReg>>) -> bool {
    let restores = |inst: &Inst<PReg>| match inst {
        Inst::Plain(Machine::Stack { op, .. }) => op.list_role() == Some(Role::Write),
        Inst::Plain(Machine::FloatStack { op, .. } | Machine::MemPost { op, rn: SP, .. }) => is_load(*op),
        _ => false,
    };
    insts.iter().skip_while(|inst| !restores(inst)).all(restores)
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

/// Whether an instruction has no effect.
fn is_nothing(inst: &Inst<PReg>) -> bool {
    matches!(inst, Inst::Params { .. }) || inst.as_copy().is_some_and(|(dst, src)| dst == src)
}
