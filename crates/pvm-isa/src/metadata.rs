//! Program metadata: package, producer, exports, imports and function names.
//!
//! The protocol carries metadata as an opaque prefix of the program. Tools of the JAM SDK read a leading zero byte
//! followed by a description of the package. But a container doesn't say which version of the Gray Paper a program is
//! for, although the versions number their instructions differently. So we write the conventional description first,
//! where those tools find it, followed by an extension that they ignore.
//!
//! ```text
//! metadata    = 0x00 name version license authors  extension
//! extension   = "wpvm" format:1 producer gp:1 flags:nat [base:nat] exports imports functions [data exports]
//! export      = name pc:nat signature
//! import      = module name kind:1 [number:nat]     kind 0 trap, 1 nop, 2 host call with number, 3 built in
//! function    = pc delta:nat name                   sorted by pc, the first delta counts from 0
//! data export = name kind:1 address:nat [bytes:nat] kind 0 memory, with its bytes; 1 table of functions, 2 of other
//!                                                   references, with its elements; else a global, see below
//! ```
//!
//! Strings are UTF-8, preceded by their length in bytes; lists are preceded by their number of elements. Lengths,
//! numbers and everything marked `nat` are in the general natural encoding. `gp` is 7 for 0.7.2, 8 for 0.8 and 255 for the next format. Bit 0
//! of `flags`: the entry functions return an end pointer in r8 instead of a length. Bit 1: there is a linear memory,
//! and `base` follows: wasm address a is address a + base modulo 2^32. Bit 2: all entries have the convention of calls
//! inside of a program. Bit 3: exported memories, tables and globals follow at the end. Bit 4: pointers and lengths of a
//! service's entries may be `i64`, since memory has 64-bit addresses. A signature is one letter per
//! parameter, `>`, one letter per result: `i` i32, `I` i64, `f` f32, `F` f64, `v` v128, `r` funcref, `e` externref, `x`
//! exnref. The kind of a global is the letter of its type, plus 128 if it is mutable.
//!
//! Foreign metadata is not an error: [`Metadata::parse`] returns the parts it recognises.

use crate::reader::{ParseError, ParseErrorKind, Reader, write_nat, write_string};
use crate::version::GpVersion;

const MAGIC: &[u8; 4] = b"wpvm";
const FORMAT_VERSION: u8 = 1;
const FLAG_RESULT_END: u64 = 1;
const FLAG_LINEAR_MEMORY: u64 = 2;
const FLAG_RAW_ENTRIES: u64 = 4;
const FLAG_DATA_EXPORTS: u64 = 8;
const FLAG_WIDE_POINTERS: u64 = 16;

/// Names of the entries of services, by entry: the first that is exported is entered.
pub const SERVICE_NAMES: [&[&str]; 2] = [
    &["main", "refine", "refine_ext", "is_authorized", "is_authorized_ext"],
    &["accumulate", "accumulate_ext", "main2"],
];

/// The metadata of a program; parts that are absent or unknown are `None`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Metadata {
    /// The package, if the metadata follows the convention of the JAM SDK.
    pub package: Option<Package>,
    /// The extension written by wasm-pvm, if present.
    pub extension: Option<Extension>,
}

impl Metadata {
    /// Parses metadata. Parts that don't follow the convention are `None`.
    pub fn parse(bytes: &[u8]) -> Metadata {
        let mut reader = Reader::new(bytes);
        let Ok(package) = Package::read(&mut reader) else { return Metadata::default() };
        let extension = Extension::parse(reader.rest()).ok();
        Metadata { package: Some(package), extension }
    }

    /// The metadata as bytes. An extension without a package is written after an empty package.
    ///
    /// # Panics
    ///
    /// If the extension's function names are not sorted by position.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match (&self.package, &self.extension) {
            (None, None) => {}
            (Some(package), _) => package.write(&mut out),
            (None, Some(_)) => Package::default().write(&mut out),
        }
        if let Some(extension) = &self.extension {
            extension.write(&mut out);
        }
        out
    }
}

/// The description of a package by the convention of the JAM SDK.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Package {
    /// Name of the program.
    pub name: String,
    /// Version of the program.
    pub version: String,
    /// Licence, by its SPDX identifier.
    pub license: String,
    /// The authors.
    pub authors: Vec<String>,
}

