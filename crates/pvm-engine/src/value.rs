//! Values of WebAssembly: their types, their text and their machine words.
//!
//! Integers are read in decimal or, with `0x`, in hexadecimal, as signed or as unsigned numbers. Floats are read as Rust
//! reads them (decimal, `inf`, `nan`), and as `nan:0x` with the payload of the NaN. References are read as `null` only:
//! others have no meaning outside of a program. Values are written as `wasmtime` writes them.

use std::fmt::{self, Display, Formatter};

/// A type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub enum ValueType {
    I32,
    I64,
    F32,
    F64,
    V128,
    FuncRef,
    ExternRef,
}

impl ValueType {
    /// The type with this letter in the metadata.
    pub const fn of_letter(letter: char) -> Option<Self> {
        Some(match letter {
            'i' => Self::I32,
            'I' => Self::I64,
            'f' => Self::F32,
            'F' => Self::F64,
            'v' => Self::V128,
            'r' => Self::FuncRef,
            'e' => Self::ExternRef,
            _ => return None,
        })
    }

    /// The name of the type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::V128 => "v128",
            Self::FuncRef => "funcref",
            Self::ExternRef => "externref",
        }
    }

    /// The number of machine words of a value.
    pub const fn words(self) -> usize {
        if matches!(self, Self::V128) { 2 } else { 1 }
    }

    /// The number of bytes of a value in memory.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::I32 | Self::F32 => 4,
            Self::V128 => 16,
            _ => 8,
        }
    }

    /// Reads a value; `None` if the text is not one of this type.
    pub fn parse(self, text: &str) -> Option<Value> {
        let text = text.trim();
        let bits = match self {
            Self::I32 => integer(text, 32)?,
            Self::I64 => integer(text, 64)?,
            Self::V128 => integer(text, 128)?,
            Self::F32 => match nan(text, 23) {
                Some(payload) => u128::from(sign(text, 31) | 0x7f80_0000 | payload),
                None => u128::from(text.parse::<f32>().ok()?.to_bits()),
            },
            Self::F64 => match nan(text, 52) {
                Some(payload) => u128::from(sign(text, 63) | 0x7ff0_0000_0000_0000 | payload),
                None => u128::from(text.parse::<f64>().ok()?.to_bits()),
            },
            Self::FuncRef | Self::ExternRef => (text == "null").then_some(0)?,
        };
        Some(Value { ty: self, bits })
    }
}

/// A signed or unsigned integer of `bits` bits.
fn integer(text: &str, bits: u32) -> Option<u128> {
    let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let magnitude = match hexadecimal {
        Some(digits) if !digits.starts_with('+') => u128::from_str_radix(digits, 16).ok()?,
        None if !digits.starts_with('+') => digits.parse().ok()?,
        _ => return None,
    };
    let mask = u128::MAX >> (128 - bits);
    let most = if is_negative { 1 << (bits - 1) } else { mask };
    let value = if is_negative { magnitude.wrapping_neg() } else { magnitude };
    (magnitude <= most).then_some(value & mask)
}

/// The payload of `nan:0x...`, which has up to `bits` bits and is not 0.
fn nan(text: &str, bits: u32) -> Option<u64> {
    let digits = text.strip_prefix('-').unwrap_or(text).strip_prefix("nan:0x")?;
    let payload = u64::from_str_radix(digits, 16).ok()?;
    (payload != 0 && payload >> bits == 0).then_some(payload)
}

/// The sign at bit `bit`.
fn sign(text: &str, bit: u32) -> u64 {
    u64::from(text.starts_with('-')) << bit
}

/// A value with its type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Value {
    /// Its type.
    pub ty: ValueType,
    /// Its bits, as many as the type has; the others are 0.
    pub bits: u128,
}

impl Value {
    /// The value of the machine words of one.
    pub fn of_words(ty: ValueType, words: &[u64]) -> Self {
        let word = |n: usize| u128::from(words.get(n).copied().unwrap_or(0));
        let bits = match ty {
            ValueType::I32 | ValueType::F32 => word(0) & 0xffff_ffff,
            ValueType::V128 => word(0) | word(1) << 64,
            _ => word(0),
        };
        Self { ty, bits }
    }

    /// Its machine words: 32 bits are sign-extended, vectors have their low half first.
    pub fn words(&self) -> Vec<u64> {
        match self.ty {
            ValueType::I32 | ValueType::F32 => vec![i64::from(self.bits as i32) as u64],
            ValueType::V128 => vec![self.bits as u64, (self.bits >> 64) as u64],
            _ => vec![self.bits as u64],
        }
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.ty {
            ValueType::I32 => write!(f, "{}", self.bits as i32),
            ValueType::I64 => write!(f, "{}", self.bits as i64),
            ValueType::F32 => write!(f, "{}", f32::from_bits(self.bits as u32)),
            ValueType::F64 => write!(f, "{}", f64::from_bits(self.bits as u64)),
            ValueType::V128 => write!(f, "{}", self.bits),
            ValueType::FuncRef | ValueType::ExternRef if self.bits == 0 => {
                write!(f, "<null {}>", self.ty.name())
            }
            ValueType::FuncRef | ValueType::ExternRef => write!(f, "<{}>", self.ty.name()),
        }
    }
}

