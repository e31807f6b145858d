//! The container of PolkaVM: memory, code, and the symbols of exports and host calls.
//!
//! ```text
//! file     = "PVM\0" instruction-set:1 length-of-file:8  section*  0
//! section  = number:1 length:nat contents
//! ```
//!
//! | number | contents |
//! |--:|---|
//! | 1 | `ro-size:nat rw-size:nat stack-size:nat`: bytes of the areas; bytes that no section stores are zero |
//! | 2, 3 | the stored bytes of the read-only and of the read-write area |
//! | 4 | `count:nat`, then the offset of each symbol in the bytes that follow (4 bytes each): `ecalli n` calls symbol n |
//! | 5 | `count:nat`, then for each export `pc:nat length:nat symbol` |
//! | 6 | code, bitmask and jump table: a [`ProgramBlob`], in the format of the instruction set |
//! | 128, 129, 130 | names of functions, and lines |
//! | 247 | our [metadata](crate::metadata), which other readers skip |
//!
//! Sections are in the order of their numbers, and all but the code may be absent. Readers skip unknown ones from 128
//! on, which may be in any order. All numbers are below 2^32; `nat` is the general natural encoding. Numbers with a fixed width are little endian.
//!
//! Memory, where P rounds up to pages of the host and Z to zones of 64 KiB:
//!
//! | area | start | size |
//! |---|---|---|
//! | read-only | 0x10000 | P(ro) |
//! | read-write, then the heap | 0x20000 + Z(ro) | P(rw) |
//! | stack | 0xfffe0000 − P(stack), lower if the host passes data above it | P(stack) |

mod names;

pub use names::{DebugFrame, DebugRegion, DebugSections};

use crate::blob::ProgramBlob;
use crate::metadata::FunctionName;
use crate::reader::{ParseError, ParseErrorKind, Reader, write_nat};
use crate::version::GpVersion;

/// First bytes of a file.
pub const MAGIC: [u8; 4] = *b"PVM\0";
/// Maximum number of symbols of host calls.
pub const MAX_IMPORTS: usize = 1024;

/// Bytes of the length of the file.
const LENGTH_BYTES: usize = 8;

/// Numbers of sections.
mod section {
    pub const END: u8 = 0;
    pub const MEMORY: u8 = 1;
    pub const RO_DATA: u8 = 2;
    pub const RW_DATA: u8 = 3;
    pub const IMPORTS: u8 = 4;
    pub const EXPORTS: u8 = 5;
    pub const CODE: u8 = 6;
    pub const OPTIONAL: u8 = 128;
    pub const STRINGS: u8 = 128;
    pub const LINE_PROGRAMS: u8 = 129;
    pub const LINE_PROGRAM_RANGES: u8 = 130;
    pub const METADATA: u8 = 247;
}

/// The instruction set of a program, as the container numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum InstructionSet {
    /// That of contracts on pallet-revive: GP 0.7.2 without `sbrk`.
    ReviveV1,
    /// That of JAM: GP 0.8, and in engines of its time GP 0.7.2.
    #[default]
    JamV1,
    /// The next format, see [`crate::blocks`].
    Latest64,
}

impl InstructionSet {
    /// The set with the opcodes of a version of the Gray Paper.
    pub const fn of(gp: GpVersion) -> Self {
        match gp {
            GpVersion::V072 => Self::ReviveV1,
            GpVersion::V08 => Self::JamV1,
            GpVersion::Next => Self::Latest64,
        }
    }

    /// The version of the Gray Paper whose opcodes current engines give this set.
    pub const fn gp(self) -> GpVersion {
        match self {
            Self::ReviveV1 => GpVersion::V072,
            Self::JamV1 => GpVersion::V08,
            Self::Latest64 => GpVersion::Next,
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::ReviveV1 => 0,
            Self::Latest64 => 2,
            Self::JamV1 => 3,
        }
    }
}

/// A place at which a host enters a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Export {
    /// The position in the code.
    pub pc: u32,
    /// Its symbol.
    pub symbol: String,
}