impl Package {
    fn read(reader: &mut Reader<'_>) -> Result<Package, ParseError> {
        let offset = reader.offset();
        if reader.u8()? != 0 {
            return Err(ParseError { offset, kind: ParseErrorKind::UnknownValue });
        }
        Ok(Package {
            name: reader.string()?,
            version: reader.string()?,
            license: reader.string()?,
            authors: reader.sequence(1, Reader::string)?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(0);
        for text in [&self.name, &self.version, &self.license] {
            write_string(text, out);
        }
        write_nat(self.authors.len() as u64, out);
        self.authors.iter().for_each(|author| write_string(author, out));
    }
}

/// How an entry function returns its result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ResultConvention {
    /// r7 is the address, r8 the length, as in the Gray Paper.
    #[default]
    Length,
    /// r7 is the address, r8 the end address (exclusive).
    End,
}

/// The information that wasm-pvm records about a program.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Extension {
    /// Name and version of the compiler.
    pub producer: String,
    /// The version of the Gray Paper the program is for.
    pub gp: GpVersion,
    /// How entry functions return.
    pub result: ResultConvention,
    /// Address of byte 0 of the linear memory modulo 2^32, if there is one. The byte need not be accessible.
    pub linear_memory: Option<u32>,
    /// Whether all entries have the convention of calls inside of a program, also where hosts' would fit.
    pub raw_entries: bool,
    /// Whether pointers and lengths of a service's entries may be `i64`.
    pub wide_pointers: bool,
    /// Functions that can be entered from outside.
    pub exports: Vec<Export>,
    /// Imported functions and their implementations.
    pub imports: Vec<Import>,
    /// Names of functions, sorted by position; empty unless requested.
    pub functions: Vec<FunctionName>,
    /// Exported memories, tables and globals, if they were requested.
    pub data: Option<Vec<DataExport>>,
}

/// An entry point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Export {
    /// The exported name.
    pub name: String,
    /// Position in the code where it is entered.
    pub pc: u32,
    /// Parameter and result types, see the module documentation.
    pub signature: String,
}

/// The results by which a wasm function tells a host where its result bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostResult {
    /// None; they may be in globals.
    None,
    /// An `i64`: the pointer in the low half, the length in the high half.
    Packed,
    /// Pointer and length.
    Pair,
}

/// An exported memory, table or global.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataExport {
    /// The exported name.
    pub name: String,
    /// Its kind.
    pub kind: DataExportKind,
    /// Its address; of a memory, that of wasm address 0 modulo 2^32, which need not be accessible.
    pub address: u32,
}

/// The kind of a [`DataExport`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DataExportKind {
    /// A linear memory.
    Memory {
        /// Its bytes at the start.
        bytes: u64,
    },
    /// A table, 8 bytes per element.
    Table {
        /// Whether its elements are functions.
        functions: bool,
        /// Their number at the start.
        elements: u64,
    },
    /// A global.
    Global {
        /// The letter of its type.
        ty: char,
        /// Whether it can change.
        mutable: bool,
    },
}

/// An imported function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Import {
    /// Module name of the import.
    pub module: String,
    /// Function name of the import.
    pub name: String,
    /// The effect of a call.
    pub kind: ImportKind,
}

/// The implementation of an imported function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImportKind {
    /// A call panics.
    Trap,
    /// A call has no effect; results are zero.
    Nop,
    /// A call is a host call with this number.
    Ecalli(u32),
    /// The compiler provides the function, known by its name, as code of the program. Example: a host call whose
    /// number is the first argument.
    BuiltIn,
}

/// The name of a function in the code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FunctionName {
    /// Position of the function's first instruction.
    pub pc: u32,
    /// The function's name.
    pub name: String,
}

