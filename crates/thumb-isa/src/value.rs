//! Codings: the representations of numbers in the bits of a field.
//!
//! An immediate, an offset or a register list is stored in a transformed way: scaled, biased, with a separate sign
//! bit, as a "modified constant". Each transformation is one [`Coding`], which the instruction table names per form. A
//! coding converts in both directions and gives the range of a field, and so the reach of a branch.
//!
//! Invariant: encoding a decoded value gives the same bits again, except for modified constants with several
//! encodings.

/// A way to store a number in a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    /// Unsigned.
    Raw,
    /// Unsigned, not zero.
    NonZero,
    /// Unsigned, counted in units of 2.
    Times2,
    /// Unsigned, counted in units of 4.
    Times4,
    /// Twice the value.
    Doubled,
    /// One less than the value.
    Minus1,
    /// 1 to 2^bits, the last stored as zero.
    Wrap,
    /// The negated value, not zero.
    Negated,
    /// Sign bit (1 is plus) and magnitude.
    SignMagnitude,
    /// Sign bit (1 is plus) and magnitude in units of 4.
    SignMagnitude4,
    /// Two's complement in units of 2.
    Signed2,
    /// Conditional branch, 32-bit form: the bits `S imm6 J1 J2 imm11` of the value `S J2 J1 imm6 imm11` in units of 2.
    Branch20,
    /// Branch, 32-bit form: the bits `S imm10 J1 J2 imm11` of the value `S I1 I2 imm10 imm11` in units of 2, where
    /// `I = !(J ^ S)`.
    Branch24,
    /// Modified constant, see [`modified_from_u32`].
    Modified,
    /// 16 bits in the order `i imm4 imm3 imm8` of the value `imm4 i imm3 imm8`.
    Imm16,
    /// Register list of `r0`–`r7`; the bit above them is `lr`.
    PushList,
    /// Register list of `r0`–`r7`; the bit above them is `pc`.
    PopList,
    /// Register list of at least two.
    WideList,
}

impl Coding {
    /// The field of `bits` bits that holds `value`, if there is one.
    pub fn encode(self, value: i64, bits: u32) -> Option<u32> {
        let raw = match self {
            Coding::Raw => value,
            Coding::NonZero => Some(value).filter(|&v| v != 0)?,
            Coding::Times2 => divided(value, 2)?,
            Coding::Times4 => divided(value, 4)?,
            Coding::Doubled => value * 2,
            Coding::Minus1 => value - 1,
            Coding::Wrap => wrapped(value, bits)?,
            Coding::Negated => Some(-value).filter(|&v| v != 0)?,
            Coding::SignMagnitude => sign_magnitude(value, bits)?,
            Coding::SignMagnitude4 => sign_magnitude(divided(value, 4)?, bits)?,
            Coding::Signed2 => twos_complement(divided(value, 2)?, bits)?,
            Coding::Branch20 => pack20(twos_complement(divided(value, 2)?, 20)?),
            Coding::Branch24 => pack24(twos_complement(divided(value, 2)?, 24)?),
            Coding::Modified => i64::from(modified_from_u32(u32::try_from(value).ok()?)?),
            Coding::Imm16 => (value & 0x800) << 4 | (value & 0xf000) >> 1 | value & !0xf800,
            Coding::PushList => list_with(value, 14)?,
            Coding::PopList => list_with(value, 15)?,
            Coding::WideList => Some(value).filter(|v| v.count_ones() >= 2)?,
        };
        u32::try_from(raw).ok().filter(|&raw| u64::from(raw) < 1 << bits)
    }

