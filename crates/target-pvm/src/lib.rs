//! The PVM target: from an [`ssa::Module`] to a program.
//!
//! ```text
//! SSA to SSA:     sparse ─ entries ─ reach ─ imports ─ room for tail calls ─ dead slots ─ switches
//! addresses:      memory plan ─ addresses folded into entries ─ biased pointers
//! code:           Pvm ─ codegen ─► Fragments ─ link ─► Program
//! ```
//!
//! Before the memory plan, distant data gets code that copies it at the start and entry points get wrappers.
//! Unreachable functions and data are removed, and calls of imports become host calls or plain code. Then tail calls
//! get room for their stack arguments, dead stores to stack objects are removed and switches expanded.
//!
//! The memory plan assigns the addresses of data. Two more SSA passes need them: the entries' address computations are
//! folded, and small code gets pointers that include the base of linear memory. [`Pvm`] describes the machine to the
//! code generator, and `link` joins the functions' code with the jump table and initial memory.

pub mod entries;
pub mod imports;
pub mod memory_plan;
pub mod sparse;

mod demand;
mod encode;
mod fixup;
mod frame;
mod inst;
mod link;
mod lower;
mod machine;
mod peephole;
mod target;

use prepare::bias::{Displacements, bias_pointers};
use prepare::dead_slots::remove_dead_slot_stores;
use pvm_isa::metadata::{self, ResultConvention};
use pvm_isa::{GpVersion, SpiProgram};
use ssa::{ExportItem, FuncId, FuncKind, Module, Reachable};

pub use entries::{Entry, EntryMode};
pub use imports::{ImportAction, ImportError, ImportMap, ImportMapError};
pub use link::Linked;
pub use machine::Pvm;
pub use memory_plan::{Images, MemoryError, MemoryOptions, MemoryPlan};

/// The optimisation goal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Goal {
    /// Little gas.
    #[default]
    Speed,
    /// Small, without wasting gas.
    Balance,
    /// Small.
    Size,
}

/// Options of the target.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Version of the Gray Paper the program is for.
    pub gp: GpVersion,
    /// The optimisation goal.
    pub goal: Goal,
    /// Which exports can be entered, and how.
    pub entries: EntryMode,
    /// How entry functions return their result.
    pub result: ResultConvention,
    /// Actions of imports.
    pub imports: ImportMap,
    /// Memory.
    pub memory: MemoryOptions,
    /// Worker threads, at least 1. The result does not depend on it.
    pub threads: usize,
}

/// Reasons why a module can't become a program with these options.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Imported functions without a suitable action.
    #[error(transparent)]
    Imports(#[from] ImportError),
    /// Memory that does not fit the container.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// An instruction or value that the target has no code for.
    #[error(transparent)]
    Unsupported(#[from] codegen::Unsupported),
}

/// A compiled program with names and addresses for tools.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// Code and initial memory.
    pub spi: SpiProgram,
    /// Entry points; entry `k` is at code offset `5 k`.
    pub entries: Vec<Entry>,
    /// The action of each import.
    pub imports: Vec<metadata::Import>,
    /// Start of each compiled function with its name, in ascending order.
    pub functions: Vec<metadata::FunctionName>,
    /// Names and addresses of all data objects that are in memory; linear memory's is that of wasm address 0.
    pub data: Vec<(String, u32)>,
    /// Names of exported globals, tables and memories, each with the index of its object in [`data`](Self::data).
    pub data_exports: Vec<(String, usize)>,
    /// Whether linear memory is used, and so has an address.
    pub has_memory: bool,
    /// `base` in `pvm = wasm + base` modulo 2^32.
    pub linear_base: u32,
    /// Values of references to functions, by name, for those whose address is taken.
    pub references: Vec<(String, u64)>,
}

/// Compiles a module.
///
/// # Errors
/// If imports have no action, memory does not fit the container, or a function needs an operation that the target lacks.
pub fn compile(module: Module, options: &Options) -> Result<Program, Error> {
    let prepared = prepare(module, options)?;
    let Prepared { module, target, entries, imports } = &prepared;
    let fragments = codegen::compile_functions(target, module, options.threads.max(1))?;
    let linked = link::link(module, fragments, entries, &target.plan, options.gp);
    let images = target.plan.images(module, |func| linked.references[func])?;
    Ok(program(module, target, linked, images, entries.clone(), imports.clone()))
}

