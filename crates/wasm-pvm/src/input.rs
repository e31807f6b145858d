//! Recognising and unpacking inputs by their content.
//!
//! | begins with | form |
//! |---|---|
//! | `\0asm` | a WebAssembly binary: a core module, or a component, which is [flattened](component) to one |
//! | 52 bc 53 76 46 db 8e, then a byte | a compressed blob of Polkadot (RFC-135): a zstd stream of one of the other forms |
//! | `PVM\0` | a program in PolkaVM's container, which can't be compiled |
//! | anything that is UTF-8 text | the text format |
//!
//! The byte after the prefix tells what is compressed: 5 the code or proof of a parachain, 6 a proof, 7 WebAssembly, 8 a
//! program for PolkaVM. The contents tell it, too, except for proofs, which may be any bytes.
//!
//! A compressed input is unpacked up to [`MAX_UNPACKED`] bytes, so that a small file can't fill the memory.

use std::borrow::Cow;
use std::io::Read;

use pvm_isa::polkavm::MAGIC as POLKAVM_MAGIC;

use crate::component::{self, ComponentError};

/// The prefix of compressed blobs (RFC-135). The kind of the contents follows in one byte.
pub const BLOB_PREFIX: [u8; 7] = [0x52, 0xbc, 0x53, 0x76, 0x46, 0xdb, 0x8e];
/// Kinds of compressed contents: code or proofs, proofs, WebAssembly, programs for PolkaVM.
const BLOB_KINDS: [u8; 4] = [5, PROOF, 7, 8];
/// The kind of proofs of validity.
const PROOF: u8 = 6;
/// First bytes of a WebAssembly binary.
pub const WASM_MAGIC: [u8; 4] = *b"\0asm";
/// Bytes 6 and 7 of a component; a module has 0 there.
pub const COMPONENT_LAYER: [u8; 2] = [1, 0];
/// Maximum size of an unpacked input, in bytes.
pub const MAX_UNPACKED: u64 = 256 << 20;

/// The reason why an input is not WebAssembly.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InputError {
    /// It is empty.
    #[error("the input is empty")]
    Empty,
    /// It has none of the known forms.
    #[error(
        "the input is neither a WebAssembly binary, nor its text format, nor a compressed Substrate runtime"
    )]
    Unknown,
    /// It is a component that can't be rewritten as a core module.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// It is a compiled program.
    #[error(
        "the input is a compiled program in PolkaVM's container, not WebAssembly; `info`, `disasm`, `gas` and `run` take it"
    )]
    Compiled,
    /// It is a compressed proof of validity.
    #[error("the input is a compressed proof of validity (RFC-135, kind 6), not code")]
    Proof,
    /// The kind of a compressed blob is not known.
    #[error(
        "the input is a compressed blob (RFC-135) of the unknown kind {0}; known are 5 and 7 (WebAssembly), 6 (proofs of \
         validity) and 8 (programs for PolkaVM)"
    )]
    UnknownBlob(u8),
    /// The compressed part can't be unpacked.
    #[error("the compressed blob is damaged: {0}")]
    Compression(String),
    /// Its unpacked size exceeds [`MAX_UNPACKED`].
    #[error("the compressed blob unpacks to more than {MAX_UNPACKED} bytes")]
    TooLarge,
    /// The text is not well-formed.
    #[error("line {line}, column {column}: {message}")]
    Text {
        /// Line, counted from 1.
        line: usize,
        /// Column, counted from 1.
        column: usize,
        /// The parser's message.
        message: String,
    },
}

/// The core module in an input of any form.
///
/// # Errors
/// If the input has no known form, or is a component that can't be flattened. A core module is not validated.
pub fn to_wasm(input: &[u8]) -> Result<Cow<'_, [u8]>, InputError> {
    if input.is_empty() {
        return Err(InputError::Empty);
    }
    if input.starts_with(&WASM_MAGIC) && input.get(6..8) == Some(&COMPONENT_LAYER) {
        return Ok(Cow::Owned(component::flatten(input)?));
    }
    if input.starts_with(&WASM_MAGIC) {
        return Ok(Cow::Borrowed(input));
    }
    if input.starts_with(&POLKAVM_MAGIC) {
        return Err(InputError::Compiled);
    }
    if let Cow::Owned(unpacked) = unpacked(input)? {
        return Ok(Cow::Owned(to_wasm(&unpacked)?.into_owned()));
    }
    match std::str::from_utf8(input) {
        Ok(text) if !text.contains('\0') => match from_text(text)? {
            wasm if wasm.get(6..8) == Some(&COMPONENT_LAYER) => Ok(Cow::Owned(component::flatten(&wasm)?)),
            wasm => Ok(Cow::Owned(wasm)),
        },
        _ => Err(InputError::Unknown),
    }
}

