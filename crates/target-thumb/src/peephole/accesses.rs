//! Combining loads and stores: two words in one instruction, or an access that also moves its pointer.
//!
//! - Two neighbouring words of the stack frame, which is aligned to words, are loaded or stored by one instruction. One
//!   access moves to the other if no instruction between them touches its registers or its bytes.
//! - An addition to a pointer becomes part of an access through it: with post-indexing if the access precedes the
//!   addition, with pre-indexing if it follows.
//!
//! Neither makes code larger: the short forms of the replaced instructions have as many bytes together. Termination:
//! each application leaves one instruction less.

use codegen::{Effects, Function, PReg};
use thumb_isa::{Flags, Format, Opcode};

use super::is_nothing;
use crate::isa::Thumb;
use crate::isa::inst::{Inst, Machine, SP, to_machine};

/// Maximum distance of two accesses that are joined, in instructions.
const WINDOW: usize = 16;

/// Joins accesses to neighbouring words of the frame.
pub fn pair(func: &mut Function<Thumb, PReg>) {
    for n in 0..func.order.len() {
        let insts = &mut func.blocks[func.order[n]].insts;
        for at in 0..insts.len() {
            let mut behind = at + 1..insts.len().min(at + WINDOW);
            if let Some((second, (to, dual))) = behind.find_map(|n| dual(insts, at, n).map(|dual| (n, dual)))
            {
                insts[if to == at { second } else { at }] = nothing();
                insts[to] = Inst::Plain(dual);
            }
        }
        insts.retain(|inst| !is_nothing(inst));
    }
}

/// A placeholder for a removed instruction, until all of them are dropped at once.
const fn nothing() -> Inst<PReg> {
    Inst::Params { defs: Vec::new(), singles: Vec::new() }
}

/// A load or store of a word in the frame: opcode, register, offset.
fn frame_word(inst: &Inst<PReg>) -> Option<(Opcode, PReg, i32)> {
    match *inst {
        Inst::Plain(Machine::Mem { op: op @ (Opcode::Ldr | Opcode::Str), rt, rn: SP, offset })
            if offset % 4 == 0 && rt.number() < SP.number() =>
        {
            Some((op, rt, offset))
        }
        _ => None,
    }
}

/// One instruction for two of a block, and the index it goes to: loads move to the first one, stores to the second.
fn dual(insts: &[Inst<PReg>], first: usize, second: usize) -> Option<(usize, Machine<PReg>)> {
    let (op, a, at) = frame_word(&insts[first])?;
    let (other, b, then) = frame_word(&insts[second])?;
    if op != other || at.abs_diff(then) != 4 {
        return None;
    }
    let is_load = op == Opcode::Ldr;
    let (moved, place, to) = if is_load { (b, then, first) } else { (a, at, second) };
    if is_load && a == b || !insts[first + 1..second].iter().all(|inst| may_pass(inst, is_load, moved, place))
    {
        return None;
    }
    let (low, high) = if at < then { (a, b) } else { (b, a) };
    let op = if is_load { Opcode::Ldrd } else { Opcode::Strd };
    let dual = Machine::dual(op, low, high, SP, at.min(then));
    to_machine(&dual).shortest_form(None).map(|_| (to, dual))
}

/// Whether an access of a word in the frame may move across an instruction.
fn may_pass(inst: &Inst<PReg>, is_load: bool, reg: PReg, place: i32) -> bool {
    let effects = Effects::of::<Thumb>(inst);
    if effects.writes.contains(SP) || effects.writes.contains(reg) || is_load && effects.reads.contains(reg) {
        return false;
    }
    match inst {
        Inst::Plain(Machine::Mem { rn: SP, offset, .. } | Machine::Dual { rn: SP, offset, .. }) => {
            // The widest access ends 8 bytes after its start.
            *offset >= place + 4 || offset + 8 <= place
        }
        Inst::Plain(machine) => is_arithmetic(machine),
        Inst::It { body, .. } => body.iter().all(is_arithmetic),
        Inst::LoadLiteral { .. } | Inst::AddressHalf { .. } | Inst::Params { .. } => true,
        _ => false,
    }
}

