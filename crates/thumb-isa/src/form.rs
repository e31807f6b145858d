//! Forms: the encodings of an opcode.
//!
//! A form is one of the bit patterns in the opcode's row of the table. The preferred one of each width comes first.

use crate::format::Format;
use crate::pattern::Pattern;
use crate::table::{Feature, Opcode};
use crate::value::Range;

/// The length of an encoding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Width {
    /// 2 bytes.
    Narrow,
    /// 4 bytes.
    Wide,
}

impl Width {
    /// The number of bytes.
    pub const fn bytes(self) -> u32 {
        match self {
            Width::Narrow => 2,
            Width::Wide => 4,
        }
    }
}

/// One of the encodings of an opcode.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Form {
    op: Opcode,
    index: u8,
}

impl Form {
    /// The opcode.
    pub const fn op(self) -> Opcode {
        self.op
    }

    /// The width.
    pub fn width(self) -> Width {
        if self.pattern().is_wide { Width::Wide } else { Width::Narrow }
    }

    /// The range of the form's immediate or offset, if it has one and its values are evenly spaced. For branches,
    /// literal loads and `adr` this is the reach, relative to the program counter value that the offset counts from.
    pub fn range(self) -> Option<Range> {
        let pattern = self.pattern();
        let bits = pattern.field_bits(b'i');
        (bits > 0).then(|| pattern.coding.range(bits)).flatten()
    }

    /// The feature that a core must have for this form.
    pub fn feature(self) -> Feature {
        match (self.width(), self.op.format()) {
            (Width::Wide, _) | (_, Format::It | Format::CmpBranch) => self.op.feature(),
            (Width::Narrow, _) => Feature::V6,
        }
    }

    pub(crate) fn pattern(self) -> &'static Pattern {
        &self.op.patterns()[usize::from(self.index)]
    }
}

impl Opcode {
    /// The forms, preferred ones first.
    pub fn forms(self) -> impl Iterator<Item = Form> {
        (0..self.patterns().len()).map(move |index| Form { op: self, index: index as u8 })
    }

    /// The immediates or offsets of the preferred form of this width, see [`Form::range`].
    pub fn reach(self, width: Width) -> Option<Range> {
        self.forms().find(|form| form.width() == width)?.range()
    }
}
