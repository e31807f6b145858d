//! Linking: from compiled functions to a program.
//!
//! The code is the entry jumps, if the container needs them, followed by all functions. A fixup of a function refers to other code, which relaxation
//! settles, or to the jump table. The entry with index `i` of the jump table has the address `2 (i + 1)`. These
//! addresses are immediates whose length depends on their value, so they must be known before relaxation. They are
//! assigned in this order, so that the smaller addresses go to the immediates that can be shorter:
//!
//! 1. return places of calls, in code order: each occurs once, in its call;
//! 2. dispatch tables: each occurs once, however many entries it has;
//! 3. entries of functions whose address is taken: they occur in data and in ten-byte constants, whose size is fixed.
//!
//! Every function's code ends in a transfer of control, and so does the whole code.
//! [`pvm_isa::validate::check_well_formed`] checks the finished program; a program it refuses is a bug of the compiler.

use codegen::{Blocks, CodeLocations, Fragment, Label, Place, Placement};
use pvm_isa::{CodeFormat, GpVersion, Opcode, ProgramBlob, asm, blocks, validate};
use ssa::{FuncId, IdVec, Module};

use crate::adapt::entries::{Entry, JUMP_BYTES};
use crate::emit::{Fixup, Need};
use crate::join::{Joined, Part, entry_label};
use crate::memory::MemoryPlan;

/// Bytes of a trap.
const TRAP_BYTES: u32 = 1;

/// The blocks of the next format.
const BLOCKS: Blocks = Blocks {
    bytes: blocks::BLOCK_BYTES as u32,
    may_end: |bytes| Opcode::of_bytes(GpVersion::Next, bytes).is_some_and(Opcode::is_terminator),
    pad: blocks::pad,
};

/// Linked code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Linked {
    /// The program.
    pub blob: ProgramBlob,
    /// Code offset of each function, in ascending order.
    pub functions: Vec<(u32, FuncId)>,
    /// The value of each function reference that occurs in the code or in data; 0 elsewhere.
    pub references: IdVec<FuncId, u64>,
    /// Where the code comes from, if the module has locations that are byte offsets.
    pub locations: Option<CodeLocations>,
}

/// Links the code of all functions.
pub fn link(
    module: &Module,
    joined: Joined,
    entries: &mut [Entry],
    plan: &MemoryPlan,
    gp: GpVersion,
) -> Linked {
    let Joined { mut code, parts, positions } = joined;
    let table = JumpTable::assign(module, plan, &mut code, &parts, &positions);
    let has_jumps = plan.layout().entry_spacing > 0;
    let header_len = if has_jumps || parts.is_empty() { header_len(entries) } else { 0 };
    let blocks = (gp.code_format() == CodeFormat::Blocks).then_some(BLOCKS);
    let placement = Placement { start: i64::from(header_len), align: 1, blocks };
    let fragments = [code];
    let placed = codegen::relax(&fragments, placement, &no_function);
    let [code] = &fragments;
    let address = |place| u32::try_from(placed.address(0, place)).expect("code is smaller than 4 GiB");

    let mut blob = ProgramBlob::new(gp);
    for entry in entries.iter_mut() {
        let target = entry.target.map(|id| address(code.labels[entry_of(&positions, id)]));
        match target {
            Some(target) if !has_jumps => entry.pc = target,
            _ => push_entry(&mut blob, gp, entry.pc, target),
        }
    }
    if blob.code.is_empty() && header_len > 0 {
        blob.push(gp, &asm::trap());
    }
    assert_eq!(blob.code.len(), header_len as usize, "the header has the promised size");
    let (bytes, starts) = placed.flatten(&fragments, placement, &no_function);
    append(&mut blob, &bytes, &starts);
    blob.jump_table = table.places.iter().map(|&place| address(place)).collect();
    // A function without code, as all of it is shared, starts where the next one does.
    let mut functions: Vec<(u32, FuncId)> =
        parts.iter().rev().map(|part| (address(part.start), part.func)).collect();
    functions.dedup_by_key(|(pc, _)| *pc);
    functions.reverse();
    if let Err(defect) = validate::check_well_formed(gp, &blob) {
        panic!(
            "the linked program is not well-formed: {defect}{}",
            context(&functions, module, defect.offset)
        );
    }
    let locations = module.sources.as_ref().filter(|sources| sources.are_offsets);
    let locations = locations.map(|_| locate(module, &parts, &address));
    Linked { blob, functions, references: table.references, locations }
}

/// Appends code to the header. `starts` tells where instructions start, but for padding.
fn append(blob: &mut ProgramBlob, bytes: &[u8], starts: &[bool]) {
    let header_len = blob.code.len();
    blob.code.extend_from_slice(bytes);
    if blob.format == CodeFormat::Blocks {
        blob.mask = blocks::starts(&blob.code);
        return;
    }
    blob.mask.grow(blob.code.len());
    let marked = (0..).zip(starts).filter(|&(_, starts)| *starts).map(|(at, _): (usize, _)| at);
    marked.for_each(|at| blob.mask.set(header_len + at));
}

