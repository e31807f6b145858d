//! Program blobs: code, instruction bitmask and jump table (Gray Paper, appendix A.2).
//!
//! ```text
//! nat(|jump table|)  entry size: 1 byte  nat(|code|)
//! jump table, little endian   code   bitmask: one bit per code byte, lowest bit first
//! ```
//!
//! In the [next format](crate::blocks) the length of the code and the bitmask are absent: the code takes the rest.
//!
//! A jump-table entry is a position in the code. Programs never use positions: a code pointer is the index of a
//! jump-table entry plus one, times two.
//!
//! Entries of up to four bytes are accepted, which covers all code the engines accept. A non-empty table with entries
//! of zero bytes is refused, because the size of the input would not bound its length.
//!
//! Invariants: the bitmask has exactly one bit per code byte. In the next format it is the one that follows from the code.

use crate::bitmask::Bitmask;
use crate::blocks;
use crate::inst::Inst;
use crate::reader::{ParseError, ParseErrorKind, Reader, write_nat};
use crate::version::{CodeFormat, GpVersion};

/// Maximum size of accepted code in bytes. Positions fit 31 bits, so all offsets are representable.
pub const MAX_CODE_LEN: u64 = i32::MAX as u64;

/// A program without its memory: code, bitmask and jump table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProgramBlob {
    /// The format of the code.
    pub format: CodeFormat,
    /// The code bytes.
    pub code: Vec<u8>,
    /// Where instructions begin; as long as `code`.
    pub mask: Bitmask,
    /// Positions in the code that indirect jumps may reach.
    pub jump_table: Vec<u32>,
}

impl ProgramBlob {
    /// A program of a version without code.
    pub fn new(gp: GpVersion) -> ProgramBlob {
        ProgramBlob { format: gp.code_format(), ..ProgramBlob::default() }
    }

    /// A program with this code in the next format.
    pub fn of_blocks(code: Vec<u8>, jump_table: Vec<u32>) -> ProgramBlob {
        ProgramBlob { format: CodeFormat::Blocks, mask: blocks::starts(&code), code, jump_table }
    }

