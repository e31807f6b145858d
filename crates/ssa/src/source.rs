//! Source locations of instructions.
//!
//! Without debug information there must be no cost, and code must not depend on it. So instructions have no location
//! field. A function has a side table by instruction, which may be shorter than the list of instructions and is empty
//! without debug information.
//!
//! An instruction's location is an id; file, line and column of each id are in [`Sources`], once per program. Equal
//! positions have equal ids, so comparing ids compares locations.
//!
//! A position in an inlined function names the call that was replaced. The location of that call may in turn be in an
//! inlined function; so positions and calls form a tree.
//!
//! For maps of machine code the ids are byte offsets in the wasm module instead ([`Sources::are_offsets`]). Then a
//! function also has the calls that its inlined instructions came from: ids from [`FIRST_INLINED`] on are indices into
//! that list.

use std::collections::HashMap;

use crate::entity::{EntityId, IdVec};
use crate::entity_id;
use crate::ids::{FrameSlot, Inst};

entity_id! {
    /// A position in a source file.
    SourceLoc = "loc";
    /// A source file.
    SourceFile = "file";
    /// A compilation unit: a source file with its includes.
    SourceUnit = "unit";
    /// A function of the source.
    Subprogram = "subprogram";
    /// A call that was replaced by the body of its callee.
    InlinedCall = "inlined";
    /// A type of the source.
    SourceType = "type";
}

/// Where locations are byte offsets in a module, the first id of a location in inlined code. Modules are smaller.
pub const FIRST_INLINED: u32 = 1 << 31;

/// The location of an inlined instruction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Inlined {
    /// The location in its own function.
    pub loc: SourceLoc,
    /// The location of the call that was inlined.
    pub at: SourceLoc,
}

/// A position in a source file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position {
    /// The file.
    pub file: SourceFile,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1; 0 if only the line is known.
    pub column: u32,
    /// The call that was replaced by this code, if it was inlined.
    pub inlined: Option<InlinedCall>,
}

/// A call that was replaced by the body of its callee.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InlinedCallData {
    /// The callee.
    pub callee: Callee,
    /// The location of the call.
    pub at: SourceLoc,
}

/// A function of the source that was inlined.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Callee {
    /// Its name in the source, if known.
    pub name: Option<String>,
    /// Its linkage name, if it differs from `name`.
    pub linkage_name: Option<String>,
    /// Where it is declared.
    pub declaration: Option<SourceLoc>,
}

/// A source file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileName {
    /// The directory as the producer wrote it; may be relative to the directory of the compilation unit.
    pub directory: String,
    /// The file's name in this directory.
    pub name: String,
}

/// A compilation unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnitData {
    /// Its main file.
    pub name: String,
    /// The working directory of the compiler.
    pub directory: String,
    /// Name and version of the compiler.
    pub producer: String,
    /// The language, as a `DW_LANG` number of DWARF.
    pub language: u16,
}

/// A function of the source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubprogramData {
    /// The compilation unit it belongs to.
    pub unit: SourceUnit,
    /// Its name in the source, if known.
    pub name: Option<String>,
    /// Its linkage name, if it differs from `name`.
    pub linkage_name: Option<String>,
    /// Where it is declared.
    pub declaration: Option<SourceLoc>,
    /// Where its code begins.
    pub start: Option<SourceLoc>,
    /// The type of its result.
    pub result: Option<SourceType>,
    /// Its variables in memory, in order.
    pub variables: Vec<Variable>,
    /// Bytes of the part of the C stack that the variables are in; `None` if it is unknown where that is.
    pub frame_bytes: Option<u32>,
}

/// A variable in a function's part of the C stack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable {
    /// Whether it is a parameter.
    pub is_parameter: bool,
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Option<SourceType>,
    /// Its distance from the lowest address of the function's part.
    pub offset: i64,
    /// Where it is declared.
    pub declaration: Option<SourceLoc>,
}

/// A type, or a part of one, as DWARF describes it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TypeEntry {
    /// The number of its kind in DWARF (`DW_TAG`).
    pub tag: u16,
    /// Its attributes by their number (`DW_AT`), in order.
    pub attributes: Vec<(u16, TypeAttribute)>,
    /// Its parts, such as the members of a structure.
    pub children: Vec<Self>,
}

/// The value of an attribute of a type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TypeAttribute {
    /// A name.
    Text(String),
    /// A number.
    Unsigned(u64),
    /// A number with a sign.
    Signed(i64),
    /// Another type.
    Type(SourceType),
}

/// The tables that the ids in source locations index, for a whole program.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sources {
    /// Compilation units.
    pub units: IdVec<SourceUnit, UnitData>,
    /// Files, each once.
    pub files: IdVec<SourceFile, FileName>,
    /// Positions, each once.
    pub positions: IdVec<SourceLoc, Position>,
    /// Functions.
    pub subprograms: IdVec<Subprogram, SubprogramData>,
    /// Locations are byte offsets in the wasm module, and none of them is in `positions`.
    pub are_offsets: bool,
    /// Inlined calls, each once.
    pub calls: IdVec<InlinedCall, InlinedCallData>,
    /// Types; those of a unit are only used in it.
    pub types: IdVec<SourceType, TypeEntry>,
    /// The ids of positions.
    position_ids: HashMap<Position, SourceLoc>,
    /// The ids of inlined calls.
    call_ids: HashMap<InlinedCallData, InlinedCall>,
}

