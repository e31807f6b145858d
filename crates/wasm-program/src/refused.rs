//! The error messages for modules that validation refuses.
//!
//! A module that would be valid if every proposal were accepted breaks no rule; it needs a feature that this compiler
//! lacks. Then the error names all proposals it needs, each with the first place that needs it. A module needs a
//! proposal if it is valid under all proposals, but not under all others. In both cases the error names the function,
//! as far as the module can be read.

use std::ops::Range;

use wasmparser::{
    BinaryReaderError, ExternalKind, FuncValidatorAllocations, KnownCustom, Name, Parser, Payload, TypeRef,
    ValidPayload, Validator, WasmFeatures,
};

use crate::collection;
use crate::error::Error;

/// The error for a module that is not valid under the accepted proposals.
pub fn error(wasm: &[u8], accepted: WasmFeatures, refused: &BinaryReaderError) -> Error {
    let functions = Functions::read(wasm);
    let function = functions.at(refused.offset());
    let (offset, message) = (refused.offset() as usize, refused.message().to_owned());
    match Validator::new_with_features(WasmFeatures::all()).validate_all(wasm) {
        Ok(_) => {
            let needed = needed(wasm, &functions);
            let message = if needed.is_empty() { message } else { format!("{message}; {needed}") };
            let uses = refused_bodies(wasm, accepted);
            let message = message + &others(&uses, &functions, refused.offset());
            Error::Proposal { function, offset, message }
        }
        Err(_) => Error::InvalidWasm { function, offset, message },
    }
}

/// The error for a module that uses garbage collection.
pub fn collected(wasm: &[u8]) -> Option<Error> {
    let uses: Vec<(u64, &str)> = collection::uses(wasm).collect();
    let &(offset, what) = uses.first()?;
    let functions = Functions::read(wasm);
    let offsets: Vec<u64> = uses.iter().map(|&(offset, _)| offset).collect();
    let others = others(&offsets, &functions, offset);
    let message =
        format!("{what}; the module needs {COLLECTION}; without it: {COLLECTING_COMPILERS}{others}");
    Some(Error::Proposal { function: functions.at(offset), offset: offset as usize, message })
}

/// Proposals that are not accepted, with the way to build modules without them.
const PROPOSALS: [(WasmFeatures, &str, &str); 2] = [
    (WasmFeatures::GC, COLLECTION, COLLECTING_COMPILERS),
    (WasmFeatures::STACK_SWITCHING, "stack switching", "no continuations, such as effect handlers"),
];

/// The name of the proposal.
const COLLECTION: &str = "garbage collection";
/// The way to build modules without it.
const COLLECTING_COMPILERS: &str = "a compiler to linear memory; those of Kotlin, Dart, Java (J2CL, TeaVM), OCaml \
                                    (wasm_of_ocaml) and Scheme (Hoot) need it";

/// The proposals needed by a module that is valid under all proposals.
fn needed(wasm: &[u8], functions: &Functions) -> String {
    let needs = PROPOSALS.iter().filter_map(|&(features, name, way_out)| {
        let without = WasmFeatures::all().difference(features);
        let refused = Validator::new_with_features(without).validate_all(wasm).err()?;
        // Parts of garbage collection are accepted.
        let is_collection = features == WasmFeatures::GC;
        let offset = if is_collection { collection::uses(wasm).next()?.0 } else { refused.offset() };
        let function = functions.at(offset);
        let place = function.map(|function| format!("in function {function} ")).unwrap_or_default();
        let way_out = if way_out.is_empty() { String::new() } else { format!("; without it: {way_out}") };
        Some(format!("{name} ({place}at offset {:#x}{way_out})", offset))
    });
    let needs: Vec<String> = needs.collect();
    if needs.is_empty() { String::new() } else { format!("the module needs {}", needs.join(", ")) }
}

/// Maximum number of functions that an error lists beside the first one.
const LISTED: usize = 8;

/// The functions that need a proposal as well, after the one with the first use: the place of the first use in each.
fn others(uses: &[u64], functions: &Functions, first: u64) -> String {
    let own = functions.bodies.iter().find(|body| body.contains(&first));
    // Outside of all functions, those in all of them are left.
    let after = own.map(|own| own.end).or_else(|| Some(functions.bodies.first()?.start)).unwrap_or(u64::MAX);
    let uses: Vec<u64> = uses.iter().copied().filter(|&at| at >= after).collect();
    let place = |at: &u64| format!("{} at offset {at:#x}", functions.at(*at).unwrap_or_default());
    let listed: Vec<String> = uses.iter().take(LISTED).map(place).collect();
    match (listed.is_empty(), uses.len().saturating_sub(LISTED)) {
        (true, _) => String::new(),
        (_, 0) => format!("; also in function {}", listed.join(", ")),
        (_, more) => format!("; also in function {}, and in {more} more", listed.join(", ")),
    }
}

/// The first fault of each body that is not valid under the accepted proposals, if the declarations before are.
fn refused_bodies(wasm: &[u8], accepted: WasmFeatures) -> Vec<u64> {
    let mut validator = Validator::new_with_features(accepted);
    let mut faults = Vec::new();
    let mut allocations = FuncValidatorAllocations::default();
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        match validator.payload(&payload) {
            Ok(ValidPayload::Func(function, body)) => {
                let mut function = function.into_validator(allocations);
                faults.extend(function.validate(&body).err().map(|fault| fault.offset()));
                allocations = function.into_allocations();
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    faults
}

/// The functions of a possibly malformed module, as far as it can be read.
#[derive(Default)]
struct Functions {
    imported: u32,
    bodies: Vec<Range<u64>>,
    names: Vec<(u32, String)>,
    exports: Vec<(u32, String)>,
}

impl Functions {
    /// Reads up to the first malformed section.
    fn read(wasm: &[u8]) -> Self {
        let mut functions = Self::default();
        for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
            functions.section(payload);
        }
        functions
    }

    fn section(&mut self, payload: Payload<'_>) {
        match payload {
            Payload::ImportSection(imports) => {
                let imports = imports.into_imports().map_while(Result::ok);
                let functions =
                    imports.filter(|import| matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)));
                self.imported = functions.count() as u32;
            }
            Payload::ExportSection(exports) => {
                let exports = exports.into_iter().map_while(Result::ok);
                let functions = exports.filter(|export| export.kind == ExternalKind::Func);
                self.exports.extend(functions.map(|export| (export.index, export.name.to_owned())));
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body.range()),
            Payload::CustomSection(section) => {
                let KnownCustom::Name(names) = section.as_known() else { return };
                for name in names.into_iter().map_while(Result::ok) {
                    if let Name::Function(map) = name {
                        let names = map.into_iter().map_while(Result::ok);
                        self.names.extend(names.map(|naming| (naming.index, naming.name.to_owned())));
                    }
                }
            }
            _ => {}
        }
    }

    /// The function whose body contains an offset of the input.
    fn at(&self, offset: u64) -> Option<String> {
        let body = self.bodies.iter().position(|body| body.contains(&offset))?;
        let index = self.imported + body as u32;
        let named = self.names.iter().chain(&self.exports).find(|(function, _)| *function == index);
        Some(named.map_or_else(|| format!("func[{index}]"), |(_, name)| name.clone()))
    }
}
