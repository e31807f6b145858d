//! Where arguments and results travel by the procedure call standard (AAPCS), written down from its text.
//!
//! A word goes to the next core register, two words to an even-aligned pair; what does not fit goes to the stack, and
//! everything of core registers after it. With float registers in the calling convention a float goes to the lowest
//! free registers of its size, until one does not fit. Several results are members of a structure, whose address is a
//! hidden first argument.

/// A value's type at the boundary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// Single-precision float.
    F32,
    /// Double-precision float.
    F64,
}

impl Type {
    /// Words of a value.
    pub const fn words(self) -> usize {
        match self {
            Self::I32 | Self::F32 => 1,
            Self::I64 | Self::F64 => 2,
        }
    }
}

/// Where a word is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Core(usize),
    Float(usize),
    Stack(usize),
}

/// Argument or result words by place.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Words {
    /// r0 to r3.
    pub core: [u32; 4],
    /// s0 to s15.
    pub floats: [u32; 16],
    /// The stack, from its pointer up.
    pub stack: Vec<u32>,
}

impl Words {
    /// Values as arguments.
    pub fn arguments(has_floats: bool, types: &[Type], values: &[u64]) -> Self {
        let mut words = Self::default();
        for (places, &value) in places(has_floats, types).iter().zip(values) {
            for (&place, word) in places.iter().zip([value as u32, (value >> 32) as u32]) {
                words.put(place, word);
            }
        }
        words
    }

    /// The values that these are as arguments.
    pub fn values(&self, has_floats: bool, types: &[Type]) -> Vec<u64> {
        let get = |place: Place| match place {
            Place::Core(n) => self.core[n],
            Place::Float(n) => self.floats[n],
            Place::Stack(n) => self.stack.get(n).copied().unwrap_or_default(),
        };
        let value = |places: &Vec<Place>| {
            places.iter().rev().fold(0, |value, &place| value << 32 | u64::from(get(place)))
        };
        places(has_floats, types).iter().map(value).collect()
    }

    /// How many words of the stack these types take as arguments.
    pub fn stack_words(has_floats: bool, types: &[Type]) -> usize {
        let index = |place: &Place| if let Place::Stack(n) = place { n + 1 } else { 0 };
        places(has_floats, types).iter().flatten().map(index).max().unwrap_or(0)
    }

    fn put(&mut self, place: Place, word: u32) {
        match place {
            Place::Core(n) => self.core[n] = word,
            Place::Float(n) => self.floats[n] = word,
            Place::Stack(n) => {
                if self.stack.len() <= n {
                    self.stack.resize(n + 1, 0x57ac_57ac);
                }
                self.stack[n] = word;
            }
        }
    }
}

/// The words of a structure with these members, which is what several results are.
pub fn structure(types: &[Type], values: &[u64]) -> Vec<u32> {
    let mut words = Vec::new();
    for (ty, &value) in types.iter().zip(values) {
        words.resize(words.len().next_multiple_of(ty.words()), 0);
        words.extend(&[value as u32, (value >> 32) as u32][..ty.words()]);
    }
    words
}

/// The values of a structure's members.
pub fn members(types: &[Type], words: &[u32]) -> Vec<u64> {
    let mut at = 0usize;
    let mut values = Vec::new();
    for ty in types {
        at = at.next_multiple_of(ty.words());
        let member = &words[at..at + ty.words()];
        values.push(member.iter().rev().fold(0, |value, &word| value << 32 | u64::from(word)));
        at += ty.words();
    }
    values
}

fn places(has_floats: bool, types: &[Type]) -> Vec<Vec<Place>> {
    let mut free = Free { core: 0, floats: 0xffff, stack: 0 };
    types.iter().map(|&ty| free.take(has_floats, ty)).collect()
}

struct Free {
    core: usize,
    /// A bit for each free single-precision register.
    floats: u32,
    stack: usize,
}

impl Free {
    fn take(&mut self, has_floats: bool, ty: Type) -> Vec<Place> {
        let words = ty.words();
        if has_floats && matches!(ty, Type::F32 | Type::F64) {
            let mask = (1 << words) - 1;
            if let Some(first) = (0..16).step_by(words).find(|&n| self.floats >> n & mask == mask) {
                self.floats &= !(mask << first);
                return (first..first + words).map(Place::Float).collect();
            }
            self.floats = 0;
            return self.stack(words);
        }
        self.core = self.core.next_multiple_of(words);
        if self.core + words <= 4 {
            self.core += words;
            return (self.core - words..self.core).map(Place::Core).collect();
        }
        self.core = 4;
        self.stack(words)
    }

    fn stack(&mut self, words: usize) -> Vec<Place> {
        let first = self.stack.next_multiple_of(words);
        self.stack = first + words;
        (first..first + words).map(Place::Stack).collect()
    }
}
