//! Recognising the C stack of a wasm program.
//!
//! C and Rust keep objects whose address is taken on a stack in linear memory, addressed by a wasm global. The
//! machine has a stack, too, and a stack pointer in a register. Where the wasm code uses its stack pointer only
//! in the way compilers do, a function's part of the stack can be a frame of the machine's stack: then the global,
//! its updates, and the megabyte it points into go away.
//!
//! The decision is one for the whole module, because all functions share the global. It is made on wasm operators,
//! before anything is translated:
//! - some global is the stack pointer ([`pointer`]);
//! - the region below its initial value has no data;
//! - if nothing tells which toolchain made the module, there are frames in the region, or it is at the bottom of memory
//!   and data starts where it ends;
//! - there are no exceptions: code that catches one sets the pointer to what it was in another function's frame;
//! - the machine's stack has room for it;
//! - every function that can be reached restores the pointer before it returns, and accesses nothing above its value at
//!   entry;
//! - none of them uses an address of the stack in a way compilers don't (`auto` only): the value at entry is
//!   lowered and restored and used for nothing else, it is no bound of comparisons, nothing is accessed at constants of
//!   the region, or at constants of it plus computed numbers.
//!
//! A function that lowers the pointer by constants and alignments only gets a frame. Another one, for example with
//! `alloca`, *keeps* its part of the stack in memory, and so do functions by which the host [handles](handles) the pointer.
//! Then the global and its region stay, for these functions alone. That is right because every function restores the
//! pointer and accesses nothing above it: none can tell whether its callers have lowered the pointer, as long as those of
//! them that keep their objects in memory have.
//!
//! [`steps`], [`accesses`] and [`calls`] make these checks on one function, [`flow`] follows values from function to
//! function: constants and addresses of objects through locals, words of the frame, parameters, results and globals.
//!
//! Bounds checks know nothing but linear memory. So with them the machine's stack has to be inside it, in the place of the
//! shadow stack ([`Options::stack_in_memory`]): then objects have addresses that are in bounds. That is refused if a
//! function keeps its part, since both would be in one region, and if data is below the region: a stack that
//! overflows would change it.
//!
//! The assumptions of `auto`: an index into a stack object stays inside that object, and objects are used while their
//! function runs and read after they are written. The checks for constants don't follow them through other memory. A
//! constant that is added to a possible address is taken for the offset of a field. If compilers made the module, a constant
//! that is only one of the values of an address has the alignment that the access states.

mod accesses;
mod arguments;
mod calls;
mod flow;
mod frame;
mod handles;
mod liveness;
mod operators;
mod pointer;
mod steps;
mod value;

pub use operators::memory_access;
pub use pointer::declared;

use flow::{Misuse, Subject, Usage};
use pointer::{Candidate, UNKNOWN_POINTER};
use value::Region;

use crate::error::Error;
use crate::libcalls::Libcall;
use crate::module_info::{ConstOp, ExportInfo, ExportKind, MAIN_MEMORY, ModuleInfo, SegmentMode};
use crate::options::{Bounds, Options, ShadowStack};

/// The smallest region that is taken for a stack, in bytes.
const MIN_STACK: u32 = 1024;
/// The end of static data.
const DATA_END: &str = "__data_end";
/// Bytes of stack that linkers make unless they are told otherwise.
const LINKER_STACK: u32 = 1 << 16;

/// A shadow stack that lives on the machine stack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StackPlan {
    /// The stack pointer.
    pub global: u32,
    /// Its initial value.
    pub initial: u32,
    /// The lowest address that is likely to be the stack's.
    pub floor: u32,
    /// Per function: bytes below its entry value of the stack pointer that it uses.
    pub frame_sizes: Vec<u32>,
    /// Functions whose part of the stack stays in memory, in ascending order.
    pub kept: Vec<u32>,
}

impl StackPlan {
    /// Bytes of stack that a function uses below the stack pointer it is entered with.
    pub fn frame_size(&self, function: u32) -> u32 {
        self.frame_sizes[function as usize]
    }

    /// Whether a function works with the global, and its part of the stack stays in memory.
    pub fn keeps(&self, function: u32) -> bool {
        self.kept.binary_search(&function).is_ok()
    }
}

