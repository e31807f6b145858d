//! Traps as calls of a handler, with the number of the reason and the offset of the operator in the module.
//!
//! The frontend calls an intrinsic where the module traps. Other traps, such as those of imports, have no offset.

use ssa::{FuncDecl, FuncId, FuncKind, Function, Import, InstData, Module, Signature, TrapCode, Type};

/// Declares the handler with this symbol, and calls it before every trap.
pub fn call_handler(module: &mut Module, symbol: &str) -> FuncId {
    let sig = module.intern_signature(Signature { params: vec![Type::I32; 2], results: Vec::new() });
    let kind = FuncKind::Import(Import { module: String::new(), field: symbol.to_owned() });
    module.functions.push(None);
    let handler = module.decls.push(FuncDecl { name: symbol.to_owned(), sig, kind });
    let is_intrinsic =
        |decl: &FuncDecl| matches!(&decl.kind, FuncKind::Intrinsic(name) if name == TrapCode::REPORT);
    let intrinsic = module.decls.iter().find(|(_, decl)| is_intrinsic(decl)).map(|(id, _)| id);
    for func in module.functions.values_mut().flatten() {
        for inst in func.insts.values_mut() {
            if let InstData::Call { func: callee, .. } = inst
                && Some(*callee) == intrinsic
            {
                *callee = handler;
            }
        }
        add_calls(func, handler);
    }
    handler
}

/// Calls the handler before traps that have no call yet.
fn add_calls(func: &mut Function, handler: FuncId) {
    for block in func.blocks.ids() {
        let insts = &func.blocks[block].insts;
        let Some((&last, rest)) = insts.split_last() else { continue };
        let InstData::Trap { code } = func.insts[last] else { continue };
        let before = rest.last().map(|&inst| &func.insts[inst]);
        if matches!(before, Some(InstData::Call { func: callee, .. }) if *callee == handler) {
            continue;
        }
        func.source.follow(last);
        func.blocks[block].insts.pop();
        let [number, offset] = [code.number(), TrapCode::NO_OFFSET].map(|word| {
            func.append_value(block, InstData::Const { ty: Type::I32, bits: word.into() }, Type::I32)
        });
        func.append(block, InstData::Call { func: handler, args: vec![number, offset] }, &[]);
        func.blocks[block].insts.push(last);
        func.source.follow_none();
    }
}
