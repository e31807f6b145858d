//! Options of Cortex-M.

use std::collections::BTreeMap;

use llvm_frontend::{Constants, MemoryOwner, ShadowStack, TargetDescription};
use runtime::llvm::Growth;
use target_thumb::MemoryShape;
pub use target_thumb::cpu::Architecture;
pub use target_thumb::{Cpu, InitialData, MemoryMode, Trap, UnknownCpu};

use super::{Choice as _, Floats, ImportMap, Options, OptionsError};

/// Treatment of accesses outside of linear memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ThumbBounds {
    /// No check.
    None,
    /// Addresses are taken modulo the size of memory, a power of two.
    Mask,
    /// A comparison before every access.
    Check,
    /// No check in the code; linear memory is laid out as one region of the memory protection unit.
    Mpu,
}

/// Functions for float operators that the core lacks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum FloatHelpers {
    /// Those of the run-time ABI (`__aeabi_dadd` and so on), which another library has.
    #[default]
    Aeabi,
    /// Our own, local functions of the object. For cores without a floating-point unit.
    Own,
}

/// Registers for floats that are passed to and from other objects, on cores with a floating-point unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum FloatAbi {
    /// Float registers.
    #[default]
    Hard,
    /// Core registers, as with `-mfloat-abi=softfp` of C compilers.
    Softfp,
}

/// Debug information in the object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Debug {
    /// None.
    None,
    /// Frames, and functions and line tables if the module has DWARF.
    #[default]
    Lines,
}

/// Options of the Cortex-M target, beside [`Options`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThumbOptions {
    /// The core.
    pub cpu: Cpu,
    /// Where linear memory is.
    pub memory: MemoryMode,
    /// Treatment of accesses outside of it; `None` is [`ThumbBounds::None`] in native mode, else
    /// [`ThumbBounds::Check`].
    pub bounds: Option<ThumbBounds>,
    /// Functions for float operators that the core lacks.
    pub float_helpers: FloatHelpers,
    /// Whether every access is aligned, also on cores that have others.
    pub strict_align: bool,
    /// Registers for floats in calls from and to other objects.
    pub float_abi: FloatAbi,
    /// Effect of a trap.
    pub trap: Trap,
    /// Reserved bytes of linear memory; `None` for the declared size. In native mode, the end of static data.
    pub memory_bytes: Option<u32>,
    /// Bytes that each memory other than the first may grow by.
    pub memory_reserve: u32,
    /// Method by which linear memory gets its initial data, if it isn't the machine's memory; `None` is
    /// [`InitialData::Copy`].
    pub initial_data: Option<InitialData>,
    /// Whether the alignment hints of accesses are true. In wasm they are not binding.
    pub trusts_alignment: bool,
    /// Treatment of constants that could be addresses of static data or numbers, in native mode.
    pub constants: Constants,
    /// Bytes of the region for a strict shadow stack in native mode.
    pub shadow_stack_size: Option<u32>,
    /// Imports that trap or do nothing. The others are undefined symbols.
    pub imports: ImportMap,
    /// Prefix of every import's symbol.
    pub import_prefix: String,
    /// Symbols of imports and exports by wasm name, where they differ from it.
    pub renames: BTreeMap<String, String>,
    /// Debug information in the object.
    pub debug: Debug,
    /// Make a map of the code in place of debug sections.
    pub map: bool,
}

impl Default for ThumbOptions {
    fn default() -> Self {
        Self::new(Cpu::default())
    }
}

impl ThumbOptions {
    /// The defaults for a core: native memory, no checks, traps as instructions.
    pub fn new(cpu: Cpu) -> Self {
        Self {
            cpu,
            memory: MemoryMode::Native,
            bounds: None,
            float_helpers: FloatHelpers::default(),
            strict_align: false,
            float_abi: FloatAbi::default(),
            trap: Trap::Instruction,
            memory_bytes: None,
            memory_reserve: 0,
            initial_data: None,
            trusts_alignment: false,
            constants: Constants::Auto,
            shadow_stack_size: None,
            imports: ImportMap::default(),
            import_prefix: String::new(),
            renames: BTreeMap::new(),
            debug: Debug::default(),
            map: false,
        }
    }

    /// Treatment of accesses outside of linear memory, with the default resolved.
    pub fn resolved_bounds(&self) -> ThumbBounds {
        let default = match self.memory {
            MemoryMode::Native => ThumbBounds::None,
            MemoryMode::Symbol | MemoryMode::Register => ThumbBounds::Check,
        };
        self.bounds.unwrap_or(default)
    }

    pub(crate) fn check(&self, options: &Options) -> Result<(), OptionsError> {
        let refuse = |message: String| Err(OptionsError::new(message));
        let is_native = self.memory == MemoryMode::Native;
        if is_native && options.wasi.as_ref().is_some_and(|wasi| !wasi.directories.is_empty()) {
            return refuse(
                "the files of WASI directories need a memory of their own, which memory `native` hasn't; use memory `symbol` \
                 or `register`"
                    .to_owned(),
            );
        }
        if is_native && self.resolved_bounds() != ThumbBounds::None {
            return refuse(
                "memory `native` has no bounds to check; use memory `symbol` or `register`".to_owned(),
            );
        }
        if let Some(name) = self.imports.host_call() {
            return refuse(format!(
                "--imports: `{name}` is a host call, which only the PVM has; on Cortex-M the action of an import is trap or \
                 nop, and imports without one are symbols"
            ));
        }
        if self.initial_data.is_some() && is_native {
            return refuse("initial data is an option of memory `symbol` and `register`; data of memory `native` is in sections".to_owned());
        }
        if self.initial_data == Some(InitialData::Image) && self.memory == MemoryMode::Register {
            return refuse("initial data `image` needs memory `symbol`".to_owned());
        }
        if self.constants != Constants::Auto && !is_native {
            return refuse("the treatment of constants is an option of memory `native` only".to_owned());
        }
        if self.shadow_stack_size.is_some() && !(is_native && options.shadow_stack == ShadowStack::Strict) {
            return refuse(
                "the size of a shadow stack needs memory `native` and shadow stack `strict`".to_owned(),
            );
        }
        if options.floats == Some(Floats::Hard) && !self.cpu.has_single() {
            return refuse(format!(
                "{} has no floating-point unit; use floats `soft`, `trap` or `reject`",
                self.cpu
            ));
        }
        if self.float_abi == FloatAbi::Softfp && !self.cpu.has_single() {
            return Err(OptionsError::new(format!(
                "float ABI `softfp` is for cores with a floating-point unit, and {} has none: floats are in core registers anyway",
                self.cpu
            )));
        }
        self.check_float_helpers(options)
    }

