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

use codegen::{CodeLocations, Fragment, Place, Placement};
use pvm_isa::{GpVersion, ProgramBlob, asm, validate};
use ssa::{FuncId, IdVec, Module};

use crate::adapt::entries::Entry;
use crate::emit::{Fixup, Need};
use crate::memory::MemoryPlan;

/// Bytes of an entry's jump. Its offset has four bytes, so its length doesn't depend on the code.
const JUMP_BYTES: u32 = 5;
/// Bytes of a trap.
const TRAP_BYTES: u32 = 1;

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

/// Links compiled functions.
pub fn link(
    module: &Module,
    fragments: IdVec<FuncId, Option<Fragment<Fixup>>>,
    entries: &mut [Entry],
    plan: &MemoryPlan,
    gp: GpVersion,
) -> Linked {
    let order: Vec<FuncId> = fragments.ids().filter(|&id| fragments[id].is_some()).collect();
    let mut by_id = fragments;
    let mut fragments: Vec<Fragment<Fixup>> = order.iter().filter_map(|&id| by_id[id].take()).collect();
    let mut positions = IdVec::<FuncId, usize>::filled(usize::MAX, module.decls.len());
    (0..).zip(&order).for_each(|(position, &id)| positions[id] = position);

    let table = JumpTable::assign(module, plan, &mut fragments);
    let has_jumps = plan.layout().entry_spacing > 0;
    let header_len = if has_jumps || order.is_empty() { header_len(entries) } else { 0 };
    let placement = Placement { start: i64::from(header_len), align: 1 };
    let index_of = |id: FuncId| positions[id];
    let code = codegen::relax(&fragments, placement, &index_of);

    let mut blob = ProgramBlob::default();
    for entry in entries.iter_mut() {
        let target = entry.target.map(|id| code.base(positions[id]));
        match target {
            Some(target) if !has_jumps => {
                entry.pc = u32::try_from(target).expect("code is smaller than 4 GiB")
            }
            _ => push_entry(&mut blob, gp, entry.pc, target),
        }
    }
    if blob.code.is_empty() && header_len > 0 {
        blob.push(gp, &asm::trap());
    }
    assert_eq!(blob.code.len(), header_len as usize, "the header has the promised size");
    let (bytes, starts) = code.flatten(&fragments, &index_of);
    blob.code.extend_from_slice(&bytes);
    blob.mask.grow(blob.code.len());
    let marked = (0..).zip(starts).filter(|&(_, starts)| starts).map(|(at, _): (usize, bool)| at);
    marked.for_each(|at| blob.mask.set(header_len as usize + at));
    blob.jump_table = table.places.iter().map(|slot| slot.address(&code, &fragments, &positions)).collect();
    if let Err(defect) = validate::check_well_formed(gp, &blob) {
        panic!(
            "the linked program is not well-formed: {defect}{}",
            context(&order, module, &code, defect.offset)
        );
    }
    let functions = order.iter().map(|&id| (code.base(positions[id]) as u32, id)).collect();
    let locations = module.sources.as_ref().filter(|sources| sources.are_offsets);
    let locations = locations.map(|_| locate(module, &order, &code, &fragments));
    Linked { blob, functions, references: table.references, locations }
}

/// Where all code comes from.
fn locate(
    module: &Module,
    order: &[FuncId],
    code: &codegen::Code,
    fragments: &[Fragment<Fixup>],
) -> CodeLocations {
    let mut locations = CodeLocations::default();
    for (n, (&id, fragment)) in order.iter().zip(fragments).enumerate() {
        let address = |place| u32::try_from(code.address(n, place)).expect("code is smaller than 4 GiB");
        locations.begin(address(Place { byte: 0, fixups: 0 }));
        let source = module.functions[id].as_ref().map(|func| &func.source);
        for &(place, loc) in source.iter().flat_map(|_| &fragment.locs) {
            locations.add(address(place), source.expect("a fragment has a function"), loc);
        }
    }
    locations
}

