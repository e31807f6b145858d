//! The finished code: one line per instruction, with its bytes and its part of the block's gas.

use std::collections::{BTreeMap, BTreeSet};

use pvm_isa::{Container, GpVersion, ProgramBlob, gas, validate};

use super::Machine;
use crate::insight::map::CodeMap;

/// A line of machine code.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CodeLine {
    /// The instruction.
    pub text: String,
    /// The index of the site that it comes from.
    pub site: Option<u32>,
    /// Its position: in the program, or in its function on Cortex-M.
    pub at: u32,
    /// Its bytes.
    pub bytes: u32,
    /// The gas by which it makes its block more expensive.
    pub gas: u32,
    /// Whether a block begins here.
    pub starts_block: bool,
}

/// A function of the machine.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MachineFunction {
    /// Its position in the map.
    pub pc: u32,
    /// Its code.
    pub lines: Vec<CodeLine>,
}

impl MachineFunction {
    /// Bytes of code.
    pub fn bytes(&self) -> u32 {
        self.lines.iter().map(|line| line.bytes).sum()
    }

    /// The gas of all blocks, each once.
    pub fn gas(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.gas)).sum()
    }
}

/// All functions of a program by name, in order.
pub fn functions(map: &CodeMap, machine: Machine, program: &[u8]) -> Vec<(String, MachineFunction)> {
    let lines: Vec<Vec<CodeLine>> = match machine {
        Machine::Pvm(gp) => {
            let container = Container::parse_for(Some(gp), program).expect("the compiler writes programs");
            return of_blob(map, container.blob(), gp);
        }
        Machine::Thumb => of_object(program),
    };
    assert_eq!(lines.len(), map.functions.len(), "every function is a section of code");
    let function = |(function, mut lines): (&crate::insight::map::MapFunction, Vec<CodeLine>)| {
        let mut places = PlacesFrom::new(map);
        lines.iter_mut().for_each(|line| line.site = places.at(function.pc + line.at));
        (function.name.clone(), MachineFunction { pc: function.pc, lines })
    };
    map.functions.iter().zip(lines).map(function).collect()
}

/// Sites by position, for ascending positions.
struct PlacesFrom<'a> {
    rows: &'a [(u32, Option<u32>)],
    next: usize,
}

impl<'a> PlacesFrom<'a> {
    fn new(map: &'a CodeMap) -> Self {
        Self { rows: &map.code, next: 0 }
    }

    fn at(&mut self, pc: u32) -> Option<u32> {
        if self.next == 0 {
            self.next = self.rows.partition_point(|(start, _)| *start <= pc);
        }
        while self.rows.get(self.next).is_some_and(|(start, _)| *start <= pc) {
            self.next += 1;
        }
        self.rows[self.next.checked_sub(1)?].1
    }
}

fn of_blob(map: &CodeMap, blob: &ProgramBlob, gp: GpVersion) -> Vec<(String, MachineFunction)> {
    let starts: BTreeSet<u32> = validate::block_starts(gp, blob).into_iter().collect();
    let costs: BTreeMap<u32, u32> =
        starts.iter().flat_map(|&start| gas::instruction_costs(gp, blob, start)).collect();
    let names: BTreeMap<u32, &str> =
        map.functions.iter().map(|function| (function.pc, function.name.as_str())).collect();
    let mut functions: Vec<(String, MachineFunction)> = Vec::new();
    let mut places = PlacesFrom::new(map);
    for (pc, inst) in blob.instructions(gp) {
        if names.contains_key(&pc) || functions.is_empty() {
            let name = names.get(&pc).copied().unwrap_or("(entries)");
            functions.push((name.to_owned(), MachineFunction { pc, lines: Vec::new() }));
        }
        let mut text = match inst.is_valid {
            true => inst.inst.display_at(pc).to_string(),
            false => "invalid".to_owned(),
        };
        let target = inst.inst.target(pc).and_then(|target| u32::try_from(target).ok());
        if let Some(name) = target.and_then(|target| names.get(&target)) {
            text += &format!(" <{}>", crate::insight::demangled(name));
        }
        let line = CodeLine {
            text,
            site: places.at(pc),
            at: pc,
            bytes: inst.len,
            gas: costs.get(&pc).copied().unwrap_or(0),
            starts_block: starts.contains(&pc),
        };
        functions.last_mut().expect("one was added").1.lines.push(line);
    }
    functions
}

fn of_object(object: &[u8]) -> Vec<Vec<CodeLine>> {
    let listing = target_thumb::file::listing(object).expect("the compiler writes objects");
    let section = |lines: Vec<target_thumb::file::CodeLine>| {
        let mut starts_block = true;
        let line = |line: target_thumb::file::CodeLine| {
            let starts = std::mem::replace(&mut starts_block, line.ends_block) || line.label.is_some();
            let text = match line.label {
                Some(label) => format!("{label}: {}", line.text),
                None => line.text,
            };
            CodeLine { text, at: line.offset, bytes: line.bytes, starts_block: starts, ..CodeLine::default() }
        };
        lines.into_iter().map(line).collect()
    };
    listing.into_iter().map(section).collect()
}
