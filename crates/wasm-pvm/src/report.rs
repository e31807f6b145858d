//! Measurements and facts about a compilation, besides its output.

use std::time::Duration;

use pvm_isa::{Container, GpVersion, PolkaVmProgram, ProgramBlob, SpiProgram, metadata};
use target_pvm::Entry;

use crate::insight::CodeMap;

/// Sizes of a program's parts, in bytes unless another unit is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sizes {
    /// The whole file.
    pub total: usize,
    /// The metadata.
    pub metadata: usize,
    /// The code.
    pub code: usize,
    /// The instruction bitmask.
    pub mask: usize,
    /// The jump table.
    pub jump_table: usize,
    /// Entries of the jump table.
    pub jump_table_entries: usize,
    /// Read-only data.
    pub ro_data: usize,
    /// Initial read-write data.
    pub rw_data: usize,
    /// Zeroed pages after the read-write data, of 4096 bytes each.
    pub heap_pages: usize,
    /// The stack.
    pub stack: usize,
    /// Number of instructions.
    pub instructions: usize,
    /// The symbols of imports and exports, in PolkaVM's container.
    pub symbols: usize,
    /// The names of functions, in PolkaVM's container.
    pub names: usize,
}

impl Sizes {
    /// The parts of the file by name, and their bytes.
    pub fn parts(&self) -> [(&'static str, usize); 8] {
        [
            ("metadata", self.metadata),
            ("code", self.code),
            ("mask", self.mask),
            ("jump table", self.jump_table),
            ("read-only data", self.ro_data),
            ("read-write data", self.rw_data),
            ("symbols", self.symbols),
            ("names", self.names),
        ]
    }

    /// Measures a program that takes `total` bytes with `metadata` bytes of metadata.
    pub fn of(program: &SpiProgram, gp: GpVersion, total: usize, metadata: usize) -> Self {
        Self {
            total,
            metadata,
            ro_data: program.ro_data.len(),
            rw_data: program.rw_data.len(),
            heap_pages: program.heap_pages.into(),
            stack: program.stack_size as usize,
            ..Self::of_blob(&program.blob, gp)
        }
    }

    /// The same for a program in PolkaVM's container.
    pub fn of_polkavm(program: &PolkaVmProgram, gp: GpVersion, total: usize, metadata: usize) -> Self {
        let page = pvm_isa::spi::PAGE_SIZE as usize;
        let stored = program.rw_data.len().next_multiple_of(page);
        Self {
            total,
            metadata,
            ro_data: program.ro_data.len(),
            rw_data: program.rw_data.len(),
            heap_pages: (program.rw_size as usize).saturating_sub(stored).div_ceil(page),
            stack: program.stack_size as usize,
            symbols: program.symbol_bytes(),
            names: program.name_bytes(),
            ..Self::of_blob(&program.blob, gp)
        }
    }

    /// Measures a program file of `total` bytes.
    pub fn of_container(container: &Container, gp: GpVersion, total: usize) -> Self {
        let metadata = container.metadata().len();
        match container {
            Container::Jam { program, .. } | Container::Spi(program) => {
                Self::of(program, gp, total, metadata)
            }
            Container::Raw(blob) => Self { total, ..Self::of_blob(blob, gp) },
            Container::PolkaVm(program) | Container::CoreVm { program, .. } => {
                Self::of_polkavm(program, gp, total, metadata)
            }
        }
    }

    fn of_blob(blob: &ProgramBlob, gp: GpVersion) -> Self {
        Self {
            code: blob.code.len(),
            mask: blob.stored_mask().len(),
            jump_table: blob.jump_table.len() * blob.jump_table_entry_size(),
            jump_table_entries: blob.jump_table.len(),
            instructions: blob.instructions(gp).count(),
            ..Self::default()
        }
    }
}

/// Measurements of a compilation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Bytes of the WebAssembly binary, unpacked, adapters included.
    pub wasm_bytes: usize,
    /// Wall time of each phase, in order.
    pub phases: Vec<(&'static str, Duration)>,
    /// The part that depends on the target.
    pub details: Details,
}

/// Facts about the output of a target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Details {
    /// A PVM program.
    Pvm(Box<PvmReport>),
    /// A Cortex-M object.
    Thumb(Box<ThumbReport>),
}

impl Report {
    /// The report on a PVM program, if the output is one.
    pub const fn pvm(&self) -> Option<&PvmReport> {
        match &self.details {
            Details::Pvm(report) => Some(report),
            Details::Thumb(_) => None,
        }
    }

    /// The report on a Cortex-M object, if the output is one.
    pub const fn thumb(&self) -> Option<&ThumbReport> {
        match &self.details {
            Details::Thumb(report) => Some(report),
            Details::Pvm(_) => None,
        }
    }
}

/// Facts about a Cortex-M object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThumbReport {
    /// Bytes of the file.
    pub total: usize,
    /// Bytes of its sections, by kind.
    pub sizes: target_thumb::Sizes,
    /// Its functions in order.
    pub functions: Vec<target_thumb::FunctionInfo>,
    /// Its undefined symbols in order.
    pub imports: Vec<String>,
    /// The function that must be called before all others, if there is one.
    pub first_call: Option<target_thumb::FirstCall>,
    /// The map of its code, if the options ask for one. Positions count the bytes of all functions in order.
    pub map: Option<CodeMap>,
}

/// Facts about a PVM program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PvmReport {
    /// Sizes of the output.
    pub sizes: Sizes,
    /// Entry points, in the order of their code offsets.
    pub entries: Vec<Entry>,
    /// The action of each imported function.
    pub imports: Vec<metadata::Import>,
    /// Start and name of each compiled function, in ascending order.
    pub functions: Vec<metadata::FunctionName>,
    /// Names and PVM addresses of all data objects that have a place.
    pub data: Vec<(String, u32)>,
    /// Names of exported globals, tables and memories, with the index of their object in [`data`](Self::data).
    pub data_exports: Vec<(String, usize)>,
    /// `base` in `pvm = wasm + base` modulo 2^32.
    pub linear_base: u32,
    /// The first wasm address that has memory.
    pub linear_first: u32,
    /// Values of references to functions, by name, for those whose address is taken.
    pub references: Vec<(String, u64)>,
    /// The deepest stack of each entry.
    pub stacks: target_pvm::Stacks,
    /// The map of the code, if the options ask for one.
    pub map: Option<CodeMap>,
}

impl PvmReport {
    /// The PVM address of an exported global, table or memory.
    pub fn exported_data(&self, name: &str) -> Option<u32> {
        let (_, index) = self.data_exports.iter().find(|(export, _)| export == name)?;
        Some(self.data[*index].1)
    }

    /// The position at which an exported function is entered.
    pub fn entry_pc(&self, name: &str) -> Option<u32> {
        let named = |entry: &&Entry| entry.target.is_some() && entry.name == name;
        self.entries.iter().find(named).map(|entry| entry.pc)
    }
}
