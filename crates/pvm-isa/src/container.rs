//! The file formats of programs, and their detection.
//!
//! A service is stored as the length of its metadata, the metadata, and an SPI container. Test programs and other
//! tools use the bare container or the bare blob. Files have no format marker. But every format must account for the
//! last byte of the file, so in practice a file doesn't parse in a wrong format. [`Container::parse`] tries the
//! formats in the order of the variants of [`Container`].

use crate::blob::ProgramBlob;
use crate::reader::{ParseError, Reader, write_nat};
use crate::spi::{AreaTooLarge, SpiProgram};

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
}

impl Container {
    /// Parses a program file of any format.
    ///
    /// # Errors
    ///
    /// If the bytes have none of the formats; the error is from the format that could be read furthest.
    pub fn parse(bytes: &[u8]) -> Result<Container, ParseError> {
        let further = |a: ParseError, b: ParseError| if b.offset > a.offset { b } else { a };
        Container::parse_jam(bytes).or_else(|jam| {
            SpiProgram::parse(bytes).map(Container::Spi).or_else(|spi| {
                let raw = ProgramBlob::parse(bytes).map(Container::Raw);
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
        let mut reader = Reader::new(bytes);
        let len = reader.count(1)?;
        let metadata = reader.take(len)?.to_vec();
        Ok(Container::Jam { metadata, program: SpiProgram::read(&mut reader)? })
    }

    /// The file as bytes.
    ///
    /// # Errors
    ///
    /// If a memory area is too large for the container.
    pub fn to_bytes(&self) -> Result<Vec<u8>, AreaTooLarge> {
        match self {
            Container::Jam { metadata, program } => {
                let mut out = Vec::new();
                write_nat(metadata.len() as u64, &mut out);
                out.extend_from_slice(metadata);
                out.extend(program.to_bytes()?);
                Ok(out)
            }
            Container::Spi(program) => program.to_bytes(),
            Container::Raw(blob) => Ok(blob.to_bytes()),
        }
    }

    /// The program itself.
    pub fn blob(&self) -> &ProgramBlob {
        match self {
            Container::Jam { program, .. } | Container::Spi(program) => &program.blob,
            Container::Raw(blob) => blob,
        }
    }

    /// The metadata, as raw bytes; empty for the formats without metadata.
    pub fn metadata(&self) -> &[u8] {
        match self {
            Container::Jam { metadata, .. } => metadata,
            Container::Spi(_) | Container::Raw(_) => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm;
    use crate::table::GpVersion;

    #[test]
    fn forms_are_told_apart() {
        let mut blob = ProgramBlob::default();
        for _ in 0..20 {
            blob.push(GpVersion::V08, &asm::ecalli(3));
        }
        blob.push(GpVersion::V08, &asm::trap());
        let program = SpiProgram { blob: blob.clone(), stack_size: 4096, ..SpiProgram::default() };
        let forms = [
            Container::Jam { metadata: vec![], program: program.clone() },
            Container::Jam { metadata: vec![7; 300], program: program.clone() },
            Container::Spi(program),
            Container::Raw(blob),
        ];
        for form in forms {
            let bytes = form.to_bytes().expect("small");
            assert_eq!(Container::parse(&bytes), Ok(form));
        }
    }
}
