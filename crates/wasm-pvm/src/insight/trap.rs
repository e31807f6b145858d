//! The explanation of a trap: its reason, and the calls that led to it.
//!
//! The machine only says that a program panicked. The reason is in the trace of the run: the last instruction, the
//! registers before it, and the branch that led to it. An access that faults has its address in a register. An explicit
//! `trap` instruction is often shared by several checks of a function, but the branch before it is the check that failed,
//! and the map leads from that branch to the operator whose check it is.

use std::fmt;

use pvm_engine::Trace;
use pvm_isa::{Flow, GpVersion, Inst, Opcode, ProgramBlob, Reg};

use super::map::{CodeMap, Frame};
use super::reasons;

/// Instructions before a trap among which its branch is sought.
const NEAR: usize = 8;
/// Maximum number of frames that are printed.
const MAX_FRAMES: usize = 40;

/// The explanation of a trap.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// The reason, as a phrase.
    pub reason: String,
    /// The position of the instruction that is to blame.
    pub pc: u32,
    /// The active functions, the innermost first.
    pub frames: Vec<Frame>,
}

/// A program that has trapped.
struct Trapped<'a> {
    map: &'a CodeMap,
    blob: &'a ProgramBlob,
    gp: GpVersion,
    trace: &'a Trace,
}

/// Explains the trap at which a traced run of a program ended; `None` if nothing ran.
pub fn explain(map: &CodeMap, blob: &ProgramBlob, gp: GpVersion, trace: &Trace) -> Option<Explanation> {
    let trapped = Trapped { map, blob, gp, trace };
    let last = trace.recent().next()?;
    let (pc, reason) = trapped.reason(last);
    let mut frames = map.frames(pc);
    for call in trace.active().iter().rev() {
        frames.extend(call.at.into_iter().flat_map(|at| map.frames(at)));
    }
    Some(Explanation { reason, pc, frames })
}

impl Trapped<'_> {
    fn inst(&self, pc: u32) -> Inst {
        self.blob.decode(self.gp, pc).inst
    }

    fn register(&self, register: Reg) -> u64 {
        self.trace.registers()[usize::from(register.index())]
    }

    fn operator(&self, pc: u32) -> Option<&str> {
        let place = self.map.place_at(pc)?;
        Some(&self.map.operators[place.operator as usize])
    }

    /// The position to blame and the reason.
    fn reason(&self, last: u32) -> (u32, String) {
        let inst = self.inst(last);
        match inst.op() {
            op if op.is_load() || op.is_store() => (last, self.access(&inst)),
            Opcode::Trap => self.trap(last),
            Opcode::Ecalli => (last, "the host ended the program".to_owned()),
            op if op.flow() == Flow::Indirect => {
                let reason = "a jump to an address that is not one of code".to_owned();
                (last, reason)
            }
            op => (last, format!("the instruction {} panicked", op.mnemonic())),
        }
    }

    /// The reason of a load or store that faults.
    fn access(&self, inst: &Inst) -> String {
        let (base, displacement) = match *inst {
            Inst::RegImm { imm, .. } => (None, imm),
            Inst::Imm2 { addr, .. } => (None, addr),
            Inst::RegImm2 { base, disp, .. } => (Some(base), disp),
            Inst::Reg2Imm { b, imm, .. } => (Some(b), imm),
            _ => return "an access outside of the memory".to_owned(),
        };
        let address = base.map_or(0, |base| self.register(base) as u32).wrapping_add(displacement as u32);
        if base == Some(Reg::SP) {
            return "the stack overflowed".to_owned();
        }
        let wasm = address.wrapping_sub(self.map.linear_base);
        let bytes = inst.op().access_bytes().map_or_else(String::new, |bytes| format!(" of {bytes} bytes"));
        let clamped = if base.is_some_and(|base| self.is_clamped(base)) { " or above" } else { "" };
        let kind = if inst.op().is_store() { "a store" } else { "a load" };
        format!("{kind}{bytes} outside of the memory, at address {wasm:#x}{clamped}")
    }

    /// Whether the value of a register was limited just before.
    fn is_clamped(&self, register: Reg) -> bool {
        let writes = |inst: &Inst| inst.writes().bits() >> register.index() & 1 != 0;
        let before = self.trace.recent().skip(1).take(NEAR).map(|pc| self.inst(pc));
        before.into_iter().find(writes).is_some_and(|inst| inst.op() == Opcode::MinU)
    }

    /// The reason of a `trap` instruction.
    fn trap(&self, last: u32) -> (u32, String) {
        let before = self.trace.recent().skip(1).take(NEAR);
        let mut branches = before.filter(|&pc| self.inst(pc).op().flow() == Flow::Branch);
        let branch = branches.next().filter(|&pc| self.is_same_function(pc, last));
        if let Some(branch) = branch
            && let Some(reason) = self.operator(branch).and_then(|name| self.check(name, branch))
        {
            return (branch, reason);
        }
        if let Some(reason) = self.operator(last).and_then(reasons::trap_itself) {
            return (last, reason.to_owned());
        }
        // A function of the runtime traps for the operator that calls it.
        let callers = self.trace.active().into_iter().rev().filter_map(|call| call.at);
        if self.map.place_at(last).is_none()
            && let Some(at) = callers.into_iter().find(|&at| self.map.place_at(at).is_some())
            && let Some(reason) = self.operator(at).and_then(|name| self.check(name, at))
        {
            return (last, reason);
        }
        // LLVM may have joined a condition of the program with the check of a later operator.
        let reason = "unreachable code was reached, or a check failed that is joined with this condition";
        (branch.unwrap_or(last), reason.to_owned())
    }

    fn is_same_function(&self, a: u32, b: u32) -> bool {
        self.map.function_at(a) == self.map.function_at(b)
    }

    /// The reason if a check of an operator, made by the branch at `pc`, has failed.
    fn check(&self, operator: &str, pc: u32) -> Option<String> {
        let reason = reasons::trap(operator)?;
        if !operator.ends_with(".div_s") {
            return Some(reason.to_owned());
        }
        let compared = self.inst(pc).reg_fields().into_iter().flatten().map(|reg| self.register(reg) as i64);
        let compared: Vec<i64> = compared.collect();
        let is_wide = operator.starts_with("i64");
        let extreme = if is_wide { i64::MIN } else { i64::from(i32::MIN) };
        Some(match compared[..] {
            [0] => "integer division by zero".to_owned(),
            [value, ..] if value == -1 || value == extreme => "overflow of an integer division".to_owned(),
            _ => reason.to_owned(),
        })
    }
}

impl fmt::Display for Explanation {
    /// Lines that each end with a line break: the reason, and a line per active function.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "reason: {}", self.reason)?;
        for (n, frame) in self.frames.iter().enumerate().take(MAX_FRAMES) {
            writeln!(f, "  {} {frame}", if n == 0 { "in" } else { "by" })?;
        }
        match self.frames.len().saturating_sub(MAX_FRAMES) {
            0 => Ok(()),
            more => writeln!(f, "  and {more} more"),
        }
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::demangled(&self.function))?;
        if let Some((file, line, column)) = &self.source {
            write!(f, " at {file}:{line}")?;
            if *column > 0 {
                write!(f, ":{column}")?;
            }
        }
        match (&self.offset, &self.operator) {
            (Some(offset), Some(operator)) => write!(f, " (wasm {offset:#x}: {operator})"),
            _ => Ok(()),
        }
    }
}
