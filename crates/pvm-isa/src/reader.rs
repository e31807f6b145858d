//! The reader of binary containers: a cursor with typed errors.
//!
//! All containers here are sequences of little-endian numbers, byte strings and numbers in the general natural
//! encoding (Gray Paper, appendix C.1), which takes one to nine bytes. Input is untrusted: every read is checked, an
//! error has the position of the malformed field, and memory is allocated only for bytes that the input contains.

use core::fmt;

/// A malformed container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// Offset of the malformed field, in bytes from the start of the input.
    pub offset: usize,
    /// The violated rule.
    pub kind: ParseErrorKind,
}

/// The violated rule of a malformed container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParseErrorKind {
    /// The field is longer than the rest of the input.
    UnexpectedEnd,
    /// Bytes follow the end of the container.
    TrailingBytes,
    /// A number in the general natural encoding is not in its shortest form.
    NonMinimalNumber,
    /// A number exceeds the limit of its field.
    NumberTooLarge,
    /// The entry size of a jump table is not 1..=4 (0 with an empty table).
    BadJumpTableEntrySize,
    /// A bit of the instruction bitmask past the end of the code is set.
    NonZeroPadding,
    /// A string is not valid UTF-8.
    InvalidUtf8,
    /// The metadata extension does not start with its magic bytes and a known format version.
    NotOurExtension,
    /// A field with a fixed list of values has another value.
    UnknownValue,
    /// A PolkaVM container does not begin with its magic bytes.
    NotPolkaVm,
    /// A PolkaVM container has an instruction set that is not known.
    UnknownInstructionSet,
    /// The length in a PolkaVM container is not that of the file.
    WrongFileLength,
    /// A section of a PolkaVM container is unknown, repeated or out of order.
    UnexpectedSection,
    /// The stored bytes of an area are more than the area has.
    DataExceedsArea,
    /// A PolkaVM container has no code.
    MissingCode,
    /// The code has another format than that of the version that was asked for.
    OtherCodeFormat,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.kind)
    }
}

impl fmt::Display for ParseErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParseErrorKind::UnexpectedEnd => "the input ends before the end of this field",
            ParseErrorKind::TrailingBytes => "unexpected bytes after the end of the container",
            ParseErrorKind::NonMinimalNumber => "the number is not in its shortest encoding",
            ParseErrorKind::NumberTooLarge => "the number exceeds the limit of its field",
            ParseErrorKind::BadJumpTableEntrySize => {
                "the entry size of the jump table is not 1 to 4 bytes (0 for an empty table)"
            }
            ParseErrorKind::NonZeroPadding => "the padding of the instruction bitmask is not zero",
            ParseErrorKind::InvalidUtf8 => "the string is not valid UTF-8",
            ParseErrorKind::NotOurExtension => "this is not a wasm-pvm metadata extension of a known version",
            ParseErrorKind::UnknownValue => "the field has an undefined value",
            ParseErrorKind::NotPolkaVm => "this is not a container of PolkaVM",
            ParseErrorKind::UnknownInstructionSet => {
                "the instruction set is neither JamV1 (3) nor ReviveV1 (0) nor Latest64 (2)"
            }
            ParseErrorKind::WrongFileLength => "the length is not that of the file, which may be truncated",
            ParseErrorKind::UnexpectedSection => "the section is unknown, repeated or out of order",
            ParseErrorKind::DataExceedsArea => "the stored bytes of a memory area exceed its size",
            ParseErrorKind::MissingCode => "the container has no code",
            ParseErrorKind::OtherCodeFormat => {
                "the code has another format than that of the given version of the Gray Paper"
            }
        })
    }
}

impl core::error::Error for ParseError {}

/// A cursor over the bytes of a container.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    pos: usize,
    /// Offset of `bytes` in the input, for errors.
    base: usize,
}

