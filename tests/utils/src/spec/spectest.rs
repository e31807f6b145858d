//! The memory and table of the suite's `spectest` module.
//!
//! A module declares the limits it requires of an imported memory or table. It gets the other module's, which may have
//! a higher minimum and a lower maximum. The compiler takes the import's limits for the memory's, so the runner writes
//! the limits of `spectest` into the import: 1 to 2 pages, 10 to 20 references.

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{EntityType, ImportSection, MemoryType, RawSection, TableType};
use wasmparser::{Parser, Payload};

/// The module with the real limits of its imports from `spectest`.
pub fn with_real_limits(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        if let Payload::ImportSection(section) = &payload {
            let mut imports = ImportSection::new();
            for import in section.clone().into_imports() {
                let import = import?;
                let ty = RoundtripReencoder.entity_type(import.ty)?;
                imports.import(import.module, import.name, real_type(import.module, import.name, ty));
            }
            module.section(&imports);
        } else if let Some((id, range)) = payload.as_section() {
            module.section(&RawSection { id, data: &bytes[range.start as usize..range.end as usize] });
        }
    }
    Ok(module.finish())
}

fn real_type(module: &str, name: &str, ty: EntityType) -> EntityType {
    match (module, name, ty) {
        ("spectest", "memory", EntityType::Memory(memory)) => {
            EntityType::Memory(MemoryType { minimum: 1, maximum: Some(2), ..memory })
        }
        ("spectest", "table", EntityType::Table(table)) => {
            EntityType::Table(TableType { minimum: 10, maximum: Some(20), ..table })
        }
        (_, _, ty) => ty,
    }
}