/// A program in the container of PolkaVM.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PolkaVmProgram {
    /// The instruction set.
    pub isa: InstructionSet,
    /// Stored bytes of the read-only area.
    pub ro_data: Vec<u8>,
    /// Bytes of the read-only area.
    pub ro_size: u32,
    /// Stored bytes of the read-write area.
    pub rw_data: Vec<u8>,
    /// Bytes of the read-write area.
    pub rw_size: u32,
    /// Bytes of the stack.
    pub stack_size: u32,
    /// The symbol of each host call, by number.
    pub imports: Vec<String>,
    /// The exports.
    pub exports: Vec<Export>,
    /// The program.
    pub blob: ProgramBlob,
    /// Names of functions in ascending order; may be empty.
    pub functions: Vec<FunctionName>,
    /// The debug sections, if they have more than these names.
    pub debug: Option<DebugSections>,
    /// [Metadata](crate::metadata); may be empty.
    pub metadata: Vec<u8>,
}

impl PolkaVmProgram {
    /// Parses a file.
    ///
    /// # Errors
    ///
    /// If the bytes are not a container with a known instruction set.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::read(&mut Reader::new(bytes))
    }

    /// Reads a file that takes the rest of the input.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let start = reader.offset();
        let len = reader.remaining() as u64;
        if !reader.rest().starts_with(&MAGIC) {
            return Err(error(start, ParseErrorKind::NotPolkaVm));
        }
        reader.take(MAGIC.len())?;
        let isa = read_isa(reader)?;
        let length_offset = reader.offset();
        let length = reader.take(LENGTH_BYTES)?;
        if u64::from_le_bytes(length.try_into().expect("eight bytes")) != len {
            return Err(error(length_offset, ParseErrorKind::WrongFileLength));
        }
        let mut sections = Sections { program: Self { isa, ..Self::default() }, ..Sections::default() };
        sections.read(reader)?;
        let end = reader.offset();
        let Sections { mut program, has_code, debug } = sections;
        if !has_code {
            return Err(error(end, ParseErrorKind::MissingCode));
        }
        for (data, size) in [(&program.ro_data, program.ro_size), (&program.rw_data, program.rw_size)] {
            if data.len() > size as usize {
                return Err(error(start, ParseErrorKind::DataExceedsArea));
            }
        }
        let code_len = program.blob.code.len();
        program.functions = names::read(&debug, code_len);
        program.debug = Some(debug).filter(|debug| *debug != names::write(&program.functions, code_len));
        Ok(program)
    }

    /// The file as bytes.
    ///
    /// # Panics
    ///
    /// If stored bytes exceed their area, there are more than [`MAX_IMPORTS`] imports, or the names of functions are
    /// not sorted by position.
    pub fn to_bytes(&self) -> Vec<u8> {
        assert!(self.imports.len() <= MAX_IMPORTS, "{} imports", self.imports.len());
        assert!(self.ro_data.len() <= self.ro_size as usize && self.rw_data.len() <= self.rw_size as usize);
        let mut out = MAGIC.to_vec();
        out.push(self.isa.number());
        let length_at = out.len();
        out.extend([0; LENGTH_BYTES]);
        write_section(section::MEMORY, &self.memory(), &mut out);
        write_section(section::RO_DATA, &self.ro_data, &mut out);
        write_section(section::RW_DATA, &self.rw_data, &mut out);
        write_section(section::IMPORTS, &self.import_table(), &mut out);
        write_section(section::EXPORTS, &self.export_table(), &mut out);
        write_section(section::CODE, &self.blob.to_bytes(), &mut out);
        let DebugSections { strings, programs, ranges } = self.names();
        write_section(section::STRINGS, &strings, &mut out);
        write_section(section::LINE_PROGRAMS, &programs, &mut out);
        write_section(section::LINE_PROGRAM_RANGES, &ranges, &mut out);
        write_section(section::METADATA, &self.metadata, &mut out);
        out.push(section::END);
        let length = (out.len() as u64).to_le_bytes();
        out[length_at..length_at + LENGTH_BYTES].copy_from_slice(&length);
        out
    }

    /// Bytes of the tables of imports and exports.
    pub fn symbol_bytes(&self) -> usize {
        self.import_table().len() + self.export_table().len()
    }

    /// Bytes of the sections with the names of functions.
    pub fn name_bytes(&self) -> usize {
        self.names().bytes()
    }

    fn names(&self) -> DebugSections {
        self.debug.clone().unwrap_or_else(|| names::write(&self.functions, self.blob.code.len()))
    }

    fn memory(&self) -> Vec<u8> {
        let sizes = [self.ro_size, self.rw_size, self.stack_size];
        let mut out = Vec::new();
        if sizes.iter().any(|&size| size > 0) {
            sizes.iter().for_each(|&size| write_nat(size.into(), &mut out));
        }
        out
    }

    fn import_table(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.imports.is_empty() {
            return out;
        }
        write_nat(self.imports.len() as u64, &mut out);
        let mut offset = 0u32;
        for symbol in &self.imports {
            out.extend(offset.to_le_bytes());
            offset += symbol.len() as u32;
        }
        self.imports.iter().for_each(|symbol| out.extend(symbol.as_bytes()));
        out
    }

    fn export_table(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.exports.is_empty() {
            return out;
        }
        write_nat(self.exports.len() as u64, &mut out);
        for export in &self.exports {
            write_nat(export.pc.into(), &mut out);
            crate::reader::write_string(&export.symbol, &mut out);
        }
        out
    }
}

