//! Splitting a program into parts, which are processed in parallel.
//!
//! LLVM works on a module with one thread, and its memory use grows with the module. So functions are cut, in wasm
//! order, into parts of roughly equal code size. Every part has an LLVM context of its own and is translated,
//! optimised and read on one thread; only its `ssa` is kept. The cuts depend on the input alone, never on the number of
//! threads, and results are joined in part order, so the output does not depend on scheduling.
//!
//! A small callee in another part is copied into the caller's part for inlining only (`available_externally`).
//!
//! Threads get a large stack: some LLVM passes recurse as deep as the code is nested.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use inkwell::module::{Linkage, Module};
use runtime::llvm::{GrowingMemory, Growth, Style, helpers};
use wasm_program::error::Error;
use wasm_program::module_info::MAIN_MEMORY;
use wasm_program::names;
use wasm_program::options::OptLevel;
use wasm_program::program::Program;

use crate::classify;
use crate::passes::{self, Content};
use crate::translate::env::Env;
use crate::translate::{entry, soft_float, translate_function};

/// Wasm code bytes per part.
const PART_BYTES: usize = 256 << 10;
/// Native stack of a worker, in bytes of address space; only the pages in use take memory.
const WORKER_STACK: usize = 256 << 20;
/// Callees of other parts with a body up to this many bytes are copied for inlining.
const COPIED_BODY_BYTES: usize = 96;

/// Programs with up to this many bytes of wasm code may grow for speed.
const SMALL_PROGRAM_BYTES: usize = 256 << 10;

/// The contents of a part.
enum Part {
    /// Functions of the module, by wasm index.
    Functions(Range<u32>),
    /// The runtime.
    Runtime,
    /// The functions that float operators call.
    Floats,
}

impl Part {
    /// Number of functions of the module in it.
    fn functions(&self) -> usize {
        match self {
            Self::Functions(range) => range.len(),
            Self::Runtime | Self::Floats => 0,
        }
    }
}

/// Facts about the whole program that all parts need.
struct Whole {
    /// By function: whether another part calls it.
    called_across: Vec<bool>,
    /// The kind of code in parts with functions.
    content: Content,
}

/// Translates and optimises all parts and hands each LLVM module to `consume`; the results in part order.
///
/// # Errors
/// The error of the first part, in part order, that has one.
pub fn for_each<T: Send>(
    program: &Program<'_>,
    consume: impl Fn(&Module<'_>) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let parts = split(program);
    let whole = Whole { called_across: called_across(program, &parts), content: size_class(program) };
    progress::expect("frontend", parts.iter().map(Part::functions).sum());
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(usize::MAX);
    let results: Vec<Mutex<Option<Result<T, Error>>>> = parts.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= parts.len() || index > failed.load(Ordering::Relaxed) {
                return;
            }
            let result = build(program, &whole, &parts[index], &consume);
            progress::done(parts[index].functions());
            if result.is_err() {
                failed.fetch_min(index, Ordering::Relaxed);
            }
            *results[index].lock().expect("no worker panics while holding the lock") = Some(result);
        }
    };
    std::thread::scope(|scope| {
        let is_refused = (0..workers(program.options.threads).min(parts.len())).any(|_| {
            let thread = std::thread::Builder::new().stack_size(WORKER_STACK);
            thread.spawn_scoped(scope, work).is_err()
        });
        // Without memory for another stack, this thread works as well.
        if is_refused {
            work();
        }
    });
    // Parts after a failed one may be missing; the error comes first.
    let results = results.into_iter().map(|slot| slot.into_inner().expect("no worker panicked"));
    results.map_while(|result| result).collect()
}

fn workers(threads: usize) -> usize {
    match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    }
}

fn split(program: &Program<'_>) -> Vec<Part> {
    let info = program.info;
    let first = info.imported_functions();
    let mut parts = Vec::new();
    let (mut start, mut bytes) = (first, 0);
    for index in first..info.functions.len() {
        let size = info.functions[index].body.len();
        if bytes > 0 && bytes + size > PART_BYTES {
            parts.push(Part::Functions(start as u32..index as u32));
            (start, bytes) = (index, 0);
        }
        bytes += size;
    }
    if start < info.functions.len() {
        parts.push(Part::Functions(start as u32..info.functions.len() as u32));
    }
    parts.push(Part::Runtime);
    if program.has_soft_floats() {
        parts.push(Part::Floats);
    }
    parts
}