type Result<T> = core::result::Result<T, ParseError>;

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, pos: 0, base: 0 }
    }

    /// A reader of a part of the input; its error offsets count from the start of the whole input.
    pub(crate) fn nested(bytes: &'a [u8], base: usize) -> Self {
        Reader { bytes, pos: 0, base }
    }

    /// Offset of the next byte in the input.
    pub(crate) fn offset(&self) -> usize {
        self.base + self.pos
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.pos
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.pos..]
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        if len > self.remaining() {
            return Err(ParseError { offset: self.offset(), kind: ParseErrorKind::UnexpectedEnd });
        }
        let taken = &self.bytes[self.pos..self.pos + len];
        self.pos += len;
        Ok(taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// A little-endian number of `len` (0..=4) bytes.
    pub(crate) fn le(&mut self, len: usize) -> Result<u32> {
        Ok(le(self.take(len)?) as u32)
    }

    /// A number in the general natural encoding.
    pub(crate) fn nat(&mut self) -> Result<u64> {
        let offset = self.offset();
        let first = self.u8()?;
        let len = first.leading_ones();
        let low = le(self.take(len as usize)?);
        if len == 8 {
            return if low >> 56 == 0 { Err(non_minimal(offset)) } else { Ok(low) };
        }
        let high = u64::from(first) & (0x7f >> len);
        let value = high << (8 * len) | low;
        if len > 0 && value >> (7 * len) == 0 { Err(non_minimal(offset)) } else { Ok(value) }
    }

    /// A number in the general natural encoding that is at most `max`.
    pub(crate) fn nat_up_to(&mut self, max: u64) -> Result<u64> {
        let offset = self.offset();
        let value = self.nat()?;
        if value > max {
            return Err(ParseError { offset, kind: ParseErrorKind::NumberTooLarge });
        }
        Ok(value)
    }

    /// The number of elements of a list that follows, each of at least `min_size` (≥ 1) bytes.
    pub(crate) fn count(&mut self, min_size: usize) -> Result<usize> {
        let offset = self.offset();
        let n = self.nat()?;
        if n > (self.remaining() / min_size) as u64 {
            return Err(ParseError { offset, kind: ParseErrorKind::UnexpectedEnd });
        }
        Ok(n as usize)
    }

    /// A UTF-8 string preceded by its length in the general natural encoding.
    pub(crate) fn string(&mut self) -> Result<String> {
        let len = self.count(1)?;
        let offset = self.offset();
        let bytes = self.take(len)?;
        let text = core::str::from_utf8(bytes);
        let text = text.map_err(|_| ParseError { offset, kind: ParseErrorKind::InvalidUtf8 })?;
        Ok(text.to_owned())
    }

    /// A sequence preceded by its number of elements.
    pub(crate) fn sequence<T>(
        &mut self,
        min_size: usize,
        mut element: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let n = self.count(min_size)?;
        (0..n).map(|_| element(self)).collect()
    }

    /// Fails unless everything has been read.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.remaining() > 0 {
            return Err(ParseError { offset: self.offset(), kind: ParseErrorKind::TrailingBytes });
        }
        Ok(())
    }
}

/// Appends a number in the general natural encoding.
pub fn write_nat(value: u64, out: &mut Vec<u8>) {
    let len = (0..8u32).find(|l| value >> (7 * (l + 1)) == 0).unwrap_or(8);
    if len == 8 {
        out.push(0xff);
    } else {
        let marker = !(0xff >> len) as u8;
        out.push(marker | (value >> (8 * len)) as u8);
    }
    out.extend_from_slice(&value.to_le_bytes()[..len as usize]);
}

/// Appends a string preceded by its length.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    write_nat(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

fn le(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |v, &b| v << 8 | u64::from(b))
}

fn non_minimal(offset: usize) -> ParseError {
    ParseError { offset, kind: ParseErrorKind::NonMinimalNumber }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        write_nat(value, &mut out);
        out
    }

    #[test]
    fn numbers_of_the_text() {
        assert_eq!(encoded(0), [0]);
        assert_eq!(encoded(30), [0x1e]);
        assert_eq!(encoded(127), [0x7f]);
        assert_eq!(encoded(128), [0x80, 0x80]);
        assert_eq!(encoded(300), [0x81, 0x2c]);
        assert_eq!(encoded(16384), [0xc0, 0x00, 0x40]);
        assert_eq!(encoded(u64::MAX), [0xff; 9]);
    }

    #[test]
    fn numbers_round_trip_at_every_length() {
        for bit in 0..64 {
            for value in [1u64 << bit, (1u64 << bit) - 1, (1u64 << bit) | 1] {
                let bytes = encoded(value);
                let mut reader = Reader::new(&bytes);
                assert_eq!(reader.nat(), Ok(value));
                assert_eq!(reader.finish(), Ok(()));
            }
        }
    }

    #[test]
    fn longer_forms_of_a_number_are_refused() {
        for bytes in [&[0x80, 0x7f][..], &[0xc0, 0xff, 0x3f], &[0xff, 1, 0, 0, 0, 0, 0, 0, 0]] {
            let error = Reader::new(bytes).nat().expect_err("not the shortest form");
            assert_eq!(error, ParseError { offset: 0, kind: ParseErrorKind::NonMinimalNumber });
        }
    }

    #[test]
    fn a_count_cannot_exceed_the_input() {
        let bytes = encoded(1 << 40);
        let error = Reader::new(&bytes).count(1).expect_err("no bytes follow");
        assert_eq!(error.kind, ParseErrorKind::UnexpectedEnd);
    }
}
