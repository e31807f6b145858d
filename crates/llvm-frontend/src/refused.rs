//! What to say about a module that validation refuses.
//!
//! A module that would be valid if every proposal were accepted breaks no rule; it asks for what this compiler doesn't
//! have. In both cases the error names the function it is about, as far as the module can be read.

use std::ops::Range;

use wasmparser::{
    BinaryReaderError, ExternalKind, KnownCustom, Name, Parser, Payload, TypeRef, Validator, WasmFeatures,
};

use crate::error::Error;

/// The error for a module that is not valid under the accepted proposals.
pub fn error(wasm: &[u8], refused: &BinaryReaderError) -> Error {
    let function = Functions::read(wasm).at(refused.offset());
    let (offset, message) = (refused.offset() as usize, refused.message().to_owned());
    match Validator::new_with_features(WasmFeatures::all()).validate_all(wasm) {
        Ok(_) => Error::Proposal { function, offset, message },
        Err(_) => Error::InvalidWasm { function, offset, message },
    }
}

/// What can be known about the functions of a module that is malformed somewhere.
#[derive(Default)]
struct Functions {
    imported: u32,
    bodies: Vec<Range<u64>>,
    names: Vec<(u32, String)>,
    exports: Vec<(u32, String)>,
}

impl Functions {
    /// Reads up to the first thing that can't be read.
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
