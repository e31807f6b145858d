//! The section `.debug_frame`: how debuggers find the caller of a function, at each of its instructions.

use codegen::{Cfa, PReg, Saved, UnwindRow};
use gimli::write::{
    Address, CallFrameInstruction, CieId, CommonInformationEntry, DebugFrame, Expression,
    FrameDescriptionEntry, FrameTable,
};
use gimli::{Encoding, Format, Register};

use super::debug::{Buffer, Section, Span};
use crate::isa::abi::{FIRST_DOUBLE, FIRST_SINGLE};
use crate::isa::inst::{LR, SP};

/// The version that all tools for Cortex-M read.
const ENCODING: Encoding = Encoding { format: Format::Dwarf32, version: 1, address_size: 4 };
/// Numbers of registers in DWARF, from the ABI.
const DWARF_SINGLE: u16 = 64;
const DWARF_DOUBLE: u16 = 256;

/// A function with its rows, by code offset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Its code.
    pub span: Span,
    /// The first row is at 0.
    pub rows: Vec<(u32, UnwindRow)>,
}

/// The section for functions, if there are any.
pub fn section(frames: &[Frame]) -> Option<Section> {
    let mut table = FrameTable::default();
    let mut common = CommonInformationEntry::new(ENCODING, 2, -4, number(LR));
    common.add_instruction(CallFrameInstruction::Cfa(number(SP), 0));
    let common = table.add_cie(common);
    for (n, frame) in frames.iter().enumerate() {
        add(&mut table, common, n, frame);
    }
    let mut section = DebugFrame::from(Buffer::default());
    table.write_debug_frame(&mut section).expect("all offsets are multiples of the factors");
    let spans: Vec<Span> = frames.iter().map(|frame| frame.span).collect();
    section.0.finish(gimli::SectionId::DebugFrame, &spans)
}

fn add(table: &mut FrameTable, common: CieId, n: usize, frame: &Frame) {
    let start = Address::Symbol { symbol: n, addend: 0 };
    let mut entry = FrameDescriptionEntry::new(start, frame.span.size);
    let mut last = UnwindRow { cfa: Cfa::Register { reg: SP, offset: 0 }, saved: Vec::new() };
    for (at, row) in &frame.rows {
        let row = described(row);
        // A call that doesn't return loses the return address. Debuggers look for the caller of the called function one byte
        // before its return address, which is in the call.
        let lost = (LR, Saved::Lost);
        let is_lost = row.saved.contains(&lost) && !last.saved.contains(&lost) && last.cfa == row.cfa;
        let at = if is_lost { at - 2 } else { *at };
        changes(&last, &row).into_iter().for_each(|change| entry.add_instruction(at, change));
        last = row;
    }
    table.add_fde(common, entry);
}

/// A row with doubles instead of pairs of singles, which debuggers know best.
fn described(row: &UnwindRow) -> UnwindRow {
    let mut saved: Vec<(PReg, Saved)> = Vec::new();
    for &(reg, place) in &row.saved {
        let is_high = (FIRST_SINGLE..FIRST_DOUBLE).contains(&reg.number()) && !reg.number().is_multiple_of(2);
        match (saved.last_mut(), place) {
            (Some((low, Saved::Offset(at))), Saved::Offset(high))
                if is_high && low.number() + 1 == reg.number() && *at + 4 == high =>
            {
                *low = PReg::new(FIRST_DOUBLE + (reg.number() - FIRST_SINGLE) / 2);
            }
            _ => saved.push((reg, place)),
        }
    }
    UnwindRow { cfa: row.cfa, saved }
}

/// The instructions that change one row to another.
fn changes(old: &UnwindRow, new: &UnwindRow) -> Vec<CallFrameInstruction> {
    let mut list = Vec::new();
    if old.cfa != new.cfa {
        list.push(cfa(new.cfa));
    }
    let is_new = |reg: PReg| new.saved.iter().any(|(saved, _)| *saved == reg);
    let restored = old.saved.iter().filter(|(reg, _)| !is_new(*reg));
    list.extend(restored.map(|(reg, _)| CallFrameInstruction::SameValue(number(*reg))));
    let moved = new.saved.iter().filter(|saved| !old.saved.contains(saved));
    list.extend(moved.map(|&(reg, place)| match place {
        Saved::Offset(at) => CallFrameInstruction::Offset(number(reg), at),
        Saved::Register(other) => CallFrameInstruction::Register(number(reg), number(other)),
        Saved::Lost => CallFrameInstruction::Undefined(number(reg)),
    }));
    list
}

fn cfa(cfa: Cfa) -> CallFrameInstruction {
    match cfa {
        Cfa::Register { reg, offset } => CallFrameInstruction::Cfa(number(reg), offset),
        Cfa::Loaded { reg, at, offset } => {
            let mut address = Expression::new();
            address.op_breg(number(reg), at.into());
            address.op_deref();
            address.op_plus_uconst(u64::try_from(offset).expect("the caller's frame is above"));
            CallFrameInstruction::CfaExpression(address)
        }
        // The caller's registers are not known either, so the value does not matter.
        Cfa::Unknown => CallFrameInstruction::Cfa(number(SP), 0),
    }
}

/// The number of a register in DWARF.
fn number(reg: PReg) -> Register {
    Register(match reg.number() {
        core @ 0..FIRST_SINGLE => core.into(),
        single @ FIRST_SINGLE..FIRST_DOUBLE => DWARF_SINGLE + u16::from(single - FIRST_SINGLE),
        double => DWARF_DOUBLE + u16::from(double - FIRST_DOUBLE),
    })
}
