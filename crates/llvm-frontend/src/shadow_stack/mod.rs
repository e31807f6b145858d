//! Recognising the C stack of a wasm program.
//!
//! C and Rust keep objects whose address is taken on a stack in linear memory, addressed by a wasm global. The
//! machine has a stack, too, and a stack pointer in a register. Where the wasm code uses its stack pointer only
//! in the way compilers do, a function's part of the stack can be a frame of the machine's stack: then the global,
//! its updates, and the megabyte it points into go away.
//!
//! The decision is one for the whole module, because all functions share the global. It is made on wasm operators,
//! before anything is translated:
//! - some global is the stack pointer ([`candidate`]);
//! - the region below its initial value has no data;
//! - if nothing tells which toolchain made the module, the region is at the bottom of memory, no function
//!   accesses it by a constant address, and there are frames in it or data starts where it ends;
//! - every function that touches the global fits ([`frame::analyse`]): it restores the pointer before it returns,
//!   moves it only by constants and alignment, and does not address what lies above the pointer it was entered with.
//!
//! The machine's stack is not inside linear memory, so this excludes bounds checks that know nothing else.
//!
//! What is assumed and cannot be checked: nobody addresses the stack region except through the pointer, and a
//! function that hands out the address of a stack object does so for objects of its own frame.

mod frame;

pub use frame::memory_access;

use crate::error::Error;
use crate::libcalls::Libcall;
use crate::module_info::{ConstOp, ExportKind, ModuleInfo, SegmentMode, ValueType};
use crate::options::{Bounds, Options, ShadowStack};

/// The smallest region that is taken for a stack, in bytes.
const MIN_STACK: u32 = 1024;
/// Alignment of the stack pointer that C compilers promise.
const STACK_ALIGN: u32 = 16;
/// What the producers section calls tools that follow the convention.
const TOOLCHAINS: [&str; 3] = ["clang", "rustc", "LLVM"];

/// The name linkers give the stack pointer.
const STACK_POINTER: &str = "__stack_pointer";
/// Exports that linkers make.
const LINKER_SYMBOLS: [&str; 2] = ["__heap_base", "__data_end"];

/// A shadow stack that lives on the machine stack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StackPlan {
    /// The stack pointer.
    pub global: u32,
    /// Its initial value.
    pub initial: u32,
    /// Per function: bytes below its entry value of the stack pointer that it uses.
    pub frame_sizes: Vec<u32>,
}

impl StackPlan {
    /// Bytes of stack that a function uses below the stack pointer it is entered with.
    pub fn frame_size(&self, function: u32) -> u32 {
        self.frame_sizes[function as usize]
    }
}

/// Decides where the shadow stack goes; `None` leaves it in linear memory. The reason is logged.
///
/// # Errors
/// [`Error::Unsupported`] if the options insist on the machine stack and the module does not fit.
pub fn plan(
    info: &ModuleInfo,
    libcalls: &[Option<Libcall>],
    wasm: &[u8],
    options: &Options,
) -> Result<Option<StackPlan>, Error> {
    if options.shadow_stack == ShadowStack::Strict {
        return Ok(None);
    }
    let plan = if options.bounds != Bounds::Guard {
        let what = "bounds checks refuse addresses outside of linear memory".to_owned();
        Err(Misfit { function: None, offset: 0, what })
    } else {
        recognise(info, libcalls, wasm, options)
    };
    match plan {
        Ok(plan) => {
            let frames = plan.frame_sizes.iter().filter(|size| **size > 0).count();
            tracing::info!(
                global = plan.global,
                initial = plan.initial,
                frames,
                "the shadow stack lives on the machine stack"
            );
            Ok(Some(plan))
        }
        Err(reason) if options.shadow_stack == ShadowStack::Native => Err(Error::Unsupported {
            function: reason.function.map(|function| info.function_name(function)),
            offset: reason.offset,
            what: format!("the shadow stack does not fit the machine stack: {}", reason.what),
        }),
        Err(reason) => {
            let function = reason.function.map(|function| info.function_name(function));
            tracing::info!(function, reason = reason.what, "the shadow stack stays in linear memory");
            Ok(None)
        }
    }
}

/// Why a module does not fit.
struct Misfit {
    function: Option<u32>,
    offset: usize,
    what: String,
}

/// The stack pointer of a module and its initial value, if it says which global that is, or the options say that there is
/// one.
pub fn pointer(info: &ModuleInfo, options: &Options) -> Option<(u32, u32)> {
    let candidate = candidate(info, true).ok()?;
    let is_known = candidate.labelled || options.shadow_stack == ShadowStack::Strict;
    is_known.then_some((candidate.global, candidate.initial))
}

