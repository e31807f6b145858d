//! Writing a placed side module: most sections are copied, some get larger.

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{Encode, EntityType, Function, ImportSection, Instruction, RawSection, StartSection};
use wasmparser::{BinaryReader, Result};

use super::layout::{Layout, placed_name};
use super::module::SideModule;

const CUSTOM: u8 = 0;
const IMPORT: u8 = 2;
const FUNCTION: u8 = 3;
const START: u8 = 8;
const ELEMENT: u8 = 9;
const CODE: u8 = 10;
const DATA: u8 = 11;
const DATA_COUNT: u8 = 12;

/// The module with its place.
pub fn write(wasm: &[u8], module: &SideModule<'_>, layout: &Layout) -> Result<Vec<u8>> {
    let mut writer =
        Writer { module, layout, out: wasm_encoder::Module::new(), start: false, element: false };
    let mut reader = BinaryReader::new(wasm, 0);
    reader.read_bytes(8)?;
    while !reader.eof() {
        let id = reader.read_u8()?;
        let length = reader.read_var_u32()? as usize;
        writer.section(id, reader.read_bytes(length)?)?;
    }
    writer.finish_before(DATA);
    Ok(writer.out.finish())
}

struct Writer<'a> {
    module: &'a SideModule<'a>,
    layout: &'a Layout,
    out: wasm_encoder::Module,
    /// Whether the sections that may be new have been written.
    start: bool,
    element: bool,
}

impl Writer<'_> {
    fn section(&mut self, id: u8, contents: &[u8]) -> Result<()> {
        if id != CUSTOM {
            self.finish_before(id);
        }
        match id {
            CUSTOM if BinaryReader::new(contents, 0).read_string()?.starts_with("dylink") => {}
            IMPORT => {
                self.out.section(&self.imports());
            }
            FUNCTION if self.starts() => {
                let ty = self.module.defined_plain(self.constructor()).expect("checked by the layout");
                self.longer(id, contents, |bytes| ty.encode(bytes))?;
            }
            CODE if self.starts() => {
                let mut body = Function::new([]);
                for &function in &self.layout.started {
                    body.instruction(&Instruction::Call(function));
                }
                body.instruction(&Instruction::End);
                self.longer(id, contents, |bytes| body.encode(bytes))?;
            }
            START if self.starts() => self.write_start(),
            ELEMENT if !self.layout.added.is_empty() => {
                self.element = true;
                let segment = self.segment();
                self.longer(id, contents, |bytes| bytes.extend(segment))?;
            }
            _ => {
                self.out.section(&RawSection { id, data: contents });
            }
        }
        Ok(())
    }

    /// Whether the module gets a start function.
    fn starts(&self) -> bool {
        !self.layout.started.is_empty()
    }

    /// The last function that runs at the start: it has no parameters.
    fn constructor(&self) -> u32 {
        *self.layout.started.last().expect("asked only if there is one")
    }

    /// Writes new sections that belong before the one with this id.
    fn finish_before(&mut self, id: u8) {
        let comes_after_start = matches!(id, ELEMENT | CODE | DATA | DATA_COUNT);
        if comes_after_start && self.starts() {
            self.write_start();
        }
        if matches!(id, CODE | DATA | DATA_COUNT) && !self.layout.added.is_empty() && !self.element {
            self.element = true;
            let mut data = vec![1];
            data.extend(self.segment());
            self.out.section(&RawSection { id: ELEMENT, data: &data });
        }
    }

    fn write_start(&mut self) {
        if !std::mem::replace(&mut self.start, true) {
            let function_index = self.module.function_count();
            self.out.section(&StartSection { function_index });
        }
    }

    /// Writes a section of a list with one more entry.
    fn longer(&mut self, id: u8, contents: &[u8], add: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut reader = BinaryReader::new(contents, 0);
        let count = reader.read_var_u32()?;
        let mut data = Vec::with_capacity(contents.len() + 16);
        (count + 1).encode(&mut data);
        data.extend(&contents[reader.original_position() as usize..]);
        add(&mut data);
        self.out.section(&RawSection { id, data: &data });
        Ok(())
    }

    /// The segment of additional table entries.
    fn segment(&self) -> Vec<u8> {
        let functions = wasm_encoder::Elements::Functions(self.layout.added.as_slice().into());
        let offset = wasm_encoder::ConstExpr::i32_const(self.layout.first_added as i32);
        let mut section = wasm_encoder::ElementSection::new();
        let table = self.module.function_table().filter(|&table| table > 0);
        section.active(table, &offset, functions);
        let mut encoded = Vec::new();
        section.encode(&mut encoded);
        let mut reader = BinaryReader::new(&encoded, 0);
        reader
            .read_var_u32()
            .and_then(|_| reader.read_var_u32())
            .expect("just encoded: a length and a count");
        encoded[reader.original_position() as usize..].to_vec()
    }

    /// Imports with the limits of the layout, and the names of placed entries of the GOT.
    fn imports(&self) -> ImportSection {
        let mut section = ImportSection::new();
        for import in &self.module.imports {
            let ty = RoundtripReencoder.entity_type(import.ty).expect("no index changes");
            let ty = match ty {
                EntityType::Memory(mut memory) => {
                    let page_log2 = memory.page_size_log2.unwrap_or(16);
                    let pages = self.layout.memory_bytes.div_ceil(1 << page_log2);
                    memory.minimum = memory.minimum.max(pages);
                    memory.maximum = memory.maximum.map(|maximum| maximum.max(memory.minimum));
                    EntityType::Memory(memory)
                }
                EntityType::Table(mut table) if import.name == "__indirect_function_table" => {
                    table.minimum = table.minimum.max(self.layout.table_entries);
                    table.maximum = table.maximum.map(|maximum| maximum.max(table.minimum));
                    EntityType::Table(table)
                }
                other => other,
            };
            let name = placed_name(import.module, import.name);
            let key = ssa::Import { module: import.module.to_owned(), field: name };
            let name = if self.layout.values.contains_key(&key) { &key.field } else { import.name };
            section.import(import.module, name, ty);
        }
        section
    }
}
