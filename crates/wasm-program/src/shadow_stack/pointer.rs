//! Which global is the stack pointer.

use std::collections::BTreeSet;

use wasmparser::{BinaryReaderError, Operator};

use super::DATA_END;
use crate::module_info::{ConstOp, ExportKind, ModuleInfo, ValueType};
use crate::options::{Options, ShadowStack};

/// Alignment of the stack pointer that C compilers promise.
const STACK_ALIGN: u32 = 16;
/// Names in the producers section of tools that follow the convention.
const TOOLCHAINS: [&str; 3] = ["clang", "rustc", "LLVM"];
/// The name linkers give the stack pointer.
const STACK_POINTER: &str = "__stack_pointer";
/// Exports that linkers make.
const LINKER_SYMBOLS: [&str; 2] = ["__heap_base", DATA_END];

pub const UNKNOWN_POINTER: &str = "nothing shows that a global is a stack pointer";

/// The stack pointer of a module and its initial value, if it says which global that is, or the options say that there is
/// one.
pub fn declared(info: &ModuleInfo, options: &Options) -> Option<(u32, u32)> {
    let labels = Labels::of(info);
    let candidate = candidate(info, labels, labels.named.or(labels.first)?, true).ok()?;
    let is_known = candidate.labelled || options.shadow_stack == ShadowStack::Strict;
    is_known.then_some((candidate.global, candidate.initial))
}

/// The global that may be the stack pointer: the one with that name; or the first one, which is where linkers put it. If
/// nothing tells the toolchain, tools may have changed the order: then functions have to lower it as frames do, or no
/// global is used in this way. If they lower another one, and no third, it is that.
///
/// # Errors
/// The reason why there is none.
pub fn recognise(info: &ModuleInfo, wasm: &[u8], options: &Options) -> Result<Candidate, &'static str> {
    let labels = Labels::of(info);
    let first = labels.first.ok_or("there is no global that could be the stack pointer")?;
    let is_pointer = |global: u32| {
        let global = &info.globals[global as usize];
        global.mutable && global.ty == ValueType::I32
    };
    let index = match labels.named {
        Some(named) => named,
        None if labels.has_toolchain && is_pointer(first) => first,
        None => {
            let lowered = lowered(info, wasm).map_err(|_| "malformed")?;
            match lowered.first() {
                Some(&only) if lowered.len() == 1 => only,
                Some(_) if !lowered.contains(&first) => return Err(UNKNOWN_POINTER),
                _ => first,
            }
        }
    };
    candidate(info, labels, index, options.static_data)
}

/// Globals that some function gets, lowers by a constant and sets.
fn lowered(info: &ModuleInfo, wasm: &[u8]) -> Result<BTreeSet<u32>, BinaryReaderError> {
    let mut found = BTreeSet::new();
    for function in info.imported_functions() as u32..info.functions.len() as u32 {
        let mut stage = Stage::Other;
        let mut reader = info.body(wasm, function).get_operators_reader()?;
        while !reader.eof() {
            let op = reader.read()?;
            stage = match (stage, op) {
                (Stage::Lowered(lowered), Operator::GlobalSet { global_index })
                    if lowered == global_index =>
                {
                    found.insert(lowered);
                    Stage::Other
                }
                (_, Operator::GlobalGet { global_index }) => Stage::Got(global_index),
                (Stage::Got(global), Operator::I32Const { value }) if value != 0 => {
                    Stage::Constant(global, value)
                }
                (Stage::Constant(global, 1..), Operator::I32Sub)
                | (Stage::Constant(global, ..=-1), Operator::I32Add) => Stage::Lowered(global),
                (Stage::Lowered(global), Operator::LocalTee { .. }) => Stage::Lowered(global),
                _ => Stage::Other,
            };
        }
    }
    Ok(found)
}

/// How far the last operators lower a global.
#[derive(Clone, Copy)]
enum Stage {
    Other,
    Got(u32),
    Constant(u32, i32),
    Lowered(u32),
}

/// A possible stack pointer.
#[derive(Clone, Copy)]
pub struct Candidate {
    pub global: u32,
    /// Its initial value.
    pub initial: u32,
    /// The module says by names or custom sections that a toolchain with this convention made it.
    pub labelled: bool,
}

/// The information that a module has about its stack pointer.
#[derive(Clone, Copy)]
struct Labels {
    /// The global with its name.
    named: Option<u32>,
    /// The first global that isn't imported.
    first: Option<u32>,
    /// The producers section or linker symbols tell a toolchain with this convention.
    has_toolchain: bool,
}

impl Labels {
    fn of(info: &ModuleInfo) -> Self {
        let indices = 0..info.globals.len() as u32;
        let by_producer = info.producers.iter().any(|line| TOOLCHAINS.iter().any(|tool| line.contains(tool)));
        let by_symbols = info.exports.iter().any(|export| LINKER_SYMBOLS.contains(&export.name.as_str()));
        Self {
            named: indices.clone().find(|&index| info.global_name(index) == Some(STACK_POINTER)),
            first: indices.clone().find(|&index| info.globals[index as usize].import.is_none()),
            has_toolchain: by_producer || by_symbols,
        }
    }
}

/// The global as a stack pointer: it must be a mutable `i32` that the host can't change.
fn candidate(
    info: &ModuleInfo,
    labels: Labels,
    index: u32,
    drops_linker_globals: bool,
) -> Result<Candidate, &'static str> {
    let global = &info.globals[index as usize];
    if !global.mutable || global.ty != ValueType::I32 {
        return Err("the first global is no stack pointer");
    }
    let exports = info.exports.iter().filter(|export| export.kind == ExportKind::Global(index));
    if exports.filter(|export| !(drops_linker_globals && export.name == STACK_POINTER)).count() > 0 {
        return Err(match labels.named {
            Some(_) => "the stack pointer is exported",
            None => "the first global is exported, so it is no stack pointer",
        });
    }
    match global.init[..] {
        [ConstOp::I32Const(initial)] if (initial as u32).is_multiple_of(STACK_ALIGN) => Ok(Candidate {
            global: index,
            initial: initial as u32,
            labelled: labels.named.is_some() || labels.has_toolchain,
        }),
        _ => Err("the initial value of the stack pointer is not an aligned constant"),
    }
}
