//! The supported cores.
//!
//! A core is a name with its instructions, and with the build attributes that describe it to linkers. Cores without the
//! main extension of the architecture (Cortex-M0, M0+, M1, M23) lack most instructions that selection relies on and are
//! not listed.

use std::fmt;
use std::str::FromStr;

use thumb_isa::{Feature, Features};

/// A Cortex-M core.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Cpu {
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
        let short = self.name.strip_prefix("cortex-").unwrap_or(&self.name);
        let names: Vec<String> = Cpu::ALL.iter().map(Cpu::to_string).collect();
        match short {
            "m0" | "m0plus" | "m0+" | "m1" | "m23" => {
                format!("{} has no Thumb-2 main extension, which the code needs", self.name)
            }
            _ => format!("unknown core `{}`; known are {}", self.name, names.join(", ")),
        }
    }
}

/// The architecture of a core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Architecture {
    /// ARMv7-M.
    V7M,
    /// ARMv7E-M.
    V7EM,
    /// ARMv8-M with the main extension.
    V8MMain,
}

impl Architecture {
    /// The default core of this architecture.
    pub const fn default_cpu(self) -> Cpu {
        match self {
            Self::V7M => Cpu::M3,
            Self::V7EM => Cpu::M4,
            Self::V8MMain => Cpu::M33,
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V7M => "thumbv7m",
            Self::V7EM => "thumbv7em",
            Self::V8MMain => "thumbv8m.main",
        })
    }
}

impl Cpu {
    /// All cores.
    pub const ALL: [Self; 7] = [Self::M3, Self::M4, Self::M4F, Self::M7, Self::M7DP, Self::M33, Self::M33F];

    /// Its architecture.
    pub const fn architecture(self) -> Architecture {
        match self {
            Self::M3 => Architecture::V7M,
            Self::M4 | Self::M4F | Self::M7 | Self::M7DP => Architecture::V7EM,
            Self::M33 | Self::M33F => Architecture::V8MMain,
        }
    }

    /// The instructions it has.
    pub const fn features(self) -> Features {
        match self {
            Self::M3 => Features::BASE,
            Self::M4 | Self::M7 | Self::M33 => Features::DSP,
            Self::M4F => Features::FP4_SINGLE,
            Self::M33F => Features::FP5_SINGLE,
            Self::M7DP => Features::FP5_DOUBLE,
        }
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
            Self::M3 => "cortex-m3",
            Self::M4 | Self::M4F => "cortex-m4",
            Self::M7 | Self::M7DP => "cortex-m7",
            Self::M33 | Self::M33F => "cortex-m33",
        }
    }

    /// The value of the build attribute `Tag_CPU_name`.
    pub const fn attribute_name(self) -> &'static str {
        match self {
            Self::M3 => "Cortex-M3",
            Self::M4 | Self::M4F => "Cortex-M4",
            Self::M7 | Self::M7DP => "Cortex-M7",
            Self::M33 | Self::M33F => "Cortex-M33",
        }
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::M3 => "cortex-m3",
            Self::M4 => "cortex-m4",
            Self::M4F => "cortex-m4f",
            Self::M7 => "cortex-m7",
            Self::M7DP => "cortex-m7dp",
            Self::M33 => "cortex-m33",
            Self::M33F => "cortex-m33f",
        })
    }
}

impl FromStr for Cpu {
    type Err = UnknownCpu;

    /// Accepts names with and without `cortex-`.
    fn from_str(name: &str) -> Result<Self, UnknownCpu> {
        let full = if name.starts_with("cortex-") { name.to_owned() } else { format!("cortex-{name}") };
        let known = Self::ALL.into_iter().find(|cpu| cpu.to_string() == full);
        known.ok_or_else(|| UnknownCpu { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_baseline_cores_refused() {
        for cpu in Cpu::ALL {
            assert_eq!(cpu.to_string().parse(), Ok(cpu));
            assert_eq!(cpu.to_string()["cortex-".len()..].parse(), Ok(cpu));
        }
        let error = "cortex-m0".parse::<Cpu>().unwrap_err();
        assert!(error.to_string().contains("cortex-m0"), "{error}");
        assert!("cortex-m99".parse::<Cpu>().is_err());
    }
}
