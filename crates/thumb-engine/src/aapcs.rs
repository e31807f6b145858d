//! Locations of arguments and results by the procedure call standard (AAPCS), implemented from its specification.
//!
//! A value of one word goes to the next core register, one of two words to an even-aligned pair. From the first such
//! value that doesn't fit, all go to the stack. If the calling convention uses float registers, a float goes to the
//! lowest free registers of its size. From the first float that doesn't fit, all go to the stack. Several results are
//! members of a structure, whose address is a hidden first argument.

/// The type of an argument or result.
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
    /// The number of 32-bit words of a value.
    pub const fn words(self) -> usize {
        match self {
            Self::I32 | Self::F32 => 1,
            Self::I64 | Self::F64 => 2,
        }
    }
}

/// The location of a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Location {
    Core(usize),
    Float(usize),
    Stack(usize),
}

/// Argument or result words by location.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Words {
    /// r0 to r3.
    pub core: [u32; 4],
    /// s0 to s15.
    pub floats: [u32; 16],
    /// The stack, from the stack pointer upwards.
    pub stack: Vec<u32>,
}

impl Words {
    /// The words of arguments with these types and values.
    pub fn arguments(has_floats: bool, types: &[Type], values: &[u64]) -> Self {
        let mut words = Self::default();
        for (locations, &value) in locations(has_floats, types).iter().zip(values) {
            for (&location, word) in locations.iter().zip([value as u32, (value >> 32) as u32]) {
                words.put(location, word);
            }
        }
        words
    }

    /// The values of arguments with these types.
    pub fn values(&self, has_floats: bool, types: &[Type]) -> Vec<u64> {
        let get = |location: Location| match location {
            Location::Core(n) => self.core[n],
            Location::Float(n) => self.floats[n],
            Location::Stack(n) => self.stack.get(n).copied().unwrap_or_default(),
        };
        let value = |locations: &Vec<Location>| {
            locations.iter().rev().fold(0, |value, &location| value << 32 | u64::from(get(location)))
        };
        locations(has_floats, types).iter().map(value).collect()
    }

    /// The number of stack words that arguments of these types take.
    pub fn stack_words(has_floats: bool, types: &[Type]) -> usize {
        let index = |location: &Location| if let Location::Stack(n) = location { n + 1 } else { 0 };
        locations(has_floats, types).iter().flatten().map(index).max().unwrap_or(0)
    }

    fn put(&mut self, location: Location, word: u32) {
        match location {
            Location::Core(n) => self.core[n] = word,
            Location::Float(n) => self.floats[n] = word,
            Location::Stack(n) => {
                if self.stack.len() <= n {
                    self.stack.resize(n + 1, 0x57ac_57ac);
                }
                self.stack[n] = word;
            }
        }
    }
}

/// The words of a structure with these members; several results are returned as such a structure.
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

fn locations(has_floats: bool, types: &[Type]) -> Vec<Vec<Location>> {
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
    fn take(&mut self, has_floats: bool, ty: Type) -> Vec<Location> {
        let words = ty.words();
        if has_floats && matches!(ty, Type::F32 | Type::F64) {
            let mask = (1 << words) - 1;
            if let Some(first) = (0..16).step_by(words).find(|&n| self.floats >> n & mask == mask) {
                self.floats &= !(mask << first);
                return (first..first + words).map(Location::Float).collect();
            }
            self.floats = 0;
            return self.stack(words);
        }
        self.core = self.core.next_multiple_of(words);
        if self.core + words <= 4 {
            self.core += words;
            return (self.core - words..self.core).map(Location::Core).collect();
        }
        self.core = 4;
        self.stack(words)
    }

    fn stack(&mut self, words: usize) -> Vec<Location> {
        let first = self.stack.next_multiple_of(words);
        self.stack = first + words;
        (first..first + words).map(Location::Stack).collect()
    }
}
