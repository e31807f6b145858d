//! Instructions and basic blocks of a program, without running it.
//!
//! Mapping symbols separate code from literals and jump tables. A block begins at a function, at the target of a branch, after
//! a branch, and at an address that the table of `tbb` or `tbh` gives.

use std::collections::BTreeSet;

use thumb_isa::decode::Instructions;
use thumb_isa::{Flow, Inst, Opcode, Reg};

use crate::image::{Image, Kind};

/// A basic block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Block {
    /// The address of its first instruction.
    pub start: u32,
    /// The address after its last instruction.
    pub end: u32,
}

/// An instruction at an address; the address after it.
pub type Placed = (u32, Inst, u32);

/// All instructions by ascending addresses.
pub fn instructions(image: &Image) -> Vec<Placed> {
    let first = image.start();
    let end = first + image.code().len() as u32;
    let marks: Vec<(u32, bool)> = image
        .symbols()
        .iter()
        .filter_map(|symbol| match symbol.kind {
            Kind::Mark { is_code } if (first..end).contains(&symbol.address) => {
                Some((symbol.address, is_code))
            }
            _ => None,
        })
        .collect();
    let ends = marks.iter().skip(1).map(|mark| mark.0).chain([end]);
    let mut found = Vec::new();
    for (&(start, is_code), end) in marks.iter().zip(ends) {
        if !is_code {
            continue;
        }
        let bytes = &image.code()[(start - first) as usize..(end - first) as usize];
        let mut walk = Instructions::new(bytes).peekable();
        while let Some((at, decoded)) = walk.next() {
            let after = walk.peek().map_or(bytes.len(), |next| next.0);
            if let Ok(decoded) = decoded {
                found.push((start + at as u32, decoded.inst, start + after as u32));
            }
        }
    }
    found
}

/// The address that a branch with an offset leads to.
pub const fn target(inst: &Inst, at: u32) -> Option<u32> {
    match inst.offset() {
        Some(offset) if !matches!(inst, Inst::MemLit { .. } | Inst::Adr { .. }) => {
            Some(at.wrapping_add(4).wrapping_add_signed(offset))
        }
        _ => None,
    }
}

/// All basic blocks by ascending addresses. A call doesn't end a block.
pub fn blocks(image: &Image) -> Vec<Block> {
    let instructions = instructions(image);
    let mut starts: BTreeSet<u32> = image
        .symbols()
        .iter()
        .filter(|symbol| symbol.kind == Kind::Function)
        .map(|symbol| symbol.address)
        .collect();
    for (at, inst, after) in &instructions {
        match inst.flow() {
            Flow::Next => continue,
            // On v6-M also a long jump inside of a function.
            Flow::Call => {
                starts.extend(target(inst, *at));
                continue;
            }
            Flow::Jump | Flow::Branch | Flow::Trap => {}
            Flow::Indirect => starts.extend(table_targets(image, inst, *after)),
        }
        starts.insert(*after);
        starts.extend(target(inst, *at));
    }
    let mut blocks: Vec<Block> = Vec::new();
    for (at, _, after) in instructions {
        match blocks.last_mut() {
            Some(block) if block.end == at && !starts.contains(&at) => block.end = after,
            _ => blocks.push(Block { start: at, end: after }),
        }
    }
    blocks
}

/// The addresses that a table after `tbb` or `tbh` gives: everything up to the next instruction. A literal among them
/// may give an address that is no target; then a block is cut in two.
pub fn table_targets(image: &Image, inst: &Inst, table: u32) -> Vec<u32> {
    let Inst::TableBranch { op, rn: Reg::PC, .. } = inst else { return Vec::new() };
    let next = image
        .symbols()
        .iter()
        .find(|symbol| symbol.address > table && symbol.kind == Kind::Mark { is_code: true });
    let (first, code) = (image.start(), image.code());
    let end = next.map_or(code.len(), |symbol| (symbol.address - first) as usize).min(code.len());
    let bytes = &code[((table - first) as usize).min(end)..end];
    let half_words = |entry: &[u8]| entry.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte));
    let width = if *op == Opcode::Tbb { 1 } else { 2 };
    bytes.chunks_exact(width).map(|entry| table + 2 * half_words(entry)).collect()
}
