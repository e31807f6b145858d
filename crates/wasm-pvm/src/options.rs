//! Options of the library. There are no switches for single optimisations.
//!
//! [`Options`] has the options of every compilation. Options of one target only are in that target's struct, so they
//! can't be given for another. Combinations are checked before the input is read ([`OptionsError`]).

mod names;
mod profile;
mod pvm;
mod thumb;
mod wasi;

use std::collections::BTreeMap;

pub use llvm_frontend::{ConstValue, Constants, OptLevel, ShadowStack};
pub use ssa::Import;

pub use names::Choice;
pub(crate) use profile::CONTRACT_BLOCK;
pub use profile::Profile;
pub use pvm::{
    EntryMode, Format, GpVersion, ImportAction, ImportMap, ImportMapError, MetadataContents, Names,
    PvmBounds, PvmOptions, ResultConvention, START_ENTRY, StartCopy,
};
pub use thumb::{
    Architecture, Cpu, Debug, FloatAbi, FloatHelpers, InitialData, MemoryMode, ThumbBounds, ThumbOptions,
    Trap, UnknownCpu,
};
pub use wasi::{Directory, Failure, Node, Wasi};

use crate::counts;

/// Treatment of float operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Floats {
    /// Float arithmetic, comparisons and conversions in reachable code are errors; loads, stores, constants and
    /// reinterpretations move bits.
    Reject,
    /// Float arithmetic, comparisons and conversions trap when they are executed; loads, stores, constants and
    /// reinterpretations move bits.
    Trap,
    /// Integer code for operators that the machine lacks. On Cortex-M, calls of the run-time ABI's functions
    /// (`__aeabi_dadd` and so on), unless the [helpers](FloatHelpers) are our own.
    Soft,
    /// Instructions of the core's floating-point unit; an operator it lacks is an error. Cortex-M only.
    Hard,
}

impl Floats {
    const fn frontend(self, target: &Target) -> llvm_frontend::Floats {
        match (self, target) {
            (Self::Reject, _) => llvm_frontend::Floats::Reject,
            (Self::Trap, _) => llvm_frontend::Floats::Trap,
            (Self::Soft, Target::Pvm(_)) => llvm_frontend::Floats::Soft,
            (Self::Soft, Target::Thumb(options)) if matches!(options.float_helpers, FloatHelpers::Own) => {
                llvm_frontend::Floats::Soft
            }
            (Self::Soft | Self::Hard, _) => llvm_frontend::Floats::Native,
        }
    }
}

/// The machine to compile for, with its options.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// The PVM of JAM: the output is a program.
    Pvm(PvmOptions),
    /// A Cortex-M core: the output is a relocatable ELF object.
    Thumb(ThumbOptions),
}

impl Default for Target {
    fn default() -> Self {
        Self::Pvm(PvmOptions::default())
    }
}

impl From<PvmOptions> for Target {
    fn from(options: PvmOptions) -> Self {
        Self::Pvm(options)
    }
}

impl From<ThumbOptions> for Target {
    fn from(options: ThumbOptions) -> Self {
        Self::Thumb(options)
    }
}

/// All options of a compilation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The machine.
    pub target: Target,
    /// The optimisation level.
    pub level: OptLevel,
    /// Treatment of float operators; `None` is [`Floats::Hard`] on Cortex-M cores with a floating-point unit, else
    /// [`Floats::Soft`].
    pub floats: Option<Floats>,
    /// Where the C stack of the wasm program lives.
    pub shadow_stack: ShadowStack,
    /// Values of imported globals.
    pub imported_globals: BTreeMap<Import, ConstValue>,
    /// Modules whose exports replace imports of the main module, applied in order. Any input form.
    pub adapters: Vec<Vec<u8>>,
    /// Arguments, environment and files, if the module is a WASI program.
    pub wasi: Option<Wasi>,
    /// Counts of earlier runs, which tell hot code from the rest. The module's meaning does not depend on them.
    pub profile: Option<counts::Profile>,
    /// Check the result of every stage of the compiler, also in builds without assertions. A fault is a panic.
    pub checks: bool,
    /// Worker threads; 0 means one per processor. The output does not depend on it.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self::new(Target::default())
    }
}

/// Options that contradict each other, or that the target does not have.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct OptionsError(String);

impl OptionsError {
    /// With a description of the contradiction.
    pub const fn new(what: String) -> Self {
        Self(what)
    }
}

impl Options {
    /// The defaults for a target: `-O2`, the target's default for floats, as many threads as processors.
    pub fn new(target: impl Into<Target>) -> Self {
        Self {
            target: target.into(),
            level: OptLevel::O2,
            floats: None,
            shadow_stack: ShadowStack::Auto,
            imported_globals: BTreeMap::new(),
            adapters: Vec::new(),
            wasi: None,
            profile: None,
            checks: false,
            threads: 0,
        }
    }

    /// The options of the PVM, if that is the target.
    pub const fn pvm(&self) -> Option<&PvmOptions> {
        match &self.target {
            Target::Pvm(options) => Some(options),
            Target::Thumb(_) => None,
        }
    }

    /// The options of Cortex-M, if that is the target.
    pub const fn thumb(&self) -> Option<&ThumbOptions> {
        match &self.target {
            Target::Thumb(options) => Some(options),
            Target::Pvm(_) => None,
        }
    }

    /// Actions of imported functions.
    pub const fn imports(&self) -> &ImportMap {
        match &self.target {
            Target::Pvm(options) => &options.imports,
            Target::Thumb(options) => &options.imports,
        }
    }

    /// The same options, with a map of the code.
    #[cfg(feature = "insight")]
    pub(crate) fn with_map(&self) -> Self {
        let mut options = self.clone();
        match &mut options.target {
            Target::Pvm(pvm) => pvm.map = true,
            Target::Thumb(thumb) => thumb.map = true,
        }
        options
    }

    /// Checks that the options are consistent.
    ///
    /// # Errors
    /// With the first contradiction.
    pub fn check(&self) -> Result<(), OptionsError> {
        if let Some(wasi) = &self.wasi {
            wasi.check()?;
        }
        self.backend().check()
    }

    /// Treatment of float operators, with the default resolved for a module that computes with floats.
    pub fn resolved_floats(&self) -> Floats {
        self.floats.unwrap_or_else(|| self.backend().default_floats(true))
    }

    /// Whether the default for float operators depends on the module.
    pub(crate) fn floats_depend_on_module(&self) -> bool {
        let default = |computes| self.backend().default_floats(computes);
        self.floats.is_none() && default(false) != default(true)
    }

    /// Worker threads with the default resolved.
    pub(crate) fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }

    /// The options of the frontend.
    pub(crate) fn frontend(&self) -> llvm_frontend::Options {
        llvm_frontend::Options {
            level: self.level,
            floats: self.resolved_floats().frontend(&self.target),
            shadow_stack: self.shadow_stack,
            checks: self.checks,
            threads: self.thread_count(),
            imported_globals: self.imported_globals.clone(),
            ..self.backend().frontend()
        }
    }
}
