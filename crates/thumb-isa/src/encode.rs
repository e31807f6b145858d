//! Instructions to bytes.
//!
//! An instruction can have several encodings. The caller names the one it wants by width ([`Inst::form`]) and gets the
//! preferred [`Form`] of that width, or none; nothing is chosen behind its back. Because 16-bit forms set the flags
//! outside of IT blocks and not inside, the condition under which the instruction stands (`it`) takes part.
//!
//! Encoding is by table: the operands become a value for each letter of the form's pattern, and the pattern places
//! them. [`crate::narrow`] finds instructions with a shorter form that do the same.

use crate::inst::Inst;
use crate::operand::Cond;
use crate::pattern::{FlagRule, Pattern};
use crate::table::Opcode;
use crate::value::Range;

/// How many bytes an encoding takes.
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
    pub(crate) const fn new(op: Opcode, index: u8) -> Form {
        Form { op, index }
    }

    /// The opcode.
    pub const fn op(self) -> Opcode {
        self.op
    }

    /// The width.
    pub fn width(self) -> Width {
        if self.pattern().is_wide { Width::Wide } else { Width::Narrow }
    }

    /// The immediates or offsets the form can hold, if it has such a field and they lie at equal distances. For
    /// branches, literal loads and `adr` this is the reach, relative to the program counter that the offset counts from.
    pub fn range(self) -> Option<Range> {
        let pattern = self.pattern();
        let bits = pattern.field_bits(b'i');
        (bits > 0).then(|| pattern.coding.range(bits)).flatten()
    }

    pub(crate) fn pattern(self) -> &'static Pattern {
        &self.op.patterns()[usize::from(self.index)]
    }
}

impl Inst {
    /// The preferred encoding of this width, if there is one.
    ///
    /// `it` is the condition of the IT block around the instruction; `None` outside.
    pub fn form(&self, width: Width, it: Option<Cond>) -> Option<Form> {
        let mut forms = self.op().forms().filter(|form| form.width() == width);
        if !self.can_stand_in(it) {
            return None;
        }
        forms.find(|&form| self.pattern_bits(form, it).is_some())
    }

    /// The preferred encoding of the least width, if the operands have any.
    pub fn shortest_form(&self, it: Option<Cond>) -> Option<Form> {
        self.form(Width::Narrow, it).or_else(|| self.form(Width::Wide, it))
    }

    /// The bits of an encoding: 16, or 32 with the half-word that comes first in memory on top. `None` if the operands
    /// do not fit.
    pub fn bits(&self, form: Form, it: Option<Cond>) -> Option<u32> {
        if !self.can_stand_in(it) || form.op != self.op() {
            return None;
        }
        self.pattern_bits(form, it)
    }

    /// The bits of an encoding of a valid instruction.
    fn pattern_bits(&self, form: Form, it: Option<Cond>) -> Option<u32> {
        let pattern = form.pattern();
        let sets_flags = self.sets_flags().unwrap_or(false);
        let fits = match pattern.flag_rule {
            FlagRule::Free => true,
            FlagRule::Keeps => !sets_flags,
            FlagRule::SetsOutside => sets_flags == it.is_none(),
            FlagRule::Sets => sets_flags && it.is_none(),
        };
        if fits { pattern.encode(&self.fields()) } else { None }
    }

    /// Appends the bytes of an encoding. Panics if the operands do not fit it; [`form`](Self::form) says which they fit.
    pub fn encode(&self, form: Form, it: Option<Cond>, out: &mut Vec<u8>) {
        let bits = self.bits(form, it).unwrap_or_else(|| panic!("`{self}` has no such form"));
        if form.width() == Width::Wide {
            out.extend_from_slice(&((bits >> 16) as u16).to_le_bytes());
        }
        out.extend_from_slice(&(bits as u16).to_le_bytes());
    }

    fn can_stand_in(&self, it: Option<Cond>) -> bool {
        self.is_valid() && (it.is_none() || self.op().allowed_in_it())
    }
}
