//! The container of a PVM program: its metadata, code and initial memory as one file.

use pvm_isa::metadata::{DataExport, Export, Extension, FunctionName, Metadata, Package};
use pvm_isa::{Container, SpiProgram};
use target_pvm::{EntryMode, Images, Program};

use crate::exports::Exports;
use crate::options::{Format, MetadataContents, OptLevel, PvmOptions};
use crate::report::{PvmReport, Sizes};

/// The program with its memory in the areas of a standard program.
pub fn standard_program(program: &Program) -> SpiProgram {
    let Images { ro, rw, heap_pages, stack_size } = &program.images;
    SpiProgram {
        ro_data: ro.clone(),
        rw_data: rw.clone(),
        heap_pages: u16::try_from(*heap_pages).expect("the layout limits the heap"),
        stack_size: *stack_size,
        blob: program.blob.clone(),
    }
}

/// The output file and the number of its bytes that are metadata.
pub fn container(
    program: &Program,
    exports: &Exports,
    standard: SpiProgram,
    level: OptLevel,
    options: &PvmOptions,
) -> (Vec<u8>, usize) {
    let (container, metadata_bytes) = match options.format {
        Format::Jam => {
            let metadata = metadata(program, exports, level, options).to_bytes();
            let len = metadata.len();
            (Container::Jam { metadata, program: standard }, len)
        }
        Format::Spi => (Container::Spi(standard), 0),
        Format::Raw => {
            let lost = standard.ro_data.len() + standard.rw_data.len();
            if lost > 0 {
                tracing::warn!(bytes = lost, "the raw form has no place for initial memory");
            }
            (Container::Raw(standard.blob), 0)
        }
    };
    (container.to_bytes().expect("the memory plan keeps the container's limits"), metadata_bytes)
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
            raw_entries: options.entries == EntryMode::Raw,
            exports: exports.collect(),
            imports: program.imports.clone(),
            functions: if options.keeps_names(level) { real_names(program) } else { Vec::new() },
            data: (options.metadata == MetadataContents::Exports).then(|| data_exports(program, declared)),
        }),
    }
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
pub fn pvm_report(program: Program, sizes: Sizes) -> PvmReport {
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
    }
}
