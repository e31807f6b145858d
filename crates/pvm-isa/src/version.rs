//! Versions of the Gray Paper, and the formats of their code.

use core::fmt;
use core::str::FromStr;

/// A version of the Gray Paper: which numbering and which gas model a program is written for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum GpVersion {
    /// Gray Paper 0.7.2: every instruction costs one unit of gas, the heap grows by `sbrk`.
    V072,
    /// Gray Paper 0.8: gas per basic block from a pipeline model, static validation of the whole program.
    #[default]
    V08,
    /// The machine of 0.8 with the proposed next code format, see [`crate::blocks`]. Experimental: no version of the
    /// Gray Paper has it.
    Next,
}

impl GpVersion {
    /// All versions, older first.
    pub const ALL: [GpVersion; 3] = [GpVersion::V072, GpVersion::V08, GpVersion::Next];

    /// The format of its code.
    pub const fn code_format(self) -> CodeFormat {
        match self {
            GpVersion::V072 | GpVersion::V08 => CodeFormat::Bitmask,
            GpVersion::Next => CodeFormat::Blocks,
        }
    }

    /// Whether it charges for basic blocks and refuses invalid programs, as 0.8 does; 0.7.2 charges for instructions.
    pub const fn has_block_prices(self) -> bool {
        !matches!(self, GpVersion::V072)
    }
}

/// A format of code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum CodeFormat {
    /// A bitmask marks the starts of instructions.
    #[default]
    Bitmask,
    /// Opcodes determine the lengths of instructions, see [`crate::blocks`].
    Blocks,
}

impl fmt::Display for GpVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GpVersion::V072 => "0.7",
            GpVersion::V08 => "0.8",
            GpVersion::Next => "next",
        })
    }
}

impl FromStr for GpVersion {
    type Err = UnknownGpVersion;

    fn from_str(s: &str) -> Result<Self, UnknownGpVersion> {
        match s {
            "0.7" | "0.7.2" => Ok(GpVersion::V072),
            "0.8" | "0.8.0" => Ok(GpVersion::V08),
            "next" => Ok(GpVersion::Next),
            _ => Err(UnknownGpVersion(s.to_owned())),
        }
    }
}

/// The text names no supported version of the Gray Paper.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownGpVersion(pub String);

impl fmt::Display for UnknownGpVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown Gray Paper version `{}`, expected `0.7`, `0.8` or `next`", self.0)
    }
}

impl core::error::Error for UnknownGpVersion {}
