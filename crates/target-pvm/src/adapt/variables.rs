//! Variables at the end of the machine's stack, so that linear memory can begin where the read-write area begins.
//!
//! Linear memory begins at a page, since it must end at one. A few bytes of variables before it would cost a page of
//! stored zeros. The stack is not stored, and its end is at the same address in every standard program. No function uses
//! the [`RED_ZONE`] bytes below its caller's stack pointer, so those below the end of the stack are free. Where
//! variables need more, entry functions get a stack object of that size: it is the uppermost of their frame, and the
//! frames of all functions that they call are below it. An entry that is called by others, too, or that ends in a tail
//! call, which gives up its frame, gets an adapter for this.
//!
//! The stack is zero at first. A variable with another initial value is stored as its difference from that value, if
//! code reads and writes it as a whole only.
//!
//! Where the machine's stack is in linear memory, the container's stack has nothing but the variables, and all have to be
//! there.
//!
//! Else variables are moved if that makes the program smaller: all of them, or none. Addresses at the end of the stack are
//! longer by a byte. A host that puts arguments of an entry on the stack puts them at its end, so no variable can be there.

use ssa::{
    Addr, BinaryOp, DataId, ExportItem, FrameSlotData, FuncId, Function, IdVec, Inst, InstData, MemType,
    Module, Type, UnaryOp,
};

use super::entries::Entry;
use crate::frame::RED_ZONE;
use crate::isa::call_layout;
use crate::memory::{MemoryError, MemoryOptions, MemoryPlan, ProgramLayout, Window, replaces_stack};

/// Maximum size of all variables in bytes.
const MOST_BYTES: u32 = 2048;
/// Bytes of code for a stack object in an entry, and for an adapter.
const ENTRY_BYTES: usize = 8;
const ADAPTER_BYTES: usize = 26;
/// Bytes of code for adding a number of more than 32 bits.
const LONG_ADDITION_BYTES: usize = 13;

/// Plans memory, with variables at the end of the stack if that makes the program smaller.
///
/// # Errors
/// As for [`MemoryPlan::new`].
pub fn plan(
    module: &mut Module,
    entries: &mut [Entry],
    window: Option<Window>,
    options: &MemoryOptions,
    layout: ProgramLayout,
) -> Result<MemoryPlan, MemoryError> {
    if options.stack_in_memory && window.is_some_and(|window| replaces_stack(module, window.memory)) {
        return beside_stack(module, window, options, layout);
    }
    let before = MemoryPlan::new(module, window, options, layout)?;
    let Some(variables) = movable(module, entries, &before) else { return Ok(before) };
    let Ok(after) = MemoryPlan::with_variables_on_stack(module, window, options, layout, &variables) else {
        return Ok(before);
    };
    let saved = before.stored_bytes(module)?.checked_sub(after.stored_bytes(module)?);
    let excess = after.variables_on_stack().saturating_sub(RED_ZONE);
    let price = price_of_accesses(module, &variables, [&before, &after])
        + if excess > 0 { price_of_entries(module, entries) } else { 0 };
    let is_better = saved.is_some_and(|saved| saved > price);
    tracing::debug!(
        variables = variables.len(),
        saved,
        price,
        is_better,
        "variables at the end of the stack"
    );
    if !is_better {
        return Ok(before);
    }
    variables.iter().for_each(|&id| store_difference(module, id));
    debug_assert!(variables.iter().all(|&id| is_zero(module, id)), "the stack is zero at first");
    if excess > 0 {
        reserve(module, entries, excess);
    }
    Ok(after)
}

/// Plans memory with the machine's stack in linear memory. All variables have to be at the end of the container's stack,
/// which nothing else uses: before linear memory, a stack that overflows would change them.
fn beside_stack(
    module: &mut Module,
    window: Option<Window>,
    options: &MemoryOptions,
    layout: ProgramLayout,
) -> Result<MemoryPlan, MemoryError> {
    let elsewhere = MemoryOptions { stack_in_memory: false, ..options.clone() };
    let before = MemoryPlan::new(module, window, &elsewhere, layout)?;
    if before.linear_memory().is_none() {
        return Ok(before);
    }
    let variables = before.before_linear_memory(module);
    let variables = variables.ok_or(MemoryError::StackInMemory("another memory is before it"))?;
    let numbers = numbers(module);
    if !variables.iter().all(|&id| is_zero(module, id) || numbers[id]) {
        return Err(MemoryError::StackInMemory("a table or variable with contents is before it"));
    }
    let plan = MemoryPlan::with_variables_on_stack(module, window, options, layout, &variables)?;
    variables.iter().for_each(|&id| store_difference(module, id));
    Ok(plan)
}

