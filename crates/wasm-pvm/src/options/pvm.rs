//! Options of the PVM.

pub use llvm_frontend::OptLevel;
use llvm_frontend::{Locations, MemoryOwner, TargetDescription};
pub use pvm_isa::GpVersion;
pub use pvm_isa::metadata::ResultConvention;
use runtime::llvm::Growth;
pub use target_pvm::entries::START_ENTRY;
pub use target_pvm::{EntryMode, ImportAction, ImportMap, ImportMapError};
use target_pvm::{Goal, ProgramLayout};

use super::profile::Profile;
use super::{Floats, Options, OptionsError};
use crate::exports::Exports;

/// Bytes by which linear memory can grow in PolkaVM's container, unless the options say otherwise.
const GROWTH_BYTES: u32 = 16 << 20;

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
    /// PolkaVM's own container: exports and host calls by symbol.
    PolkaVm,
    /// Metadata, then PolkaVM's container: the form of programs for the service CoreVM.
    CoreVm,
}

impl Format {
    /// Whether it is or contains PolkaVM's container.
    pub const fn is_polkavm(self) -> bool {
        matches!(self, Self::PolkaVm | Self::CoreVm)
    }

    /// The places of memory areas and entries in a program of this form.
    const fn layout(self) -> ProgramLayout {
        if self.is_polkavm() { ProgramLayout::POLKAVM } else { ProgramLayout::SPI }
    }
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
    /// Always, and the lines of their code, which only PolkaVM's container has a place for.
    Lines,
}

/// The exports that the metadata describes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MetadataContents {
    /// Functions that are entries.
    #[default]
    Entries,
    /// Also exported globals, tables and memories. Each of them gets an address, even if no code refers to it.
    Exports,
}

/// Whether code copies initial data into place when a program starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum StartCopy {
    /// Where bytes of the program and gas of a start together cost less than data that is stored in place.
    #[default]
    Auto,
    /// Never: the file has all data in place, and a start costs no gas for it.
    Never,
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

/// Bytes that each memory other than the first may grow by, unless the options give another number.
const DEFAULT_RESERVE: u32 = 1 << 20;

/// Options of the PVM target, beside [`Options`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PvmOptions {
    /// The version of the Gray Paper the program is for.
    pub gp: GpVersion,
    /// Detection of accesses outside of linear memory.
    pub bounds: PvmBounds,
    /// Bytes of linear memory at the start, if the module declares less.
    pub memory_bytes: Option<u32>,
    /// Bytes that each memory other than the first may grow by.
    pub memory_reserve: u32,
    /// Bytes of machine stack; `None` derives it from the module.
    pub stack_size: Option<u32>,
    /// Bytes by which linear memory can grow in PolkaVM's container, where they are reserved; `None` is 16 MiB.
    pub growth_bytes: Option<u32>,
    /// Actions of imported functions.
    pub imports: ImportMap,
    /// The version whose numbers of host calls the module, its adapters and the import map use; `None` is the same as
    /// [`Self::gp`], with a warning where that makes a difference.
    pub host_calls: Option<GpVersion>,
    /// Selection of entries among the exports, and their convention.
    pub entries: EntryMode,
    /// How entry functions return their result.
    pub result: ResultConvention,
    /// The form of the output.
    pub format: Format,
    /// The kind of host, whose conventions and limits the program has to keep.
    pub profile: Option<Profile>,
    /// Whether the metadata names the functions.
    pub names: Names,
    /// The exports that the metadata describes.
    pub metadata: MetadataContents,
    /// Whether initial data is copied into place at the start.
    pub start_copy: StartCopy,
    /// Name of the program in the metadata.
    pub package: String,
    /// Give exported globals and tables an address even if no code refers to them, for tests that read them.
    pub keep_exports: bool,
    /// Make a map of the code. It does not change the program.
    pub map: bool,
}

impl Default for PvmOptions {
    fn default() -> Self {
        Self {
            gp: GpVersion::V08,
            bounds: PvmBounds::Guard,
            memory_bytes: None,
            memory_reserve: DEFAULT_RESERVE,
            stack_size: None,
            growth_bytes: None,
            imports: ImportMap::default(),
            host_calls: None,
            entries: EntryMode::Auto,
            result: ResultConvention::Length,
            format: Format::Jam,
            profile: None,
            names: Names::Auto,
            metadata: MetadataContents::Entries,
            start_copy: StartCopy::Auto,
            package: String::new(),
            keep_exports: false,
            map: false,
        }
    }
}

impl PvmOptions {
    pub(crate) fn check(&self, options: &Options) -> Result<(), OptionsError> {
        if options.floats == Some(Floats::Hard) {
            return wrong("the PVM has no float instructions; use floats `soft`, `trap` or `reject`");
        }
        let has_conventions = self.entries != EntryMode::Auto || self.result != ResultConvention::Length;
        if self.format.is_polkavm() && has_conventions {
            return wrong(
                "PolkaVM's container has exports as typed functions, without --entries and --result",
            );
        }
        if self.gp == GpVersion::Next && matches!(self.format, Format::Spi | Format::Raw) {
            return wrong(
                "--format spi and raw don't tell that code has the format of --gp next; use another one",
            );
        }
        if !self.format.is_polkavm() && self.names == Names::Lines {
            return wrong("only PolkaVM's container has a place for lines; `--map` writes them to a file");
        }
        if !self.format.is_polkavm() && self.growth_bytes.is_some() {
            return wrong(
                "--growth-bytes is for PolkaVM's container; in the others memory grows at run time",
            );
        }
        self.profile.map_or(Ok(()), |profile| profile.check(self))
    }

