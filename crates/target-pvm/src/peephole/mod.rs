//! Improvements of final instructions, when registers, frame and block order are settled.
//!
//! Each pass is a function on the function; the list below is the order.

mod dead;
mod effects;
mod price;
mod schedule;
mod stores;
mod unlikely;
mod values;

use codegen::{Function, PReg};
use pvm_isa::GpVersion;

use crate::target::Pvm;

/// Improves the instructions of a function.
pub fn improve(target: &Pvm, func: &mut Function<Pvm, PReg>) {
    values::reuse(func);
    dead::remove(func);
    stores::combine(func);
    if target.gp == GpVersion::V08 && !func.optimize_for_size {
        schedule::schedule(func);
        unlikely::mark(func);
    }
}