/// The text of all functions after the pass `after` of [`codegen::pass_names`], or after the last one.
///
/// # Errors
/// As for [`compile`].
pub fn print(module: Module, options: &Options, after: Option<&str>) -> Result<String, Error> {
    let Prepared { module, target, .. } = prepare(module, options)?;
    let mut text = String::new();
    for func in module.functions.values().flatten() {
        text.push_str(&codegen::print_function(&target, &module, func, after)?);
        text.push('\n');
    }
    Ok(text)
}

/// The module as it goes into code generation, as text.
///
/// The module before code generation, as text.
/// As for [`compile`].
pub fn print_ssa(module: Module, options: &Options) -> Result<String, Error> {
    let mut module = prepare(module, options)?.module;
    // The printer needs bodies for all local functions; those without were unreachable.
    for id in module.functions.ids().collect::<Vec<FuncId>>() {
        if module.functions[id].is_none() && module.decls[id].kind == FuncKind::Local {
            module.decls[id].kind = FuncKind::Intrinsic("unreachable".into());
        }
    }
    Ok(module.to_string())
}

/// A module ready for code generation.
struct Prepared {
    module: Module,
    target: Pvm,
    entries: Vec<Entry>,
    imports: Vec<metadata::Import>,
}

/// An addition of a constant has an opcode and a byte with its registers.
const DISPLACEMENTS: Displacements =
    Displacements { len: pvm_isa::encode::imm_len, addition: 2, min_gain_if_shared: 8 };

fn prepare(mut module: Module, options: &Options) -> Result<Prepared, Error> {
    let window = sparse::copy_at_start(&mut module, options.goal);
    let mut entries = entries::make_entries(&mut module, options.entries, options.result);
    let roots = entries.iter().filter_map(|entry| entry.target);
    let exported = module.exports.iter().filter_map(|export| match export.item {
        ExportItem::Data(data) if options.memory.keep_exports => Some(data),
        _ => None,
    });
    let reachable = Reachable::new(&module, roots, exported);
    ssa::remove_unreachable(&mut module, &reachable);
    let (host_calls, imports) = imports::resolve(&mut module, &options.imports, &reachable)?;
    entries::make_room(&mut module, &mut entries);
    let memory = module.memory().map(|(id, _)| id);
    for func in module.functions.values_mut().flatten() {
        remove_dead_slot_stores(func, memory);
        machine::expand_switches(func);
    }
    let memory_options = MemoryOptions { window, ..options.memory.clone() };
    let plan = MemoryPlan::new(&module, &memory_options)?;
    entries::fold_addresses(&mut module, &plan);
    if let Some(memory) = memory.filter(|&id| plan.try_address(id).is_some()) {
        for func in module.functions.values_mut().flatten().filter(|func| func.optimize_for_size) {
            bias_pointers(func, memory, plan.linear_base(), DISPLACEMENTS);
        }
    }
    let target = Pvm::new(options.gp, plan, host_calls, &module);
    Ok(Prepared { module, target, entries, imports })
}

fn program(
    module: &Module,
    target: &Pvm,
    linked: Linked,
    images: Images,
    entries: Vec<Entry>,
    imports: Vec<metadata::Import>,
) -> Program {
    let placed: Vec<_> = module
        .data
        .iter()
        .filter_map(|(id, object)| Some((id, object.name.clone(), target.plan.try_address(id)?)))
        .collect();
    let data_exports = module.exports.iter().filter_map(|export| match export.item {
        ExportItem::Data(data) => {
            let index = placed.iter().position(|(id, ..)| *id == data)?;
            Some((export.name.clone(), index))
        }
        ExportItem::Func(_) => None,
    });
    let name = |func: FuncId| module.decls[func].name.clone();
    let named = |&(pc, func): &(u32, FuncId)| metadata::FunctionName { pc, name: name(func) };
    let functions = linked.functions.iter().map(named);
    let referenced = linked.references.iter().filter(|(_, value)| **value != 0);
    Program {
        entries,
        imports,
        functions: functions.collect(),
        data_exports: data_exports.collect(),
        references: referenced.map(|(func, &value)| (name(func), value)).collect(),
        data: placed.into_iter().map(|(_, name, address)| (name, address)).collect(),
        has_memory: module.memory().is_some_and(|(id, _)| target.plan.try_address(id).is_some()),
        linear_base: target.plan.linear_base(),
        spi: SpiProgram {
            ro_data: images.ro,
            rw_data: images.rw,
            heap_pages: images.heap_pages,
            stack_size: target.plan.stack_size(),
            blob: linked.blob,
        },
    }
}
