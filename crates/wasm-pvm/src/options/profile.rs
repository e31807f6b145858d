//! Profiles: the conventions and limits of a kind of host.

use target_pvm::ProgramLayout;

use super::OptionsError;
use super::pvm::{Format, GpVersion, PvmBounds, PvmOptions, wrong};

/// Bytes of machine stack in contracts, beside the C stack: their memory is counted.
const CONTRACT_STACK: u32 = 64 << 10;
/// Maximum instructions of a block of a contract.
pub(crate) const CONTRACT_BLOCK: usize = 1000;
/// Bytes by which the memory of contracts can grow unless the options say otherwise.
const CONTRACT_GROWTH: u32 = 256 << 10;

/// A kind of host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// Nodes of JAM: services and authorizers.
    Jam,
    /// The pallet `revive`: contracts.
    Revive,
    /// The JAM service CoreVM: programs with `main`.
    CoreVm,
    /// Substrate's executor for PolkaVM: runtimes.
    Substrate,
}

impl Profile {
    /// The form of its programs.
    pub const fn format(self) -> Format {
        match self {
            Self::Jam => Format::Jam,
            Self::Revive | Self::Substrate => Format::PolkaVm,
            Self::CoreVm => Format::CoreVm,
        }
    }

    /// The version of the Gray Paper whose opcodes it has, unless the options say otherwise. Executors of Substrate know
    /// several sets; ReviveV1 is the stable one that all of them know.
    pub const fn gp(self) -> GpVersion {
        match self {
            Self::Jam | Self::CoreVm => GpVersion::V08,
            Self::Revive | Self::Substrate => GpVersion::V072,
        }
    }

    /// Bytes by which linear memory can grow, if the profile limits it. Substrate's executor puts allocated blocks after
    /// the memory at the start.
    pub(super) const fn growth_bytes(self) -> Option<u32> {
        match self {
            Self::Revive => Some(CONTRACT_GROWTH),
            Self::Substrate => Some(0),
            Self::Jam | Self::CoreVm => None,
        }
    }

    /// The layout of its programs. Hosts of JAM take addresses that the program has converted. The others take them as
    /// arguments of host functions that a module for WebAssembly imports, so wasm addresses must be the machine's.
    pub(super) const fn layout(self, layout: ProgramLayout) -> ProgramLayout {
        match self {
            Self::Jam => layout,
            Self::Revive => ProgramLayout {
                base_zero: true,
                machine_stack: CONTRACT_STACK,
                max_block: Some(CONTRACT_BLOCK),
                ..layout
            },
            Self::CoreVm | Self::Substrate => ProgramLayout { base_zero: true, ..layout },
        }
    }

    /// An adapter in the text format that the modules of its hosts need.
    pub(crate) const fn adapter(self) -> Option<&'static str> {
        match self {
            Self::Substrate => Some(include_str!("substrate.wat")),
            Self::Jam | Self::Revive | Self::CoreVm => None,
        }
    }

    /// Checks the other options.
    pub(super) fn check(self, options: &PvmOptions) -> Result<(), OptionsError> {
        if options.format != self.format() {
            return wrong("the profile and --format contradict each other; leave out --format");
        }
        if self == Self::Revive && options.gp != self.gp() {
            return wrong("contracts have the instruction set of GP 0.7.2; leave out --gp, or give --gp 0.7");
        }
        if self == Self::Substrate && options.bounds == PvmBounds::Strict {
            return wrong(
                "with --profile substrate the host allocates blocks after linear memory, which --bounds strict forbids to access",
            );
        }
        if self == Self::Substrate && options.growth_bytes.is_some_and(|bytes| bytes > 0) {
            return wrong("with --profile substrate memory can't grow: the host allocates after it");
        }
        Ok(())
    }
}
