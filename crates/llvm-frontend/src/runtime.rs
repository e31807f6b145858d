//! Functions that compiled code calls and no wasm module contains.
//!
//! They are written in LLVM IR: one text shared by all targets, and one for each way of growing memory. They go
//! through the same passes and the same reader as translated code. A program contains those it uses.

use ssa::{FuncKind, Signature, Type};

use crate::names;
use crate::options::Target;
use crate::program::MemoryPlan;

/// The functions of the runtime: symbol, signature, kind. Intrinsics are functions the target implements.
pub fn declarations(target: Target) -> Vec<(&'static str, Signature, FuncKind)> {
    use Type::{I32, I64};
    let local = |symbol, params: &[Type], results: &[Type]| {
        let signature = Signature { params: params.to_vec(), results: results.to_vec() };
        (symbol, signature, FuncKind::Local)
    };
    let intrinsic = |symbol: &'static str, params: &[Type]| {
        let signature = Signature { params: params.to_vec(), results: vec![I32] };
        (symbol, signature, FuncKind::Intrinsic(symbol.to_owned()))
    };
    let mut list = vec![
        local(names::MEMORY_GROW, &[I32], &[I32]),
        local(names::MEMCPY, &[I32; 3], &[]),
        local(names::MEMMOVE, &[I32; 3], &[]),
        local(names::MEMSET, &[I32; 3], &[]),
        local(names::MEMCMP, &[I32; 3], &[I32]),
        local(names::UDIVTI3, &[I64; 4], &[I64; 2]),
        local(names::UMODTI3, &[I64; 4], &[I64; 2]),
        local(names::DIVTI3, &[I64; 4], &[I64; 2]),
        local(names::MODTI3, &[I64; 4], &[I64; 2]),
    ];
    match target {
        Target::PvmV072 => list.push(intrinsic("__pvm_sbrk", &[I32])),
        Target::PvmV08 => list.push(intrinsic("__pvm_grow_heap", &[I32])),
        Target::Thumb { .. } => {}
    }
    list
}

/// The text of the runtime for a program.
pub fn text(target: Target, memory: Option<MemoryPlan>) -> String {
    let page = compared_page(target);
    let mut text = include_str!("runtime/common.ll")
        .replace("COMPARED_PAGE_MASK", &(page - 1).to_string())
        .replace("COMPARED_PAGE", &page.to_string());
    let Some(memory) = memory.filter(|memory| memory.grows) else { return text };
    text.push_str(match target {
        Target::PvmV072 => include_str!("runtime/grow_sbrk.ll"),
        Target::PvmV08 => include_str!("runtime/grow_heap.ll"),
        Target::Thumb { .. } => include_str!("runtime/grow_reserved.ll"),
    });
    text.replace("MAX_PAGES", &(memory.max_pages as i32).to_string())
        .replace("PAGE_LOG2", &memory.page_log2.to_string())
}

/// Granularity in bytes of accessible memory: the page of the PVM; on Cortex-M, the finest region of memory protection.
fn compared_page(target: Target) -> u32 {
    match target {
        Target::PvmV072 | Target::PvmV08 => 4096,
        Target::Thumb { .. } => 32,
    }
}
