//! The price of instructions in gas, according to the simulator of GP 0.8.

use std::borrow::Borrow;

use pvm_isa::Inst;
use pvm_isa::gas::{GasInst, simulate};

/// Gas of a basic block with these instructions. A branch at its end has the ordinary price.
pub fn price(insts: impl Iterator<Item: Borrow<Inst>>) -> u32 {
    simulate(insts.map(|inst| GasInst::new(inst.borrow(), false)))
}