/// The contents of a compressed blob; other inputs as they are.
///
/// # Errors
/// If it is a compressed blob that is damaged, too large, or no code.
pub fn unpacked(input: &[u8]) -> Result<Cow<'_, [u8]>, InputError> {
    let Some((&kind, packed)) = input.strip_prefix(&BLOB_PREFIX).and_then(<[u8]>::split_first) else {
        return Ok(Cow::Borrowed(input));
    };
    match kind {
        PROOF => Err(InputError::Proof),
        kind if !BLOB_KINDS.contains(&kind) => Err(InputError::UnknownBlob(kind)),
        _ => unpack(packed).map(Cow::Owned),
    }
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, InputError> {
    let damaged = |error: std::io::Error| InputError::Compression(one_line(&error.to_string()));
    let decoder = zstd::stream::read::Decoder::new(packed).map_err(damaged)?;
    let mut unpacked = Vec::new();
    decoder.take(MAX_UNPACKED + 1).read_to_end(&mut unpacked).map_err(damaged)?;
    if unpacked.len() as u64 > MAX_UNPACKED {
        return Err(InputError::TooLarge);
    }
    // Nested compressed blobs could unpack to an unbounded size.
    if unpacked.starts_with(&BLOB_PREFIX) {
        return Err(InputError::Unknown);
    }
    Ok(unpacked)
}

fn from_text(text: &str) -> Result<Vec<u8>, InputError> {
    wat::parse_str(text).map_err(|error| {
        // The error prints as a message, then ` --> file:line:column` and an excerpt.
        let full = error.to_string();
        let (line, column) = position(&full).unwrap_or((1, 1));
        InputError::Text { line, column, message: one_line(full.lines().next().unwrap_or_default()) }
    })
}

/// Line and column after `-->` in an error of the text parser.
fn position(error: &str) -> Option<(usize, usize)> {
    let place = error.lines().find_map(|line| line.trim_start().strip_prefix("--> "))?;
    let mut numbers = place.rsplit(':').map(|number| number.trim().parse().ok());
    let column = numbers.next()??;
    Some((numbers.next()??, column))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

    fn blob(kind: u8, packed: &[u8]) -> Vec<u8> {
        [&BLOB_PREFIX[..], &[kind], packed].concat()
    }

    #[test]
    fn forms_are_told_apart_by_content() {
        assert_eq!(to_wasm(EMPTY_MODULE).as_deref(), Ok(EMPTY_MODULE));
        assert_eq!(to_wasm(b" ;; text\n(module)").as_deref(), Ok(EMPTY_MODULE));
        let packed = zstd::stream::encode_all(EMPTY_MODULE, 3).expect("in memory");
        for kind in [5, 7, 8] {
            assert_eq!(to_wasm(&blob(kind, &packed)).as_deref(), Ok(EMPTY_MODULE));
        }
    }

    #[test]
    fn other_bytes_are_errors() {
        assert_eq!(to_wasm(b""), Err(InputError::Empty));
        assert_eq!(to_wasm(b"\0\xff\xfe"), Err(InputError::Unknown));
        assert_eq!(to_wasm(b"\0as"), Err(InputError::Unknown));
        let damaged = blob(5, b"no zstd");
        assert!(matches!(to_wasm(&damaged), Err(InputError::Compression(_))));
        let nested = zstd::stream::encode_all(&damaged[..], 3).expect("in memory");
        assert_eq!(to_wasm(&blob(5, &nested)), Err(InputError::Unknown));
    }

    #[test]
    fn what_is_no_wasm_is_named() {
        assert_eq!(to_wasm(b"PVM\0\x03"), Err(InputError::Compiled));
        let packed = zstd::stream::encode_all(&b"PVM\0\x03"[..], 3).expect("in memory");
        assert_eq!(to_wasm(&blob(8, &packed)), Err(InputError::Compiled));
        assert_eq!(unpacked(&blob(8, &packed)).as_deref(), Ok(&b"PVM\0\x03"[..]));
        assert_eq!(to_wasm(&blob(6, &packed)), Err(InputError::Proof));
        assert_eq!(to_wasm(&blob(9, &packed)), Err(InputError::UnknownBlob(9)));
        assert_eq!(to_wasm(&BLOB_PREFIX), Err(InputError::Unknown));
    }

    #[test]
    fn text_errors_have_a_place() {
        let error = to_wasm(b"(module\n  (func (unknown)))").expect_err("not wat");
        let InputError::Text { line, column, message } = error else { panic!("{error:?}") };
        assert_eq!((line, column), (2, 10));
        assert!(!message.is_empty() && !message.contains('\n'));
    }
}
