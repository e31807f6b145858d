//! The container of a PVM program: its metadata, code and initial memory as one file.

use std::collections::{BTreeMap, BTreeSet};

use pvm_isa::metadata::{
    DataExport, Export, Extension, FunctionName, ImportKind, Metadata, Package, SERVICE_NAMES, service_result,
};
use pvm_isa::polkavm::{self, DebugFrame, DebugRegion, DebugSections, InstructionSet, PolkaVmProgram};
use pvm_isa::{CodeFormat, Container, SpiProgram, spi};
use target_pvm::{Entry, EntryMode, Images, Program};

use super::metadata::fitting;
use crate::exports::Exports;
use crate::insight::CodeMap;
use crate::insight::map::Frame;
use crate::options::{Format, MetadataContents, Names, OptLevel, PvmOptions};
use crate::report::{PvmReport, Sizes};

/// The program with its memory in the areas of a standard program.
fn standard_program(program: &Program) -> SpiProgram {
    let Images { ro, rw, heap_pages, stack_size, .. } = &program.images;
    SpiProgram {
        ro_data: ro.clone(),
        rw_data: rw.clone(),
        heap_pages: u16::try_from(*heap_pages).expect("the layout limits the heap"),
        stack_size: *stack_size,
        blob: program.blob.clone(),
    }
}

/// The output file.
pub fn container(
    program: &Program,
    exports: &Exports,
    level: OptLevel,
    options: &PvmOptions,
    map: Option<&CodeMap>,
) -> Container {
    match options.format {
        Format::Jam => Container::Jam {
            metadata: fitting(metadata(program, exports, level, options), options.names),
            program: standard_program(program),
        },
        Format::Spi => Container::Spi(standard_program(program)),
        Format::Raw => {
            let lost = program.images.ro.len() + program.images.rw.len();
            if lost > 0 {
                tracing::warn!(code = "W0109", bytes = lost, "the raw form has no place for initial memory");
            }
            Container::Raw(program.blob.clone())
        }
        Format::PolkaVm => {
            let metadata = metadata(program, exports, level, options).to_bytes();
            Container::PolkaVm(PolkaVmProgram { metadata, ..polkavm_program(program, level, options, map) })
        }
        Format::CoreVm => Container::CoreVm {
            metadata: fitting(metadata(program, exports, level, options), options.names),
            program: PolkaVmProgram {
                isa: match options.gp.code_format() {
                    // Engines of JAM decide by their version of the Gray Paper what the opcodes of this set mean.
                    CodeFormat::Bitmask => InstructionSet::JamV1,
                    CodeFormat::Blocks => InstructionSet::of(options.gp),
                },
                ..polkavm_program(program, level, options, map)
            },
        },
    }
}

/// The program with its memory and symbols as PolkaVM's container has them.
fn polkavm_program(
    program: &Program,
    level: OptLevel,
    options: &PvmOptions,
    map: Option<&CodeMap>,
) -> PolkaVmProgram {
    let Images { ro, ro_size, rw, heap_pages, stack_size } = &program.images;
    let export = |entry: &Entry| polkavm::Export { pc: entry.pc, symbol: entry.name.clone() };
    let mut imports = BTreeMap::new();
    for import in &program.imports {
        if let ImportKind::Ecalli(number) = import.kind {
            imports.insert(number, import.name.clone());
        }
    }
    PolkaVmProgram {
        isa: InstructionSet::of(options.gp),
        ro_data: ro.clone(),
        ro_size: *ro_size,
        rw_data: rw.clone(),
        rw_size: spi::page_align(rw.len() as u32) + heap_pages * spi::PAGE_SIZE,
        stack_size: *stack_size,
        imports: imports.into_values().collect(),
        exports: program.entries.iter().map(export).collect(),
        blob: program.blob.clone(),
        functions: function_names(program, level, options),
        debug: map.filter(|_| options.names == Names::Lines).map(|map| lines(program, map)),
        metadata: Vec::new(),
    }
}

/// The debug sections with names and lines.
fn lines(program: &Program, map: &CodeMap) -> DebugSections {
    let frame = |frame: Frame| {
        let (path, line, column) = frame.source.unwrap_or_default();
        DebugFrame { function: frame.function, path, line, column }
    };
    let region = |pc: u32| DebugRegion { pc, frames: map.frames(pc).into_iter().rev().map(frame).collect() };
    let starts = program.functions.iter().map(|function| function.pc);
    let starts: BTreeSet<u32> = starts.chain(map.code.iter().map(|(pc, _)| *pc)).collect();
    let regions: Vec<DebugRegion> = starts.into_iter().map(region).collect();
    DebugSections::of_lines(&program.functions, &regions, program.blob.code.len())
}

/// The names of functions that the options keep.
fn function_names(program: &Program, level: OptLevel, options: &PvmOptions) -> Vec<FunctionName> {
    if options.keeps_names(level) { real_names(program) } else { Vec::new() }
}

fn metadata(program: &Program, declared: &Exports, level: OptLevel, options: &PvmOptions) -> Metadata {
    let exports = program.entries.iter().filter(|entry| entry.target.is_some()).map(|entry| Export {
        name: entry.name.clone(),
        pc: entry.pc,
        signature: entry.signature.clone(),
    });
    let package = Package { name: options.package.clone(), ..Package::default() };
    Metadata {
        package: Some(package),
        extension: Some(Extension {
            producer: concat!("wasm-pvm ", env!("CARGO_PKG_VERSION")).to_owned(),
            gp: options.gp,
            result: options.result,
            linear_memory: program.linear_base,
            raw_entries: options.entries == EntryMode::Raw || options.format.is_polkavm(),
            wide_pointers: has_wide_pointers(program, declared),
            exports: exports.collect(),
            imports: program.imports.clone(),
            functions: match options.format.is_polkavm() {
                true => Vec::new(),
                false => function_names(program, level, options),
            },
            data: (options.metadata == MetadataContents::Exports).then(|| data_exports(program, declared)),
        }),
    }
}

/// Whether an entry of a service has pointers or lengths of 64 bits.
fn has_wide_pointers(program: &Program, declared: &Exports) -> bool {
    let is_wide = |entry: &Entry| {
        let [narrow, wide] = [false, true].map(|wide| service_result(&entry.signature, wide));
        SERVICE_NAMES.concat().contains(&&*entry.name) && narrow.is_none() && wide.is_some()
    };
    declared.has_wide_memory && program.entries.iter().any(is_wide)
}

/// Exported memories, tables and globals that have an address.
fn data_exports(program: &Program, declared: &Exports) -> Vec<DataExport> {
    let address = |name: &str| {
        let (_, index) = program.data_exports.iter().find(|(export, _)| export == name)?;
        Some(program.data[*index].1)
    };
    let exports = declared.data.iter();
    exports
        .filter_map(|(name, kind)| {
            Some(DataExport { name: name.clone(), kind: *kind, address: address(name)? })
        })
        .collect()
}

/// Names of functions that have one; the frontend calls the others `func[index]`.
fn real_names(program: &Program) -> Vec<FunctionName> {
    program.functions.iter().filter(|function| !function.name.starts_with("func[")).cloned().collect()
}

/// The facts about a program.
pub fn pvm_report(program: Program, sizes: Sizes, map: Option<CodeMap>) -> PvmReport {
    PvmReport {
        sizes,
        entries: program.entries,
        imports: program.imports,
        functions: program.functions,
        data: program.data,
        data_exports: program.data_exports,
        linear_base: program.linear_base.unwrap_or(0),
        linear_first: program.linear_first,
        references: program.references,
        stacks: program.stacks,
        map,
    }
}
