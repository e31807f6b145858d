//! Bit patterns: the positions of an instruction's fields in the bits of one encoding (form).
//!
//! A form is written as the architecture manual draws it: `0` and `1` are fixed bits, a letter is a bit of the field
//! with that name, most significant first, blanks are ignored. An upper-case letter is a bit of the same field that is
//! less significant than all lower-case ones. (The lowest bit of a single-precision register number comes before the
//! others in the encoding.) Encoder, decoder and the generator of random instructions all use this one string.
//!
//! | letter | field |
//! |---|---|
//! | `d n m a t` | registers: destination, first and second source, accumulator or upper half, transferred |
//! | `s` | whether flags are set |
//! | `i` | the immediate, offset, register list or number of registers, stored as the form's [`Coding`] says |
//! | `h` | shift: amount, then kind |
//! | `l w` | bit field: lowest bit, width; derived: `z` width - 1, `e` highest bit |
//! | `r` | rotation by bytes |
//! | `c k` | condition, IT mask |
//! | `b` | whether the base is written back; derived: `o` whether the base is not in the list |
//! | `y` | system register |
//!
//! Restrictions that bits can't express are constraints: a field equals another (`n=d` for two-address forms) or a
//! constant (`n=13` for `sp`-relative forms). A field without bits gets its value from its constraint.
//!
//! Invariants: the bits and constraints of a form determine every field of its format. If two forms of one opcode and
//! width accept the same instruction, the first is preferred.

use crate::value::Coding;

/// The values of fields, by letter.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fields {
    values: [i64; 26],
    present: u32,
}

impl Fields {
    pub(crate) const fn get(&self, letter: u8) -> Option<i64> {
        let index = letter - b'a';
        if self.present >> index & 1 == 1 { Some(self.values[index as usize]) } else { None }
    }

    pub(crate) const fn set(&mut self, letter: u8, value: i64) {
        let index = letter - b'a';
        self.values[index as usize] = value;
        self.present |= 1 << index;
    }

    /// Computes the derived fields from the fields they derive from, or the reverse.
    fn derive(&mut self) {
        match (self.get(b'l'), self.get(b'w'), self.get(b'z'), self.get(b'e')) {
            (Some(low), Some(width), ..) => {
                self.set(b'z', width - 1);
                self.set(b'e', low + width - 1);
            }
            (Some(_), None, Some(less), _) => self.set(b'w', less + 1),
            (Some(low), None, None, Some(high)) => self.set(b'w', high - low + 1),
            _ => {}
        }
        if let (Some(base), Some(list)) = (self.get(b'n'), self.get(b'i')) {
            self.set(b'o', !list >> base & 1);
        }
    }
}

/// Whether a form sets the flags, for formats with an optional flag update.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FlagRule {
    /// The field `s` is in the bits, or the format has none.
    Free,
    /// Never sets the flags.
    Keeps,
    /// Sets the flags outside IT blocks and keeps them inside.
    SetsOutside,
    /// Sets the flags; does not exist in IT blocks.
    Sets,
}

/// A constraint: the required value of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Constraint {
    letter: u8,
    value: Prescribed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Prescribed {
    Field(u8),
    Number(i64),
}

/// Adjacent bits of a form that are also adjacent in a field.
#[derive(Clone, Copy, Debug)]
struct Run {
    letter: u8,
    /// Position of its lowest bit in the field.
    field_bit: u8,
    /// Position of its lowest bit in the form.
    at: u8,
    len: u8,
}

const MAX_CONSTRAINTS: usize = 3;
const MAX_RUNS: usize = 8;

/// One form of an instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern {
    /// 16 or 32 bits.
    pub(crate) is_wide: bool,
    /// Whether the mnemonic has the suffix `.w` in text.
    pub(crate) has_suffix: bool,
    pub(crate) flag_rule: FlagRule,
    pub(crate) coding: Coding,
    /// The positions of the fixed bits.
    pub(crate) mask: u32,
    /// The values of the fixed bits.
    pub(crate) fixed: u32,
    /// The other bits.
    runs: [Option<Run>; MAX_RUNS],
    /// The number of bits of each field.
    widths: [u8; 26],
    constraints: [Option<Constraint>; MAX_CONSTRAINTS],
}

