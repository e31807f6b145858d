//! From the module that the frontend made to one that is ready for selection.
//!
//! [`adapt`] lists the passes. Before memory is planned, distant data gets code that copies it at the start, and entry
//! points get wrappers. Unreachable functions and data are removed, and calls of imports become host calls or plain
//! code. Then tail calls get room for their stack arguments, dead stores to stack objects are removed, and switches
//! expanded. Where a program should be small, long constants get a place in memory. The memory plan assigns the addresses of data, which two more passes need: the entries' address
//! computations are folded, and small code gets pointers that include the base of linear memory.

mod bounds;
pub mod entries;
pub mod imports;
mod pool;
mod returns;
pub mod sparse;

mod switches;
mod variables;

use std::collections::{BTreeMap, BTreeSet};

use ::prepare::bias::{Displacements, bias_pointers};
use ::prepare::dead_slots::remove_dead_slot_stores;
use pvm_isa::{CodeFormat, metadata};
use ssa::{DataId, ExportItem, Module, Reachable};

use crate::isa::Pvm;
use crate::memory::{MemoryError, MemoryOptions, MemoryPlan, linear_memory, replaces_stack};
use crate::{Error, Goal, Options};
use entries::{Entering, Entry};
use imports::{Numbering, Resolved};
use pool::Pool;

/// A module ready for code generation.
pub struct Adapted {
    /// The module.
    pub module: Module,
    /// The target with the addresses of the module's data.
    pub target: Pvm,
    /// Entry points.
    pub entries: Vec<Entry>,
    /// The action of each import.
    pub imports: Vec<metadata::Import>,
    /// Numbers of host calls in the module with different meanings in different versions, if none was stated.
    pub ambiguous: BTreeSet<u32>,
}

/// An addition of a constant has an opcode and a byte with its registers.
const DISPLACEMENTS: Displacements = Displacements {
    len: pvm_isa::encode::imm_len,
    addition: 2,
    min_accesses: 3,
    min_gain: 1,
    min_gain_if_shared: 8,
};

/// In the next format accesses with a displacement of more than two bytes have four, and an opcode of two bytes. The
/// opcode of an addition has one.
const NEXT_DISPLACEMENTS: Displacements = Displacements {
    len: |displacement| match pvm_isa::encode::imm_len(displacement) {
        len @ 0..=2 => len,
        _ => 5,
    },
    addition: 1,
    min_accesses: 2,
    min_gain: 1,
    min_gain_if_shared: 5,
};

/// Runs all passes before selection.
pub fn adapt(mut module: Module, options: &Options) -> Result<Adapted, Error> {
    let layout = &options.layout;
    let memory = linear_memory(&module);
    let mut entering = Entering {
        mode: options.entries,
        result: options.result,
        signatures: &options.signatures,
        wide_pointers: options.wide_pointers,
        format: options.gp.code_format(),
        least: BTreeMap::new(),
    };
    let stack_in_memory = has_stack_in_memory(&module, memory, options, &entering)?;
    let clamped = memory.filter(|_| !options.memory.guard).and_then(|memory| {
        let entered = entries::entered(&module, layout, &entering);
        bounds::clamp_accesses(&mut module, memory, layout, &entered)
    });
    let is_clamped = clamped.is_some();
    let (mut lowest, mut address_limit) = (0, None);
    if let Some(checked) = clamped {
        address_limit = Some(i64::from(checked.limit as i32));
        entering.least = checked.least_arguments;
        lowest = if options.memory.keep_exports || stack_in_memory { 0 } else { checked.lowest };
    }
    let terms =
        sparse::Terms { goal: options.goal, allowed: options.memory.copies_data, lowest, stack_in_memory };
    let window = memory.map(|memory| sparse::copy_at_start(&mut module, memory, layout, terms));
    let mut entries = entries::make_entries(&mut module, memory, layout, &entering);
    let reachable = remove_unreachable(&mut module, &entries, options.memory.keep_exports);
    let numbering = Numbering { gp: options.gp, written_for: options.host_calls };
    let Resolved { host_calls, imports, ambiguous } =
        imports::resolve(&mut module, memory, &options.imports, numbering, &reachable)?;
    entries::make_room(&mut module, &mut entries);
    for func in module.functions.values_mut().flatten() {
        remove_dead_slot_stores(func, memory.map(Some).as_slice());
        switches::expand(func);
    }
    // Where wasm addresses are the machine's, all room for constants is below them.
    let pools = options.goal == Goal::Size && !layout.base_zero;
    let pool = pools.then(|| Pool::add(options.gp, &mut module)).flatten();
    let memory_options = MemoryOptions {
        guard: options.memory.guard || is_clamped,
        stack_in_memory,
        pool: pool.as_ref().map(|pool| pool.data),
        ..options.memory.clone()
    };
    let plan = variables::plan(&mut module, &mut entries, window, &memory_options, *layout)?;
    entries::fold_addresses(&mut module, &plan);
    bias(&mut module, &plan, options.gp.code_format());
    let never_returning = returns::never_returning(&module);
    let mut target = Pvm::new(options.gp, plan, host_calls, never_returning, &module);
    (target.address_limit, target.checks) = (address_limit, options.checks);
    target.pool = pool.map_or_else(BTreeMap::new, |pool| pool.addresses(&target.plan));
    if target.plan.stack_top().is_some() {
        target.set_stack = entries::unique_names(&mut module, &entries);
    }
    Ok(Adapted { module, target, entries, imports, ambiguous })
}

/// Whether the machine's stack is in linear memory.
fn has_stack_in_memory(
    module: &Module,
    memory: Option<DataId>,
    options: &Options,
    entering: &Entering<'_>,
) -> Result<bool, MemoryError> {
    let is_there =
        options.memory.stack_in_memory && memory.is_some_and(|memory| replaces_stack(module, memory));
    if is_there {
        entries::check_stack_in_memory(module, &options.layout, entering, options.memory.keep_exports)?;
    }
    Ok(is_there)
}

/// Gives small code pointers that include the base of linear memory; in the next format all code.
fn bias(module: &mut Module, plan: &MemoryPlan, format: CodeFormat) {
    let Some(memory) = plan.linear_memory() else { return };
    for func in module.functions.values_mut().flatten() {
        let displacements = match format {
            CodeFormat::Blocks => NEXT_DISPLACEMENTS,
            CodeFormat::Bitmask if func.optimize_for_size => DISPLACEMENTS,
            CodeFormat::Bitmask => continue,
        };
        bias_pointers(func, memory, plan.linear_base(), displacements);
    }
}

/// Removes functions that no entry reaches; returns the reachable functions and data.
fn remove_unreachable(module: &mut Module, entries: &[Entry], keep_exports: bool) -> Reachable {
    let roots = entries.iter().filter_map(|entry| entry.target);
    let exported = module.exports.iter().filter_map(|export| match export.item {
        ExportItem::Data(data) if keep_exports => Some(data),
        _ => None,
    });
    let reachable = Reachable::new(module, roots, exported);
    ssa::remove_unreachable(module, &reachable);
    reachable
}