fn recognise(
    info: &ModuleInfo,
    libcalls: &[Option<Libcall>],
    wasm: &[u8],
    options: &Options,
) -> Result<StackPlan, Misfit> {
    let misfit = |what: &str| Misfit { function: None, offset: 0, what: what.to_owned() };
    let candidate = candidate(info, options.static_data).map_err(misfit)?;
    check_region(info, candidate).map_err(misfit)?;
    let low_memory = if candidate.labelled { 0 } else { candidate.initial };
    let mut frame_sizes = vec![0; info.functions.len()];
    let mut failures = 0;
    let mut first = None;
    let subject = frame::Subject { info, libcalls, global: candidate.global, low_memory };
    for (function, frame_size) in (0u32..).zip(&mut frame_sizes).skip(info.imported_functions()) {
        match frame::analyse(&subject, wasm, function) {
            Ok(size) => *frame_size = size,
            Err((offset, what)) => {
                tracing::debug!(function = info.function_name(function), offset, what, "does not fit");
                failures += 1;
                first.get_or_insert(Misfit { function: Some(function), offset, what: what.to_owned() });
            }
        }
    }
    if let Some(first) = first {
        tracing::info!(failures, "functions use the shadow stack in an unusual way");
        return Err(first);
    }
    let used = frame_sizes.iter().any(|size| *size > 0);
    if !candidate.labelled && !used && !data_starts_at(info, candidate.initial) {
        return Err(misfit("nothing shows that the first global is a stack pointer"));
    }
    Ok(StackPlan { global: candidate.global, initial: candidate.initial, frame_sizes })
}

/// What may be the stack pointer.
#[derive(Clone, Copy)]
struct Candidate {
    global: u32,
    initial: u32,
    /// The module says by names or custom sections that a toolchain with this convention made it.
    labelled: bool,
}

/// The global named `__stack_pointer`. Without that name, the first global, which is where linkers put it: it must
/// be a mutable `i32`, and unless the producers section or linker symbols tell the toolchain, more is asked of
/// the module.
fn candidate(info: &ModuleInfo, drops_linker_globals: bool) -> Result<Candidate, &'static str> {
    let indices = 0..info.globals.len() as u32;
    let named = indices.clone().find(|&index| info.global_name(index) == Some(STACK_POINTER));
    let by_producer = info.producers.iter().any(|line| TOOLCHAINS.iter().any(|tool| line.contains(tool)));
    let by_symbols = info.exports.iter().any(|export| LINKER_SYMBOLS.contains(&export.name.as_str()));
    let first = indices.clone().find(|&index| info.globals[index as usize].import.is_none());
    let index = named.or(first).ok_or("there is no global that could be the stack pointer")?;
    let global = &info.globals[index as usize];
    if !global.mutable || global.ty != ValueType::I32 {
        return Err("the first global is no stack pointer");
    }
    let exports = info.exports.iter().filter(|export| export.kind == ExportKind::Global(index));
    if exports.filter(|export| !(drops_linker_globals && export.name == STACK_POINTER)).count() > 0 {
        return Err(match named {
            Some(_) => "the stack pointer is exported",
            None => "the first global is exported, so it is no stack pointer",
        });
    }
    match global.init[..] {
        [ConstOp::I32Const(initial)] if (initial as u32).is_multiple_of(STACK_ALIGN) => Ok(Candidate {
            global: index,
            initial: initial as u32,
            labelled: named.is_some() || by_producer || by_symbols,
        }),
        _ => Err("the initial value of the stack pointer is not an aligned constant"),
    }
}

fn data_starts_at(info: &ModuleInfo, address: u32) -> bool {
    let at = |mode: &SegmentMode| match mode {
        SegmentMode::Active(_, offset) => offset[..] == [ConstOp::I32Const(address as i32)],
        _ => false,
    };
    info.data.iter().any(|data| at(&data.mode))
}

/// The region below `initial`, down to the data before it, must exist.
fn check_region(info: &ModuleInfo, candidate: Candidate) -> Result<(), &'static str> {
    let initial = candidate.initial;
    let memory = info.memories.first().ok_or("there is no memory")?;
    if u64::from(initial) > memory.min_pages << memory.page_log2 {
        return Err("the stack starts outside of memory");
    }
    let mut bottom = 0;
    for data in &info.data {
        let SegmentMode::Active(_, offset) = &data.mode else { continue };
        let [ConstOp::I32Const(offset)] = offset[..] else {
            return Err("a data segment has no constant offset");
        };
        let (start, end) = (u64::from(offset as u32), u64::from(offset as u32) + data.bytes.len() as u64);
        if start < u64::from(initial) && end > u64::from(initial) {
            return Err("a data segment lies across the top of the stack");
        }
        if end <= u64::from(initial) {
            bottom = bottom.max(end);
        }
    }
    if !candidate.labelled && bottom > 0 {
        return Err("nothing shows that the first global is a stack pointer");
    }
    if u64::from(initial) - bottom < u64::from(MIN_STACK) {
        return Err("data lies directly below the stack pointer");
    }
    Ok(())
}