/// The variables before linear memory, if all of them can be moved.
fn movable(module: &Module, entries: &[Entry], plan: &MemoryPlan) -> Option<Vec<DataId>> {
    plan.layout().stack_end.filter(|_| plan.linear_memory().is_some())?;
    let targets = entries.iter().filter_map(|entry| entry.target);
    let variables = plan.before_linear_memory(module)?;
    let bytes: u32 = variables.iter().map(|&id| module.data[id].size + module.data[id].align).sum();
    let needs_stack = |func| call_layout(module.signature_of(func)).stack_bytes > 0;
    if bytes > MOST_BYTES || targets.into_iter().any(needs_stack) {
        return None;
    }
    let numbers = numbers(module);
    variables.iter().all(|&id| is_zero(module, id) || numbers[id]).then_some(variables)
}

fn is_zero(module: &Module, id: DataId) -> bool {
    let object = &module.data[id];
    object.relocs.is_empty() && object.addresses.is_empty() && object.init.iter().all(|&byte| byte == 0)
}

/// By object: whether it is an integer that code reads and writes as a whole, and nobody else does.
fn numbers(module: &Module) -> IdVec<DataId, bool> {
    let is_integer = |object: &ssa::DataObject| {
        matches!(object.size, 4 | 8) && object.relocs.is_empty() && object.addresses.is_empty()
    };
    let mut numbers: IdVec<DataId, bool> = module.data.values().map(is_integer).collect();
    for inst in module.functions.values().flatten().flat_map(|func| func.insts.values()) {
        let Some((id, _)) = accessed(inst) else { continue };
        let bytes = module.data[id].size;
        numbers[id] &= match inst {
            InstData::Load { mem, addr, ty, .. } => {
                is_plain(addr) && mem.bytes() == bytes && matches!(ty, Type::I32 | Type::I64)
            }
            InstData::Store { mem, addr, .. } => {
                is_plain(addr) && mem.bytes() == bytes && !matches!(mem, MemType::F32 | MemType::F64)
            }
            _ => false,
        };
    }
    for export in &module.exports {
        if let ExportItem::Data(id) = export.item {
            numbers[id] = false;
        }
    }
    module.data.values().flat_map(|object| &object.addresses).for_each(|stored| numbers[stored.data] = false);
    numbers
}

fn is_plain(addr: &Addr) -> bool {
    addr.index.is_none() && addr.offset == 0
}

fn integer(bytes: u32) -> Type {
    if bytes == 4 { Type::I32 } else { Type::I64 }
}

/// The initial value of a number.
fn initial(module: &Module, id: DataId) -> i64 {
    let object = &module.data[id];
    let mut bytes = [0; 8];
    bytes[..object.init.len()].copy_from_slice(&object.init);
    match object.size {
        4 => i64::from(i64::from_le_bytes(bytes) as i32),
        _ => i64::from_le_bytes(bytes),
    }
}

/// The instruction's access to one of the variables, if it is one.
fn accessed(inst: &InstData) -> Option<(DataId, i32)> {
    match inst {
        InstData::Load { addr: Addr { base: Some(id), offset, .. }, .. }
        | InstData::Store { addr: Addr { base: Some(id), offset, .. }, .. }
        | InstData::DataAddr { data: id, offset } => Some((*id, *offset)),
        _ => None,
    }
}

/// Bytes by which the code of accesses grows, at most.
fn price_of_accesses(module: &Module, variables: &[DataId], plans: [&MemoryPlan; 2]) -> usize {
    let insts = module.functions.values().flatten().flat_map(|func| func.insts.values());
    let price = |inst: &InstData| {
        let (id, offset) = accessed(inst).filter(|(id, _)| variables.contains(id))?;
        let [before, after] = plans.map(|plan| plan.address(id).wrapping_add_signed(offset) as i32);
        let longer = pvm_isa::encode::imm_len(after).saturating_sub(pvm_isa::encode::imm_len(before));
        let value = if is_zero(module, id) { 0 } else { initial(module, id) };
        let addition = match i32::try_from(value) {
            Ok(0) => 0,
            Ok(value) => 2 + pvm_isa::encode::imm_len(value),
            Err(_) => LONG_ADDITION_BYTES,
        };
        Some(longer + addition)
    };
    let bytes: usize = insts.filter_map(price).sum();
    bytes + bytes / 8
}

fn price_of_entries(module: &Module, entries: &[Entry]) -> usize {
    let adapted = need_adapters(module, entries);
    adapted.into_iter().map(|is_adapted| ENTRY_BYTES + if is_adapted { ADAPTER_BYTES } else { 0 }).sum()
}

