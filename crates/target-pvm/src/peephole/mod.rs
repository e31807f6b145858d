//! Peephole passes over final instructions, after registers, frame and block order are settled.
//!
//! Each pass is a function from the function to itself; the list below is the order. [`values`] and [`dead`] also run
//! before the frame is laid out, when spill slots still have names.

mod constants;
pub mod dead;
pub mod effects;
pub mod liveness;
mod price;
mod schedule;
mod stores;
mod unlikely;
pub mod values;

use codegen::{Function, PReg};
use pvm_isa::GpVersion;

use crate::target::{CALLEE_SAVED, Pvm};

/// Runs the passes on a function.
pub fn improve(target: &Pvm, func: &mut Function<Pvm, PReg>) {
    values::reuse(func);
    dead::remove(func, CALLEE_SAVED);
    stores::combine(func);
    constants::split(func);
    if target.gp == GpVersion::V08 {
        schedule::schedule(func);
        unlikely::mark(func);
    }
}
