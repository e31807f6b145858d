//! The instruction bitmask: which bytes of code are the starts of instructions.

use crate::reader::{ParseError, ParseErrorKind, Reader};

/// One bit per code byte; set where an instruction begins.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bitmask {
    bytes: Vec<u8>,
    len: usize,
}

impl Bitmask {
    /// A mask of `len` clear bits.
    pub fn new(len: usize) -> Self {
        Bitmask { bytes: vec![0; len.div_ceil(8)], len }
    }

    /// The number of bits.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the mask has no bits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bit at `index`; clear past the end.
    pub fn get(&self, index: usize) -> bool {
        self.bytes.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 != 0)
    }

    /// Sets the bit at `index`.
    ///
    /// # Panics
    ///
    /// If `index` is past the end.
    pub fn set(&mut self, index: usize) {
        assert!(index < self.len, "bit {index} of {}", self.len);
        self.bytes[index / 8] |= 1 << (index % 8);
    }

    /// Appends clear bits up to a length of `len`.
    pub fn grow(&mut self, len: usize) {
        self.len = self.len.max(len);
        self.bytes.resize(self.len.div_ceil(8), 0);
    }

    /// The packed bits; padding is zero.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn parse(reader: &mut Reader<'_>, len: usize) -> Result<Self, ParseError> {
        let bytes = reader.take(len.div_ceil(8))?.to_vec();
        let padding =
            bytes.last().map_or(0, |last| (u16::from(*last) >> (len - (bytes.len() - 1) * 8)) as u8);
        if padding != 0 {
            return Err(ParseError { offset: reader.offset() - 1, kind: ParseErrorKind::NonZeroPadding });
        }
        Ok(Bitmask { bytes, len })
    }
}