    /// The value that a field of `bits` bits holds; `None` if the architecture gives it another meaning.
    pub fn decode(self, raw: u32, bits: u32) -> Option<i64> {
        let raw = i64::from(raw);
        Some(match self {
            Coding::Raw => raw,
            Coding::NonZero => Some(raw).filter(|&v| v != 0)?,
            Coding::Times2 => raw * 2,
            Coding::Times4 => raw * 4,
            Coding::Doubled => divided(raw, 2)?,
            Coding::Minus1 => raw + 1,
            Coding::Wrap if raw == 0 => 1 << bits,
            Coding::Wrap => raw,
            Coding::Negated => Some(-raw).filter(|&v| v != 0)?,
            Coding::SignMagnitude => from_sign_magnitude(raw, bits)?,
            Coding::SignMagnitude4 => from_sign_magnitude(raw, bits)? * 4,
            Coding::Signed2 => sign_extended(raw, bits) * 2,
            Coding::Branch20 => sign_extended(unpack20(raw), 20) * 2,
            Coding::Branch24 => sign_extended(unpack24(raw), 24) * 2,
            Coding::Modified => i64::from(modified_to_u32(raw as u32)?),
            Coding::Imm16 => (raw & 0x8000) >> 4 | (raw & 0x7800) << 1 | raw & 0x7ff,
            Coding::PushList => (raw & 0x100) << 6 | raw & 0xff,
            Coding::PopList => (raw & 0x100) << 7 | raw & 0xff,
            Coding::WideList => Some(raw).filter(|v| v.count_ones() >= 2)?,
        })
    }

    /// The range of values of a field of `bits` bits; `None` for codings whose values are not evenly spaced.
    pub fn range(self, bits: u32) -> Option<Range> {
        let max = (1i64 << bits) - 1;
        let magnitude = max >> 1;
        let (min, max, step) = match self {
            Coding::Raw => (0, max, 1),
            Coding::NonZero => (1, max, 1),
            Coding::Times2 => (0, max * 2, 2),
            Coding::Times4 => (0, max * 4, 4),
            Coding::Doubled => (0, max / 2, 1),
            Coding::Minus1 | Coding::Wrap => (1, max + 1, 1),
            Coding::Negated => (-max, -1, 1),
            Coding::SignMagnitude => (-magnitude, magnitude, 1),
            Coding::SignMagnitude4 => (-magnitude * 4, magnitude * 4, 4),
            Coding::Signed2 | Coding::Branch20 | Coding::Branch24 => (-max - 1, max - 1, 2),
            Coding::Imm16 => (0, max, 1),
            Coding::Modified | Coding::PushList | Coding::PopList | Coding::WideList => return None,
        };
        Some(Range { min, max, step })
    }
}

/// The values `min`, `min + step`, and so on up to `max`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// Least value.
    pub min: i64,
    /// Greatest value.
    pub max: i64,
    /// Distance between values.
    pub step: i64,
}

impl Range {
    /// Whether `value` is among the values.
    pub const fn contains(self, value: i64) -> bool {
        self.min <= value && value <= self.max && (value - self.min) % self.step == 0
    }
}

fn divided(value: i64, by: i64) -> Option<i64> {
    (value % by == 0).then(|| value / by)
}

fn wrapped(value: i64, bits: u32) -> Option<i64> {
    (1..=1 << bits).contains(&value).then(|| value & ((1 << bits) - 1))
}

fn sign_magnitude(value: i64, bits: u32) -> Option<i64> {
    let plus = 1 << (bits - 1);
    let magnitude = value.abs();
    (magnitude < plus).then_some(if value < 0 { magnitude } else { plus | magnitude })
}

/// A clear sign bit with magnitude zero ("minus zero") encodes another addressing mode, which has no value here.
fn from_sign_magnitude(raw: i64, bits: u32) -> Option<i64> {
    let plus = 1 << (bits - 1);
    match raw {
        0 => None,
        _ if raw & plus != 0 => Some(raw - plus),
        _ => Some(-raw),
    }
}

fn twos_complement(value: i64, bits: u32) -> Option<i64> {
    let half = 1 << (bits - 1);
    (-half..half).contains(&value).then_some(value & (2 * half - 1))
}

