//! The file formats of programs, and their detection.
//!
//! A service is stored as the length of its metadata, the metadata, and an SPI container. Test programs and other
//! tools use the bare container or the bare blob. These files have no format marker. But every format must account for
//! the last byte of the file, so in practice a file doesn't parse in a wrong format. [`Container::parse`] tries the
//! formats in the order of the variants of [`Container`], after those of PolkaVM, which has a marker. Only that marker and
//! our metadata tell whether code has the [next format](crate::blocks); for other files, the reader has to be told
//! ([`Container::parse_for`]). A program for
//! CoreVM is a PolkaVM container after metadata as in a service.

use crate::blob::ProgramBlob;
use crate::metadata::{Export, Extension, FunctionName, Import, ImportKind, Metadata};
use crate::polkavm::{self, PolkaVmProgram};
use crate::reader::{ParseError, ParseErrorKind, Reader, write_nat};
use crate::spi::{AreaTooLarge, SpiProgram};
use crate::version::GpVersion;

/// A program file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Container {
    /// A service: metadata (see [`Metadata`](crate::metadata::Metadata)), then a program with its memory.
    Jam {
        /// The metadata, opaque to the protocol.
        metadata: Vec<u8>,
        /// The program.
        program: SpiProgram,
    },
    /// A program with its memory.
    Spi(SpiProgram),
    /// Code and jump table alone.
    Raw(ProgramBlob),
    /// A program in PolkaVM's own container.
    PolkaVm(PolkaVmProgram),
    /// A program for the service CoreVM: metadata, then PolkaVM's container.
    CoreVm {
        /// The metadata, opaque to the service.
        metadata: Vec<u8>,
        /// The program.
        program: PolkaVmProgram,
    },
}

impl Container {
    /// The name of the form: `jam`, `spi`, `raw`, `polkavm` or `corevm`.
    pub const fn form(&self) -> &'static str {
        match self {
            Self::Jam { .. } => "jam",
            Self::Spi(_) => "spi",
            Self::Raw(_) => "raw",
            Self::PolkaVm(_) => "polkavm",
            Self::CoreVm { .. } => "corevm",
        }
    }

    /// Parses a program file of any format.
    ///
    /// # Errors
    ///
    /// If the bytes have none of the formats; the error is from the format that could be read furthest.
    pub fn parse(bytes: &[u8]) -> Result<Container, ParseError> {
        Container::parse_for(None, bytes)
    }

    /// Parses a program file of any format, for a version if it is given.
    ///
    /// # Errors
    ///
    /// As for [`Container::parse`], and if the code has another format than that version's.
    pub fn parse_for(gp: Option<GpVersion>, bytes: &[u8]) -> Result<Container, ParseError> {
        let container = Container::parse_any(gp, bytes)?;
        match gp.filter(|gp| gp.code_format() != container.blob().format) {
            Some(_) => Err(ParseError { offset: 0, kind: ParseErrorKind::OtherCodeFormat }),
            None => Ok(container),
        }
    }

    fn parse_any(gp: Option<GpVersion>, bytes: &[u8]) -> Result<Container, ParseError> {
        if bytes.starts_with(&polkavm::MAGIC) {
            return PolkaVmProgram::parse(bytes).map(Container::PolkaVm);
        }
        if let Some((metadata, mut reader)) = split_metadata(bytes)
            && reader.rest().starts_with(&polkavm::MAGIC)
        {
            return Ok(Container::CoreVm { metadata, program: PolkaVmProgram::read(&mut reader)? });
        }
        let further = |a: ParseError, b: ParseError| if b.offset > a.offset { b } else { a };
        let format = gp.unwrap_or_default().code_format();
        Container::parse_jam_for(gp, bytes).or_else(|jam| {
            SpiProgram::parse_as(format, bytes).map(Container::Spi).or_else(|spi| {
                let raw = ProgramBlob::parse_as(format, bytes).map(Container::Raw);
                raw.map_err(|raw| further(further(jam, spi), raw))
            })
        })
    }

    /// Parses a service: the length of its metadata, the metadata, and an SPI container.
    ///
    /// # Errors
    ///
    /// If the bytes don't have this format.
    pub fn parse_jam(bytes: &[u8]) -> Result<Container, ParseError> {
        Container::parse_jam_for(None, bytes)
    }

    fn parse_jam_for(gp: Option<GpVersion>, bytes: &[u8]) -> Result<Container, ParseError> {
        let mut reader = Reader::new(bytes);
        let len = reader.count(1)?;
        let metadata = reader.take(len)?.to_vec();
        let recorded = || Metadata::parse(&metadata).extension.map(|extension| extension.gp);
        let format = recorded().or(gp).unwrap_or_default().code_format();
        Ok(Container::Jam { program: SpiProgram::read(&mut reader, format)?, metadata })
    }

    /// The file as bytes.
    ///
    /// # Errors
    ///
    /// If a memory area is too large for the container.
    pub fn to_bytes(&self) -> Result<Vec<u8>, AreaTooLarge> {
        match self {
            Container::Jam { metadata, program } => Ok(after_metadata(metadata, program.to_bytes()?)),
            Container::Spi(program) => program.to_bytes(),
            Container::Raw(blob) => Ok(blob.to_bytes()),
            Container::PolkaVm(program) => Ok(program.to_bytes()),
            Container::CoreVm { metadata, program } => Ok(after_metadata(metadata, program.to_bytes())),
        }
    }

    /// The program itself.
    pub fn blob(&self) -> &ProgramBlob {
        match self {
            Container::Jam { program, .. } | Container::Spi(program) => &program.blob,
            Container::Raw(blob) => blob,
            Container::PolkaVm(program) | Container::CoreVm { program, .. } => &program.blob,
        }
    }

    /// The metadata, as raw bytes; empty for the formats without metadata.
    pub fn metadata(&self) -> &[u8] {
        match self {
            Container::Jam { metadata, .. } | Container::CoreVm { metadata, .. } => metadata,
            Container::PolkaVm(program) => &program.metadata,
            Container::Spi(_) | Container::Raw(_) => &[],
        }
    }
}

