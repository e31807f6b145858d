//! The PVM as an instruction set ([`codegen::Isa`]): registers, calling convention, instructions.
//!
//! | file | contents |
//! |---|---|
//! | `convention.rs` | registers and stack words of arguments and results |
//! | `inst.rs` | the machine instructions |
//! | here | the target for one program, and its description for allocation and layout |

mod convention;
mod inst;

use std::collections::{BTreeMap, BTreeSet};

use codegen::{
    ArgumentRoom, Costs, Effects, Isa, Operand, PReg, RegSet, Register, RegisterInfo, SlotAccess, StackSlot,
};
use pvm_isa::{GpVersion, Opcode};
use ssa::{FuncId, IdVec, Module};

pub use convention::{ARGS, CALLEE_SAVED, RESULTS, argument_room, call_layout};
pub use inst::{Call, Callee, Inst, Mem, RA, SP};

use crate::memory::MemoryPlan;
use convention::{ORDER, WORD};

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
    /// The functions that hosts enter, where they have to set the stack pointer.
    pub set_stack: BTreeSet<String>,
    /// Functions that never return.
    pub never_returning: IdVec<FuncId, bool>,
    /// Whether the result of every stage is checked, also in builds without assertions.
    pub checks: bool,
    /// See [`codegen::Select::address_limit`].
    pub address_limit: Option<i64>,
    /// The addresses of long constants that are stored.
    pub pool: BTreeMap<i64, i32>,
    registers: RegisterInfo,
}

impl Pvm {
    /// The target for a program whose memory is planned and whose imports are resolved.
    pub fn new(
        gp: GpVersion,
        plan: MemoryPlan,
        host_calls: IdVec<FuncId, Option<u32>>,
        never_returning: IdVec<FuncId, bool>,
        module: &Module,
    ) -> Self {
        let registers = RegisterInfo {
            order: [ORDER.to_vec(), Vec::new()],
            callee_saved: CALLEE_SAVED,
            spill_bytes: [WORD, WORD],
            scratch: None,
        };
        let room = argument_room(module);
        let (checks, address_limit, pool) = (false, None, BTreeMap::new());
        let set_stack = BTreeSet::new();
        Self {
            gp,
            plan,
            host_calls,
            room,
            set_stack,
            never_returning,
            checks,
            address_limit,
            pool,
            registers,
        }
    }
}

impl Isa for Pvm {
    type Inst<R: Register> = Inst<R>;

    fn registers(&self) -> &RegisterInfo {
        &self.registers
    }

    fn is_checked(&self) -> bool {
        cfg!(debug_assertions) || self.checks
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

    fn add_effects(inst: &Inst<PReg>, effects: &mut Effects) {
        if matches!(inst, Inst::Return { .. } | Inst::TailCall(_) | Inst::Call(_)) {
            // Other frames are found by it.
            effects.reads.insert(SP);
        }
        if let Some(Mem::Slot(StackSlot::Spill(slot))) = inst.mem() {
            effects.slot = Some(SlotAccess { slot: *slot, is_store: !matches!(inst, Inst::Load { .. }) });
        }
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
