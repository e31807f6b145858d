//! The last passes: from allocated functions with frames to final machine instructions.
//!
//! Registers, frame and block order are final. The first pass expands composite instructions. The others run in the
//! order of the list in `target.rs`. Decisions about sizes come last, because the forms of dispatch tables and the
//! literal pool depend on the maximum size of the code. Short forms are chosen when no later pass adds an instruction
//! that reads flags.

pub mod accesses;
mod baseline;
pub mod booleans;
pub mod copies;
pub mod differences;
pub mod errata;
mod expand;
pub mod flags;
pub mod heads;
pub mod islands;
pub mod its;
pub mod narrow;
mod pool;
mod pools;
pub mod rename;
pub mod tables;

use codegen::{Control, Function, Insts, PReg};
use thumb_isa::{Feature, Opcode, Role};

use crate::isa::Thumb;
use crate::isa::inst::{Inst, Machine, SP, is_load};

pub use pool::Pool;

/// Expands the composite instructions of a function; returns the literals that they load.
pub fn expand(target: &Thumb, func: &mut Function<Thumb, PReg>) -> Pool {
    let mut pool = Pool::new(func);
    let features = target.cpu.features();
    if target.cpu.has_main() {
        expand_all(func, |inst, out| expand::instruction(inst, &mut pool, out), expand::control);
    } else {
        let control = |inst, out: &mut _| baseline::control(inst, features, out);
        expand_all(func, |inst, out| baseline::instruction(inst, features, &mut pool, out), control);
    }
    pool
}

/// Places the literals after the code, or between its parts. This is the last pass.
pub fn place_pool(target: &Thumb, func: &mut Function<Thumb, PReg>, pool: Option<Pool>) {
    if let Some(pool) = pool {
        match target.cpu.has_main() {
            true => pool.place(func),
            false => {
                let has_long_jump = target.cpu.features().contains(Feature::V8Base);
                pools::place(func, pool.words(), has_long_jump);
            }
        }
    }
    debug_assert!(
        func.blocks.values().all(|block| ends_with_restores(&block.insts)),
        "{}: something follows registers that are restored",
        func.name
    );
}

/// Whether all instructions after the first one that restores registers from the stack do so as well, or remove what is
/// left there. Any other instruction could read a restored register.
fn ends_with_restores(insts: &Insts<Inst<PReg>>) -> bool {
    let restores = |inst: &Inst<PReg>| match inst {
        Inst::Plain(Machine::Stack { op, .. }) => op.list_role() == Some(Role::Write),
        Inst::Plain(Machine::FloatStack { op, .. } | Machine::MemPost { op, rn: SP, .. }) => is_load(*op),
        _ => false,
    };
    let pops = |inst: &Inst<PReg>| {
        restores(inst)
            || matches!(inst, Inst::Plain(Machine::AluImm { op: Opcode::AddImm, rd: SP, rn: SP, .. }))
    };
    insts.iter().skip_while(|inst| !restores(inst)).all(pops)
}

fn expand_all(
    func: &mut Function<Thumb, PReg>,
    mut instruction: impl FnMut(Inst<PReg>, &mut Vec<Inst<PReg>>),
    expand_control: impl Fn(Inst<PReg>, &mut Vec<Inst<PReg>>) -> Inst<PReg>,
) {
    for n in 0..func.order.len() {
        let block = func.order[n];
        let data = &mut func.blocks[block];
        data.insts.rewrite(&mut instruction);
        if let Control::Exit(inst) | Control::Branch { inst, .. } | Control::Dispatch { inst, .. } =
            &mut data.control
        {
            let mut before = Vec::new();
            let control = expand_control(inst.clone(), &mut before);
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