/// Decides the place of the shadow stack; `None` leaves it in linear memory. The reason is logged.
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
    let plan = match options.bounds {
        Bounds::Guard => recognise(info, libcalls, wasm, options),
        Bounds::Strict if options.stack_in_memory => {
            recognise(info, libcalls, wasm, options).and_then(|plan| in_memory(info, plan))
        }
        Bounds::Strict | Bounds::Mask => {
            Err(Misfit::of_module("bounds checks refuse addresses outside of linear memory"))
        }
    };
    match plan {
        Ok(plan) => {
            let frames = plan.frame_sizes.iter().filter(|size| **size > 0).count();
            tracing::info!(
                global = plan.global,
                initial = plan.initial,
                frames,
                kept = plan.kept.len(),
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
            let offset = reason.function.map(|_| reason.offset);
            tracing::info!(function, offset, reason = reason.what, "the shadow stack stays in linear memory");
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

impl Misfit {
    fn of_module(what: &str) -> Self {
        Self { function: None, offset: 0, what: what.to_owned() }
    }
}

/// Whether the machine's stack can be in the place of the shadow stack.
fn in_memory(info: &ModuleInfo, plan: StackPlan) -> Result<StackPlan, Misfit> {
    if let Some(&function) = plan.kept.first() {
        let what = "its part of the stack and the machine's stack would be in one region".to_owned();
        return Err(Misfit { function: Some(function), offset: 0, what });
    }
    if plan.frame_sizes.iter().all(|&size| size == 0) {
        return Err(Misfit::of_module("no function uses it"));
    }
    // Without data, zero-initialised objects may be below, unless the linker says where they end.
    let above = first_data(info).or_else(|| linker_global(info, DATA_END));
    let is_first = above.is_some_and(|start| start >= plan.initial);
    is_first.then_some(plan).ok_or_else(|| Misfit::of_module("an overflow would change the data below it"))
}

fn recognise(
    info: &ModuleInfo,
    libcalls: &[Option<Libcall>],
    wasm: &[u8],
    options: &Options,
) -> Result<StackPlan, Misfit> {
    let misfit = Misfit::of_module;
    if !info.tags.is_empty() {
        return Err(misfit("code that catches exceptions restores the stack pointer"));
    }
    let candidate = pointer::recognise(info, wasm, options).map_err(misfit)?;
    let bottom = check_region(info, candidate).map_err(misfit)?;
    if !candidate.labelled && options.static_data && bottom > 0 {
        return Err(misfit(UNKNOWN_POINTER));
    }
    let region = region(info, candidate, options);
    let bytes =
        if first_data(info).is_some_and(|start| start < region.top) { region.size() } else { region.top };
    let has_room =
        options.bounds == Bounds::Strict || options.shadow_stack_limit.is_none_or(|limit| bytes <= limit);
    if options.shadow_stack == ShadowStack::Auto && !has_room {
        return Err(misfit("the machine stack has no room for it"));
    }
    let mut usage = usage(info, libcalls, wasm, options, (candidate.global, region))?;
    let frame_sizes = std::mem::take(&mut usage.frame_sizes);
    let used = frame_sizes.iter().any(|size| *size > 0);
    let is_at_bottom = bottom == 0 && data_starts_at(info, candidate.initial);
    if !(candidate.labelled || used || is_at_bottom) {
        return Err(misfit(UNKNOWN_POINTER));
    }
    usage.kept.append(&mut usage.handles);
    usage.kept.sort_by_key(|misuse| misuse.function);
    if !used || options.static_data {
        // Nothing would move, or there is no memory for a part.
        report(info, &usage.kept)?;
    }
    let kept = usage.kept.iter().map(|misuse| misuse.function).collect();
    let (global, initial, floor) = (candidate.global, candidate.initial, region.floor);
    Ok(StackPlan { global, initial, floor, frame_sizes, kept })
}

/// How a module uses its stack, if that allows frames.
fn usage(
    info: &ModuleInfo,
    libcalls: &[Option<Libcall>],
    wasm: &[u8],
    options: &Options,
    (global, region): (u32, Region),
) -> Result<Usage, Misfit> {
    let functions = |export: &ExportInfo| match export.kind {
        ExportKind::Func(function) => Some(function),
        _ => None,
    };
    let copies =
        |libcall: &Option<Libcall>| libcall.is_some_and(Libcall::returns_first_argument).then_some(0);
    let mut subject = Subject {
        info,
        wasm,
        libcalls,
        global,
        region,
        classes: flow::classes(info),
        returned: libcalls.iter().map(copies).collect(),
        entries: info.exports.iter().filter_map(functions).collect(),
    };
    let checked = |subject: &Subject<'_>| {
        let mut usage = flow::analyse(subject);
        if options.shadow_stack == ShadowStack::Auto {
            usage.refused.append(&mut usage.suspicious);
            usage.refused.sort_by_key(|misuse| (misuse.function, misuse.failure));
        }
        usage
    };
    let mut usage = checked(&subject);
    if !(usage.refused.is_empty() && usage.kept.is_empty() && usage.handles.is_empty()) {
        // Rarely needed: exports that no host enters don't count, and results of other functions are arguments, too.
        subject.entries = info.entries(options.service_entries);
        subject.returned = arguments::returned(info, wasm, libcalls);
        usage = checked(&subject);
    }
    report(info, &usage.refused)?;
    for &Misuse { function, failure: (offset, what) } in &usage.kept {
        tracing::debug!(function = info.function_name(function), offset, what, "keeps its stack in memory");
    }
    for misuse in &usage.handles {
        tracing::debug!(
            function = info.function_name(misuse.function),
            "handles the stack pointer for the host"
        );
    }
    Ok(usage)
}

/// Logs the functions that don't fit. The first one is the reason.
fn report(info: &ModuleInfo, misuses: &[Misuse]) -> Result<(), Misfit> {
    for &Misuse { function, failure: (offset, what) } in misuses {
        tracing::debug!(function = info.function_name(function), offset, what, "does not fit");
    }
    let Some(first) = misuses.first() else { return Ok(()) };
    tracing::info!(failures = misuses.len(), "functions use the shadow stack in an unusual way");
    let (offset, what) = first.failure;
    Err(Misfit { function: Some(first.function), offset, what: what.to_owned() })
}

/// The addresses that are the stack, as far as the module says. If no data lies below it, nothing is mapped there. Else
/// it ends at `__data_end`, or is at least as large as linkers make it.
fn region(info: &ModuleInfo, candidate: Candidate, options: &Options) -> Region {
    let top = candidate.initial;
    let bottom = segments(info).map(|(_, end)| end).filter(|&end| end <= top).max().unwrap_or(0);
    let is_first = first_data(info).is_some_and(|start| start >= top);
    let floor = match linker_global(info, DATA_END) {
        _ if is_first || !candidate.labelled && bottom == 0 => 0,
        Some(end) if (bottom..top).contains(&end) => end,
        _ => bottom.max(top.saturating_sub(LINKER_STACK)),
    };
    Region {
        floor,
        top,
        is_addressed: !options.static_data || !candidate.labelled,
        is_compiled: candidate.labelled,
    }
}

/// Where the lowest data is.
fn first_data(info: &ModuleInfo) -> Option<u32> {
    segments(info).map(|(start, _)| start).min()
}

/// First and last address of active segments that have bytes.
fn segments(info: &ModuleInfo) -> impl Iterator<Item = (u32, u32)> {
    info.data.iter().filter_map(|data| match &data.mode {
        SegmentMode::Active(MAIN_MEMORY, offset) if !data.bytes.is_empty() => match offset[..] {
            [ConstOp::I32Const(start)] => {
                Some((start as u32, (start as u32).saturating_add(data.bytes.len() as u32)))
            }
            _ => None,
        },
        _ => None,
    })
}

/// The value of an immutable global that is exported or named like this.
fn linker_global(info: &ModuleInfo, name: &str) -> Option<u32> {
    let exported = info.exports.iter().find_map(|export| match export.kind {
        ExportKind::Global(global) if export.name == name => Some(global),
        _ => None,
    });
    let named = || (0..info.globals.len() as u32).find(|&global| info.global_name(global) == Some(name));
    let global = &info.globals[exported.or_else(named)? as usize];
    match global.init[..] {
        [ConstOp::I32Const(value)] if !global.mutable => Some(value as u32),
        _ => None,
    }
}

fn data_starts_at(info: &ModuleInfo, address: u32) -> bool {
    let at = |mode: &SegmentMode| match mode {
        SegmentMode::Active(MAIN_MEMORY, offset) => offset[..] == [ConstOp::I32Const(address as i32)],
        _ => false,
    };
    info.data.iter().any(|data| at(&data.mode))
}

/// The region below `initial`, down to the data before it, must exist. Returns the end of that data.
fn check_region(info: &ModuleInfo, candidate: Candidate) -> Result<u64, &'static str> {
    let initial = candidate.initial;
    let memory = info.main_memory().ok_or("there is no memory")?;
    if memory.is_64 {
        return Err("memory has 64-bit addresses");
    }
    if u64::from(initial) > memory.min_bytes() {
        return Err("the stack starts outside of memory");
    }
    let mut bottom = 0;
    for data in info.data.iter().filter(|data| !data.bytes.is_empty()) {
        let SegmentMode::Active(MAIN_MEMORY, offset) = &data.mode else { continue };
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
    if u64::from(initial) - bottom < u64::from(MIN_STACK) {
        return Err("data lies directly below the stack pointer");
    }
    Ok(bottom)
}
