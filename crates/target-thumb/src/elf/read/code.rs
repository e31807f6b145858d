//! A section of code as instructions and data, with the offsets that they refer to.
//!
//! Mapping symbols distinguish code from data. Data directly after `tbb` or `tbh` is its table, up to the first word
//! that a load refers to. Other data is words.

use std::collections::BTreeSet;

use thumb_isa::decode::{Decoded, Instructions};
use thumb_isa::{Inst, Opcode, Reg};

use super::{File, Section};

/// A piece of a section of code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// An instruction, and the place in the section that it refers to.
    Inst(Decoded, Option<u32>),
    /// Bytes that are no instruction of the table of `thumb_isa`.
    Unknown(Vec<u8>),
    /// An entry of a jump table of 1 or 2 bytes, counting half-words from `base`.
    Entry { bytes: u32, base: u32, value: u32 },
    /// A word.
    Word(u32),
    /// Bytes of less than a word.
    Bytes(Vec<u8>),
}

/// A section of code.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Code {
    /// Its pieces with their offsets, in order.
    pub items: Vec<(u32, Item)>,
    /// Offsets that pieces refer to and at which a piece starts.
    pub labels: BTreeSet<u32>,
}

impl Code {
    /// Decodes a section.
    pub fn new(file: &File, section: &Section) -> Self {
        let regions = regions(file, section);
        let mut code = Self::default();
        for &(start, end, is_code) in &regions {
            if is_code {
                code.instructions(section, start, end);
            }
        }
        let loaded = code.loaded_words();
        for &(start, end, is_code) in &regions {
            if !is_code {
                code.data(section, start, end, &loaded);
            }
        }
        code.items.sort_by_key(|(offset, _)| *offset);
        code.label();
        code
    }

    fn instructions(&mut self, section: &Section, start: u32, end: u32) {
        for (at, decoded) in Instructions::new(&section.data[start as usize..end as usize]) {
            let at = start + at as u32;
            let item = match decoded {
                Ok(decoded) => {
                    let target = decoded.inst.offset().map(|offset| target(&decoded.inst, at, offset));
                    // With a relocation, the target is that of the relocation.
                    Item::Inst(decoded, target.filter(|_| section.relocation_at(at).is_none()))
                }
                Err(bytes) => Item::Unknown(bytes.to_vec()),
            };
            self.items.push((at, item));
        }
    }

    fn loaded_words(&self) -> BTreeSet<u32> {
        let loads = self.items.iter().filter_map(|(_, item)| match item {
            Item::Inst(Decoded { inst: Inst::MemLit { .. }, .. }, target) => *target,
            _ => None,
        });
        loads.collect()
    }

    fn data(&mut self, section: &Section, start: u32, end: u32, loaded: &BTreeSet<u32>) {
        let before = self.items.partition_point(|(at, _)| *at < start);
        let table = self.items[..before].last().and_then(|(_, item)| match item {
            Item::Inst(Decoded { inst: Inst::TableBranch { op, rn: Reg::PC, .. }, .. }, _) => {
                Some(if *op == Opcode::Tbb { 1 } else { 2 })
            }
            _ => None,
        });
        let first_word = loaded.range(start..end).next().copied();
        let mut at = start;
        let mut new = Vec::new();
        while at < end {
            let in_table = table.filter(|_| first_word.is_none_or(|word| at < word));
            let left =
                (end - at).min(first_word.filter(|&word| at < word).map_or(u32::MAX, |word| word - at));
            let len = in_table.unwrap_or(4).min(left);
            let bytes = &section.data[at as usize..(at + len) as usize];
            let item = match (in_table, <[u8; 4]>::try_from(bytes)) {
                (Some(width), _) if width == len => {
                    let value = bytes.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte));
                    Item::Entry { bytes: width, base: start, value }
                }
                (None, Ok(word)) => Item::Word(u32::from_le_bytes(word)),
                _ => Item::Bytes(bytes.to_vec()),
            };
            new.push((at, item));
            at += len;
        }
        self.items.splice(before..before, new);
    }

    /// Collects the places that pieces refer to.
    fn label(&mut self) {
        let starts: BTreeSet<u32> = self.items.iter().map(|(at, _)| *at).collect();
        for (_, item) in &self.items {
            let places = match *item {
                Item::Inst(_, Some(target)) => vec![target],
                Item::Entry { base, value, .. } if starts.contains(&(base + 2 * value)) => {
                    vec![base, base + 2 * value]
                }
                _ => Vec::new(),
            };
            self.labels.extend(places.into_iter().filter(|place| starts.contains(place)));
        }
    }
}

/// The place that an instruction at `at` with this offset branches to or loads from.
fn target(inst: &Inst, at: u32, offset: i32) -> u32 {
    let is_aligned = matches!(inst, Inst::MemLit { .. } | Inst::Adr { .. });
    let counter = at.wrapping_add(4);
    let counter = if is_aligned { counter & !3 } else { counter };
    counter.wrapping_add_signed(offset)
}

/// The regions of a section: start, end and whether it is code.
fn regions(file: &File, section: &Section) -> Vec<(u32, u32, bool)> {
    let end = section.data.len() as u32;
    let in_section = file.symbols.iter().filter(|symbol| symbol.section == Some(section.index));
    let mut marks: Vec<(u32, bool)> = in_section
        .filter(|symbol| symbol.is_mark() && symbol.value < end)
        .map(|symbol| (symbol.value, symbol.name.starts_with("$t")))
        .collect();
    marks.sort_unstable();
    if marks.first().is_none_or(|mark| mark.0 > 0) {
        marks.insert(0, (0, true));
    }
    let ends = marks.iter().skip(1).map(|mark| mark.0).chain([end]);
    marks.iter().zip(ends).map(|(&(start, is_code), end)| (start, end, is_code)).collect()
}