fn sign_extended(raw: i64, bits: u32) -> i64 {
    raw << (64 - bits) >> (64 - bits)
}

/// `len` bits of `value`, from bit `low` up.
const fn field(value: i64, low: u32, len: u32) -> i64 {
    value >> low & ((1 << len) - 1)
}

fn pack20(value: i64) -> i64 {
    let (sign, j2, j1) = (field(value, 19, 1), field(value, 18, 1), field(value, 17, 1));
    sign << 19 | field(value, 11, 6) << 13 | j1 << 12 | j2 << 11 | field(value, 0, 11)
}

fn unpack20(raw: i64) -> i64 {
    let (sign, j1, j2) = (field(raw, 19, 1), field(raw, 12, 1), field(raw, 11, 1));
    sign << 19 | j2 << 18 | j1 << 17 | field(raw, 13, 6) << 11 | field(raw, 0, 11)
}

fn pack24(value: i64) -> i64 {
    let sign = field(value, 23, 1);
    let [j1, j2] = [22, 21].map(|at| field(value, at, 1) ^ sign ^ 1);
    sign << 23 | field(value, 11, 10) << 13 | j1 << 12 | j2 << 11 | field(value, 0, 11)
}

fn unpack24(raw: i64) -> i64 {
    let sign = field(raw, 23, 1);
    let [i1, i2] = [12, 11].map(|at| field(raw, at, 1) ^ sign ^ 1);
    sign << 23 | i1 << 22 | i2 << 21 | field(raw, 13, 10) << 11 | field(raw, 0, 11)
}

fn list_with(value: i64, extra: u32) -> Option<i64> {
    (value & !(0xff | 1 << extra) == 0).then_some(value & 0xff | value >> extra << 8)
}

/// The 12 bits `i imm3 imm8` of a "modified constant", if the value is one. It is a byte repeated as `000000XY`,
/// `00XY00XY`, `XY00XY00` or `XYXYXYXY`, or eight bits with the highest set, rotated.
pub fn modified_from_u32(value: u32) -> Option<u32> {
    let byte = value & 0xff;
    let second = value >> 8 & 0xff;
    if value == byte {
        Some(byte)
    } else if value == byte * 0x0001_0001 {
        Some(0x100 | byte)
    } else if value == second * 0x0100_0100 {
        Some(0x200 | second)
    } else if value == byte * 0x0101_0101 {
        Some(0x300 | byte)
    } else {
        let rotation = value.leading_zeros() + 8;
        let rotated = value.rotate_left(rotation);
        (rotated <= 0xff).then_some(rotation << 7 | rotated & 0x7f)
    }
}

/// The value of the 12 bits of a modified constant; `None` for repeated zero bytes, which are unpredictable.
pub fn modified_to_u32(bits: u32) -> Option<u32> {
    let byte = bits & 0xff;
    match bits >> 8 & 15 {
        0 => Some(byte),
        1..=3 if byte == 0 => None,
        1 => Some(byte * 0x0001_0001),
        2 => Some(byte * 0x0100_0100),
        3 => Some(byte * 0x0101_0101),
        _ => Some((0x80 | bits & 0x7f).rotate_right(bits >> 7 & 31)),
    }
}

/// The 8 bits of a floating-point constant as `vmov` holds it, from the bits of an `f64`: sign, 3 bits of exponent,
/// 4 bits of fraction.
pub fn float_imm_from_f64(value: f64) -> Option<u8> {
    (0..=255).find(|&bits| float_imm_to_f64(bits).to_bits() == value.to_bits())
}