impl Extension {
    /// Parses an extension that takes all of `bytes`.
    ///
    /// # Errors
    ///
    /// If the bytes do not start with the magic and a known format version, or do not follow the format.
    pub fn parse(bytes: &[u8]) -> Result<Extension, ParseError> {
        let mut reader = Reader::new(bytes);
        if !bytes.starts_with(MAGIC) || bytes.get(MAGIC.len()) != Some(&FORMAT_VERSION) {
            return Err(ParseError { offset: 0, kind: ParseErrorKind::NotOurExtension });
        }
        reader.take(MAGIC.len() + 1)?;
        let (producer, gp, flags) = (reader.string()?, read_gp(&mut reader)?, reader.nat()?);
        let mut extension = Extension {
            producer,
            gp,
            result: match flags & FLAG_RESULT_END {
                0 => ResultConvention::Length,
                _ => ResultConvention::End,
            },
            linear_memory: match flags & FLAG_LINEAR_MEMORY {
                0 => None,
                _ => Some(read_u32(&mut reader)?),
            },
            raw_entries: flags & FLAG_RAW_ENTRIES != 0,
            wide_pointers: flags & FLAG_WIDE_POINTERS != 0,
            exports: reader.sequence(3, Export::read)?,
            imports: reader.sequence(3, Import::read)?,
            functions: read_functions(&mut reader)?,
            data: None,
        };
        if flags & FLAG_DATA_EXPORTS != 0 {
            extension.data = Some(reader.sequence(3, DataExport::read)?);
        }
        reader.finish()?;
        Ok(extension)
    }

    /// The convention of hosts under which an export is entered: `None` if it is entered as it is, with arguments and
    /// results in the convention of calls inside of a program.
    ///
    /// If the program is a service, its entries have the conventions of services. Any other export has one if its
    /// signature is exactly that of a function from argument bytes to result bytes.
    pub fn host_result(&self, export: &Export) -> Option<HostResult> {
        if self.raw_entries {
            return None;
        }
        let is_service_name = |name: &str| SERVICE_NAMES.iter().any(|names| names.contains(&name));
        if self.exports.iter().any(|export| is_service_name(&export.name)) {
            return service_result(&export.signature, self.wide_pointers);
        }
        export_result(&export.signature)
    }

    /// The name of the function that the code at `pc` belongs to, and its start.
    pub fn function_at(&self, pc: u32) -> Option<&FunctionName> {
        let after = self.functions.partition_point(|function| function.pc <= pc);
        self.functions[..after].last()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(MAGIC);
        out.push(FORMAT_VERSION);
        write_string(&self.producer, out);
        out.push(match self.gp {
            GpVersion::V072 => 7,
            GpVersion::V08 => 8,
            GpVersion::Next => EXPERIMENTAL,
        });
        let result = match self.result {
            ResultConvention::Length => 0,
            ResultConvention::End => FLAG_RESULT_END,
        };
        let flag = |is_set: bool, flag: u64| if is_set { flag } else { 0 };
        let memory = flag(self.linear_memory.is_some(), FLAG_LINEAR_MEMORY);
        let raw = flag(self.raw_entries, FLAG_RAW_ENTRIES);
        let data = flag(self.data.is_some(), FLAG_DATA_EXPORTS);
        let wide = flag(self.wide_pointers, FLAG_WIDE_POINTERS);
        write_nat(result | memory | raw | data | wide, out);
        self.linear_memory.iter().for_each(|&base| write_nat(base.into(), out));
        write_nat(self.exports.len() as u64, out);
        self.exports.iter().for_each(|export| export.write(out));
        write_nat(self.imports.len() as u64, out);
        self.imports.iter().for_each(|import| import.write(out));
        write_functions(&self.functions, out);
        if let Some(data) = &self.data {
            write_nat(data.len() as u64, out);
            data.iter().for_each(|export| export.write(out));
        }
    }
}

/// The convention of hosts under which an export with this signature is entered, if it is not a service's entry.
pub fn export_result(signature: &str) -> Option<HostResult> {
    (signature == "ii>I").then_some(HostResult::Packed)
}

/// The convention of a service's entry with this signature, if it has one: up to two `i32`s as parameters, or `i64`s where
/// memory has 64-bit addresses.
pub fn service_result(signature: &str, wide_pointers: bool) -> Option<HostResult> {
    let (params, results) = signature.split_once('>')?;
    let result = match results {
        "" => HostResult::None,
        "I" => HostResult::Packed,
        "ii" => HostResult::Pair,
        "II" | "Ii" if wide_pointers => HostResult::Pair,
        _ => return None,
    };
    let fits = matches!(params, "" | "i" | "ii") || wide_pointers && matches!(params, "I" | "II" | "Ii");
    fits.then_some(result)
}

