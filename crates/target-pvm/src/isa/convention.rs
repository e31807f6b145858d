//! The calling convention inside a program.
//!
//! The first [`ARGS`] words of arguments and the first [`RESULTS`] words of results are in registers, further ones in
//! the caller's outgoing area. Results come first in that area, so that their place does not depend on the parameters
//! and a tail call can leave them there. `i32` words are sign-extended. The return address is an ordinary value that arrives
//! in r0 and must be in r0 at each return, so leaf functions keep it there.

use codegen::{ArgLoc, ArgumentRoom, CallLayout, PReg, RegSet};
use ssa::{Module, Signature};

const fn r(n: u8) -> PReg {
    PReg::new(n)
}

/// Registers of the first arguments. r2 is left free for the address in indirect tail calls.
pub const ARGS: [PReg; 8] = [r(7), r(8), r(9), r(10), r(11), r(12), r(3), r(4)];
/// Registers of the first results.
pub const RESULTS: [PReg; 6] = [r(7), r(8), r(9), r(10), r(11), r(12)];
/// Registers that a callee preserves.
pub const CALLEE_SAVED: RegSet = RegSet::of(&[r(5), r(6)]);
/// Registers a call may change: all that are allocated and not callee-saved.
const CALL_CLOBBERS: RegSet = RegSet::of(&[r(0), r(2), r(3), r(4), r(7), r(8), r(9), r(10), r(11), r(12)]);
/// Allocatable registers, cheapest first.
pub const ORDER: [PReg; 12] = [r(2), r(4), r(3), r(12), r(11), r(10), r(9), r(8), r(7), r(0), r(5), r(6)];
/// Bytes of a machine word.
pub const WORD: u32 = 8;

/// Locations of `count` words: registers first, then stack words from `*stack`, which is advanced.
fn locations(count: usize, registers: &[PReg], stack: &mut u32) -> Vec<Vec<ArgLoc>> {
    let mut place = |n: usize| match registers.get(n) {
        Some(&reg) => ArgLoc::Reg(reg),
        None => {
            *stack += WORD;
            ArgLoc::Stack(*stack - WORD)
        }
    };
    (0..count).map(|n| vec![place(n)]).collect()
}

/// The locations of a call's arguments and results.
pub fn call_layout(sig: &Signature) -> CallLayout {
    let mut stack = 0;
    let results = locations(sig.results.len(), &RESULTS, &mut stack);
    let params = locations(sig.params.len(), &ARGS, &mut stack);
    CallLayout { params, results, stack_bytes: stack, clobbers: CALL_CLOBBERS }
}

/// The stack space that each call in a module reserves for arguments.
pub fn argument_room(module: &Module) -> ArgumentRoom {
    ArgumentRoom::new(module, |sig| call_layout(sig).stack_bytes)
}
