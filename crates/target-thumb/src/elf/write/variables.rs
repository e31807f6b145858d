//! Entries for variables in the C stack and their types.

use std::collections::BTreeMap;

use codegen::FrameBase;
use gimli::write::{AttributeValue, Expression, Unit, UnitEntryId};
use gimli::{DwAt, DwTag, Register, constants as dw};
use ssa::{SourceType, Sources, TypeAttribute, TypeEntry, Variable};

/// The number of the stack pointer in DWARF.
const SP: Register = Register(13);

/// The entries of a unit's types so far.
#[derive(Default)]
pub struct Types(BTreeMap<SourceType, UnitEntryId>);

impl Types {
    /// The entry of a type, with those of all types that it refers to.
    pub fn entry(&mut self, sources: &Sources, unit: &mut Unit, ty: SourceType) -> UnitEntryId {
        let mut open = Vec::new();
        let entry = self.declare(sources, unit, ty, &mut open);
        while let Some(ty) = open.pop() {
            let id = self.0[&ty];
            self.fill(sources, unit, &sources.types[ty], id, &mut open);
        }
        entry
    }

    fn declare(
        &mut self,
        sources: &Sources,
        unit: &mut Unit,
        ty: SourceType,
        open: &mut Vec<SourceType>,
    ) -> UnitEntryId {
        *self.0.entry(ty).or_insert_with(|| {
            open.push(ty);
            unit.add(unit.root(), DwTag(sources.types[ty].tag))
        })
    }

    fn fill(
        &mut self,
        sources: &Sources,
        unit: &mut Unit,
        data: &TypeEntry,
        id: UnitEntryId,
        open: &mut Vec<SourceType>,
    ) {
        for (name, value) in &data.attributes {
            let value = match value {
                TypeAttribute::Text(text) => AttributeValue::String(text.as_str().into()),
                TypeAttribute::Unsigned(number) if *name == dw::DW_AT_encoding.0 => {
                    AttributeValue::Encoding(gimli::DwAte(*number as u8))
                }
                TypeAttribute::Unsigned(number) => AttributeValue::Udata(*number),
                TypeAttribute::Signed(number) => AttributeValue::Sdata(*number),
                TypeAttribute::Type(ty) => AttributeValue::UnitRef(self.declare(sources, unit, *ty, open)),
            };
            unit.get_mut(id).set(DwAt(*name), value);
        }
        for child in &data.children {
            let part = unit.add(id, DwTag(child.tag));
            self.fill(sources, unit, child, part, open);
        }
    }
}

/// The address of the variables of a function.
pub fn base(at: FrameBase) -> AttributeValue {
    let mut expression = Expression::new();
    match at {
        FrameBase::Entry(_) => expression.op(dw::DW_OP_call_frame_cfa),
        FrameBase::Stack(offset) => expression.op_breg(SP, offset.into()),
    }
    AttributeValue::Exprloc(expression)
}

/// The location of a variable, relative to [`base`].
pub fn location(at: FrameBase, variable: &Variable) -> AttributeValue {
    let base = match at {
        FrameBase::Entry(offset) => i64::from(offset),
        FrameBase::Stack(_) => 0,
    };
    let mut expression = Expression::new();
    expression.op_fbreg(base + variable.offset);
    AttributeValue::Exprloc(expression)
}