impl Container {
    /// The program in PolkaVM's container, if it is in one.
    pub fn polkavm(&self) -> Option<&PolkaVmProgram> {
        match self {
            Container::PolkaVm(program) | Container::CoreVm { program, .. } => Some(program),
            Container::Jam { .. } | Container::Spi(_) | Container::Raw(_) => None,
        }
    }

    /// The version of the Gray Paper that the program is for, if the file tells.
    pub fn gp(&self) -> Option<GpVersion> {
        let recorded = Metadata::parse(self.metadata()).extension.map(|extension| extension.gp);
        let recorded = recorded.filter(|gp| gp.code_format() == self.blob().format);
        recorded.or(self.polkavm().map(|program| program.isa.gp()))
    }

    /// What the file tells about the program: the recorded extension, completed by the tables of PolkaVM's container.
    pub fn extension(&self) -> Extension {
        let recorded = Metadata::parse(self.metadata()).extension;
        let is_recorded = recorded.is_some();
        let mut extension = recorded.unwrap_or_default();
        let Some(program) = self.polkavm() else { return extension };
        if !is_recorded {
            extension.gp = program.isa.gp();
            extension.raw_entries = true;
            let export = |export: &polkavm::Export| Export {
                name: export.symbol.clone(),
                pc: export.pc,
                signature: String::new(),
            };
            extension.exports = program.exports.iter().map(export).collect();
            let import = |(number, symbol): (u32, &String)| Import {
                module: String::new(),
                name: symbol.clone(),
                kind: ImportKind::Ecalli(number),
            };
            extension.imports = (0..).zip(&program.imports).map(import).collect();
        }
        if extension.functions.is_empty() {
            extension.functions = program.functions.clone();
        }
        extension
    }

    /// Names of functions by position: recorded ones, and those of exports, for themselves and for the targets of their
    /// jumps.
    pub fn functions(&self, gp: GpVersion) -> Vec<FunctionName> {
        let extension = self.extension();
        let mut names = extension.functions;
        let is_named = |names: &[FunctionName], pc: u32| names.iter().any(|name| name.pc == pc);
        for export in &extension.exports {
            let target = self.blob().decode(gp, export.pc).inst.target(export.pc);
            let target = target.and_then(|target| u32::try_from(target).ok());
            for pc in [Some(export.pc), target].into_iter().flatten() {
                if !is_named(&names, pc) {
                    names.push(FunctionName { pc, name: export.name.clone() });
                }
            }
        }
        names.sort_by_key(|name| name.pc);
        names
    }
}

/// The metadata at the start of a file, and a reader of the rest.
fn split_metadata(bytes: &[u8]) -> Option<(Vec<u8>, Reader<'_>)> {
    let mut reader = Reader::new(bytes);
    let len = reader.count(1).ok()?;
    let metadata = reader.take(len).ok()?.to_vec();
    Some((metadata, reader))
}

/// A program after its metadata.
fn after_metadata(metadata: &[u8], program: Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    write_nat(metadata.len() as u64, &mut out);
    out.extend_from_slice(metadata);
    out.extend(program);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm;
    use crate::version::GpVersion;

    #[test]
    fn forms_are_told_apart() {
        let mut blob = ProgramBlob::default();
        for _ in 0..20 {
            blob.push(GpVersion::V08, &asm::ecalli(3));
        }
        blob.push(GpVersion::V08, &asm::trap());
        let program = SpiProgram { blob: blob.clone(), stack_size: 4096, ..SpiProgram::default() };
        let polkavm = PolkaVmProgram { blob: blob.clone(), stack_size: 4096, ..PolkaVmProgram::default() };
        let forms = [
            Container::Jam { metadata: vec![], program: program.clone() },
            Container::Jam { metadata: vec![7; 300], program: program.clone() },
            Container::Spi(program),
            Container::Raw(blob),
            Container::PolkaVm(polkavm.clone()),
            Container::CoreVm { metadata: vec![7; 300], program: polkavm },
        ];
        for form in forms {
            let bytes = form.to_bytes().expect("small");
            assert_eq!(Container::parse(&bytes), Ok(form));
        }
    }
}
