//! Cycles of instructions, from the tables that Arm publishes in the technical reference manuals of the cores.
//!
//! The tables assume memory without wait states. Where they give a range, the largest number counts: a refill of the
//! pipeline takes 3 cycles on Cortex-M3 and M4, a division 12, and a load doesn't overlap its neighbours. With wait states,
//! every word of code costs them once per execution of its block, a taken branch once more for the fetch that it discards,
//! and a load as often as it reads words, because it may read from flash. Accesses are taken to be aligned.

use thumb_isa::reg::RegClass;
use thumb_isa::{Flow, Inst, Opcode};

/// A core with a published table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Core {
    /// Cortex-M0.
    M0,
    /// Cortex-M0+.
    M0Plus,
    /// Cortex-M3.
    M3,
    /// Cortex-M4, with or without its floating-point unit.
    M4,
}

/// Surroundings of the core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// The core.
    pub core: Core,
    /// Wait states of flash, from which code and constants are read.
    pub wait_states: u32,
    /// Cycles of a multiplication on Cortex-M0 and M0+, whose makers choose 1 or 32.
    pub multiply: u32,
}

impl Core {
    /// The core with this name in an object or on the command line.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        Some(match name.trim_start_matches("cortex-") {
            "m0" => Self::M0,
            "m0plus" | "m0+" => Self::M0Plus,
            "m3" => Self::M3,
            "m4" | "m4f" => Self::M4,
            _ => return None,
        })
    }

    /// The name that Arm gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::M0 => "Cortex-M0",
            Self::M0Plus => "Cortex-M0+",
            Self::M3 => "Cortex-M3",
            Self::M4 => "Cortex-M4",
        }
    }

    const fn is_v6(self) -> bool {
        matches!(self, Self::M0 | Self::M0Plus)
    }
}

impl Timing {
    /// Cycles of an instruction that doesn't transfer control. `None` if it waits for an event.
    pub fn cycles(&self, inst: &Inst) -> Option<u64> {
        if matches!(inst.op(), Opcode::Wfe | Opcode::Wfi) {
            return None;
        }
        let waits = u64::from(words_read(inst)) * u64::from(self.wait_states);
        Some(u64::from(self.own(inst)) + waits)
    }

    /// Additional cycles if the instruction transfers control.
    pub fn transfer(&self, inst: &Inst) -> u64 {
        let is_linking = inst.flow() == Flow::Call;
        let is_load = matches!(inst, Inst::Stack { .. } | Inst::Multi { .. });
        let refill = match self.core {
            Core::M0 => 2 + u32::from(is_linking && inst.offset().is_some()) + u32::from(is_load),
            Core::M0Plus => 1 + u32::from(is_linking && inst.offset().is_some()) + u32::from(is_load),
            Core::M3 | Core::M4 => 3,
        };
        u64::from(refill + self.wait_states)
    }

    /// Cycles to fetch so many bytes of code, beyond those of the instructions.
    pub fn fetch(&self, bytes: u32) -> u64 {
        // The first half-word may be the second of a word.
        u64::from((bytes + 2).div_ceil(4)) * u64::from(self.wait_states)
    }

    fn own(&self, inst: &Inst) -> u32 {
        match inst {
            Inst::Multi { list, .. } | Inst::Stack { list, .. } => 1 + list.len() as u32,
            Inst::FloatStack { op, count, .. } => 1 + count * words(op.reg_slots()[0].class),
            Inst::Dual { .. } | Inst::DualPre { .. } | Inst::DualPost { .. } => 3,
            Inst::Mem { op, .. }
            | Inst::MemPre { op, .. }
            | Inst::MemPost { op, .. }
            | Inst::MemReg { op, .. }
            | Inst::MemLit { op, .. } => 1 + words(op.reg_slots()[0].class),
            Inst::TableBranch { .. } => 2,
            Inst::ReadSys { .. } | Inst::WriteSys { .. } => self.system(),
            Inst::NoArg { op: Opcode::Dsb | Opcode::Dmb | Opcode::Isb } => self.barrier(),
            _ => self.arithmetic(inst.op()),
        }
    }

    const fn system(&self) -> u32 {
        match self.core {
            Core::M0 => 4,
            Core::M0Plus => 3,
            Core::M3 | Core::M4 => 2,
        }
    }

    const fn barrier(&self) -> u32 {
        match self.core {
            Core::M0 | Core::M3 | Core::M4 => 4,
            Core::M0Plus => 3,
        }
    }

    const fn arithmetic(&self, op: Opcode) -> u32 {
        match op {
            Opcode::Mul if self.core.is_v6() => self.multiply,
            Opcode::Sdiv | Opcode::Udiv => 12,
            Opcode::Mla | Opcode::Mls => 2,
            Opcode::Smull | Opcode::Umull if matches!(self.core, Core::M3) => 5,
            Opcode::Smlal | Opcode::Umlal if matches!(self.core, Core::M3) => 7,
            Opcode::VdivF32 | Opcode::VsqrtF32 => 14,
            Opcode::VmlaF32
            | Opcode::VmlsF32
            | Opcode::VnmlaF32
            | Opcode::VnmlsF32
            | Opcode::VfmaF32
            | Opcode::VfmsF32
            | Opcode::VfnmaF32
            | Opcode::VfnmsF32 => 3,
            Opcode::VmovToDouble | Opcode::VmovFromDouble => 2,
            _ => 1,
        }
    }
}

/// Words that a register of a class takes in memory.
const fn words(class: RegClass) -> u32 {
    match class {
        RegClass::Double => 2,
        _ => 1,
    }
}

/// Words of memory that an instruction reads.
fn words_read(inst: &Inst) -> u32 {
    let is_load = |op: Opcode| op.reg_slots()[0].role.writes();
    match inst {
        Inst::Multi { op, list, .. } | Inst::Stack { op, list } => {
            let reads = op.list_role().is_some_and(|role| role.writes());
            if reads { list.len() as u32 } else { 0 }
        }
        Inst::FloatStack { op, count, .. } if is_load(*op) => count * words(op.reg_slots()[0].class),
        Inst::Dual { op, .. } | Inst::DualPre { op, .. } | Inst::DualPost { op, .. } if is_load(*op) => 2,
        Inst::Mem { op, .. }
        | Inst::MemPre { op, .. }
        | Inst::MemPost { op, .. }
        | Inst::MemReg { op, .. }
        | Inst::MemLit { op, .. }
            if is_load(*op) =>
        {
            words(op.reg_slots()[0].class)
        }
        Inst::TableBranch { .. } => 1,
        _ => 0,
    }
}
