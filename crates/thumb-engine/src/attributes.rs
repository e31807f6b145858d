//! The core that an object is for, by its build attributes.

use thumb_isa::{Feature, Features};

/// The properties of a core that execution depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Core {
    /// The instructions that it has.
    pub features: Features,
    /// Whether it loads and stores words and half-words at any address.
    pub is_unaligned: bool,
    /// Whether floats are passed in float registers.
    pub passes_floats: bool,
}

/// `Tag_CPU_arch`, `Tag_FP_arch`, `Tag_ABI_HardFP_use`, `Tag_ABI_VFP_args`, `Tag_CPU_unaligned_access`,
/// `Tag_DSP_extension`.
const CPU_ARCH: u32 = 6;
const FP_ARCH: u32 = 10;
const HARD_FP: u32 = 27;
const VFP_ARGS: u32 = 28;
const UNALIGNED: u32 = 34;
const DSP: u32 = 46;

/// Values of `Tag_CPU_arch`: v7, v6-M (twice), v7E-M, v8-M baseline and mainline, v8.1-M mainline.
const V7: u32 = 10;
const V6_M: [u32; 2] = [11, 12];
const V7E_M: u32 = 13;
const V8_M_BASE: u32 = 16;
const V8_M_MAIN: u32 = 17;
const V8_1_M_MAIN: u32 = 21;

impl Core {
    /// The core of an object with this section `.ARM.attributes`; `None` if it is no Cortex-M.
    pub fn of_attributes(section: &[u8]) -> Option<Self> {
        let tags = numbers(section);
        let number = |wanted: u32| tags.iter().find(|(tag, _)| *tag == wanted).map_or(0, |(_, value)| *value);
        let mut features = match number(CPU_ARCH) {
            V8_M_BASE => Features::V8_BASE,
            V7E_M => Features::DSP,
            V7 => Features::BASE,
            V8_M_MAIN | V8_1_M_MAIN if number(DSP) == 1 => Features::DSP,
            V8_M_MAIN | V8_1_M_MAIN => Features::BASE,
            old if V6_M.contains(&old) => Features::V6,
            _ => return None,
        };
        let is_single = number(HARD_FP) == 1;
        // FPv4 and FPv5 with 16 double-precision registers.
        let (has_unit, is_new) = (matches!(number(FP_ARCH), 6 | 8), number(FP_ARCH) == 8);
        for (feature, is_there) in [
            (Feature::FpSingle, has_unit),
            (Feature::FpDouble, has_unit && !is_single),
            (Feature::Fp5Single, is_new),
            (Feature::Fp5Double, is_new && !is_single),
        ] {
            features = if is_there { features.with(feature) } else { features };
        }
        let is_unaligned = features.contains(Feature::Base) && number(UNALIGNED) == 1;
        Some(Self { features, is_unaligned, passes_floats: has_unit && number(VFP_ARGS) == 1 })
    }
}

/// Tags of the whole file that have numbers; unreadable bytes end the list.
fn numbers(section: &[u8]) -> Vec<(u32, u32)> {
    // Version, length of the subsection, its vendor, then `Tag_File` and its length.
    let Some(rest) = section.get(5..).and_then(|rest| rest.strip_prefix(b"aeabi\0")) else {
        return Vec::new();
    };
    let (Some(1), Some(mut rest)) = (rest.first(), rest.get(5..)) else { return Vec::new() };
    let mut tags = Vec::new();
    while let Some(tag) = number(&mut rest) {
        if matches!(tag, 4 | 5 | 65 | 67) {
            let Some(end) = rest.iter().position(|&byte| byte == 0) else { break };
            rest = &rest[end + 1..];
        } else {
            let Some(value) = number(&mut rest) else { break };
            tags.push((tag, value));
        }
    }
    tags
}

/// A ULEB128 number of at most 32 bits.
fn number(rest: &mut &[u8]) -> Option<u32> {
    let mut value = 0;
    for shift in (0..32).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