fn build<T>(
    program: &Program<'_>,
    whole: &Whole,
    part: &Part,
    consume: impl Fn(&Module<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let context = Context::create();
    let (module, content) = match part {
        Part::Functions(range) => (translate(&context, program, whole, range.clone())?, whole.content),
        Part::Runtime => (parse_runtime(&context, program), Content::Runtime),
        Part::Floats => {
            let mut env = Env::new(&context, program, "floats");
            soft_float::define(&mut env);
            (env.finish(), Content::Floats)
        }
    };
    if (cfg!(debug_assertions) || program.options.checks)
        && let Err(message) = module.verify()
    {
        panic!("the translator made an invalid module: {message}");
    }
    progress::phase("optimise");
    classify::resolve(&module, program)?;
    let throws = program.exceptions.throwing.contains(&true);
    passes::run(&module, &program.options.target, program.options.level, content, throws);
    consume(&module)
}

fn size_class(program: &Program<'_>) -> Content {
    let code: usize = program.info.functions.iter().map(|function| function.body.len()).sum();
    if code <= SMALL_PROGRAM_BYTES { Content::SmallProgram } else { Content::LargeProgram }
}

fn translate<'ctx>(
    context: &'ctx Context,
    program: &Program<'_>,
    whole: &Whole,
    range: Range<u32>,
) -> Result<Module<'ctx>, Error> {
    let mut env = Env::new(context, program, &format!("part.{}", range.start));
    for index in range.clone() {
        translate_function(&mut env, index)?;
        if !program.facts.referenced[index as usize] && !whole.called_across[index as usize] {
            env.function(index).set_linkage(Linkage::Internal);
        }
        if program.entries.contains_key(&index) {
            entry::define_entry(&mut env, index);
        }
    }
    if range.start as usize == program.info.imported_functions() {
        program.thunks.keys().for_each(|&import| entry::define_thunk(&mut env, import));
    }
    for index in copied_callees(program, &range) {
        translate_function(&mut env, index)?;
        env.function(index).set_linkage(Linkage::AvailableExternally);
    }
    Ok(env.finish())
}

/// By function: whether another part calls it, directly or in its copy of a function.
fn called_across(program: &Program<'_>, parts: &[Part]) -> Vec<bool> {
    let callees = &program.facts.callees;
    let mut part_of = vec![usize::MAX; callees.len()];
    for (number, part) in parts.iter().enumerate() {
        if let Part::Functions(range) = part {
            part_of[range.start as usize..range.end as usize].fill(number);
        }
    }
    let mut called = vec![false; callees.len()];
    for (caller, callees) in callees.iter().enumerate() {
        for &callee in callees.iter().filter(|callee| part_of[**callee as usize] != part_of[caller]) {
            called[callee as usize] = true;
        }
    }
    let mut by_copies = called.clone();
    for (copied, callees) in callees.iter().enumerate().filter(|(copied, _)| called[*copied]) {
        for &callee in callees.iter().filter(|callee| part_of[**callee as usize] == part_of[copied]) {
            by_copies[callee as usize] = true;
        }
    }
    by_copies
}

/// Small functions of other parts that this part calls, in index order.
fn copied_callees(program: &Program<'_>, range: &Range<u32>) -> BTreeSet<u32> {
    if matches!(program.options.level, OptLevel::O0 | OptLevel::O1) {
        return BTreeSet::new();
    }
    let small = |callee: &u32| {
        let size = program.info.functions[*callee as usize].body.len();
        (1..=COPIED_BODY_BYTES).contains(&size) && program.libcalls[*callee as usize].is_none()
    };
    let callees = range.clone().flat_map(|caller| &program.facts.callees[caller as usize]).copied();
    callees.filter(|callee| !range.contains(callee)).filter(small).collect()
}

fn parse_runtime<'ctx>(context: &'ctx Context, program: &Program<'_>) -> Module<'ctx> {
    let target = &program.options.target;
    let growing = (0u32..).zip(&program.memories).filter(|(_, memory)| memory.grows);
    let growing = growing.map(|(index, memory)| {
        let memory = GrowingMemory {
            grow: names::memory_grow_symbol(index),
            memory: names::memory_symbol(index),
            bytes: names::memory_bytes_symbol(index),
            max_pages: memory.max_pages,
            page_log2: memory.page_log2,
        };
        (index, memory)
    });
    let (main, others): (Vec<_>, Vec<_>) = growing.partition(|(index, _)| *index == MAIN_MEMORY);
    let [main, others] =
        [main, others].map(|list| list.into_iter().map(|(_, memory)| memory).collect::<Vec<_>>());
    let growth = target.growth.functions(&main) + &Growth::RESERVED.functions(&others);
    let style = match program.options.level {
        OptLevel::Oz if target.has_small_helpers => Style::Small,
        _ if target.unaligned => Style::Fast,
        _ => Style::Aligned,
    };
    let text = helpers(target.access_granule, style) + &growth;
    let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "runtime");
    context.create_module_from_ir(buffer).unwrap_or_else(|error| panic!("the runtime is malformed: {error}"))
}