/// The words that introduce a form in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(non_camel_case_types, reason = "the names are the words of the table")]
pub(crate) enum Kind {
    /// 16 bits, keeps the flags.
    narrow,
    /// 16 bits, sets the flags outside IT blocks.
    narrow_s,
    /// 16 bits, sets the flags; not allowed in IT blocks.
    narrow_sets,
    /// 32 bits.
    wide,
    /// 32 bits, with `.w` in text.
    wide_w,
}

impl Pattern {
    /// Parses the description in the table. Panics (at compile time) if it is malformed.
    pub(crate) const fn new(kind: Kind, pattern: &str, coding: Coding, constraints: &str) -> Pattern {
        let is_wide = matches!(kind, Kind::wide | Kind::wide_w);
        let flag_rule = match kind {
            Kind::wide | Kind::wide_w => FlagRule::Free,
            Kind::narrow => FlagRule::Keeps,
            Kind::narrow_s => FlagRule::SetsOutside,
            Kind::narrow_sets => FlagRule::Sets,
        };
        let mut form = Pattern {
            is_wide,
            has_suffix: matches!(kind, Kind::wide_w),
            flag_rule,
            coding,
            mask: 0,
            fixed: 0,
            runs: [None; MAX_RUNS],
            widths: [0; 26],
            constraints: parse_constraints(constraints.as_bytes()),
        };
        let text = pattern.as_bytes();
        let mut index = text.len();
        let mut at = 0;
        while index > 0 {
            index -= 1;
            match text[index] {
                b' ' => continue,
                bit @ (b'0' | b'1') => {
                    form.mask |= 1 << at;
                    form.fixed |= ((bit - b'0') as u32) << at;
                }
                letter => form.add_bit(letter.to_ascii_lowercase(), bit_in_field(text, index), at),
            }
            at += 1;
        }
        assert!(at == if is_wide { 32 } else { 16 }, "a form has 16 or 32 bits");
        form
    }

    /// Adds bit `at` of the form, which is bit `field_bit` of a field. Bits are added in ascending order.
    const fn add_bit(&mut self, letter: u8, field_bit: u8, at: u8) {
        self.widths[(letter - b'a') as usize] += 1;
        let mut count = 0;
        while let Some(run) = &mut self.runs[count] {
            if run.letter == letter && run.field_bit + run.len == field_bit && run.at + run.len == at {
                run.len += 1;
                return;
            }
            count += 1;
        }
        self.runs[count] = Some(Run { letter, field_bit, at, len: 1 });
    }

    /// The number of bits of the field `letter`.
    pub(crate) fn field_bits(&self, letter: u8) -> u32 {
        u32::from(self.widths[usize::from(letter - b'a')])
    }

    /// Whether field `n` must equal field `d`: text then names the register once.
    pub(crate) fn is_two_address(&self) -> bool {
        self.constraints.iter().flatten().any(|c| (c.letter, c.value) == (b'n', Prescribed::Field(b'd')))
    }

    /// The bits for these fields; `None` if a value doesn't fit or violates a constraint.
    pub(crate) fn encode(&self, fields: &Fields) -> Option<u32> {
        let mut fields = *fields;
        fields.derive();
        self.apply_constraints(&mut fields)?;
        let mut word = self.fixed;
        for run in self.runs() {
            let bits = self.field_bits(run.letter);
            let raw = self.coding_of(run.letter).encode(fields.get(run.letter)?, bits)?;
            word |= (raw >> run.field_bit & run.mask()) << run.at;
        }
        Some(word)
    }

    /// The fields in these bits; `None` if the bits don't have this form.
    pub(crate) fn decode(&self, word: u32) -> Option<Fields> {
        if word & self.mask != self.fixed {
            return None;
        }
        let mut raw = Fields::default();
        for run in self.runs() {
            let bits = i64::from(word >> run.at & run.mask()) << run.field_bit;
            raw.set(run.letter, raw.get(run.letter).unwrap_or(0) | bits);
        }
        let mut fields = Fields::default();
        for letter in self.runs().map(|run| run.letter) {
            let bits = raw.get(letter)? as u32;
            fields.set(letter, self.coding_of(letter).decode(bits, self.field_bits(letter))?);
        }
        fields.derive();
        self.apply_constraints(&mut fields)?;
        Some(fields)
    }

