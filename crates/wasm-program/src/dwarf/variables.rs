//! Variables in the C stack, and the types of variables.
//!
//! Compilers keep variables whose address is taken, and without optimisation all variables, in the function's part of the C
//! stack, and describe them by distances from a wasm local that has its address. If that local is set once, to the stack
//! pointer minus a constant, the part is known: so many bytes below the stack pointer. Variables in wasm locals are left
//! out.
//!
//! Types are copied entry by entry: the kinds and attributes that languages like C need. Entries refer to types by their
//! place in the unit; each gets an id when it is first referred to, and is read later, so recursive types end.

use std::collections::{BTreeMap, HashMap};

use gimli::{
    AttributeValue, DwAt, DwTag, EntriesTreeNode, LineProgramHeader, Operation, UnitOffset, constants as dw,
};
use ssa::{SourceType, TypeAttribute, TypeEntry, Variable};
use wasmparser::Operator;

use super::Bytes;
use super::lines::Reader;
use super::names::{self, Entry};
use crate::module_info::ModuleInfo;

/// The kinds of entries that types consist of.
const TAGS: [DwTag; 19] = [
    dw::DW_TAG_base_type,
    dw::DW_TAG_unspecified_type,
    dw::DW_TAG_pointer_type,
    dw::DW_TAG_reference_type,
    dw::DW_TAG_rvalue_reference_type,
    dw::DW_TAG_typedef,
    dw::DW_TAG_const_type,
    dw::DW_TAG_volatile_type,
    dw::DW_TAG_restrict_type,
    dw::DW_TAG_atomic_type,
    dw::DW_TAG_structure_type,
    dw::DW_TAG_class_type,
    dw::DW_TAG_union_type,
    dw::DW_TAG_array_type,
    dw::DW_TAG_enumeration_type,
    dw::DW_TAG_member,
    dw::DW_TAG_inheritance,
    dw::DW_TAG_subrange_type,
    dw::DW_TAG_enumerator,
];

/// The attributes of types that are copied, besides the type that they refer to.
const ATTRIBUTES: [DwAt; 11] = [
    dw::DW_AT_name,
    dw::DW_AT_encoding,
    dw::DW_AT_byte_size,
    dw::DW_AT_bit_size,
    dw::DW_AT_data_bit_offset,
    dw::DW_AT_data_member_location,
    dw::DW_AT_count,
    dw::DW_AT_upper_bound,
    dw::DW_AT_lower_bound,
    dw::DW_AT_const_value,
    dw::DW_AT_alignment,
];

/// The variables of a function.
#[derive(Default)]
pub struct Found {
    /// The wasm local with the address of the function's part of the C stack.
    pub local: Option<u32>,
    /// The type of its result.
    pub result: Option<SourceType>,
    /// In order.
    pub variables: Vec<Variable>,
}

/// The variables of functions by the address of their code.
#[derive(Default)]
pub struct Variables {
    found: BTreeMap<u64, Found>,
    /// The function that the next entries belong to, and the depth of its entry.
    function: Option<(u64, isize)>,
    /// The depth of an inlined call whose entries are left out.
    inlined: Option<isize>,
    /// The ids of the unit's types.
    types: HashMap<UnitOffset, SourceType>,
    /// Types that have to be read.
    open: Vec<(UnitOffset, SourceType)>,
}

impl Variables {
    /// The variables of the function whose code begins at an address.
    pub fn take(&mut self, address: u64) -> Found {
        self.found.remove(&address).unwrap_or_default()
    }

    /// Visits the next entry of a unit. `function` is the address of the function, if it is one.
    pub fn entry<'a>(
        &mut self,
        reader: &mut Reader<'_, 'a>,
        header: &LineProgramHeader<Bytes<'a>>,
        entry: &Entry<'a>,
        function: Option<u64>,
    ) -> gimli::Result<()> {
        let depth = entry.depth();
        self.function.take_if(|(_, of)| depth <= *of);
        self.inlined.take_if(|of| depth <= *of);
        if let Some(address) = function {
            self.function = Some((address, depth));
            let (local, result) = (frame_local(reader, entry)?, self.ty(reader, entry));
            self.found.entry(address).or_insert(Found { local, result, variables: Vec::new() });
        } else if matches!(entry.tag(), dw::DW_TAG_inlined_subroutine | dw::DW_TAG_subprogram) {
            self.inlined = self.inlined.or(Some(depth));
        } else if let (Some((address, _)), None) = (self.function, self.inlined)
            && matches!(entry.tag(), dw::DW_TAG_formal_parameter | dw::DW_TAG_variable)
            && let Some(offset) = frame_offset(reader, entry)?
        {
            let callee = names::callee(reader, header, entry)?;
            let variable = Variable {
                is_parameter: entry.tag() == dw::DW_TAG_formal_parameter,
                name: callee.name.unwrap_or_default(),
                ty: self.ty(reader, entry),
                offset,
                declaration: callee.declaration,
            };
            self.found.entry(address).or_default().variables.push(variable);
        }
        Ok(())
    }

    /// Reads the types that the entries of a unit refer to.
    pub fn end_unit(&mut self, reader: &mut Reader<'_, '_>) -> gimli::Result<()> {
        while let Some((offset, id)) = self.open.pop() {
            let unit = reader.unit;
            let mut tree = unit.entries_tree(Some(offset))?;
            let entry = self.copy(reader, tree.root()?, 0)?;
            reader.sources.types[id] = entry.unwrap_or_else(|| TypeEntry {
                tag: dw::DW_TAG_unspecified_type.0,
                attributes: vec![(dw::DW_AT_name.0, TypeAttribute::Text("unknown".to_owned()))],
                children: Vec::new(),
            });
        }
        self.types.clear();
        Ok(())
    }

    /// The type that an entry refers to.
    fn ty<'a>(&mut self, reader: &mut Reader<'_, 'a>, entry: &Entry<'a>) -> Option<SourceType> {
        let AttributeValue::UnitRef(offset) = entry.attr_value(dw::DW_AT_type)? else { return None };
        Some(*self.types.entry(offset).or_insert_with(|| {
            let id = reader.sources.types.push(TypeEntry::default());
            self.open.push((offset, id));
            id
        }))
    }

    /// A copy of an entry; `None` if it is of no known kind.
    fn copy<'a>(
        &mut self,
        reader: &mut Reader<'_, 'a>,
        node: EntriesTreeNode<'_, '_, Bytes<'a>>,
        depth: usize,
    ) -> gimli::Result<Option<TypeEntry>> {
        let entry = node.entry();
        let is_part = matches!(
            entry.tag(),
            dw::DW_TAG_member | dw::DW_TAG_inheritance | dw::DW_TAG_subrange_type | dw::DW_TAG_enumerator
        );
        if !TAGS.contains(&entry.tag()) || is_part != (depth > 0) {
            return Ok(None);
        }
        let mut copy = TypeEntry { tag: entry.tag().0, ..TypeEntry::default() };
        for name in ATTRIBUTES {
            if let Some(value) =
                entry.attr_value(name).map(|value| attribute(reader, value)).transpose()?.flatten()
            {
                copy.attributes.push((name.0, value));
            }
        }
        // The type of an index is of no use.
        if entry.tag() != dw::DW_TAG_subrange_type
            && let Some(ty) = self.ty(reader, entry)
        {
            copy.attributes.push((dw::DW_AT_type.0, TypeAttribute::Type(ty)));
        }
        let mut children = node.children();
        while let Some(child) = children.next()? {
            copy.children.extend(self.copy(reader, child, depth + 1)?);
        }
        Ok(Some(copy))
    }
}

