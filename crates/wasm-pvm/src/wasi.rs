//! WASI preview 1, linked into the program.
//!
//! A WASI program expects a host with streams, clocks, arguments and files. A service has none of these: it gets argument
//! bytes and returns a result. The *adapter* connects the two. It is a module in the text format (`wasi/*.wat`) whose
//! exports replace the WASI imports, see [`crate::adapter`]. It has a memory of its own beside the program's. So a program
//! uses the host call `log` and no other, and runs on any node.
//!
//! - A module that exports `_start` is a *command*: it becomes a program with one entry, `main`, which returns
//!   the bytes of standard output.
//! - Any other module is a *reactor*: its exports are entries as without WASI, and `_initialize` runs before them. So is
//!   a command whose exports are entered raw.
//!
//! The text depends on the options: arguments, environment and files are data of the adapter. Functions that the program
//! doesn't use are removed like all unreachable code.

mod files;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::{Parser, Payload, TypeRef};

use crate::adapter::{self, AdapterError};
use crate::options::{EntryMode, OptionsError, ResultConvention};
use text::{Kind, Program};

/// Name of the entry of a command.
pub const ENTRY: &str = "main";
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
/// Functions of the predecessor whose parameters or records differ.
const CHANGED: [&str; 4] = ["fd_filestat_get", "fd_seek", "path_filestat_get", "poll_oneoff"];

/// Arguments, environment and files of a WASI program.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wasi {
    /// The arguments, beginning with the program's name.
    pub args: Vec<String>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// Directories that are open at the start.
    pub directories: Vec<Directory>,
    /// The effect of `proc_exit` with a code other than 0, after it is logged.
    pub failure: Failure,
}

/// The effect of `proc_exit` with a code other than 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Failure {
    /// The program panics.
    #[default]
    Panic,
    /// The program halts with its output as the result, for hosts that read the code from the log.
    Halt,
}

/// A directory that a program can read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Directory {
    /// Its name in the program.
    pub guest: String,
    /// Files and directories by name.
    pub entries: BTreeMap<String, Node>,
}

/// A file or a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Node {
    /// A file with its contents.
    File(Vec<u8>),
    /// A directory with its entries.
    Directory(BTreeMap<String, Node>),
}

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
    /// The entry of a command converts its arguments and result.
    #[error(
        "the entry of a WASI command converts its arguments and result, so --entries raw is not possible"
    )]
    Raw,
    /// The program's memory has 64-bit addresses.
    #[error("WASI preview 1 has 32-bit addresses, and the module's memory has 64-bit addresses")]
    Memory64,
}

impl Wasi {
    /// Checks that the program can be given these arguments, environment and files.
    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        let error = |what: String| Err(OptionsError::new(what));
        for arg in &self.args {
            if arg.contains('\0') {
                return error(format!("the WASI argument {arg:?} contains a NUL character"));
            }
        }
        let mut names = BTreeSet::new();
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                let variable = format!("{name}={value}");
                return error(format!(
                    "the WASI environment variable {variable:?} has no name, or contains a NUL character"
                ));
            }
            if !names.insert(name) {
                return error(format!("the WASI environment variable {name} is given twice"));
            }
        }
        files::check(&self.directories)
    }

    /// Links the adapter into a module.
    ///
    /// # Errors
    /// If the module's imports have other types than WASI's functions.
    pub(crate) fn link(
        &self,
        wasm: &[u8],
        entries: EntryMode,
        result: ResultConvention,
    ) -> Result<Vec<u8>, WasiError> {
        let module = Facts::of(wasm)?;
        let is_command = module.exports.contains(START) && entries == EntryMode::Auto;
        let kind = if is_command { Kind::Command } else { Kind::Reactor };
        let program = Program { kind, memories: module.memories, result };
        let adapter = text::adapter(self, &program);
        let linked = match kind {
            Kind::Command => adapter::link_entry(wasm, &adapter, ADAPTER_ENTRY, ENTRY),
            Kind::Reactor => adapter::link_started(wasm, &adapter, INITIALIZE),
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

/// The imports of WASI of a module; a malformed module has none.
pub fn imports(wasm: &[u8]) -> Imports {
    let facts = Facts::read(wasm).unwrap_or_default();
    let is_command = facts.uses_wasi && facts.exports.contains(START);
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
    /// Whether `fd_read` is one of them.
    reads: bool,
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
            tracing::warn!("the module imports nothing of WASI preview 1");
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

    fn section(&mut self, payload: Payload<'_>) -> Result<(), wasmparser::Error> {
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    let is_wasi = matches!(import.module, PREVIEW1 | UNSTABLE);
                    self.uses_wasi |= is_wasi;
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
                    if export.kind == wasmparser::ExternalKind::Func {
                        self.exports.insert(export.name.to_owned());
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn memory(&mut self, is_64: bool) {
        self.is_64 |= self.memories == 0 && is_64;
        self.memories += 1;
    }
}

#[cfg(test)]
mod tests;
