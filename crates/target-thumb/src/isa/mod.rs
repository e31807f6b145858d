//! Cortex-M as an instruction set ([`codegen::Isa`]): registers and instructions of a core.
//!
//! Registers are numbered as in [`thumb_isa::reg`]. r12 is never allocated: expansions use it, and linkers may use it
//! at calls. The link register is allocated like a callee-saved register: a function that saves it can return by
//! loading it from its slot, and a function with calls saves it anyway. Without the main extension only r0–r7 are
//! allocated, because most instructions reach no others. With double-precision hardware the float
//! registers are allocated as d0–d15, and a single is in the lower half of one.

pub mod abi;
pub mod condition;
pub mod cpu;
pub mod immediate;
pub mod inst;
mod print;

use codegen::{
    ArgumentRoom, Costs, Effects, Isa, Operand, PReg, RegClass, RegSet, Register, RegisterInfo, StackSlot,
};
use prepare::switches::{SwitchBytes, SwitchLimits};
use ssa::DataKind;
use thumb_isa::{Opcode, Reg};

use abi::{FIRST_DOUBLE, FIRST_SINGLE, argument_room};
use cpu::Cpu;
use inst::{Base, Inst, LOADS, LR, Machine, SCRATCH, STORES, class_of};

/// Core registers in allocation order: caller-saved ones, then low ones, then high ones. Short encodings reach r0–r7.
/// r0 and r1 are the last of the caller-saved ones, because arguments and results need them most.
const CORE_ORDER: [u8; 13] = [3, 2, 1, 0, 4, 5, 6, 7, 14, 8, 9, 10, 11];
/// The number of those that instructions can use on cores without the main extension.
const LOW_REGISTERS: usize = 8;

/// The location of linear memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum MemoryMode {
    /// At address 0: wasm addresses are machine addresses.
    Native,
    /// At the symbol `__linear_memory` of the object.
    #[default]
    Symbol,
    /// At the address in r11 on entry.
    Register,
}

/// The linear memory of a module, if it has one. There is at most one, because an object has one symbol and code has
/// one register for its base. No other code of the target depends on this limit.
pub fn linear_memory(module: &ssa::Module) -> Option<ssa::DataId> {
    let mut memories = module.data.iter().filter(|(_, object)| matches!(object.kind, DataKind::Memory(_)));
    let memory = memories.next().map(|(id, _)| id);
    assert!(memories.next().is_none(), "the module has more than one linear memory");
    memory
}

/// The Cortex-M target for one program.
#[derive(Debug)]
pub struct Thumb {
    /// The core.
    pub cpu: Cpu,
    /// The location of linear memory.
    pub memory: MemoryMode,
    /// The data object that is linear memory, if there is one.
    pub linear_memory: Option<ssa::DataId>,
    /// Whether every access is aligned.
    pub strict_align: bool,
    /// Whether exports and imports pass floats in core registers although the core has a unit.
    pub softfp: bool,
    /// Whether the result of every stage is checked, also in builds without assertions.
    pub checks: bool,
    /// The function that traps call, if there is a trap handler.
    pub trap_handler: Option<ssa::FuncId>,
    /// Stack space that calls reserve for arguments.
    pub room: ArgumentRoom,
    registers: RegisterInfo,
}

impl Thumb {
    /// The target for a module with this linear memory.
    pub fn new(
        cpu: Cpu,
        memory: MemoryMode,
        linear_memory: Option<ssa::DataId>,
        module: &ssa::Module,
    ) -> Self {
        let keeps_base = memory == MemoryMode::Register;
        let count = if cpu.has_main() { CORE_ORDER.len() } else { LOW_REGISTERS };
        let core =
            CORE_ORDER.into_iter().take(count).filter(|&n| !(keeps_base && n == 11)).map(PReg::new).collect();
        let (floats, saved, bytes) = match (cpu.has_single(), cpu.has_double()) {
            (_, true) => (FIRST_DOUBLE..FIRST_DOUBLE + 16, FIRST_DOUBLE + 8, 8),
            (true, false) => (FIRST_SINGLE..FIRST_SINGLE + 32, FIRST_SINGLE + 16, 4),
            (false, false) => (0..0, 0, 4),
        };
        let callee_saved = (4..12).chain([LR.number()]).chain(floats.clone().filter(|&n| n >= saved));
        let registers = RegisterInfo {
            order: [core, floats.map(PReg::new).collect()],
            callee_saved: callee_saved.map(PReg::new).collect(),
            spill_bytes: [4, bytes],
            scratch: Some(SCRATCH),
        };
        let room = argument_room(module, cpu);
        Self {
            cpu,
            memory,
            linear_memory,
            strict_align: false,
            softfp: false,
            checks: false,
            trap_handler: None,
            room,
            registers,
        }
    }

    /// The base of wasm addresses; `None` if they are machine addresses.
    pub fn memory_base(&self) -> Option<Base> {
        match self.memory {
            MemoryMode::Native => None,
            MemoryMode::Symbol => self.linear_memory.map(Base::Data),
            MemoryMode::Register => self.linear_memory.map(|_| Base::Register),
        }
    }

