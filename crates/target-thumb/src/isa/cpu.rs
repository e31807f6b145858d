//! The supported cores.
//!
//! A core is a name with its instructions, and with the build attributes that describe it to linkers.

use std::fmt;
use std::str::FromStr;

use thumb_isa::{Feature, Features};

/// A Cortex-M core.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Cpu {
    /// Cortex-M0.
    M0,
    /// Cortex-M0+.
    M0Plus,
    /// Cortex-M1.
    M1,
    /// Cortex-M23.
    M23,
    /// Cortex-M3.
    M3,
    /// Cortex-M4 without a floating-point unit.
    #[default]
    M4,
    /// Cortex-M4 with its single-precision unit.
    M4F,
    /// Cortex-M7 without a floating-point unit.
    M7,
    /// Cortex-M7 with the double-precision unit.
    M7DP,
    /// Cortex-M33 with the DSP extension, without a floating-point unit.
    M33,
    /// Cortex-M33 with the DSP extension and the single-precision unit.
    M33F,
    /// Cortex-M52 without a floating-point unit.
    M52,
    /// Cortex-M55 without a floating-point unit.
    M55,
    /// Cortex-M55 with its scalar double-precision unit.
    M55DP,
    /// Cortex-M85 without a floating-point unit.
    M85,
    /// Cortex-M85 with its scalar double-precision unit.
    M85DP,
}

/// A core name that is not one of [`Cpu::ALL`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", self.message())]
pub struct UnknownCpu {
    /// The name.
    pub name: String,
}

impl UnknownCpu {
    fn message(&self) -> String {
        let names: Vec<String> = Cpu::ALL.iter().map(Cpu::to_string).collect();
        format!("unknown core `{}`; known are {}", self.name, names.join(", "))
    }
}

/// The architecture of a core.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Architecture {
    /// ARMv6-M.
    V6M,
    /// ARMv7-M.
    V7M,
    /// ARMv7E-M.
    V7EM,
    /// ARMv8-M without the main extension.
    V8MBase,
    /// ARMv8-M with the main extension.
    V8MMain,
    /// ARMv8.1-M with the main extension.
    V81MMain,
}

impl Architecture {
    /// All architectures.
    pub const ALL: [Self; 6] =
        [Self::V6M, Self::V7M, Self::V7EM, Self::V8MBase, Self::V8MMain, Self::V81MMain];

    /// The default core of this architecture.
    pub const fn default_cpu(self) -> Cpu {
        match self {
            Self::V6M => Cpu::M0Plus,
            Self::V7M => Cpu::M3,
            Self::V7EM => Cpu::M4,
            Self::V8MBase => Cpu::M23,
            Self::V8MMain => Cpu::M33,
            Self::V81MMain => Cpu::M55,
        }
    }

    /// Whether it is a version of v8-M.
    pub const fn is_v8(self) -> bool {
        matches!(self, Self::V8MBase | Self::V8MMain | Self::V81MMain)
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V6M => "thumbv6m",
            Self::V7M => "thumbv7m",
            Self::V7EM => "thumbv7em",
            Self::V8MBase => "thumbv8m.base",
            Self::V8MMain => "thumbv8m.main",
            Self::V81MMain => "thumbv8.1m.main",
        })
    }
}

impl Cpu {
    /// All cores.
    pub const ALL: [Self; 16] = [
        Self::M0,
        Self::M0Plus,
        Self::M1,
        Self::M23,
        Self::M3,
        Self::M4,
        Self::M4F,
        Self::M7,
        Self::M7DP,
        Self::M33,
        Self::M33F,
        Self::M52,
        Self::M55,
        Self::M55DP,
        Self::M85,
        Self::M85DP,
    ];

    /// Its architecture.
    pub const fn architecture(self) -> Architecture {
        match self {
            Self::M0 | Self::M0Plus | Self::M1 => Architecture::V6M,
            Self::M3 => Architecture::V7M,
            Self::M4 | Self::M4F | Self::M7 | Self::M7DP => Architecture::V7EM,
            Self::M23 => Architecture::V8MBase,
            Self::M33 | Self::M33F => Architecture::V8MMain,
            Self::M52 | Self::M55 | Self::M55DP | Self::M85 | Self::M85DP => Architecture::V81MMain,
        }
    }