/// Joined code refers to its functions by labels.
fn no_function(func: FuncId) -> usize {
    panic!("{func} is outside of the program")
}

/// The label of a function's entry.
fn entry_of(positions: &IdVec<FuncId, Option<usize>>, func: FuncId) -> Label {
    entry_label(positions[func].expect("a function that is referred to has code"))
}

/// Where all code comes from.
fn locate(module: &Module, parts: &[Part], address: &dyn Fn(Place) -> u32) -> CodeLocations {
    let mut locations = CodeLocations::default();
    for part in parts {
        locations.begin(address(part.start));
        let source = module.functions[part.func].as_ref().map(|func| &func.source);
        for &(place, loc) in source.iter().flat_map(|_| &part.locs) {
            locations.add(address(place), source.expect("code has a function"), loc);
        }
    }
    locations
}

/// The function at an offset of the code, for a bug report.
fn context(functions: &[(u32, FuncId)], module: &Module, offset: u32) -> String {
    let at = functions.iter().rfind(|&&(pc, _)| pc <= offset);
    at.map_or_else(String::new, |&(pc, func)| {
        format!(" (in {}, which starts at {pc})", module.decls[func].name)
    })
}

struct JumpTable {
    places: Vec<Place>,
    references: IdVec<FuncId, u64>,
}

impl JumpTable {
    /// Assigns the jump-table addresses and supplies them to the fixups.
    fn assign(
        module: &Module,
        plan: &MemoryPlan,
        code: &mut Fragment<Fixup>,
        parts: &[Part],
        positions: &IdVec<FuncId, Option<usize>>,
    ) -> Self {
        let references = IdVec::filled(0, module.decls.len());
        let mut table = Self { places: Vec::new(), references };
        for (n, site) in (1..).zip(&mut code.fixups) {
            if site.fixup.need() == Need::ReturnPlace {
                site.fixup.set_value(table.push(Place { byte: site.at, fixups: n }));
            }
        }
        let entry = |func| code.labels[entry_of(positions, func)];
        for part in parts {
            let mut bases = Vec::with_capacity(part.tables.len());
            for labels in &code.tables[part.tables.clone()] {
                bases.push(table.next_address());
                labels.iter().for_each(|&label| {
                    table.push(code.labels[label]);
                });
            }
            for site in &mut code.fixups[part.fixups.clone()] {
                match site.fixup.need() {
                    Need::Table(k) => site.fixup.set_value(bases[k as usize]),
                    Need::FuncRef(func) => site.fixup.set_value(table.reference(module, func, &entry)),
                    Need::Nothing | Need::ReturnPlace => {}
                }
            }
        }
        let placed = module.data.iter().filter(|(id, _)| plan.try_address(*id).is_some());
        for reloc in placed.flat_map(|(_, object)| &object.relocs) {
            table.reference(module, reloc.func, &entry);
        }
        table
    }

    fn next_address(&self) -> u64 {
        2 * (self.places.len() as u64 + 1)
    }

    fn push(&mut self, place: Place) -> u64 {
        let address = self.next_address();
        self.places.push(place);
        address
    }

    /// The value of a reference to a function, whose entry is at `entry`.
    fn reference(&mut self, module: &Module, func: FuncId, entry: &dyn Fn(FuncId) -> Place) -> u64 {
        if self.references[func] == 0 {
            let address = self.push(entry(func));
            let sig = ssa::EntityId::index(module.decls[func].sig) as u64;
            self.references[func] = (sig + 1) << 32 | address;
        }
        self.references[func]
    }
}

/// Bytes of the entries; without any, there is a trap.
fn header_len(entries: &[Entry]) -> u32 {
    let end = |entry: &Entry| entry.pc + if entry.target.is_some() { JUMP_BYTES } else { TRAP_BYTES };
    entries.last().map_or(TRAP_BYTES, end)
}

/// Appends the entry at `pc`: a jump, or a trap. Traps fill the room up to `pc`.
fn push_entry(blob: &mut ProgramBlob, gp: GpVersion, pc: u32, target: Option<u32>) {
    while blob.code.len() < pc as usize {
        blob.push(gp, &asm::trap());
    }
    match target {
        None => {
            blob.push(gp, &asm::trap());
        }
        Some(target) => {
            let offset =
                i32::try_from(i64::from(target) - i64::from(pc)).expect("code is smaller than 2 GiB");
            blob.push_with_offset_bytes(gp, &asm::jump(offset), JUMP_BYTES as u8 - 1);
        }
    }
}
