//! Entry points: the jumps at the start of the code, and the functions that they lead to.
//!
//! A host enters a program at fixed positions. Entry `k` is a jump at `k` times
//! [`entry_spacing`](ProgramLayout::entry_spacing), which is 5. The export that it leads to:
//!
//! - [`EntryMode::Auto`]: a service has `main` (or `refine`, `refine_ext`, `is_authorized`, `is_authorized_ext`) at 0
//!   and `accumulate` (or `accumulate_ext`, `main2`) at 5, and no other entries. A module with none of
//!   these names gets one entry per exported function in export order.
//! - [`EntryMode::Raw`]: one entry per exported function in export order, without conversion.
//!
//! A host passes PVM addresses in 64-bit registers, r7 = pointer and r8 = length of the arguments, and reads the
//! result from where r7 and r8 say. The wasm function wants wasm addresses in `i32`s and returns
//! `pointer | length << 32`. So in automatic mode an export whose signature fits is entered through a wrapper, an SSA
//! function like any other:
//!
//! | wasm results | r7 | r8 |
//! |---|---|---|
//! | `i64` | low half as an address | high half |
//! | `i32 i32` | first as an address | second |
//! | none (services only) | the exported global `result_ptr` as an address, if there is one | `result_len` |
//! | none, without these globals | 0 | 0 |
//!
//! Parameters are `(i32, i32)`; the entries of services may also take fewer. Where memory has 64-bit addresses they may
//! take and return `i64`s in place of `i32`s. Any other export is entered as it is, in the calling convention of the
//! compiler.
//!
//! In a program that checks every access, [`Module::host_arguments`] has the number of addresses in the argument area at
//! which accesses of each width are allowed. Wrappers set those numbers that code reads.
//!
//! A container that has the positions of exports by name needs no jumps ([`typed`]). Every export is then a typed
//! function, whatever its name or signature.
//!
//! A start function must have run before any export. A wrapper around each entry checks a flag, so that it runs once
//! even if the host keeps the program's memory between calls.
//!
//! A host makes room on the stack for the arguments of an entry and for nothing else. A function whose tail calls need
//! more (see [`codegen::ArgumentRoom`]) is entered through an adapter that makes an ordinary call.
//!
//! A call is expensive compared with the work of a wrapper. So if an entry is the only use of its function, the function
//! *becomes* its wrapper: the conversions are written into it, before its entry block and into its returns.

mod arguments;
mod convert;
mod results;
#[cfg(test)]
mod tests;
mod typed;
mod wrapper;

use std::collections::{BTreeMap, BTreeSet};

pub use pvm_isa::metadata::SERVICE_NAMES;
use pvm_isa::metadata::{export_result, service_result};
use ssa::{DataId, DataKind, ExportItem, FuncId, InstData, Module, UnaryOp};

use self::wrapper::{Convention, WrapperMaker, count_uses};
pub use self::wrapper::{Entering, Entry, EntryMode, JUMP_BYTES, START_ENTRY};
use crate::isa::{argument_room, call_layout};
use crate::memory::{MemoryError, MemoryPlan, ProgramLayout};

/// Chooses the entry points of a module and adds their wrappers to it. The wasm addresses in their arguments and
/// results are in `memory`.
pub fn make_entries(
    module: &mut Module,
    memory: Option<DataId>,
    layout: &ProgramLayout,
    entering: &Entering<'_>,
) -> Vec<Entry> {
    let chosen = chosen(module, layout, entering);
    let mut maker = WrapperMaker::new(module, memory, entering, layout.entry_spacing);
    if layout.entry_spacing == 0 {
        let exports = chosen.iter().flatten();
        return exports.filter_map(|choice| maker.typed_entry(&choice.name, choice.func)).collect();
    }
    let mut entries: Vec<Entry> = chosen
        .iter()
        .map(|choice| match choice {
            Some(choice) => maker.entry(&choice.name, choice.func, choice.convention),
            None => maker.no_entry(),
        })
        .collect();
    if entering.mode == EntryMode::Raw && maker.has_start() {
        entries.push(maker.start_entry());
    }
    entries
}

/// An exported function that can be entered.
struct Choice {
    name: String,
    func: FuncId,
    /// The convention of hosts, if it may follow one.
    convention: Option<Convention>,
}