    /// The instructions it has.
    pub const fn features(self) -> Features {
        match self {
            Self::M0 | Self::M0Plus | Self::M1 => Features::V6,
            Self::M23 => Features::V8_BASE,
            Self::M3 => Features::BASE,
            Self::M4 | Self::M7 | Self::M33 | Self::M52 | Self::M55 | Self::M85 => Features::DSP,
            Self::M4F => Features::FP4_SINGLE,
            Self::M33F => Features::FP5_SINGLE,
            Self::M7DP | Self::M55DP | Self::M85DP => Features::FP5_DOUBLE,
        }
    }

    /// Whether it has the main extension: 32-bit forms of most instructions, IT blocks, and accesses of words and
    /// half-words at any address. Other cores have 16-bit forms of most instructions only.
    pub const fn has_main(self) -> bool {
        self.features().contains(Feature::Base)
    }

    /// Whether single-precision arithmetic is in hardware.
    pub const fn has_single(self) -> bool {
        self.features().contains(Feature::FpSingle)
    }

    /// Whether double-precision arithmetic is in hardware.
    pub const fn has_double(self) -> bool {
        self.features().contains(Feature::FpDouble)
    }

    /// Whether an interrupted load of two words may restart after it has changed its base (erratum 602117). Code for
    /// Cortex-M3 must also work on every other core of ARMv7-M.
    pub const fn restarts_dual_loads(self) -> bool {
        matches!(self.architecture(), Architecture::V7M)
    }

    /// LLVM's name of the core, or of the most similar core that LLVM supports.
    pub const fn llvm_name(self) -> &'static str {
        match self {
            Self::M0 => "cortex-m0",
            Self::M0Plus => "cortex-m0plus",
            Self::M1 => "cortex-m1",
            Self::M23 => "cortex-m23",
            Self::M3 => "cortex-m3",
            Self::M4 | Self::M4F => "cortex-m4",
            Self::M7 | Self::M7DP => "cortex-m7",
            Self::M33 | Self::M33F => "cortex-m33",
            Self::M52 => "cortex-m52",
            Self::M55 | Self::M55DP => "cortex-m55",
            Self::M85 | Self::M85DP => "cortex-m85",
        }
    }

    /// The value of the build attribute `Tag_CPU_name`.
    pub const fn attribute_name(self) -> &'static str {
        match self {
            Self::M0 => "Cortex-M0",
            Self::M0Plus => "Cortex-M0+",
            Self::M1 => "Cortex-M1",
            Self::M23 => "Cortex-M23",
            Self::M3 => "Cortex-M3",
            Self::M4 | Self::M4F => "Cortex-M4",
            Self::M7 | Self::M7DP => "Cortex-M7",
            Self::M33 | Self::M33F => "Cortex-M33",
            Self::M52 => "Cortex-M52",
            Self::M55 | Self::M55DP => "Cortex-M55",
            Self::M85 | Self::M85DP => "Cortex-M85",
        }
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::M0 => "cortex-m0",
            Self::M0Plus => "cortex-m0plus",
            Self::M1 => "cortex-m1",
            Self::M23 => "cortex-m23",
            Self::M3 => "cortex-m3",
            Self::M4 => "cortex-m4",
            Self::M4F => "cortex-m4f",
            Self::M7 => "cortex-m7",
            Self::M7DP => "cortex-m7dp",
            Self::M33 => "cortex-m33",
            Self::M33F => "cortex-m33f",
            Self::M52 => "cortex-m52",
            Self::M55 => "cortex-m55",
            Self::M55DP => "cortex-m55dp",
            Self::M85 => "cortex-m85",
            Self::M85DP => "cortex-m85dp",
        })
    }
}

impl FromStr for Cpu {
    type Err = UnknownCpu;

    /// Accepts names with and without `cortex-`.
    fn from_str(name: &str) -> Result<Self, UnknownCpu> {
        let full = if name.starts_with("cortex-") { name.to_owned() } else { format!("cortex-{name}") };
        let full = full.replace('+', "plus");
        let known = Self::ALL.into_iter().find(|cpu| cpu.to_string() == full);
        known.ok_or_else(|| UnknownCpu { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for cpu in Cpu::ALL {
            assert_eq!(cpu.to_string().parse(), Ok(cpu));
            assert_eq!(cpu.to_string()["cortex-".len()..].parse(), Ok(cpu));
        }
        assert_eq!("m0+".parse(), Ok(Cpu::M0Plus));
        let error = "cortex-m99".parse::<Cpu>().unwrap_err();
        assert!(error.to_string().contains("known are cortex-m0, "), "{error}");
    }
}
