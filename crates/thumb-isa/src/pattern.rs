//! Bit patterns: how the fields of one form of an instruction lie in its bits.
//!
//! A form is written as the architecture manual draws it: `0` and `1` are fixed bits, a letter is a bit of the field
//! with that name, most significant first, blanks are ignored. An upper-case letter is a bit of the same field
//! below all lower-case ones (single-precision register numbers end in a bit that stands before the others). One
//! string so gives encoder, decoder and the generator of random instructions.
//!
//! | letter | field |
//! |---|---|
//! | `d n m a t` | registers: destination, first and second source, accumulator or upper half, transferred |
//! | `s` | whether flags are set |
//! | `i` | the immediate, offset or register list, stored as the form's [`Coding`] says |
//! | `h` | shift: amount, then kind |
//! | `l w` | bit field: lowest bit, width; derived: `z` width - 1, `e` highest bit |
//! | `r` | rotation by bytes |
//! | `c k` | condition, IT mask |
//! | `b` | whether the base is written back; derived: `o` whether the base is not in the list |
//! | `y` | system register |
//! | `v` | number of registers |
//!
//! What a form can't say in bits are constraints: a field that equals another (`n=d` for two-address forms) or a
//! constant (`n=13` for `sp`-relative forms). A field that has no bits gets its value from its constraint.
//!
//! Invariants: a form's bits and constraints tell every field of its format; within one opcode, two forms of one width
//! accept disjoint instructions or the first is preferred.

use crate::value::Coding;

/// A value for each letter that has one.
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

    /// Sets the derived fields from those they derive from, or the other way around.
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

/// What a form does about flags, if its format can ask for them to be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FlagRule {
    /// The field `s` is in the bits, or the format has none.
    Free,
    /// Never sets them.
    Keeps,
    /// Sets them outside of IT blocks and doesn't inside.
    SetsOutside,
    /// Sets them; does not exist in IT blocks.
    Sets,
}

/// A field's prescribed value.
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

/// Neighbouring bits of a form that are neighbours in a field, too.
#[derive(Clone, Copy, Debug)]
struct Run {
    letter: u8,
    /// Lowest bit in the field.
    place: u8,
    /// Lowest bit in the form.
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
    /// Text has `.w` behind the mnemonic.
    pub(crate) has_suffix: bool,
    pub(crate) flag_rule: FlagRule,
    pub(crate) coding: Coding,
    /// Which bits are fixed.
    pub(crate) mask: u32,
    /// The fixed bits.
    pub(crate) fixed: u32,
    /// The other bits.
    runs: [Option<Run>; MAX_RUNS],
    /// How many bits each field has.
    widths: [u8; 26],
    constraints: [Option<Constraint>; MAX_CONSTRAINTS],
}

/// The words that introduce a form in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(non_camel_case_types, reason = "the names are the words of the table")]
pub(crate) enum Kind {
    /// 16 bits, flags stay.
    narrow,
    /// 16 bits, flags are set outside of IT blocks.
    narrow_s,
    /// 16 bits, flags are set, not in IT blocks.
    narrow_sets,
    /// 32 bits.
    wide,
    /// 32 bits, with `.w` in text.
    wide_w,
}

impl Pattern {
    /// Reads the table's description. Panics (at compile time) if it is malformed.
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
                letter => form.add_bit(letter.to_ascii_lowercase(), place_in_field(text, index), at),
            }
            at += 1;
        }
        assert!(at == if is_wide { 32 } else { 16 }, "a form has 16 or 32 bits");
        form
    }

    /// Adds the bit `at` of the form, which is the bit `place` of a field. Bits come from the lowest up.
    const fn add_bit(&mut self, letter: u8, place: u8, at: u8) {
        self.widths[(letter - b'a') as usize] += 1;
        let mut count = 0;
        while let Some(run) = &mut self.runs[count] {
            if run.letter == letter && run.place + run.len == place && run.at + run.len == at {
                run.len += 1;
                return;
            }
            count += 1;
        }
        self.runs[count] = Some(Run { letter, place, at, len: 1 });
    }

    /// Number of bits the field `letter` has here.
    pub(crate) fn field_bits(&self, letter: u8) -> u32 {
        u32::from(self.widths[usize::from(letter - b'a')])
    }

    /// Whether field `n` must equal field `d`: text then names the register once.
    pub(crate) fn is_two_address(&self) -> bool {
        self.constraints.iter().flatten().any(|c| (c.letter, c.value) == (b'n', Prescribed::Field(b'd')))
    }

    /// The bits for these fields; `None` if some value doesn't fit or violates a constraint.
    pub(crate) fn encode(&self, fields: &Fields) -> Option<u32> {
        let mut fields = *fields;
        fields.derive();
        self.apply_constraints(&mut fields)?;
        let mut word = self.fixed;
        for run in self.runs() {
            let bits = self.field_bits(run.letter);
            let raw = self.coding_of(run.letter).encode(fields.get(run.letter)?, bits)?;
            word |= (raw >> run.place & run.mask()) << run.at;
        }
        Some(word)
    }

    /// The fields in these bits; `None` if they are not of this form.
    pub(crate) fn decode(&self, word: u32) -> Option<Fields> {
        if word & self.mask != self.fixed {
            return None;
        }
        let mut raw = Fields::default();
        for run in self.runs() {
            let bits = i64::from(word >> run.at & run.mask()) << run.place;
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

    /// Random field bits, with constraints between fields that have bits satisfied. For the generator.
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
        let bits =
            |run: &Run| (raw.get(run.letter).unwrap_or_default() as u32 >> run.place & run.mask()) << run.at;
        self.runs().fold(self.fixed, |word, run| word | bits(run))
    }

    /// Whether every field of the format is told by the bits, by a constraint, or by another field.
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

    /// Sets fields that have no value yet; `None` if one has another value.
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

/// How many bits of the same field are less significant than the one at `at`.
const fn place_in_field(text: &[u8], at: usize) -> u8 {
    let letter = text[at];
    assert!(letter.is_ascii_alphabetic(), "a pattern has digits, letters and blanks");
    let mut place = 0;
    let mut i = 0;
    while i < text.len() {
        let is_behind = text[i] == letter && i > at;
        let is_below = letter.is_ascii_lowercase() && text[i] == letter.to_ascii_uppercase();
        if is_behind || is_below {
            place += 1;
        }
        i += 1;
    }
    place
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
