//! Analyses of instructions over physical registers, which several stages use.

pub mod effects;
pub mod price;
