//! Emulated Cortex-M boards that load and run objects.
//!
//! One emulator runs many programs: starting it costs more than most tests do. A driver on the board ([`Board`]) serves
//! requests that come through a pipe: read and write memory, call a function. Objects are loaded by a small linker of
//! our own ([`Image`]), so a new program costs no process. A call gets its arguments as the procedure call standard
//! says ([`aapcs`]); calls of imports are answered by the host while the program waits.
//!
//! The board watches each call: traps and their numbers, other faults, the end of the stack, too much time, and whether
//! r4–r11, s16–s31 and the stack pointer are what they were. Its clock is the host's.
//!
//! Nothing here knows the compiler.

pub mod aapcs;

mod driver;
mod image;
mod machine;

pub use aapcs::{Type, Words};
pub use driver::{missing_tools, run_tool, runtime_library};
pub use image::{Image, Undefined};
pub use machine::{Answer, Board, Call, Ending, Exit, ImportCall};

/// A core, with the board that has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Core {
    /// Cortex-M3.
    M3,
    /// Cortex-M4 without its floating-point unit.
    M4,
    /// Cortex-M4 with the single-precision unit.
    M4F,
    /// Cortex-M7 without its floating-point unit.
    M7,
    /// Cortex-M7 with the double-precision unit.
    M7DP,
    /// Cortex-M33 without its floating-point unit.
    M33,
    /// Cortex-M33 with the single-precision unit.
    M33F,
}

/// Where things are on a board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Places {
    /// The vectors, then memory that programs may use.
    pub code: u32,
    /// The stack of programs. Nothing is below.
    pub stack: u32,
    /// The large memory.
    pub large: u32,
}

impl Core {
    /// The emulator's name of the board.
    pub const fn machine(self) -> &'static str {
        match self {
            Self::M3 => "mps2-an385",
            Self::M4 | Self::M4F => "mps2-an386",
            Self::M7 | Self::M7DP => "mps2-an500",
            Self::M33 | Self::M33F => "mps2-an505",
        }
    }

    /// Whether floats are passed in float registers.
    pub const fn has_floats(self) -> bool {
        matches!(self, Self::M4F | Self::M7DP | Self::M33F)
    }

    /// Options of C compilers for it.
    pub const fn flags(self) -> &'static [&'static str] {
        match self {
            Self::M3 => &["-mcpu=cortex-m3", "-mthumb", "-mfloat-abi=soft"],
            Self::M4 => &["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft"],
            Self::M7 => &["-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=soft"],
            Self::M33 => &["-mcpu=cortex-m33", "-mthumb", "-mfloat-abi=soft"],
            Self::M4F => &["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
            Self::M7DP => &["-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-d16"],
            Self::M33F => &["-mcpu=cortex-m33", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"],
        }
    }

    /// Clang's name of the architecture.
    pub const fn triple(self) -> &'static str {
        match self {
            Self::M3 => "--target=thumbv7m-none-eabi",
            Self::M33 | Self::M33F => "--target=thumbv8m.main-none-eabi",
            _ => "--target=thumbv7em-none-eabi",
        }
    }

    pub(crate) const fn places(self) -> Places {
        match self {
            Self::M33 | Self::M33F => Places { code: 0x1000_0000, stack: 0x3800_0000, large: 0x8000_0000 },
            Self::M7 | Self::M7DP => Places { code: 0, stack: 0x2000_0000, large: 0x6000_0000 },
            _ => Places { code: 0, stack: 0x2000_0000, large: 0x2100_0000 },
        }
    }
}
