//! What a caller can choose. There are no switches for single optimisations.

use std::collections::BTreeMap;

pub use llvm_frontend::{Bounds, ConstValue, Floats, OptLevel, ShadowStack};
use pvm_isa::GpVersion;
pub use pvm_isa::metadata::ResultConvention;
use ssa::Import;
use target_pvm::Goal;
pub use target_pvm::entries::START_ENTRY;
pub use target_pvm::{EntryMode, ImportAction, ImportMap, ImportMapError};

/// The machine to compile for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Target {
    /// The PVM of JAM.
    #[default]
    Pvm,
}

/// The form of the output file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// Metadata, then a standard program: what a JAM service is stored as.
    #[default]
    Jam,
    /// A standard program: code with its initial memory.
    Spi,
    /// Code and jump table only. Initial memory is lost: for programs that need none.
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

/// Everything that steers a compilation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The machine.
    pub target: Target,
    /// The version of the Gray Paper the program is for.
    pub gp: GpVersion,
    /// How much work goes into the code, and towards what.
    pub level: OptLevel,
    /// What happens to float operators.
    pub floats: Floats,
    /// Who notices an access outside of linear memory.
    pub bounds: Bounds,
    /// Where the C stack of the wasm program lives.
    pub shadow_stack: ShadowStack,
    /// Bytes of machine stack; `None` derives it from the module.
    pub stack_size: Option<u32>,
    /// Actions of imported functions.
    pub imports: ImportMap,
    /// Values of imported globals.
    pub imported_globals: BTreeMap<Import, ConstValue>,
    /// Modules whose exports replace imports of the main module, applied in order. Any input form.
    pub adapters: Vec<Vec<u8>>,
    /// Which exports can be entered, and how.
    pub entries: EntryMode,
    /// How entry functions return their result.
    pub result: ResultConvention,
    /// The form of the output.
    pub format: Format,
    /// Whether the metadata names the functions.
    pub names: Names,
    /// Name of the program in the metadata.
    pub package: String,
    /// Give exported globals and tables an address even if no code refers to them, for tests that look at them.
    pub keep_exports: bool,
    /// Worker threads; 0 means one per processor. The output does not depend on it.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target: Target::Pvm,
            gp: GpVersion::V08,
            level: OptLevel::O2,
            floats: Floats::Reject,
            bounds: Bounds::Guard,
            shadow_stack: ShadowStack::Auto,
            stack_size: None,
            imports: ImportMap::default(),
            imported_globals: BTreeMap::new(),
            adapters: Vec::new(),
            entries: EntryMode::Auto,
            result: ResultConvention::Length,
            format: Format::Jam,
            names: Names::Auto,
            package: String::new(),
            keep_exports: false,
            threads: 0,
        }
    }
}

impl Options {
    /// Worker threads with the default resolved.
    pub(crate) fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }

    /// Whether the metadata names the functions.
    pub(crate) fn keeps_names(&self) -> bool {
        match self.names {
            Names::Auto => matches!(self.level, OptLevel::O0 | OptLevel::O2),
            Names::Keep => true,
            Names::Strip => false,
        }
    }

    pub(crate) fn frontend(&self) -> llvm_frontend::Options {
        let target = match self.gp {
            GpVersion::V072 => llvm_frontend::Target::PvmV072,
            GpVersion::V08 => llvm_frontend::Target::PvmV08,
        };
        llvm_frontend::Options {
            level: self.level,
            floats: self.floats,
            bounds: self.bounds,
            shadow_stack: self.shadow_stack,
            threads: self.thread_count(),
            host_arguments: self.bounds == Bounds::Strict && self.entries == EntryMode::Auto,
            imported_globals: self.imported_globals.clone(),
            ..llvm_frontend::Options::new(target)
        }
    }

    pub(crate) fn pvm(&self) -> target_pvm::Options {
        target_pvm::Options {
            gp: self.gp,
            goal: match self.level {
                OptLevel::O0 | OptLevel::O2 => Goal::Speed,
                OptLevel::Os => Goal::Balance,
                OptLevel::Oz => Goal::Size,
            },
            entries: self.entries,
            result: self.result,
            imports: self.imports.clone(),
            memory: target_pvm::MemoryOptions {
                stack_size: self.stack_size,
                guard: self.bounds == Bounds::Guard,
                keep_exports: self.keep_exports,
                identity_from: None,
            },
            threads: self.thread_count(),
        }
    }
}
