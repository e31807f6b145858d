//! The pipeline: compiles one function, or all functions of a module in parallel.

use std::fmt::Display;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use ssa::{FuncId, IdVec};

use crate::emit::{Encode, Fragment, emit};
use crate::layout::{finish, order_blocks};
use crate::liveness::check_clobbers;
use crate::mir::{Function, PReg};
use crate::regalloc::allocate;
use crate::select::{Unsupported, lower};
use crate::target::{Pass, Target};

const SELECT: &str = "select";
const ORDER: &str = "order";
const ALLOCATE: &str = "allocate";
const FRAME: &str = "frame";
const LAYOUT: &str = "layout";
const EMIT: &str = "emit";

/// The last pass over virtual registers.
pub const MIR: &str = ORDER;

/// The passes before a function is emitted, in order. Calls `observe` with the name of each and the function after it.
///
/// Each pass may rely on the following:
/// - after `select`, every instruction is legal for the target, over virtual registers in SSA form;
/// - after `order`, every block comes after its dominators;
/// - after `allocate`, instructions are over physical registers, spilled values are in named slots, and edges have no
///   arguments;
/// - after `frame`, slots are addresses, and every exit restores the caller's registers;
/// - after `layout`, blocks and their order are final.
fn run_passes<T: Target>(
    target: &T,
    module: &ssa::Module,
    func: &ssa::Function,
    observe: &mut dyn FnMut(&'static str, &dyn Display),
) -> Result<Function<T, PReg>, Unsupported> {
    let scratch = &mut T::Scratch::default();
    progress::function(&func.name, SELECT);
    let mut mir = lower(target, module, func)?;
    target.legalize(&mut mir);
    observe(SELECT, &mir);
    progress::stage(ORDER);
    order_blocks(target, &mut mir);
    observe(ORDER, &mir);
    progress::stage(ALLOCATE);
    let mut asm = allocate(target, mir);
    observe(ALLOCATE, &asm);
    // A value that isn't defined on a path may be in a register that a call clobbers.
    let is_checked = target.is_checked() && check_clobbers(&asm).is_ok();
    for pass in T::OPTIMIZE {
        progress::stage(pass.name);
        (pass.run)(target, &mut asm, scratch);
        if is_checked && let Err(error) = check_clobbers(&asm) {
            panic!("{error}\n{asm}");
        }
        observe(pass.name, &asm);
    }
    progress::stage(FRAME);
    target.frame(&mut asm);
    observe(FRAME, &asm);
    progress::stage(LAYOUT);
    finish(target, &mut asm);
    observe(LAYOUT, &asm);
    for pass in T::PEEPHOLE {
        progress::stage(pass.name);
        (pass.run)(target, &mut asm, scratch);
        observe(pass.name, &asm);
    }
    Ok(asm)
}

/// Names of all passes of a target, in order.
pub fn pass_names<T: Target>() -> Vec<&'static str> {
    let names = |passes: &'static [Pass<T>]| passes.iter().map(|pass| pass.name);
    let start = [SELECT, ORDER, ALLOCATE].into_iter().chain(names(T::OPTIMIZE));
    start.chain([FRAME, LAYOUT]).chain(names(T::PEEPHOLE)).collect()
}

/// Compiles a function to a code fragment.
pub fn compile_function<T: Target>(
    target: &T,
    module: &ssa::Module,
    func: &ssa::Function,
) -> Result<Fragment<T::Fixup>, Unsupported> {
    let asm = run_passes(target, module, func, &mut |_, _| ())?;
    progress::stage(EMIT);
    Ok(emit(target, &asm))
}

/// The text of a function after the pass `after`, one of [`pass_names`], or after the last one.
pub fn print_function<T: Target>(
    target: &T,
    module: &ssa::Module,
    func: &ssa::Function,
    after: Option<&str>,
) -> Result<String, Unsupported> {
    let mut text = None;
    let last = run_passes(target, module, func, &mut |pass, func| {
        if Some(pass) == after {
            text = Some(func.to_string());
        }
    })?;
    Ok(text.unwrap_or_else(|| last.to_string()))
}

/// The code of each function with a body.
pub type Fragments<T> = IdVec<FuncId, Option<Fragment<<T as Encode>::Fixup>>>;

/// Compiles every function with a body, in id order, on up to `threads` threads. The result does not depend on the
/// number of threads; of several errors the one with the lowest id is returned.
pub fn compile_functions<T: Target>(
    target: &T,
    module: &ssa::Module,
    threads: usize,
) -> Result<Fragments<T>, Unsupported> {
    let ids: Vec<FuncId> = module.functions.ids().collect();
    progress::expect("codegen", module.functions.values().flatten().count());
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(ids.len()));
    let work = || {
        let mut mine = Vec::new();
        while let Some(&id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
            let compiled = module.functions[id].as_ref().map(|func| compile_function(target, module, func));
            progress::done(usize::from(compiled.is_some()));
            mine.push((id, compiled.transpose()));
        }
        progress::phase("codegen");
        results.lock().unwrap_or_else(PoisonError::into_inner).append(&mut mine);
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.max(1) {
            // Without memory for another stack, the other threads do the work.
            if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(id, _)| *id);
    results.into_iter().map(|(_, result)| result).collect()
}