/// The exports that can be entered, in order. `None` is a position that can't be.
fn chosen(module: &Module, layout: &ProgramLayout, entering: &Entering<'_>) -> Vec<Option<Choice>> {
    let exports = module.exports.iter().filter_map(|export| match export.item {
        ExportItem::Func(func) => Some((&export.name, func)),
        ExportItem::Data(_) => None,
    });
    let choice = |name: &String, func, convention| Choice { name: name.clone(), func, convention };
    let convention: Convention = match entering.wide_pointers {
        true => |signature| service_result(signature, true),
        false => |signature| service_result(signature, false),
    };
    let first_of = |names: &[&str]| {
        names.iter().find_map(|name| {
            let (name, func) = exports.clone().find(|(export, _)| export == name)?;
            Some(choice(name, func, Some(convention)))
        })
    };
    let is_auto = entering.mode == EntryMode::Auto && layout.entry_spacing != 0;
    let service = SERVICE_NAMES.map(first_of);
    if is_auto && service.iter().any(Option::is_some) {
        return service.into();
    }
    let convention = is_auto.then_some(export_result as Convention);
    exports.map(|(name, func)| Some(choice(name, func, convention))).collect()
}

/// The functions whose first parameters hosts set to address and length of the arguments, each with whether that is
/// so in every call.
pub fn entered(module: &Module, layout: &ProgramLayout, entering: &Entering<'_>) -> BTreeMap<FuncId, bool> {
    let uses = count_uses(module);
    let choices = chosen(module, layout, entering).into_iter().flatten();
    let follows = choices.filter(|choice| {
        let letters = entering.letters(&choice.name, module.signature_of(choice.func));
        choice.convention.is_some_and(|convention| convention(&letters).is_some())
    });
    follows.map(|choice| (choice.func, uses[choice.func] == 1)).collect()
}

/// Refuses a stack in linear memory if a host may enter a function that has to give the stack pointer back, as its
/// callers expect: only hosts of converted entries leave it alone.
///
/// # Errors
/// [`MemoryError::StackInMemory`].
pub fn check_stack_in_memory(
    module: &Module,
    layout: &ProgramLayout,
    entering: &Entering<'_>,
    hosts_have_tables: bool,
) -> Result<(), MemoryError> {
    let is_table = |export: &ssa::Export| match export.item {
        ExportItem::Data(data) => module.data[data].kind == DataKind::Table,
        ExportItem::Func(_) => false,
    };
    if hosts_have_tables && module.exports.iter().any(is_table) {
        return Err(MemoryError::StackInMemory("hosts may call the functions of an exported table"));
    }
    let mut choices = chosen(module, layout, entering).into_iter().flatten();
    let is_converted = |choice: Choice| {
        let letters = entering.letters(&choice.name, module.signature_of(choice.func));
        choice.convention.is_some_and(|convention| convention(&letters).is_some())
    };
    if choices.all(is_converted) {
        return Ok(());
    }
    Err(MemoryError::StackInMemory("an entry has the calling convention of the compiler"))
}

/// The names of the functions that entries lead to, which no other function has afterwards.
pub fn unique_names(module: &mut Module, entries: &[Entry]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for func in entries.iter().filter_map(|entry| entry.target) {
        let is_taken = |name: &str| module.decls.iter().any(|(id, decl)| id != func && decl.name == name);
        let mut name = module.decls[func].name.clone();
        while is_taken(&name) {
            name.push('\'');
        }
        if let Some(body) = &mut module.functions[func] {
            body.name.clone_from(&name);
        }
        module.decls[func].name.clone_from(&name);
        names.insert(name);
    }
    names
}

/// Gives adapters to entries whose tail calls need more room for stack arguments than the host makes.
pub fn make_room(module: &mut Module, entries: &mut [Entry]) {
    let room = argument_room(module);
    for entry in entries {
        let Some(func) = entry.target else { continue };
        let sig = module.signature_of(func);
        if room.of_func(func) > call_layout(sig).stack_bytes {
            let name = format!("{}.adapter", module.decls[func].name);
            entry.target = Some(codegen::add_adapter(module, func, name));
        }
    }
}

/// Replaces addresses that a function extends to words by the words, now that addresses are known. Only entries
/// extend addresses.
pub fn fold_addresses(module: &mut Module, plan: &MemoryPlan) {
    for func in module.functions.values_mut().flatten() {
        for inst in func.insts.ids() {
            let InstData::Unary { op: UnaryOp::Zext, ty, arg } = func.insts[inst] else { continue };
            let Some(InstData::DataAddr { data, offset }) = func.def_inst(arg).map(|inst| &func.insts[inst])
            else {
                continue;
            };
            if let Some(address) = plan.try_address(*data) {
                let bits = i64::from(address.wrapping_add_signed(*offset));
                func.insts[inst] = InstData::Const { ty, bits };
            }
        }
    }
}