    /// Parses a blob with a bitmask that takes all of `bytes`.
    ///
    /// # Errors
    ///
    /// If the bytes are not a blob; offsets count from the start of `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<ProgramBlob, ParseError> {
        ProgramBlob::parse_as(CodeFormat::Bitmask, bytes)
    }

    /// Parses a blob of a format that takes all of `bytes`.
    ///
    /// # Errors
    ///
    /// If the bytes are not a blob; offsets count from the start of `bytes`.
    pub fn parse_as(format: CodeFormat, bytes: &[u8]) -> Result<ProgramBlob, ParseError> {
        ProgramBlob::read(&mut Reader::new(bytes), format)
    }

    /// Reads a blob that takes the rest of the input.
    pub(crate) fn read(reader: &mut Reader<'_>, format: CodeFormat) -> Result<ProgramBlob, ParseError> {
        let table_offset = reader.offset();
        let table_len = reader.nat()?;
        let size_offset = reader.offset();
        let entry_size = usize::from(reader.u8()?);
        if entry_size > 4 || (entry_size == 0 && table_len > 0) {
            return Err(ParseError { offset: size_offset, kind: ParseErrorKind::BadJumpTableEntrySize });
        }
        let code_len = match format {
            CodeFormat::Bitmask => Some(reader.nat_up_to(MAX_CODE_LEN)? as usize),
            CodeFormat::Blocks => None,
        };
        if table_len > reader.remaining() as u64 {
            return Err(ParseError { offset: table_offset, kind: ParseErrorKind::UnexpectedEnd });
        }
        let jump_table =
            (0..table_len).map(|_| reader.le(entry_size)).collect::<Result<Vec<u32>, ParseError>>()?;
        let Some(code_len) = code_len else {
            let code = reader.take(reader.remaining())?.to_vec();
            return Ok(ProgramBlob::of_blocks(code, jump_table));
        };
        let code = reader.take(code_len)?.to_vec();
        let mask = Bitmask::parse(reader, code_len)?;
        reader.finish()?;
        Ok(ProgramBlob { format, code, mask, jump_table })
    }

    /// The blob as bytes, with the smallest entries that hold the jump table.
    ///
    /// # Panics
    ///
    /// If the bitmask is not as long as the code.
    pub fn to_bytes(&self) -> Vec<u8> {
        assert_eq!(self.mask.len(), self.code.len(), "one mask bit per code byte");
        let entry_size = self.jump_table_entry_size();
        let mut out = Vec::with_capacity(16 + self.code.len() * 9 / 8 + self.jump_table.len() * entry_size);
        write_nat(self.jump_table.len() as u64, &mut out);
        out.push(entry_size as u8);
        if self.format == CodeFormat::Bitmask {
            write_nat(self.code.len() as u64, &mut out);
        }
        for entry in &self.jump_table {
            out.extend_from_slice(&entry.to_le_bytes()[..entry_size]);
        }
        out.extend_from_slice(&self.code);
        out.extend_from_slice(self.stored_mask());
        out
    }

    /// The bytes of the bitmask in the written form; none in the next format.
    pub fn stored_mask(&self) -> &[u8] {
        match self.format {
            CodeFormat::Bitmask => self.mask.as_bytes(),
            CodeFormat::Blocks => &[],
        }
    }

    /// Bytes per jump-table entry in the written form: 0 for an empty table, else 1..=4.
    pub fn jump_table_entry_size(&self) -> usize {
        match self.jump_table.iter().max() {
            None => 0,
            Some(max) => (4 - max.leading_zeros() as usize / 8).max(1),
        }
    }

    /// Appends an instruction in its shortest form and returns its position.
    ///
    /// # Panics
    ///
    /// If the instruction does not exist in this version of the Gray Paper, or its code has another format.
    pub fn push(&mut self, gp: GpVersion, inst: &Inst) -> u32 {
        self.push_with_offset_bytes(gp, inst, 0)
    }

    /// Appends an instruction whose code offset takes at least `min_offset_bytes` bytes. In the next format, instructions
    /// without an effect precede it if it doesn't fit the rest of a block.
    ///
    /// # Panics
    ///
    /// As for [`push`](Self::push).
    pub fn push_with_offset_bytes(&mut self, gp: GpVersion, inst: &Inst, min_offset_bytes: u8) -> u32 {
        assert_eq!(self.format, gp.code_format(), "the program is for another version");
        let len = inst.encoded_len_with_offset_bytes(gp, min_offset_bytes);
        let at = self.code.len();
        if self.format == CodeFormat::Blocks && !blocks::fits(at, len, inst.op().is_terminator()) {
            self.pad(blocks::block_end(at));
        }
        let pc = self.code.len();
        inst.encode_with_offset_bytes(gp, min_offset_bytes, &mut self.code);
        self.mask.grow(self.code.len());
        self.mask.set(pc);
        pc as u32
    }

    /// Appends instructions without an effect up to position `end`.
    fn pad(&mut self, end: usize) {
        let start = self.code.len();
        blocks::pad(end - start, &mut self.code);
        self.mask.grow(end);
        let starts = blocks::starts(&self.code[start..]);
        (start..end).filter(|at| starts.get(at - start)).for_each(|at| self.mask.set(at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(table: &[u32]) -> ProgramBlob {
        let mut mask = Bitmask::new(9);
        [0, 3, 8].into_iter().for_each(|i| mask.set(i));
        ProgramBlob { code: (0..9).collect(), mask, jump_table: table.to_vec(), ..ProgramBlob::default() }
    }

    #[test]
    fn entries_have_the_smallest_size_that_fits() {
        let cases: [(&[u32], usize); 6] =
            [(&[], 0), (&[0], 1), (&[255, 3], 1), (&[256], 2), (&[1 << 16], 3), (&[u32::MAX], 4)];
        for (table, size) in cases {
            let blob = sample(table);
            let bytes = blob.to_bytes();
            assert_eq!(bytes[1], size as u8);
            assert_eq!(ProgramBlob::parse(&bytes), Ok(blob));
        }
    }

    #[test]
    fn errors_name_the_field() {
        let good = sample(&[3]).to_bytes();
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            ProgramBlob::parse(&bytes).expect_err("damaged")
        };
        let error = |offset, kind| ParseError { offset, kind };
        assert_eq!(with(1, 0), error(1, ParseErrorKind::BadJumpTableEntrySize));
        assert_eq!(with(1, 5), error(1, ParseErrorKind::BadJumpTableEntrySize));
        assert_eq!(with(14, 2), error(14, ParseErrorKind::NonZeroPadding));
        assert_eq!(with(2, 8).kind, ParseErrorKind::TrailingBytes);
        assert_eq!(with(2, 60).kind, ParseErrorKind::UnexpectedEnd);
        let mut long = good.clone();
        long.push(0);
        assert_eq!(ProgramBlob::parse(&long), Err(error(15, ParseErrorKind::TrailingBytes)));
    }

    #[test]
    fn a_mask_of_whole_bytes_has_no_padding() {
        let mut mask = Bitmask::new(8);
        mask.set(7);
        let blob = ProgramBlob { code: vec![0; 8], mask, ..ProgramBlob::default() };
        assert_eq!(ProgramBlob::parse(&blob.to_bytes()), Ok(blob));
    }
}
