//! Lowering the alignment of stack objects.
//!
//! The stack pointer of a wasm program is a multiple of 16, so its stack objects are aligned to 16. The machine's stack
//! pointer is a multiple of 8, and rounding it down takes instructions in every prologue and epilogue. A program can
//! observe the difference only through the low bits of an address, for example by a mask, or an `or` used as an
//! addition. If every use of an object's address adds, compares, loads or stores, here and in the functions it is
//! passed to, the alignment of 8 suffices. An address that is stored, returned, or passed to unknown code keeps its
//! object's alignment.
//!
//! Termination: values are only added to the set of followed values, and each parameter is examined once.

use std::collections::BTreeMap;

use ssa::{BinaryOp, BlockCall, FuncId, Function, IdVec, InstData, Module, Value};

use crate::abi::STACK_ALIGN;

/// Lowers the alignment of stack objects to that of the stack where no code depends on more.
pub fn lower(module: &mut Module) {
    let mut lowered = Vec::new();
    let mut search = Search { module, params: BTreeMap::new() };
    for (id, func) in module.functions.iter() {
        let Some(func) = func else { continue };
        for (slot, data) in func.frame_slots.iter().filter(|(_, data)| data.align > STACK_ALIGN) {
            let is_address = |value: &Value| match func.def_inst(*value).map(|def| &func.insts[def]) {
                Some(InstData::FrameAddr { slot: other }) => *other == slot,
                _ => false,
            };
            let addresses: Vec<Value> = func.values.ids().filter(is_address).collect();
            // An alignment above that of the wasm stack pointer was requested explicitly.
            if data.align <= WASM_STACK_ALIGN && search.ignores_low_bits(func, &addresses) {
                lowered.push((id, slot));
            }
        }
    }
    for (id, slot) in lowered {
        let func = module.functions[id].as_mut().expect("it has a body");
        func.frame_slots[slot].align = STACK_ALIGN;
    }
}

/// Alignment of the stack pointer of wasm programs.
const WASM_STACK_ALIGN: u32 = 16;

struct Search<'m> {
    module: &'m Module,
    /// Parameters, with whether their low bits are ignored; false for a parameter that is still being examined.
    params: BTreeMap<(FuncId, usize), bool>,
}

impl Search<'_> {
    /// Whether no use of the addresses, or of values computed from them, depends on low bits.
    fn ignores_low_bits(&mut self, func: &Function, addresses: &[Value]) -> bool {
        let mut followed = IdVec::filled(false, func.values.len());
        addresses.iter().for_each(|&address| followed[address] = true);
        loop {
            let mut found = Vec::new();
            for &inst in func.blocks.values().flat_map(|block| &block.insts) {
                if !self.ignores(func, inst, &followed, &mut found) {
                    return false;
                }
            }
            found.retain(|&value| !std::mem::replace(&mut followed[value], true));
            if found.is_empty() {
                return true;
            }
        }
    }

    /// Whether an instruction ignores the low bits of followed values. Results computed from them are added to `found`.
    fn ignores(
        &mut self,
        func: &Function,
        inst: ssa::Inst,
        followed: &IdVec<Value, bool>,
        found: &mut Vec<Value>,
    ) -> bool {
        let is_used = |value: Value| followed[value];
        match &func.insts[inst] {
            InstData::Binary { op: BinaryOp::Add | BinaryOp::Sub, args, .. } => {
                found.extend(args.iter().any(|&arg| is_used(arg)).then(|| func.result(inst)));
                true
            }
            InstData::Select { cond, if_true, if_false, .. } => {
                found.extend((is_used(*if_true) || is_used(*if_false)).then(|| func.result(inst)));
                !is_used(*cond)
            }
            InstData::Icmp { .. } | InstData::Load { .. } => true,
            InstData::Store { value, .. } => !is_used(*value),
            InstData::Call { func: callee, args } | InstData::TailCall { func: callee, args } => {
                let passed = (0..args.len()).filter(|&n| is_used(args[n]));
                passed.into_iter().all(|n| self.parameter_is_ignored(*callee, n))
            }
            InstData::Jump { to } => {
                pass(func, to, followed, found);
                true
            }
            InstData::Branch { cond, if_true, if_false } => {
                [if_true, if_false].into_iter().for_each(|to| pass(func, to, followed, found));
                !is_used(*cond)
            }
            InstData::Switch { value, cases, default, .. } => {
                let targets = cases.iter().map(|(_, to)| to).chain([default]);
                targets.for_each(|to| pass(func, to, followed, found));
                !is_used(*value)
            }
            other => {
                let mut ignores = true;
                other.for_each_arg(|arg| ignores &= !is_used(arg));
                ignores
            }
        }
    }

    fn parameter_is_ignored(&mut self, callee: FuncId, n: usize) -> bool {
        let module = self.module;
        let Some(body) = &module.functions[callee] else { return false };
        if let Some(&known) = self.params.get(&(callee, n)) {
            return known;
        }
        self.params.insert((callee, n), false);
        let param = body.blocks[body.entry()].params[n];
        let ignored = self.ignores_low_bits(body, &[param]);
        self.params.insert((callee, n), ignored);
        ignored
    }
}

