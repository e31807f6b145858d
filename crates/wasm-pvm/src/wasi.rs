//! WASI preview 1 and 0.2, linked into the program.
//!
//! A WASI program expects a host with streams, clocks, arguments and files. A service has none of these: it gets argument
//! bytes and returns a result. Firmware has few of them. The *adapter* connects the two. It is a module in the text format
//! (`wasi/*.wat`) whose exports replace the WASI imports, see [`crate::adapter`]. It may have a memory of its own beside the
//! program's. A service uses the host call `log` and no other, and runs on any node. Firmware defines up to five functions.
//!
//! - A module that exports `_start`, or `run` of the interface `wasi:cli/run`, is a *command*: it becomes a program with one
//!   entry, `main` in a service, which returns the bytes of standard output, and `wasi_main` in firmware.
//! - Any other module is a *reactor*: its exports are entries as without WASI, and `_initialize` runs before them. So is
//!   a command whose exports are entered raw.
//!
//! The text depends on the options: arguments, environment and files are data of the adapter. Functions that the program
//! doesn't use are removed like all unreachable code.

mod files;
mod preview2;
mod text;

use std::collections::BTreeSet;

use wasmparser::{CompositeInnerType, ExternalKind, FuncType, Import, Parser, Payload, TypeRef};

use crate::adapter::{self, AdapterError};
use crate::component::REALLOC;
pub use crate::options::{Directory, Failure, Node, Wasi};
use crate::options::{EntryMode, ResultConvention, Target};
use preview2::{InterfaceFunction, Preview2};
use text::{Kind, Program};

/// Name of the entry of a command in a service.
pub const ENTRY: &str = "main";
/// Name of the entry of a command in firmware, where `main` and `_start` are the firmware's.
pub const FIRMWARE_ENTRY: &str = "wasi_main";
/// Names of the functions of firmware, and of those that it defines.
pub const FIRMWARE_NAMES: [&str; 6] =
    [FIRMWARE_ENTRY, "wasi_read", "wasi_write", "wasi_exit", "wasi_now", "wasi_random"];
/// The export of the adapter for a command.
const ADAPTER_ENTRY: &str = "wasi:entry";
/// The export that a command is started by.
const START: &str = "_start";
/// The export that a reactor is initialised by.
const INITIALIZE: &str = "_initialize";
/// The module of WASI preview 1.
const PREVIEW1: &str = "wasi_snapshot_preview1";
/// The module of its predecessor.
const UNSTABLE: &str = "wasi_unstable";
/// Functions of the module `env` that standalone modules of Emscripten import beside those of WASI.
const EMSCRIPTEN: [&str; 3] = ["emscripten_notify_memory_growth", "getTempRet0", "setTempRet0"];
/// Functions of the predecessor whose parameters or records differ.
const CHANGED: [&str; 4] = ["fd_filestat_get", "fd_seek", "path_filestat_get", "poll_oneoff"];

/// The reason why a module can't be linked with WASI.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WasiError {
    /// Functions of the predecessor of preview 1 whose parameters differ.
    #[error(
        "the module uses {} of wasi_unstable, the predecessor of WASI preview 1, with other parameters: build it for \
         wasi_snapshot_preview1 (wasm32-wasip1)", .0.join(", ")
    )]
    Unstable(Vec<String>),
    /// The adapter doesn't fit.
    #[error("linking WASI: {0}")]
    Linking(#[from] AdapterError),
    /// Files for a module that uses WASI 0.2.
    #[error(
        "the module uses WASI 0.2, for which there are no files yet: build it for WASI preview 1 (wasm32-wasip1), or leave out \
         the directories"
    )]
    Files,
    /// The program's memory has 64-bit addresses.
    #[error("WASI has 32-bit addresses, and the module's memory has 64-bit addresses")]
    Memory64,
    /// A program for firmware uses WASI 0.2.
    #[error(
        "on Cortex-M, --wasi has the functions of WASI preview 1, and the module uses those of 0.2: build it for wasm32-wasip1"
    )]
    Firmware,
}

/// The host of a WASI program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Host {
    /// It calls the entries of a service.
    Service {
        /// The exports that are entries.
        entries: EntryMode,
        /// The form of their results.
        result: ResultConvention,
    },
    /// Firmware, which the program is linked into.
    Firmware,
}

impl Host {
    /// The host of programs for a target.
    pub(crate) const fn of(target: &Target) -> Self {
        match target {
            Target::Pvm(options) => Self::Service { entries: options.entries, result: options.result },
            Target::Thumb(_) => Self::Firmware,
        }
    }
}

