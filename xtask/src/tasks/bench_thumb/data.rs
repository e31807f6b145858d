//! The data that LLVM's object refers to (tables, globals, segments and static data), as assembly.
//!
//! LLVM IR refers to the module's data but doesn't contain it. Tables and globals are taken from our SSA, which uses
//! the same names; the tables refer to functions of LLVM's object. Static data is one block with the module's
//! segments, because LLVM IR refers to its bytes by offset.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use llvm_frontend::{ConstOp, ModuleInfo, SegmentMode};
use ssa::{DataKind, DataObject, EntityId};

/// The symbol of the block of static data.
pub const STATICS: &str = "__bench_statics";
/// Maximum number of zero bytes after the last segment: linear memory may be much larger than the part that code uses.
const SPARE: usize = 4096;

/// The static data of a module: its segments, and up to [`SPARE`] zero bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statics(Vec<u8>);

impl Statics {
    /// The static data of a module, in a range of wasm addresses.
    pub fn new(wasm: &[u8], info: &ModuleInfo, range: Range<u32>) -> Self {
        let mut bytes = vec![0; range.len().min(SPARE)];
        for data in &info.data {
            let SegmentMode::Active(_, offset) = &data.mode else { continue };
            let [ConstOp::I32Const(offset)] = offset[..] else { continue };
            let at = (offset as u32 - range.start) as usize;
            let end = at + data.bytes.len();
            bytes.resize(bytes.len().max(end), 0);
            bytes[at..end].copy_from_slice(&wasm[data.bytes.clone()]);
        }
        Self(bytes)
    }
}

/// Assembles the data of a module; the object is written to `folder`.
pub fn assemble(
    info: &ModuleInfo,
    module: &ssa::Module,
    statics: Option<&Statics>,
    folder: &Path,
) -> Result<PathBuf> {
    let mut text = String::from(".syntax unified\n.data\n");
    let symbols: HashMap<String, String> = (0..info.functions.len() as u32)
        .map(|index| (info.function_name(index), format!("f.{index}")))
        .collect();
    for object in module.data.values().filter(|object| !matches!(object.kind, DataKind::Memory(_))) {
        write_object(&mut text, module, object, &symbols)?;
    }
    if let Some(statics) = statics {
        define(&mut text, STATICS)?;
        write_bytes(&mut text, &statics.0)?;
    }
    let (source, object) = (folder.join("data.s"), folder.join("data.o"));
    std::fs::write(&source, text)?;
    super::llvm::tool("clang-22", &["--target=thumbv7m-none-eabi", "-c"], &source, &object)?;
    Ok(object)
}

/// Writes a data object. A function reference is the code address followed by the number of the signature plus one.
fn write_object(
    text: &mut String,
    module: &ssa::Module,
    object: &DataObject,
    symbols: &HashMap<String, String>,
) -> Result<()> {
    define(text, &object.name)?;
    let mut bytes = object.init.clone();
    bytes.resize(object.size as usize, 0);
    let mut at = 0;
    for reloc in &object.relocs {
        let decl = &module.decls[reloc.func];
        let symbol = symbols
            .get(&decl.name)
            .with_context(|| format!("function `{}` has no symbol in LLVM's object", decl.name))?;
        write_bytes(text, &bytes[at..reloc.offset as usize])?;
        writeln!(text, ".word {symbol}, {}", decl.sig.index() + 1)?;
        at = reloc.offset as usize + 8;
    }
    write_bytes(text, &bytes[at..])
}

fn define(text: &mut String, symbol: &str) -> Result<()> {
    Ok(writeln!(text, ".balign 16\n.global \"{symbol}\"\n\"{symbol}\":")?)
}

fn write_bytes(text: &mut String, bytes: &[u8]) -> Result<()> {
    for line in bytes.chunks(64) {
        let numbers: Vec<String> = line.iter().map(u8::to_string).collect();
        writeln!(text, ".byte {}", numbers.join(","))?;
    }
    Ok(())
}
