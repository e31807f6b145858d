//! Peephole passes over final instructions, after registers, frame and block order are settled.
//!
//! Each pass is a function from the function to itself; `target.rs` lists them in order.

pub mod blocks;
pub mod constants;
pub mod no_return;
pub mod schedule;
mod segments;
pub mod stores;
pub mod unlikely;