/// Follows values along an edge.
fn pass(func: &Function, to: &BlockCall, followed: &IdVec<Value, bool>, found: &mut Vec<Value>) {
    let params = &func.blocks[to.block].params;
    found.extend(to.args.iter().zip(params).filter(|(arg, _)| followed[**arg]).map(|(_, &param)| param));
}

#[cfg(test)]
mod tests {
    use ssa::{EntityId as _, parse_module};

    use super::*;

    /// The alignment of the first function's slot afterwards, with `uses` of its address `v0` in the body.
    fn alignment(uses: &str) -> u32 {
        let text = format!(
            "sig () -> ()\nsig (i32) -> ()\nmemory @m size=0 align=16 min=65536 page_log2=16 native_stack=1024\n\
             func $f () -> () {{\n  slot s0 size=16 align=16\nb0:\n  v0 = frame_addr s0\n{uses}  return\n}}\n\
             func $stores (i32) -> () {{\nb0(v0: i32):\n  store.u32 v0, [@m + v0 + 4]\n  return\n}}\n\
             func $reads (i32) -> () {{\nb0(v0: i32):\n  v1 = load.u32.i32 [@m + v0 + 4]\n  jump b1(v0)\n\
             b1(v2: i32):\n  call $reads(v2)\n  return\n}}\n\
             func $writes (i32) -> () {{\nb0(v0: i32):\n  v1 = const.i32 8\n  store.u32 v1, [@m + v0]\n  return\n}}\n"
        );
        let mut module = parse_module(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        lower(&mut module);
        let func = module.functions[FuncId::new(0)].as_ref().expect("it has a body");
        func.frame_slots.values().next().expect("it has a slot").align
    }

    #[test]
    fn addresses_that_are_only_added_to_need_no_more_than_the_stack_has() {
        assert_eq!(alignment(""), STACK_ALIGN);
        let sum =
            "  v1 = const.i32 4\n  v2 = add.i32 v0, v1\n  store.u32 v1, [@m + v2]\n  call $writes(v2)\n";
        assert_eq!(alignment(sum), STACK_ALIGN);
    }

    #[test]
    fn addresses_whose_low_bits_are_used_keep_their_alignment() {
        assert_eq!(alignment("  v1 = const.i32 4\n  v2 = or.i32 v0, v1\n  store.u32 v1, [@m + v2]\n"), 16);
        assert_eq!(
            alignment("  store.u32 v0, [@m + v0]\n"),
            16,
            "its low bits may be used after it is loaded"
        );
        assert_eq!(alignment("  call $stores(v0)\n"), 16);
        assert_eq!(alignment("  call $reads(v0)\n"), 16, "the effect of recursion is unknown");
    }
}