/// The function at an offset of the code, for a bug report.
fn context(order: &[FuncId], module: &Module, code: &codegen::Code, offset: u32) -> String {
    let at = (0..order.len()).rfind(|&n| code.base(n) <= i64::from(offset));
    at.map_or_else(String::new, |n| {
        format!(" (in {}, which starts at {})", module.decls[order[n]].name, code.base(n))
    })
}

/// The destination of a jump-table entry.
enum Slot {
    /// A place in a fragment.
    Place(usize, Place),
    /// The entry of a function.
    Func(FuncId),
}

impl Slot {
    fn address(
        &self,
        code: &codegen::Code,
        fragments: &[Fragment<Fixup>],
        positions: &IdVec<FuncId, usize>,
    ) -> u32 {
        let address = match self {
            Self::Place(fragment, place) => code.address(*fragment, *place),
            Self::Func(id) => code.base(positions[*id]),
        };
        debug_assert!(address <= code.address(fragments.len() - 1, end(fragments)), "inside of the code");
        u32::try_from(address).expect("code is smaller than 4 GiB")
    }
}

/// The end of the last fragment.
fn end(fragments: &[Fragment<Fixup>]) -> Place {
    let last = fragments.last().expect("a jump-table entry is in a fragment");
    Place { byte: last.bytes.len() as u32, fixups: last.fixups.len() as u32 }
}

struct JumpTable {
    places: Vec<Slot>,
    references: IdVec<FuncId, u64>,
}

impl JumpTable {
    /// Assigns the jump-table addresses and supplies them to the fixups.
    fn assign(module: &Module, plan: &MemoryPlan, fragments: &mut [Fragment<Fixup>]) -> Self {
        let references = IdVec::filled(0, module.decls.len());
        let mut table = Self { places: Vec::new(), references };
        for (index, fragment) in fragments.iter_mut().enumerate() {
            for (n, site) in (1..).zip(&mut fragment.fixups) {
                if site.fixup.need() == Need::ReturnPlace {
                    let after = Place { byte: site.at, fixups: n };
                    site.fixup.set_value(table.push(Slot::Place(index, after)));
                }
            }
        }
        for (index, fragment) in fragments.iter_mut().enumerate() {
            let mut bases = Vec::with_capacity(fragment.tables.len());
            for labels in &fragment.tables {
                bases.push(table.next_address());
                for &label in labels {
                    table.push(Slot::Place(index, fragment.labels[label]));
                }
            }
            for site in &mut fragment.fixups {
                match site.fixup.need() {
                    Need::Table(k) => site.fixup.set_value(bases[k as usize]),
                    Need::FuncRef(func) => site.fixup.set_value(table.reference(module, func)),
                    Need::Nothing | Need::ReturnPlace => {}
                }
            }
        }
        let placed = module.data.iter().filter(|(id, _)| plan.try_address(*id).is_some());
        for reloc in placed.flat_map(|(_, object)| &object.relocs) {
            table.reference(module, reloc.func);
        }
        table
    }

    fn next_address(&self) -> u64 {
        2 * (self.places.len() as u64 + 1)
    }

    fn push(&mut self, slot: Slot) -> u64 {
        let address = self.next_address();
        self.places.push(slot);
        address
    }

    /// The value of a reference to a function.
    fn reference(&mut self, module: &Module, func: FuncId) -> u64 {
        if self.references[func] == 0 {
            let address = self.push(Slot::Func(func));
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
fn push_entry(blob: &mut ProgramBlob, gp: GpVersion, pc: u32, target: Option<i64>) {
    while blob.code.len() < pc as usize {
        blob.push(gp, &asm::trap());
    }
    match target {
        None => {
            blob.push(gp, &asm::trap());
        }
        Some(target) => {
            let offset = i32::try_from(target - i64::from(pc)).expect("code is smaller than 2 GiB");
            blob.push_with_offset_bytes(gp, &asm::jump(offset), JUMP_BYTES as u8 - 1);
        }
    }
}
