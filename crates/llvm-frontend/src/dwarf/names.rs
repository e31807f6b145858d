//! The names of units and functions.
//!
//! An entry for a function has its address, but may leave its name to another entry: the declaration in a class, or the
//! abstract form that its inlined copies share. References are followed a few steps, which is more than compilers make.

use std::collections::BTreeMap;

use gimli::{AttributeValue, DebuggingInformationEntry, LineProgramHeader, UnitRef, constants as dw};
use ssa::{SourceLoc, UnitData};

use super::Bytes;
use super::lines::Reader;

/// How many references are followed.
const MOST_REFERENCES: u32 = 4;

type Entry<'a> = DebuggingInformationEntry<Bytes<'a>>;

/// What is known of a function's name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Name {
    /// In the source.
    pub name: Option<String>,
    /// For linkers, if that is another one.
    pub linkage_name: Option<String>,
    /// Where it is declared.
    pub declaration: Option<SourceLoc>,
}

/// The names of functions by the address of their code.
#[derive(Default)]
pub struct Names(BTreeMap<u64, Name>);

impl Names {
    /// The name of the function whose code begins at an address.
    pub fn at(&self, address: u64) -> Option<&Name> {
        self.0.get(&address)
    }

    /// Adds the functions of a unit.
    pub fn read<'a>(
        &mut self,
        reader: &mut Reader<'_, 'a>,
        header: &LineProgramHeader<Bytes<'a>>,
    ) -> gimli::Result<()> {
        let unit = reader.unit;
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            let low_pc = entry.attr_value(dw::DW_AT_low_pc).filter(|_| entry.tag() == dw::DW_TAG_subprogram);
            let address = match low_pc {
                Some(value) => unit.attr_address(value)?,
                None => None,
            };
            if let Some(address) = address {
                let mut name = Name::default();
                collect(reader, header, entry, MOST_REFERENCES, &mut name)?;
                self.0.entry(address).or_insert(name);
            }
        }
        Ok(())
    }
}

/// Adds what an entry, or what it refers to, says.
fn collect<'a>(
    reader: &mut Reader<'_, 'a>,
    header: &LineProgramHeader<Bytes<'a>>,
    entry: &Entry<'a>,
    references: u32,
    name: &mut Name,
) -> gimli::Result<()> {
    let text = |value: Option<AttributeValue<Bytes<'a>>>| value.map(|value| reader.text(value)).transpose();
    if name.name.is_none() {
        name.name = text(entry.attr_value(dw::DW_AT_name))?;
    }
    if name.linkage_name.is_none() {
        name.linkage_name = text(entry.attr_value(dw::DW_AT_linkage_name))?;
    }
    let number = |at| entry.attr_value(at).and_then(|value| value.udata_value());
    if name.declaration.is_none()
        && let Some(AttributeValue::FileIndex(file)) = entry.attr_value(dw::DW_AT_decl_file)
        && let Some(line) = number(dw::DW_AT_decl_line).and_then(|line| u32::try_from(line).ok())
    {
        name.declaration = reader.line(header, file, line)?;
    }
    let reference = [dw::DW_AT_specification, dw::DW_AT_abstract_origin];
    let reference = reference.into_iter().find_map(|at| entry.attr_value(at));
    if let (Some(AttributeValue::UnitRef(offset)), Some(rest)) = (reference, references.checked_sub(1)) {
        let unit = reader.unit;
        collect(reader, header, &unit.entry(offset)?, rest, name)?;
    }
    Ok(())
}

/// What a unit says of itself.
pub fn unit(unit: UnitRef<'_, Bytes<'_>>) -> gimli::Result<UnitData> {
    let mut entries = unit.entries();
    let root = entries.next_dfs()?.ok_or(gimli::Error::MissingUnitDie)?;
    let producer = root.attr_value(dw::DW_AT_producer).map(|value| unit.attr_string(value)).transpose()?;
    let language = match root.attr_value(dw::DW_AT_language) {
        Some(AttributeValue::Language(language)) => language.0,
        _ => 0,
    };
    let text = |bytes: Option<Bytes<'_>>| bytes.map_or(String::new(), |b| b.to_string_lossy().into_owned());
    Ok(UnitData { name: text(unit.name), directory: text(unit.comp_dir), producer: text(producer), language })
}