    /// The base that the address of a data object is relative to; `None` for linear memory at address 0.
    pub fn base_of(&self, data: ssa::DataId) -> Option<Base> {
        if self.linear_memory == Some(data) { self.memory_base() } else { Some(Base::Data(data)) }
    }
}

/// Bytes of a switch. `dispatch`: a subtraction, a comparison, a branch and `tbb`, and one byte of padding on average.
/// `entry`: one byte of the table. `test`: a comparison and a branch, and a quarter of another such pair for the binary
/// search.
const SWITCH_BYTES: SwitchBytes = SwitchBytes { dispatch: 11, entry: 1, test: 5 };
/// The same without `tbb`: a shift, an addition to the program counter, and jumps.
const JUMP_BYTES: SwitchBytes = SwitchBytes { dispatch: 12, entry: 2, test: 5 };

/// Turns the switches of a function into branches and into the dense tables that selection requires.
pub fn expand_switches(func: &mut ssa::Function, cpu: Cpu) {
    let bytes = if cpu.has_main() { SWITCH_BYTES } else { JUMP_BYTES };
    let limits = match func.optimize_for_size {
        true => SwitchLimits { min_clusters: 4, max_sparsity: 8, bytes: Some(bytes) },
        false => SwitchLimits { min_clusters: 4, max_sparsity: 8, bytes: None },
    };
    prepare::switches::expand(func, limits);
}

impl Isa for Thumb {
    type Inst<R: Register> = Inst<R>;

    fn registers(&self) -> &RegisterInfo {
        &self.registers
    }

    fn is_checked(&self) -> bool {
        cfg!(debug_assertions) || self.checks
    }

    fn costs(&self, for_size: bool, has_calls: bool) -> Costs {
        // One instruction saves all registers, another restores them and returns.
        let (first_save, further_save) = match (for_size, has_calls) {
            (true, false) => (0.9, 0.1),
            (true, true) => (0.1, 0.1),
            (false, false) => (0.8, 0.5),
            (false, true) => (0.5, 0.5),
        };
        Costs {
            taken_branch: 1.0,
            save_span: 64,
            first_save,
            further_save,
            rematerialize: 0.6,
            rematerialize_long: if for_size { 0.6 } else { 1.1 },
            ..Costs::SIMPLE
        }
    }

    fn map_operands<R: Register, S: Register>(inst: &Inst<R>, f: &mut dyn FnMut(R, Operand) -> S) -> Inst<S> {
        inst.map_operands(f)
    }

    fn clobbers<R: Register>(inst: &Inst<R>) -> RegSet {
        inst.clobbers()
    }

    fn add_effects(inst: &Inst<PReg>, effects: &mut Effects) {
        inst.add_effects(effects);
    }

    fn as_copy<R: Register>(inst: &Inst<R>) -> Option<(R, R)> {
        inst.as_copy()
    }

    fn is_rematerializable<R: Register>(inst: &Inst<R>) -> bool {
        matches!(inst, Inst::Const { .. } | Inst::SlotAddr { base: None, .. })
    }

    /// Two instructions, or a load of a literal.
    fn is_long<R: Register>(inst: &Inst<R>) -> bool {
        match inst {
            Inst::Const { value, .. } => !immediate::fits_move(*value),
            Inst::Address { .. } | Inst::FloatConst { .. } => true,
            _ => false,
        }
    }

    fn copy(dst: PReg, src: PReg) -> Inst<PReg> {
        match Reg::from_number(dst.number()).bank() {
            thumb_isa::reg::Bank::Core => Inst::copy(dst, src),
            thumb_isa::reg::Bank::Single => Inst::Plain(Machine::reg2(Opcode::VmovF32, dst, src)),
            thumb_isa::reg::Bank::Double => Inst::Plain(Machine::reg2(Opcode::VmovF64, dst, src)),
        }
    }

    fn spill(slot: StackSlot, src: PReg) -> Inst<PReg> {
        Inst::StoreSlot { op: transfer(src, STORES), src, slot }
    }

    fn reload(dst: PReg, slot: StackSlot) -> Inst<PReg> {
        Inst::LoadSlot { op: transfer(dst, LOADS), dst, slot }
    }

    fn invert<R: Register>(inst: &Inst<R>) -> Inst<R> {
        inst.invert()
    }

    fn is_trap<R: Register>(inst: &Inst<R>) -> bool {
        matches!(inst, Inst::Plain(Machine::Imm { op: Opcode::Udf, .. }))
    }
}

/// The opcode for a core, single- or double-precision register.
fn transfer(reg: PReg, [core, single, double]: [Opcode; 3]) -> Opcode {
    match (class_of(reg), reg.number()) {
        (RegClass::Int, _) => core,
        (RegClass::Float, FIRST_DOUBLE..) => double,
        (RegClass::Float, _) => single,
    }
}