fn attribute<'a>(
    reader: &Reader<'_, 'a>,
    value: AttributeValue<Bytes<'a>>,
) -> gimli::Result<Option<TypeAttribute>> {
    Ok(match value {
        AttributeValue::Encoding(encoding) => Some(TypeAttribute::Unsigned(encoding.0.into())),
        AttributeValue::Sdata(number) => Some(TypeAttribute::Signed(number)),
        value => match value.udata_value() {
            Some(number) => Some(TypeAttribute::Unsigned(number)),
            None => reader.text(value).ok().map(TypeAttribute::Text),
        },
    })
}

/// The wasm local that is the frame base of a function.
fn frame_local<'a>(reader: &Reader<'_, 'a>, entry: &Entry<'a>) -> gimli::Result<Option<u32>> {
    let value = entry.attr_value(dw::DW_AT_frame_base).and_then(|value| value.exprloc_value());
    let Some(expression) = value else { return Ok(None) };
    let mut operations = expression.operations(reader.unit.encoding());
    let local = match operations.next()? {
        Some(Operation::WasmLocal { index }) => index,
        _ => return Ok(None),
    };
    let rest = [operations.next()?, operations.next()?];
    Ok(matches!(rest, [Some(Operation::StackValue) | None, None]).then_some(local))
}

/// The distance of a variable from the frame base, if that is all of its location.
fn frame_offset<'a>(reader: &Reader<'_, 'a>, entry: &Entry<'a>) -> gimli::Result<Option<i64>> {
    let value = entry.attr_value(dw::DW_AT_location).and_then(|value| value.exprloc_value());
    let Some(expression) = value else { return Ok(None) };
    let mut operations = expression.operations(reader.unit.encoding());
    Ok(match (operations.next()?, operations.next()?) {
        (Some(Operation::FrameOffset { offset }), None) => Some(offset),
        _ => None,
    })
}

/// The bytes between the address in a local and the stack pointer at the entry of a function; `None` if the local is set
/// several times, or to another value.
pub fn frame_bytes(info: &ModuleInfo, wasm: &[u8], function: u32, local: u32) -> Option<u32> {
    #[derive(Clone, Copy)]
    enum Value {
        Number(i32),
        /// The stack pointer plus a constant.
        Stack(i32),
    }
    use Value::{Number, Stack};
    let mut operators = info.body(wasm, function).get_operators_reader().ok()?;
    let (mut stack, mut locals) = (Vec::new(), HashMap::new());
    let (mut bytes, mut sets, mut is_start) = (None, 0, true);
    while !operators.eof() {
        let operator = operators.read().ok()?;
        let assigned = match operator {
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => Some(local_index),
            _ => None,
        };
        sets += usize::from(assigned == Some(local));
        if !is_start {
            continue;
        }
        match operator {
            Operator::GlobalGet { .. } => stack.push(Stack(0)),
            Operator::I32Const { value } => stack.push(Number(value)),
            Operator::LocalGet { local_index } if locals.contains_key(&local_index) => {
                stack.push(locals[&local_index]);
            }
            Operator::I32Sub => match (stack.pop(), stack.pop()) {
                (Some(Number(number)), Some(Stack(at))) => stack.push(Stack(at.wrapping_sub(number))),
                _ => is_start = false,
            },
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                let value = stack.pop()?;
                locals.insert(local_index, value);
                if let (true, Stack(at)) = (local_index == local, value) {
                    bytes = u32::try_from(at.wrapping_neg()).ok();
                }
                if matches!(operator, Operator::LocalTee { .. }) {
                    stack.push(value);
                }
            }
            _ => is_start = false,
        }
    }
    bytes.filter(|_| sets == 1)
}
