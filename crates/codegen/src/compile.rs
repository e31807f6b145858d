//! The pipeline for one function, and running it over all functions of a module.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use ssa::{FuncId, IdVec};

use crate::buffer::Fragment;
use crate::emit::emit;
use crate::layout;
use crate::lower::{Unsupported, lower};
use crate::mir::{Function, VReg};
use crate::regalloc;
use crate::registers::PReg;
use crate::target::Target;

/// A stage of the pipeline after which a function can be printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Machine instructions over virtual registers.
    Mir,
    /// Final machine instructions over physical registers.
    Asm,
}

/// Compiles a function to a code fragment.
pub fn compile_function<T: Target>(
    target: &T,
    module: &ssa::Module,
    func: &ssa::Function,
) -> Result<Fragment<T::Fixup>, Unsupported> {
    let mir = select(target, module, func)?;
    let asm = allocate_and_finish(target, mir);
    Ok(emit(target, &asm))
}

/// Compiles a function up to a stage and returns its text form.
pub fn print_stage<T: Target>(
    target: &T,
    module: &ssa::Module,
    func: &ssa::Function,
    stage: Stage,
) -> Result<String, Unsupported> {
    let mir = select(target, module, func)?;
    Ok(match stage {
        Stage::Mir => mir.to_string(),
        Stage::Asm => allocate_and_finish(target, mir).to_string(),
    })
}

/// The code of each function with a body.
pub type Fragments<T> = IdVec<FuncId, Option<Fragment<<T as Target>::Fixup>>>;

/// Compiles every function with a body, in id order, on up to `threads` threads. The result does not depend on the
/// number of threads; of several errors the one with the lowest id is returned.
pub fn compile_functions<T: Target>(
    target: &T,
    module: &ssa::Module,
    threads: usize,
) -> Result<Fragments<T>, Unsupported> {
    let ids: Vec<FuncId> = module.functions.ids().collect();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(ids.len()));
    let work = || {
        let mut mine = Vec::new();
        while let Some(&id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
            let compiled = module.functions[id].as_ref().map(|func| compile_function(target, module, func));
            mine.push((id, compiled.transpose()));
        }
        results.lock().unwrap_or_else(PoisonError::into_inner).append(&mut mine);
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.max(1) {
            scope.spawn(work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(id, _)| *id);
    results.into_iter().map(|(_, result)| result).collect()
}

fn select<T: Target>(
    target: &T,
    module: &ssa::Module,
    func: &ssa::Function,
) -> Result<Function<T, VReg>, Unsupported> {
    let mut mir = lower(target, module, func)?;
    layout::order_blocks(&mut mir);
    Ok(mir)
}

fn allocate_and_finish<T: Target>(target: &T, mir: Function<T, VReg>) -> Function<T, PReg> {
    let mut asm = regalloc::allocate(target, mir);
    target.frame(&mut asm);
    layout::finish(target, &mut asm);
    target.peephole(&mut asm);
    asm
}