    /// Bits with random fields, for the generator. Constraints between fields that both have bits are satisfied.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn fill(&self, mut random: impl FnMut(u32) -> u32) -> u32 {
        let mut raw = Fields::default();
        for letter in (b'a'..=b'z').filter(|&letter| self.field_bits(letter) > 0) {
            raw.set(letter, i64::from(random(self.field_bits(letter))));
        }
        for constraint in self.constraints.iter().flatten() {
            if let Prescribed::Field(other) = constraint.value {
                raw.set(constraint.letter, raw.get(other).unwrap_or_default());
            }
        }
        let bits = |run: &Run| {
            (raw.get(run.letter).unwrap_or_default() as u32 >> run.field_bit & run.mask()) << run.at
        };
        self.runs().fold(self.fixed, |word, run| word | bits(run))
    }

    /// Whether the field `letter` is determined by bits, by a constraint, or by another field.
    #[cfg(test)]
    pub(crate) fn covers(&self, letter: u8) -> bool {
        self.field_bits(letter) > 0
            || self.constraints.iter().flatten().any(|c| c.letter == letter)
            || letter == b'w' && self.field_bits(b'z') + self.field_bits(b'e') > 0
            || letter == b's' && self.flag_rule != FlagRule::Free
    }

    const fn coding_of(&self, letter: u8) -> Coding {
        if letter == b'i' { self.coding } else { Coding::Raw }
    }

    fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().map_while(Option::as_ref)
    }

    /// Sets constrained fields that have no value yet; `None` if one has a different value.
    fn apply_constraints(&self, fields: &mut Fields) -> Option<()> {
        for &Constraint { letter, value } in self.constraints.iter().flatten() {
            let wanted = match value {
                Prescribed::Field(other) => fields.get(other),
                Prescribed::Number(number) => Some(number),
            };
            match (fields.get(letter), wanted) {
                (None, Some(wanted)) => fields.set(letter, wanted),
                (Some(actual), Some(wanted)) if actual == wanted => {}
                (_, None) => {}
                (Some(_), Some(_)) => return None,
            }
        }
        Some(())
    }
}

impl Run {
    const fn mask(&self) -> u32 {
        (1 << self.len) - 1
    }
}

/// The position in its field of the bit at `at`: the number of less significant bits of the field.
const fn bit_in_field(text: &[u8], at: usize) -> u8 {
    let letter = text[at];
    assert!(letter.is_ascii_alphabetic(), "a pattern has digits, letters and blanks");
    let mut position = 0;
    let mut i = 0;
    while i < text.len() {
        let is_after = text[i] == letter && i > at;
        let is_below = letter.is_ascii_lowercase() && text[i] == letter.to_ascii_uppercase();
        if is_after || is_below {
            position += 1;
        }
        i += 1;
    }
    position
}

/// `a=b c=12`: pairs separated by blanks.
const fn parse_constraints(text: &[u8]) -> [Option<Constraint>; MAX_CONSTRAINTS] {
    let mut found = [None; MAX_CONSTRAINTS];
    let mut count = 0;
    let mut at = 0;
    while at < text.len() {
        assert!(text[at].is_ascii_lowercase() && text[at + 1] == b'=', "a constraint is `letter=value`");
        let letter = text[at];
        at += 2;
        let value = if text[at].is_ascii_lowercase() {
            at += 1;
            Prescribed::Field(text[at - 1])
        } else {
            let mut number = 0;
            while at < text.len() && text[at].is_ascii_digit() {
                number = number * 10 + (text[at] - b'0') as i64;
                at += 1;
            }
            Prescribed::Number(number)
        };
        found[count] = Some(Constraint { letter, value });
        count += 1;
        at += 1;
    }
    found
}
