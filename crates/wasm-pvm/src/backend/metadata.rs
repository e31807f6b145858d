//! The size of metadata. Tools of the JAM SDK read the first bytes of a file to show what it is, and no more than
//! [`READ_BYTES`]. Metadata that is longer is no metadata to them. So by default parts are left out until it fits: first
//! the names of functions, then the imports, then the exports.

use pvm_isa::metadata::{Extension, Metadata};
use pvm_isa::write_nat;

use crate::options::Names;

/// The bytes that tools of the JAM SDK read of a file.
const READ_BYTES: usize = 8192;

/// A part that may be left out: its name, and the function that removes it and returns the number of its elements.
type Part = (&'static str, fn(&mut Extension) -> usize);

/// The metadata as bytes, without the parts that are too much. Names that the user asked for stay, with a warning.
pub fn fitting(mut metadata: Metadata, names: Names) -> Vec<u8> {
    let parts: [Part; 3] = [
        ("names of functions", |extension| std::mem::take(&mut extension.functions).len()),
        ("imports", |extension| std::mem::take(&mut extension.imports).len()),
        ("exports", |extension| std::mem::take(&mut extension.exports).len()),
    ];
    let mut bytes = metadata.to_bytes();
    for (what, remove) in parts {
        if fits(&bytes) {
            break;
        }
        if names == Names::Keep {
            tracing::warn!(
                code = "W0108",
                "the metadata has {} bytes, and tools of the JAM SDK read no more than {READ_BYTES} of a file: without \
                 --names keep, parts of it are left out",
                bytes.len()
            );
            break;
        }
        let Some(extension) = &mut metadata.extension else { break };
        let before = bytes.len();
        let count = remove(extension);
        bytes = metadata.to_bytes();
        match (what, count) {
            (_, 0) => {}
            ("names of functions", _) => tracing::info!(
                "the metadata has no names of functions: with {count} of them it would have {before} bytes, and tools of the \
                 JAM SDK read {READ_BYTES}; --names keep keeps them"
            ),
            _ => tracing::warn!(
                code = "W0108",
                "the metadata has no list of the {count} {what}: with it, it would have {before} bytes, and tools of the JAM \
                 SDK read {READ_BYTES}; --names keep keeps it"
            ),
        }
    }
    bytes
}

/// Whether metadata and its length are what tools read.
fn fits(metadata: &[u8]) -> bool {
    let mut length = Vec::new();
    write_nat(metadata.len() as u64, &mut length);
    length.len() + metadata.len() <= READ_BYTES
}

#[cfg(test)]
mod tests {
    use pvm_isa::metadata::{Export, FunctionName, Import, ImportKind};

    use super::*;

    fn metadata(functions: u32, imports: usize, exports: usize) -> Metadata {
        let name = |n: usize| format!("{n:->18}");
        let extension = Extension {
            functions: (0..functions).map(|pc| FunctionName { pc, name: name(pc as usize) }).collect(),
            imports: (0..imports)
                .map(|n| Import { module: String::new(), name: name(n), kind: ImportKind::Trap })
                .collect(),
            exports: (0..exports)
                .map(|n| Export { name: name(n), pc: 0, signature: String::new() })
                .collect(),
            ..Extension::default()
        };
        Metadata { package: None, extension: Some(extension) }
    }

    /// The numbers of names, imports and exports that are left.
    fn left(metadata: Metadata, names: Names) -> (usize, usize, usize) {
        let bytes = fitting(metadata, names);
        assert!(fits(&bytes) || names == Names::Keep);
        let extension = Metadata::parse(&bytes).extension.expect("there");
        (extension.functions.len(), extension.imports.len(), extension.exports.len())
    }

    #[test]
    fn names_go_first_and_then_lists() {
        assert_eq!(left(metadata(300, 20, 20), Names::Auto), (300, 20, 20));
        assert_eq!(left(metadata(400, 20, 20), Names::Auto), (0, 20, 20));
        assert_eq!(left(metadata(400, 300, 300), Names::Auto), (0, 0, 300));
        assert_eq!(left(metadata(0, 1, 500), Names::Strip), (0, 0, 0));
        assert_eq!(left(metadata(400, 300, 300), Names::Keep), (400, 300, 300));
    }

    #[test]
    fn the_length_before_the_metadata_counts() {
        let lengths: Vec<usize> = (0..24)
            .map(|more| {
                let mut padded = metadata(0, 0, 0);
                let name = "x".repeat(8150 + more);
                padded.extension.as_mut().expect("there").exports =
                    vec![Export { name, pc: 0, signature: String::new() }];
                fitting(padded, Names::Auto).len()
            })
            .collect();
        assert!(lengths.contains(&(READ_BYTES - 2)), "{lengths:?}");
        assert!(lengths.iter().all(|&len| len <= READ_BYTES - 2), "{lengths:?}");
    }
}