    fn check_float_helpers(&self, options: &Options) -> Result<(), OptionsError> {
        if self.float_helpers == FloatHelpers::Aeabi {
            return Ok(());
        }
        if self.cpu.has_single() {
            return Err(OptionsError::new(format!(
                "float helpers `own` are for cores without a floating-point unit, and {} has one; use float helpers `aeabi`",
                self.cpu
            )));
        }
        if options.resolved_floats() != Floats::Soft {
            return Err(OptionsError::new("float helpers need floats `soft`".to_owned()));
        }
        Ok(())
    }

    /// The frontend's options that depend on these.
    pub(crate) fn frontend(&self) -> llvm_frontend::Options {
        let bounds = match self.resolved_bounds() {
            ThumbBounds::None | ThumbBounds::Mpu => llvm_frontend::Bounds::Guard,
            ThumbBounds::Check => llvm_frontend::Bounds::Strict,
            ThumbBounds::Mask => llvm_frontend::Bounds::Mask,
        };
        llvm_frontend::Options {
            bounds,
            memory_bytes: self.memory_bytes,
            memory_reserve: self.memory_reserve,
            trusts_alignment: self.trusts_alignment,
            constants: self.constants,
            static_data: self.memory == MemoryMode::Native,
            shadow_stack_size: self.shadow_stack_size,
            locations: match self.debug {
                _ if self.map => llvm_frontend::Locations::Offsets,
                Debug::Lines => llvm_frontend::Locations::Lines,
                Debug::None => llvm_frontend::Locations::None,
            },
            reports_traps: self.reports_traps(),
            ..llvm_frontend::Options::new(description(self.cpu, self.strict_align))
        }
    }

    /// Whether traps call a handler, with the offset of the operator.
    pub(crate) const fn reports_traps(&self) -> bool {
        matches!(self.trap, Trap::Handler(_))
    }

    /// The settings that the object records.
    fn settings(&self, options: &Options) -> Vec<(String, String)> {
        let trap = match &self.trap {
            Trap::Instruction => "udf".to_owned(),
            Trap::Handler(symbol) => format!("handler={symbol}"),
        };
        let (bounds, floats) = (self.resolved_bounds().name(), options.resolved_floats().name());
        let helpers = (self.float_helpers == FloatHelpers::Own).then_some(("float-helpers", "own"));
        let pairs = [("bounds", bounds), ("floats", floats), ("trap", &trap)];
        let alignment = self.trusts_alignment.then_some(("alignment", "hints"));
        let strict = self.strict_align.then_some(("unaligned", "none"));
        let abi = (self.float_abi == FloatAbi::Softfp).then_some(("float-abi", "softfp"));
        let pairs = pairs.into_iter().chain(helpers).chain(abi).chain(strict).chain(alignment);
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The options of code generation.
    pub(crate) fn codegen(&self, options: &Options) -> target_thumb::Options {
        target_thumb::Options {
            cpu: self.cpu,
            memory: self.memory,
            initial_data: self.initial_data.unwrap_or(InitialData::Copy),
            soft_floats: options.resolved_floats() == Floats::Soft
                && self.float_helpers == FloatHelpers::Aeabi,
            strict_align: self.strict_align,
            softfp: self.float_abi == FloatAbi::Softfp,
            trap: self.trap.clone(),
            object: target_thumb::ObjectOptions {
                memory_bytes: self.memory_bytes.map(u64::from),
                debug: self.debug != Debug::None && !self.map,
                memory_shape: match self.resolved_bounds() {
                    ThumbBounds::None | ThumbBounds::Check => MemoryShape::Plain,
                    ThumbBounds::Mask => MemoryShape::Slack,
                    ThumbBounds::Mpu => MemoryShape::Region,
                },
                import_prefix: self.import_prefix.clone(),
                renames: self.renames.clone(),
                functions: Vec::new(),
                settings: self.settings(options),
            },
            checks: options.checks,
            threads: options.thread_count(),
        }
    }
}

/// The frontend's view of a core.
fn description(cpu: Cpu, strict_align: bool) -> TargetDescription {
    TargetDescription {
        triple: if cpu.has_main() { "thumbv7m-none-eabi" } else { "thumbv6m-none-eabi" },
        cpu: cpu.llvm_name(),
        features: "",
        data_layout: None,
        propagates_arguments: true,
        // The finest region of memory protection.
        access_granule: 32,
        unaligned: cpu.has_main() && !strict_align,
        has_small_helpers: true,
        vector_word: ssa::Type::I32,
        memory_owner: MemoryOwner::Linker,
        growth: Growth::RESERVED,
        shares_tables: true,
        has_wide_words: false,
    }
}