/// Types of a function.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FunctionType {
    /// Of its parameters.
    pub params: Vec<ValueType>,
    /// Of its results.
    pub results: Vec<ValueType>,
}

impl FunctionType {
    /// Reads a signature of the metadata.
    pub fn parse(signature: &str) -> Option<Self> {
        let (params, results) = signature.split_once('>')?;
        let types = |letters: &str| letters.chars().map(ValueType::of_letter).collect::<Option<Vec<_>>>();
        Some(Self { params: types(params)?, results: types(results)? })
    }
}

impl Display for FunctionType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let list = |types: &[ValueType]| types.iter().map(|ty| ty.name()).collect::<Vec<_>>().join(", ");
        write!(f, "({}) -> ({})", list(&self.params), list(&self.results))
    }
}

/// The words of values, one after the other.
pub fn words(values: &[Value]) -> Vec<u64> {
    values.iter().flat_map(Value::words).collect()
}

/// The values of words.
pub fn values(types: &[ValueType], mut words: &[u64]) -> Vec<Value> {
    let mut values = Vec::with_capacity(types.len());
    for &ty in types {
        let (value, rest) = words.split_at(ty.words().min(words.len()));
        values.push(Value::of_words(ty, value));
        words = rest;
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(ty: ValueType, text: &str) -> Option<u128> {
        ty.parse(text).map(|value| value.bits)
    }

    #[test]
    fn integers_are_signed_or_unsigned() {
        let cases = [
            ("0", Some(0)),
            ("-1", Some(0xffff_ffff)),
            ("4294967295", Some(0xffff_ffff)),
            ("-2147483648", Some(0x8000_0000)),
            ("-0x80000000", Some(0x8000_0000)),
            ("0xFFffFFff", Some(0xffff_ffff)),
            ("4294967296", None),
            ("-2147483649", None),
            ("0x100000000", None),
            ("", None),
            ("-", None),
            ("0x", None),
            ("+1", None),
            ("0x+1", None),
            ("--1", None),
            ("1.0", None),
            ("one", None),
        ];
        for (text, expected) in cases {
            assert_eq!(bits(ValueType::I32, text), expected, "{text}");
        }
        assert_eq!(bits(ValueType::I64, "-9223372036854775808"), Some(1 << 63));
        assert_eq!(bits(ValueType::I64, "18446744073709551616"), None);
        assert_eq!(bits(ValueType::V128, "-1"), Some(u128::MAX));
        assert_eq!(bits(ValueType::V128, "0x1ffffffffffffffffffffffffffffffff"), None);
    }

    #[test]
    fn floats_have_their_bits() {
        let cases = [
            ("1.5", Some(0x3fc0_0000)),
            ("-0", Some(0x8000_0000)),
            ("-inf", Some(0xff80_0000)),
            ("nan", Some(0x7fc0_0000)),
            ("-nan", Some(0xffc0_0000)),
            ("nan:0x1", Some(0x7f80_0001)),
            ("-nan:0x400001", Some(0xffc0_0001)),
            ("nan:0x0", None),
            ("nan:0x800000", None),
            ("1e40", Some(0x7f80_0000)),
            ("0x10", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(bits(ValueType::F32, text), expected, "{text}");
        }
        assert_eq!(bits(ValueType::F64, "2.5"), Some(0x4004_0000_0000_0000));
        assert_eq!(bits(ValueType::F64, "nan:0xfffffffffffff"), Some(0x7fff_ffff_ffff_ffff));
    }

    #[test]
    fn words_and_text() {
        let of = |ty: ValueType, text: &str| ty.parse(text).expect("a value");
        assert_eq!(of(ValueType::I32, "0x80000000").words(), [0xffff_ffff_8000_0000]);
        assert_eq!(of(ValueType::F32, "-0").words(), [0xffff_ffff_8000_0000]);
        assert_eq!(of(ValueType::V128, "0x20000000000000001").words(), [1, 2]);
        assert_eq!(of(ValueType::F64, "1e21").to_string(), "1000000000000000000000");
        assert_eq!(of(ValueType::F32, "-nan").to_string(), "NaN");
        assert_eq!(of(ValueType::FuncRef, "null").to_string(), "<null funcref>");
        let ty = FunctionType::parse("ivF>rI").expect("a signature");
        assert_eq!(ty.to_string(), "(i32, v128, f64) -> (funcref, i64)");
        let params = values(&ty.params, &[u64::MAX, 1, 2, 3]);
        assert_eq!(words(&params), [u64::MAX, 1, 2, 3]);
        assert_eq!(params[1].bits, 1 | 2 << 64);
        assert_eq!(FunctionType::parse("i"), None);
        assert_eq!(FunctionType::parse("x>"), None);
    }
}
