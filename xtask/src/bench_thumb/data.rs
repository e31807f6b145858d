//! What LLVM's object refers to beside functions: tables, globals, segments and static data, as assembly.
//!
//! LLVM IR names the module's data and doesn't contain it. Tables and globals are taken from our SSA, where LLVM IR
//! and SSA use the same names, with functions of LLVM's object in the tables. Static data is one block with the module's
//! segments, because LLVM IR refers to its bytes by their wasm addresses.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use llvm_frontend::{ConstOp, ModuleInfo, SegmentMode};
use ssa::{DataKind, DataObject, EntityId};

/// The symbol of the block of static data; it begins at [`Statics::start`].
pub const STATICS: &str = "__bench_statics";
/// Bytes behind the last known address of static data.
const SPARE: u32 = 4096;

/// The static data of a module: what lies at the wasm addresses that its segments and its code name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statics {
    /// The wasm address of the first byte.
    pub start: u32,
    bytes: Vec<u8>,
}

impl Statics {
    /// Of a module and the addresses in its code; `None` if the code has none.
    pub fn new(wasm: &[u8], info: &ModuleInfo, addresses: &BTreeSet<u32>) -> Option<Self> {
        let (&first, &last) = (addresses.first()?, addresses.last()?);
        let segment = |mode: &SegmentMode| match mode {
            SegmentMode::Active(_, offset) => match offset[..] {
                [ConstOp::I32Const(offset)] => Some(offset as u32),
                _ => None,
            },
            _ => None,
        };
        let segments: Vec<(u32, &[u8])> = info
            .data
            .iter()
            .filter_map(|data| Some((segment(&data.mode)?, &wasm[data.bytes.clone()])))
            .collect();
        let start = segments.iter().map(|(offset, _)| *offset).chain([first]).min()? & !15;
        let ends = segments.iter().map(|(offset, bytes)| offset + bytes.len() as u32);
        let end = ends.chain([last]).max()? + SPARE;
        let mut block = vec![0; (end - start) as usize];
        for (offset, bytes) in segments {
            let at = (offset - start) as usize;
            block[at..at + bytes.len()].copy_from_slice(bytes);
        }
        Some(Self { start, bytes: block })
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
        write_bytes(&mut text, &statics.bytes)?;
    }
    let (source, object) = (folder.join("data.s"), folder.join("data.o"));
    std::fs::write(&source, text)?;
    super::llvm::tool("clang-22", &["--target=thumbv7m-none-eabi", "-c"], &source, &object)?;
    Ok(object)
}

/// An object with references to functions: the code address, then the number of the type plus one.
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
        let symbol = symbols.get(&decl.name).with_context(|| format!("no symbol of {}", decl.name))?;
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
