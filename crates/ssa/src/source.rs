//! Where code comes from in the source of a program.
//!
//! Debug information must cost nothing where there is none, and nothing may depend on it. So an instruction has no
//! field for it: a function has a side table by instruction that may be shorter than the list of instructions, and is
//! empty without debug information. What a location is stands once per program, in [`Sources`]. Equal places have equal
//! ids, so two instructions come from the same place exactly if their locations are equal.

use crate::entity::{EntityId, IdVec};
use crate::entity_id;
use crate::function::Inst;

entity_id! {
    /// A place in a source file.
    SourceLoc = "loc";
    /// A source file.
    SourceFile = "file";
    /// What was compiled at once from one file and what it includes.
    SourceUnit = "unit";
    /// A function of the source.
    Subprogram = "subprogram";
}

/// A place in a source file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position {
    /// The file.
    pub file: SourceFile,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1; 0 if only the line is known.
    pub column: u32,
}

/// A source file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileName {
    /// The directory as the producer wrote it; may be relative to that of the unit.
    pub directory: String,
    /// The name in it.
    pub name: String,
}

/// A unit of compilation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnitData {
    /// Its main file.
    pub name: String,
    /// Where it was compiled.
    pub directory: String,
    /// The compiler.
    pub producer: String,
    /// DWARF's number of the language.
    pub language: u16,
}

/// A function of the source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubprogramData {
    /// The unit it was compiled in.
    pub unit: SourceUnit,
    /// Its name in the source, if that is known.
    pub name: Option<String>,
    /// Its name for linkers, if that is another one.
    pub linkage_name: Option<String>,
    /// Where it is declared.
    pub declaration: Option<SourceLoc>,
    /// Where its code begins.
    pub start: Option<SourceLoc>,
}

/// What locations of a program stand for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sources {
    /// Units.
    pub units: IdVec<SourceUnit, UnitData>,
    /// Files, each once.
    pub files: IdVec<SourceFile, FileName>,
    /// Places, each once.
    pub positions: IdVec<SourceLoc, Position>,
    /// Functions.
    pub subprograms: IdVec<Subprogram, SubprogramData>,
}

/// Where the instructions of one function come from.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SourceLocs {
    /// By instruction; what is missing has no location.
    locs: Vec<Option<SourceLoc>>,
    /// The function of the source.
    pub subprogram: Option<Subprogram>,
    /// What new instructions get.
    pub current: Option<SourceLoc>,
}

impl SourceLocs {
    /// The location of an instruction.
    pub fn get(&self, inst: Inst) -> Option<SourceLoc> {
        self.locs.get(inst.index()).copied().flatten()
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

    /// Lets new instructions come from where `inst` does.
    pub fn follow(&mut self, inst: Inst) {
        self.current = self.get(inst);
    }

    /// Lets new instructions come from nowhere.
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
