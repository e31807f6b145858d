//! Peephole passes over final instructions, after registers, frame and block order are settled.
//!
//! Each pass is a function from the function to itself; the list below is the order. [`values`] and [`dead`] also run
//! before the frame is laid out, when spill slots still have names.

pub mod constants;
pub mod dead;
pub mod effects;
pub mod liveness;
mod price;
pub mod schedule;
pub mod stores;
pub mod unlikely;
pub mod values;
