//! WebAssembly to PVM programs and Cortex-M objects: the compiler as a library, and an engine to run PVM programs.
//!
//! ```no_run
//! let wasm = std::fs::read("program.wasm")?;
//! let output = wasm_pvm::compile(&wasm, &wasm_pvm::Options::default())?;
//! let outcome = wasm_pvm::run::run(&output.bytes, &wasm_pvm::run::RunOptions::default())?;
//! assert_eq!(outcome.status, wasm_pvm::run::Status::Halt);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`compile`] is the pipeline: input in any form ([`input`], [`component`]), adapters linked in ([`adapter`]), the frontend and the
//! target of [`Options`], the container or object. [`emit`] stops at a stage and returns its text. Everything is a
//! function of its arguments: the same input and options give the same bytes in every process and with any number of
//! threads.

pub mod adapter;
pub mod component;
pub mod input;
pub mod wasi;

/// Reading Cortex-M objects.
pub mod object {
    pub use target_thumb::file::{
        CodeLine, Depth, ExportStack, FileError, FunctionSummary, LoopBound, SectionSummary, Step, Summary,
        SymbolSummary, assembly, function_at, listing, loop_bounds, reason, trap_at,
    };
}

mod backend;
mod clock;
pub mod codes;
mod compile;
#[cfg(feature = "engine")]
pub mod cortex_m;
pub mod counts;
mod error;
pub mod excerpt;
mod exports;
mod globals;
mod host_heap;
pub mod insight;
mod missing;
mod options;
mod report;
mod side_module;
mod text;
#[cfg(feature = "verify")]
pub mod verify;

#[cfg(feature = "insight")]
pub use compile::explore;
pub use compile::{Output, Stage, compile, compile_counting, emit, linked_module, pass_names};
pub use error::{Error, LimitError};
pub use llvm_frontend::{llvm_version, on_exhausted_memory};
pub use missing::MissingImports;
pub use options::{
    Architecture, Choice, ConstValue, Constants, Cpu, Debug, EntryMode, FloatAbi, FloatHelpers, Floats,
    Format, GpVersion, Import, ImportAction, ImportMap, ImportMapError, InitialData, MemoryMode,
    MetadataContents, Names, OptLevel, Options, OptionsError, Profile, PvmBounds, PvmOptions,
    ResultConvention, START_ENTRY, ShadowStack, StartCopy, Target, ThumbBounds, ThumbOptions, Trap,
    UnknownCpu,
};
#[cfg(feature = "engine")]
pub use pvm_engine as run;
pub use report::{Details, PvmReport, Report, Sizes, ThumbReport};
pub use target_pvm::{EntryStack, Stacks};
pub use target_thumb::FirstCall;
