//! The encoder: instructions to bytes.
//!
//! An instruction can have several encodings. The caller requests one by width ([`Inst::form`]) and gets the preferred
//! [`Form`] of that width, or none; there is no implicit choice. Many 16-bit forms set the flags outside IT blocks but
//! not inside. So the encoder needs the condition of the IT block that the instruction is in (`it`).
//!
//! Encoding is driven by the table: the operands become a value for each letter of the form's pattern, and the pattern
//! places their bits. [`crate::narrow`] finds equivalent instructions with a shorter form.

use crate::form::{Form, Width};
use crate::inst::Inst;
use crate::operand::Cond;
use crate::pattern::FlagRule;
use crate::table::Features;

impl Inst {
    /// The preferred encoding of this width, if there is one.
    ///
    /// `it` is the condition of the IT block around the instruction; `None` outside.
    pub fn form(&self, width: Width, it: Option<Cond>) -> Option<Form> {
        let mut forms = self.op().forms().filter(|form| form.width() == width);
        if !self.is_allowed_in(it) {
            return None;
        }
        forms.find(|&form| self.pattern_bits(form, it).is_some())
    }

    /// The preferred encoding of the smallest width, if the operands have any.
    pub fn shortest_form(&self, it: Option<Cond>) -> Option<Form> {
        self.form(Width::Narrow, it).or_else(|| self.form(Width::Wide, it))
    }

    /// The preferred encoding of the smallest width that a core with these features has, if the operands have any.
    pub fn shortest_form_of(&self, features: Features, it: Option<Cond>) -> Option<Form> {
        self.shortest_form(it).filter(|form| features.contains(form.feature()))
    }

    /// The bits of an encoding: 16, or 32 with the half-word that comes first in memory in the upper half. `None` if
    /// the operands don't fit.
    pub fn bits(&self, form: Form, it: Option<Cond>) -> Option<u32> {
        if !self.is_allowed_in(it) || form.op() != self.op() {
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

    /// Appends the bytes of an encoding. Panics if the operands don't fit it; [`form`](Self::form) returns a form that
    /// fits.
    pub fn encode(&self, form: Form, it: Option<Cond>, out: &mut Vec<u8>) {
        let bits = self.bits(form, it).unwrap_or_else(|| panic!("`{self}` can't be encoded as {form:?}"));
        if form.width() == Width::Wide {
            out.extend_from_slice(&((bits >> 16) as u16).to_le_bytes());
        }
        out.extend_from_slice(&(bits as u16).to_le_bytes());
    }

    fn is_allowed_in(&self, it: Option<Cond>) -> bool {
        self.is_valid() && (it.is_none() || self.op().allowed_in_it())
    }
}
