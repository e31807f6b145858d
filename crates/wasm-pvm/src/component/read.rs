//! Reading a component: its definitions in their order, with the types that the validator derives.

use wasmparser::types::Types;
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExport, ComponentImport, ComponentInstance,
    Instance, Parser, Payload, ValidPayload, Validator, WasmFeatures,
};

use super::ComponentError;

const ASYNC: &str = "build it for WASI 0.2, without asynchronous functions";
const STRINGS: &str = "build it with UTF-8 strings";

/// A component as it is defined.
pub struct Component<'a> {
    pub definitions: Vec<Definition<'a>>,
    /// Types of all its entries.
    pub types: Types,
}

/// A definition. Those of core types are left out, as nothing refers to them but others that are.
pub enum Definition<'a> {
    CoreModule(&'a [u8]),
    CoreInstance(Instance<'a>),
    Component(Box<Component<'a>>),
    Instance(ComponentInstance<'a>),
    Alias(ComponentAlias<'a>),
    /// A type that is not a resource, or a resource of the component's own.
    Type,
    /// A function, with the offset of its definition.
    Canonical(CanonicalFunction, u64),
    Import(ComponentImport<'a>),
    Export(ComponentExport<'a>),
}

/// Maximum depth of nested components.
const DEEPEST: usize = 50;

/// A module or component whose end is not read yet.
enum Open<'a> {
    Module,
    Component(Vec<Definition<'a>>),
}

/// Reads and validates a component. Bodies of core functions are not validated here.
pub fn read(bytes: &[u8]) -> Result<Component<'_>, ComponentError> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut open = vec![Open::Component(Vec::new())];
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        let valid = validator.payload(&payload)?;
        match &payload {
            Payload::ModuleSection { unchecked_range: range, .. } => {
                let module = &bytes[range.start as usize..range.end as usize];
                define(&mut open, Definition::CoreModule(module));
                open.push(Open::Module);
            }
            Payload::ComponentSection { unchecked_range: range, .. } if open.len() > DEEPEST => {
                let (what, way_out) = ("components nested more than 50 deep", "flatten it");
                return Err(ComponentError::Unsupported { what, offset: range.start, way_out });
            }
            Payload::ComponentSection { .. } => open.push(Open::Component(Vec::new())),
            _ => section(&mut open, payload)?,
        }
        let ValidPayload::End(types) = valid else { continue };
        let Some(Open::Component(definitions)) = open.pop() else { continue };
        let component = Component { definitions, types };
        if open.is_empty() {
            return Ok(component);
        }
        define(&mut open, Definition::Component(Box::new(component)));
    }
    Err(ComponentError::Invalid { offset: bytes.len() as u64, message: "unexpected end".to_owned() })
}

fn define<'a>(open: &mut [Open<'a>], definition: Definition<'a>) {
    if let Some(Open::Component(definitions)) = open.last_mut() {
        definitions.push(definition);
    }
}

fn section<'a>(open: &mut [Open<'a>], payload: Payload<'a>) -> Result<(), ComponentError> {
    let Some(Open::Component(definitions)) = open.last_mut() else { return Ok(()) };
    match payload {
        Payload::InstanceSection(reader) => {
            for instance in reader {
                definitions.push(Definition::CoreInstance(instance?));
            }
        }
        Payload::ComponentInstanceSection(reader) => {
            for instance in reader {
                definitions.push(Definition::Instance(instance?));
            }
        }
        Payload::ComponentAliasSection(reader) => {
            for alias in reader {
                definitions.push(Definition::Alias(alias?));
            }
        }
        Payload::ComponentTypeSection(reader) => {
            definitions.extend((0..reader.count()).map(|_| Definition::Type));
        }
        Payload::ComponentCanonicalSection(reader) => {
            for function in reader.into_iter_with_offsets() {
                let (offset, function) = function?;
                check_canonical(&function, offset)?;
                definitions.push(Definition::Canonical(function, offset));
            }
        }
        Payload::ComponentImportSection(reader) => {
            for import in reader {
                definitions.push(Definition::Import(import?));
            }
        }
        Payload::ComponentExportSection(reader) => {
            for export in reader {
                definitions.push(Definition::Export(export?));
            }
        }
        Payload::ComponentStartSection { range, .. } => {
            let way_out = "leave it out";
            return Err(ComponentError::Unsupported {
                what: "a start function",
                offset: range.start,
                way_out,
            });
        }
        _ => {}
    }
    Ok(())
}

/// Refuses functions and options that are not supported.
fn check_canonical(function: &CanonicalFunction, offset: u64) -> Result<(), ComponentError> {
    let unsupported = |what, way_out| Err(ComponentError::Unsupported { what, offset, way_out });
    let options = match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => options,
        CanonicalFunction::ResourceDrop { .. } => return Ok(()),
        CanonicalFunction::ResourceNew { .. } | CanonicalFunction::ResourceRep { .. } => {
            return unsupported("resources of its own", "export functions on numbers instead");
        }
        _ => return unsupported("asynchronous functions or threads", ASYNC),
    };
    for option in options {
        match option {
            CanonicalOption::UTF16 => return unsupported("UTF-16 strings", STRINGS),
            CanonicalOption::CompactUTF16 => return unsupported("strings in Latin-1 and UTF-16", STRINGS),
            CanonicalOption::Async | CanonicalOption::Callback(_) => {
                return unsupported("asynchronous functions", ASYNC);
            }
            CanonicalOption::Gc | CanonicalOption::CoreType(_) => {
                return unsupported("the canonical ABI of garbage collection", "build it with linear memory");
            }
            CanonicalOption::UTF8
            | CanonicalOption::Memory(_)
            | CanonicalOption::Realloc(_)
            | CanonicalOption::PostReturn(_) => {}
        }
    }
    Ok(())
}
