//! Cancelling the base of linear memory in addresses of stack objects.
//!
//! The wasm address of a stack object is its machine address minus the base of linear memory, and an access adds the
//! base again. Selection cancels the two if the access uses the object's address directly, but not if a variable index
//! is added in between. So each sum or difference computed from such an address is also computed from the machine
//! address. That is written `base + frame address` and selected as one addition to the stack pointer. Accesses, and
//! other sums with the base, use the machine address; unused values are removed.
//!
//! Values are visited once, definitions before uses.

use ssa::{BinaryOp, DataId, Function, IdVec, Inst, InstData, Type, Value};

/// Rewrites the accesses of a function whose linear memory has a base.
pub fn bases(func: &mut Function, memory: DataId) {
    let is_frame = |inst: &InstData| matches!(inst, InstData::FrameAddr { .. });
    if !func.blocks.values().flat_map(|block| &block.insts).any(|&inst| is_frame(&func.insts[inst])) {
        return;
    }
    let mut machine = IdVec::filled(None, func.values.len());
    for block in func.reverse_postorder() {
        let mut insts = Vec::with_capacity(func.blocks[block].insts.len());
        for inst in std::mem::take(&mut func.blocks[block].insts) {
            rewrite(func, memory, &machine, inst);
            insts.push(inst);
            insts.extend(machine_address(func, memory, &mut machine, inst));
        }
        func.blocks[block].insts = insts;
    }
    ssa::passes::remove_dead(func);
}

/// The machine address for a wasm address computed from a stack object, if it is one.
fn machine_of(machine: &IdVec<Value, Option<Value>>, value: Value) -> Option<Value> {
    machine.get(value).copied().flatten()
}

/// Replaces sums with the base by machine addresses.
fn rewrite(func: &mut Function, memory: DataId, machine: &IdVec<Value, Option<Value>>, inst: Inst) {
    let base_offset = |func: &Function, value: Value| match func.def_inst(value).map(|def| &func.insts[def]) {
        Some(&InstData::DataAddr { data, offset }) if data == memory => Some(offset),
        _ => None,
    };
    match func.insts[inst] {
        InstData::Load { ref mut addr, .. } | InstData::Store { ref mut addr, .. } => {
            let Some(index) = addr.index.filter(|_| addr.base == Some(memory)) else { return };
            if let Some(known) = machine_of(machine, index) {
                (addr.base, addr.index) = (None, Some(known));
            }
        }
        InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args: [a, b] } => {
            for (address, base) in [(a, b), (b, a)] {
                if base_offset(func, base) == Some(0)
                    && let Some(known) = machine_of(machine, address)
                    && let Some(def) = func.def_inst(known)
                {
                    func.insts[inst] = func.insts[def].clone();
                    return;
                }
            }
        }
        _ => {}
    }
}

/// Inserts the machine address for an instruction that computes an address from a stack object, after it.
fn machine_address(
    func: &mut Function,
    memory: DataId,
    machine: &mut IdVec<Value, Option<Value>>,
    inst: Inst,
) -> Vec<Inst> {
    let mut new = Vec::new();
    let mut add = |func: &mut Function, data: InstData| {
        let inst = func.make_inst(data, &[Type::I32]);
        new.push(inst);
        func.result(inst)
    };
    let known = match func.insts[inst] {
        InstData::FrameAddr { .. } => {
            let base = add(func, InstData::DataAddr { data: memory, offset: 0 });
            let args = [base, func.result(inst)];
            add(func, InstData::Binary { op: BinaryOp::Add, ty: Type::I32, args })
        }
        InstData::Binary { op: op @ (BinaryOp::Add | BinaryOp::Sub), ty: Type::I32, args: [a, b] } => {
            let commuted = if op == BinaryOp::Add { machine_of(machine, b) } else { None };
            let args = match (machine_of(machine, a), commuted) {
                (Some(a), _) => [a, b],
                (None, Some(b)) => [b, a],
                (None, None) => return new,
            };
            add(func, InstData::Binary { op, ty: Type::I32, args })
        }
        _ => return new,
    };
    machine[func.result(inst)] = Some(known);
    new
}