fn error(offset: usize, kind: ParseErrorKind) -> ParseError {
    ParseError { offset, kind }
}

fn read_isa(reader: &mut Reader<'_>) -> Result<InstructionSet, ParseError> {
    let offset = reader.offset();
    let number = reader.u8()?;
    let sets = [InstructionSet::ReviveV1, InstructionSet::JamV1, InstructionSet::Latest64];
    let known = sets.into_iter().find(|set| set.number() == number);
    known.ok_or(error(offset, ParseErrorKind::UnknownInstructionSet))
}

/// Appends a section, unless it is empty.
fn write_section(number: u8, contents: &[u8], out: &mut Vec<u8>) {
    if !contents.is_empty() {
        out.push(number);
        write_nat(contents.len() as u64, out);
        out.extend_from_slice(contents);
    }
}

/// The contents of sections as far as they are read.
#[derive(Default)]
struct Sections {
    program: PolkaVmProgram,
    has_code: bool,
    debug: DebugSections,
}

impl Sections {
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), ParseError> {
        let mut last = section::END;
        loop {
            let offset = reader.offset();
            let number = reader.u8()?;
            if number == section::END {
                return reader.finish();
            }
            if number < section::OPTIONAL && (number <= last || number > section::CODE) {
                return Err(error(offset, ParseErrorKind::UnexpectedSection));
            }
            last = last.max(number);
            let len = reader.count(1)?;
            let start = reader.offset();
            self.section(number, reader.take(len)?, start)?;
        }
    }

    fn section(&mut self, number: u8, bytes: &[u8], start: usize) -> Result<(), ParseError> {
        let mut reader = Reader::nested(bytes, start);
        let program = &mut self.program;
        match number {
            section::MEMORY => {
                program.ro_size = read_u32(&mut reader)?;
                program.rw_size = read_u32(&mut reader)?;
                program.stack_size = read_u32(&mut reader)?;
                reader.finish()?;
            }
            section::RO_DATA => program.ro_data = bytes.to_vec(),
            section::RW_DATA => program.rw_data = bytes.to_vec(),
            section::IMPORTS => program.imports = read_imports(&mut reader)?,
            section::EXPORTS => {
                program.exports = reader
                    .sequence(2, |reader| Ok(Export { pc: read_u32(reader)?, symbol: reader.string()? }))?;
                reader.finish()?;
            }
            section::CODE => {
                program.blob = ProgramBlob::read(&mut reader, program.isa.gp().code_format())?;
                self.has_code = true;
            }
            section::STRINGS => self.debug.strings = bytes.to_vec(),
            section::LINE_PROGRAMS => self.debug.programs = bytes.to_vec(),
            section::LINE_PROGRAM_RANGES => self.debug.ranges = bytes.to_vec(),
            section::METADATA => program.metadata = bytes.to_vec(),
            _ => {}
        }
        Ok(())
    }
}