    /// Where the program's areas and entries are.
    pub(crate) fn layout(&self) -> ProgramLayout {
        let layout = self.format.layout();
        self.profile.map_or(layout, |profile| profile.layout(layout))
    }

    /// Bytes by which memory can grow, if they have to be reserved.
    fn reserved_growth(&self) -> Option<u32> {
        let default = self.profile.and_then(Profile::growth_bytes).unwrap_or(GROWTH_BYTES);
        self.format.is_polkavm().then_some(self.growth_bytes.unwrap_or(default))
    }

    /// Actions of imported functions, with those that the form of the output implies.
    pub(crate) fn import_map(&self) -> ImportMap {
        if self.format.is_polkavm() { self.imports.clone().with_symbols() } else { self.imports.clone() }
    }

    /// Whether the metadata names the functions.
    pub(crate) fn keeps_names(&self, level: OptLevel) -> bool {
        match self.names {
            Names::Auto => !matches!(level, OptLevel::Os | OptLevel::Oz),
            Names::Keep | Names::Lines => true,
            Names::Strip => false,
        }
    }

    /// The frontend's options that depend on these.
    pub(crate) fn frontend(&self) -> llvm_frontend::Options {
        let bounds = match self.bounds {
            PvmBounds::Guard => llvm_frontend::Bounds::Guard,
            PvmBounds::Strict => llvm_frontend::Bounds::Strict,
        };
        let layout = self.layout();
        let is_auto = self.entries == EntryMode::Auto && !self.format.is_polkavm();
        llvm_frontend::Options {
            bounds,
            host_arguments: is_auto.then_some(layout.arguments),
            marked_bytes: layout.most_caught_bytes(),
            machine_page: layout.page,
            locations: if self.map || self.names == Names::Lines {
                Locations::Offsets
            } else {
                Locations::None
            },
            service_entries: if is_auto { &target_pvm::entries::SERVICE_NAMES } else { &[] },
            memory_bytes: self.memory_bytes,
            memory_reserve: self.memory_reserve,
            growth_bytes: self.reserved_growth(),
            shadow_stack_limit: Some(self.stack_size.unwrap_or(layout.max_stack() - layout.machine_stack)),
            stack_in_memory: self.stack_in_memory(),
            ..llvm_frontend::Options::new(description(self.growth()))
        }
    }

    /// Whether entries convert arguments, and loads from them are checked.
    pub(crate) fn checks_arguments(&self) -> bool {
        self.bounds == PvmBounds::Strict && self.entries == EntryMode::Auto && !self.format.is_polkavm()
    }

    /// Whether a machine stack that replaces a C stack is in linear memory: exact bounds allow addresses there only.
    /// Then entries set the stack pointer, which a standard program does for hosts that follow its conventions.
    fn stack_in_memory(&self) -> bool {
        self.checks_arguments() && self.stack_size.is_none() && self.layout() == ProgramLayout::SPI
    }

    /// The way in which memory grows. PolkaVM's stable instruction sets have no instruction for it.
    fn growth(&self) -> Growth {
        match self.gp {
            _ if self.format.is_polkavm() => Growth::RESERVED,
            GpVersion::V072 => Growth::SBRK,
            GpVersion::V08 | GpVersion::Next => Growth::GROW_HEAP,
        }
    }

    /// The options of code generation for a module with these exports.
    pub(crate) fn codegen(&self, options: &Options, exports: &Exports) -> target_pvm::Options {
        target_pvm::Options {
            gp: self.gp,
            goal: match options.level {
                OptLevel::O0 | OptLevel::O1 | OptLevel::O2 => Goal::Speed,
                OptLevel::Os => Goal::Balance,
                OptLevel::Oz => Goal::Size,
            },
            entries: self.entries,
            result: self.result,
            signatures: exports.functions.clone(),
            wide_pointers: exports.has_wide_memory,
            imports: self.import_map(),
            host_calls: self.host_calls,
            memory: target_pvm::MemoryOptions {
                stack_size: self.stack_size,
                guard: self.bounds == PvmBounds::Guard,
                copies_data: self.start_copy == StartCopy::Auto,
                keep_exports: self.keep_exports || self.metadata == MetadataContents::Exports,
                stack_in_memory: self.stack_in_memory(),
                pool: None,
            },
            layout: self.layout(),
            checks: options.checks,
            threads: options.thread_count(),
        }
    }
}

pub(super) fn wrong(what: &str) -> Result<(), OptionsError> {
    Err(OptionsError::new(what.to_owned()))
}

/// The frontend's view of the PVM.
///
/// LLVM has no PVM target, so it sees RISC-V with the extensions whose instructions PVM has, too. `no-default-unroll`
/// replaces LLVM's default, which unrolls nothing at run time, by the heuristics of the target.
fn description(growth: Growth) -> TargetDescription {
    TargetDescription {
        triple: "riscv64-unknown-none-elf",
        cpu: "generic-rv64",
        features: "+m,+zbb,+zicond,+unaligned-scalar-mem,+no-default-unroll",
        data_layout: Some("e-m:e-p:32:32-i64:64-i128:128-n32:64-S128"),
        propagates_arguments: false,
        access_granule: pvm_isa::spi::PAGE_SIZE,
        unaligned: true,
        has_small_helpers: false,
        vector_word: ssa::Type::I64,
        memory_owner: MemoryOwner::Machine,
        growth,
        shares_tables: false,
        has_wide_words: true,
    }
}