impl Export {
    fn read(reader: &mut Reader<'_>) -> Result<Export, ParseError> {
        Ok(Export { name: reader.string()?, pc: read_u32(reader)?, signature: reader.string()? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_string(&self.name, out);
        write_nat(self.pc.into(), out);
        write_string(&self.signature, out);
    }
}

/// First byte of a data export's kind that is a letter; smaller ones are memories and tables.
const FIRST_GLOBAL: u8 = b'A';
const MUTABLE: u8 = 0x80;

impl DataExport {
    fn read(reader: &mut Reader<'_>) -> Result<DataExport, ParseError> {
        let name = reader.string()?;
        let offset = reader.offset();
        let kind = reader.u8()?;
        let address = read_u32(reader)?;
        let kind = match kind {
            0 => DataExportKind::Memory { bytes: reader.nat()? },
            1 | 2 => DataExportKind::Table { functions: kind == 1, elements: reader.nat()? },
            _ if kind & !MUTABLE >= FIRST_GLOBAL => {
                DataExportKind::Global { ty: char::from(kind & !MUTABLE), mutable: kind & MUTABLE != 0 }
            }
            _ => return Err(ParseError { offset, kind: ParseErrorKind::UnknownValue }),
        };
        Ok(DataExport { name, kind, address })
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_string(&self.name, out);
        let (kind, size) = match self.kind {
            DataExportKind::Memory { bytes } => (0, Some(bytes)),
            DataExportKind::Table { functions: true, elements } => (1, Some(elements)),
            DataExportKind::Table { functions: false, elements } => (2, Some(elements)),
            DataExportKind::Global { ty, mutable } => (ty as u8 | if mutable { MUTABLE } else { 0 }, None),
        };
        out.push(kind);
        write_nat(self.address.into(), out);
        size.into_iter().for_each(|size| write_nat(size, out));
    }
}

impl Import {
    fn read(reader: &mut Reader<'_>) -> Result<Import, ParseError> {
        let (module, name) = (reader.string()?, reader.string()?);
        let offset = reader.offset();
        let kind = match reader.u8()? {
            0 => ImportKind::Trap,
            1 => ImportKind::Nop,
            2 => ImportKind::Ecalli(read_u32(reader)?),
            3 => ImportKind::BuiltIn,
            _ => return Err(ParseError { offset, kind: ParseErrorKind::UnknownValue }),
        };
        Ok(Import { module, name, kind })
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_string(&self.module, out);
        write_string(&self.name, out);
        match self.kind {
            ImportKind::Trap => out.push(0),
            ImportKind::Nop => out.push(1),
            ImportKind::BuiltIn => out.push(3),
            ImportKind::Ecalli(number) => {
                out.push(2);
                write_nat(number.into(), out);
            }
        }
    }
}

/// The number for [`GpVersion::Next`], which is no version of the Gray Paper yet.
const EXPERIMENTAL: u8 = 255;

fn read_gp(reader: &mut Reader<'_>) -> Result<GpVersion, ParseError> {
    let offset = reader.offset();
    match reader.u8()? {
        7 => Ok(GpVersion::V072),
        8 => Ok(GpVersion::V08),
        EXPERIMENTAL => Ok(GpVersion::Next),
        _ => Err(ParseError { offset, kind: ParseErrorKind::UnknownValue }),
    }
}

fn read_u32(reader: &mut Reader<'_>) -> Result<u32, ParseError> {
    Ok(reader.nat_up_to(u32::MAX.into())? as u32)
}

fn read_functions(reader: &mut Reader<'_>) -> Result<Vec<FunctionName>, ParseError> {
    let mut pc = 0;
    reader.sequence(2, |reader| {
        pc += reader.nat_up_to(u64::from(u32::MAX) - pc)?;
        Ok(FunctionName { pc: pc as u32, name: reader.string()? })
    })
}

/// Writes the positions as distances from one function to the next.
///
/// # Panics
///
/// If the functions are not sorted by position.
fn write_functions(functions: &[FunctionName], out: &mut Vec<u8>) {
    write_nat(functions.len() as u64, out);
    let mut previous = 0;
    for function in functions {
        let delta = function.pc.checked_sub(previous).expect("function names are sorted by position");
        write_nat(delta.into(), out);
        write_string(&function.name, out);
        previous = function.pc;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Metadata {
        let function = |pc, name: &str| FunctionName { pc, name: name.into() };
        let import = |name: &str, kind| Import { module: "env".into(), name: name.into(), kind };
        let data = |name: &str, kind| DataExport { name: name.into(), kind, address: 0x2_0008 };
        Metadata {
            package: Some(Package {
                name: "fib".into(),
                version: "0.1.0".into(),
                license: "MIT".into(),
                authors: vec!["A".into(), "B".into()],
            }),
            extension: Some(Extension {
                producer: "wasm-pvm 0.1.0".into(),
                gp: GpVersion::V072,
                result: ResultConvention::End,
                linear_memory: Some(0xfff2_0000),
                raw_entries: true,
                wide_pointers: true,
                exports: vec![Export { name: "main".into(), pc: 5, signature: "ii>I".into() }],
                imports: vec![
                    import("abort", ImportKind::Trap),
                    import("log", ImportKind::Nop),
                    import("host_call_5", ImportKind::BuiltIn),
                    import("gas", ImportKind::Ecalli(100_000)),
                ],
                functions: vec![function(10, "f"), function(10, "g"), function(u32::MAX, "h")],
                data: Some(vec![
                    data("memory", DataExportKind::Memory { bytes: 1 << 32 }),
                    data("table", DataExportKind::Table { functions: true, elements: 7 }),
                    data("others", DataExportKind::Table { functions: false, elements: 0 }),
                    data("count", DataExportKind::Global { ty: 'F', mutable: true }),
                    data("limit", DataExportKind::Global { ty: 'v', mutable: false }),
                ]),
            }),
        }
    }

    #[test]
    fn metadata_survives_writing_and_reading() {
        let metadata = sample();
        assert_eq!(Metadata::parse(&metadata.to_bytes()), metadata);
        let mut plain = metadata.clone();
        let extension = plain.extension.as_mut().expect("has one");
        (extension.raw_entries, extension.wide_pointers, extension.data) = (false, false, None);
        assert_eq!(Metadata::parse(&plain.to_bytes()), plain);
        let package_only = Metadata { extension: None, ..metadata };
        assert_eq!(Metadata::parse(&package_only.to_bytes()), package_only);
        assert_eq!(Metadata::parse(&[]), Metadata::default());
        assert_eq!(Metadata::default().to_bytes(), []);
    }

    #[test]
    fn the_package_is_where_other_tools_look_for_it() {
        let bytes = sample().to_bytes();
        assert!(bytes.starts_with(b"\0\x03fib\x050.1.0\x03MIT\x02\x01A\x01Bwpvm\x01"));
    }

    #[test]
    fn foreign_metadata_gives_its_known_parts() {
        assert_eq!(Metadata::parse(b"hello"), Metadata::default());
        assert_eq!(Metadata::parse(b"\0\xffhello"), Metadata::default());
        let mut bytes = sample().to_bytes();
        let magic = bytes.windows(4).position(|w| w == MAGIC).expect("written");
        bytes[magic + 4] = 99;
        let parsed = Metadata::parse(&bytes);
        assert_eq!(parsed.package, sample().package);
        assert_eq!(parsed.extension, None);
    }

    #[test]
    fn every_truncation_of_an_extension_is_an_error() {
        let mut bytes = Vec::new();
        sample().extension.expect("has one").write(&mut bytes);
        for len in 0..bytes.len() {
            assert!(Extension::parse(&bytes[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn names_and_signatures_tell_the_convention() {
        let of = |names: &[&str], signature: &str, raw_entries| {
            let export = |name: &&str| Export { name: (*name).into(), pc: 0, signature: signature.into() };
            let exports: Vec<Export> = names.iter().map(export).collect();
            let extension = Extension { exports, raw_entries, ..Extension::default() };
            extension.host_result(&extension.exports[0])
        };
        assert_eq!(of(&["f", "g"], "ii>I", false), Some(HostResult::Packed));
        assert_eq!(of(&["f", "g"], "ii>I", true), None);
        for signature in ["ii>ii", "i>I", "fi>I", "ii>F", "ii>"] {
            assert_eq!(of(&["f", "g"], signature, false), None, "{signature}");
        }
        assert_eq!(of(&["accumulate"], "ii>ii", false), Some(HostResult::Pair));
        assert_eq!(of(&["refine", "accumulate"], "i>", false), Some(HostResult::None));
        assert_eq!(of(&["main"], "iii>I", false), None);
        assert_eq!(of(&["main"], "ff>F", false), None);
    }

    #[test]
    fn positions_belong_to_the_function_before_them() {
        let extension = sample().extension.expect("has one");
        assert_eq!(extension.function_at(9), None);
        assert_eq!(extension.function_at(10).map(|f| f.name.as_str()), Some("g"));
        assert_eq!(extension.function_at(11).map(|f| f.name.as_str()), Some("g"));
    }
}