/// Makes a variable zero at first.
fn store_difference(module: &mut Module, id: DataId) {
    if is_zero(module, id) {
        return;
    }
    let value = initial(module, id);
    module.data[id].init.fill(0);
    let ty = integer(module.data[id].size);
    for func in module.functions.values_mut().flatten() {
        for block in func.blocks.ids() {
            let insts = std::mem::take(&mut func.blocks[block].insts);
            let changed = insts.into_iter().flat_map(|inst| with_difference(func, inst, id, (ty, value)));
            let changed: Vec<Inst> = changed.collect();
            func.blocks[block].insts = changed;
        }
        func.source.follow_none();
    }
}

/// The instructions that take the place of `inst`: after a load the initial value is added, before a store it is
/// subtracted.
fn with_difference(func: &mut Function, inst: Inst, id: DataId, (ty, value): (Type, i64)) -> Vec<Inst> {
    func.source.follow(inst);
    match func.insts[inst].clone() {
        InstData::Load { mem, addr, flags, ty: loaded } if addr.base == Some(id) => {
            let load = func.make_inst(InstData::Load { mem, ty, addr, flags }, &[ty]);
            let constant = func.make_inst(InstData::Const { ty, bits: value }, &[ty]);
            let args = [func.result(load), func.result(constant)];
            let sum = InstData::Binary { op: BinaryOp::Add, ty, args };
            if loaded == ty {
                func.insts[inst] = sum;
                return vec![load, constant, inst];
            }
            let sum = func.make_inst(sum, &[ty]);
            let op = if mem == MemType::S32 { UnaryOp::Sext } else { UnaryOp::Zext };
            func.insts[inst] = InstData::Unary { op, ty: loaded, arg: func.result(sum) };
            vec![load, constant, sum, inst]
        }
        InstData::Store { mem, addr, value: stored, flags } if addr.base == Some(id) => {
            // A store of four bytes may be of a wider value.
            let ty = func.values[stored].ty;
            let negative =
                if ty == Type::I32 { i64::from((value as i32).wrapping_neg()) } else { value.wrapping_neg() };
            let constant = func.make_inst(InstData::Const { ty, bits: negative }, &[ty]);
            let args = [stored, func.result(constant)];
            let sum = func.make_inst(InstData::Binary { op: BinaryOp::Add, ty, args }, &[ty]);
            func.insts[inst] = InstData::Store { mem, addr, value: func.result(sum), flags };
            vec![constant, sum, inst]
        }
        _ => vec![inst],
    }
}

/// Makes every entry leave `bytes` more at the end of the stack.
fn reserve(module: &mut Module, entries: &mut [Entry], bytes: u32) {
    let adapted = need_adapters(module, entries);
    for (entry, is_adapted) in entries.iter_mut().zip(adapted) {
        let Some(func) = entry.target else { continue };
        let target = if is_adapted {
            let name = format!("{}.adapter", module.decls[func].name);
            codegen::add_adapter(module, func, name)
        } else {
            func
        };
        entry.target = Some(target);
        if let Some(body) = &mut module.functions[target] {
            body.frame_slots.push(FrameSlotData { size: bytes, align: FRAME_ALIGN });
        }
    }
}

/// Whether the function of each entry can't keep a stack object for the whole call, or is used by others, too.
fn need_adapters(module: &Module, entries: &[Entry]) -> Vec<bool> {
    let mut uses = IdVec::<FuncId, u32>::filled(0, module.decls.len());
    for inst in module.functions.values().flatten().flat_map(|func| func.insts.values()) {
        if let InstData::Call { func, .. } | InstData::TailCall { func, .. } | InstData::FuncRef { func } =
            inst
        {
            uses[*func] += 1;
        }
    }
    let stored = module.data.values().flat_map(|object| &object.relocs).map(|reloc| reloc.func);
    stored.chain(entries.iter().filter_map(|entry| entry.target)).for_each(|func| uses[func] += 1);
    let ends_in_tail_call = |func: FuncId| {
        module.functions[func].as_ref().is_none_or(|body| {
            let last = |block| &body.insts[body.terminator(block)];
            let is_tail_call = |inst: &InstData| {
                matches!(inst, InstData::TailCall { .. } | InstData::TailCallIndirect { .. })
            };
            body.blocks.ids().any(|block| is_tail_call(last(block)))
        })
    };
    let needs = |entry: &Entry| entry.target.is_some_and(|func| uses[func] > 1 || ends_in_tail_call(func));
    entries.iter().map(needs).collect()
}

/// Alignment of a frame, and of the object at its end.
const FRAME_ALIGN: u32 = 16;
