//! The names of units and functions.
//!
//! An entry for a function has its address, but may refer to another entry for its name: the declaration in a class, or
//! the abstract instance of its inlined copies. A limited number of references is followed, more than compilers emit.
//!
//! Entries for inlined calls are below that of their function ([`super::inlined`]).

use std::collections::BTreeMap;

use gimli::{AttributeValue, DebuggingInformationEntry, LineProgramHeader, UnitRef, constants as dw};
use ssa::{Callee, UnitData};

use super::Bytes;
use super::inlined::Inlined;
use super::lines::Reader;
use super::variables::Variables;

/// Maximum number of references that are followed.
const MOST_REFERENCES: u32 = 4;

pub type Entry<'a> = DebuggingInformationEntry<Bytes<'a>>;

/// The names of functions by the address of their code.
#[derive(Default)]
pub struct Names(BTreeMap<u64, Callee>);

impl Names {
    /// The name of the function whose code begins at an address.
    pub fn at(&self, address: u64) -> Option<&Callee> {
        self.0.get(&address)
    }

    /// Adds the functions of a unit.
    pub fn read<'a>(
        &mut self,
        reader: &mut Reader<'_, 'a>,
        header: &LineProgramHeader<Bytes<'a>>,
        (inlined, variables): (&mut Inlined, &mut Variables),
    ) -> gimli::Result<()> {
        let unit = reader.unit;
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            let low_pc = entry.attr_value(dw::DW_AT_low_pc).filter(|_| entry.tag() == dw::DW_TAG_subprogram);
            let address = match low_pc {
                Some(value) => unit.attr_address(value)?,
                None => None,
            };
            inlined.entry(reader, header, entry, address)?;
            variables.entry(reader, header, entry, address)?;
            // All dropped functions have one address.
            if let Some(address) = address.filter(|address| !self.0.contains_key(address)) {
                self.0.insert(address, callee(reader, header, entry)?);
            }
        }
        variables.end_unit(reader)
    }
}

/// The function that an entry, or the entries it refers to, name.
pub fn callee<'a>(
    reader: &mut Reader<'_, 'a>,
    header: &LineProgramHeader<Bytes<'a>>,
    entry: &Entry<'a>,
) -> gimli::Result<Callee> {
    let mut said = Said::default();
    said.collect(reader.unit, entry, MOST_REFERENCES)?;
    let text = |value: Option<_>| value.map(|value| reader.text(value)).transpose();
    let (name, linkage_name) = (text(said.name)?, text(said.linkage_name)?);
    let declaration = match (said.file, said.line.map(u32::try_from)) {
        (Some(file), Some(Ok(line))) => reader.line(header, file, line)?,
        _ => None,
    };
    Ok(Callee { name, linkage_name, declaration })
}

/// The name of a function, collected from its entries. The first entry that has an attribute counts.
#[derive(Default)]
struct Said<'a> {
    name: Option<AttributeValue<Bytes<'a>>>,
    linkage_name: Option<AttributeValue<Bytes<'a>>>,
    file: Option<u64>,
    line: Option<u64>,
}

impl<'a> Said<'a> {
    /// Adds the attributes of an entry and of the entries it refers to.
    fn collect(
        &mut self,
        unit: UnitRef<'_, Bytes<'a>>,
        entry: &Entry<'a>,
        references: u32,
    ) -> gimli::Result<()> {
        let value = |at| entry.attr_value(at);
        self.name = self.name.or_else(|| value(dw::DW_AT_name));
        self.linkage_name = self.linkage_name.or_else(|| value(dw::DW_AT_linkage_name));
        self.line = self.line.or_else(|| value(dw::DW_AT_decl_line)?.udata_value());
        self.file = self.file.or_else(|| match value(dw::DW_AT_decl_file)? {
            AttributeValue::FileIndex(file) => Some(file),
            _ => None,
        });
        let reference = [dw::DW_AT_specification, dw::DW_AT_abstract_origin].into_iter().find_map(value);
        if let (Some(AttributeValue::UnitRef(offset)), Some(rest)) = (reference, references.checked_sub(1)) {
            self.collect(unit, &unit.entry(offset)?, rest)?;
        }
        Ok(())
    }
}

/// The attributes of a unit.
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
