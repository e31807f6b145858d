//! Options of the PVM.

pub use llvm_frontend::OptLevel;
use llvm_frontend::{MemoryOwner, TargetDescription};
pub use pvm_isa::GpVersion;
pub use pvm_isa::metadata::ResultConvention;
use runtime::llvm::Growth;
pub use target_pvm::entries::START_ENTRY;
use target_pvm::memory::MACHINE_STACK;
pub use target_pvm::{EntryMode, ImportAction, ImportMap, ImportMapError};
use target_pvm::{Goal, ProgramLayout};

use super::{Floats, Options, OptionsError};

/// Every form of the output has the areas and entries of a standard program.
const LAYOUT: ProgramLayout = ProgramLayout::SPI;

/// The form of the output file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// Metadata, then a standard program: the form in which a JAM service is stored.
    #[default]
    Jam,
    /// A standard program: code with its initial memory.
    Spi,
    /// Code and jump table only, without initial memory.
    Raw,
}

/// Whether the metadata names the functions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Names {
    /// Unless the level asks for small output.
    #[default]
    Auto,
    /// Always.
    Keep,
    /// Never.
    Strip,
}

/// Detection of accesses outside of linear memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PvmBounds {
    /// By unmapped pages around it. An access whose result is unused may be dropped.
    #[default]
    Guard,
    /// By a comparison before every access.
    Strict,
}

/// Options of the PVM target, beside [`Options`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PvmOptions {
    /// The version of the Gray Paper the program is for.
    pub gp: GpVersion,
    /// Detection of accesses outside of linear memory.
    pub bounds: PvmBounds,
    /// Bytes of linear memory at the start, if the module declares less.
    pub memory_bytes: Option<u32>,
    /// Bytes of machine stack; `None` derives it from the module.
    pub stack_size: Option<u32>,
    /// Actions of imported functions.
    pub imports: ImportMap,
    /// Selection of entries among the exports, and their convention.
    pub entries: EntryMode,
    /// How entry functions return their result.
    pub result: ResultConvention,
    /// The form of the output.
    pub format: Format,
    /// Whether the metadata names the functions.
    pub names: Names,
    /// Name of the program in the metadata.
    pub package: String,
    /// Give exported globals and tables an address even if no code refers to them, for tests that read them.
    pub keep_exports: bool,
}

impl Default for PvmOptions {
    fn default() -> Self {
        Self {
            gp: GpVersion::V08,
            bounds: PvmBounds::Guard,
            memory_bytes: None,
            stack_size: None,
            imports: ImportMap::default(),
            entries: EntryMode::Auto,
            result: ResultConvention::Length,
            format: Format::Jam,
            names: Names::Auto,
            package: String::new(),
            keep_exports: false,
        }
    }
}

impl PvmOptions {
    pub(crate) fn check(&self, options: &Options) -> Result<(), OptionsError> {
        match options.floats {
            Some(Floats::Hard) => Err(OptionsError::new(
                "the PVM has no float instructions; use floats `soft`, `trap` or `reject`".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// Whether the metadata names the functions.
    pub(crate) fn keeps_names(&self, level: OptLevel) -> bool {
        match self.names {
            Names::Auto => matches!(level, OptLevel::O0 | OptLevel::O2),
            Names::Keep => true,
            Names::Strip => false,
        }
    }

    /// The frontend's options that depend on these.
    pub(crate) fn frontend(&self) -> llvm_frontend::Options {
        let bounds = match self.bounds {
            PvmBounds::Guard => llvm_frontend::Bounds::Guard,
            PvmBounds::Strict => llvm_frontend::Bounds::Strict,
        };
        let is_auto = self.entries == EntryMode::Auto;
        llvm_frontend::Options {
            bounds,
            host_arguments: is_auto.then_some(LAYOUT.arguments),
            service_entries: if is_auto { &target_pvm::entries::SERVICE_NAMES } else { &[] },
            memory_bytes: self.memory_bytes,
            shadow_stack_limit: Some(self.stack_size.unwrap_or(LAYOUT.max_stack() - MACHINE_STACK)),
            ..llvm_frontend::Options::new(description(self.gp))
        }
    }

    /// The options of code generation.
    pub(crate) fn codegen(&self, options: &Options) -> target_pvm::Options {
        target_pvm::Options {
            gp: self.gp,
            goal: match options.level {
                OptLevel::O0 | OptLevel::O2 => Goal::Speed,
                OptLevel::Os => Goal::Balance,
                OptLevel::Oz => Goal::Size,
            },
            entries: self.entries,
            result: self.result,
            imports: self.imports.clone(),
            memory: target_pvm::MemoryOptions {
                stack_size: self.stack_size,
                guard: self.bounds == PvmBounds::Guard,
                keep_exports: self.keep_exports,
            },
            layout: LAYOUT,
            threads: options.thread_count(),
        }
    }
}

/// The frontend's view of the PVM.
///
/// LLVM has no PVM target, so it sees RISC-V with the extensions whose instructions PVM has, too. `no-default-unroll`
/// replaces LLVM's default, which unrolls nothing at run time, by the heuristics of the target.
fn description(gp: GpVersion) -> TargetDescription {
    TargetDescription {
        triple: "riscv64-unknown-none-elf",
        cpu: "generic-rv64",
        features: "+m,+zbb,+zicond,+unaligned-scalar-mem,+no-default-unroll",
        data_layout: Some("e-m:e-p:32:32-i64:64-i128:128-n32:64-S128"),
        propagates_arguments: false,
        access_granule: pvm_isa::spi::PAGE_SIZE,
        memory_owner: MemoryOwner::Machine,
        growth: match gp {
            GpVersion::V072 => Growth::SBRK,
            GpVersion::V08 => Growth::GROW_HEAP,
        },
        shares_tables: false,
        has_wide_words: true,
    }
}