impl Wasi {
    /// Links the adapter into a module.
    ///
    /// # Errors
    /// If the module's imports have other types than WASI's functions.
    pub(crate) fn link(&self, wasm: &[u8], host: Host) -> Result<Vec<u8>, WasiError> {
        let mut module = Facts::of(wasm)?;
        if module.preview2.is_used() && host == Host::Firmware {
            return Err(WasiError::Firmware);
        }
        if module.preview2.is_used() && !self.directories.is_empty() {
            return Err(WasiError::Files);
        }
        let (entry, may_be_command) = match host {
            Host::Service { entries, .. } => (ENTRY, entries == EntryMode::Auto),
            Host::Firmware => (FIRMWARE_ENTRY, true),
        };
        let kind = if module.is_command() && may_be_command { Kind::Command } else { Kind::Reactor };
        module.preview2.run.take_if(|_| kind == Kind::Reactor);
        let Facts { memories, uses_emscripten, ref preview2, .. } = module;
        let program = Program { kind, memories, host, uses_emscripten, preview2 };
        let adapter = text::adapter(self, &program);
        let linked = match kind {
            Kind::Command => adapter::link_entry(wasm, &adapter, ADAPTER_ENTRY, entry),
            Kind::Reactor => {
                let hidden = module.preview2.is_used().then_some(REALLOC);
                adapter::link_started(wasm, &adapter, INITIALIZE, hidden)
            }
        };
        linked.map_err(WasiError::Linking)
    }
}

/// A module's imports of WASI.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Imports {
    /// There are some.
    pub any: bool,
    /// There are some, and the module is a command.
    pub is_command: bool,
    /// There is one that reads from files and streams.
    pub reads: bool,
}

/// Whether it is a function that Emscripten has beside those of WASI.
pub(crate) fn is_of_emscripten(module: &str, name: &str) -> bool {
    module == "env" && EMSCRIPTEN.contains(&name)
}

/// Whether there is a function of an interface of the component model.
pub(crate) fn provides(interface: &str, name: &str) -> bool {
    preview2::is_defined(interface, name)
}

/// The imports of WASI of a module; a malformed module has none.
pub fn imports(wasm: &[u8]) -> Imports {
    let facts = Facts::read(wasm).unwrap_or_default();
    let is_command = facts.uses_wasi && facts.is_command();
    Imports { any: facts.uses_wasi, is_command, reads: facts.reads }
}

/// Facts about a module that decide how it is linked.
#[derive(Default)]
struct Facts {
    /// Names of exported functions.
    exports: BTreeSet<String>,
    /// Number of memories.
    memories: u32,
    /// The first memory has 64-bit addresses.
    is_64: bool,
    /// Imported functions of the predecessor that differ.
    unstable: Vec<String>,
    /// Whether there are imports of WASI.
    uses_wasi: bool,
    /// Whether there are functions that Emscripten has beside those of WASI.
    uses_emscripten: bool,
    /// Whether a function that reads is one of them.
    reads: bool,
    /// The use of WASI 0.2.
    preview2: Preview2,
    /// Function types by index.
    types: Vec<Option<FuncType>>,
}

impl Facts {
    fn of(wasm: &[u8]) -> Result<Self, WasiError> {
        let facts = Self::read(wasm).map_err(|error| AdapterError::malformed("the module", &error))?;
        if !facts.unstable.is_empty() {
            return Err(WasiError::Unstable(facts.unstable));
        }
        if facts.is_64 {
            return Err(WasiError::Memory64);
        }
        if !facts.uses_wasi {
            tracing::warn!(code = "W0112", "the module imports nothing of WASI preview 1 or 0.2");
        }
        Ok(facts)
    }

    fn read(wasm: &[u8]) -> Result<Self, wasmparser::Error> {
        let mut facts = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            facts.section(payload?)?;
        }
        Ok(facts)
    }

    /// Whether the module is started once, and not entered by its exports.
    fn is_command(&self) -> bool {
        self.exports.contains(START) || self.preview2.run.is_some()
    }

    fn section(&mut self, payload: Payload<'_>) -> Result<(), wasmparser::Error> {
        match payload {
            Payload::TypeSection(types) => {
                for group in types {
                    self.types.extend(group?.into_types().map(|ty| match ty.composite_type.inner {
                        CompositeInnerType::Func(ty) => Some(ty),
                        _ => None,
                    }));
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    self.interface_import(&import);
                    let is_wasi = matches!(import.module, PREVIEW1 | UNSTABLE);
                    self.uses_wasi |= is_wasi;
                    self.uses_emscripten |= is_of_emscripten(import.module, import.name);
                    self.reads |= is_wasi && import.name == "fd_read";
                    if import.module == UNSTABLE && CHANGED.contains(&import.name) {
                        self.unstable.push(import.name.to_owned());
                    }
                    if let TypeRef::Memory(memory) = import.ty {
                        self.memory(memory.memory64);
                    }
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.memory(memory?.memory64);
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    if export.kind == ExternalKind::Func {
                        self.preview2.has_realloc |= export.name == REALLOC;
                        if preview2::is_run(export.name) {
                            self.preview2.run = Some(export.name.to_owned());
                        }
                        self.exports.insert(export.name.to_owned());
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// An import, if it is of WASI 0.2.
    fn interface_import(&mut self, import: &Import<'_>) {
        let (Some(interface), TypeRef::Func(ty)) = (preview2::interface(import.module), import.ty) else {
            return;
        };
        self.uses_wasi = true;
        self.reads |= interface == "wasi:cli/stdin";
        if let Some(Some(ty)) = self.types.get(ty as usize) {
            let (module, name) = (import.module.to_owned(), import.name.to_owned());
            self.preview2.functions.push(InterfaceFunction { module, name, ty: ty.clone() });
        }
    }

    fn memory(&mut self, is_64: bool) {
        self.is_64 |= self.memories == 0 && is_64;
        self.memories += 1;
    }
}

#[cfg(test)]
mod tests;
