//! The decoder: bytes to instructions.
//!
//! The meaning of a 16-bit form depends on whether it is in an IT block. The caller passes the block's condition, or
//! walks the code with [`Instructions`], which keeps track of it. Encodings that are not in the table or that the
//! architecture calls UNPREDICTABLE are not decoded.
//!
//! Invariant: a decoded instruction encodes in its form to the bytes it came from.

use std::sync::OnceLock;

use crate::form::{Form, Width};
use crate::inst::Inst;
use crate::operand::{Cond, ItState};
use crate::pattern::FlagRule;
use crate::table::Opcode;

/// An instruction with its encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decoded {
    /// The instruction.
    pub inst: Inst,
    /// Its encoding.
    pub form: Form,
    /// The condition of the IT block around it.
    pub it: Option<Cond>,
}

/// Width of the instruction that begins with this half-word.
pub const fn width(first: u16) -> Width {
    if first >> 11 >= 0b11101 { Width::Wide } else { Width::Narrow }
}

/// Decodes the instruction at the start of `bytes`; `None` if there is none in the table or the bytes end early.
///
/// `it` is the condition of the IT block around the instruction; `None` outside.
pub fn decode(bytes: &[u8], it: Option<Cond>) -> Option<Decoded> {
    let half = |at: usize| Some(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let first = half(0)?;
    let (width, word) = match width(first) {
        Width::Narrow => (Width::Narrow, u32::from(first)),
        Width::Wide => (Width::Wide, u32::from(first) << 16 | u32::from(half(2)?)),
    };
    let mut forms = candidates(first).iter().filter(|form| form.width() == width);
    forms.find_map(|&form| decode_as(form, word, it).map(|inst| Decoded { inst, form, it }))
}

/// The forms whose fixed bits agree with the upper bits of the first half-word, in the order of the table.
fn candidates(first: u16) -> &'static [Form] {
    const BITS: u32 = 9;
    static BUCKETS: OnceLock<Vec<Vec<Form>>> = OnceLock::new();
    let buckets = BUCKETS.get_or_init(|| {
        let forms: Vec<Form> = Opcode::ALL.iter().flat_map(|op| op.forms()).collect();
        let upper =
            |form: &Form, bits: u32| bits >> if form.width() == Width::Wide { 32 - BITS } else { 16 - BITS };
        let agrees = |form: &Form, bucket: u32| {
            let pattern = form.pattern();
            (bucket ^ upper(form, pattern.fixed)) & upper(form, pattern.mask) == 0
        };
        (0..1 << BITS)
            .map(|bucket| forms.iter().copied().filter(|form| agrees(form, bucket)).collect())
            .collect()
    });
    &buckets[usize::from(first >> (16 - BITS))]
}

/// Decodes bits as the given form; `None` if they don't have this form.
pub(crate) fn decode_as(form: Form, word: u32, it: Option<Cond>) -> Option<Inst> {
    let pattern = form.pattern();
    let mut fields = pattern.decode(word)?;
    match pattern.flag_rule {
        FlagRule::Free => {}
        FlagRule::Keeps => fields.set(b's', 0),
        FlagRule::SetsOutside => fields.set(b's', i64::from(it.is_none())),
        FlagRule::Sets => fields.set(b's', 1),
    }
    let inst = Inst::from_fields(form.op(), &fields)?;
    (inst.bits(form, it) == Some(word)).then_some(inst)
}

/// Walks code from its start. Encodings that are not in the table are skipped by their width.
#[derive(Clone, Debug)]
pub struct Instructions<'a> {
    code: &'a [u8],
    at: usize,
    it: ItState,
}

impl<'a> Instructions<'a> {
    /// All instructions of `code`, the first of which is outside an IT block.
    pub fn new(code: &'a [u8]) -> Self {
        Self { code, at: 0, it: ItState::default() }
    }
}

impl<'a> Iterator for Instructions<'a> {
    /// Position in bytes, and the instruction or the undecodable bytes.
    type Item = (usize, Result<Decoded, &'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.code.get(self.at..).filter(|rest| !rest.is_empty())?;
        let position = self.at;
        let decoded = decode(rest, self.it.cond());
        self.it.advance();
        if let Some(Decoded { inst: Inst::It { cond, mask, .. }, .. }) = decoded {
            self.it = ItState::begin(cond, mask);
        }
        let len = match rest {
            [low, high, ..] => width(u16::from_le_bytes([*low, *high])).bytes() as usize,
            _ => 1,
        };
        let len = len.min(rest.len());
        self.at += len;
        Some((position, decoded.ok_or(&rest[..len])))
    }
}
