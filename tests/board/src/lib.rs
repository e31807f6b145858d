//! Emulated Cortex-M boards that load and run objects.
//!
//! One emulator process runs many programs, since starting it takes longer than most tests. A driver program on the
//! board serves requests that it gets through a pipe: read or write memory, call a function. [`Board`] is the host's
//! side of the pipe. A small linker ([`Image`]) loads objects, so a new program needs no new process. Arguments are
//! passed by the procedure call standard ([`aapcs`]). Calls of imports are sent to the host, and the program waits for
//! the answer.
//!
//! Each call reports how it ended: return, trap with its number, other fault, stack overflow or timeout. On return the
//! driver checks that r4–r11, s16–s31 and the stack pointer are preserved. The board's clock is that of the host.
//!
//! This crate is independent of the compiler.

mod driver;
mod image;
mod machine;

pub use driver::{TOOLS, run_tool, runtime_library};
pub use image::{Image, Undefined};
pub use machine::{Answer, Board, Call, Ending, Exit, ImportCall};
pub use thumb_engine::aapcs::{self, Type, Words};

/// A core, emulated on a board that has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Core {
    /// Cortex-M0. No emulated board with this core has enough memory. So a Cortex-M3 stands in for it that faults at
    /// unaligned accesses, too; other tests check that programs have no instructions that Cortex-M0 lacks.
    M0,
    /// Cortex-M23: in the same way, a Cortex-M33.
    M23,
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
    /// Cortex-M55 without its floating-point unit.
    M55,
    /// Cortex-M55 with the double-precision unit.
    M55DP,
}

/// Address of the driver on boards with code memory from address 0.
const DRIVER: u32 = 0x3f_0000;

/// The memory map of a board: start addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MemoryMap {
    /// The vectors, then memory that programs may use.
    pub code: u32,
    /// The driver, which is after that memory or elsewhere.
    pub driver: u32,
    /// The small memory, which starts with the programs' stack. No memory is below it, so a stack overflow faults.
    pub stack: u32,
    /// The large memory.
    pub large: u32,
}

impl Core {
    /// The name of the board in the emulator.
    pub const fn machine(self) -> &'static str {
        match self {
            Self::M0 | Self::M3 => "mps2-an385",
            Self::M4 | Self::M4F => "mps2-an386",
            Self::M7 | Self::M7DP => "mps2-an500",
            Self::M23 | Self::M33 | Self::M33F => "mps2-an505",
            Self::M55 | Self::M55DP => "mps3-an547",
        }
    }

    /// Whether floats are passed in float registers.
    pub const fn has_floats(self) -> bool {
        matches!(self, Self::M4F | Self::M7DP | Self::M33F | Self::M55DP)
    }

    /// Options of C compilers for the core.
    pub const fn flags(self) -> &'static [&'static str] {
        match self {
            Self::M0 => &["-mcpu=cortex-m0", "-mthumb", "-mfloat-abi=soft"],
            Self::M23 => &["-mcpu=cortex-m23", "-mthumb", "-mfloat-abi=soft"],
            Self::M3 => &["-mcpu=cortex-m3", "-mthumb", "-mfloat-abi=soft"],
            Self::M4 => &["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft"],
            Self::M7 => &["-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=soft"],
            Self::M33 => &["-mcpu=cortex-m33", "-mthumb", "-mfloat-abi=soft"],
            Self::M55 => &["-mcpu=cortex-m55+nomve", "-mthumb", "-mfloat-abi=soft"],
            Self::M55DP => &["-mcpu=cortex-m55+nomve", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-d16"],
            Self::M4F => &["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
            Self::M7DP => &["-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-d16"],
            Self::M33F => &["-mcpu=cortex-m33", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"],
        }
    }

    /// Clang's option for the architecture.
    pub const fn triple(self) -> &'static str {
        match self {
            Self::M0 => "--target=thumbv6m-none-eabi",
            Self::M23 => "--target=thumbv8m.base-none-eabi",
            Self::M3 => "--target=thumbv7m-none-eabi",
            Self::M33 | Self::M33F => "--target=thumbv8m.main-none-eabi",
            Self::M55 | Self::M55DP => "--target=thumbv8.1m.main-none-eabi",
            _ => "--target=thumbv7em-none-eabi",
        }
    }

    /// The float status at the start of a program. On v8.1-M, loops need the neutral predication size (4).
    pub(crate) const fn initial_fpscr(self) -> u32 {
        if matches!(self, Self::M55DP) { 4 << 16 } else { 0 }
    }

    /// The core of the board.
    pub(crate) const fn emulated(self) -> Self {
        match self {
            Self::M0 => Self::M3,
            Self::M23 => Self::M33,
            other => other,
        }
    }

    /// Bytes of the memory that starts with the vectors, without the driver.
    pub(crate) const fn code_bytes(self) -> u32 {
        if matches!(self, Self::M55 | Self::M55DP) { 0x8_0000 } else { DRIVER }
    }

    pub(crate) const fn memory_map(self) -> MemoryMap {
        match self {
            Self::M23 | Self::M33 | Self::M33F => {
                MemoryMap { code: 0x1000_0000, driver: 0x103f_0000, stack: 0x3800_0000, large: 0x8000_0000 }
            }
            Self::M55 | Self::M55DP => {
                MemoryMap { code: 0x1000_0000, driver: 0x7200_0000, stack: 0x3100_0000, large: 0x7000_0000 }
            }
            Self::M7 | Self::M7DP => {
                MemoryMap { code: 0, driver: DRIVER, stack: 0x2000_0000, large: 0x6000_0000 }
            }
            _ => MemoryMap { code: 0, driver: DRIVER, stack: 0x2000_0000, large: 0x2100_0000 },
        }
    }
}
