//! The PVM as an instruction set ([`codegen::Isa`]): registers, calling convention, instructions.
//!
//! The convention for calls inside the program: the first [`ARGS`] words of arguments and the first [`RESULTS`] words
//! of results are in registers, further ones in the caller's outgoing area. There results come first, so that their
//! place does not depend on the parameters and a tail call can leave them there. `i32` words are sign-extended. The
//! return address is an ordinary value that arrives in r0 and must be in r0 at each return, so leaf functions keep it
//! there. Others spill it where that is cheapest; no prologue saves it unconditionally. Two registers are callee-saved.
//! The signature alone decides where words are: the registers that a particular callee changes are not tracked.

use codegen::{
    ArgLoc, ArgumentRoom, CallLayout, Costs, Isa, Operand, PReg, RegSet, Register, RegisterInfo, StackSlot,
    SwitchLimits,
};
use pvm_isa::{GpVersion, Opcode};
use ssa::{FuncId, IdVec, Module, Signature};

use crate::inst::{Inst, Mem};
use crate::memory_plan::MemoryPlan;

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
pub const CALL_CLOBBERS: RegSet =
    RegSet::of(&[r(0), r(2), r(3), r(4), r(7), r(8), r(9), r(10), r(11), r(12)]);
/// Allocatable registers, cheapest first.
const ORDER: [PReg; 12] = [r(2), r(4), r(3), r(12), r(11), r(10), r(9), r(8), r(7), r(0), r(5), r(6)];
/// Bytes of a machine word.
pub const WORD: u32 = 8;

/// The PVM target for one program: the machine's version, and the addresses of the program's data.
#[derive(Debug)]
pub struct Pvm {
    /// Version of the Gray Paper.
    pub gp: GpVersion,
    /// Addresses of data objects.
    pub plan: MemoryPlan,
    /// For each function that is a host call, its number.
    pub host_calls: IdVec<FuncId, Option<u32>>,
    /// Stack space that calls reserve for arguments.
    pub room: ArgumentRoom,
    registers: RegisterInfo,
}

impl Pvm {
    /// The target for a program whose memory is planned and whose imports are resolved.
    pub fn new(
        gp: GpVersion,
        plan: MemoryPlan,
        host_calls: IdVec<FuncId, Option<u32>>,
        module: &Module,
    ) -> Self {
        let registers = RegisterInfo {
            order: [ORDER.to_vec(), Vec::new()],
            callee_saved: CALLEE_SAVED,
            spill_bytes: [WORD, WORD],
            scratch: None,
        };
        let room = argument_room(module);
        Self { gp, plan, host_calls, room, registers }
    }
}

/// Turns the switches of a function into branches and into the dense tables that selection requires. A dispatch costs
/// as much as one and a half branches, and its range check as one more, so a few cases are better compared one by one.
pub fn expand_switches(func: &mut ssa::Function) {
    let limits = match func.optimize_for_size {
        true => SwitchLimits { min_clusters: 5, max_sparsity: 2, bytes: None },
        false => SwitchLimits { min_clusters: 4, max_sparsity: 4, bytes: None },
    };
    codegen::expand_switches(func, limits);
}

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

impl Isa for Pvm {
    type Inst<R: Register> = Inst<R>;

    fn registers(&self) -> &RegisterInfo {
        &self.registers
    }

    /// A load takes 25 cycles. A branch or return takes 20 to 22, which overlap with the load only if it does not wait
    /// for the loaded value.
    fn costs(&self, _for_size: bool, _has_calls: bool) -> Costs {
        Costs { control_wait: 0.8, ..Costs::SIMPLE }
    }

    fn map_operands<R: Register, S: Register>(inst: &Inst<R>, f: &mut dyn FnMut(R, Operand) -> S) -> Inst<S> {
        inst.map_operands(f)
    }

    fn clobbers<R: Register>(inst: &Inst<R>) -> RegSet {
        inst.clobbers()
    }

    fn as_copy<R: Register>(inst: &Inst<R>) -> Option<(R, R)> {
        inst.as_copy()
    }

    fn is_rematerializable<R: Register>(inst: &Inst<R>) -> bool {
        matches!(inst, Inst::Const { .. } | Inst::FuncRef { .. } | Inst::SlotAddr { .. })
    }

    fn copy(dst: PReg, src: PReg) -> Inst<PReg> {
        Inst::copy(dst, src)
    }

    fn spill(slot: StackSlot, src: PReg) -> Inst<PReg> {
        Inst::Store { op: Opcode::StoreIndU64, src, mem: Mem::Slot(slot) }
    }

    fn reload(dst: PReg, slot: StackSlot) -> Inst<PReg> {
        Inst::Load { op: Opcode::LoadIndU64, dst, mem: Mem::Slot(slot) }
    }

    fn invert<R: Register>(inst: &Inst<R>) -> Inst<R> {
        inst.invert()
    }

    fn is_trap<R: Register>(inst: &Inst<R>) -> bool {
        matches!(inst, Inst::Plain { op: Opcode::Trap })
    }
}