impl Sources {
    /// Tables for locations that are byte offsets.
    pub fn of_offsets() -> Self {
        Self { are_offsets: true, ..Self::default() }
    }

    /// The id of a position.
    pub fn loc(&mut self, position: Position) -> SourceLoc {
        *self.position_ids.entry(position).or_insert_with(|| self.positions.push(position))
    }

    /// The id of an inlined call.
    pub fn inlined(&mut self, call: InlinedCallData) -> InlinedCall {
        *self.call_ids.entry(call).or_insert_with_key(|call| self.calls.push(call.clone()))
    }

    /// A location after its function was inlined in place of a call.
    pub fn inlined_into(&mut self, loc: SourceLoc, call: InlinedCall) -> SourceLoc {
        let position = self.positions[loc];
        let inlined = match position.inlined {
            None => call,
            Some(inner) => {
                let InlinedCallData { callee, at } = self.calls[inner].clone();
                let at = self.inlined_into(at, call);
                self.inlined(InlinedCallData { callee, at })
            }
        };
        self.loc(Position { inlined: Some(inlined), ..position })
    }

    /// The calls that were replaced by the code at a location, innermost first.
    pub fn calls_around(&self, loc: SourceLoc) -> impl Iterator<Item = InlinedCall> {
        std::iter::successors(self.positions[loc].inlined, |&call| {
            self.positions[self.calls[call].at].inlined
        })
    }
}

/// The source locations of one function's instructions.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SourceLocs {
    /// By instruction; an instruction past the end of the list has no location.
    locs: Vec<Option<SourceLoc>>,
    /// The source function it was compiled from.
    pub subprogram: Option<Subprogram>,
    /// The stack object that is the function's part of the C stack.
    pub frame: Option<FrameSlot>,
    /// The location that new instructions get.
    pub current: Option<SourceLoc>,
    /// Locations in inlined code, if locations are byte offsets.
    pub inlined: Vec<Inlined>,
}

impl SourceLocs {
    /// The location of an instruction.
    pub fn get(&self, inst: Inst) -> Option<SourceLoc> {
        self.locs.get(inst.index()).copied().flatten()
    }

    /// Replaces every location.
    pub fn map(&mut self, mut replace: impl FnMut(SourceLoc) -> SourceLoc) {
        self.locs.iter_mut().flatten().for_each(|loc| *loc = replace(*loc));
    }

    /// Sets the location of an instruction.
    pub fn set(&mut self, inst: Inst, loc: Option<SourceLoc>) {
        if loc.is_some() && inst.index() >= self.locs.len() {
            self.locs.resize(inst.index() + 1, None);
        }
        if let Some(known) = self.locs.get_mut(inst.index()) {
            *known = loc;
        }
    }

    /// The location of an instruction at `loc` of a function that was inlined at `at`.
    pub fn inline(&mut self, loc: SourceLoc, at: SourceLoc) -> SourceLoc {
        let inlined = Inlined { loc, at };
        // Neighbours have the same location.
        let known = self.inlined.iter().rev().take(16).position(|known| *known == inlined);
        let index = known.map_or(self.inlined.len(), |back| self.inlined.len() - 1 - back);
        if index == self.inlined.len() {
            self.inlined.push(inlined);
        }
        SourceLoc::new(FIRST_INLINED as usize + index)
    }

    /// The parts of a location in inlined code; `None` if it is in the function itself.
    pub fn inlined_at(&self, loc: SourceLoc) -> Option<Inlined> {
        loc.index().checked_sub(FIRST_INLINED as usize).map(|index| self.inlined[index])
    }

    /// Gives new instructions the location of `inst`.
    pub fn follow(&mut self, inst: Inst) {
        self.current = self.get(inst);
    }

    /// Gives new instructions no location.
    pub fn follow_none(&mut self) {
        self.current = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BinaryOp, BlockCall, Function, InstData, SigId, Type, canonicalize};

    #[test]
    fn locations_stay_with_instructions() {
        let mut func = Function::new("f", SigId::new(0));
        let (entry, rest) = (func.add_block(), func.add_block());
        let param = func.add_param(entry, Type::I32);
        let [loc, other] = [3, 7].map(SourceLoc::new);
        let sum = |args| InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args };
        func.source.current = Some(loc);
        func.append_value(entry, sum([param; 2]), Type::I32);
        let kept = func.append_value(entry, sum([param; 2]), Type::I32);
        func.source.follow_none();
        func.append(entry, InstData::Jump { to: BlockCall { block: rest, args: Vec::new() } }, &[]);
        let last = func.append(rest, InstData::Return { args: vec![kept] }, &[]);
        func.source.set(last, Some(other));
        canonicalize(&mut func);
        let insts = &func.blocks[func.entry()].insts;
        let locs: Vec<Option<SourceLoc>> = insts.iter().map(|&inst| func.source.get(inst)).collect();
        assert_eq!(locs, [Some(loc), Some(other)]);
    }
}