/// Whether an instruction neither accesses memory nor changes the order of execution.
fn is_arithmetic(machine: &Machine<PReg>) -> bool {
    matches!(
        machine,
        Machine::AluImm { .. }
            | Machine::AluReg { .. }
            | Machine::MovImm { .. }
            | Machine::MovHalf { .. }
            | Machine::MovReg { .. }
            | Machine::MovShifted { .. }
            | Machine::AddPlain { .. }
            | Machine::ShiftImm { .. }
            | Machine::Reg2 { .. }
            | Machine::Reg3 { .. }
            | Machine::Reg3S { .. }
            | Machine::Reg4 { .. }
            | Machine::MulLong { .. }
            | Machine::Extend { .. }
            | Machine::BitField { .. }
            | Machine::BitClear { .. }
            | Machine::Saturate { .. }
            | Machine::CmpImm { .. }
            | Machine::CmpReg { .. }
    )
}

/// Makes additions to pointers part of accesses through them.
pub fn move_on(func: &mut Function<Thumb, PReg>) {
    for n in 0..func.order.len() {
        let insts = &mut func.blocks[func.order[n]].insts;
        for at in 0..insts.len() {
            if add_after_access(insts, at) || add_before_access(insts, at) {
                insts[at] = nothing();
            }
        }
        insts.retain(|inst| !is_nothing(inst));
    }
}

/// The register to which an instruction adds a constant, and the constant, if its flags are unused.
fn addition(inst: &Inst<PReg>) -> Option<(PReg, i32)> {
    let (rd, rn, imm) = match *inst {
        Inst::Plain(Machine::AluImm { op: Opcode::AddImm, s: false, rd, rn, imm }) => (rd, rn, imm as i32),
        Inst::Plain(Machine::AluImm { op: Opcode::SubImm, s: false, rd, rn, imm }) => {
            (rd, rn, (imm as i32).wrapping_neg())
        }
        _ => return None,
    };
    (rd == rn && rd != SP && imm.unsigned_abs() < 256).then_some((rd, imm))
}

/// Combines the addition at `at` with an access before it, if possible.
fn add_after_access(insts: &mut [Inst<PReg>], at: usize) -> bool {
    let Some((pointer, by)) = addition(&insts[at]) else { return false };
    for n in (at.saturating_sub(WINDOW)..at).rev() {
        if let Some(joined) = with_addition(&insts[n], pointer, by, true) {
            insts[n] = Inst::Plain(joined);
            return true;
        }
        if !leaves_alone(&insts[n], pointer) {
            return false;
        }
    }
    false
}

/// Combines the addition at `at` with an access after it, if possible.
fn add_before_access(insts: &mut [Inst<PReg>], at: usize) -> bool {
    let Some((pointer, by)) = addition(&insts[at]) else { return false };
    for n in at + 1..insts.len().min(at + WINDOW) {
        if let Some(joined) = with_addition(&insts[n], pointer, by, false) {
            insts[n] = Inst::Plain(joined);
            return true;
        }
        if !leaves_alone(&insts[n], pointer) {
            return false;
        }
    }
    false
}

fn leaves_alone(inst: &Inst<PReg>, reg: PReg) -> bool {
    let effects = Effects::of::<Thumb>(inst);
    let is_simple = matches!(
        inst,
        Inst::Plain(_) | Inst::LoadLiteral { .. } | Inst::AddressHalf { .. } | Inst::Params { .. }
    );
    is_simple && !effects.reads.contains(reg) && !effects.writes.contains(reg)
}

/// An access through a pointer that also adds to it; the addition comes after the access if `follows`, else before it.
fn with_addition(inst: &Inst<PReg>, pointer: PReg, by: i32, follows: bool) -> Option<Machine<PReg>> {
    let Inst::Plain(machine @ Machine::Mem { op, rt, rn, offset }) = *inst else { return None };
    if rn != pointer || rt == pointer || machine.flags_read() != Flags::NONE {
        return None;
    }
    let (post, pre) = (op.in_format(Format::MemPost)?, op.in_format(Format::MemPre)?);
    let joined = match (follows, offset) {
        (true, 0) => Machine::mem_post(post, rt, rn, by),
        (true, _) if offset == by => Machine::mem_pre(pre, rt, rn, by),
        (false, 0) => Machine::mem_pre(pre, rt, rn, by),
        (false, _) if offset == -by => Machine::mem_post(post, rt, rn, by),
        _ => return None,
    };
    to_machine(&joined).shortest_form(None).map(|_| joined)
}