fn read_u32(reader: &mut Reader<'_>) -> Result<u32, ParseError> {
    Ok(reader.nat_up_to(u32::MAX.into())? as u32)
}

/// Symbols begin at their offsets and end where the next one begins.
fn read_imports(reader: &mut Reader<'_>) -> Result<Vec<String>, ParseError> {
    let offset = reader.offset();
    let count = reader.count(4)?;
    if count > MAX_IMPORTS {
        return Err(error(offset, ParseErrorKind::NumberTooLarge));
    }
    let starts =
        (0..count).map(|_| Ok(reader.le(4)? as usize)).collect::<Result<Vec<usize>, ParseError>>()?;
    let (base, symbols) = (reader.offset(), reader.rest());
    let ends = starts.iter().copied().skip(1).chain([symbols.len()]);
    let symbol = |(start, end): (usize, usize)| {
        let bytes = symbols.get(start..end).ok_or(error(base, ParseErrorKind::UnexpectedEnd))?;
        let text = core::str::from_utf8(bytes);
        text.map(str::to_owned).map_err(|_| error(base + start, ParseErrorKind::InvalidUtf8))
    };
    starts.iter().copied().zip(ends).map(symbol).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm;

    fn sample() -> PolkaVmProgram {
        let mut blob = ProgramBlob::default();
        for number in 0..20 {
            blob.push(GpVersion::V08, &asm::ecalli(number % 2));
        }
        blob.push(GpVersion::V08, &asm::trap());
        let export = |pc, symbol: &str| Export { pc, symbol: symbol.into() };
        let function = |pc, name: &str| FunctionName { pc, name: name.into() };
        PolkaVmProgram {
            isa: InstructionSet::JamV1,
            ro_data: vec![1, 2],
            ro_size: 2,
            rw_data: vec![3; 200],
            rw_size: 70_000,
            stack_size: 4096,
            imports: vec!["read".into(), "äöü".into()],
            exports: vec![export(0, "main"), export(7, "other")],
            blob,
            functions: vec![function(0, "main"), function(4, "core::fmt")],
            debug: None,
            metadata: b"\0\0\0\0\0".to_vec(),
        }
    }

    #[test]
    fn files_survive_writing_and_reading() {
        let full = sample();
        assert_eq!(PolkaVmProgram::parse(&full.to_bytes()), Ok(full.clone()));
        let bare = PolkaVmProgram {
            isa: InstructionSet::ReviveV1,
            blob: full.blob.clone(),
            ..PolkaVmProgram::default()
        };
        assert_eq!(PolkaVmProgram::parse(&bare.to_bytes()), Ok(bare));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = sample().to_bytes();
        for len in 0..bytes.len() {
            assert!(PolkaVmProgram::parse(&bytes[..len]).is_err(), "{len} bytes");
            let mut shorter = bytes[..len].to_vec();
            if len >= 13 {
                shorter[5..13].copy_from_slice(&(len as u64).to_le_bytes());
                assert!(PolkaVmProgram::parse(&shorter).is_err(), "{len} bytes with the right length");
            }
        }
    }

    #[test]
    fn errors_name_the_field() {
        let bytes = sample().to_bytes();
        let with = |at: usize, value: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            PolkaVmProgram::parse(&bytes).map(|_| ()).map_err(|error| (error.offset, error.kind))
        };
        assert_eq!(with(0, 0), Err((0, ParseErrorKind::NotPolkaVm)));
        assert_eq!(with(4, 1), Err((4, ParseErrorKind::UnknownInstructionSet)));
        assert_eq!(with(6, 9), Err((5, ParseErrorKind::WrongFileLength)));
        assert_eq!(with(13, 7), Err((13, ParseErrorKind::UnexpectedSection)));
        assert_eq!(with(15, 1), Err((0, ParseErrorKind::DataExceedsArea)));
    }
}