/// The value of a floating-point constant: ±n/16 · 2^r with 16 ≤ n ≤ 31 and -3 ≤ r ≤ 4.
pub fn float_imm_to_f64(bits: u8) -> f64 {
    let fraction = f64::from(16 + (bits & 15)) / 16.0;
    let exponent = i32::from((bits >> 4 & 7) ^ 4) - 3;
    let magnitude = fraction * 2f64.powi(exponent);
    if bits & 0x80 != 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODINGS: [(Coding, u32); 21] = [
        (Coding::Raw, 5),
        (Coding::NonZero, 5),
        (Coding::Times2, 6),
        (Coding::Times4, 8),
        (Coding::Doubled, 8),
        (Coding::Minus1, 5),
        (Coding::Wrap, 5),
        (Coding::Negated, 8),
        (Coding::Negated, 12),
        (Coding::SignMagnitude, 9),
        (Coding::SignMagnitude, 13),
        (Coding::SignMagnitude4, 9),
        (Coding::Signed2, 8),
        (Coding::Signed2, 11),
        (Coding::Branch20, 20),
        (Coding::Branch24, 24),
        (Coding::Modified, 12),
        (Coding::Imm16, 16),
        (Coding::PushList, 9),
        (Coding::PopList, 9),
        (Coding::WideList, 16),
    ];

    #[test]
    fn decoded_fields_encode_to_the_same_bits() {
        for (coding, bits) in CODINGS {
            let step = if bits > 20 { 97 } else { 1 };
            for raw in (0..1u32 << bits).step_by(step) {
                let Some(value) = coding.decode(raw, bits) else { continue };
                let again = coding.encode(value, bits).expect("a decoded value encodes");
                let is_same =
                    again == raw || coding == Coding::Modified && coding.decode(again, bits) == Some(value);
                assert!(is_same, "{coding:?} {raw:#x} -> {value} -> {again:#x}");
            }
        }
    }

    #[test]
    fn ranges_are_exactly_the_encodable_values() {
        for (coding, bits) in CODINGS.into_iter().filter(|(_, bits)| *bits <= 13) {
            let Some(range) = coding.range(bits) else { continue };
            for value in -40_000..40_000 {
                assert_eq!(coding.encode(value, bits).is_some(), range.contains(value), "{coding:?} {value}");
            }
        }
        for (coding, bits) in [(Coding::Branch20, 20), (Coding::Branch24, 24)] {
            let Range { min, max, step } = coding.range(bits).expect("has a range");
            assert_eq!((min, max, step), (-(1 << bits), (1 << bits) - 2, 2));
            assert!(coding.encode(min, bits).is_some() && coding.encode(max, bits).is_some());
            assert!(coding.encode(min - 2, bits).is_none() && coding.encode(max + 2, bits).is_none());
        }
    }

    #[test]
    fn modified_constants_are_all_found() {
        let mut shapes = std::collections::BTreeSet::new();
        for byte in 0..=255u32 {
            shapes.extend([byte, byte << 16 | byte, byte << 24 | byte << 8, byte * 0x0101_0101]);
            shapes.extend((0..=24).map(|shift| byte << shift));
        }
        for &value in &shapes {
            let bits =
                modified_from_u32(value).unwrap_or_else(|| panic!("{value:#x} is a modified constant"));
            assert_eq!(modified_to_u32(bits), Some(value));
        }
        let reachable: std::collections::BTreeSet<u32> = (0..4096).filter_map(modified_to_u32).collect();
        assert_eq!(reachable, shapes);
        for value in [0x101, 0x1ff, 0x00ff_00fe, 0x8000_0001, 0xff00_00ff, u32::MAX - 1] {
            assert_eq!(modified_from_u32(value), None, "{value:#x}");
        }
    }

    #[test]
    fn float_constants_round_trip() {
        for bits in 0..=255 {
            assert_eq!(float_imm_from_f64(float_imm_to_f64(bits)), Some(bits));
        }
        assert_eq!(float_imm_from_f64(1.0), Some(0x70));
        for value in [0.0, -0.0, 33.0, 0.1, f64::NAN, f64::INFINITY] {
            assert_eq!(float_imm_from_f64(value), None);
        }
    }
}
